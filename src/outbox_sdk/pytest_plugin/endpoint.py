"""Where a test's AWS is: a server that is started for the session, or one that is there already."""

import importlib.util
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from outbox_sdk._local_server.loopback import (
    HOST,
    LaunchPlan,
    ServerStartError,
    basic_environment,
    open_loopback_server,
)
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import Region
from outbox_sdk.core.mark import MarkStrategy
from outbox_sdk.embedded_stack import open_embedded_stack
from outbox_sdk.shell.aws.access import AwsAccess

__all__ = ["Endpoint", "misleading_variables", "open_endpoint"]

_MOTO_ACCOUNT = "123456789012"
_REGION = "us-east-1"
_ANSWER_SECONDS = 5.0
_MISLEADING = frozenset(
    {
        "AWS_DEFAULT_PROFILE",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
        "AWS_PROFILE",
        "AWS_SECURITY_TOKEN",
        "AWS_SESSION_TOKEN",
        "AWS_USE_DUALSTACK_ENDPOINT",
        "AWS_USE_FIPS_ENDPOINT",
    }
)
_AWS_HOSTS = (".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws", ".amazonwebservices.com.cn")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server that speaks AWS's protocols. Its credentials are dummies that open nothing else.

    ``mark_strategy`` is how the relay marks there: not every stand-in knows PartiQL in batches.
    """

    url: str
    region: str
    credentials: tuple[str, str]
    account_id: str | None = None
    mark_strategy: MarkStrategy = "single"

    @property
    def access(self) -> AwsAccess:
        """What clients of it are made with."""
        return AwsAccess(region=Region(self.region), endpoint_url=self.url, credentials=self.credentials)

    def variables(self) -> dict[str, str]:
        """Give the environment that leads every AWS SDK here and nowhere else."""
        access_key, secret_key = self.credentials
        account = {} if self.account_id is None else {"AWS_ACCOUNT_ID": self.account_id}
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret_key,
            **account,
        }


def misleading_variables(environment: Iterable[str]) -> list[str]:
    """Give the names in an environment that would lead past what :meth:`Endpoint.variables` says.

    >>> misleading_variables(["HOME", "AWS_PROFILE", "AWS_REGION", "AWS_ENDPOINT_URL_SNS"])
    ['AWS_PROFILE', 'AWS_ENDPOINT_URL_SNS']
    """
    return [name for name in environment if name in _MISLEADING or name.startswith("AWS_ENDPOINT_URL_")]


@contextmanager
def open_endpoint(kind: str) -> Iterator[Endpoint]:
    """Start ``embedded`` or ``moto`` for the length of the block, or name the server at a URL.

    Raises:
        ConfigurationError: ``kind`` is none of them, the URL is one of AWS, nothing answers there, or Moto is
            not installed.
        EmbeddedStackError: the embedded stack is not installed or does not start.
    """
    if kind == "embedded":
        with open_embedded_stack() as stack:
            keys = (stack.access_key_id, stack.secret_access_key)
            yield Endpoint(stack.endpoint_url, stack.region, keys, stack.account_id, "batch")
    elif kind == "moto":
        with _open_moto() as url:
            yield Endpoint(url, _REGION, ("test", "test"), _MOTO_ACCOUNT)
    else:
        yield Endpoint(_checked(kind), _REGION, ("test", "test"))


def _checked(url: str) -> str:
    """Refuse what is no URL, and AWS itself: tests make and delete tables of fixed names."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            "outbox_stack", f"{url!r} is none of embedded, moto, memory, or the URL of a local server"
        )
    if f".{parts.hostname.rstrip('.')}".endswith(_AWS_HOSTS):
        raise ConfigurationError(
            "outbox_stack", f"{parts.hostname} is AWS itself; tests need a server of their own"
        )
    try:
        place = (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
        socket.create_connection(place, timeout=_ANSWER_SECONDS).close()
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            "outbox_stack", f"nothing answers at {url} ({error}); start it first"
        ) from error
    return url


@contextmanager
def _open_moto() -> Iterator[str]:
    if importlib.util.find_spec("moto") is None:
        raise ConfigurationError(
            "outbox_stack", 'Moto is not installed. Run: pip install "dynamodb-outbox-sdk[testing]"'
        )
    try:
        with open_loopback_server(
            _plan_moto, name="Moto", health_path="/moto-api/", startup_timeout_seconds=60.0
        ) as port:
            yield f"http://{HOST}:{port}"
    except ServerStartError as error:
        raise ConfigurationError("outbox_stack", str(error)) from error


def _plan_moto(port: int, scratch_directory: Path) -> LaunchPlan:
    environment: Mapping[str, str] = basic_environment(scratch_directory)
    return LaunchPlan((sys.executable, "-m", "outbox_sdk._local_server.moto_main", str(port)), environment)

"""Runs MiniStack, a local stand-in for DynamoDB, SNS, SQS and STS, for the length of a ``with`` block."""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from outbox_sdk._local_server.loopback import (
    HOST,
    LaunchPlan,
    ServerStartError,
    basic_environment,
    open_loopback_server,
)
from outbox_sdk.core.errors import OutboxError

__all__ = ["EmbeddedStack", "EmbeddedStackError", "open_embedded_stack"]

_REGION = "us-east-1"
_ACCOUNT_ID = "000000000000"
# Any pair is accepted. It must not be twelve digits: MiniStack takes such a key for an account id.
_ACCESS_KEY_ID = "local"
_SECRET_ACCESS_KEY = "local"  # noqa: S105 - a dummy that opens nothing


class EmbeddedStackError(OutboxError):
    """The embedded stack is not installed or did not start; the message says what to do."""


@dataclass(frozen=True, slots=True)
class EmbeddedStack:
    """Where a running embedded stack is and what to sign requests with.

    The credentials are dummies that open nothing but this stack. Everything stored lives in memory, per
    account and region, and is gone when the stack stops.
    """

    endpoint_url: str
    region: str
    account_id: str
    access_key_id: str
    secret_access_key: str = field(repr=False)

    @property
    def runtime(self) -> str:
        """The runtime that functions run on here, whatever theirs is called: this very interpreter.

        Deploy with it, or the compiled parts of a package will not fit.
        """
        return f"python{sys.version_info.major}.{sys.version_info.minor}"

    def variables(self) -> dict[str, str]:
        """Give the variables that lead every AWS SDK, and the ``outbox`` command, to this stack."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCOUNT_ID": self.account_id,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "OUTBOX_RUNTIME": self.runtime,
        }


@contextmanager
def open_embedded_stack(*, startup_timeout_seconds: float = 30.0) -> Iterator[EmbeddedStack]:
    """Start an empty stack on a free port of 127.0.0.1 and stop it at the end of the block.

    Several may run side by side. The stack stops by itself when this process ends in any way, and is not
    reached by Ctrl-C in the terminal, so clean-up code can still use it. It sees none of this process's AWS
    settings and never talks to Docker. It does not check permissions, and every user of this machine can
    reach it: keep real data out of it. Blocks until the stack answers, usually under a second.

    Raises EmbeddedStackError when MiniStack is not installed, ends while starting, or does not answer within
    ``startup_timeout_seconds``.
    """
    if importlib.util.find_spec("ministack") is None:
        raise EmbeddedStackError(
            'The embedded stack is not installed. Run: pip install "dynamodb-outbox-sdk[local]"'
        )
    server = open_loopback_server(
        _plan,
        name="The embedded stack (MiniStack)",
        health_path="/_ministack/health",
        startup_timeout_seconds=startup_timeout_seconds,
    )
    with ExitStack() as stack:
        try:
            port = stack.enter_context(server)
        except ServerStartError as error:
            raise EmbeddedStackError(str(error)) from error
        yield EmbeddedStack(
            endpoint_url=f"http://{HOST}:{port}",
            region=_REGION,
            account_id=_ACCOUNT_ID,
            access_key_id=_ACCESS_KEY_ID,
            secret_access_key=_SECRET_ACCESS_KEY,
        )


def _plan(port: int, scratch_directory: Path) -> LaunchPlan:
    environment = basic_environment(scratch_directory) | {
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        # Queue URLs carry this name; "localhost" may resolve to an address nobody listens on.
        "MINISTACK_HOST": HOST,
        "MINISTACK_ACCOUNT_ID": _ACCOUNT_ID,
        "MINISTACK_REGION": _REGION,
        # The MQTT and SFTP listeners bind all interfaces, whatever BIND_HOST says.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        # No such socket: at its start MiniStack removes containers that others have left behind.
        "DOCKER_HOST": f"unix://{scratch_directory / 'no-docker.sock'}",
        "PERSIST_STATE": "0",
        "STATE_DIR": str(scratch_directory / "state"),
        "S3_DATA_DIR": str(scratch_directory / "s3"),
        "LOG_LEVEL": "WARNING",
        # Functions run by the stack must not find credentials of the machine either.
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return LaunchPlan((sys.executable, "-m", "ministack"), environment)

"""AWS: who asks, where it is, requests signed and sent, and their errors translated in one place.

The one module that imports aiobotocore and botocore.
"""

import errno
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from traceback import extract_tb
from typing import Any, NamedTuple

from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioCredentials
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.handlers import add_recursion_detection_header
from botocore.utils import get_environ_proxies

from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import AccountId, Partition, Region

__all__ = [
    "AwsAccess",
    "AwsError",
    "AwsFault",
    "AwsService",
    "AwsServices",
    "client_config",
    "fetch_identity",
    "find_region",
    "is_aws_error",
    "open_client",
    "open_services",
    "partition_of",
    "patient_config",
    "translate_error",
]

_log = logging.getLogger("outbox_sdk")

_USER_AGENT = "dynamodb-outbox-sdk"
_NO_PROFILE: Any = {"profile": (None, None, None, None)}
_RESETS = (errno.ECONNABORTED, errno.ECONNRESET, errno.EPIPE, errno.ESHUTDOWN)
_CONNECT_TIMEOUT_SECONDS = 2
_READ_TIMEOUT_SECONDS = 5
"""Far below botocore's minute: one hung socket must not eat an invocation."""


class AwsError(Exception):
    """A call that AWS refused. ``text`` may quote a message: never log it."""

    def __init__(self, code: str, status: int, text: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.text = text


class AwsFault(NamedTuple):
    """A failed call. ``status`` is 0 without a response; ``text`` may quote a message: never log it."""

    code: str
    status: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsAccess:
    """Where AWS is and who asks.

    Without ``credentials`` (access key id and secret) botocore finds them as it always does, from
    ``profile`` if one is given. With them, nothing else of the environment is used, no profile and no
    proxy: they are for local stacks.
    """

    region: Region | str
    endpoint_url: str | None = None
    profile: str | None = None
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    max_concurrency: int = 32


def client_config(access: AwsAccess) -> AioConfig:
    """Configure a client for the relay. Retries are the relay's own, whatever botocore's defaults become."""
    config = AioConfig(
        connect_timeout=_CONNECT_TIMEOUT_SECONDS,
        read_timeout=_READ_TIMEOUT_SECONDS,
        max_pool_connections=access.max_concurrency,
        retries={"mode": "standard", "total_max_attempts": 1},
        user_agent_extra=_USER_AGENT,
    )
    return config if access.credentials is None else config.merge(AioConfig(proxies={}))


def patient_config() -> AioConfig:
    """Give what a program changes that is no relay: botocore's retries, and time for a long poll."""
    return AioConfig(read_timeout=30, retries={"mode": "standard", "total_max_attempts": 5})


@asynccontextmanager
async def open_client(
    service: str, access: AwsAccess, *, config: AioConfig | None = None
) -> AsyncIterator[Any]:
    """Open one client, with the relay's configuration and what ``config`` changes of it."""
    session: Any = _session_of(access)  # the typed one takes the names of services as literals only
    access_key, secret_key = access.credentials or (None, None)
    settings = client_config(access)
    async with session.create_client(
        service,
        region_name=access.region,
        endpoint_url=access.endpoint_url,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=settings if config is None else settings.merge(config),
    ) as client:
        yield client


def find_region(profile: str | None) -> Region | None:
    """Give the Region that AWS's own configuration names, in the environment or in a profile.

    Raises:
        ConfigurationError: there is no such profile.
    """
    region = _session(profile).get_config_variable("region")
    return None if not region else Region(region)


def _session(profile: str | None) -> AioSession:
    session = AioSession(profile=profile)
    if session.profile is not None and session.profile not in session.available_profiles:
        raise ConfigurationError("AWS_PROFILE", f"there is no profile {session.profile!r}")
    return session


class AwsService:
    """One service at its endpoint. Requests are signed by botocore, and sent by aiobotocore.

    What a client adds to that is left out: it looks up each argument and each element of an answer in the
    service's model, which takes several times as long as sending. Serialising is the core's instead, for the
    few operations that a relay uses.
    """

    def __init__(
        self,
        name: str,
        *,
        endpoint_url: str,
        region: str,
        credentials: Any,
        pool: Any,
        user_agent: str,
    ) -> None:
        self.name: str = name
        self.region: str = region
        self._url = endpoint_url.rstrip("/") + "/"
        self._credentials = credentials
        self._pool = pool
        self._headers = {"User-Agent": user_agent}

    async def post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Send one request, once; give the status and the body of the answer, whatever they say.

        Raises:
            BotoCoreError: there are no credentials, no connection, or no answer in time.
        """
        if self._credentials is None:
            raise NoCredentialsError
        # Refreshed where they are about to expire, and then the same for the whole signature.
        credentials = await self._credentials.get_frozen_credentials()
        request = AWSRequest("POST", self._url, headers={**self._headers, **headers}, data=body)
        # So that Lambda sees a function which, by way of a topic, ends up calling itself.
        add_recursion_detection_header({"headers": request.headers})
        SigV4Auth(credentials, self.name, self.region).add_auth(request)
        response = await self._pool.send(request.prepare())
        return response.status_code, await response.content


class AwsServices(NamedTuple):
    """The services a relay uses, open on the running event loop."""

    sns: AwsService
    dynamodb: AwsService


@asynccontextmanager
async def open_services(access: AwsAccess) -> AsyncIterator[AwsServices]:
    """Open the relay's services on the running event loop, for as long as the context lasts."""
    session = _session_of(access)
    async with AsyncExitStack() as stack:
        pools: dict[frozenset[tuple[str, str]], Any] = {}
        services = []
        for name in ("sns", "dynamodb"):
            endpoint_url = access.endpoint_url or await _resolve_endpoint(session, name, access)
            proxies = get_environ_proxies(endpoint_url) if access.credentials is None else {}
            # One pool for both, and one SSL context: its certificates take longer to load than a batch.
            route = frozenset(proxies.items())
            if route not in pools:
                pools[route] = await stack.enter_async_context(_create_pool(session, access, proxies))
            services.append(
                AwsService(
                    name,
                    endpoint_url=endpoint_url,
                    region=access.region,
                    credentials=await _find_credentials(session, access),
                    pool=pools[route],
                    user_agent=f"{session.user_agent()} {_USER_AGENT}",
                )
            )
        yield AwsServices(*services)


def _create_pool(session: AioSession, access: AwsAccess, proxies: dict[str, str]) -> Any:
    """Make what a client would have: its timeouts, its proxies, its certificates."""
    pool: Any = AIOHTTPSession  # whose types know neither a CA bundle nor two timeouts
    return pool(
        verify=session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE") or True,
        proxies=proxies,
        timeout=(_CONNECT_TIMEOUT_SECONDS, _READ_TIMEOUT_SECONDS),
        max_pool_connections=access.max_concurrency,
    )


async def _resolve_endpoint(session: AioSession, service: Any, access: AwsAccess) -> str:
    """Give the endpoint that a client of the service would have: FIPS, dual stack and partitions included."""
    async with session.create_client(
        service, region_name=access.region, config=client_config(access)
    ) as client:
        return str(client.meta.endpoint_url)


async def _find_credentials(session: AioSession, access: AwsAccess) -> Any:
    if access.credentials is None:
        return await session.get_credentials()
    return AioCredentials(*access.credentials)


def _session_of(access: AwsAccess) -> AioSession:
    # With credentials given, a profile named by the environment must not even be looked for.
    return _session(access.profile) if access.credentials is None else AioSession(session_vars=_NO_PROFILE)


def partition_of(region: Region | str) -> Partition:
    """Give the partition that a Region is in."""
    return Partition(AioSession(session_vars=_NO_PROFILE).get_partition_for_region(region))


async def fetch_identity(access: AwsAccess) -> tuple[Partition, AccountId]:
    """Ask STS for the partition and the account of the credentials in use.

    Raises:
        ConfigurationError: STS did not answer; set ``AWS_ACCOUNT_ID`` to do without it. Or there are no
            credentials.
    """
    async with open_client("sts", access) as sts:
        try:
            identity = await sts.get_caller_identity()
        except Exception as error:
            fault = translate_error(error)
            if fault.code == "NoCredentials":
                raise ConfigurationError(
                    "AWS_ACCESS_KEY_ID", "is not set, and no other credentials were found: name a profile"
                ) from error
            raise ConfigurationError(
                "AWS_ACCOUNT_ID", f"is not set, and asking STS for it failed with {fault.code}"
            ) from error
    return Partition(identity["Arn"].split(":")[1]), AccountId(identity["Account"])


def translate_error(error: Exception) -> AwsFault:
    """Name what a client raised by AWS's own code, or by one of this package's for what happens on the way.

    What nobody foresaw goes by the name of its type, counts as passing, and is logged with its place.
    """
    match error:
        case AwsError():
            return AwsFault(error.code, error.status, error.text)
        case ClientError():
            body = error.response.get("Error", {})
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            return AwsFault(str(body.get("Code", "")), int(status), str(body.get("Message", "")))
        case NoCredentialsError() | PartialCredentialsError() | CredentialRetrievalError():
            code = "NoCredentials"
        case ConnectionClosedError():
            code = "ConnectionClosed"
        case ReadTimeoutError() | ConnectTimeoutError():
            code = "Timeout"
        case EndpointConnectionError() if _was_reset(error.kwargs.get("error")):
            code = "ConnectionClosed"
        case EndpointConnectionError() | ProxyConnectionError() | SSLError():
            code = "ConnectionFailed"
        case ParamValidationError() | UnicodeEncodeError():
            code = "EncodingFault"
        case _:
            # An answer that botocore cannot read, or trouble that it does not name: the outcome is unknown.
            code = type(error).__name__
            frame = extract_tb(error.__traceback__)[-1]
            where = f"{frame.filename}:{frame.lineno}"
            _log.warning("unexpected_error", extra={"error": code, "where": where})
    return AwsFault(code, 0, "")


def is_aws_error(error: Exception) -> bool:
    """Tell what AWS, or botocore on the way to it, has raised from a mistake in code."""
    return isinstance(error, AwsError | BotoCoreError | ClientError)


def _was_reset(cause: object) -> bool:
    """Tell a connection that the other side has given up from one that was never made.

    aiobotocore calls both by one name. The first is what a process meets that was frozen for a while.
    """
    # What aiohttp raises for writing to a connection that is closing has no number, but a cause.
    while isinstance(cause, OSError):
        if isinstance(cause, ConnectionResetError) or cause.errno in _RESETS:
            return True
        cause = cause.__cause__
    return False

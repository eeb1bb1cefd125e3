"""Opens AWS clients that talk to a local server and can never reach AWS by accident."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession

from outbox_sdk.shell.aws import service as aws_service
from outbox_sdk.shell.aws.access import AwsAccess
from tests.support import recorded_calls

__all__ = ["open_client", "open_services"]


@asynccontextmanager
async def open_client(
    service: str,
    endpoint_url: str,
    *,
    region: str = "us-east-1",
    config: AioConfig | None = None,
    credentials: tuple[str, str, str | None] = ("local", "local", None),
) -> AsyncIterator[Any]:
    """Open a client of ``service`` at ``endpoint_url`` with dummy credentials, unless others are given.

    ``credentials`` are an access key, its secret and a session token. MiniStack takes an access key of twelve
    digits for the account that asks.

    Nothing is read from the environment: no profile, no credentials, no proxy. Nothing is retried, so a test
    sees each answer as it came, unless ``config`` says otherwise.
    """
    defaults = AioConfig(
        connect_timeout=5,
        read_timeout=30,
        retries={"total_max_attempts": 1},
        max_pool_connections=50,
        proxies={},
    )
    access_key, secret_key, token = credentials
    async with _session().create_client(
        service,
        endpoint_url=endpoint_url,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        aws_session_token=token,
        config=defaults.merge(config) if config else defaults,
    ) as client:
        yield client


@asynccontextmanager
async def open_services(
    endpoint_url: str, others: Sequence[str] = ()
) -> AsyncIterator[aws_service.AwsServices]:
    """Open what the relay asks AWS by, at ``endpoint_url``. Its calls are the test's, and not judged."""
    access = AwsAccess(region="us-east-1", endpoint_url=endpoint_url, credentials=("local", "local"))
    async with aws_service.open_services(access, others) as services:
        recorded_calls.excuse(services.sns, services.dynamodb, *services.others.values())
        yield services


@cache
def _session() -> Any:
    # One for all: it keeps the service models, which take longer to load than most tests to run.
    # A profile that does not exist on this machine would make the session fail before it is used.
    # Any: the typed session knows service names as literals only.
    return AioSession(session_vars={"profile": (None, None, None, None)})

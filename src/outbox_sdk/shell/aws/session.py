"""What botocore's own session knows: clients, and credentials, endpoints and Regions of any place."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioCredentials
from aiobotocore.session import AioSession

from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import AccountId, Partition, Region
from outbox_sdk.shell.aws.access import (
    CONNECT_TIMEOUT_SECONDS,
    READ_TIMEOUT_SECONDS,
    USER_AGENT,
    AwsAccess,
)
from outbox_sdk.shell.aws.environment import Surroundings
from outbox_sdk.shell.aws.errors import translate_error

__all__ = [
    "client_config",
    "fetch_identity",
    "find_region",
    "find_surroundings",
    "open_client",
    "partition_of",
    "patient_config",
    "storage_config",
]

_NO_PROFILE: Any = {"profile": (None, None, None, None)}


def client_config(access: AwsAccess) -> AioConfig:
    """Configure a client for the relay. Retries are the relay's own, whatever botocore's defaults become."""
    config = AioConfig(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        max_pool_connections=access.max_concurrency,
        retries={"mode": "standard", "total_max_attempts": 1},
        user_agent_extra=USER_AGENT,
    )
    return config if access.credentials is None else config.merge(AioConfig(proxies={}))


def patient_config() -> AioConfig:
    """Give what a program changes that is no relay: botocore's retries, and time for a long poll."""
    return AioConfig(read_timeout=30, retries={"mode": "standard", "total_max_attempts": 5})


def storage_config(access: AwsAccess) -> AioConfig:
    """Give what a client of S3 changes: a local stack has no host for each bucket."""
    style = {} if access.endpoint_url is None else {"addressing_style": "path"}
    return patient_config().merge(AioConfig(s3=style))


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


async def find_surroundings(access: AwsAccess, services: Sequence[str]) -> Surroundings:
    """Find credentials, endpoints and certificates as a client does."""
    session = _session_of(access)
    credentials: Any
    if access.credentials is None:
        credentials = await session.get_credentials()
    else:
        credentials = AioCredentials(*access.credentials)

    async def freeze() -> Any:
        # Refreshed where they are about to expire, and then the same for a whole signature.
        return None if credentials is None else await credentials.get_frozen_credentials()

    return Surroundings(
        credentials=freeze,
        endpoint_urls=tuple(
            [access.endpoint_url or await _resolve_endpoint(session, name, access) for name in services]
        ),
        ca_bundle=session.get_config_variable("ca_bundle"),
    )


async def _resolve_endpoint(session: AioSession, service: Any, access: AwsAccess) -> str:
    """Give the endpoint that a client of the service would have: FIPS, dual stack and partitions included."""
    async with session.create_client(
        service, region_name=access.region, config=client_config(access)
    ) as client:
        return str(client.meta.endpoint_url)


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

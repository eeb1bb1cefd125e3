"""What a Lambda function's environment says by itself: whose credentials, which endpoints.

Botocore's session comes to the same, from the same variables, and takes 80 to 100 ms of CPU to be loaded for
it. So this is for the plain case alone, and gives way to botocore at the first sign of any other.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from outbox_sdk.shell.aws.access import AwsAccess

__all__ = ["Credentials", "GetCredentials", "Surroundings", "read_lambda_environment"]


class Credentials(Protocol):
    """What a signature takes."""

    @property
    def access_key(self) -> str:
        """The id of the key."""
        ...

    @property
    def secret_key(self) -> str:
        """The key."""
        ...

    @property
    def token(self) -> str | None:
        """The session token of temporary credentials."""
        ...


GetCredentials = Callable[[], Awaitable[Credentials | None]]
"""Gives the credentials of this moment, or that there are none."""


class Surroundings(NamedTuple):
    """What has to be known for a request: who asks, where, and by which certificates (``None``: the usual).

    ``endpoint_urls`` are in the order in which services were asked for.
    """

    credentials: GetCredentials
    endpoint_urls: tuple[str, ...]
    ca_bundle: str | None


class _LambdaCredentials(NamedTuple):
    access_key: str
    secret_key: str
    token: str


# What a variable calls a service, where that is not what its endpoint does.
_IN_VARIABLES = {"events": "EVENTBRIDGE"}

# Each of these may change what botocore would find: from a profile, a file, a chain of roles, a setting.
_OTHERWISE = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_DATA_PATH",
    "BOTO_CONFIG",
)
_REQUIRED = (
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)

# A Region of the partition `aws` is called by three words, the first of them one of these: eu-west-1. Others
# have more, or another: us-gov-west-1, cn-north-1.
_CONTINENTS = ("af", "ap", "ca", "eu", "il", "me", "mx", "sa", "us")


def read_lambda_environment(
    access: AwsAccess, environment: Mapping[str, str], services: Sequence[str]
) -> Surroundings | None:
    """Give what the environment says; ``None`` where somebody else has to be asked."""
    if access.credentials is not None or access.profile is not None:
        return None
    plain = all(map(environment.get, _REQUIRED)) and not any(map(environment.get, _OTHERWISE))
    if not plain or _has_files(environment):
        return None
    endpoint_urls = [
        access.endpoint_url
        or environment.get(f"AWS_ENDPOINT_URL_{_IN_VARIABLES.get(name, name.upper())}")
        or environment.get("AWS_ENDPOINT_URL")
        or (f"https://{name}.{access.region}.amazonaws.com" if _is_plain(access.region) else None)
        for name in services
    ]
    if None in endpoint_urls:
        return None
    found = _LambdaCredentials(
        environment["AWS_ACCESS_KEY_ID"],
        environment["AWS_SECRET_ACCESS_KEY"],
        environment["AWS_SESSION_TOKEN"],
    )

    async def credentials() -> Credentials:
        return found

    return Surroundings(
        credentials=credentials,
        endpoint_urls=tuple(filter(None, endpoint_urls)),
        ca_bundle=environment.get("AWS_CA_BUNDLE"),
    )


def _is_plain(region: str) -> bool:
    words = region.split("-")
    return len(words) == 3 and words[0] in _CONTINENTS


def _has_files(environment: Mapping[str, str]) -> bool:
    home = environment.get("HOME")
    return home is not None and any(Path(home, ".aws", name).exists() for name in ("config", "credentials"))

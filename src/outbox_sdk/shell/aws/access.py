"""Where AWS is, who asks, and how long a request may take."""

from dataclasses import dataclass, field

from outbox_sdk.core.identifiers import Region

__all__ = ["CONNECT_TIMEOUT_SECONDS", "READ_TIMEOUT_SECONDS", "USER_AGENT", "AwsAccess"]

USER_AGENT = "dynamodb-outbox-sdk"
CONNECT_TIMEOUT_SECONDS = 2
READ_TIMEOUT_SECONDS = 5
"""Far below botocore's minute: one hung socket must not eat an invocation."""


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

"""What a person does with an outbox beside relaying it: look, send again, clear away."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from outbox_sdk.core.configuration import RelayConfiguration
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import TableName
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell.aws.access import AwsAccess
from outbox_sdk.shell.aws.service import open_services
from outbox_sdk.shell.aws.session import find_region
from outbox_sdk.shell.table_calls import DynamoDbCalls, RetryingCalls

__all__ = ["Admin", "AdminContext", "open_admin"]


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminContext:
    """What every task has to know: the table, its design, how to call it, and what time it is."""

    calls: RetryingCalls
    table_name: TableName
    design: TableDesign
    buckets: int = 16
    now: Callable[[], datetime] = _now


class Admin:
    """An outbox to look at and to look after; made by :func:`open_admin`, and good for one event loop."""

    def __init__(self, context: AdminContext, access: AwsAccess | None = None) -> None:
        self.context = context
        self._access = access


@asynccontextmanager
async def open_admin(
    configuration: RelayConfiguration,
    *,
    profile: str | None = None,
    credentials: tuple[str, str] | None = None,
    design: TableDesign | None = None,
) -> AsyncIterator[Admin]:
    """Open what it takes to look after the table of a configuration, for as long as the context lasts.

    Credentials are found as botocore finds them, from ``profile`` if given; ``credentials`` (access key id
    and secret) are for local stacks. ``design`` stands over the configuration's.

    Raises:
        ConfigurationError: no Region is known, or there is no such profile.
    """
    region = configuration.aws_region or find_region(profile)
    if region is None:
        raise ConfigurationError("AWS_REGION", "is not set; give the Region of the table")
    access = AwsAccess(
        region=region,
        endpoint_url=configuration.aws_endpoint_url,
        profile=profile,
        credentials=credentials,
        max_concurrency=configuration.outbox_max_concurrency,
    )
    async with open_services(access) as services:
        calls = RetryingCalls(
            DynamoDbCalls(services.dynamodb), max_concurrency=configuration.outbox_max_concurrency
        )
        context = AdminContext(
            calls=calls,
            table_name=TableName(configuration.dynamodb_outbox_table_name),
            design=design or configuration.outbox_table_design,
            buckets=configuration.outbox_not_dispatched_buckets,
        )
        yield Admin(context, access)

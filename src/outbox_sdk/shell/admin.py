"""What a person does with an outbox beside relaying it: look, send again, clear away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from outbox_sdk.core.configuration import RelayConfiguration
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import TableName
from outbox_sdk.core.message_view import MessageState, MessageView
from outbox_sdk.core.passing import Passage
from outbox_sdk.core.selection import Selection
from outbox_sdk.core.status import OutboxStatus
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.task_report import TaskReport
from outbox_sdk.shell.aws.access import AwsAccess
from outbox_sdk.shell.aws.service import open_services
from outbox_sdk.shell.aws.session import find_region
from outbox_sdk.shell.table_calls import DynamoDbCalls, RetryingCalls

if TYPE_CHECKING:
    from outbox_sdk.shell.task import Conduct

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
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Admin:
    """An outbox to look at and to look after; made by :func:`open_admin`, and good for one event loop."""

    def __init__(self, context: AdminContext, access: AwsAccess | None = None) -> None:
        self.context = context
        self._access = access

    async def status(self, *, sample: int = 1_000) -> OutboxStatus:
        """See how the outbox stands; see :func:`~outbox_sdk.shell.inspection.read_status`."""
        from outbox_sdk.shell.inspection import read_status

        return await read_status(self.context, sample=sample)

    async def pending(
        self, selection: Selection | None = None, *, payload: bool = False
    ) -> tuple[MessageView, ...]:
        """List outstanding messages; see :func:`~outbox_sdk.shell.inspection.list_messages`."""
        from outbox_sdk.shell.inspection import list_messages

        return await list_messages(self.context, "outstanding", selection, payload=payload)

    async def parked(
        self, selection: Selection | None = None, *, payload: bool = False
    ) -> tuple[MessageView, ...]:
        """List parked messages; see :func:`~outbox_sdk.shell.inspection.list_messages`."""
        from outbox_sdk.shell.inspection import list_messages

        return await list_messages(self.context, "parked", selection, payload=payload)

    async def redrive(
        self, selection: Selection | None = None, conduct: "Conduct | None" = None
    ) -> TaskReport:
        """Send parked messages again; see :func:`~outbox_sdk.shell.redrive.redrive`."""
        from outbox_sdk.shell.redrive import redrive
        from outbox_sdk.shell.task import Conduct

        return await redrive(self.context, selection or Selection(), conduct or Conduct())

    async def replay(
        self,
        selection: Selection | None = None,
        conduct: "Conduct | None" = None,
        *,
        resume: datetime | None = None,
    ) -> TaskReport:
        """Send dispatched messages once more; see :func:`~outbox_sdk.shell.replay.replay`."""
        from outbox_sdk.shell.replay import replay
        from outbox_sdk.shell.task import Conduct

        return await replay(self.context, selection or Selection(), conduct or Conduct(), resume=resume)

    async def purge(
        self,
        selection: Selection | None = None,
        conduct: "Conduct | None" = None,
        *,
        state: MessageState = "dispatched",
        force: bool = False,
    ) -> TaskReport:
        """Delete items for good; see :func:`~outbox_sdk.shell.purge.purge`."""
        from outbox_sdk.shell.purge import purge
        from outbox_sdk.shell.task import Conduct

        return await purge(
            self.context, selection or Selection(), conduct or Conduct(), state=state, force=force
        )

    async def tail(
        self,
        on_passage: Callable[[Passage], None],
        *,
        selection: Selection | None = None,
        payload: bool = False,
        stop: asyncio.Event | None = None,
    ) -> None:
        """Watch messages as they pass; see :func:`~outbox_sdk.shell.tailing.tail`.

        Raises:
            ConfigurationError: this outbox has no stream that could be watched.
        """
        from outbox_sdk.shell.tailing import tail

        if self._access is None:
            raise ConfigurationError("Admin", "an outbox in memory has no stream to watch")
        await tail(self.context, self._access, on_passage, selection=selection, payload=payload, stop=stop)

    async def show(
        self,
        message_id: str,
        *,
        aggregate_id: str | None = None,
        scan: bool = False,
        payload: bool = False,
        on_scanned: Callable[[int], None] | None = None,
    ) -> tuple[MessageView, ...]:
        """Find a message in whatever state; see :func:`~outbox_sdk.shell.inspection.find_messages`."""
        from outbox_sdk.shell.inspection import find_messages

        return await find_messages(
            self.context,
            message_id,
            aggregate_id=aggregate_id,
            scan=scan,
            payload=payload,
            on_scanned=on_scanned,
        )


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

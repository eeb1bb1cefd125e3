"""How large the backlog is: every bucket of the index counted, and the parked items.

:func:`~outbox_sdk.shell.inspection.read_status` says more. The package of the functions carries what it
takes to count, and nothing of what people look at an outbox with.
"""

import asyncio
from datetime import UTC, datetime
from functools import partial

from outbox_sdk.core.backlog import BUCKETS, BucketPage
from outbox_sdk.core.lookup import Unreadable
from outbox_sdk.core.metrics import BacklogSize
from outbox_sdk.core.retry import plan_deadline
from outbox_sdk.core.table import PARKED
from outbox_sdk.core.text import parse_instant
from outbox_sdk.shell.context import RelayContext
from outbox_sdk.shell.listing import Calls
from outbox_sdk.shell.ports import Backlog

__all__ = ["read_backlog_size"]

_PAGE_SIZE = 10_000
"""More than DynamoDB gives at a time."""

_Count = tuple[int, datetime | None]


async def read_backlog_size(
    context: RelayContext, backlog: Backlog, *, remaining_seconds: float | None = None
) -> BacklogSize | Unreadable:
    """Count what the index holds; the first code that stood in the way where not all of it could be read."""
    deadline = plan_deadline(asyncio.get_running_loop().time(), remaining_seconds)
    calls = Calls(context, deadline)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_count(bucket, backlog, calls, deadline.stop)) for bucket in (*BUCKETS, PARKED)
        ]
    counts: list[_Count] = []
    for task in tasks:
        counted = task.result()
        if isinstance(counted, Unreadable):
            return counted
        counts.append(counted)
    *outstanding, (parked, _) = counts
    created = [oldest for _, oldest in outstanding if oldest is not None]
    now = datetime.fromtimestamp(context.now(), UTC)
    return BacklogSize(
        outstanding=sum(total for total, _ in outstanding),
        parked=parked,
        oldest_age_seconds=max(0.0, (now - min(created)).total_seconds()) if created else None,
    )


async def _count(bucket: str, backlog: Backlog, calls: Calls, stop: float) -> _Count | Unreadable:
    """Count a bucket; give the time of its oldest item too, as an instant, for text need not be in order."""
    total, cursor, oldest = 0, None, None
    while True:
        read = partial(backlog.list_bucket, bucket, cursor=cursor, limit=_PAGE_SIZE)
        late: BucketPage | Unreadable = Unreadable("Deadline")
        page = await calls.make(read, late=late, cut=stop)
        if isinstance(page, Unreadable):
            return page
        total += len(page.sightings)
        times = [time for each in page.sightings if (time := parse_instant(each.created_at))]
        oldest = min([*times, oldest] if oldest else times, default=None)
        cursor = page.cursor
        if cursor is None:
            return total, oldest

"""A redrive: parked messages become outstanding again, and the relay publishes them."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from outbox_sdk.core.redrive import plan_redrive, redrive_request
from outbox_sdk.core.seen_item import SeenItem
from outbox_sdk.core.selection import Selection
from outbox_sdk.core.table import PARKED
from outbox_sdk.core.task_report import TaskReport
from outbox_sdk.core.text import format_instant
from outbox_sdk.shell.admin import AdminContext
from outbox_sdk.shell.listed import read_listed
from outbox_sdk.shell.task import Conduct, TaskRun

__all__ = ["redrive"]


async def redrive(context: AdminContext, selection: Selection, conduct: Conduct) -> TaskReport:
    """Make parked messages outstanding again, an aggregate's one after the other in their order.

    ``since`` and ``until`` are about ``CreatedAt``, as in a list of parked messages. ``limit`` takes the
    oldest. Each write holds only if the item still is as it was read: so several may redrive at once and each
    message is sent again once, and after an interruption the same call does the rest.

    Not promised: that a message finds its topic this time; the relay parks it again if not. That it comes
    before what its aggregate has sent in the meantime. That one is seen that was parked a moment ago.

    Raises:
        TableCallError: the index or an item cannot be read, or no write can succeed.
    """
    began_at = conduct.began_at or context.now()
    run = TaskRun("redrive", context, conduct, began_at=began_at, wanted=selection.message_ids)
    listed = await read_listed(context, selection, (PARKED,), conduct)
    if run.stopped:
        return run.report()
    for seen in listed:
        run.meet(seen)
    run.end_reading()
    groups = plan_redrive(listed, limit=selection.limit)
    for group in groups:
        for seen in group:
            run.mean(seen)
    run.tell()

    def request(seen: SeenItem) -> tuple[str, Mapping[str, Any]]:
        return "UpdateItem", redrive_request(
            seen,
            context.design,
            context.table_name,
            buckets=context.buckets,
            now=format_instant(context.now()),
        )

    if not conduct.dry_run:
        await run.write(_each(groups), request)
    return run.report()


async def _each(groups: Sequence[Sequence[SeenItem]]) -> AsyncGenerator[Sequence[SeenItem], None]:
    for group in groups:
        yield group

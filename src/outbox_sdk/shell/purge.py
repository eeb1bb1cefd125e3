"""A purge: items are deleted for good, the dispatched ones unless told otherwise."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from outbox_sdk.core.backlog import BUCKETS
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.message_view import MessageState
from outbox_sdk.core.purge import check_purge, plan_purge, purge_request
from outbox_sdk.core.seen_item import SeenItem
from outbox_sdk.core.selection import Selection
from outbox_sdk.core.table import PARKED
from outbox_sdk.core.task_report import TaskReport
from outbox_sdk.shell.admin import AdminContext
from outbox_sdk.shell.dispatched import read_dispatched
from outbox_sdk.shell.listed import read_listed
from outbox_sdk.shell.task import Conduct, TaskRun

__all__ = ["purge"]


async def purge(
    context: AdminContext,
    selection: Selection,
    conduct: Conduct,
    *,
    state: MessageState = "dispatched",
    force: bool = False,
) -> TaskReport:
    """Delete items in one state, as long as each is as it was read.

    ``since`` and ``until`` are about ``LastDispatchedAt`` of dispatched messages, which the whole table is
    read for, and else about ``CreatedAt``. What is dispatched from ``began_at`` of the report on is left out.
    ``limit`` takes the oldest of what is parked or outstanding, and any of what is dispatched. Nobody
    publishes what was outstanding and is deleted: that is refused unless it is forced.

    Not promised: that a claimed body goes as well: the sweep of claims takes it later.

    Raises:
        ConfigurationError: ``state`` is ``outstanding`` and not forced; or there are ``reasons``, and it is
            not ``parked``.
        TableCallError: the table cannot be read, or no write can succeed.
    """
    check_purge(state, force=force)
    if selection.reasons and state != "parked":
        raise ConfigurationError("reasons", "are of parked messages")
    began_at = conduct.began_at or context.now()
    run = TaskRun("purge", context, conduct, began_at=began_at, wanted=selection.message_ids)

    async def each() -> AsyncGenerator[Sequence[SeenItem], None]:
        left = selection.limit
        async with aclosing(_read(context, selection, state, run)) as pages:
            async for together in pages:
                meant = plan_purge(together, state=state, began_at=began_at)
                for seen in meant:
                    run.meet(seen)
                for seen in meant[:left]:
                    if run.stopped:
                        return
                    run.mean(seen)
                    if not conduct.dry_run:
                        yield [seen]
                left = None if left is None else max(0, left - len(meant))
                if left == 0:
                    return
        run.end_reading()

    def request(seen: SeenItem) -> tuple[str, Mapping[str, Any]]:
        return "DeleteItem", purge_request(seen, context.design, context.table_name)

    await run.write(each(), request)
    return run.report()


async def _read(
    context: AdminContext, selection: Selection, state: MessageState, run: TaskRun
) -> AsyncGenerator[Sequence[SeenItem], None]:
    if state == "dispatched":
        async with aclosing(read_dispatched(context, selection, on_page=lambda _: run.tell())) as pages:
            async for together in pages:
                yield together
        return
    markers = (PARKED,) if state == "parked" else BUCKETS
    yield await read_listed(context, selection, markers, run.conduct)

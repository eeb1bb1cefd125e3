"""A purge: items are deleted for good, the dispatched ones unless told otherwise."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from outbox_sdk.core.backlog import BUCKETS
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.message_view import MessageState
from outbox_sdk.core.purge import check_purge, purge_request
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
    read for, and else about ``CreatedAt``. Nobody publishes what was outstanding and is deleted: that is
    refused unless it is forced.

    Not promised: that a claimed body goes as well: the sweep of claims takes it later.

    Raises:
        ConfigurationError: ``state`` is ``outstanding`` and not forced; or there are ``reasons``, and it is
            not ``parked``.
        TableCallError: the table cannot be read, or no write can succeed.
    """
    check_purge(state, force=force)
    if selection.reasons and state != "parked":
        raise ConfigurationError("reasons", "are of parked messages")
    run = TaskRun("purge", context, conduct, began_at=context.now())
    found: set[str | None] = set()

    async def each() -> AsyncGenerator[Sequence[SeenItem], None]:
        left = selection.limit
        async with aclosing(_read(context, selection, state, run)) as pages:
            async for together in pages:
                for seen in together:
                    if run.stopped or left == 0:
                        return
                    if seen.state != state:
                        continue
                    left = None if left is None else left - 1
                    found.add(seen.message_id)
                    run.mean(seen)
                    if not conduct.dry_run:
                        yield [seen]

    def request(seen: SeenItem) -> tuple[str, Mapping[str, Any]]:
        return "DeleteItem", purge_request(seen, context.design, context.table_name)

    await run.write(each(), request)
    if not run.stopped:
        run.not_found = tuple(name for name in dict.fromkeys(selection.message_ids) if name not in found)
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
    yield await read_listed(context, selection, markers)

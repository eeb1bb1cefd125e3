"""A replay: dispatched messages become outstanding once more, and the relay publishes them again."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any

from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.replay import plan_replay, refuse_replay, replay_request
from outbox_sdk.core.seen_item import SeenItem
from outbox_sdk.core.selection import Selection
from outbox_sdk.core.task_report import TaskReport
from outbox_sdk.core.text import format_instant
from outbox_sdk.shell.admin import AdminContext
from outbox_sdk.shell.dispatched import read_dispatched
from outbox_sdk.shell.task import Conduct, TaskRun

__all__ = ["replay"]


async def replay(
    context: AdminContext, selection: Selection, conduct: Conduct, *, resume: datetime | None = None
) -> TaskReport:
    """Send dispatched messages once more, an aggregate's one after the other in their order.

    Each keeps its message id, and gets a FIFO deduplication id of its own and the attribute ``replayed``: the
    instant at which the replay began, ``began_at`` of the report. ``since`` and ``until`` are about
    ``LastDispatchedAt``. What is dispatched from ``began_at`` on is left out, and so is, with ``resume``,
    what the replay has sent that began then: so one that was interrupted is taken up again, and nothing is
    sent twice. A message whose attributes are ten already is refused: it has no room for another.

    The whole table is read, unless ``aggregate_ids`` name what to query in a table keyed by aggregate.

    Not promised: order towards what the aggregate sends meanwhile, nor between aggregates. That there is
    anything to replay: the time to live, or the mark strategy ``delete``, may have taken it.

    Raises:
        ConfigurationError: ``reasons`` are given, which dispatched messages have none of.
        TableCallError: the table cannot be read, or no write can succeed.
    """
    if selection.reasons:
        raise ConfigurationError("reasons", "are of parked messages: redrive those")
    began_at = resume or conduct.began_at or context.now()
    # What an earlier part has sent is not dispatched any more, and not missing either.
    wanted = selection.message_ids if resume is None else ()
    run = TaskRun("replay", context, conduct, began_at=began_at, wanted=wanted)
    mark = format_instant(began_at)

    async def each() -> AsyncGenerator[Sequence[SeenItem], None]:
        left = selection.limit
        async with aclosing(read_dispatched(context, selection, on_page=lambda _: run.tell())) as pages:
            async for together in pages:
                if run.stopped:
                    return
                for group in plan_replay(together, began_at=began_at):
                    meant: list[SeenItem] = []
                    for seen in group:
                        run.meet(seen)
                        if reason := refuse_replay(seen):
                            run.refuse(seen, reason)
                        elif left is None or len(meant) < left:
                            run.mean(seen)
                            meant.append(seen)
                    left = None if left is None else left - len(meant)
                    if meant and not conduct.dry_run:
                        yield meant
                    if left == 0:
                        return
        run.end_reading()

    def request(seen: SeenItem) -> tuple[str, Mapping[str, Any]]:
        return "UpdateItem", replay_request(
            seen,
            context.design,
            context.table_name,
            buckets=context.buckets,
            began_at=mark,
            now=format_instant(context.now()),
        )

    await run.write(each(), request)
    return run.report()

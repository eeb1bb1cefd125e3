"""Reading what is dispatched, which no index holds: by aggregate, or the whole table in segments."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

from outbox_sdk.core.identifiers import AggregateId, Item, ItemKey
from outbox_sdk.core.replay import list_aggregate_request, list_dispatched_request
from outbox_sdk.core.seen_item import SeenItem, decode_seen
from outbox_sdk.core.selection import Selection, matches
from outbox_sdk.shell.admin import AdminContext
from outbox_sdk.shell.table_reading import TableReading, side_by_side

__all__ = ["read_dispatched"]

_SEGMENTS = 8
_PAGE_SIZE = 1_000
_WAITING = 256


async def read_dispatched(
    context: AdminContext, selection: Selection, *, on_page: Callable[[int], None]
) -> AsyncGenerator[Sequence[SeenItem], None]:
    """Give what is dispatched and meant, all of an aggregate together.

    ``since`` and ``until`` are about the last dispatch. With ``aggregate_ids`` and a table keyed by aggregate
    these are queried. Else the whole table is scanned, in segments side by side; ``on_page`` is told how many
    items were read.

    Raises:
        TableCallError: the table cannot be read.
    """
    reading = TableReading(context)
    waiting: asyncio.Queue[Sequence[SeenItem] | None] = asyncio.Queue(_WAITING)

    async def gather(pages: AsyncIterator[Sequence[Item]]) -> None:
        together: list[SeenItem] = []
        group: AggregateId | ItemKey | None = None
        async for page in pages:
            for item in page:
                seen = decode_seen(item, context.design)
                if seen is None or not matches(
                    selection, item, context.design, time_attribute=context.design.last_dispatched_at
                ):
                    continue
                if seen.group != group and together:
                    await waiting.put(together)
                    together = []
                together.append(seen)
                group = seen.group
        if together:
            await waiting.put(together)

    if selection.aggregate_ids and context.design.keyed_by == "aggregate":
        sources = [
            _pages_of_aggregate(context, reading, name, on_page)
            for name in dict.fromkeys(selection.aggregate_ids)
        ]
    else:
        sources = [_pages_of_segment(context, reading, number, on_page) for number in range(_SEGMENTS)]

    async def read_all() -> None:
        try:
            await side_by_side(gather(pages) for pages in sources)
        finally:
            # Nobody waits for it any more where this is cancelled.
            if not cancelled.is_set():
                await waiting.put(None)

    cancelled = asyncio.Event()
    task = asyncio.create_task(read_all())
    try:
        while (together := await waiting.get()) is not None:
            yield together
        await task  # raises what ended the reading
    finally:
        cancelled.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _pages_of_aggregate(
    context: AdminContext, reading: TableReading, aggregate_id: str, on_page: Callable[[int], None]
) -> AsyncIterator[Sequence[Item]]:
    cursor: Item | None = None
    while True:
        request = list_aggregate_request(aggregate_id, context.design, context.table_name, cursor=cursor)
        answer = await reading.call("Query", request)
        on_page(answer.get("ScannedCount", 0))
        yield answer.get("Items", ())
        cursor = answer.get("LastEvaluatedKey")
        if not cursor:
            return


async def _pages_of_segment(
    context: AdminContext, reading: TableReading, segment: int, on_page: Callable[[int], None]
) -> AsyncIterator[Sequence[Item]]:
    cursor: Item | None = None
    while True:
        request = list_dispatched_request(
            context.design,
            context.table_name,
            segment=segment,
            segments=_SEGMENTS,
            cursor=cursor,
            limit=_PAGE_SIZE,
        )
        answer = await reading.call("Scan", request)
        on_page(answer.get("ScannedCount", 0))
        yield answer.get("Items", ())
        cursor = answer.get("LastEvaluatedKey")
        if not cursor:
            return

"""Looking at an outbox: how it stands, what is in it, and one message. Nothing here writes."""

from collections.abc import Callable, Sequence

from outbox_sdk.core.backlog import Sighting
from outbox_sdk.core.identifiers import Item, ItemKey
from outbox_sdk.core.inspection import is_named_by, key_of_message, scan_for_request
from outbox_sdk.core.message_view import MessageState, MessageView, decode_view, key_of_item
from outbox_sdk.core.selection import Selection, matches
from outbox_sdk.core.status import MARKERS, OutboxStatus, Seen, describe_status, group_of, see
from outbox_sdk.core.sweep import pick_oldest
from outbox_sdk.shell.admin import AdminContext
from outbox_sdk.shell.table_reading import TableReading, side_by_side

__all__ = ["find_messages", "list_messages", "read_status"]

_SEGMENTS = 8
_CHUNK = 100


async def read_status(context: AdminContext, *, sample: int = 1_000) -> OutboxStatus:
    """See how the outbox stands, by its index of outstanding items, and never by a scan.

    Up to ``sample`` of the oldest outstanding items, and as many parked ones, are read for their topics and
    types, which the index does not hold; 0 reads none. The index is eventually consistent: what was written
    a moment ago may be missing, or be there still.

    Raises:
        TableCallError: the index or an item cannot be read.
    """
    design, reading = context.design, TableReading(context)
    seen: dict[MessageState, Seen] = {"outstanding": Seen(), "parked": Seen()}

    async def read(marker: str) -> None:
        group = group_of(marker)
        async for page in reading.pages(marker):
            seen[group] = see(seen[group], page, keep=sample)

    await side_by_side(read(marker) for marker in MARKERS)
    keys = {sighting.key: None for part in seen.values() for sighting in part.oldest[:sample]}
    wanted = {
        *(name for key in keys for name, _, _ in key.parts),
        *(design.not_dispatched, design.topic, design.message_type, design.park_reason),
        *(design.is_dispatched, design.message_id),
    }
    # Half the units of a consistent read, and no staler than the index.
    items = await reading.fetch(list(keys), consistent=False, attributes=wanted)
    units = reading.read_units or None
    return describe_status(context.table_name, seen, items, design, now=context.now(), read_units=units)


async def list_messages(
    context: AdminContext, state: MessageState, selection: Selection | None = None, *, payload: bool = False
) -> tuple[MessageView, ...]:
    """List what is outstanding or parked, the oldest first, as far as it is meant by a selection.

    ``since`` and ``until`` are about ``CreatedAt``. Each item is read consistently, so nothing is listed that
    the index only still shows. Without filters little more is read than ``limit`` asks for, unless nearly all
    of that is settled by now.

    Raises:
        TableCallError: the index or an item cannot be read.
        ValueError: ``state`` is ``dispatched``: no index holds those.
    """
    if state == "dispatched":
        raise ValueError("no index holds dispatched messages")
    selection = selection or Selection()
    reading, limit = TableReading(context), selection.limit
    # What the index shows may be settled by now, so a few more are taken than were asked for.
    take = limit + _CHUNK if limit is not None and selection == Selection(limit=limit) else None
    while True:
        sightings, cut_off = await _list_keys(reading, state, take)
        found = await _read_listed(context, reading, state, selection, sightings, payload=payload)
        if take is None or not cut_off or len(found) >= (limit or 0):
            return found
        take *= 4  # nearly all of it was settled: what is behind it is not in view yet


async def _list_keys(
    reading: TableReading, state: MessageState, take: int | None
) -> tuple[tuple[Sighting, ...], bool]:
    """Give what the index shows, the oldest first, and whether it may have more than so many a marker."""
    sightings: list[Sighting] = []
    cut_off = False

    async def read(marker: str) -> None:
        nonlocal cut_off
        count = 0
        async for page in reading.pages(marker, limit=take):
            sightings.extend(page)
            count += len(page)
        cut_off = cut_off or count == take

    await side_by_side(read(marker) for marker in MARKERS if group_of(marker) == state)
    return pick_oldest(sightings, len(sightings)), cut_off


async def _read_listed(
    context: AdminContext,
    reading: TableReading,
    state: MessageState,
    selection: Selection,
    oldest: Sequence[Sighting],
    *,
    payload: bool,
) -> tuple[MessageView, ...]:
    design, limit = context.design, selection.limit
    found: list[MessageView] = []
    for at in range(0, len(oldest), _CHUNK):
        keys = [sighting.key for sighting in oldest[at : at + _CHUNK]]
        items = {key_of_item(item, design): item for item in await reading.fetch(keys)}
        for key in keys:
            item = items.get(key)
            if item is None or not matches(selection, item, design):
                continue
            view = decode_view(item, design, now=context.now(), payload=payload)
            if view is not None and view.state == state:
                found.append(view)
        if limit is not None and len(found) >= limit:
            return tuple(found[:limit])
    return tuple(found)


async def find_messages(
    context: AdminContext,
    message_id: str,
    *,
    aggregate_id: str | None = None,
    scan: bool = False,
    payload: bool = False,
    on_scanned: Callable[[int], None] | None = None,
) -> tuple[MessageView, ...]:
    """Find a message by its id, in whatever state; several where several aggregates have one of that id.

    Read is the key that the message has, if the design or ``aggregate_id`` tells it; else what is outstanding
    or parked is looked through by the index. A dispatched message of an unknown aggregate, and one that
    another producer has given a key of its own, is found by ``scan`` only, which reads the whole table;
    ``on_scanned`` is told how many items each page of it had.

    Raises:
        TableCallError: the table cannot be read.
    """
    design, reading = context.design, TableReading(context)
    items: list[Item] = []
    key = key_of_message(message_id, aggregate_id, design)
    if key is not None:
        items = await reading.fetch([key])
    if not items and aggregate_id is None:
        keys: dict[ItemKey, None] = {}

        async def look_through(marker: str) -> None:
            async for page in reading.pages(marker):
                keys.update((each.key, None) for each in page if is_named_by(each.key, message_id, design))

        await side_by_side(look_through(marker) for marker in MARKERS)
        items = await reading.fetch(list(keys))
    if not items and scan:
        items = await _scan_for(context, reading, message_id, on_scanned)
    now = context.now()
    views = (decode_view(item, design, now=now, payload=payload) for item in items)
    return tuple(view for view in views if view is not None)


async def _scan_for(
    context: AdminContext,
    reading: TableReading,
    message_id: str,
    on_scanned: Callable[[int], None] | None,
) -> list[Item]:
    found: list[Item] = []

    async def scan(segment: int) -> None:
        cursor: Item | None = None
        while True:
            request = scan_for_request(
                message_id,
                context.design,
                context.table_name,
                segment=segment,
                segments=_SEGMENTS,
                cursor=cursor,
            )
            answer = await reading.call("Scan", request)
            found.extend(answer.get("Items", ()))
            if on_scanned is not None:
                on_scanned(answer.get("ScannedCount", 0))
            cursor = answer.get("LastEvaluatedKey")
            if not cursor:
                return

    await side_by_side(scan(segment) for segment in range(_SEGMENTS))
    return found

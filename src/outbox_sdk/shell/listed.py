"""Reading what is outstanding or parked: from the index, and then consistently from the table."""

from collections.abc import Sequence

from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.core.seen_item import SeenItem, decode_seen, seen_attributes
from outbox_sdk.core.selection import Selection, matches
from outbox_sdk.core.status import group_of
from outbox_sdk.shell.admin import AdminContext
from outbox_sdk.shell.table_reading import TableReading, side_by_side
from outbox_sdk.shell.task import Conduct

__all__ = ["read_listed"]

_CHUNK = 1_000


async def read_listed(
    context: AdminContext, selection: Selection, markers: Sequence[str], conduct: Conduct
) -> Sequence[SeenItem]:
    """Read what is meant of the items under some markers, and still is in the state that these tell.

    Where a dry run has read it, and ``conduct`` has that with it, it is what the dry run has read.

    Raises:
        TableCallError: the index or an item cannot be read.
    """
    shown = conduct.shown
    if shown is None:
        return await _read(context, selection, markers)
    if conduct.dry_run:
        shown.items = tuple(await _read(context, selection, markers))
    return await _read(context, selection, markers) if shown.items is None else shown.items


async def _read(context: AdminContext, selection: Selection, markers: Sequence[str]) -> list[SeenItem]:
    design, reading = context.design, TableReading(context)
    keys: dict[ItemKey, None] = {}
    states = {group_of(marker) for marker in markers}

    async def list_keys(marker: str) -> None:
        async for page in reading.pages(marker):
            keys.update((sighting.key, None) for sighting in page)

    await side_by_side(list_keys(marker) for marker in markers)
    listed, found = list(keys), list[SeenItem]()

    async def fetch(some: Sequence[ItemKey]) -> None:
        for item in await reading.fetch(some, attributes=seen_attributes(design)):
            seen = decode_seen(item, design)
            if seen is not None and seen.state in states and matches(selection, item, design):
                found.append(seen)

    await side_by_side(fetch(listed[at : at + _CHUNK]) for at in range(0, len(listed), _CHUNK))
    return found

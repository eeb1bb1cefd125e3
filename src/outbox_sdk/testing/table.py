"""The double of the outbox table: items, an index of the outstanding ones, and the records of a stream."""

from collections.abc import Mapping, Sequence
from time import time
from typing import Any

import msgspec

from outbox_sdk.core.backlog import (
    BucketPage,
    Fetched,
    FetchResult,
    Sighting,
    Touch,
    Touched,
    TouchResult,
    Untouched,
)
from outbox_sdk.core.identifiers import AccountId, Item, ItemKey, Region
from outbox_sdk.core.items import is_outstanding, redrive_count_of
from outbox_sdk.core.lookup import Found, LookupResult, Missing, Unreadable
from outbox_sdk.core.mark import Mark, Marked, MarkResult, Park
from outbox_sdk.core.routing import Routing
from outbox_sdk.core.table import PARKED, TableDesign

__all__ = ["ROUTING", "InMemoryTable", "stream_record"]

ROUTING = Routing(region=Region("us-east-1"), account_id=AccountId("000000000000"))
"""Where the table and the topics of the doubles are."""


class InMemoryTable:
    """An outbox table that holds items and the records of its stream.

    It is the relay's table, its marker and its backlog. ``deletes`` makes it mark by deleting.
    """

    request_size = 25

    def __init__(self, design: TableDesign = TableDesign.ordered, *, deletes: bool = False) -> None:
        self.design = design
        self.deletes = deletes
        self.items: dict[ItemKey, dict[str, Any]] = {}
        self.records: list[dict[str, Any]] = []

    def key_of(self, item: Mapping[str, Any]) -> ItemKey:
        """Give the key of an item."""
        names = (self.design.partition_key, self.design.sort_key)
        return ItemKey.from_item({name: item[name] for name in names if name is not None})

    def put(self, item: Mapping[str, Any]) -> ItemKey:
        """Write an item, and the record of it into the stream; give its key."""
        key = self.key_of(item)
        self._write(key, dict(item))
        return key

    def write(self, key: ItemKey, item: Mapping[str, Any] | None) -> None:
        """Write or, for ``None``, delete an item, and the record of it into the stream."""
        self._write(key, None if item is None else dict(item))

    async def mark(self, marks: Sequence[Mark]) -> tuple[MarkResult, ...]:
        """Mark items that still carry their marker."""
        return tuple(self._mark(mark) for mark in marks)

    def _mark(self, mark: Mark) -> MarkResult:
        design, item = self.design, self.items.get(mark.key)
        if self.deletes:
            self._write(mark.key, None)
            return Marked()
        if item is None or item.get(design.not_dispatched) != mark.marker:
            return Marked(gone=True)
        if redrive_count_of(item, design) > mark.redrive_count:
            return Marked(gone=True)
        changed = {name: value for name, value in item.items() if name != design.not_dispatched}
        changed[design.is_dispatched] = {"BOOL": True}
        changed[design.last_dispatched_at] = {"S": mark.dispatched_at}
        changed[design.dispatch_count] = {"N": str(mark.dispatch_count)}
        if mark.expires_at is not None:
            changed[design.expires_at] = {"N": str(mark.expires_at)}
        self._write(mark.key, changed)
        return Marked()

    async def lookup(self, keys: Sequence[ItemKey]) -> Mapping[ItemKey, LookupResult]:
        """Read items."""
        return {
            key: Found(is_outstanding(item, self.design), redrive_count_of(item, self.design))
            if (item := self.items.get(key)) is not None
            else Missing()
            for key in keys
        }

    async def park(self, park: Park, *, now: str) -> MarkResult:
        """Set an item aside if it still carries its marker."""
        design, item = self.design, self.items.get(park.key)
        plain = list(park.marker) == ["S"]
        if not is_outstanding(item, design) or item is None:
            return Marked(gone=True)
        if plain and item[design.not_dispatched] != park.marker:
            return Marked(gone=True)
        if redrive_count_of(item, design) > park.redrive_count:
            return Marked(gone=True)
        parked = {
            design.not_dispatched: {"S": PARKED},
            design.parked_at: {"S": now},
            design.park_reason: {"S": park.reason},
        }
        self._write(park.key, {design.created_at: {"S": now}, **item, **parked})
        return Marked()

    async def list_bucket(self, bucket: str, *, cursor: Item | None, limit: int) -> BucketPage | Unreadable:
        """Read a page of what an index on marker and creation time would hold."""
        design = self.design
        names = (design.not_dispatched, design.created_at)
        held = sorted(
            (item[design.created_at]["S"], key.parts)
            for key, item in self.items.items()
            # An item is in the index only if both keys of the index are there, as text.
            if all(list(item.get(name, ())) == ["S"] for name in names)
            and item[design.not_dispatched]["S"] == bucket
        )
        if cursor is not None:
            behind = (cursor[design.created_at]["S"], self.key_of(cursor).parts)
            held = [place for place in held if place > behind]
        page = tuple(Sighting(ItemKey(parts), created_at) for created_at, parts in held[:limit])
        if len(held) < limit:
            return BucketPage(page)
        last = page[-1]
        place = {design.not_dispatched: {"S": bucket}, design.created_at: {"S": last.created_at}}
        return BucketPage(page, {**last.key.to_item(), **place})

    async def fetch(self, keys: Sequence[ItemKey], *, whole: bool) -> Mapping[ItemKey, FetchResult]:
        """Read items, whole or what of them a plan needs."""
        design = self.design
        asked = {design.partition_key, design.sort_key, design.not_dispatched, design.aggregate_id}
        asked |= {design.created_at, design.sequence, design.touched_at}
        return {
            key: Fetched({name: value for name, value in self.items[key].items() if whole or name in asked})
            if key in self.items
            else Missing()
            for key in keys
        }

    async def touch(self, touch: Touch) -> TouchResult:
        """Touch an item that still carries its marker and was not touched lately."""
        design, item = self.design, self.items.get(touch.key)
        if item is None or item.get(design.not_dispatched) != touch.marker:
            return Untouched()
        touched = item.get(design.touched_at)
        if touched is not None and not (list(touched) == ["S"] and touched["S"] < touch.unless_since):
            return Untouched()
        self._write(touch.key, {**item, design.touched_at: {"S": touch.now}})
        return Touched()

    def _write(self, key: ItemKey, item: dict[str, Any] | None) -> None:
        old = self.items.get(key)
        if item == old:
            return  # a write that changes nothing makes no record
        if item is None:
            del self.items[key]
        else:
            self.items[key] = item
        self._emit(key, item, old)

    def _emit(self, key: ItemKey, new: dict[str, Any] | None, old: dict[str, Any] | None) -> None:
        """Write the record of a change into the stream."""
        self.records.append(stream_record(len(self.records), key, new=new, old=old, now=time()))


def stream_record(
    position: int,
    key: ItemKey,
    *,
    new: Mapping[str, Any] | None,
    old: Mapping[str, Any] | None,
    now: float,
    longer_from: int = 3,
) -> dict[str, Any]:
    """Build the record of one change, as Lambda hands it over. ``now`` is in epoch seconds.

    From the position ``longer_from`` on sequence numbers have one digit more. Those of DynamoDB differ in
    length, so whoever compares them as text is found out.
    """
    name = "INSERT" if old is None else "MODIFY" if new is not None else "REMOVE"
    images = {"NewImage": new, "OldImage": old}
    return {
        "eventID": f"{position:032x}",
        "eventName": name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": str(ROUTING.region),
        "dynamodb": {
            "ApproximateCreationDateTime": now,
            "Keys": key.to_item(),
            "SequenceNumber": str(10**21 + (position - longer_from) * 10**17),
            "SizeBytes": len(msgspec.json.encode([new, old])),
            "StreamViewType": "NEW_AND_OLD_IMAGES",
            **{image: value for image, value in images.items() if value is not None},
        },
    }

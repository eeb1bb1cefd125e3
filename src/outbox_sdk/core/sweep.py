"""A sweep decided: which outstanding items to take up again, and in which order."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from outbox_sdk.core.aggregate_order import age_order, in_order, merge_oldest, read_sequence
from outbox_sdk.core.backlog import Fetched, FetchResult, Sighting
from outbox_sdk.core.identifiers import AggregateId, AttributeValue, Item, ItemKey
from outbox_sdk.core.items import decode_item, is_outstanding
from outbox_sdk.core.lanes import MessageRecord, plan_lanes
from outbox_sdk.core.lookup import Missing, Unreadable
from outbox_sdk.core.mark import Park, plan_park
from outbox_sdk.core.message import Poison
from outbox_sdk.core.outcome import Held, Outcome, Settled
from outbox_sdk.core.plan import BatchPlan, Wrapping, refuse_old
from outbox_sdk.core.routing import Refusal
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.text import parse_instant

__all__ = [
    "Aggregate",
    "Outstanding",
    "SweepPlan",
    "decode_outstanding",
    "find_stopped",
    "is_young",
    "pick_oldest",
    "plan_republish",
    "plan_sweep",
]

Aggregate = AggregateId | ItemKey
"""What an item is ordered within: its aggregate, or the item by itself where it names none."""

_NO_TIME = datetime.min.replace(tzinfo=UTC)


class Outstanding(msgspec.Struct, frozen=True, kw_only=True):
    """An outstanding item, as far as a sweep has to know it.

    ``created`` and ``sequence`` are ``None`` where the item has none that can be read.
    """

    key: ItemKey
    marker: AttributeValue
    aggregate: Aggregate
    created: datetime | None = None
    sequence: int | None = None
    touched_at: str | None = None


class SweepPlan(msgspec.Struct, frozen=True):
    """What to take up, the oldest first; the items of one aggregate in their order.

    ``skipped`` counts what was left out, by reason: ``young``, ``touched`` (too short a while ago) or
    ``behind`` (a younger item of its aggregate that must not be overtaken).
    """

    items: tuple[Outstanding, ...]
    skipped: Mapping[str, int] = {}

    @property
    def aggregates(self) -> tuple[tuple[Outstanding, ...], ...]:
        """The items by aggregate; the aggregate with the oldest item first."""
        gathered: dict[Aggregate, list[Outstanding]] = {}
        for item in self.items:
            gathered.setdefault(item.aggregate, []).append(item)
        return tuple(sorted(map(tuple, gathered.values()), key=lambda items: min(map(age_order, items))))


def decode_outstanding(item: Item, key: ItemKey, design: TableDesign) -> Outstanding | None:
    """Read an item; ``None`` where it is not outstanding any more. Never raises for what it holds."""
    if not is_outstanding(item, design):
        return None
    aggregate_id = _content(item, design.aggregate_id, "S")
    created_at = _content(item, design.created_at, "S")
    return Outstanding(
        key=key,
        marker=item[design.not_dispatched],
        aggregate=AggregateId(aggregate_id) if aggregate_id else key,
        created=None if created_at is None else parse_instant(created_at),
        sequence=read_sequence(_content(item, design.sequence, "N")),
        touched_at=_content(item, design.touched_at, "S"),
    )


def _content(item: Item, name: str, kind: str) -> str | None:
    value = item.get(name)
    content = value.get(kind) if isinstance(value, Mapping) else None
    return content if isinstance(content, str) else None


def is_young(created: datetime | None, cutoff: datetime) -> bool:
    """Tell whether an item is younger than the cutoff. Without a time that can be read it counts as old."""
    return created is not None and created > cutoff


def pick_oldest(sightings: Iterable[Sighting], limit: int) -> tuple[Sighting, ...]:
    """Pick the oldest of what the index shows, by time and not by text; each item once.

    What has no time that can be read comes last.
    """

    def order(sighting: Sighting) -> tuple[object, ...]:
        created = parse_instant(sighting.created_at)
        return (created is None, created or _NO_TIME, sighting.created_at, sighting.key.parts)

    # The index may show an item twice, for instance while it moves from one bucket to another.
    picked: dict[ItemKey, Sighting] = {}
    for sighting in sightings:
        picked.setdefault(sighting.key, sighting)
    return tuple(heapq.nsmallest(limit, picked.values(), key=order))


def plan_sweep(
    items: Iterable[Outstanding], *, cutoff: datetime, limit: int, unless_touched_since: str | None
) -> SweepPlan:
    """Choose and order at most ``limit`` items, the oldest first and each aggregate from its first one on.

    An aggregate goes by ``Sequence`` if all of it has one, else by the instants of ``CreatedAt``. Items that
    were touched at ``unless_touched_since`` (fixed-width UTC) or later are left out; those behind them are
    not, for they come behind them in the stream as well, unless Lambda has given the first touch up.

    ``None`` plans for publishing: nobody's touch counts, and an aggregate ends before its first young item,
    for nothing may overtake that.
    """
    skipped: dict[str, int] = {}
    aggregates: dict[Aggregate, list[Outstanding]] = {}
    for item in items:
        aggregates.setdefault(item.aggregate, []).append(item)
    chosen = []
    for aggregate in aggregates.values():
        part: list[Outstanding] = []
        overtaken = False
        for item in in_order(aggregate):
            reason = _reason_to_skip(item, cutoff, unless_touched_since) or ("behind" if overtaken else None)
            if reason is None:
                part.append(item)
                continue
            skipped[reason] = skipped.get(reason, 0) + 1
            overtaken = overtaken or unless_touched_since is None
        chosen.append(part)
    merged = merge_oldest(chosen)
    return SweepPlan(tuple(item for item, _ in zip(merged, range(limit), strict=False)), skipped)


def find_stopped(
    items: Iterable[Outstanding], unread: Iterable[ItemKey], design: TableDesign
) -> set[Aggregate]:
    """Give the aggregates that an item may be of which could not be read, as far as its key tells.

    Under the ``ordered`` design the partition key does; under ``message_keyed`` there is no order to keep.
    """
    partitions = {_partition_of(key, design) for key in unread}
    return {item.aggregate for item in items if _partition_of(item.key, design) in partitions}


def _partition_of(key: ItemKey, design: TableDesign) -> str | None:
    return next((value for name, _, value in key.parts if name == design.partition_key), None)


def _reason_to_skip(item: Outstanding, cutoff: datetime, unless_touched_since: str | None) -> str | None:
    if is_young(item.created, cutoff):
        return "young"
    if unless_touched_since is None or item.touched_at is None or item.touched_at < unless_touched_since:
        return None
    return "touched"


def plan_republish(
    items: Sequence[Outstanding],
    fetched: Mapping[ItemKey, FetchResult],
    *,
    blocked: Mapping[Aggregate, str],
    design: TableDesign,
    wrapping: Wrapping,
    now: float = 0.0,
    park_older_than: float | None = None,
) -> BatchPlan:
    """Decide what to do with items read whole, in their order; the same plan as for a batch of the stream.

    At ``now``, in epoch seconds, a message created ``park_older_than`` seconds ago and never redriven is
    parked.

    ``blocked`` names the aggregates that are held by what came before, with the code. An item that could
    not be read holds the rest of its aggregate: whatever it is, nothing may overtake it.
    """
    stopped = dict(blocked)
    parks: list[Park] = []
    ready: list[MessageRecord] = []
    decided: dict[ItemKey, Outcome] = {}
    for position, item in enumerate(items):
        key = item.key
        if item.aggregate in stopped:
            decided[key] = Held(stopped[item.aggregate], behind=True)
            continue
        match fetched[key]:
            case Unreadable(code):
                stopped[item.aggregate] = code
                decided[key] = Held(code)
            case Missing():
                decided[key] = Settled("deleted")
            case Fetched(content) if not is_outstanding(content, design):
                decided[key] = Settled("dispatched")
            case Fetched(content):
                message = decode_item(content, key, design)
                if isinstance(message, Poison):
                    parks.append(plan_park(message, message.reason))
                    continue
                entry = refuse_old(message, now, park_older_than) or wrapping.encode(message)
                if isinstance(entry, Refusal):
                    parks.append(plan_park(message, entry.reason))
                    continue
                creation = None if item.created is None else item.created.timestamp()
                ready.append(
                    MessageRecord(entry=entry, position=position, sequence_number=None, creation=creation)
                )
    return BatchPlan(lanes=plan_lanes(ready), marks=(), parks=tuple(parks), decided=decided)

"""A batch decided: which messages to publish in which order, which only to mark, which to park."""

from collections.abc import Callable, Iterable, Mapping
from operator import gt, itemgetter

import msgspec

from outbox_sdk.core.entry import Entry, TopicLimits, encode_entry
from outbox_sdk.core.envelope import EnvelopeKind
from outbox_sdk.core.identifiers import ItemKey, SequenceNumber
from outbox_sdk.core.lanes import Lane, MessageRecord, hold_unreadable, plan_lanes
from outbox_sdk.core.lookup import Found, LookupResult, Missing, Unreadable
from outbox_sdk.core.mark import Park, plan_park
from outbox_sdk.core.message import OutboxMessage, Poison, Skipped
from outbox_sdk.core.outcome import Held, Outcome, Settled
from outbox_sdk.core.routing import Refusal, Routing
from outbox_sdk.core.stream import Record
from outbox_sdk.core.text import parse_instant

__all__ = [
    "Arrival",
    "BatchPlan",
    "Intake",
    "Remembered",
    "Wrapping",
    "plan_batch",
    "plan_intake",
    "plan_lookup",
    "refuse_old",
]


class Wrapping(msgspec.Struct, frozen=True, kw_only=True):
    """How messages become entries: one value for what :func:`~outbox_sdk.core.entry.encode_entry` needs."""

    routing: Routing
    kind: EnvelopeKind = "raw"
    limits: TopicLimits = TopicLimits()
    source: str

    def encode(self, message: OutboxMessage) -> Entry | Refusal:
        """Wrap one message."""
        return encode_entry(message, self.routing, kind=self.kind, limits=self.limits, source=self.source)


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """All records of one item in the batch, as one: the first gives the place, the last the content.

    ``removed`` tells that the item is gone by the end of the batch: by the relay's own mark if that deletes,
    else by somebody who did not wait for it to be published.
    """

    message: OutboxMessage
    position: int
    record: Record
    removed: bool = False


class Remembered(msgspec.Struct, frozen=True):
    """A message that this process has published already, by this very record, and only has to mark."""

    message: OutboxMessage
    sequence_number: SequenceNumber


class Intake(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch asks for, before anything is looked up.

    ``settled`` holds items with nothing to do. ``messages`` and ``poison`` hold one entry an item.
    """

    messages: Mapping[ItemKey, Arrival]
    poison: tuple[Poison, ...]
    settled: Mapping[ItemKey, Settled]


class BatchPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything to do for a batch; each item of it in exactly one place."""

    lanes: tuple[Lane, ...]
    marks: tuple[Remembered, ...]
    parks: tuple[Park, ...]
    decided: Mapping[ItemKey, Outcome]


def plan_intake(records: Iterable[Record]) -> Intake:
    """Gather a batch by item, so that the records of one item are settled by one publish.

    The latest record of an item tells its state: an insert followed by its own mark in the same batch has
    been dealt with. The earliest that is outstanding gives its place in the order. A removal settles
    nothing by itself: what was committed is published, unless the table says that it has been.
    """
    latest: dict[ItemKey, Record] = {}
    first: dict[ItemKey, int] = {}
    removed: set[ItemKey] = set()
    records = tuple(records)
    positions = [record.position for record in records]
    ordered: Iterable[tuple[int, Record]] = zip(positions, records, strict=True)
    if any(map(gt, positions, positions[1:])):  # a shard gives them in order
        ordered = sorted(ordered, key=itemgetter(0))
    for position, record in ordered:
        key, content = record.key, record.content
        if not isinstance(content, Skipped):
            first.setdefault(key, position)
        elif key in first:
            if content.reason == "removed":
                removed.add(key)
                continue
            del first[key]
        latest[key] = record
        if removed:
            removed.discard(key)
    messages: dict[ItemKey, Arrival] = {}
    poison = []
    settled: dict[ItemKey, Settled] = {}
    for key, record in latest.items():
        content = record.content
        if isinstance(content, OutboxMessage):
            messages[key] = Arrival(content, first[key], record, key in removed)
        elif isinstance(content, Poison):
            poison.append(content)
        else:
            settled[key] = Settled(content.reason)
    return Intake(messages=messages, poison=tuple(poison), settled=settled)


def plan_lookup(
    intake: Intake, *, now: float, recheck_after: float, published: Callable[[ItemKey, SequenceNumber], bool]
) -> tuple[ItemKey, ...]:
    """List the items that somebody may have dealt with already, to be read before publishing.

    Those are all that existed before their record or are gone after it, and those whose record is
    ``recheck_after`` seconds old or has no time. ``now`` is in epoch seconds. What this process remembers
    as ``published`` needs no reading.
    """
    return tuple(
        [
            key
            for key, arrival in intake.messages.items()
            if (arrival.removed or _needs_lookup(arrival.record, now, recheck_after))
            and not published(key, arrival.record.sequence_number)
        ]
    )


def _needs_lookup(record: Record, now: float, recheck_after: float) -> bool:
    if record.modified or record.creation is None:
        return True
    return now - record.creation >= recheck_after


def plan_batch(
    intake: Intake,
    *,
    lookups: Mapping[ItemKey, LookupResult],
    published: Callable[[ItemKey, SequenceNumber], bool],
    deletes: bool,
    wrapping: Wrapping,
    now: float = 0.0,
    park_older_than: float | None = None,
) -> BatchPlan:
    """Decide what to do for each item of a batch.

    ``deletes`` tells that the mark deletes items, so that a missing one has been published; otherwise a
    missing item is published from its image, for nothing else is known of it. At ``now``, in epoch seconds,
    a message created ``park_older_than`` seconds ago and never redriven is parked.
    """
    marks: list[Remembered] = []
    parks = [plan_park(poison, poison.reason) for poison in intake.poison]
    decided: dict[ItemKey, Outcome] = dict(intake.settled)
    ready: list[MessageRecord] = []
    unreadable: dict[ItemKey, str] = {}
    for key, arrival in intake.messages.items():
        message, record = arrival.message, arrival.record
        if published(key, record.sequence_number):
            marks.append(Remembered(message, record.sequence_number))
            continue
        match lookups.get(key):
            case None:
                pass  # nobody has asked, for nothing speaks against publishing it
            case Found(outstanding=False):
                decided[key] = Settled("dispatched")
                continue
            case Found(redrive_count=count) if count > message.redrive_count:
                # Old news of an item that was sent again since: the record of that comes by itself.
                decided[key] = Settled("redriven")
                continue
            case Missing() if deletes:
                decided[key] = Settled("deleted")
                continue
            case Unreadable(code):
                unreadable[key] = code
            case _:
                pass  # outstanding, or missing where nothing is deleted
        old = None if park_older_than is None else refuse_old(message, now, park_older_than)
        entry = old or wrapping.encode(message)
        if isinstance(entry, Refusal):
            if key in unreadable:
                decided[key] = Held(unreadable[key])  # parked when it is known that it still waits
            else:
                parks.append(plan_park(message, entry.reason))
            continue
        ready.append(MessageRecord(entry, arrival.position, record.sequence_number, record.creation))
    lanes, held = hold_unreadable(plan_lanes(ready), unreadable)
    return BatchPlan(lanes=lanes, marks=tuple(marks), parks=tuple(parks), decided={**decided, **held})


def refuse_old(message: OutboxMessage, now: float, limit: float | None) -> Refusal | None:
    """Refuse what is older than the limit, as after a restore, unless a person has asked for it since."""
    if limit is None or message.redrive_count > 0 or message.created_at is None:
        return None
    created = parse_instant(message.created_at)
    return Refusal(f"age:{limit:.10g}") if created and now - created.timestamp() > limit else None

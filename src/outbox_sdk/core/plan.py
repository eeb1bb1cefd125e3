"""A batch decided: which messages to publish in which order, which only to mark, which to park."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from outbox_sdk.core.entry import Entry, TopicLimits, encode_entry
from outbox_sdk.core.envelope import EnvelopeKind
from outbox_sdk.core.identifiers import AttributeValue, ItemKey, SequenceNumber
from outbox_sdk.core.lookup import Found, LookupResult, Missing, Unreadable
from outbox_sdk.core.message import OutboxMessage, Poison, Skipped
from outbox_sdk.core.outcome import Held, Outcome, Settled
from outbox_sdk.core.routing import Refusal, Routing
from outbox_sdk.core.stream import Record

__all__ = [
    "Arrival",
    "BatchPlan",
    "Intake",
    "Lane",
    "MessageRecord",
    "Park",
    "Remembered",
    "Wrapping",
    "plan_batch",
    "plan_held_lane",
    "plan_intake",
    "plan_lookup",
]

Lane = tuple["MessageRecord", ...]
"""Messages to publish one after the other. On a standard topic every message is a lane of its own."""


class Wrapping(msgspec.Struct, frozen=True, kw_only=True):
    """How messages become entries: one value for what :func:`~outbox_sdk.core.entry.encode_entry` needs."""

    routing: Routing
    kind: EnvelopeKind = "raw"
    limits: TopicLimits = TopicLimits()
    source: str

    def encode(self, message: OutboxMessage) -> Entry | Refusal:
        """Wrap one message."""
        return encode_entry(message, self.routing, kind=self.kind, limits=self.limits, source=self.source)


class MessageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An entry and the record that brought it.

    ``position`` orders it in its lane; ``sequence_number`` is the record whose image the entry shows.
    """

    entry: Entry
    position: int
    sequence_number: SequenceNumber
    creation: float | None

    @property
    def key(self) -> ItemKey:
        """The item's identity."""
        return self.entry.message.key


class Park(msgspec.Struct, frozen=True):
    """Set an item aside, if it still carries ``marker``."""

    key: ItemKey
    marker: AttributeValue
    reason: str


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """All records of one item in the batch, as one: the first gives the place, the last the content."""

    position: int
    record: Record


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
    been dealt with. The earliest that is outstanding gives its place in the order.
    """
    latest: dict[ItemKey, Record] = {}
    first: dict[ItemKey, int] = {}
    for record in sorted(records, key=lambda record: record.position):
        latest[record.key] = record
        if isinstance(record.content, Skipped):
            first.pop(record.key, None)
        else:
            first.setdefault(record.key, record.position)
    messages: dict[ItemKey, Arrival] = {}
    poison = []
    settled: dict[ItemKey, Settled] = {}
    for key, record in latest.items():
        content = record.content
        if isinstance(content, OutboxMessage):
            messages[key] = Arrival(position=first[key], record=record)
        elif isinstance(content, Poison):
            poison.append(content)
        else:
            settled[key] = Settled(content.reason)
    return Intake(messages=messages, poison=tuple(poison), settled=settled)


def plan_lookup(
    intake: Intake, *, now: float, recheck_after: float, published: Callable[[ItemKey, SequenceNumber], bool]
) -> tuple[ItemKey, ...]:
    """List the items that somebody may have dealt with already, to be read before publishing.

    Those are all that existed before their record, and those whose record is ``recheck_after`` seconds old
    or has no time. ``now`` is in epoch seconds. What this process remembers as ``published`` needs no
    reading.
    """
    return tuple(
        key
        for key, arrival in intake.messages.items()
        if not published(key, arrival.record.sequence_number)
        and _needs_lookup(arrival.record, now=now, recheck_after=recheck_after)
    )


def _needs_lookup(record: Record, *, now: float, recheck_after: float) -> bool:
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
) -> BatchPlan:
    """Decide what to do for each item of a batch.

    ``deletes`` tells that the mark deletes items, so that a missing one has been published; otherwise a
    missing item is published from its image, for nothing else is known of it.
    """
    marks: list[Remembered] = []
    parks = [Park(poison.key, poison.marker, poison.reason) for poison in intake.poison]
    decided: dict[ItemKey, Outcome] = dict(intake.settled)
    ready: list[MessageRecord] = []
    for key, arrival in intake.messages.items():
        message = arrival.record.content
        assert isinstance(message, OutboxMessage)  # noqa: S101 - plan_intake puts nothing else there
        if published(key, arrival.record.sequence_number):
            marks.append(Remembered(message, arrival.record.sequence_number))
            continue
        outcome = _decide_lookup(lookups.get(key), deletes=deletes)
        if outcome is not None:
            decided[key] = outcome
            continue
        entry = wrapping.encode(message)
        if isinstance(entry, Refusal):
            parks.append(Park(key, message.marker, entry.reason))
            continue
        ready.append(
            MessageRecord(
                entry=entry,
                position=arrival.position,
                sequence_number=arrival.record.sequence_number,
                creation=arrival.record.creation,
            )
        )
    return BatchPlan(lanes=_plan_lanes(ready), marks=tuple(marks), parks=tuple(parks), decided=decided)


def _decide_lookup(result: LookupResult | None, *, deletes: bool) -> Outcome | None:
    """Say what a look-up decides; ``None`` means publish."""
    match result:
        case None:
            return None
        case Found(outstanding):
            return None if outstanding else Settled("dispatched")
        case Missing():
            return Settled("deleted") if deletes else None
        case Unreadable(code):
            return Held(code)


def _plan_lanes(ready: Sequence[MessageRecord]) -> tuple[Lane, ...]:
    lanes: dict[object, list[MessageRecord]] = {}
    for record in ready:
        entry = record.entry
        lane = record.key if entry.group_id is None else (entry.topic, entry.group_id)
        lanes.setdefault(lane, []).append(record)
    ordered = [tuple(sorted(lane, key=_lane_order(lane))) for lane in lanes.values()]
    # Lanes start in the order of their heads, so that what came first goes first.
    return tuple(sorted(ordered, key=lambda lane: lane[0].position))


def _lane_order(lane: Sequence[MessageRecord]) -> Callable[[MessageRecord], tuple[int, int]]:
    # A lane numbered throughout by its producer goes by those numbers: the stream may reverse two items of
    # one transaction. With a number missing, nothing but the stream's own order is left.
    if all(record.entry.message.sequence is not None for record in lane):
        return lambda record: (record.entry.message.sequence or 0, record.position)
    return lambda record: (record.position, 0)


def plan_held_lane(
    lane: Iterable[MessageRecord], *, code: str, now: float, park_after: float
) -> tuple[Park, ...]:
    """Park a lane whose head a wrong configuration has held for more than ``park_after`` seconds.

    The whole rest of the lane goes with it, so that a redrive by the reason brings it back in order, and one
    mistyped topic does not stop a shard for a day. Empty while there is still time to mend it, and where the
    head's age is not known.
    """
    lane = tuple(lane)
    if not lane or lane[0].creation is None or now - lane[0].creation <= park_after:
        return ()
    return tuple(Park(record.key, record.entry.message.marker, f"held:{code}") for record in lane)

"""Lanes: which messages of a batch wait for which, in what order, and what a held one holds."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from outbox_sdk.core.entry import Entry
from outbox_sdk.core.identifiers import ItemKey, SequenceNumber, TopicArn
from outbox_sdk.core.mark import Park, plan_park
from outbox_sdk.core.outcome import Held

__all__ = ["Lane", "MessageRecord", "hold_unreadable", "plan_held_lane", "plan_lanes"]

Lane = tuple["MessageRecord", ...]
"""Messages to publish one after the other. On a standard topic every message is a lane of its own."""


class MessageRecord(msgspec.Struct, frozen=True, gc=False):
    """An entry and the record that brought it.

    ``position`` orders it in its lane; ``sequence_number`` is the record whose image the entry shows,
    ``None`` where a sweep has read the item from the table.
    """

    entry: Entry
    position: int
    sequence_number: SequenceNumber | None
    creation: float | None

    @property
    def key(self) -> ItemKey:
        """The item's identity."""
        return self.entry.message.key


def plan_lanes(ready: Sequence[MessageRecord]) -> tuple[Lane, ...]:
    """Put messages into lanes: one for an aggregate of a FIFO topic, else one for each message.

    A lane numbered throughout by its producer goes by those numbers, because the stream may reverse two
    items of one transaction; any other goes by the order of the stream.
    """
    lanes: list[Lane] = []
    groups: dict[tuple[TopicArn, str], list[MessageRecord]] = {}
    for record in ready:
        entry = record.entry
        if entry.group_id is None:
            lanes.append((record,))
        else:
            groups.setdefault((entry.topic, entry.group_id), []).append(record)
    lanes.extend([tuple(sorted(group, key=_lane_order(group))) for group in groups.values()])
    # Lanes start in the order of their heads, so that what came first goes first.
    lanes.sort(key=lambda lane: lane[0].position)
    return tuple(lanes)


def _lane_order(lane: Sequence[MessageRecord]) -> Callable[[MessageRecord], tuple[int, int]]:
    if all(record.entry.message.sequence is not None for record in lane):
        return lambda record: (record.entry.message.sequence or 0, record.position)
    return lambda record: (record.position, 0)


def hold_unreadable(
    lanes: Iterable[Lane], unreadable: Mapping[ItemKey, str]
) -> tuple[tuple[Lane, ...], Mapping[ItemKey, Held]]:
    """Cut each lane before its first message whose item could not be read, and hold the rest.

    Whether such a message is out already is not known. It is not published on a guess, and nothing behind
    it may overtake it. ``unreadable`` gives the code by key.
    """
    if not unreadable:
        return tuple(lanes), {}
    open_lanes: list[Lane] = []
    held: dict[ItemKey, Held] = {}
    for lane in lanes:
        cut = next((place for place, record in enumerate(lane) if record.key in unreadable), len(lane))
        if cut:
            open_lanes.append(lane[:cut])
        for place, record in enumerate(lane[cut:]):
            held[record.key] = Held(unreadable[lane[cut].key], behind=place > 0)
    return tuple(open_lanes), held


def plan_held_lane(
    lane: Iterable[MessageRecord], *, code: str, now: float, held_since: float, park_after: float
) -> tuple[Park, ...]:
    """Park a lane whose head a wrong configuration has held for ``park_after`` seconds.

    ``held_since`` is when this process first met the code at the lane's topic, with nothing published there
    since: a message that is old already when it is held for the first time has not been held for long.

    The whole rest of the lane goes with it, so that a redrive by the reason brings it back in order, and one
    mistyped topic does not stop a shard for a day. Empty while there is still time to mend it, and where the
    head's age is not known.
    """
    lane = tuple(lane)
    if not lane or lane[0].creation is None or now - max(lane[0].creation, held_since) < park_after:
        return ()
    return tuple(plan_park(record.entry.message, f"held:{code}") for record in lane)

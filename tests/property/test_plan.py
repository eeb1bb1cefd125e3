"""Plans: nothing of a batch is lost or doubled, and what has an order keeps it."""

from collections.abc import Mapping
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from outbox_sdk.core.identifiers import ItemKey, TopicName
from outbox_sdk.core.lanes import MessageRecord, plan_held_lane
from outbox_sdk.core.lookup import Found, LookupResult, Missing, Unreadable
from outbox_sdk.core.outcome import Held, Settled
from outbox_sdk.core.plan import (
    BatchPlan,
    Wrapping,
    plan_batch,
    plan_intake,
    plan_lookup,
)
from outbox_sdk.core.stream import decode_event
from tests.property import strategies as our
from tests.property.oracles import check_park_reason

NOW = 1000.0


class Place(NamedTuple):
    """What becomes of one item of a batch, by the records that were drawn for it."""

    kind: str
    position: int  # of the first record since which the item has been outstanding without a break
    last: our.DrawnRecord
    removed: bool = False


def places(event: our.DrawnEvent) -> dict[ItemKey, Place]:
    """The state of each item after the batch: the record with the highest number tells.

    Only a removal settles nothing that was outstanding: what was committed is published.
    """
    found: dict[ItemKey, Place] = {}
    for record in sorted(event.records, key=lambda record: int(record.number)):
        before = found.get(record.key)
        outstanding = record.kind in ("message", "poison")
        if before is not None and before.kind in ("message", "poison") and record.kind == "removed":
            found[record.key] = before._replace(removed=True)
            continue
        unbroken = before is not None and before.kind in ("message", "poison") and outstanding
        position = before.position if before is not None and unbroken else int(record.number)
        found[record.key] = Place(record.kind, position, record)
    return found


def keys_of(plan: BatchPlan) -> list[ItemKey]:
    return [
        *(record.key for lane in plan.lanes for record in lane),
        *(mark.message.key for mark in plan.marks),
        *(park.key for park in plan.parks),
        *plan.decided,
    ]


@st.composite
def decisions(
    draw: st.DrawFn, event: our.DrawnEvent
) -> tuple[dict[ItemKey, LookupResult], set[tuple[ItemKey, str]], bool]:
    """What the table and the memory may say about a batch: look-ups, remembered records, the strategy."""
    results: st.SearchStrategy[LookupResult] = st.sampled_from(
        [Found(True), Found(True), Found(False), Missing(), Unreadable("Throttled")]
    )
    lookups, remembered = {}, set()
    for key, place in places(event).items():
        if draw(st.booleans()):
            lookups[key] = draw(results)
        if draw(st.integers(0, 5)) == 0:
            remembered.add((key, place.last.number))
        if draw(st.integers(0, 5)) == 0:
            remembered.add((key, "7777777"))  # another record of the item: remembers nothing about this one
    return lookups, remembered, draw(st.booleans())


def plan_of(
    event: our.DrawnEvent,
    wrapping: Wrapping,
    *,
    lookups: Mapping[ItemKey, LookupResult] | None = None,
    remembered: frozenset[tuple[ItemKey, str]] | set[tuple[ItemKey, str]] = frozenset(),
    deletes: bool = False,
) -> BatchPlan:
    return plan_batch(
        plan_intake(decode_event(event.wire, event.design)),
        lookups=lookups or {},
        published=lambda key, number: (key, number) in remembered,
        deletes=deletes,
        wrapping=wrapping,
    )


@given(st.data(), our.wrappings())
def test_a_plan_loses_nothing_and_doubles_nothing(data: st.DataObject, wrapping: Wrapping) -> None:
    """Each item of a batch is in exactly one place of its plan, however many records it has."""
    event = data.draw(our.events())
    lookups, remembered, deletes = data.draw(decisions(event))
    plan = plan_of(event, wrapping, lookups=lookups, remembered=remembered, deletes=deletes)
    keys = keys_of(plan)
    assert len(set(keys)) == len(keys)
    assert set(keys) == {record.key for record in event.records}


@given(st.data())
def test_an_item_goes_where_its_latest_record_and_the_table_say(data: st.DataObject) -> None:
    """Poison is parked, settled items are left alone, unread ones are held, and the rest is published."""
    event = data.draw(our.events())
    wrapping = data.draw(our.wrappings(open_to_all=True))
    lookups, remembered, deletes = data.draw(decisions(event))
    plan = plan_of(event, wrapping, lookups=lookups, remembered=remembered, deletes=deletes)
    entries = {record.key: record for lane in plan.lanes for record in lane}
    parks = {park.key: park for park in plan.parks}
    marks = {mark.message.key: mark for mark in plan.marks}
    for key, place in places(event).items():
        drawn = place.last
        if place.kind == "poison":
            assert parks[key].reason == drawn.reason
            continue
        if place.kind != "message":
            assert plan.decided[key] == Settled(place.kind)
            continue
        result = lookups.get(key)
        if (key, drawn.number) in remembered:
            assert marks[key].message == drawn.message
            assert marks[key].sequence_number == drawn.number
        elif result == Found(False):
            assert plan.decided[key] == Settled("dispatched")
        elif result == Missing() and deletes:
            assert plan.decided[key] == Settled("deleted")
        elif key in parks:  # more attributes than SNS carries; the wrapping refuses nothing else
            check_park_reason(parks[key].reason)
            assert parks[key].reason.startswith("attributes:")
        elif isinstance(result, Unreadable):
            assert isinstance(plan.decided[key], Held)
        elif key in plan.decided:  # nothing is known against it, but it waits for one that is unread
            assert plan.decided[key] == Held("Throttled", behind=True)
            assert drawn.message is not None
            assert drawn.message.topic.endswith(".fifo")
        else:
            entry = entries[key]
            assert entry.entry.message == drawn.message
            assert entry.sequence_number == drawn.number
            assert entry.position == place.position


@given(st.data(), our.wrappings())
def test_a_park_is_conditional_on_the_marker_that_was_seen(data: st.DataObject, wrapping: Wrapping) -> None:
    """An item settled or redriven by somebody else meanwhile is not parked for what its old image showed."""
    event = data.draw(our.events())
    for park in plan_of(event, wrapping).parks:
        (drawn,) = [place.last for key, place in places(event).items() if key == park.key]
        assert park.marker == drawn.wire["dynamodb"]["NewImage"][event.design.not_dispatched]
        check_park_reason(park.reason)


def in_order(lane: tuple[MessageRecord, ...]) -> bool:
    sequences = [record.entry.message.sequence for record in lane]
    positions = [record.position for record in lane]
    if None in sequences:
        return positions == sorted(positions)
    numbered = [(sequence or 0, position) for sequence, position in zip(sequences, positions, strict=True)]
    return numbered == sorted(numbered)


@given(st.data())
def test_a_lane_is_an_aggregate_on_a_fifo_topic_in_order(data: st.DataObject) -> None:
    """Messages of an aggregate on a FIFO topic go one after the other: by `Sequence`, else as committed."""
    topics = st.sampled_from(["one.fifo", "two.fifo", "standard"]).map(TopicName)
    event = data.draw(our.events(rich=False, topics=topics, max_size=9))
    plan = plan_of(event, data.draw(our.wrappings(open_to_all=True)))
    seen = set()
    for lane in plan.lanes:
        messages = [record.entry.message for record in lane]
        assert in_order(lane)
        if not messages[0].topic.endswith(".fifo"):
            assert len(lane) == 1
            continue
        ((topic, aggregate),) = {(message.topic, message.aggregate_id) for message in messages}
        assert (topic, aggregate) not in seen  # all of it in one lane
        seen.add((topic, aggregate))
    heads = [lane[0].position for lane in plan.lanes]
    assert heads == sorted(heads)


@given(st.data())
def test_nothing_overtakes_a_message_that_could_not_be_read(data: st.DataObject) -> None:
    """Whether an unread message is out is not known: it is held, and so is its lane behind it, no other."""
    topics = st.sampled_from(["one.fifo", "standard"]).map(TopicName)
    event = data.draw(our.events(rich=False, kinds=("message",), topics=topics, repeats=False, max_size=9))
    unread = {record.key for record in event.records if data.draw(st.integers(0, 3)) == 0}
    wrapping = data.draw(our.wrappings(open_to_all=True))
    whole = plan_of(event, wrapping).lanes
    plan = plan_of(event, wrapping, lookups=dict.fromkeys(unread, Unreadable("Throttled")))
    published, held = [], {}
    for lane in whole:
        stopped = False
        for record in lane:
            if stopped or record.key in unread:
                held[record.key] = Held("Throttled", behind=stopped)
                stopped = True
            else:
                published.append(record.key)
    assert [record.key for lane in plan.lanes for record in lane] == published
    assert plan.decided == held


@given(st.data(), st.booleans())
def test_a_lane_numbered_throughout_goes_by_its_numbers(data: st.DataObject, numbered: bool) -> None:
    """The stream may reverse two items of one transaction: `Sequence` puts them right, if all have one."""
    topics = st.just(TopicName("one.fifo"))
    event = data.draw(
        our.events(
            rich=False, kinds=("message",), topics=topics, aggregates=st.just("a"), min_size=2, repeats=False
        )
    )
    plan = plan_of(event, data.draw(our.wrappings(open_to_all=True)))
    (lane,) = plan.lanes
    assert in_order(lane)
    if not numbered:
        return
    sequences = data.draw(st.lists(st.integers(0, 99), min_size=len(lane), max_size=len(lane)))
    for record, sequence in zip(event.records, sequences, strict=True):
        record.wire["dynamodb"]["NewImage"][event.design.sequence] = {"N": str(sequence)}
    (lane,) = plan_of(event, data.draw(our.wrappings(open_to_all=True))).lanes
    assert [record.entry.message.sequence for record in lane] == sorted(sequences)
    assert in_order(lane)


@given(st.data(), our.sequence_numbers(4))
def test_the_record_with_the_highest_number_tells(data: st.DataObject, numbers: list[str]) -> None:
    """Numbers of different lengths are numbers: as text, an item's old image would come after its new one."""
    design = data.draw(our.designs())
    message = data.draw(our.messages(design, rich=False))
    image = data.draw(our.write_item(message, design))
    marked = {name: value for name, value in image.items() if name != design.not_dispatched}
    states = [
        image,
        data.draw(st.sampled_from([image, marked])),
        marked,
        data.draw(st.sampled_from([image, marked])),
    ]
    records = [
        our.wire_record(message.key, number, new=state, old=image)
        for number, state in zip(numbers, states, strict=True)
    ]
    intake = plan_intake(decode_event({"Records": data.draw(st.permutations(records))}, design))
    assert (message.key in intake.messages) == (states[-1] is image)
    if states[-1] is image:
        # Outstanding since the last record, for the one before it shows the item settled.
        assert intake.messages[message.key].position == int(numbers[-1])


@given(st.data())
def test_the_order_of_arrival_within_an_event_does_not_matter(data: st.DataObject) -> None:
    """Sequence numbers order a batch as numbers; where a record stands in the list says nothing."""
    event = data.draw(our.events())
    wrapping = data.draw(our.wrappings(open_to_all=True))
    shuffled = our.DrawnEvent(event.design, tuple(data.draw(st.permutations(event.records))))
    assert plan_of(shuffled, wrapping).lanes == plan_of(event, wrapping).lanes


@given(st.data(), st.sampled_from([0.0, 3.5, 5.0, 10_000.0]))
def test_what_may_be_old_news_is_looked_up(data: st.DataObject, recheck_after: float) -> None:
    """A touched, redriven or old record is read before it is published again; a fresh one costs no read."""
    event = data.draw(our.events())
    _, remembered, _ = data.draw(decisions(event))
    keys = plan_lookup(
        plan_intake(decode_event(event.wire, event.design)),
        now=NOW,
        recheck_after=recheck_after,
        published=lambda key, number: (key, number) in remembered,
    )
    assert len(set(keys)) == len(keys)
    expected = set()
    for key, place in places(event).items():
        record = place.last.wire
        creation = place.last.creation
        fresh = record["eventName"] == "INSERT" and creation is not None and NOW - creation < recheck_after
        looks_new = fresh and not place.removed
        if place.kind == "message" and not looks_new and (key, place.last.number) not in remembered:
            expected.add(key)
    assert set(keys) == expected


@given(st.data(), st.floats(0, 20), st.floats(0, 20), st.floats(0, 20))
def test_a_lane_is_parked_for_its_configuration_only_when_it_was_held_long(
    data: st.DataObject, age: float, held_for: float, park_after: float
) -> None:
    """One mistyped topic does not stop a shard for a day, and an operator has time to mend it first."""
    event = data.draw(our.events(rich=False, kinds=("message",), repeats=False))
    plan = plan_of(event, data.draw(our.wrappings(open_to_all=True)))
    for lane in plan.lanes:
        creation = lane[0].creation
        now = (creation or 0.0) + age
        since = now - held_for
        parks = plan_held_lane(lane, code="NotFound", now=now, held_since=since, park_after=park_after)
        if creation is None or now - creation < park_after or now - since < park_after:
            assert parks == ()
        else:
            assert [park.key for park in parks] == [record.key for record in lane]  # its followers with it
            assert {park.reason for park in parks} == {"held:NotFound"}
            assert [park.marker for park in parks] == [record.entry.message.marker for record in lane]

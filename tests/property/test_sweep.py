"""Sweeps: what is taken up again, in which order, and what AWS is asked for."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox_sdk.core.backlog import (
    BUCKETS,
    BucketPage,
    Fetched,
    FetchResult,
    Sighting,
    Touch,
    decode_fetch_response,
    decode_page,
    fetch_request,
    list_bucket_request,
    touch_request,
)
from outbox_sdk.core.identifiers import AggregateId, ItemKey
from outbox_sdk.core.items import bucket_of
from outbox_sdk.core.lookup import Missing, Unreadable
from outbox_sdk.core.outcome import Held, Settled
from outbox_sdk.core.plan import Wrapping
from outbox_sdk.core.sweep import (
    Aggregate,
    Outstanding,
    decode_outstanding,
    is_young,
    pick_oldest,
    plan_republish,
    plan_sweep,
)
from outbox_sdk.core.table import PARKED, TableDesign
from outbox_sdk.core.text import format_instant, parse_instant
from tests.property import oracles
from tests.property import strategies as our

TABLE = "outbox"
CUTOFF = datetime(2026, 11, 23, 9, tzinfo=UTC)
LATELY = format_instant(CUTOFF - timedelta(hours=6))

# Strategies

_INSTANTS = st.integers(-5, 1).map(lambda hours: CUTOFF + timedelta(hours=hours))
_TOUCHES = st.sampled_from([None, None, LATELY, format_instant(CUTOFF), "2026-11-23T02:59:59.999999Z"])


@st.composite
def backlogs(draw: st.DrawFn, *, numbered: bool | None = None) -> list[Outstanding]:
    """Items of a few aggregates, in no order; ties, gaps and contradictions of time and number included."""
    items = []
    for number in range(draw(st.integers(0, 14))):
        aggregate = draw(st.sampled_from(["a", "a", "b", "c"]))
        key = our.item_key(TableDesign.ordered, aggregate, f"m{number}")
        has_number = draw(st.integers(0, 4)) > 0 if numbered is None else numbered
        items.append(
            Outstanding(
                key=key,
                marker={"S": "03"},
                aggregate=AggregateId(aggregate) if draw(st.integers(0, 9)) else key,
                created=draw(_INSTANTS) if draw(st.integers(0, 5)) else None,
                sequence=draw(st.integers(-2, 9)) if has_number else None,
                touched_at=draw(_TOUCHES),
            )
        )
    return draw(st.permutations(items))


def wanted_order(items: list[Outstanding]) -> list[Outstanding]:
    """The order within an aggregate, spelt out: by number if all have one, else by time, else by key."""

    def by_time(item: Outstanding) -> tuple[float, Any]:
        return (float("inf") if item.created is None else item.created.timestamp(), item.key.parts)

    if all(item.sequence is not None for item in items):
        return sorted(items, key=lambda item: (item.sequence, by_time(item)))
    return sorted(items, key=by_time)


def by_aggregate(items: list[Outstanding]) -> dict[Any, list[Outstanding]]:
    gathered = defaultdict(list)
    for item in items:
        gathered[item.aggregate].append(item)
    return gathered


# Which, and in which order


@given(backlogs(), st.integers(0, 16))
def test_a_sweep_touches_what_is_old_and_was_not_touched_lately_and_nothing_else(
    items: list[Outstanding], limit: int
) -> None:
    """Without a limit all of it; with one, of each aggregate the first ones, in their order."""
    plan = plan_sweep(items, cutoff=CUTOFF, limit=limit, unless_touched_since=LATELY)

    def eligible(item: Outstanding) -> bool:
        old = item.created is None or item.created <= CUTOFF
        return old and (item.touched_at is None or item.touched_at < LATELY)

    assert len(plan.items) == min(limit, sum(map(eligible, items)))
    for aggregate, all_items in by_aggregate(items).items():
        wanted = [item for item in wanted_order(all_items) if eligible(item)]
        planned = [item for item in plan.items if item.aggregate == aggregate]
        assert planned == wanted[: len(planned)]
    assert sum(plan.skipped.values()) == sum(not eligible(item) for item in items)


@given(backlogs(), st.integers(0, 16))
def test_publishing_takes_of_each_aggregate_the_first_ones_and_passes_none_by(
    items: list[Outstanding], limit: int
) -> None:
    """Not even one that is too young: what is behind it would overtake it. A touch is no obstacle."""
    plan = plan_sweep(items, cutoff=CUTOFF, limit=limit, unless_touched_since=None)

    total = 0
    for aggregate, all_items in by_aggregate(items).items():
        order = wanted_order(all_items)
        young = [place for place, item in enumerate(order) if is_young(item.created, CUTOFF)]
        wanted = order[: young[0]] if young else order
        planned = [item for item in plan.items if item.aggregate == aggregate]
        assert planned == wanted[: len(planned)]
        total += len(wanted)
    assert len(plan.items) == min(limit, total)


@given(backlogs(numbered=False), st.integers(0, 16))
def test_the_oldest_of_all_go_first_and_the_limit_cuts_the_youngest(
    items: list[Outstanding], limit: int
) -> None:
    """Where no number says otherwise, whole runs go by time, and so do the first ones of aggregates."""
    plan = plan_sweep(items, cutoff=CUTOFF, limit=limit, unless_touched_since=None)
    everything = plan_sweep(items, cutoff=CUTOFF, limit=99, unless_touched_since=None)

    assert plan.items == everything.items[:limit]
    times = [datetime.max.replace(tzinfo=UTC) if i.created is None else i.created for i in plan.items]
    assert times == sorted(times)
    heads = [aggregate[0] for aggregate in plan.aggregates]
    assert [plan.items.index(head) for head in heads] == sorted(plan.items.index(head) for head in heads)
    assert sorted(item.key.parts for part in plan.aggregates for item in part) == sorted(
        item.key.parts for item in plan.items
    )


@given(backlogs(), st.randoms(), st.integers(0, 16), st.sampled_from([LATELY, None]))
def test_a_plan_does_not_depend_on_the_order_in_which_items_were_read(
    items: list[Outstanding], random: Any, limit: int, lately: str | None
) -> None:
    """Buckets answer in any order."""
    first = plan_sweep(items, cutoff=CUTOFF, limit=limit, unless_touched_since=lately)
    shuffled = list(items)
    random.shuffle(shuffled)

    assert plan_sweep(shuffled, cutoff=CUTOFF, limit=limit, unless_touched_since=lately) == first


@given(st.lists(our.created_at_texts(), max_size=8), st.integers(0, 9))
def test_the_oldest_of_an_index_are_picked_by_time_and_not_by_text(texts: list[str], limit: int) -> None:
    """``…T10:00:00+05:00`` is older than ``…T09:00:00Z``, whatever its text says."""
    sightings = [
        Sighting(our.item_key(TableDesign.ordered, "a", f"m{number}"), text)
        for number, text in enumerate(texts)
    ]

    picked = pick_oldest([*sightings, *sightings], limit)

    assert len(set(picked)) == len(picked) == min(limit, len(sightings))
    end = datetime.max.replace(tzinfo=UTC)
    times = [parse_instant(sighting.created_at) or end for sighting in picked]
    assert times == sorted(times)
    left = [parse_instant(s.created_at) or end for s in sightings if s not in picked]
    assert not times or all(time >= times[-1] for time in left)


# What the index and the table say


@given(st.data(), our.designs())
def test_an_outstanding_item_is_read_for_what_orders_it(data: st.DataObject, design: TableDesign) -> None:
    """The same message as the relay reads it, of the same aggregate."""
    message = data.draw(our.messages(design))
    item = data.draw(our.write_item(message, design))

    read = decode_outstanding(item, message.key, design)

    assert read is not None
    assert (read.key, read.marker, read.aggregate) == (message.key, message.marker, message.aggregate_id)
    assert read.sequence == message.sequence
    assert read.created == (None if message.created_at is None else parse_instant(message.created_at))
    assert decode_outstanding({**item, design.not_dispatched: {"S": PARKED}}, message.key, design) is None
    item.pop(design.not_dispatched)
    assert decode_outstanding(item, message.key, design) is None


@given(st.data(), our.designs())
def test_reading_never_fails_for_what_an_item_holds(data: st.DataObject, design: TableDesign) -> None:
    """One odd item must not keep a sweep from the rest."""
    item = data.draw(our.arbitrary_images(design))
    key = our.item_key(design, "a", "m")

    read = decode_outstanding(item, key, design)

    assert read is None or isinstance(read.aggregate, str | ItemKey)


def test_all_buckets_are_swept_whatever_count_is_configured() -> None:
    for buckets in range(1, 101):
        assert {bucket_of(f"m{number}", buckets) for number in range(500)} <= set(BUCKETS)
    assert "x" in BUCKETS
    assert PARKED not in BUCKETS
    assert len(set(BUCKETS)) == len(BUCKETS) == 101


# What AWS is asked for


@given(st.data(), our.designs(), st.sampled_from(BUCKETS), st.integers(1, 1_000))
def test_a_page_of_the_index_is_asked_for_and_read(
    data: st.DataObject, design: TableDesign, bucket: str, limit: int
) -> None:
    """Keys and times come back as they were, and the next page begins where this one ended."""
    keys = data.draw(st.lists(our.messages(design).map(lambda m: m.key), max_size=5, unique=True))
    times = [data.draw(our.created_at_texts()) for _ in keys]
    items = [
        {**key.to_item(), design.not_dispatched: {"S": bucket}, design.created_at: {"S": text}}
        for key, text in zip(keys, times, strict=True)
    ]
    cursor = items[-1] if items and limit % 2 else None

    page = decode_page({"Items": items, **({"LastEvaluatedKey": cursor} if cursor else {})}, design)

    assert page == BucketPage(tuple(map(Sighting, keys, times)), cursor)
    for request in (
        list_bucket_request(bucket, design, TABLE, cursor=None, limit=limit),
        list_bucket_request(bucket, design, TABLE, cursor=page.cursor, limit=limit),
    ):
        oracles.check_query(request)
        assert request["ExpressionAttributeValues"] == {":bucket": {"S": bucket}}
        assert request["ScanIndexForward"] is True
    assert request.get("ExclusiveStartKey") == cursor


@given(st.data(), our.designs(), st.booleans())
def test_every_key_that_is_fetched_gets_an_answer(
    data: st.DataObject, design: TableDesign, whole: bool
) -> None:
    """What DynamoDB left undone is unreadable, and nothing is assumed about it."""
    keys = data.draw(st.lists(our.messages(design).map(lambda m: m.key), min_size=1, max_size=6, unique=True))
    oracles.check_batch_get(fetch_request(keys, design, TABLE, whole=whole))
    expected: dict[ItemKey, FetchResult] = {}
    items, undone = [], []
    for key in keys:
        match data.draw(st.sampled_from(["there", "gone", "undone"])):
            case "there":
                item: Any = {**key.to_item(), design.not_dispatched: {"S": "x"}}
                items.append(item)
                expected[key] = Fetched(item)
            case "gone":
                expected[key] = Missing()
            case _:
                undone.append(key.to_item())
                expected[key] = Unreadable("Throttled")
    response: dict[str, Any] = {"Responses": {TABLE: data.draw(st.permutations(items))}}
    if undone:
        response["UnprocessedKeys"] = {TABLE: {"Keys": undone}}

    assert decode_fetch_response(keys, response, design, TABLE) == expected


@given(st.data(), our.designs())
def test_a_touch_changes_its_time_and_nothing_else(data: st.DataObject, design: TableDesign) -> None:
    """And not even that where the item is settled, gone, or was touched in the last six hours."""
    message = data.draw(our.messages(design))
    item = data.draw(our.write_item(message, design))
    item.pop(design.touched_at, None)
    now = format_instant(CUTOFF)
    touch = Touch(key=message.key, marker=message.marker, now=now, unless_since=LATELY)
    request = touch_request(touch, design, TABLE)
    oracles.check_update(request)

    touched = oracles.apply_update(item, request)

    assert touched == {**item, design.touched_at: {"S": now}}
    long_ago = {**item, design.touched_at: {"S": format_instant(CUTOFF - timedelta(hours=7))}}
    assert oracles.apply_update(long_ago, request) == touched
    settled = {name: value for name, value in item.items() if name != design.not_dispatched}
    parked = {**item, design.not_dispatched: {"S": PARKED}}
    at_the_bound = {**item, design.touched_at: {"S": LATELY}}
    for state in (None, settled, parked, touched, at_the_bound):
        with pytest.raises(oracles.ConditionError):
            oracles.apply_update(state, request)


# Publishing


@st.composite
def chunks(draw: st.DrawFn) -> tuple[list[Outstanding], dict[ItemKey, FetchResult]]:
    """Items of two aggregates in their order, and what a read of them gives."""
    design = TableDesign.ordered
    items: list[Outstanding] = []
    fetched: dict[ItemKey, FetchResult] = {}
    for number in range(draw(st.integers(1, 8))):
        aggregate = draw(st.sampled_from(["a", "b"]))
        key = our.item_key(design, aggregate, f"m{number}")
        content: Any = {
            **key.to_item(),
            design.not_dispatched: {"S": "x"},
            design.message_id: {"S": f"m{number}"},
            design.aggregate_id: {"S": aggregate},
            design.topic: {"S": "t.fifo"},
            design.body: {"S": "{}"},
        }
        items.append(Outstanding(key=key, marker={"S": "x"}, aggregate=AggregateId(aggregate)))
        state = draw(st.sampled_from(["good"] * 4 + ["settled", "gone", "unread", "poison"]))
        lacking = {"settled": design.not_dispatched, "poison": design.body}.get(state)
        content = {name: value for name, value in content.items() if name != lacking}
        results: dict[str, FetchResult] = {"gone": Missing(), "unread": Unreadable("Throttled")}
        fetched[key] = results.get(state, Fetched(content))
    return items, fetched


@given(chunks(), our.wrappings(open_to_all=True), st.sampled_from([{}, {AggregateId("b"): "Timeout"}]))
def test_nothing_of_an_aggregate_is_published_past_what_could_not_be_read(
    chunk: tuple[list[Outstanding], dict[ItemKey, FetchResult]],
    wrapping: Wrapping,
    blocked: dict[Aggregate, str],
) -> None:
    """Held from there on, in this chunk and in later ones; the others go, each item in one place."""
    design = TableDesign.ordered
    items, fetched = chunk

    plan = plan_republish(items, fetched, blocked=blocked, design=design, wrapping=wrapping)

    lanes = [record.key for lane in plan.lanes for record in lane]
    placed = [*lanes, *(park.key for park in plan.parks), *plan.decided]
    assert sorted(key.parts for key in placed) == sorted(item.key.parts for item in items)
    for aggregate, part in by_aggregate(items).items():
        stop = blocked.get(aggregate)
        for item in part:
            outcome = plan.decided.get(item.key)
            if stop is not None:
                assert outcome == Held(stop, behind=True)
                continue
            match fetched[item.key]:
                case Unreadable(code):
                    assert outcome == Held(code)
                    stop = code
                case Missing():
                    assert outcome == Settled("deleted")
                case Fetched(content) if design.not_dispatched not in content:
                    assert outcome == Settled("dispatched")
                case Fetched(content):
                    assert (item.key in lanes) == (design.body in content)
        order = [item.key for item in part if item.key in lanes]
        assert [key for key in lanes if key in order] == order

"""Requests: whatever was planned, AWS accepts what is sent, and a write does to an item what it should."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox_sdk.core.entry import TopicLimits
from outbox_sdk.core.identifiers import AccountId, ItemKey, Region, TopicName
from outbox_sdk.core.lookup import (
    MAX_KEYS,
    Found,
    Missing,
    decode_lookup_response,
    lookup_request,
)
from outbox_sdk.core.mark import (
    MAX_BATCH_MARKS,
    Mark,
    Marked,
    Unwritten,
    decode_delete_response,
    decode_statement_response,
    delete_marks_request,
    mark_request,
    mark_statements_request,
    park_request,
    plan_mark,
    plan_park,
)
from outbox_sdk.core.plan import Wrapping
from outbox_sdk.core.publish import pack_requests, publish_batch_request
from outbox_sdk.core.routing import Routing
from outbox_sdk.core.table import TableDesign
from tests.property import oracles
from tests.property import strategies as our
from tests.property.test_plan import plan_of

TABLE = "outbox"


# Publishing


@given(st.data(), our.wrappings())
def test_every_publish_of_a_plan_is_one_that_sns_takes(data: st.DataObject, wrapping: Wrapping) -> None:
    """Lanes sent head by head make requests within every limit of SNS and SQS, each entry once."""
    event = data.draw(our.events(max_size=9))
    lanes = [list(lane) for lane in plan_of(event, wrapping).lanes]
    expected = {record.key for lane in lanes for record in lane}
    sent: list[ItemKey] = []
    while lanes:
        requests = pack_requests(lane.pop(0).entry for lane in lanes)
        for request in requests:
            limit = {entry.limit for entry in request.entries}
            assert len(limit) == 1
            counted = oracles.check_publish_batch(publish_batch_request(request), limit=limit.pop())
            assert counted.size == sum(entry.envelope.size for entry in request.entries)
            sent.extend(entry.message.key for entry in request.entries)
        lanes = [lane for lane in lanes if lane]
    assert len(sent) == len(expected)
    assert set(sent) == expected


@given(st.data())
def test_packing_is_dense_and_keeps_the_order_of_a_topic(data: st.DataObject) -> None:
    """Requests cost money and time: two neighbours of one topic never fit into one; nothing is reordered."""
    topics = st.sampled_from(["one", "two"]).map(TopicName)
    routing = Routing(region=Region("eu-west-1"), account_id=AccountId("123456789012"))
    limits = TopicLimits(default=data.draw(st.sampled_from([60, 150, 200, 400, 262_144])))
    wrapping = Wrapping(routing=routing, limits=limits, source="/outbox/test")
    event = data.draw(our.events(rich=False, kinds=("message",), topics=topics, max_size=25, repeats=False))
    entries = [lane[0].entry for lane in plan_of(event, wrapping).lanes]
    requests = pack_requests(entries)
    for topic in {entry.topic for entry in entries}:
        mine = [request.entries for request in requests if request.topic == topic]
        assert [entry for part in mine for entry in part] == [e for e in entries if e.topic == topic]
        for part in mine:
            assert len(part) == 1 or sum(entry.envelope.size for entry in part) <= limits.default
        for part, following in pairwise(mine):
            weight = sum(entry.envelope.size for entry in (*part, following[0]))
            assert len(part) == 10 or weight > limits.default


# Marking


def distinct(marks: Sequence[Mark]) -> list[Mark]:
    return list({mark.key: mark for mark in marks}.values())


@given(st.data(), our.designs())
def test_every_mark_is_a_request_that_dynamodb_takes(data: st.DataObject, design: TableDesign) -> None:
    """All three strategies, on tables with any names: within the limits, every parameter in its place."""
    marks = distinct(data.draw(st.lists(our.marks(design), min_size=1, max_size=4)))
    table = data.draw(st.sampled_from([TABLE, "a" * 255, "a.b-c_D"]))
    oracles.check_statements(mark_statements_request(marks, design, table))
    oracles.check_batch_write(delete_marks_request(marks, table))
    oracles.check_update(mark_request(marks[0], design, table))


@given(our.designs(), st.integers(1, MAX_BATCH_MARKS), st.integers(1, MAX_KEYS))
def test_full_requests_are_within_the_limits(design: TableDesign, marks: int, keys: int) -> None:
    """25 marks and 100 look-ups at once are what DynamoDB takes."""

    def mark(number: int) -> Mark:
        key = our.item_key(design, "a" * 900, f"{number:03d}" + "m" * 900)
        return Mark(key=key, marker={"S": "00"}, dispatched_at="now", dispatch_count=1, expires_at=1)

    batch = [mark(number) for number in range(marks)]
    oracles.check_statements(mark_statements_request(batch, design, "t" * 255))
    oracles.check_batch_write(delete_marks_request(batch, "t" * 255))
    oracles.check_batch_get(lookup_request([mark(number).key for number in range(keys)], design, TABLE))


def marked_by(mark: Mark, item: Any, design: TableDesign) -> list[Any]:
    """What both conditional strategies make of an item; None where they leave it alone."""
    statement = mark_statements_request([mark], design, TABLE)["Statements"][0]
    results: list[Any] = []
    for apply, request in (
        (oracles.apply_statement, statement),
        (oracles.apply_update, mark_request(mark, design, TABLE)),
    ):
        try:
            results.append(apply(item, request))
        except oracles.ConditionError:
            results.append(None)
    return results


@given(st.data(), our.designs(), st.none() | st.integers(1, 100), st.floats(0, 2e9))
def test_a_mark_settles_the_item_that_its_image_showed(
    data: st.DataObject, design: TableDesign, ttl_days: int | None, seconds: float
) -> None:
    """Marked is out of the index, dispatched once more, with a time to live; and nothing else is changed."""
    message = data.draw(our.messages(design))
    item = data.draw(our.write_item(message, design))
    now = "2026-11-23T09:00:00.000000Z"
    mark = plan_mark(message, now=now, now_seconds=seconds, ttl_days=ttl_days)
    expected = {name: value for name, value in item.items() if name != design.not_dispatched}
    expected[design.is_dispatched] = {"BOOL": True}
    expected[design.last_dispatched_at] = {"S": now}
    expected[design.dispatch_count] = {"N": str(message.dispatch_count + 1)}
    if ttl_days is not None:
        expected[design.expires_at] = {"N": str(int(seconds) + ttl_days * 86400)}
    assert marked_by(mark, item, design) == [expected, expected]


@given(st.data(), our.designs())
def test_a_mark_leaves_alone_what_somebody_else_has_settled(data: st.DataObject, design: TableDesign) -> None:
    """A replayed mark changes nothing, makes no ghost of a deleted item, and does not undo a park."""
    message = data.draw(our.messages(design))
    item = data.draw(our.write_item(message, design))
    mark = plan_mark(message, now="now", now_seconds=0.0)
    (once, _) = marked_by(mark, item, design)
    parked = {**item, design.not_dispatched: {"S": "parked"}}
    for state in (None, once, parked):
        assert marked_by(mark, state, design) == [None, None]


@given(st.data(), our.designs())
def test_a_parked_item_is_where_a_person_finds_it(data: st.DataObject, design: TableDesign) -> None:
    """Parking sets the marker, the reason, and a creation time if there is none: without, no index has it."""
    message = data.draw(our.messages(design))
    item = data.draw(our.write_item(message, design))
    if message.created_at is None:
        item.pop(design.created_at, None)  # NULL would stay NULL; the index refuses it at the write
    park = plan_park(message, "empty")
    request = park_request(park, design, TABLE, now="now")
    oracles.check_update(request)
    expected = item | {
        design.not_dispatched: {"S": "parked"},
        design.parked_at: {"S": "now"},
        design.park_reason: {"S": "empty"},
        design.created_at: item.get(design.created_at, {"S": "now"}),
    }
    assert oracles.apply_update(item, request) == expected
    with pytest.raises(oracles.ConditionError):
        oracles.apply_update(expected, request)
    with pytest.raises(oracles.ConditionError):
        oracles.apply_update(None, request)


@given(st.data(), our.designs())
def test_every_answer_to_a_mark_is_read_one_by_one(data: st.DataObject, design: TableDesign) -> None:
    """Errors inside a 200 are errors, a failed condition is success, and no answer is no success."""
    marks = distinct(data.draw(st.lists(our.marks(design), max_size=5)))
    codes = ["ConditionalCheckFailed", "ThrottlingError", "TransactionConflict", "ValidationError", None]
    drawn = data.draw(st.lists(st.sampled_from(codes), max_size=len(marks)))
    response: dict[str, Any] = {
        "Responses": [{"TableName": TABLE} if code is None else {"Error": {"Code": code}} for code in drawn]
    }
    padded = [*drawn, *["MissingFromResponse"] * (len(marks) - len(drawn))]
    expected = [
        Marked(gone=code is not None) if code in (None, "ConditionalCheckFailed") else Unwritten(str(code))
        for code in padded
    ]
    assert list(decode_statement_response(marks, response)) == expected


@given(st.data(), our.designs())
def test_unprocessed_deletes_are_not_written(data: st.DataObject, design: TableDesign) -> None:
    """What DynamoDB left unprocessed has to come again."""
    marks = distinct(data.draw(st.lists(our.marks(design), max_size=5)))
    left = [data.draw(st.booleans()) for _ in marks]
    unprocessed = [
        {"DeleteRequest": {"Key": mark.key.to_item()}}
        for mark, is_left in zip(marks, left, strict=True)
        if is_left
    ]
    response = {"UnprocessedItems": {TABLE: unprocessed} if unprocessed else {}}
    results = decode_delete_response(marks, response, TABLE)
    assert [isinstance(result, Unwritten) for result in results] == left


# Looking up


@given(st.data(), our.designs())
def test_every_key_that_is_looked_up_gets_an_answer(data: st.DataObject, design: TableDesign) -> None:
    """Found, missing, or to be asked for again: nothing is assumed about a key that was not read."""
    keys = data.draw(st.lists(our.messages(design).map(lambda m: m.key), min_size=1, max_size=6, unique=True))
    oracles.check_batch_get(lookup_request(keys, design, TABLE))
    states = {
        key: data.draw(st.sampled_from(["x", "07", "parked", "marked", "gone", "unread"])) for key in keys
    }
    items: list[Any] = []
    for key, state in states.items():
        if state not in ("gone", "unread"):
            marker = {} if state == "marked" else {design.not_dispatched: {"S": state}}
            items.append({**key.to_item(), **marker})
    unread = [key.to_item() for key, state in states.items() if state == "unread"]
    response: dict[str, Any] = {"Responses": {TABLE: data.draw(st.permutations(items))}}
    if unread:
        response["UnprocessedKeys"] = {TABLE: {"Keys": unread}}
    results, unprocessed = decode_lookup_response(keys, response, design, TABLE)
    assert set(unprocessed) == {key for key, state in states.items() if state == "unread"}
    assert results == {
        key: Missing() if state == "gone" else Found(state in ("x", "07"))
        for key, state in states.items()
        if state != "unread"
    }


def test_the_publish_oracle_sees_what_sns_refuses() -> None:
    """The oracle is no rubber stamp: each broken rule is seen."""
    entry: dict[str, Any] = {
        "Id": "0",
        "Message": "m",
        "MessageAttributes": {"a": {"DataType": "String", "StringValue": "v"}},
    }
    arn = "arn:aws:sns:eu-west-1:123456789012:t"
    good = {"TopicArn": arn, "PublishBatchRequestEntries": [entry]}
    assert oracles.check_publish_batch(good, limit=100) == (1, 1 + 1 + 6 + 1)
    fifo_ids = {"MessageGroupId": "g", "MessageDeduplicationId": "d"}
    fifo = {"TopicArn": arn + ".fifo", "PublishBatchRequestEntries": [{**entry, **fifo_ids}]}
    oracles.check_publish_batch(fifo, limit=100)

    def attribute(name: str, value: str) -> dict[str, Any]:
        return {"MessageAttributes": {name: {"DataType": "String", "StringValue": value}}}

    broken: list[list[dict[str, Any]]] = [
        [],
        [entry] * 2,
        [{**entry, "Id": str(number)} for number in range(11)],
        [{**entry, "Id": "a.b"}],
        [{**entry, "Message": ""}],
        [{**entry, "Message": "\0"}],
        [{**entry, **fifo_ids}],
        [{**entry, **attribute("a", "")}],
        [{**entry, **attribute("AWS.a", "v")}],
        [{**entry, **attribute("a..b", "v")}],
        [{**entry, **attribute("a", "\ufffe")}],
        [{**entry, "Id": "0"}, {**entry, "Id": "1", "Message": "m" * 100}],
    ]
    for entries in broken:
        with pytest.raises(AssertionError):
            oracles.check_publish_batch({**good, "PublishBatchRequestEntries": entries}, limit=100)
    for entries in ([entry], [{**entry, **fifo_ids, "Id": str(number)} for number in range(2)]):
        with pytest.raises(AssertionError):
            oracles.check_publish_batch({**fifo, "PublishBatchRequestEntries": entries}, limit=100)

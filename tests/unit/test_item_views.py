"""What an item says, read whole: for people, for whoever sends it again, for the sweeper and in passing."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from outbox_sdk import Selection, TableDesign
from outbox_sdk.core.backlog import Sighting
from outbox_sdk.core.identifiers import AggregateId, ItemKey
from outbox_sdk.core.message_view import (
    LifeEvent,
    MessageView,
    Payload,
    age_of,
    decode_view,
    describe_life,
)
from outbox_sdk.core.passing import Passage, decode_passages
from outbox_sdk.core.seen_item import SeenItem, decode_seen, was_dispatched_before
from outbox_sdk.core.status import Group, OutboxStatus, Seen, describe_status, see
from outbox_sdk.core.sweep import Outstanding, decode_outstanding, find_stopped, pick_oldest

ORDERED = TableDesign.ordered
KEYED = TableDesign.message_keyed
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
KEY = ItemKey((("PK", "S", "AGGREGATE#o-1"), ("SK", "S", "MESSAGE#m-1")))
FULL: dict[str, Any] = {
    "PK": {"S": "AGGREGATE#o-1"},
    "SK": {"S": "MESSAGE#m-1"},
    "NotDispatched": {"S": "parked"},
    "MessageId": {"S": "m-1"},
    "AggregateId": {"S": "o-1"},
    "CorrelationId": {"S": "c-1"},
    "Topic": {"S": "orders"},
    "Message": {"S": "größe"},
    "MessageType": {"S": "order.created"},
    "SchemaVersion": {"N": "3"},
    "ContentType": {"S": "application/json"},
    "Headers": {"M": {"tenant": {"S": "7"}, "area": {"S": "eu"}, "odd": {"N": "1"}}},
    "Sequence": {"N": "12"},
    "Hops": {"N": "2"},
    "CreatedAt": {"S": "2026-11-23T08:00:00Z"},
    "TouchedAt": {"S": "2026-11-23T08:10:00.000000Z"},
    "LastDispatchedAt": {"S": "2026-11-23T08:05:00.000000Z"},
    "ApproximateDispatchCount": {"N": "4"},
    "RedriveCount": {"N": "5"},
    "ParkedAt": {"S": "2026-11-23T08:20:00.000000Z"},
    "ParkReason": {"S": "hops"},
    "ExpiresAt": {"N": "1795424400"},
}
FULL_VIEW = MessageView(
    key={"PK": "AGGREGATE#o-1", "SK": "MESSAGE#m-1"},
    state="parked",
    message_id="m-1",
    aggregate_id="o-1",
    topic="orders",
    message_type="order.created",
    schema_version=3,
    content_type="application/json",
    correlation_id="c-1",
    sequence=12,
    hops=2,
    body_bytes=7,
    header_names=("area", "tenant"),
    created_at="2026-11-23T08:00:00Z",
    age_seconds=3600.0,
    touched_at="2026-11-23T08:10:00.000000Z",
    last_dispatched_at="2026-11-23T08:05:00.000000Z",
    dispatches=4,
    redrives=5,
    parked_at="2026-11-23T08:20:00.000000Z",
    park_reason="hops",
    advice="consumers write to each other in a circle: find the one that answers its own cause",
    expires_at="2026-11-23T09:00:00.000000Z",
)


def test_a_person_sees_all_that_an_item_says_but_its_payload() -> None:
    assert decode_view(FULL, ORDERED, now=NOW) == FULL_VIEW


def test_a_payload_is_shown_to_whoever_asks() -> None:
    view = decode_view(FULL, ORDERED, now=NOW, payload=True)
    assert view == msgspec.structs.replace(FULL_VIEW, payload=Payload("größe", {"tenant": "7", "area": "eu"}))
    without_body = {name: value for name, value in FULL.items() if name != "Message"}
    view = decode_view(without_body, ORDERED, now=NOW, payload=True)
    assert view == msgspec.structs.replace(FULL_VIEW, body_bytes=None)


def test_an_outstanding_item_has_no_reason_though_it_was_parked_before() -> None:
    view = decode_view({**FULL, "NotDispatched": {"S": "03"}}, ORDERED, now=NOW)
    assert view == msgspec.structs.replace(
        FULL_VIEW, state="outstanding", parked_at=None, park_reason=None, advice=None
    )


@pytest.mark.parametrize(
    "odd", [{"BOOL": True}, {"S": 5}, {"N": 5}, {"M": 5}, "no attribute", None], ids=repr
)
def test_what_an_item_holds_in_another_type_is_not_there(odd: Any) -> None:
    item = {**dict.fromkeys(FULL, odd), "NotDispatched": {"S": "parked"}}
    view = decode_view(item, ORDERED, now=NOW, payload=True)
    assert view == MessageView(key={}, state="parked")


def test_numbers_that_are_none_and_times_beyond_the_calendar_are_not_there() -> None:
    odd = {**FULL, "Sequence": {"N": "1.5"}, "SchemaVersion": {"N": "x"}, "ExpiresAt": {"N": "9" * 20}}
    view = decode_view(odd, ORDERED, now=NOW)
    assert view == msgspec.structs.replace(FULL_VIEW, sequence=None, schema_version=None, expires_at=None)
    half = decode_view({**FULL, "Message": {"S": "\ud800x"}}, ORDERED, now=NOW)
    assert half is not None
    assert half.body_bytes == 4, "half a pair takes three bytes"


def test_an_age_is_never_negative() -> None:
    assert age_of("2026-11-23T09:00:01Z", NOW) == 0.0
    assert age_of("2026-11-23T08:59:59.500000Z", NOW) == 0.5
    assert age_of("?", NOW) is None
    assert age_of(None, NOW) is None


def test_a_life_is_told_in_the_order_of_time() -> None:
    assert describe_life(FULL_VIEW) == (
        LifeEvent("2026-11-23T08:00:00Z", "created"),
        LifeEvent("2026-11-23T08:05:00.000000Z", "dispatched"),
        LifeEvent("2026-11-23T08:10:00.000000Z", "touched"),
        LifeEvent("2026-11-23T08:20:00.000000Z", "parked"),
        LifeEvent("2026-11-23T09:00:00.000000Z", "expires"),
    )
    at = "2026-11-23T10:00:00+02:00"
    odd = MessageView(key={}, state="parked", created_at=at, touched_at="?", parked_at="2026-11-23T08:00:00Z")
    assert describe_life(odd) == (
        LifeEvent("?", "touched"),
        LifeEvent(at, "created"),
        LifeEvent("2026-11-23T08:00:00Z", "parked"),
    )
    assert describe_life(MessageView(key={}, state="outstanding")) == ()


# To send it again


FULL_SEEN = SeenItem(
    key=KEY,
    state="parked",
    group=AggregateId("o-1"),
    marker={"S": "parked"},
    redrive_count={"N": "5"},
    redrives=5,
    last_dispatched_at=FULL["LastDispatchedAt"],
    created=datetime(2026, 11, 23, 8, tzinfo=UTC),
    sequence=12,
    message_id="m-1",
    topic="orders",
    message_type="order.created",
    reason="hops",
    headers=FULL["Headers"],
    attribute_count=11,
)


def test_whoever_sends_again_sees_all_but_the_body() -> None:
    assert decode_seen(FULL, ORDERED) == FULL_SEEN
    outstanding = decode_seen({**FULL, "NotDispatched": {"S": "03"}}, ORDERED)
    assert outstanding == msgspec.structs.replace(
        FULL_SEEN, state="outstanding", marker={"S": "03"}, reason=None
    )


def test_without_an_order_each_item_is_a_group_of_its_own() -> None:
    keyed = decode_seen(FULL, KEYED)
    assert keyed is not None
    assert keyed.group == keyed.key == ItemKey((("PK", "S", "AGGREGATE#o-1"),))
    for unnamed in ({"S": ""}, {"N": "1"}):
        ordered = decode_seen({**FULL, "AggregateId": unnamed}, ORDERED)
        assert ordered is not None
        assert ordered.group == KEY


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 11),
        ({"Headers": {"NULL": True}}, 8),
        ({"Headers": {"M": []}}, 8),
        ({"Headers": "?"}, 8),
        ({"CorrelationId": {"S": ""}}, 10),
        ({"MessageType": {"N": "1"}, "ContentType": {"S": ""}}, 9),
        ({"SchemaVersion": {"S": "3"}}, 10),
        ({"Sequence": {}}, 10),
        ({"Sequence": {"N": "0"}}, 11),
        ({"Hops": {"N": "0"}}, 10),
        ({"Hops": {"N": "1"}}, 11),
        ({"Hops": {"N": "-1"}}, 10),
        ({"Hops": {"S": "1"}}, 10),
    ],
    ids=repr,
)
def test_what_travels_is_counted(changes: dict[str, Any], count: int) -> None:
    seen = decode_seen({**FULL, **changes}, ORDERED)
    assert seen is not None
    assert seen.attribute_count == count


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "dispatched"),
        ({"IsDispatched": {"BOOL": False}}, None),
        ({"LastDispatchedAt": {"S": ""}}, None),
        ({"LastDispatchedAt": {"N": "1"}}, None),
        ({"MessageId": {"S": ""}}, None),
    ],
)
def test_what_is_dispatched_has_all_that_a_mark_leaves(changes: dict[str, Any], state: str | None) -> None:
    item = {**FULL, "IsDispatched": {"BOOL": True}, **changes}
    del item["NotDispatched"]
    seen = decode_seen(item, ORDERED)
    assert (None if seen is None else seen.state) == state


def test_before_an_instant_is_before_it() -> None:
    at = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)
    assert not was_dispatched_before(FULL_SEEN, at)
    assert was_dispatched_before(FULL_SEEN, at.replace(microsecond=1))
    for value in (None, {"S": "?"}, {"N": "1"}, "?"):
        odd: Any = msgspec.structs.replace(FULL_SEEN, last_dispatched_at=value)
        assert not was_dispatched_before(odd, NOW)


# For the sweeper


def test_a_sweep_sees_what_orders_and_judges() -> None:
    item = {**FULL, "NotDispatched": {"S": "03"}}
    whole = Outstanding(
        key=KEY,
        marker={"S": "03"},
        aggregate=AggregateId("o-1"),
        created=datetime(2026, 11, 23, 8, tzinfo=UTC),
        sequence=12,
        touched_at="2026-11-23T08:10:00.000000Z",
    )
    assert decode_outstanding(item, KEY, ORDERED) == whole
    assert decode_outstanding(FULL, KEY, ORDERED) is None
    bare: Any = {
        "NotDispatched": {"N": "1"},
        "AggregateId": {"S": ""},
        "CreatedAt": {"S": "?"},
        "Sequence": 1,
    }
    assert decode_outstanding(bare, KEY, ORDERED) == Outstanding(key=KEY, marker={"N": "1"}, aggregate=KEY)


def test_the_oldest_are_picked_by_time_each_once_and_what_has_none_comes_last() -> None:
    def sighting(name: str, at: str) -> Sighting:
        return Sighting(ItemKey((("PK", "S", name),)), at)

    first = sighting("a", "2026-11-23T12:00:00+05:00")
    second = sighting("b", "2026-11-23T08:00:00Z")
    same = sighting("c", "2026-11-23T08:00:00Z")
    odd, odder = sighting("e", "?"), sighting("d", "zz")
    shown = [odder, same, odd, second, msgspec.structs.replace(first, created_at="~"), first]

    assert pick_oldest([odder, same, odd, second, first, first], 9) == (first, second, same, odd, odder)
    assert pick_oldest(shown, 2) == (second, same), "as it was shown first"
    assert pick_oldest(shown, 0) == ()


def test_what_could_not_be_read_stops_its_aggregate_as_far_as_the_key_tells() -> None:
    def item(aggregate: str, name: str) -> Outstanding:
        key = ItemKey((("PK", "S", f"AGGREGATE#{aggregate}"), ("SK", "S", name)))
        return Outstanding(key=key, marker={"S": "01"}, aggregate=AggregateId(aggregate))

    items = [item("a", "1"), item("a", "2"), item("b", "1")]
    assert find_stopped(items, [item("a", "9").key], ORDERED) == {AggregateId("a")}
    assert find_stopped(items, [], ORDERED) == set()


# All of them


def test_a_status_sums_up_by_topic_type_and_reason_each_group_by_itself() -> None:
    def item(marker: str, **attributes: str) -> dict[str, Any]:
        texts = {name: {"S": text} for name, text in attributes.items()}
        return {"PK": {"S": "a"}, "SK": {"S": "b"}, "NotDispatched": {"S": marker}, **texts}

    items: list[dict[str, Any]] = [
        item("01", Topic="orders", MessageType="created"),
        item("02", Topic="bills"),
        item("02", Topic="orders"),
        item("parked", Topic="orders", ParkReason="size:300000"),
        item("parked", Topic="orders", ParkReason="size:400000"),
        item("parked", ParkReason="held:NotFound"),
        item("parked", MessageType="created"),
        {"PK": {"S": "no message"}},
    ]
    shown = (Sighting(KEY, "2026-11-23T08:00:00Z"), Sighting(KEY, "2026-11-23T08:30:00Z"))
    seen: Any = {"outstanding": Seen(7, shown)}
    status = describe_status("outbox", seen, items, ORDERED, now=NOW, read_units=1.5)
    assert status == OutboxStatus(
        table="outbox",
        at="2026-11-23T09:00:00.000000Z",
        outstanding=Group(
            count=7,
            oldest_created_at="2026-11-23T08:00:00Z",
            oldest_age_seconds=3600.0,
            looked_at=3,
            by_topic={"orders": 2, "bills": 1},
            by_type={"created": 1, "(none)": 2},
        ),
        parked=Group(
            count=0,
            looked_at=4,
            by_topic={"orders": 2, "(none)": 2},
            by_type={"(none)": 3, "created": 1},
            by_reason={"size": 2, "held:NotFound": 1, "(none)": 1},
        ),
        read_units=1.5,
    )
    assert list(status.outstanding.by_type) == ["(none)", "created"], "the most frequent first"
    assert describe_status("outbox", {}, [], ORDERED, now=NOW) == OutboxStatus(
        table="outbox", at="2026-11-23T09:00:00.000000Z", outstanding=Group(), parked=Group()
    )


def test_of_what_the_index_shows_the_oldest_are_kept_and_one_at_least() -> None:
    pages = [
        [Sighting(ItemKey((("PK", "S", name),)), f"2026-11-23T0{hour}:00:00Z")]
        for name, hour in (("a", 3), ("b", 1), ("c", 2))
    ]
    seen = Seen()
    for page in pages:
        seen = see(seen, page, keep=2)
    assert seen == Seen(3, (pages[1][0], pages[2][0]))
    assert see(seen, [], keep=0) == Seen(3, (pages[1][0],))


# In passing


def stream(name: str, new: Any, old: Any = None, **more: Any) -> dict[str, Any]:
    change = {"Keys": {}, "SequenceNumber": "1", "NewImage": new, "OldImage": old}
    return {"eventName": name, "dynamodb": {**change, "ApproximateCreationDateTime": 1795424400}, **more}


def pass_by(*records: dict[str, Any], **options: Any) -> tuple[Passage, ...]:
    return decode_passages({"Records": list(records)}, ORDERED, Selection(), now=NOW, **options)


WAITS = {**FULL, "NotDispatched": {"S": "03"}}
TOUCHED = {**WAITS, "TouchedAt": {"S": "2026-11-23T08:59:00.000000Z"}}
DONE = {name: value for name, value in WAITS.items() if name != "NotDispatched"}
BY_TTL = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


@pytest.mark.parametrize(
    ("record", "event"),
    [
        (stream("INSERT", WAITS), "created"),
        (stream("MODIFY", TOUCHED, WAITS), "touched"),
        (stream("MODIFY", WAITS, WAITS), "changed"),
        (stream("MODIFY", WAITS), "changed"),
        (stream("MODIFY", DONE, WAITS), "dispatched"),
        (stream("MODIFY", DONE), "dispatched"),
        (stream("MODIFY", FULL, WAITS), "parked"),
        (stream("MODIFY", FULL), "parked"),
        (stream("MODIFY", WAITS, FULL), "redriven"),
        (stream("MODIFY", WAITS, DONE), "replayed"),
        (stream("REMOVE", None, DONE), "removed"),
        (stream("REMOVE", None, DONE, userIdentity=BY_TTL), "expired"),
        (stream("REMOVE", None, DONE, userIdentity={"PrincipalId": "dynamodb.amazonaws.com"}), "expired"),
        (stream("REMOVE", None, DONE, userIdentity={"principalId": "somebody"}), "removed"),
        (stream("REMOVE", None, DONE, userIdentity="?"), "removed"),
    ],
)
def test_each_change_has_its_name(record: dict[str, Any], event: str) -> None:
    (passage,) = pass_by(record)
    assert passage.event == event
    image = record["dynamodb"]["NewImage"] or record["dynamodb"]["OldImage"]
    assert passage.message == decode_view(image, ORDERED, now=NOW)
    assert passage.at == "2026-11-23T09:00:00.000000Z"


def test_a_payload_passes_for_whoever_asks() -> None:
    (passage,) = pass_by(stream("INSERT", WAITS), payload=True)
    assert passage.message.payload == Payload("größe", {"tenant": "7", "area": "eu"})
    (passage,) = pass_by(stream("INSERT", WAITS))
    assert passage.message.payload is None


@pytest.mark.parametrize(
    "record",
    [
        stream("REMOVE", None),
        stream("MODIFY", None, WAITS),
        stream("MODIFY", "?"),
        stream("INSERT", {"PK": {"S": "a"}}),
    ],
)
def test_what_is_of_no_message_is_left_out_and_its_neighbours_are_not(record: dict[str, Any]) -> None:
    assert [passage.event for passage in pass_by(record, stream("INSERT", WAITS))] == ["created"]


@pytest.mark.parametrize(
    ("seconds", "at"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (0.5, "1970-01-01T00:00:00.500000Z"),
        (None, None),
        ("1", None),
        (1e20, None),
        (float("nan"), None),
    ],
)
def test_a_time_of_the_stream_that_is_none_is_not_there(seconds: Any, at: str | None) -> None:
    record = stream("INSERT", WAITS)
    record["dynamodb"]["ApproximateCreationDateTime"] = seconds
    (passage,) = pass_by(record)
    assert passage.at == at

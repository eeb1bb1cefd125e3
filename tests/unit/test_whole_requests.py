"""What is asked of DynamoDB, argument by argument: nothing more is sent, and nothing under another name."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from outbox_sdk import TableDesign
from outbox_sdk.core.backlog import (
    BucketPage,
    Fetched,
    Sighting,
    Touch,
    decode_fetch_response,
    decode_page,
    fetch_request,
    list_bucket_request,
    touch_request,
)
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.core.inspection import is_named_by, key_of_message, scan_for_request
from outbox_sdk.core.lookup import Found, Missing, Unreadable, decode_lookup_response, lookup_request
from outbox_sdk.core.mark import (
    Mark,
    Marked,
    Park,
    Unwritten,
    decode_delete_response,
    decode_statement_response,
    delete_marks_request,
    mark_request,
    mark_statements_request,
    park_request,
)
from outbox_sdk.core.purge import check_purge, plan_purge, purge_request
from outbox_sdk.core.redrive import plan_redrive, redrive_request
from outbox_sdk.core.replay import (
    list_aggregate_request,
    list_dispatched_request,
    plan_replay,
    refuse_replay,
    replay_request,
)
from outbox_sdk.core.seen_item import SeenItem, decode_seen, seen_attributes

ORDERED = TableDesign.ordered
KEYED = TableDesign.message_keyed
OWN_NAMES = msgspec.structs.replace(ORDERED, partition_key="pk", sort_key="sk", not_dispatched='a"b')
KEY = ItemKey.from_item({"PK": {"S": "AGGREGATE#o"}, "SK": {"S": "MESSAGE#m"}})
KEY_ITEM = {"PK": {"S": "AGGREGATE#o"}, "SK": {"S": "MESSAGE#m"}}
CURSOR = {"PK": {"S": "AGGREGATE#n"}, "SK": {"S": "MESSAGE#l"}}
AT = "2026-11-23T09:00:00.000000Z"
LATER = "2026-11-23T10:00:00.000000Z"


def seen(**attributes: Any) -> SeenItem:
    item = {**KEY_ITEM, "MessageId": {"S": "m"}, **attributes}
    decoded = decode_seen(item, ORDERED)
    assert decoded is not None
    return decoded


def parked(**attributes: Any) -> SeenItem:
    return seen(NotDispatched={"S": "parked"}, **attributes)


def dispatched(**attributes: Any) -> SeenItem:
    return seen(**{"IsDispatched": {"BOOL": True}, "LastDispatchedAt": {"S": AT}, **attributes})


# Sending again


SENT_AGAIN_NAMES = {
    "#marker": "NotDispatched",
    "#redrives": "RedriveCount",
    "#created": "CreatedAt",
    "#expires": "ExpiresAt",
    "#parked": "ParkedAt",
    "#reason": "ParkReason",
}
SET_AGAIN = "SET #marker = :bucket, #redrives = :count, #created = if_not_exists(#created, :now)"


def test_a_redrive_of_what_was_never_redriven() -> None:
    assert redrive_request(parked(), ORDERED, "outbox", buckets=16, now=LATER) == {
        "TableName": "outbox",
        "Key": KEY_ITEM,
        "UpdateExpression": f"{SET_AGAIN} REMOVE #expires, #parked, #reason",
        "ConditionExpression": "#marker = :marker AND attribute_not_exists(#redrives)",
        "ExpressionAttributeNames": SENT_AGAIN_NAMES,
        "ExpressionAttributeValues": {
            ":marker": {"S": "parked"},
            ":bucket": {"S": "08"},
            ":count": {"N": "1"},
            ":now": {"S": LATER},
        },
    }


def test_a_redrive_counts_on_from_the_count_that_was_seen() -> None:
    request = redrive_request(parked(RedriveCount={"N": "4"}), ORDERED, "outbox", buckets=1, now=LATER)
    assert request["ConditionExpression"] == "#marker = :marker AND #redrives = :redrives"
    assert request["ExpressionAttributeValues"] == {
        ":marker": {"S": "parked"},
        ":redrives": {"N": "4"},
        ":bucket": {"S": "00"},
        ":count": {"N": "5"},
        ":now": {"S": LATER},
    }


def test_an_item_without_an_id_is_spread_by_its_key_and_one_of_no_unicode_too() -> None:
    def bucket(**attributes: Any) -> Any:
        request = redrive_request(parked(**attributes), ORDERED, "outbox", buckets=100, now=LATER)
        return request["ExpressionAttributeValues"][":bucket"]

    assert bucket(MessageId={"S": "m"}) == {"S": "92"}  # crc32(b"m") % 100
    assert bucket(MessageId={"N": "1"}) == {"S": "32"}  # crc32(b"PK=AGGREGATE#o SK=MESSAGE#m") % 100
    assert bucket(MessageId={"S": "\ud800"}) == {"S": "40"}  # crc32(b"?") % 100


def test_a_replay_adds_its_mark_to_the_headers_there_are() -> None:
    item = dispatched(Headers={"M": {"tenant": {"S": "7"}}})
    assert replay_request(item, ORDERED, "outbox", buckets=16, began_at=AT, now=LATER) == {
        "TableName": "outbox",
        "Key": KEY_ITEM,
        "UpdateExpression": (
            f"{SET_AGAIN}, #headers.#replayed = :replayed REMOVE #expires, #parked, #reason"
        ),
        "ConditionExpression": (
            "attribute_not_exists(#marker) AND #dispatched = :dispatched"
            " AND attribute_not_exists(#redrives) AND attribute_type(#headers, :map)"
        ),
        "ExpressionAttributeNames": {
            **SENT_AGAIN_NAMES,
            "#dispatched": "LastDispatchedAt",
            "#headers": "Headers",
            "#replayed": "replayed",
        },
        "ExpressionAttributeValues": {
            ":dispatched": {"S": AT},
            ":replayed": {"S": AT},
            ":map": {"S": "M"},
            ":bucket": {"S": "08"},
            ":count": {"N": "1"},
            ":now": {"S": LATER},
        },
    }


@pytest.mark.parametrize(
    ("headers", "condition", "more"),
    [
        (None, "attribute_not_exists(#headers)", {}),
        ({"NULL": True}, "#headers = :headers", {":headers": {"NULL": True}}),
        ({"M": "no map"}, "#headers = :headers", {":headers": {"M": "no map"}}),
    ],
)
def test_a_replay_makes_headers_where_there_are_none(headers: Any, condition: str, more: Any) -> None:
    item = dispatched(**({} if headers is None else {"Headers": headers}))
    request = replay_request(item, ORDERED, "outbox", buckets=16, began_at=AT, now=LATER)
    assert request["UpdateExpression"] == (
        f"{SET_AGAIN}, #headers = :replayed REMOVE #expires, #parked, #reason"
    )
    assert request["ConditionExpression"].endswith(f" AND {condition}")
    assert request["ExpressionAttributeNames"] == {
        **SENT_AGAIN_NAMES,
        "#dispatched": "LastDispatchedAt",
        "#headers": "Headers",
    }
    assert request["ExpressionAttributeValues"] == {
        ":dispatched": {"S": AT},
        ":replayed": {"M": {"replayed": {"S": AT}}},
        ":bucket": {"S": "08"},
        ":count": {"N": "1"},
        ":now": {"S": LATER},
        **more,
    }


def test_nine_attributes_leave_room_for_one_more_and_ten_do_not() -> None:
    def headers(count: int, *names: str) -> Any:
        return {"M": {name: {"S": "1"} for name in [*(f"h{number}" for number in range(count)), *names]}}

    assert refuse_replay(dispatched(Headers=headers(7))) is None
    assert refuse_replay(dispatched(Headers=headers(8))) == "attributes:10"
    assert refuse_replay(dispatched(Headers=headers(9))) == "attributes:10"
    assert refuse_replay(dispatched(Headers=headers(7, "replayed"))) is None, "it has the attribute already"


def test_a_replay_takes_up_what_was_dispatched_before_it_began() -> None:
    began = datetime(2026, 11, 23, 9, 0, 1, tzinfo=UTC)
    mark = "2026-11-23T09:00:01.000000Z"
    before = dispatched(SK={"S": "MESSAGE#1"})
    with_headers = dispatched(SK={"S": "MESSAGE#2"}, Headers={"M": {"replayed": {"S": AT}}})
    at_once = dispatched(SK={"S": "MESSAGE#3"}, LastDispatchedAt={"S": mark})
    by_it = dispatched(SK={"S": "MESSAGE#4"}, Headers={"M": {"replayed": {"S": mark}}})
    waiting = seen(SK={"S": "MESSAGE#5"}, NotDispatched={"S": "03"}, LastDispatchedAt={"S": AT})
    no_time = dispatched(SK={"S": "MESSAGE#6"}, LastDispatchedAt={"S": "?"})
    everything = [no_time, waiting, by_it, at_once, with_headers, before]

    assert plan_replay(everything, began_at=began) == ((before,), (with_headers,))


def test_a_redrive_goes_by_aggregate_the_one_with_the_oldest_first() -> None:
    def item(name: str, aggregate: str, hour: int, number: int | None = None) -> SeenItem:
        numbered = {} if number is None else {"Sequence": {"N": str(number)}}
        return parked(
            SK={"S": f"MESSAGE#{name}"},
            AggregateId={"S": aggregate},
            CreatedAt={"S": f"2026-11-23T{hour:02d}:00:00Z"},
            **numbered,
        )

    a2, a1 = item("a2", "a", 5, number=1), item("a1", "a", 9, number=2)
    b1, b2 = item("b1", "b", 6), item("b2", "b", 7)
    other = seen(SK={"S": "MESSAGE#x"}, NotDispatched={"S": "01"})

    assert plan_redrive([a1, other, b2, b1, a2]) == ((a2, a1), (b1, b2))
    assert plan_redrive([a1, b2, b1, a2], limit=3) == ((a2,), (b1, b2))
    assert plan_redrive([a1, b2, b1, a2], limit=1) == ((a2,),)


def test_what_has_been_dispatched_is_scanned_without_its_body() -> None:
    request = list_dispatched_request(KEYED, "outbox", segment=1, segments=4, cursor=None, limit=50)
    names = request.pop("ExpressionAttributeNames")
    projection = request.pop("ProjectionExpression").split(", ")
    assert request == {
        "TableName": "outbox",
        "FilterExpression": "attribute_not_exists(#marker) AND attribute_exists(#dispatched)",
        "ConsistentRead": True,
        "Segment": 1,
        "TotalSegments": 4,
        "Limit": 50,
    }
    assert names.pop("#marker") == "NotDispatched"
    assert names.pop("#dispatched") == "LastDispatchedAt"
    assert projection == list(names)
    assert sorted(names.values()) == sorted(seen_attributes(KEYED))

    more = list_dispatched_request(KEYED, "outbox", segment=1, segments=4, cursor=CURSOR, limit=50)
    assert more["ExclusiveStartKey"] == CURSOR
    assert more.keys() - {"ExclusiveStartKey"} == {
        *request,
        "ExpressionAttributeNames",
        "ProjectionExpression",
    }


def test_all_that_is_written_of_an_item_is_read_but_its_body() -> None:
    assert seen_attributes(ORDERED) == {
        *("PK", "SK", "MessageId", "AggregateId", "CorrelationId", "Topic", "CreatedAt", "IsDispatched"),
        *("ApproximateDispatchCount", "LastDispatchedAt", "NotDispatched", "MessageType", "SchemaVersion"),
        *("ContentType", "Headers", "Sequence", "ExpiresAt", "ParkedAt", "ParkReason", "TouchedAt"),
        *("RedriveCount", "Hops"),
    }
    assert seen_attributes(KEYED) == seen_attributes(ORDERED) - {"SK"}


def test_one_aggregate_is_queried_by_its_partition() -> None:
    request = list_aggregate_request("o-1", ORDERED, "outbox", cursor=None)
    names = request.pop("ExpressionAttributeNames")
    assert names["#partition"] == "PK"
    assert request.pop("ProjectionExpression") == ", ".join(name for name in names if name[:2] == "#a")
    assert request == {
        "TableName": "outbox",
        "FilterExpression": "attribute_not_exists(#marker) AND attribute_exists(#dispatched)",
        "ConsistentRead": True,
        "KeyConditionExpression": "#partition = :partition",
        "ExpressionAttributeValues": {":partition": {"S": "AGGREGATE#o-1"}},
    }
    assert list_aggregate_request("o-1", ORDERED, "outbox", cursor=CURSOR)["ExclusiveStartKey"] == CURSOR


# Deleting


def test_a_purge_deletes_what_is_still_as_it_was_seen() -> None:
    assert purge_request(dispatched(RedriveCount={"N": "2"}), ORDERED, "outbox") == {
        "TableName": "outbox",
        "Key": KEY_ITEM,
        "ConditionExpression": (
            "attribute_not_exists(#marker) AND #dispatched = :dispatched AND #redrives = :redrives"
        ),
        "ExpressionAttributeNames": {
            "#marker": "NotDispatched",
            "#redrives": "RedriveCount",
            "#dispatched": "LastDispatchedAt",
        },
        "ExpressionAttributeValues": {":dispatched": {"S": AT}, ":redrives": {"N": "2"}},
    }
    assert purge_request(parked(), ORDERED, "outbox") == {
        "TableName": "outbox",
        "Key": KEY_ITEM,
        "ConditionExpression": "#marker = :marker AND attribute_not_exists(#redrives)",
        "ExpressionAttributeNames": {"#marker": "NotDispatched", "#redrives": "RedriveCount"},
        "ExpressionAttributeValues": {":marker": {"S": "parked"}},
    }


def test_a_purge_takes_one_state_the_oldest_first() -> None:
    def at(hour: int, item: Any = dispatched, **attributes: Any) -> SeenItem:
        created: SeenItem = item(
            SK={"S": f"MESSAGE#{hour}"}, CreatedAt={"S": f"2026-11-23T0{hour}:00:00Z"}, **attributes
        )
        return created

    began = datetime(2026, 11, 23, 9, tzinfo=UTC)
    old, young = (at(hour, LastDispatchedAt={"S": "2026-11-23T08:59:59Z"}) for hour in (3, 4))
    now, waits = at(5), at(6, parked)
    assert plan_purge([young, waits, now, old], state="dispatched", began_at=began) == [old, young]
    assert plan_purge([young, waits, now, old], state="parked", began_at=began) == [waits]


def test_to_lose_what_is_outstanding_has_to_be_forced() -> None:
    check_purge("outstanding", force=True)
    check_purge("parked", force=False)
    with pytest.raises(ConfigurationError) as raised:
        check_purge("outstanding", force=False)
    assert str(raised.value) == (
        "force: outstanding messages are published by nobody once they are deleted; force it to lose them"
    )


# Looking


def test_a_message_is_scanned_for_by_its_id() -> None:
    request = scan_for_request("m-1", ORDERED, "outbox", segment=0, segments=2, cursor=None)
    assert request == {
        "TableName": "outbox",
        "FilterExpression": "#id = :id",
        "ExpressionAttributeNames": {"#id": "MessageId"},
        "ExpressionAttributeValues": {":id": {"S": "m-1"}},
        "Segment": 0,
        "TotalSegments": 2,
    }
    more = scan_for_request("m-1", ORDERED, "outbox", segment=0, segments=2, cursor=CURSOR)
    assert more == {**request, "ExclusiveStartKey": CURSOR}


def test_a_key_is_made_of_what_the_design_needs() -> None:
    assert key_of_message("m", "o", ORDERED) == KEY
    assert key_of_message("m", None, ORDERED) is None
    by_id = ItemKey((("PK", "S", "MESSAGE#m"),))
    assert key_of_message("m", None, KEYED) == by_id
    assert key_of_message("m", "o", KEYED) == by_id


def test_a_key_names_its_message_in_the_part_that_the_design_has_for_it() -> None:
    assert is_named_by(KEY, "m", ORDERED)
    assert not is_named_by(KEY, "n", ORDERED)
    assert not is_named_by(KEY, "m", KEYED)
    by_id = ItemKey((("PK", "S", "MESSAGE#m"),))
    assert is_named_by(by_id, "m", KEYED)
    assert not is_named_by(by_id, "m", ORDERED)


def test_a_bucket_is_read_from_its_oldest_on() -> None:
    request = list_bucket_request("07", ORDERED, "outbox", cursor=None, limit=25)
    assert request == {
        "TableName": "outbox",
        "IndexName": "NotDispatchedMessagesIndex",
        "KeyConditionExpression": "#marker = :bucket",
        "ExpressionAttributeNames": {"#marker": "NotDispatched"},
        "ExpressionAttributeValues": {":bucket": {"S": "07"}},
        "ScanIndexForward": True,
        "Limit": 25,
    }
    more = list_bucket_request("07", ORDERED, "outbox", cursor=CURSOR, limit=25)
    assert more == {**request, "ExclusiveStartKey": CURSOR}


def test_a_page_of_a_bucket_may_be_its_last_or_empty() -> None:
    item = {**KEY_ITEM, "CreatedAt": {"S": AT}, "NotDispatched": {"S": "07"}}
    assert decode_page({"Items": [item]}, ORDERED) == BucketPage((Sighting(KEY, AT),), None)
    assert decode_page({"Items": [], "LastEvaluatedKey": CURSOR}, ORDERED) == BucketPage((), CURSOR)
    assert decode_page({"LastEvaluatedKey": {}}, ORDERED) == BucketPage((), None)
    by_id = {"PK": {"S": "MESSAGE#m"}, "CreatedAt": {"S": AT}}
    assert decode_page({"Items": [by_id]}, KEYED) == BucketPage(
        (Sighting(ItemKey((("PK", "S", "MESSAGE#m"),)), AT),), None
    )


def test_items_are_fetched_whole_or_as_far_as_they_are_judged_by() -> None:
    assert fetch_request([KEY], ORDERED, "outbox", whole=True) == {
        "RequestItems": {"outbox": {"Keys": [KEY_ITEM], "ConsistentRead": True}}
    }
    assert fetch_request([KEY], ORDERED, "outbox", whole=False) == {
        "RequestItems": {
            "outbox": {
                "Keys": [KEY_ITEM],
                "ConsistentRead": True,
                "ProjectionExpression": "#a0, #a1, #a2, #a3, #a4, #a5, #a6",
                "ExpressionAttributeNames": {
                    "#a0": "AggregateId",
                    "#a1": "CreatedAt",
                    "#a2": "NotDispatched",
                    "#a3": "PK",
                    "#a4": "SK",
                    "#a5": "Sequence",
                    "#a6": "TouchedAt",
                },
            }
        }
    }


def keys(*names: str) -> list[ItemKey]:
    return [ItemKey.from_item({**KEY_ITEM, "SK": {"S": name}}) for name in names]


def test_what_was_fetched_is_told_from_what_is_gone_and_what_is_undone() -> None:
    there, gone, undone = keys("a", "b", "c")
    item = {**there.to_item(), "Topic": {"S": "orders"}}
    answer = {
        "Responses": {"outbox": [item], "another": [gone.to_item()]},
        "UnprocessedKeys": {"outbox": {"Keys": [undone.to_item()]}, "another": {"Keys": [there.to_item()]}},
    }
    assert decode_fetch_response([there, gone, undone], answer, ORDERED, "outbox") == {
        there: Fetched(item),
        gone: Missing(),
        undone: Unreadable("Throttled"),
    }
    empties: tuple[Any, ...] = (
        {},
        {"Responses": None, "UnprocessedKeys": None},
        {"Responses": {}, "UnprocessedKeys": {}},
    )
    for empty in empties:
        assert decode_fetch_response([gone], empty, ORDERED, "outbox") == {gone: Missing()}
    nothing: Any = {"UnprocessedKeys": {"outbox": {}}}
    assert decode_fetch_response([gone], nothing, ORDERED, "outbox") == {gone: Missing()}


def test_a_lookup_reads_the_marker_and_the_redrives() -> None:
    assert lookup_request([KEY], ORDERED, "outbox") == {
        "RequestItems": {
            "outbox": {
                "Keys": [KEY_ITEM],
                "ConsistentRead": True,
                "ProjectionExpression": "#a0, #a1, #a2, #a3",
                "ExpressionAttributeNames": {
                    "#a0": "NotDispatched",
                    "#a1": "PK",
                    "#a2": "RedriveCount",
                    "#a3": "SK",
                },
            }
        }
    }


def test_what_a_lookup_found() -> None:
    waiting, redriven, settled, gone, undone = keys("a", "b", "c", "d", "e")
    answer = {
        "Responses": {
            "outbox": [
                {**waiting.to_item(), "NotDispatched": {"S": "01"}},
                {**redriven.to_item(), "NotDispatched": {"S": "01"}, "RedriveCount": {"N": "3"}},
                settled.to_item(),
            ]
        },
        "UnprocessedKeys": {"outbox": {"Keys": [undone.to_item()]}},
    }
    asked = [waiting, redriven, settled, gone, undone]
    assert decode_lookup_response(asked, answer, ORDERED, "outbox") == (
        {
            waiting: Found(outstanding=True, redrive_count=0),
            redriven: Found(outstanding=True, redrive_count=3),
            settled: Found(outstanding=False, redrive_count=0),
            gone: Missing(),
        },
        (undone,),
    )
    empties: tuple[Any, ...] = (
        {},
        {"Responses": None, "UnprocessedKeys": None},
        {"Responses": {}, "UnprocessedKeys": {}},
        {"UnprocessedKeys": {"outbox": {}}},
    )
    for empty in empties:
        assert decode_lookup_response([gone], empty, ORDERED, "outbox") == ({gone: Missing()}, ())
    assert decode_lookup_response([], {}, ORDERED, "outbox") == ({}, ())


# Writing


def test_a_touch_changes_what_is_still_outstanding_and_was_not_touched_lately() -> None:
    touch = Touch(key=KEY, marker={"S": "07"}, now=LATER, unless_since=AT)
    assert touch_request(touch, ORDERED, "outbox") == {
        "TableName": "outbox",
        "Key": KEY_ITEM,
        "UpdateExpression": "SET #touched = :now",
        "ConditionExpression": "#marker = :marker AND (attribute_not_exists(#touched) OR #touched < :since)",
        "ExpressionAttributeNames": {"#marker": "NotDispatched", "#touched": "TouchedAt"},
        "ExpressionAttributeValues": {":marker": {"S": "07"}, ":now": {"S": LATER}, ":since": {"S": AT}},
    }
    binary = msgspec.structs.replace(touch, marker={"B": "eHg="})
    request = touch_request(binary, ORDERED, "outbox")
    assert request["ExpressionAttributeValues"][":marker"] == {"B": b"xx"}, "clients encode it themselves"


MARK = Mark(key=KEY, marker={"S": "07"}, dispatched_at=AT, dispatch_count=2, redrive_count=1)


def test_a_mark_is_one_update() -> None:
    assert mark_request(MARK, ORDERED, "outbox") == {
        "TableName": "outbox",
        "Key": KEY_ITEM,
        "UpdateExpression": "SET #n0 = :v0, #n1 = :v1, #n2 = :v2 REMOVE #marker",
        "ConditionExpression": "#marker = :marker AND NOT #redrives > :redrives",
        "ExpressionAttributeNames": {
            "#marker": "NotDispatched",
            "#redrives": "RedriveCount",
            "#n0": "IsDispatched",
            "#n1": "LastDispatchedAt",
            "#n2": "ApproximateDispatchCount",
        },
        "ExpressionAttributeValues": {
            ":redrives": {"N": "1"},
            ":marker": {"S": "07"},
            ":v0": {"BOOL": True},
            ":v1": {"S": AT},
            ":v2": {"N": "2"},
        },
    }
    expiring = mark_request(msgspec.structs.replace(MARK, expires_at=1_800_000_000), ORDERED, "outbox")
    assert expiring["UpdateExpression"] == "SET #n0 = :v0, #n1 = :v1, #n2 = :v2, #n3 = :v3 REMOVE #marker"
    assert expiring["ExpressionAttributeNames"]["#n3"] == "ExpiresAt"
    assert expiring["ExpressionAttributeValues"][":v3"] == {"N": "1800000000"}


def test_marks_are_statements_of_one_request() -> None:
    expiring = msgspec.structs.replace(MARK, expires_at=1_800_000_000, marker={"B": "eHg="})
    assert mark_statements_request([MARK, expiring], ORDERED, "outbox") == {
        "Statements": [
            {
                "Statement": (
                    'UPDATE "outbox" SET "IsDispatched"=? SET "LastDispatchedAt"=?'
                    ' SET "ApproximateDispatchCount"=? REMOVE "NotDispatched"'
                    ' WHERE "PK"=? AND "SK"=? AND "NotDispatched"=? AND NOT "RedriveCount" > ?'
                ),
                "Parameters": [
                    {"BOOL": True},
                    {"S": AT},
                    {"N": "2"},
                    {"S": "AGGREGATE#o"},
                    {"S": "MESSAGE#m"},
                    {"S": "07"},
                    {"N": "1"},
                ],
            },
            {
                "Statement": (
                    'UPDATE "outbox" SET "IsDispatched"=? SET "LastDispatchedAt"=?'
                    ' SET "ApproximateDispatchCount"=? SET "ExpiresAt"=? REMOVE "NotDispatched"'
                    ' WHERE "PK"=? AND "SK"=? AND "NotDispatched"=? AND NOT "RedriveCount" > ?'
                ),
                "Parameters": [
                    {"BOOL": True},
                    {"S": AT},
                    {"N": "2"},
                    {"N": "1800000000"},
                    {"S": "AGGREGATE#o"},
                    {"S": "MESSAGE#m"},
                    {"B": b"xx"},
                    {"N": "1"},
                ],
            },
        ]
    }


def test_a_name_in_a_statement_is_quoted_whatever_it_holds() -> None:
    (statement,) = mark_statements_request([MARK], OWN_NAMES, 'out"box')["Statements"]
    assert statement["Statement"] == (
        'UPDATE "out""box" SET "IsDispatched"=? SET "LastDispatchedAt"=?'
        ' SET "ApproximateDispatchCount"=? REMOVE "a""b"'
        ' WHERE "PK"=? AND "SK"=? AND "a""b"=? AND NOT "RedriveCount" > ?'
    )


def test_a_park_keeps_the_reason_and_the_time() -> None:
    assert park_request(Park(KEY, {"S": "07"}, "size:300000", 2), ORDERED, "outbox", now=LATER) == {
        "TableName": "outbox",
        "Key": KEY_ITEM,
        "UpdateExpression": (
            "SET #marker = :parked, #n1 = :now, #n2 = :reason, #n3 = if_not_exists(#n3, :now)"
        ),
        "ConditionExpression": "#marker = :marker AND NOT #redrives > :redrives",
        "ExpressionAttributeNames": {
            "#marker": "NotDispatched",
            "#redrives": "RedriveCount",
            "#n1": "ParkedAt",
            "#n2": "ParkReason",
            "#n3": "CreatedAt",
        },
        "ExpressionAttributeValues": {
            ":redrives": {"N": "2"},
            ":marker": {"S": "07"},
            ":parked": {"S": "parked"},
            ":now": {"S": LATER},
            ":reason": {"S": "size:300000"},
        },
    }


def test_a_marker_of_another_type_is_parked_whatever_it_is() -> None:
    request = park_request(Park(KEY, {"N": "7"}, "marker"), ORDERED, "outbox", now=LATER)
    assert request["ConditionExpression"] == (
        "attribute_exists(#marker) AND #marker <> :parked AND NOT #redrives > :redrives"
    )
    assert request["ExpressionAttributeValues"] == {
        ":redrives": {"N": "0"},
        ":parked": {"S": "parked"},
        ":now": {"S": LATER},
        ":reason": {"S": "marker"},
    }


def test_a_mark_that_deletes() -> None:
    assert delete_marks_request([MARK], "outbox") == {
        "RequestItems": {"outbox": [{"DeleteRequest": {"Key": KEY_ITEM}}]}
    }


def test_the_answers_of_statements_are_read_one_by_one() -> None:
    answer = {
        "Responses": [
            {},
            {"Error": {"Code": "ConditionalCheckFailed"}},
            {"Error": {"Code": "ConditionalCheckFailedException"}},
            {"Error": {"Code": "ThrottlingError", "Message": "s3cr3t"}},
            {"Error": {"Message": "s3cr3t"}},
        ]
    }
    assert decode_statement_response([MARK] * 6, answer) == (
        Marked(),
        Marked(gone=True),
        Marked(gone=True),
        Unwritten("ThrottlingError"),
        Unwritten(""),
        Unwritten("MissingFromResponse"),
    )
    assert decode_statement_response([MARK], {}) == (Unwritten("MissingFromResponse"),)
    assert decode_statement_response([MARK], {"Responses": None}) == (Unwritten("MissingFromResponse"),)


def test_what_a_batch_of_deletes_leaves_undone_is_not_written() -> None:
    done, undone = (msgspec.structs.replace(MARK, key=key) for key in keys("a", "b"))
    answer = {"UnprocessedItems": {"outbox": [{"DeleteRequest": {"Key": undone.key.to_item()}}]}}
    assert decode_delete_response([done, undone], answer, "outbox") == (Marked(), Unwritten("Throttled"))
    empties: tuple[Any, ...] = ({}, {"UnprocessedItems": None}, {"UnprocessedItems": {}})
    for empty in empties:
        assert decode_delete_response([done], empty, "outbox") == (Marked(),)
    elsewhere = {"UnprocessedItems": {"another": [{"DeleteRequest": {"Key": done.key.to_item()}}]}}
    assert decode_delete_response([done], elsewhere, "outbox") == (Marked(),)

"""The table of each design, as it is created, and what is seen to differ in one that exists."""

import copy
from typing import Any

import msgspec
import pytest

from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.core.mark import (
    Mark,
    Park,
    delete_marks_request,
    mark_request,
    mark_statements_request,
    park_request,
)
from outbox_sdk.core.table import (
    TableDesign,
    create_table_request,
    find_table_differences,
    time_to_live_request,
)
from tests.property.oracles import check_create_table

STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
OUTSTANDING = {
    "IndexName": "NotDispatchedMessagesIndex",
    "KeySchema": [
        {"AttributeName": "NotDispatched", "KeyType": "HASH"},
        {"AttributeName": "CreatedAt", "KeyType": "RANGE"},
    ],
    "Projection": {"ProjectionType": "KEYS_ONLY"},
}


def test_the_ordered_table() -> None:
    request = create_table_request(TableDesign.ordered, "outbox")
    check_create_table(request)
    assert request == {
        "TableName": "outbox",
        "KeySchema": [
            {"AttributeName": "PK", "KeyType": "HASH"},
            {"AttributeName": "SK", "KeyType": "RANGE"},
        ],
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": STREAM,
        "GlobalSecondaryIndexes": [OUTSTANDING],
        # A table with a local index keeps an aggregate in one partition, and so in one shard of the stream.
        "LocalSecondaryIndexes": [
            {
                "IndexName": "AggregateSequenceIndex",
                "KeySchema": [
                    {"AttributeName": "PK", "KeyType": "HASH"},
                    {"AttributeName": "Sequence", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        "AttributeDefinitions": [
            {"AttributeName": "PK", "AttributeType": "S"},
            {"AttributeName": "NotDispatched", "AttributeType": "S"},
            {"AttributeName": "CreatedAt", "AttributeType": "S"},
            {"AttributeName": "SK", "AttributeType": "S"},
            {"AttributeName": "Sequence", "AttributeType": "N"},
        ],
    }


def test_the_message_keyed_table() -> None:
    request = create_table_request(TableDesign.message_keyed, "outbox")
    check_create_table(request)
    assert request == {
        "TableName": "outbox",
        "KeySchema": [{"AttributeName": "PK", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": STREAM,
        "GlobalSecondaryIndexes": [OUTSTANDING],
        "AttributeDefinitions": [
            {"AttributeName": "PK", "AttributeType": "S"},
            {"AttributeName": "NotDispatched", "AttributeType": "S"},
            {"AttributeName": "CreatedAt", "AttributeType": "S"},
        ],
    }


def test_a_table_with_names_of_its_own() -> None:
    design = msgspec.structs.replace(
        TableDesign.ordered, partition_key="pk", sort_key="sk", not_dispatched="todo", expires_at="ttl"
    )
    check_create_table(create_table_request(design, "outbox"))
    assert time_to_live_request(design, "outbox") == {
        "TableName": "outbox",
        "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "ttl"},
    }
    with pytest.raises(ValueError, match="sort key"):
        msgspec.structs.replace(design, sort_key=None).item_key_values("a", "m")


def description(design: TableDesign) -> dict[str, Any]:
    return copy.deepcopy(create_table_request(design, "outbox"))


@pytest.mark.parametrize("design", [TableDesign.ordered, TableDesign.message_keyed])
def test_a_table_made_for_a_design_fits_it(design: TableDesign) -> None:
    table = description(design)
    assert find_table_differences(design, "outbox", table) == []
    table["StreamSpecification"]["StreamViewType"] = "NEW_IMAGE"
    table["GlobalSecondaryIndexes"].append({"IndexName": "another", "KeySchema": OUTSTANDING["KeySchema"]})
    assert find_table_differences(design, "outbox", table) == []


def test_every_difference_is_told() -> None:
    bare = {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}
    assert find_table_differences(TableDesign.ordered, "outbox", bare) == [
        "its key is ['id'], not ['PK', 'SK']",
        "its index NotDispatchedMessagesIndex is absent, not ['NotDispatched', 'CreatedAt']",
        "its index AggregateSequenceIndex is absent, not ['PK', 'Sequence']",
        "its stream view is absent, not NEW_AND_OLD_IMAGES",
    ]
    table = description(TableDesign.message_keyed)
    table["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    table["GlobalSecondaryIndexes"][0]["KeySchema"][1]["AttributeName"] = "Sequence"
    assert find_table_differences(TableDesign.message_keyed, "outbox", table) == [
        "its index NotDispatchedMessagesIndex is ['NotDispatched', 'Sequence'], "
        "not ['NotDispatched', 'CreatedAt']",
        "its stream view is KEYS_ONLY, not NEW_AND_OLD_IMAGES",
    ]


KEY = ItemKey((("PK", "S", "AGGREGATE#1"), ("SK", "S", "MESSAGE#a")))
MARK = Mark(key=KEY, marker={"S": "07"}, dispatched_at="2026-11-23T09:00:00.000000Z", dispatch_count=1)


def test_a_mark_as_partiql() -> None:
    mark = msgspec.structs.replace(MARK, expires_at=1_763_888_400)
    (statement,) = mark_statements_request([mark], TableDesign.ordered, "outbox")["Statements"]
    assert statement == {
        "Statement": (
            'UPDATE "outbox" SET "IsDispatched"=? SET "LastDispatchedAt"=? SET "ApproximateDispatchCount"=? '
            'SET "ExpiresAt"=? REMOVE "NotDispatched" WHERE "PK"=? AND "SK"=? AND "NotDispatched"=? '
            'AND NOT "RedriveCount" > ?'
        ),
        "Parameters": [
            {"BOOL": True},
            {"S": "2026-11-23T09:00:00.000000Z"},
            {"N": "1"},
            {"N": "1763888400"},
            {"S": "AGGREGATE#1"},
            {"S": "MESSAGE#a"},
            {"S": "07"},
            {"N": "0"},
        ],
    }


def test_a_mark_as_update() -> None:
    assert mark_request(MARK, TableDesign.ordered, "outbox") == {
        "TableName": "outbox",
        "Key": {"PK": {"S": "AGGREGATE#1"}, "SK": {"S": "MESSAGE#a"}},
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
            ":marker": {"S": "07"},
            ":redrives": {"N": "0"},
            ":v0": {"BOOL": True},
            ":v1": {"S": "2026-11-23T09:00:00.000000Z"},
            ":v2": {"N": "1"},
        },
    }


def test_a_mark_as_delete() -> None:
    key = {"PK": {"S": "AGGREGATE#1"}, "SK": {"S": "MESSAGE#a"}}
    assert delete_marks_request([MARK], "outbox") == {
        "RequestItems": {"outbox": [{"DeleteRequest": {"Key": key}}]}
    }


def test_a_park() -> None:
    request = park_request(Park(KEY, {"S": "07"}, "empty"), TableDesign.ordered, "outbox", now="now")
    assert request["UpdateExpression"] == (
        "SET #marker = :parked, #n1 = :now, #n2 = :reason, #n3 = if_not_exists(#n3, :now)"
    )
    assert request["ConditionExpression"] == "#marker = :marker AND NOT #redrives > :redrives"
    assert request["ExpressionAttributeNames"] == {
        "#marker": "NotDispatched",
        "#redrives": "RedriveCount",
        "#n1": "ParkedAt",
        "#n2": "ParkReason",
        "#n3": "CreatedAt",
    }
    assert request["ExpressionAttributeValues"] == {
        ":marker": {"S": "07"},
        ":redrives": {"N": "0"},
        ":parked": {"S": "parked"},
        ":now": {"S": "now"},
        ":reason": {"S": "empty"},
    }

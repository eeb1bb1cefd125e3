"""What calls on the table answer, in memory and on the servers: the same, to the last cursor."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
import pytest_asyncio

from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell.aws.errors import translate_error
from outbox_sdk.shell.table_calls import DynamoDbCalls, TableCalls
from outbox_sdk.testing import InMemoryCalls, InMemoryTable
from tests.support.aws import open_services
from tests.support.fixtures import endpoint_of
from tests.support.outbox_tables import MemoryTable, TableView, item_of, open_outbox_table

pytestmark = [pytest.mark.integration, pytest.mark.once, pytest.mark.asyncio(loop_scope="module")]

MARKER = {"#m": "NotDispatched"}


class Case(NamedTuple):
    """A table with nine outstanding items of three aggregates in bucket 07, and calls on it."""

    calls: TableCalls
    name: str
    keys: list[dict[str, Any]]

    async def call(self, operation: str, **arguments: Any) -> Any:
        """Make a call on the table."""
        return await self.calls.call(operation, {"TableName": self.name, **arguments})

    async def pages(self, operation: str, **arguments: Any) -> list[list[dict[str, Any]]]:
        """Read to the end, page by page."""
        answer = await self.call(operation, **arguments)
        pages = [answer["Items"]]
        while "LastEvaluatedKey" in answer:
            answer = await self.call(operation, **arguments, ExclusiveStartKey=answer["LastEvaluatedKey"])
            pages.append(answer["Items"])
        return pages


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["memory", "dynamodb_local", "ministack"])
async def case(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    design = TableDesign.ordered
    if request.param == "memory":
        table = InMemoryTable(design)
        yield await _filled(MemoryTable(table), InMemoryCalls(table), "outbox")
        return
    endpoint = endpoint_of(request, request.param)
    async with open_outbox_table(endpoint, design) as remote, open_services(endpoint) as services:
        yield await _filled(remote, DynamoDbCalls(services.dynamodb), remote.name)


async def _filled(table: TableView, calls: TableCalls, name: str) -> Case:
    keys = []
    for number in range(9):
        item = item_of(
            f"order-{number % 3}",
            f"m-{number}",
            table.design,
            NotDispatched={"S": "07"},
            CreatedAt={"S": f"2026-11-23T09:00:0{9 - number}.000000Z"},
            ParkReason={"S": f"r{number}"},
        )
        await table.put(item)
        keys.append({"PK": item["PK"], "SK": item["SK"]})
    return Case(calls, name, keys)


def _ids(items: list[dict[str, Any]]) -> list[str]:
    return [item["SK"]["S"] for item in items]


async def test_the_index_is_paged_by_time_and_shows_keys_only(case: Case) -> None:
    asked = {
        "IndexName": "NotDispatchedMessagesIndex",
        "KeyConditionExpression": "#m = :b",
        "ExpressionAttributeNames": MARKER,
        "ExpressionAttributeValues": {":b": {"S": "07"}},
        "Limit": 4,
    }
    pages = await case.pages("Query", **asked)

    assert [len(page) for page in pages] == [4, 4, 1]
    assert [_id for page in pages for _id in _ids(page)] == [f"MESSAGE#m-{n}" for n in range(8, -1, -1)]
    assert set(pages[0][0]) == {"PK", "SK", "NotDispatched", "CreatedAt"}


async def test_an_index_can_be_counted_and_read_backwards(case: Case) -> None:
    asked = {
        "IndexName": "NotDispatchedMessagesIndex",
        "KeyConditionExpression": "#m = :b",
        "ExpressionAttributeNames": MARKER,
        "ExpressionAttributeValues": {":b": {"S": "07"}},
    }
    counted = await case.call("Query", **asked, Select="COUNT")
    backwards = await case.call("Query", **asked, ScanIndexForward=False, Limit=2)

    assert (counted["Count"], counted.get("Items", [])) == (9, [])
    assert _ids(backwards["Items"]) == ["MESSAGE#m-0", "MESSAGE#m-1"]


async def test_an_aggregate_is_queried_with_a_filter_and_a_projection(case: Case) -> None:
    answer = await case.call(
        "Query",
        KeyConditionExpression="PK = :p",
        FilterExpression="ParkReason <> :r",
        ProjectionExpression="SK, ParkReason",
        ExpressionAttributeValues={":p": {"S": "AGGREGATE#order-1"}, ":r": {"S": "r4"}},
    )

    assert answer["Items"] == [
        {"SK": {"S": f"MESSAGE#m-{number}"}, "ParkReason": {"S": f"r{number}"}} for number in (1, 7)
    ]
    assert (answer["Count"], answer["ScannedCount"]) == (2, 3)


@pytest.mark.parametrize("limit", [2, 100])
async def test_segments_are_disjoint_whole_and_keep_an_aggregate_together(case: Case, limit: int) -> None:
    segments = [
        [
            item
            for page in await case.pages("Scan", Segment=number, TotalSegments=3, Limit=limit)
            for item in page
        ]
        for number in range(3)
    ]

    assert sorted(_ids([item for items in segments for item in items])) == sorted(
        key["SK"]["S"] for key in case.keys
    )
    for items in segments:
        owners = [item["PK"]["S"] for item in items]
        assert owners == sorted(owners, key=owners.index), "an aggregate comes in one piece"


async def test_items_are_read_alone_and_together(case: Case) -> None:
    missing = {"PK": {"S": "AGGREGATE#nobody"}, "SK": {"S": "MESSAGE#none"}}
    alone = await case.call("GetItem", Key=case.keys[0], ProjectionExpression="ParkReason")
    none = await case.call("GetItem", Key=missing)
    read = {"Keys": [case.keys[1], missing], "ConsistentRead": True}
    together = await case.calls.call("BatchGetItem", {"RequestItems": {case.name: read}})

    assert alone["Item"] == {"ParkReason": {"S": "r0"}}
    assert "Item" not in none
    assert _ids(together["Responses"][case.name]) == ["MESSAGE#m-1"]
    assert not together["UnprocessedKeys"]


async def test_writes_have_conditions(case: Case) -> None:
    key = {"PK": {"S": f"AGGREGATE#{uuid4()}"}, "SK": {"S": "MESSAGE#x"}}
    values = {":v": {"S": "1"}}
    update = {"Key": key, "UpdateExpression": "SET V = :v", "ExpressionAttributeValues": values}
    await case.call("UpdateItem", **update, ConditionExpression="attribute_not_exists(PK)")
    with pytest.raises(Exception) as again:  # noqa: PT011 - named below
        await case.call("UpdateItem", **update, ConditionExpression="attribute_not_exists(PK)")
    delete = {"Key": key, "ConditionExpression": "V = :v"}
    with pytest.raises(Exception) as other:  # noqa: PT011 - named below
        await case.call("DeleteItem", **delete, ExpressionAttributeValues={":v": {"S": "2"}})
    await case.call("DeleteItem", **delete, ExpressionAttributeValues=values)

    codes = {translate_error(each.value).code for each in (again, other)}
    assert codes == {"ConditionalCheckFailedException"}
    assert "Item" not in await case.call("GetItem", Key=key)


async def test_another_table_is_not_there(case: Case) -> None:
    with pytest.raises(Exception) as raised:  # noqa: PT011 - named below
        await case.calls.call("Scan", {"TableName": "there-is-no-such-table"})

    assert translate_error(raised.value).code == "ResourceNotFoundException"

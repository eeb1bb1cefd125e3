"""An outbox table, on a local server or in memory, with what tests need to see of it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import uuid4

from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.core.table import TableDesign, create_table_request
from outbox_sdk.provisioning import create_outbox_table
from outbox_sdk.testing import InMemoryTable
from tests.support.aws import open_client

__all__ = [
    "Items",
    "MemoryTable",
    "OutboxTable",
    "TableView",
    "item_of",
    "key_of",
    "open_outbox_table",
    "read_stream",
]

Items = dict[str, dict[str, Any]]
"""One item, its attributes by name."""


class TableView(Protocol):
    """The back door of a table: what a test writes into it, and what it finds there afterwards."""

    @property
    def design(self) -> TableDesign: ...

    async def put(self, item: Items) -> None: ...
    async def delete(self, key: ItemKey) -> None: ...
    async def get(self, key: ItemKey) -> Items | None: ...
    async def list_index(self, marker: str) -> list[ItemKey]: ...
    async def list_changes(self, key: ItemKey) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class OutboxTable:
    """A table made by the package's own provisioning, and clients at the server that holds it."""

    dynamodb: Any
    streams: Any
    name: str
    stream_arn: str
    design: TableDesign

    async def put(self, item: Items) -> None:
        """Write an item as it is."""
        await self.dynamodb.put_item(TableName=self.name, Item=item)

    async def delete(self, key: ItemKey) -> None:
        """Delete an item."""
        await self.dynamodb.delete_item(TableName=self.name, Key=key.to_item())

    async def get(self, key: ItemKey) -> Items | None:
        """Read an item, consistently; ``None`` where there is none."""
        answer = await self.dynamodb.get_item(TableName=self.name, Key=key.to_item(), ConsistentRead=True)
        item: Items | None = answer.get("Item")
        return item

    async def list_index(self, marker: str) -> list[ItemKey]:
        """List the items that the index of outstanding messages holds under a marker, oldest first."""
        answer = await self.dynamodb.query(
            TableName=self.name,
            IndexName=self.design.outstanding_index,
            KeyConditionExpression="#marker = :marker",
            ExpressionAttributeNames={"#marker": self.design.not_dispatched},
            ExpressionAttributeValues={":marker": {"S": marker}},
        )
        assert "LastEvaluatedKey" not in answer
        return [key_of(item, self.design) for item in answer["Items"]]

    async def list_changes(self, key: ItemKey) -> list[str]:
        """List what the stream tells of an item: ``INSERT``, ``MODIFY``, ``REMOVE``."""
        records = await read_stream(self.streams, self.stream_arn)
        return [
            record["eventName"] for record in records if ItemKey.from_item(record["dynamodb"]["Keys"]) == key
        ]


@dataclass(frozen=True, slots=True)
class MemoryTable:
    """The same of the table that users test with."""

    table: InMemoryTable

    @property
    def design(self) -> TableDesign:
        """The names of the table's keys and attributes."""
        return self.table.design

    async def put(self, item: Items) -> None:
        """Write an item as it is."""
        self.table.put(item)

    async def delete(self, key: ItemKey) -> None:
        """Delete an item."""
        del self.table.items[key]

    async def get(self, key: ItemKey) -> Items | None:
        """Read an item; ``None`` where there is none."""
        return self.table.items.get(key)

    async def list_index(self, marker: str) -> list[ItemKey]:
        """List the items that an index on marker and creation time would hold, oldest first."""
        names = (self.design.not_dispatched, self.design.created_at)
        held = [
            (item[names[1]]["S"], key)
            for key, item in self.table.items.items()
            if names[1] in item and item.get(names[0]) == {"S": marker}
        ]
        return [key for _, key in sorted(held, key=lambda pair: pair[0])]

    async def list_changes(self, key: ItemKey) -> list[str]:
        """List what the stream tells of an item: ``INSERT``, ``MODIFY``, ``REMOVE``."""
        return [
            record["eventName"]
            for record in self.table.records
            if ItemKey.from_item(record["dynamodb"]["Keys"]) == key
        ]


@asynccontextmanager
async def open_outbox_table(
    endpoint_url: str, design: TableDesign = TableDesign.ordered, *, with_stream: bool = True
) -> AsyncIterator[OutboxTable]:
    """Create a table with a name of its own and open clients for it.

    Without its stream it takes thousands of writes in half the time, where nobody reads what it brings.
    """
    async with (
        open_client("dynamodb", endpoint_url) as dynamodb,
        open_client("dynamodbstreams", endpoint_url) as streams,
    ):
        name = f"outbox-{uuid4().hex[:12]}"
        stream_arn = ""
        if with_stream:
            stream_arn = await create_outbox_table(dynamodb, name, design=design)
        else:
            request = create_table_request(design, name)
            del request["StreamSpecification"]
            await dynamodb.create_table(**request)
        yield OutboxTable(dynamodb, streams, name, stream_arn, design)


async def read_stream(streams: Any, stream_arn: str) -> list[dict[str, Any]]:
    """Read what a stream holds now, shard by shard; written without the package's own reader."""
    description = (await streams.describe_stream(StreamArn=stream_arn))["StreamDescription"]
    shards = await asyncio.gather(
        *(_read_shard(streams, stream_arn, shard["ShardId"]) for shard in description["Shards"])
    )
    return [record for shard in shards for record in shard]


async def _read_shard(streams: Any, stream_arn: str, shard_id: str) -> list[dict[str, Any]]:
    answer = await streams.get_shard_iterator(
        StreamArn=stream_arn, ShardId=shard_id, ShardIteratorType="TRIM_HORIZON"
    )
    iterator, found = answer["ShardIterator"], []
    while iterator:
        answer = await streams.get_records(ShardIterator=iterator)
        if not answer["Records"]:
            break
        found.extend(answer["Records"])
        iterator = answer.get("NextShardIterator")
    return found


def item_of(
    aggregate_id: str, message_id: str, design: TableDesign, *, marker: str = "03", **attributes: Any
) -> Items:
    """Write an outstanding item by hand; ``attributes`` replace or, where ``None``, remove what it has."""
    keys: Mapping[str, str] = design.item_key_values(aggregate_id, message_id)
    item: dict[str, Any] = {
        **{name: {"S": value} for name, value in keys.items()},
        design.message_id: {"S": message_id},
        design.aggregate_id: {"S": aggregate_id},
        design.topic: {"S": "order--created"},
        design.body: {"S": '{"order": 1}'},
        design.created_at: {"S": "2026-11-23T09:00:00.000000Z"},
        design.is_dispatched: {"BOOL": False},
        design.dispatch_count: {"N": "0"},
        design.not_dispatched: {"S": marker},
        **attributes,
    }
    return {name: value for name, value in item.items() if value is not None}


def key_of(item: Mapping[str, Any], design: TableDesign) -> ItemKey:
    """Give the key of an item."""
    names: Sequence[str | None] = (design.partition_key, design.sort_key)
    return ItemKey.from_item({name: item[name] for name in names if name is not None})

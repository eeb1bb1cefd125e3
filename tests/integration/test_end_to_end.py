"""The whole way of a message on an embedded stack: from the producer's transaction to its consumers."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import msgspec
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from outbox_sdk import (
    BatchReport,
    Catalog,
    Outbox,
    Relay,
    RelayConfiguration,
    follow_stream,
    message,
    open_relay,
)
from outbox_sdk.core.identifiers import Region, TableName
from outbox_sdk.core.mark import MarkStrategy
from outbox_sdk.core.outcome import Dispatched
from outbox_sdk.embedded_stack import EmbeddedStack
from tests.support.aws import open_client
from tests.support.outbox_tables import OutboxTable, key_of, open_outbox_table, read_stream
from tests.support.topics import Received, Topic, open_topic

pytestmark = pytest.mark.integration

AGGREGATES, STEPS = 20, 5
# Any: it comes with Moto, without types.
boto3: Any = import_module("boto3")


@message("order.changed", topic="order--changed.fifo")
class OrderChanged(msgspec.Struct):
    order_id: str
    step: int


@message("invoice.sent", topic="invoice--sent")
class InvoiceSent(msgspec.Struct):
    order_id: str
    step: int


@dataclass(frozen=True, slots=True)
class World:
    """A service with its orders and its outbox, a relay, and two topics with a consumer each."""

    stack: EmbeddedStack
    table: OutboxTable
    orders: str
    outbox: Outbox[OrderChanged | InvoiceSent]
    standard: Topic
    fifo: Topic
    prefix: str

    def configuration(self, **fields: Any) -> RelayConfiguration:
        """Configure a relay; the account is left for STS to name."""
        settings = {
            "dynamodb_outbox_table_name": TableName(self.table.name),
            "aws_endpoint_url": self.stack.endpoint_url,
            "aws_region": Region(self.stack.region),
            "aws_sns_topic_prefix": self.prefix,
            **fields,
        }
        return RelayConfiguration(**settings)

    @property
    def credentials(self) -> tuple[str, str]:
        return (self.stack.access_key_id, self.stack.secret_access_key)

    def transaction(self, order: int, step: int) -> list[Any]:
        """The change of an order and its two messages, committed together."""
        order_id, aggregate_id = f"{order}", f"order-{order}"
        return [
            {"Put": {"TableName": self.orders, "Item": {"PK": {"S": order_id}, "Step": {"N": f"{step}"}}}},
            self.outbox.put(OrderChanged(order_id, step), aggregate_id=aggregate_id, sequence=step),
            self.outbox.put(InvoiceSent(order_id, step), aggregate_id=aggregate_id, sequence=step),
        ]


@pytest.fixture
async def world(ministack: EmbeddedStack, unique: str) -> AsyncIterator[World]:
    url, prefix = ministack.endpoint_url, f"{unique}-"
    async with AsyncExitStack() as exits:
        table = await exits.enter_async_context(open_outbox_table(url))
        orders = f"orders-{unique}"
        await table.dynamodb.create_table(
            TableName=orders,
            AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
        standard = await exits.enter_async_context(open_topic(url, name=f"{prefix}invoice--sent"))
        fifo = await exits.enter_async_context(
            open_topic(url, fifo=True, name=f"{prefix}order--changed.fifo")
        )
        outbox = Outbox(table.name, catalog=Catalog(OrderChanged, InvoiceSent))
        yield World(ministack, table, orders, outbox, standard, fifo, prefix)


@pytest.mark.parametrize("strategy", ["batch", "single"])
async def test_two_hundred_messages_arrive_once_in_order_and_are_marked(
    world: World, strategy: MarkStrategy
) -> None:
    async def change_order(order: int) -> None:
        for step in range(STEPS):
            await world.table.dynamodb.transact_write_items(TransactItems=world.transaction(order, step))

    total = AGGREGATES * STEPS * 2
    configuration = world.configuration(outbox_mark_strategy=strategy)
    async with (
        open_relay(configuration, credentials=world.credentials) as relay,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(_relay_until(relay, world.table, total))
        for order in range(AGGREGATES):
            group.create_task(change_order(order))

    changes, invoices = await asyncio.gather(
        world.fifo.drain(expected=total // 2), world.standard.drain(expected=total // 2)
    )
    expected = Counter((f"{order}", step) for order in range(AGGREGATES) for step in range(STEPS))
    assert Counter(map(_step, changes)) == expected
    assert Counter(map(_step, invoices)) == expected
    for order in range(AGGREGATES):
        steps = [_step(message) for message in changes if message.group_id == f"order-{order}"]
        assert steps == [(f"{order}", step) for step in range(STEPS)]
    assert {message.attributes["MessageType"] for message in changes} == {("String", "order.changed")}
    await _assert_all_marked(world.table, total)


async def test_a_relay_follows_its_own_table(world: World) -> None:
    stop, reports = asyncio.Event(), []

    def note(report: BatchReport) -> None:
        reports.append(report)
        stop.set()

    async with open_relay(world.configuration(), credentials=world.credentials) as relay:
        await world.table.dynamodb.transact_write_items(TransactItems=world.transaction(1, 1))
        await asyncio.wait_for(relay.follow(stop=stop, on_batch=note, poll_seconds=0.02), timeout=30)

    assert [record.outcome for record in reports[0].records] == [Dispatched()] * 2
    assert len(await world.fifo.drain(expected=1)) == 1
    await _assert_all_marked(world.table, 2)


async def test_boto3_and_aiobotocore_take_the_same_entry(world: World) -> None:
    aio_entry = world.outbox.put(OrderChanged("1", 1), aggregate_id="order-1", headers={"trace": "t-1"})
    sync_entry = world.outbox.put(OrderChanged("2", 1), aggregate_id="order-2", headers={"trace": "t-2"})

    def write_with_boto3() -> None:
        client = boto3.client(
            "dynamodb",
            endpoint_url=world.stack.endpoint_url,
            region_name=world.stack.region,
            aws_access_key_id=world.stack.access_key_id,
            aws_secret_access_key=world.stack.secret_access_key,
            config=Config(proxies={}),
        )
        client.transact_write_items(TransactItems=[sync_entry])
        client.close()

    await world.table.dynamodb.transact_write_items(TransactItems=[aio_entry])
    await asyncio.to_thread(write_with_boto3)
    async with open_relay(world.configuration(), credentials=world.credentials) as relay:
        await _relay_until(relay, world.table, 2)

    received = await world.fifo.drain(expected=2)
    assert sorted((_step(message), message.attributes["trace"]) for message in received) == [
        (("1", 1), ("String", "t-1")),
        (("2", 1), ("String", "t-2")),
    ]
    await _assert_all_marked(world.table, 2)


async def test_a_transaction_that_fails_leaves_no_message(world: World) -> None:
    order, *messages = world.transaction(1, 1)
    order["Put"]["ConditionExpression"] = "attribute_exists(PK)"

    with pytest.raises(ClientError, match="TransactionCanceledException"):
        await world.table.dynamodb.transact_write_items(TransactItems=[order, *messages])

    assert await read_stream(world.table.streams, world.table.stream_arn) == []


async def test_a_message_put_twice_fails_the_second_transaction(world: World) -> None:
    def entry(step: int) -> Any:
        return world.outbox.put(OrderChanged("1", step), aggregate_id="order-1", message_id="m-1")

    await world.table.dynamodb.transact_write_items(TransactItems=[entry(1)])
    with pytest.raises(ClientError, match="TransactionCanceledException"):
        await world.table.dynamodb.transact_write_items(TransactItems=[entry(2)])

    item = await world.table.get(key_of(entry(1)["Put"]["Item"], world.table.design))
    assert item is not None
    assert item["Message"] == {"S": '{"order_id":"1","step":1}'}


async def _relay_until(relay: Relay, table: OutboxTable, total: int) -> None:
    """Feed a relay from the stream until it has dispatched so many messages."""
    stop, dispatched = asyncio.Event(), 0

    async def handle(event: dict[str, Any]) -> Any:
        nonlocal dispatched
        report = await relay.relay_batch(event)
        dispatched += report.counts().get("dispatched", 0)
        if dispatched >= total:
            stop.set()
        return report.response

    async with open_client("dynamodbstreams", table.dynamodb.meta.endpoint_url) as streams:
        following = follow_stream(streams, table.stream_arn, handle, stop=stop, poll_seconds=0.02)
        await asyncio.wait_for(following, timeout=60)
    assert dispatched == total


async def _assert_all_marked(table: OutboxTable, total: int) -> None:
    items = (await table.dynamodb.scan(TableName=table.name, ConsistentRead=True))["Items"]
    assert len(items) == total
    for item in items:
        assert "NotDispatched" not in item
        assert item["IsDispatched"] == {"BOOL": True}
        assert item["ApproximateDispatchCount"] == {"N": "1"}
    for bucket in range(16):
        assert await table.list_index(f"{bucket:02d}") == []


def _step(message: Received) -> tuple[str, int]:
    body = msgspec.json.decode(message.body)
    return body["order_id"], body["step"]

"""Calls what the pages define and leave to their reader to call, on the doubles; by page.

Each takes the names that a page's Python has left, and says by an assertion what is to come of it.
"""

import asyncio
import re
import shlex
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from outbox_sdk import ConditionFailed, Delivery, TransactionInDoubt
from outbox_sdk.core.capacity import plan_capacity
from outbox_sdk.core.event_source import EventSource
from outbox_sdk.core.identifiers import AggregateId, MessageId
from outbox_sdk.core.workload import Workload, parse_rate
from outbox_sdk.testing import InMemoryStack
from tests.support.documents import ROOT, code_blocks
from tests.support.shown_commands import COMMANDS

__all__ = ["USES"]

Names = dict[str, Any]


def use_claim_check(names: Names) -> None:
    stack, s3 = names["stack"], names["s3"]
    asyncio.run(names["place_order_yourself"](names["dynamodb"], s3, "y" * 200_000))
    assert len(s3.objects) == 2
    assert asyncio.run(names["open_s3"]()) is None  # it is for the reader to fill in
    small = names["outbox"].put(names["OrderCreated"]("8"), topic="order--created", aggregate_id="8")
    stack.write(small)
    asyncio.run(stack.relay())
    names["handle"](stack.published[-1].to_sqs_record())


def use_consumer(names: Names) -> None:
    """The page's own handlers first, then the worker that reads its queue itself."""
    stack = InMemoryStack()
    dynamodb = stack.client()
    dynamodb.create_table("bills", "PK")
    dynamodb.create_table("inbox", "PK", "SK")

    class Session:
        @asynccontextmanager
        async def create_client(self, service: str) -> Any:
            yield dynamodb

    class Queue:
        def __init__(self, *messages: Names) -> None:
            self.messages = list(messages)

        async def receive_message(self, **_: Any) -> Names:
            return {"Messages": list(self.messages)}

        async def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:  # noqa: N803 - AWS's own
            self.messages = [each for each in self.messages if each["ReceiptHandle"] != ReceiptHandle]

    names["get_session"] = Session
    record = names["record"]
    for _ in range(2):
        assert names["billing_handler"]({"Records": [record]}, None) == {"batchItemFailures": []}
    assert len(dynamodb.items("bills")) == 1

    told = names["describe"](record)
    assert told.startswith("order.created m-1 about order-7: ")

    attributes = {name: {"StringValue": each["stringValue"], "DataType": "String"}
                  for name, each in record["messageAttributes"].items()}  # fmt: skip
    received = {
        "MessageId": "c8",
        "ReceiptHandle": "r",
        "Body": record["body"],
        "MessageAttributes": attributes,
    }
    queue = Queue(received)
    asyncio.run(names["work"](queue, dynamodb, "https://queue"))
    asyncio.run(stack.relay())
    (packed,) = stack.published
    assert (packed.topic, packed.attributes["CausationId"]) == ("order--packed", "m-1")
    assert not queue.messages


def use_inbox(names: Names) -> None:
    client = InMemoryStack().client()
    client.create_table("inbox", "PK", "SK")
    client.create_table("stock", "PK")
    for message_id in ("m-1", "m-2", "m-1"):
        asyncio.run(names["on_order_created"](client, message_id, "chair"))
    assert client.items("stock") == [{"PK": {"S": "chair"}, "Tally": {"N": "-2"}}]
    assert names["look"](5, 4) == "apply it"


def use_front(names: Names) -> None:
    stack = InMemoryStack()
    client = stack.client()
    client.create_table("orders", "PK")
    asyncio.run(names["place_order"](client, "order-7"))
    asyncio.run(stack.relay())
    assert [message.topic for message in stack.published] == ["order--created"]


def use_order(names: Names) -> None:
    stack = InMemoryStack(topics=["orders.fifo"])
    client = stack.client()
    client.create_table("orders", "PK")

    async def pay_twice() -> None:
        async with names["outbox"].transaction(client) as tx:
            tx.put(TableName="orders", Item={"PK": {"S": "order-a"}, "Version": {"N": "7"}})
        await names["pay"](client, "order-a", 7)
        with pytest.raises(ConditionFailed):
            await names["pay"](client, "order-a", 7)
        await stack.relay()

    asyncio.run(pay_twice())
    assert [message.attributes["Sequence"] for message in stack.published] == ["8"]


def use_producer(names: Names) -> None:
    stack = InMemoryStack()
    client = stack.client()
    client.create_table("orders", "PK")
    asyncio.run(names["place_order"](client, "order-7", 120))
    asyncio.run(stack.relay())
    assert [message.topic for message in stack.published] == ["order--created"]


def use_redrive(names: Names) -> None:
    first = Delivery(message_id=MessageId("m-1"), aggregate_id=AggregateId("order-7"), body="{}")
    again = msgspec.structs.replace(first, replayed_at="2026-11-23T09:00:00Z")
    assert names["guarded_id"](first) == "m-1"
    assert names["guarded_id"](again) == "m-1@2026-11-23T09:00:00Z"


def use_transactions(names: Names) -> None:
    asyncio.run(names["test_an_order_is_announced"]())
    client = InMemoryStack().client()
    client.create_table("orders", "PK")
    entries = [{"Put": {"TableName": "orders", "Item": {"PK": {"S": "order-8"}}}}]
    committed = []

    async def commit_and_lose_the_answer(dynamodb: Any, order_id: str, total: int) -> None:
        await dynamodb.transact_write_items(TransactItems=entries, ClientRequestToken="token")
        committed.append(order_id)
        raise TransactionInDoubt("Timeout", attempts=1, token="token", entries=entries)

    names["place_order"] = commit_and_lose_the_answer
    asyncio.run(names["place_order_surely"](client, "order-8", 120))
    assert (committed, len(client.items("orders"))) == (["order-8"], 1)


def use_batch_size(names: Names) -> None:
    """Of its first commands the page says whether the settings carry the rate, and what is used up."""
    commands, *_ = code_blocks(ROOT / "docs/how-to/batch-size-and-concurrency.md", "bash")
    told = []
    for line in commands:
        given = COMMANDS["cost"].make_context("cost", shlex.split(line)[2:]).params
        capacity = plan_capacity(
            Workload(
                rate=parse_rate(given["rate"], variable="--rate"),
                body_bytes=given["size"],
                fifo=given["fifo"],
                aggregate_rate=parse_rate(given["aggregate_rate"], variable="--aggregate-rate"),
                source=EventSource(batch_size=given["batch_size"]),
            )
        )
        told.append(None if capacity.sustainable else capacity.bottleneck.name)
    assert told == [None, "stream pollers", "stream pollers"]
    page = (ROOT / "docs/how-to/batch-size-and-concurrency.md").read_text()
    known = (ROOT / "docs/explanation/capacity.md").read_text()
    named = re.findall(r"`([A-Za-z]+ [A-Za-z ]+)`", page.partition("## Which one to turn")[2])
    assert len([name for name in named if f"`{name}`" in known]) >= 8


USES: dict[str, Callable[[Names], None]] = {
    "docs/how-to/batch-size-and-concurrency.md": use_batch_size,
    "docs/how-to/claim-check.md": use_claim_check,
    "docs/how-to/consumer.md": use_consumer,
    "docs/how-to/inbox.md": use_inbox,
    "docs/how-to/order.md": use_order,
    "docs/how-to/producer.md": use_producer,
    "docs/how-to/redrive-and-replay.md": use_redrive,
    "docs/how-to/transactions.md": use_transactions,
    "docs/index.md": use_front,
}

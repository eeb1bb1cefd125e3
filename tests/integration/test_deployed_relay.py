"""The relay as it is deployed: one call onto a stack, and messages arrive without anything else running."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from outbox_sdk import Outbox, Settings, create_dynamodb_streams_outbox
from outbox_sdk.embedded_stack import EmbeddedStack
from outbox_sdk.provisioning import StreamsOutbox
from tests.support.aws import open_client
from tests.support.clients import DeploymentClients, open_deployment_clients
from tests.support.outbox_tables import read_stream
from tests.support.topics import open_topic

pytestmark = [pytest.mark.integration, pytest.mark.once]

ORDERS = 50
PATIENCE_SECONDS = 2.0
"""Far longer than the stack takes to bring what is in a stream."""


@pytest.fixture
async def clients(ministack: EmbeddedStack) -> AsyncIterator[DeploymentClients]:
    async with open_deployment_clients(ministack.endpoint_url) as opened:
        yield opened


async def count_invocations(stack: EmbeddedStack, outbox: StreamsOutbox) -> int:
    """Count by the lines that the stack writes when an invocation has ended."""
    async with open_client("logs", stack.endpoint_url) as logs:
        answer = await logs.filter_log_events(logGroupName=f"/aws/lambda/{outbox.function_name}")
    return sum(event["message"].startswith("REPORT ") for event in answer["events"])


async def test_fifty_orders_arrive_once_and_are_marked(
    ministack: EmbeddedStack, clients: DeploymentClients, unique: str
) -> None:
    """By the deployed function alone, whose own marks do not bring it up again."""
    settings = Settings(
        dynamodb_outbox_table_name=unique,
        aws_endpoint_url=ministack.endpoint_url,
        aws_sns_topic_prefix="topic-",
    )
    await clients.dynamodb.create_table(
        TableName=f"{unique}-orders",
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    producer = Outbox(unique)

    async def place_order(order_id: str, topic_name: str) -> None:
        order: Any = {"Put": {"TableName": f"{unique}-orders", "Item": {"PK": {"S": order_id}}}}
        body = json.dumps({"order_id": order_id})
        message: Any = producer.put(body, aggregate_id=order_id, topic=topic_name.removeprefix("topic-"))
        await clients.dynamodb.transact_write_items(TransactItems=[order, message])

    async with open_topic(ministack.endpoint_url) as topic:
        outbox = await create_dynamodb_streams_outbox(*clients, settings=settings, create_table=True)
        for number in range(ORDERS):
            await place_order(f"order-{number}", topic.name)
        received = await topic.drain(expected=ORDERS)
        items = await settled_items(clients.dynamodb, unique)
        await asyncio.sleep(PATIENCE_SECONDS)
        before = await count_invocations(ministack, outbox)
        await place_order("order-last", topic.name)
        last = await topic.drain(expected=1)
        await settled_items(clients.dynamodb, unique)
        await asyncio.sleep(PATIENCE_SECONDS)
        after = await count_invocations(ministack, outbox)

    bodies = sorted(message.body for message in received)
    assert bodies == sorted(json.dumps({"order_id": f"order-{number}"}) for number in range(ORDERS))
    assert [item.get("IsDispatched") for item in items] == [{"BOOL": True}] * ORDERS
    assert [item["ApproximateDispatchCount"] for item in items] == [{"N": "1"}] * ORDERS
    assert [message.body for message in last] == [json.dumps({"order_id": "order-last"})]
    # Marks reach the stream, as they do on AWS, and the filter keeps them from the function: one invocation.
    async with open_client("dynamodbstreams", ministack.endpoint_url) as streams:
        assert outbox.stream_arn is not None
        records = await read_stream(streams, outbox.stream_arn)
    kinds = Counter(record["eventName"] for record in records)
    assert kinds == {"INSERT": ORDERS + 1, "MODIFY": ORDERS + 1}
    assert after - before == 1


async def settled_items(dynamodb: Any, table_name: str) -> list[dict[str, Any]]:
    """Read all items once none is outstanding any more, or after ten seconds."""
    items: list[dict[str, Any]] = []
    for _ in range(100):
        items = (await dynamodb.scan(TableName=table_name, ConsistentRead=True))["Items"]
        if not any("NotDispatched" in item for item in items):
            break
        await asyncio.sleep(0.1)
    return items

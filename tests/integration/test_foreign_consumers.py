"""What the relay publishes is read by consumers that are built on other people's libraries."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from outbox_sdk import Catalog, Outbox, message
from outbox_sdk.core.envelope import EnvelopeKind
from outbox_sdk.embedded_stack import EmbeddedStack
from tests.support.foreign_consumers import open_consumer, open_libraries
from tests.support.outbox_tables import OutboxTable, open_outbox_table
from tests.support.relaying import relay_messages
from tests.support.servers import server_or_skip
from tests.support.topics import open_topic

pytestmark = [pytest.mark.integration, pytest.mark.once]

CREATED_AT = datetime(2026, 11, 23, 9, 0, 0, 500_000, tzinfo=UTC)
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@message("order.created", topic="order--created", version=2, upcasters={1: lambda body: body})
class OrderCreated(msgspec.Struct):
    order_id: str
    price: float


@pytest.fixture(scope="module")
def libraries() -> Iterator[Path]:
    with server_or_skip(open_libraries()) as directory:
        yield directory


@pytest.fixture
async def table(ministack: EmbeddedStack) -> AsyncIterator[OutboxTable]:
    async with open_outbox_table(ministack.endpoint_url) as table:
        yield table


async def write(table: OutboxTable, envelope: EnvelopeKind) -> None:
    """Commit two messages: an event of a catalog with all that it can carry, and a plain text."""
    outbox = Outbox(table.name, catalog=Catalog(OrderCreated), envelope=envelope)
    event = outbox.put(
        OrderCreated("order-7", 1.25),
        aggregate_id="order-7",
        message_id="m-1",
        correlation_id="c-1",
        sequence=3,
        headers={"traceparent": TRACEPARENT, "tracestate": "congo=1", "CausationId": "m-0"},
        created_at=CREATED_AT,
    )
    text = outbox.put(
        'plain "text"',
        topic="order--created",
        aggregate_id="order-7",
        message_id="m-2",
        created_at=CREATED_AT,
    )
    for entry in (event, text):
        await table.dynamodb.transact_write_items(TransactItems=[entry])


async def test_a_service_on_tomodachi_takes_what_the_relay_publishes(
    ministack: EmbeddedStack, table: OutboxTable, unique: str, libraries: Path
) -> None:
    """It makes topic, queue and subscription itself, and parses by its own `JsonBase`."""
    environment = {"ENDPOINT_URL": ministack.endpoint_url, "TOPIC_PREFIX": f"{unique}-", "COUNT": "2"}
    arguments = ["-m", "tomodachi", "run", "tomodachi_consumer.py", "--production", "--log", "warning"]
    async with open_consumer(libraries, arguments, environment=environment) as consumer:
        await write(table, "tomodachi")
        await relay_messages(ministack, table.name, prefix=f"{unique}-", count=2, envelope="tomodachi")
        consumed = sorted([await consumer.consumed(), await consumer.consumed()], key=message_uuid)

    event, text = consumed
    assert event["data"] == {"order_id": "order-7", "price": 1.25}
    assert event["metadata"] == {
        "message_uuid": "m-1",
        "protocol_version": "tomodachi-json-base--1.0.0",
        "timestamp": CREATED_AT.timestamp(),
        "topic": "order--created",
        "data_encoding": "raw",
    }
    assert event["service"] == {"name": f"/outbox/{table.name}", "uuid": None}
    assert event["attributes"]["MessageType"] == "order.created"
    assert text["data"] == 'plain "text"'


def message_uuid(seen: dict[str, Any]) -> str:
    return str(seen["message_uuid"])


async def test_the_cloudevents_sdk_reads_what_the_relay_publishes(
    ministack: EmbeddedStack, table: OutboxTable, unique: str, libraries: Path
) -> None:
    """It checks required attributes, types and names by the specification, and raises otherwise."""
    async with (
        open_topic(ministack.endpoint_url, name=f"{unique}-order--created") as topic,
        open_consumer(libraries, ["cloudevents_consumer.py"], environment={"COUNT": "2"}) as consumer,
    ):
        await write(table, "cloudevents")
        await relay_messages(ministack, table.name, prefix=f"{unique}-", count=2, envelope="cloudevents")
        received = sorted(await topic.drain(expected=2), key=lambda each: each.message_id)
        for each in received:
            await consumer.give(json.dumps(each.body))
        event, text = await consumer.consumed(), await consumer.consumed()

    assert event == {
        "data": {"order_id": "order-7", "price": 1.25},
        "attributes": {
            "specversion": "1.0",
            "id": "m-1",
            "source": f"/outbox/{table.name}",
            "type": "order.created",
            "subject": "order-7",
            "partitionkey": "order-7",
            "datacontenttype": "application/json",
            "time": "2026-11-23T09:00:00.500000+00:00",
            "correlationid": "c-1",
            "causationid": "m-0",
            "schemaversion": "2",
            "sequence": "3",
            "traceparent": TRACEPARENT,
            "tracestate": "congo=1",
        },
    }
    assert text["data"] == 'plain "text"'
    assert text["attributes"]["datacontenttype"] == "text/plain"

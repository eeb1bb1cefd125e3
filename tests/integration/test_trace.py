"""One trace from the producer's transaction through the relay into a consumer, with the OpenTelemetry SDK."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from opentelemetry import trace as otel
from opentelemetry.sdk.trace import ReadableSpan

from outbox_sdk import (
    Catalog,
    Delivery,
    Outbox,
    consumer,
    decode_sqs_record,
    message,
)
from outbox_sdk.core.envelope import ENVELOPE_KINDS, EnvelopeKind
from outbox_sdk.embedded_stack import EmbeddedStack
from tests.support.outbox_tables import OutboxTable, open_outbox_table
from tests.support.relaying import relay_messages
from tests.support.spans import Spans
from tests.support.topics import Topic, open_topic, subscribe_queue

pytestmark = pytest.mark.integration


@message("order.created", topic="order--created")
class OrderCreated(msgspec.Struct):
    order_id: str


CATALOG = Catalog(OrderCreated)


@pytest.fixture
async def table(ministack: EmbeddedStack) -> AsyncIterator[OutboxTable]:
    async with open_outbox_table(ministack.endpoint_url) as table:
        yield table


@pytest.fixture
async def topic(ministack: EmbeddedStack, unique: str) -> AsyncIterator[Topic]:
    async with open_topic(ministack.endpoint_url, name=f"{unique}-order--created") as topic:
        yield topic


async def receive(topic: Topic, url: str) -> dict[str, Any]:
    answer = await topic.sqs.receive_message(
        QueueUrl=url,
        WaitTimeSeconds=20,
        MessageAttributeNames=["All"],
        MessageSystemAttributeNames=["All"],
    )
    (received,) = answer["Messages"]
    return dict(received)


def ids_of(span: ReadableSpan) -> tuple[str, str]:
    context = span.get_span_context()
    assert context is not None
    return otel.format_trace_id(context.trace_id), otel.format_span_id(context.span_id)


def parent_of(span: ReadableSpan) -> str:
    assert span.parent is not None
    return otel.format_span_id(span.parent.span_id)


@pytest.mark.parametrize("raw", [True, False], ids=["raw delivery", "enveloped"])
async def test_one_trace_id_is_seen_by_producer_relay_and_consumer(
    ministack: EmbeddedStack, table: OutboxTable, topic: Topic, unique: str, raw: bool
) -> None:
    """The relay's span and the consumer's are both children of the producer's, and so is what follows."""
    spans, outbox = Spans(), Outbox(table.name, catalog=CATALOG)
    queue = await subscribe_queue(topic, raw=raw)
    followed: list[dict[str, Any]] = []

    @consumer(CATALOG, tracer=spans.tracer)
    async def handle(event: OrderCreated, delivery: Delivery) -> None:
        follow: Any = outbox.put("{}", aggregate_id=delivery.aggregate_id, topic="order--packed")
        followed.append(follow["Put"]["Item"])

    with spans.tracer.start_as_current_span("place order"):
        entry = outbox.put(OrderCreated("7"), aggregate_id="order-7", message_id="m-1")
        await table.dynamodb.transact_write_items(TransactItems=[entry])
    await relay_messages(ministack, table.name, prefix=f"{unique}-", options={"tracer": spans.tracer})
    await handle(await receive(topic, queue))

    placed, published = spans.named("place order"), spans.named(f"publish {topic.name}")
    (processed,) = [span for span in spans.ended if span.name.startswith("process")]
    trace_id, span_id = ids_of(placed)
    assert {ids_of(span)[0] for span in spans.ended} == {trace_id}
    assert parent_of(published) == span_id
    assert parent_of(processed) == span_id
    (following,) = followed
    assert following["Headers"]["M"]["traceparent"]["S"].split("-")[1:3] == list(ids_of(processed))
    assert following["Headers"]["M"]["CausationId"] == {"S": "m-1"}
    assert following["CorrelationId"] == {"S": "m-1"}
    assert following["Hops"] == {"N": "1"}


@pytest.mark.parametrize("kind", ENVELOPE_KINDS)
async def test_what_servers_make_of_a_message_is_read(
    ministack: EmbeddedStack, table: OutboxTable, topic: Topic, unique: str, kind: EnvelopeKind
) -> None:
    """Both subscriptions give the same message, whatever the server writes around it."""
    queues = [await subscribe_queue(topic, raw=raw) for raw in (True, False)]
    outbox = Outbox(table.name, envelope=kind)
    entry = outbox.put(
        '{"price":1.10}',
        aggregate_id="order-7",
        topic="order--created",
        message_id="m-1",
        correlation_id="c-1",
        sequence=3,
        headers={"tenant": "blue"},
    )
    await table.dynamodb.transact_write_items(TransactItems=[entry])
    await relay_messages(ministack, table.name, prefix=f"{unique}-", envelope=kind)

    for url in queues:
        delivery = decode_sqs_record(await receive(topic, url), kind)
        assert (delivery.message_id, delivery.aggregate_id) == ("m-1", "order-7")
        assert delivery.body == '{"price":1.10}'
        assert (delivery.correlation_id, delivery.sequence) == ("c-1", 3)
        assert delivery.headers == {"tenant": "blue"}
        assert delivery.receive_count == 1

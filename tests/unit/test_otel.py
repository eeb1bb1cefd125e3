"""Spans: in the message's own trace, by the names of the conventions, and with nothing of the message."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry import trace as otel
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from outbox_sdk import Outbox, decode_sqs_record, handling
from outbox_sdk.core.entry import Entry, TopicLimits, encode_entry
from outbox_sdk.core.identifiers import AccountId, ItemKey, Region, TopicArn
from outbox_sdk.core.items import decode_item
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.publish import EntryFailed, Published, PublishRequest, PublishResponse, RequestFailed
from outbox_sdk.core.routing import Routing
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.trace import read_trace
from outbox_sdk.shell.otel import TracedPublisher, current_trace
from tests.support.deliveries import lambda_sqs, lambda_sqs_of_sns
from tests.support.spans import Spans

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"
TOPIC = TopicArn("arn:aws:sns:eu-west-1:123456789012:order--created")
ROUTING = Routing(region=Region("eu-west-1"), account_id=AccountId("123456789012"))
OUTBOX = Outbox("outbox")


def delivery_with(*more: tuple[str, str, str], way: Any = lambda_sqs) -> Any:
    ids = [("MessageId", "String", "m-1"), ("AggregateId", "String", "order-7")]
    return decode_sqs_record(way("{}", [*ids, *more]))


TRACED = [("traceparent", "String", TRACEPARENT), ("tracestate", "String", "congo=1")]


def parent_of(span: ReadableSpan) -> tuple[str, str] | None:
    parent = span.parent
    return parent and (otel.format_trace_id(parent.trace_id), otel.format_span_id(parent.span_id))


def trace_id_of(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return otel.format_trace_id(context.trace_id)


# The consumer


def test_a_delivery_is_handled_in_a_span_of_its_trace() -> None:
    spans = Spans()
    with handling(delivery_with(*TRACED, ("CorrelationId", "String", "c-1")), tracer=spans.tracer):
        seen = current_trace()

    (span,) = spans.ended
    assert span.name == "process orders.fifo"
    assert span.kind is SpanKind.CONSUMER
    assert parent_of(span) == (TRACE_ID, SPAN_ID)
    assert span.parent is not None
    assert span.parent.is_remote
    assert [otel.format_span_id(link.context.span_id) for link in span.links] == [SPAN_ID]
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes or {}) == {
        "messaging.system": "aws_sqs",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "orders.fifo",
        "messaging.message.id": "c80e8021-a70a-42c7-a470-796e1186f753",
        "messaging.message.conversation_id": "c-1",
        "outbox.message_id": "m-1",
    }
    assert seen is not None
    assert (seen.trace_id, seen.state, seen.is_sampled) == (TRACE_ID, "congo=1", True)


def test_the_span_that_was_current_is_linked() -> None:
    spans = Spans()
    with (
        spans.tracer.start_as_current_span("invocation") as invocation,
        handling(delivery_with(*TRACED), tracer=spans.tracer),
    ):
        pass

    span = spans.named("process orders.fifo")
    assert parent_of(span) == (TRACE_ID, SPAN_ID)
    assert invocation.get_span_context().span_id in [link.context.span_id for link in span.links]


def test_a_message_without_a_trace_is_handled_in_the_current_one() -> None:
    spans = Spans()
    with spans.tracer.start_as_current_span("invocation"), handling(delivery_with(), tracer=spans.tracer):
        pass

    span, invocation = spans.named("process orders.fifo"), spans.named("invocation")
    assert trace_id_of(span) == trace_id_of(invocation)
    assert span.links == ()


def test_a_failure_is_recorded_without_its_text() -> None:
    spans, secret = Spans(), "s3cr3t"
    with pytest.raises(ValueError, match=secret), handling(delivery_with(*TRACED), tracer=spans.tracer):
        raise ValueError(secret)

    (span,) = spans.ended
    assert span.status.status_code is StatusCode.ERROR
    assert dict(span.attributes or {})["error.type"] == "ValueError"
    assert span.events == ()
    assert secret not in span.to_json()


# The producer


def put(**arguments: Any) -> dict[str, str]:
    entry: Any = OUTBOX.put("{}", aggregate_id="order-7", topic="order--created", **arguments)
    headers = entry["Put"]["Item"].get("Headers", {"M": {}})["M"]
    return {name: value["S"] for name, value in headers.items()}


def test_what_is_put_in_a_span_carries_its_context() -> None:
    spans = Spans()
    with spans.tracer.start_as_current_span("place order"):
        headers = put()

    context = spans.named("place order").get_span_context()
    assert context is not None
    seen = read_trace(headers)
    assert seen is not None
    assert (seen.trace_id, seen.span_id) == (
        otel.format_trace_id(context.trace_id),
        otel.format_span_id(context.span_id),
    )
    assert seen.is_sampled
    assert put() == {}


def test_a_context_of_the_producers_own_wins_whole() -> None:
    """A state of one trace beside a parent of another would be a lie."""
    spans = Spans()
    with handling(delivery_with(*TRACED), tracer=spans.tracer):
        mine = put(headers={"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-00"})

    assert mine == {"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-00", "CausationId": "m-1"}


def test_what_a_consumer_puts_is_a_child_of_its_span() -> None:
    spans = Spans()
    with handling(delivery_with(*TRACED), tracer=spans.tracer):
        seen = read_trace(put())

    context = spans.named("process orders.fifo").get_span_context()
    assert context is not None
    assert seen is not None
    assert (seen.trace_id, seen.span_id) == (TRACE_ID, otel.format_span_id(context.span_id))
    assert seen.state == "congo=1"


# The relay


class Answers:
    """A publisher that answers what it was told to, and keeps what it was asked."""

    def __init__(self, answer: PublishResponse | BaseException) -> None:
        self.answer = answer
        self.requests: list[PublishRequest] = []

    async def publish(self, request: PublishRequest) -> PublishResponse:
        self.requests.append(request)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def entry(message_id: str, **arguments: Any) -> Entry:
    written: Any = OUTBOX.put(
        "{}", aggregate_id="a", topic="order--created", message_id=message_id, **arguments
    )
    item = written["Put"]["Item"]
    key = ItemKey.from_item({name: item[name] for name in ("PK", "SK")})
    message = decode_item(item, key, TableDesign.ordered)
    assert isinstance(message, OutboxMessage)
    encoded = encode_entry(message, ROUTING, kind="raw", source="/outbox/outbox", limits=TopicLimits())
    assert isinstance(encoded, Entry)
    return encoded


async def publish(answer: PublishResponse | BaseException, *entries: Entry) -> tuple[Spans, Answers]:
    spans, answers = Spans(), Answers(answer)
    await TracedPublisher(answers, spans.tracer).publish(PublishRequest(TOPIC, entries))
    return spans, answers


def errors_of(spans: Sequence[ReadableSpan]) -> list[object]:
    return [dict(span.attributes or {}).get("error.type") for span in spans]


async def test_each_message_is_a_span_of_its_own_trace() -> None:
    traced = entry("m-1", headers={"traceparent": TRACEPARENT}, correlation_id="c-1")
    request = (traced, entry("m-2"))
    spans, answers = await publish((Published("sns-1"), Published("sns-2")), *request)

    first, second = spans.ended
    assert answers.requests == [PublishRequest(TOPIC, request)]  # what travels is not touched
    assert first.name == "publish order--created"
    assert first.kind is SpanKind.CLIENT
    assert parent_of(first) == (TRACE_ID, SPAN_ID)
    assert [otel.format_span_id(link.context.span_id) for link in first.links] == [SPAN_ID]
    assert dict(first.attributes or {}) == {
        "messaging.system": "aws.sns",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "messaging.destination.name": "order--created",
        "aws.sns.topic.arn": TOPIC,
        "messaging.message.id": "sns-1",
        "messaging.message.conversation_id": "c-1",
        "outbox.message_id": "m-1",
    }
    assert parent_of(second) is None


@pytest.mark.parametrize(
    ("place", "system"),
    [
        ("sqs:eu-west-1:123456789012:billing.fifo", "aws_sqs"),
        ("events:eu-west-1:123456789012:event-bus/billing.fifo", "aws.eventbridge"),
        ("kinesis:eu-west-1:123456789012:stream/billing.fifo", "aws.kinesis"),
    ],
)
async def test_other_destinations_are_named(place: str, system: str) -> None:
    spans = Spans()
    request = PublishRequest(TopicArn(f"arn:aws:{place}"), (entry("1"),))
    await TracedPublisher(Answers((Published("1"),)), spans.tracer).publish(request)

    span = spans.named("publish billing.fifo")
    attributes = dict(span.attributes or {})
    assert attributes["messaging.system"] == system
    assert attributes["messaging.destination.name"] == "billing.fifo"
    assert "aws.sns.topic.arn" not in attributes


async def test_what_one_message_failed_for_is_in_its_span() -> None:
    spans, _ = await publish(
        (Published("sns-1"), EntryFailed("InternalError", False)), entry("1"), entry("2")
    )
    assert errors_of(spans.ended) == [None, "InternalError"]


async def test_what_a_request_failed_for_is_in_all_its_spans() -> None:
    spans, _ = await publish(RequestFailed("Throttling", 400, "Rate exceeded"), entry("1"), entry("2"))
    assert errors_of(spans.ended) == ["Throttling", "Throttling"]
    assert "Rate exceeded" not in json.dumps([span.to_json() for span in spans.ended])


async def test_a_span_ends_whatever_happens() -> None:
    spans = Spans()
    publisher = TracedPublisher(Answers(asyncio.CancelledError()), spans.tracer)
    with pytest.raises(asyncio.CancelledError):
        await publisher.publish(PublishRequest(TOPIC, (entry("1"),)))
    assert errors_of(spans.ended) == ["CancelledError"]


def test_a_queue_without_raw_delivery_is_named_all_the_same() -> None:
    spans = Spans()
    with handling(delivery_with(way=lambda_sqs_of_sns), tracer=spans.tracer):
        pass
    assert [span.name for span in spans.ended] == ["process orders.fifo"]

"""OpenTelemetry: the only module that imports it, loaded where the program itself uses it or gives a tracer.

Names and kinds of spans are those of OpenTelemetry's semantic conventions for messaging. The context that a
message carries is that of its creation, in the producer; nothing on its way changes it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import time_ns

from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags, Tracer
from opentelemetry.trace.span import TraceState

from outbox_sdk.core.delivery import Delivery
from outbox_sdk.core.entry import Entry
from outbox_sdk.core.publish import Published, PublishRequest, PublishResponse, RequestFailed
from outbox_sdk.core.trace import TraceContext, parse_tracestate, read_trace
from outbox_sdk.shell.ports import Publisher

__all__ = ["TracedPublisher", "current_trace", "open_process_span"]

# The first two are the conventions' own; for the others they name none.
_SYSTEMS = {"sns": "aws.sns", "sqs": "aws_sqs", "events": "aws.eventbridge", "kinesis": "aws.kinesis"}


def current_trace() -> TraceContext | None:
    """Give the context of the current span, for a message that is created in it."""
    found = otel.get_current_span().get_span_context()
    if not found.is_valid:
        return None
    return TraceContext(
        otel.format_trace_id(found.trace_id),
        otel.format_span_id(found.span_id),
        int(found.trace_flags) & 0xFF,
        parse_tracestate(found.trace_state.to_header()) or "",
    )


@contextmanager
def open_process_span(delivery: Delivery, tracer: Tracer | None) -> Iterator[None]:
    """Open the span of kind CONSUMER in which a delivery is handled, and make it the current one.

    Its parent is the context that the message carries; the span that was current, of the function's
    invocation perhaps, is linked.
    """
    tracer = tracer or otel.get_tracer("outbox_sdk")
    ambient = otel.get_current_span().get_span_context()
    place = delivery.queue_arn or delivery.topic_arn or ""
    links = [Link(ambient)] if ambient.is_valid else []
    with tracer.start_as_current_span(
        _span_name("process", place, delivery.topic),
        context=_context_of(delivery.trace),
        kind=SpanKind.CONSUMER,
        attributes=_attributes("process", "process", place)
        | _message_attributes(delivery.message_id, delivery.correlation_id)
        | ({"messaging.message.id": delivery.transport_message_id} if delivery.transport_message_id else {}),
        links=_creation_links(delivery.trace) + (links if delivery.trace is not None else []),
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except BaseException as error:
            _fail(span, type(error).__qualname__)
            raise


class TracedPublisher:
    """A publisher that records a span for each message it sends: within the message's own trace.

    The kind is CLIENT, as the conventions want it where the span is not the one that the message carries. A
    message that carries none gets a span in whatever is current.
    """

    def __init__(self, publisher: Publisher, tracer: Tracer) -> None:
        self._publisher = publisher
        self._tracer = tracer

    async def publish(self, request: PublishRequest) -> PublishResponse:
        """Send one request, and record what became of each message in it."""
        started = time_ns()
        spans = [self._start(request, entry, started) for entry in request.entries]
        try:
            response = await self._publisher.publish(request)
        except BaseException as error:
            _end(spans, [type(error).__qualname__] * len(spans))
            raise
        if isinstance(response, RequestFailed):
            _end(spans, [response.code] * len(spans))
            return response
        for span, result in zip(spans, response, strict=True):
            if isinstance(result, Published):
                span.set_attribute("messaging.message.id", result.sns_message_id)
        _end(spans, [None if isinstance(result, Published) else result.code for result in response])
        return response

    def _start(self, request: PublishRequest, entry: Entry, started: int) -> Span:
        message = entry.message
        trace = read_trace(message.headers)
        return self._tracer.start_span(
            _span_name("publish", request.topic),
            context=_context_of(trace),
            kind=SpanKind.CLIENT,
            attributes=_attributes("publish", "send", request.topic)
            | _message_attributes(message.message_id, message.correlation_id),
            links=_creation_links(trace),
            start_time=started,
        )


def _end(spans: Sequence[Span], errors: Sequence[str | None]) -> None:
    for span, error in zip(spans, errors, strict=True):
        if error is not None:
            _fail(span, error)
        span.end()


def _fail(span: Span, error: str) -> None:
    span.set_attribute("error.type", error)
    span.set_status(Status(StatusCode.ERROR, error))


def _span_context(trace: TraceContext) -> SpanContext:
    return SpanContext(
        int(trace.trace_id, 16),
        int(trace.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(trace.flags),
        trace_state=TraceState.from_header([trace.state]) if trace.state else None,
    )


def _context_of(trace: TraceContext | None) -> Context | None:
    """Give the context with the message's as parent; none means the current one."""
    return None if trace is None else otel.set_span_in_context(otel.NonRecordingSpan(_span_context(trace)))


def _creation_links(trace: TraceContext | None) -> list[Link]:
    return [] if trace is None else [Link(_span_context(trace))]


def _span_name(operation: str, arn: str, topic: str | None = None) -> str:
    return f"{operation} {_place_name(arn) or topic or ''}".strip()


def _place_name(arn: str) -> str:
    """Give the name of a topic, queue, bus or stream: ARNs of the last two say first which of them it is."""
    return arn.rpartition(":")[2].rpartition("/")[2]


def _attributes(name: str, kind: str, arn: str) -> dict[str, str]:
    service = arn.split(":")[2] if arn.count(":") >= 5 else ""
    found = {
        "messaging.system": _SYSTEMS.get(service, "aws_sqs"),
        "messaging.operation.name": name,
        "messaging.operation.type": kind,
        "messaging.destination.name": _place_name(arn),
        "aws.sns.topic.arn": arn if service == "sns" else "",
    }
    return {key: value for key, value in found.items() if value}


def _message_attributes(message_id: str, correlation_id: str | None) -> dict[str, str]:
    found = {"outbox.message_id": message_id}
    return {**found, "messaging.message.conversation_id": correlation_id} if correlation_id else found

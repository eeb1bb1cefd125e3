"""Origins: what a message takes over, and what is never lost for it."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from outbox_sdk.core.delivery import Delivery
from outbox_sdk.core.envelope import MAX_ATTRIBUTES, Envelope, encode_envelope
from outbox_sdk.core.identifiers import AggregateId, CorrelationId, MessageId
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.origin import NO_ORIGIN, Origin, count_attributes, plan_origin, take_over
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.trace import TraceContext, read_trace, shorten_tracestate
from tests.property import strategies as our
from tests.property.test_trace import contexts

_own = st.fixed_dictionaries(
    {},
    optional={
        "traceparent": st.just("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"),
        "tracestate": st.just("mine=1"),
        "CausationId": st.just("my cause"),
        **{f"h{number}": st.just("mine") for number in range(6)},
    },
)
_deliveries = st.builds(
    Delivery,
    message_id=st.sampled_from(["m-0", "m-9"]).map(MessageId),
    aggregate_id=st.just(AggregateId("a")),
    body=st.just("{}"),
    correlation_id=st.none() | st.just(CorrelationId("c-0")),
    hops=st.integers(0, 20),
    trace=st.none() | contexts,
)
_origins = st.builds(plan_origin, st.none() | _deliveries, st.none() | contexts)


@st.composite
def messages(draw: st.DrawFn) -> OutboxMessage:
    """A message that can be published as it is, with any number of headers, some of them of a trace."""
    message = draw(our.messages(TableDesign.ordered))
    return msgspec.structs.replace(message, headers=draw(_own))


def fits(message: OutboxMessage) -> bool:
    return isinstance(encode_envelope(message, "raw", source="s"), Envelope)


@given(messages(), _origins)
def test_an_origin_never_keeps_a_message_from_being_published(message: OutboxMessage, origin: Origin) -> None:
    """What could be published still can, with all that the producer gave it; what could not is as it was."""
    added = take_over(message, origin)

    assert {**added.headers, **message.headers} == added.headers
    assert added.correlation_id in (message.correlation_id, origin.correlation_id)
    assert message.correlation_id in (None, added.correlation_id)
    assert (
        msgspec.structs.replace(added, headers=message.headers, correlation_id=message.correlation_id)
        == message
    )
    assert fits(added) == fits(message)
    if not fits(message):
        assert added == message


@given(messages(), _origins)
def test_what_there_is_room_for_is_added_in_its_order(message: OutboxMessage, origin: Origin) -> None:
    """First the correlation id, then the trace, the cause and the state, which is none without its trace."""
    added = take_over(message, origin)
    new = {name for name in added.headers if name not in message.headers}
    left_out = set(origin.headers) - set(added.headers)

    assert new <= {"traceparent", "CausationId", "tracestate"}
    assert all(added.headers[name] == origin.headers[name] for name in new)
    assert "tracestate" not in new or "traceparent" in new
    if "tracestate" in new:
        assert "CausationId" not in left_out
    if "CausationId" in new:
        assert "traceparent" not in left_out
    if new:
        assert added.correlation_id is not None or origin.correlation_id is None
    lost = added.correlation_id is None and origin.correlation_id is not None
    if left_out - {"tracestate"} or lost:
        assert count_attributes(added) >= MAX_ATTRIBUTES


@given(messages())
def test_attributes_are_counted_as_they_are_written(message: OutboxMessage) -> None:
    envelope = encode_envelope(message, "raw", source="s")
    if isinstance(envelope, Envelope):
        assert count_attributes(message) == len(envelope.attributes)
    else:
        assert count_attributes(message) > MAX_ATTRIBUTES


@given(_deliveries, st.none() | contexts)
def test_a_delivery_is_the_cause(delivery: Delivery, current: TraceContext | None) -> None:
    origin = plan_origin(delivery, current)

    assert origin.correlation_id == (delivery.correlation_id or delivery.message_id)
    assert origin.hops == delivery.hops + 1
    assert origin.headers["CausationId"] == delivery.message_id
    context = current or delivery.trace
    if context is None:
        assert read_trace(origin.headers) is None
    else:
        shortened = msgspec.structs.replace(context, state=shorten_tracestate(context.state))
        assert read_trace(origin.headers) == shortened


def test_without_either_there_is_none() -> None:
    assert plan_origin(None, None) is NO_ORIGIN

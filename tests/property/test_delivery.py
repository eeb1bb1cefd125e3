"""Deliveries: what a producer wrote comes back to the consumer, whatever it travelled in."""

import json
from typing import Any

import msgspec
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from hypothesis import assume, example, given
from hypothesis import strategies as st

from outbox_sdk.core.delivery import Delivery, decode_sns_record, decode_sqs_record
from outbox_sdk.core.envelope import Envelope, EnvelopeKind, encode_envelope
from outbox_sdk.core.errors import UndecodableDeliveryError
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.text import format_instant, parse_instant
from tests.property import strategies as our
from tests.property.test_envelope import is_json
from tests.support.deliveries import DELIVERIES, attributes_of, lambda_sqs

SOURCE = "/outbox/test"
_ways = st.sampled_from(sorted(DELIVERIES))
_trace = st.fixed_dictionaries(
    {},
    optional={
        "CausationId": our.travelling_text(),
        "traceparent": st.just("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    },
)


def deliver(message: OutboxMessage, kind: EnvelopeKind, way: str) -> Delivery:
    envelope = encode_envelope(message, kind, source=SOURCE)
    assert isinstance(envelope, Envelope)
    record = DELIVERIES[way](envelope.body, attributes_of(envelope))
    return decode_sns_record(record, kind) if way == "sns" else decode_sqs_record(record, kind)


def expected_body(message: OutboxMessage, kind: EnvelopeKind) -> str:
    """The producer's text; blanks around JSON are the one thing that an envelope does not keep."""
    media_type = (message.content_type or "").partition(";")[0].lower()
    declared = media_type == "application/json" or media_type.endswith("+json")
    if kind == "raw" or not is_json(message.body) or (media_type and not declared):
        return message.body
    stripped = message.body.strip(" \t\r\n")
    if kind == "tomodachi" and not declared and stripped.startswith('"'):
        return str(json.loads(stripped))  # nothing in that envelope tells it from text
    return stripped


@given(st.data(), our.designs(), our.envelope_kinds(), _ways, _trace)
def test_what_was_written_comes_back(
    data: st.DataObject, design: TableDesign, kind: EnvelopeKind, way: str, trace: dict[str, str]
) -> None:
    """Every field of the message, in all envelopes, with raw message delivery and without."""
    drawn = data.draw(our.messages(design))
    message = msgspec.structs.replace(drawn, headers={**drawn.headers, **trace})
    assume_fits(message)

    delivery = deliver(message, kind, way)

    assert delivery.body == expected_body(message, kind)
    assert delivery.message_id == message.message_id
    assert delivery.aggregate_id == message.aggregate_id
    assert delivery.message_type == (message.message_type or None)
    assert delivery.schema_version == message.schema_version
    assert delivery.correlation_id == (message.correlation_id or None)
    assert delivery.sequence == message.sequence
    assert delivery.hops == max(0, message.hops)
    assert delivery.headers == drawn.headers
    assert delivery.causation_id == trace.get("CausationId")
    assert (delivery.trace is not None) == ("traceparent" in trace)
    if message.content_type or kind != "cloudevents":
        assert delivery.content_type == (message.content_type or None)
    check_place(delivery, message, kind, way)


def check_place(delivery: Delivery, message: OutboxMessage, kind: EnvelopeKind, way: str) -> None:
    """What only the envelope or the transport says."""
    assert delivery.source == (None if kind == "raw" else SOURCE)
    created_at = parse_instant(message.created_at or "")
    if created_at is None or kind == "raw":
        assert delivery.created_at is None
    elif kind == "cloudevents":
        assert delivery.created_at == format_instant(created_at)
    else:
        seen = parse_instant(delivery.created_at or "")
        assert seen is not None
        assert abs((seen - created_at).total_seconds()) < 1e-3  # a float of seconds
    if kind == "tomodachi":
        assert delivery.topic == message.topic
    else:
        assert delivery.topic == (None if "raw" in way else "order--created.fifo")


def assume_fits(message: OutboxMessage) -> None:
    """A message of more than ten attributes is refused before it travels, which is another law."""
    assume(isinstance(encode_envelope(message, "raw", source=SOURCE), Envelope))


@given(st.data(), our.designs(), our.envelope_kinds())
def test_powertools_record_is_read_like_the_event_it_wraps(
    data: st.DataObject, design: TableDesign, kind: EnvelopeKind
) -> None:
    envelope = encode_envelope(data.draw(our.messages(design)), kind, source=SOURCE)
    assert isinstance(envelope, Envelope)
    record = lambda_sqs(envelope.body, attributes_of(envelope))

    assert decode_sqs_record(SQSRecord(record), kind) == decode_sqs_record(record, kind)


_JUNK_NAMES = [
    *("body", "Body", "messageId", "MessageId", "messageAttributes", "MessageAttributes", "attributes"),
    *("Sns", "Type", "TopicArn", "Message", "AggregateId", "Hops", "Sequence", "x"),
]
_junk: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | our.awkward_text() | our.json_texts(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(_JUNK_NAMES),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@given(_junk, our.envelope_kinds())
@example({"MessageAttributes": "\ud800"}, "raw")  # which msgspec cannot even complain of
def test_whatever_arrives_is_read_or_refused(record: Any, kind: EnvelopeKind) -> None:
    """No other error, and none that repeats what came."""
    refused: list[UndecodableDeliveryError] = []
    for decode in (decode_sqs_record, decode_sns_record):
        try:
            assert isinstance(decode(record, kind), Delivery)
        except UndecodableDeliveryError as error:
            refused.append(error)
    names = {None, kind, "MessageId", "AggregateId", "Hops", "Sequence", "SchemaVersion"}
    assert all(error.__cause__ is None and error.name in names for error in refused)

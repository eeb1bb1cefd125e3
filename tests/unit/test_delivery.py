"""Deliveries by example: what AWS's fields become, and what is refused."""

import json
from typing import Any

import pytest

from outbox_sdk.core.delivery import decode_sns_record, decode_sqs_record
from outbox_sdk.core.envelope import Envelope, EnvelopeKind, encode_envelope
from outbox_sdk.core.errors import DeliveryFault, UndecodableDeliveryError
from outbox_sdk.core.trace import TraceContext
from tests.support.deliveries import (
    QUEUE_ARN,
    TOPIC_ARN,
    attributes_of,
    lambda_sns,
    lambda_sqs,
    lambda_sqs_of_sns,
    notification,
    received,
)
from tests.unit.test_envelope import BARE, MESSAGE, SOURCE

IDS = [("MessageId", "String", "m-1"), ("AggregateId", "String", "order-7")]
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_record_of_a_fifo_queue_tells_how_it_came() -> None:
    delivery = decode_sqs_record(lambda_sqs("{}", IDS))

    assert delivery.queue_arn == QUEUE_ARN
    assert delivery.topic_arn is None
    assert delivery.topic is None
    assert delivery.receive_count == 2
    assert delivery.group_id == "order-7"
    assert delivery.transport_sequence_number == "18849496460467696128"
    assert delivery.transport_message_id == "c80e8021-a70a-42c7-a470-796e1186f753"


def test_the_envelope_of_sns_names_the_topic() -> None:
    delivery = decode_sqs_record(lambda_sqs_of_sns("{}", IDS))

    assert delivery.topic_arn == TOPIC_ARN
    assert delivery.topic == "order--created.fifo"
    assert delivery.transport_message_id == "c80e8021-a70a-42c7-a470-796e1186f753"


def test_a_notification_without_a_queue_is_sns_own() -> None:
    delivery = decode_sns_record(lambda_sns("{}", IDS))

    assert delivery.transport_message_id == "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324"
    assert delivery.transport_sequence_number == "10000000000000003000"
    assert delivery == decode_sns_record(notification("{}", IDS))


def test_headers_trace_and_causation_are_told_apart() -> None:
    extra = [
        ("tenant", "String", "blue"),
        ("CausationId", "String", "m-0"),
        ("traceparent", "String", TRACEPARENT),
        ("tracestate", "String", "congo=1"),
    ]
    delivery = decode_sqs_record(lambda_sqs("{}", [*IDS, *extra]))

    assert delivery.headers == {"tenant": "blue"}
    assert delivery.causation_id == "m-0"
    assert delivery.trace == TraceContext(
        "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1, "congo=1"
    )


def test_attributes_are_what_a_catalog_asks_for() -> None:
    envelope = encode_envelope(MESSAGE, "raw", source=SOURCE)
    assert isinstance(envelope, Envelope)
    assert decode_sqs_record(received(envelope.body, attributes_of(envelope))).attributes == {
        "MessageId": "m-1",
        "AggregateId": "order-7",
        "MessageType": "OrderCreated",
        "SchemaVersion": "2",
        "ContentType": "application/json",
    }


def test_a_cloudevent_speaks_for_itself_where_the_attributes_are_lost() -> None:
    envelope = encode_envelope(MESSAGE, "cloudevents", source=SOURCE)
    assert isinstance(envelope, Envelope)
    delivery = decode_sqs_record(received(envelope.body, []), "cloudevents")

    assert (delivery.message_id, delivery.aggregate_id) == ("m-1", "order-7")
    assert (delivery.message_type, delivery.content_type) == ("OrderCreated", "application/json")
    assert (delivery.correlation_id, delivery.sequence) == ("c-1", 3)
    assert delivery.body == '{"price": 1.10}'


def test_a_body_that_looks_like_a_notification_is_a_body() -> None:
    """With raw message delivery the attributes are the record's own, and so the body is the message."""
    body = json.dumps(notification("{}", []))
    assert decode_sqs_record(lambda_sqs(body, IDS)).body == body


@pytest.mark.parametrize("kind", ["cloudevents", "tomodachi"])
def test_plain_text_comes_back_as_text(kind: EnvelopeKind) -> None:
    envelope = encode_envelope(BARE, kind, source=SOURCE)
    assert isinstance(envelope, Envelope)
    assert decode_sqs_record(lambda_sqs(envelope.body, attributes_of(envelope)), kind).body == "plain"


def test_a_binary_attribute_is_left_out() -> None:
    """The relay writes none, and a queue may have other senders' on it."""
    record = lambda_sqs("{}", IDS)
    record["messageAttributes"]["picture"] = {
        "binaryValue": "eA==",
        "stringListValues": [],
        "binaryListValues": [],
        "dataType": "Binary",
    }
    api = received("{}", IDS)
    api["MessageAttributes"]["picture"] = {"BinaryValue": b"x", "DataType": "Binary.png"}
    sns = notification("{}", [*IDS, ("picture", "Binary", "eA==")])

    assert decode_sqs_record(record).headers == {}
    assert decode_sqs_record(api).headers == {}
    assert decode_sns_record(sns).headers == {}


CLOUDEVENT: dict[str, Any] = {"specversion": "1.0", "id": "m", "source": "s", "type": "t", "subject": "a"}

REFUSED: list[tuple[object, EnvelopeKind, DeliveryFault, str | None]] = [
    (None, "raw", "record", None),
    ({"body": "{}"}, "raw", "record", None),
    ({"body": b"{}", "messageId": "1"}, "raw", "record", None),
    (received("{}", []), "raw", "missing", "MessageId"),
    (received("{}", IDS[:1]), "raw", "missing", "AggregateId"),
    (received("{}", [*IDS, ("Sequence", "Number", "1.5")]), "raw", "number", "Sequence"),
    (received("{}", [*IDS, ("Hops", "Number", "many")]), "raw", "number", "Hops"),
    (received("{}", [*IDS, ("SchemaVersion", "String", "")]), "raw", "number", "SchemaVersion"),
    (received("plain", IDS), "cloudevents", "envelope", "cloudevents"),
    (received("{}", IDS), "cloudevents", "envelope", "cloudevents"),
    (
        received(json.dumps({**CLOUDEVENT, "specversion": "0.3"}), IDS),
        "cloudevents",
        "envelope",
        "cloudevents",
    ),
    (
        received(json.dumps({**CLOUDEVENT, "data_base64": "eA=="}), IDS),
        "cloudevents",
        "envelope",
        "cloudevents",
    ),
    (received("{}", IDS), "tomodachi", "envelope", "tomodachi"),
    (received("[" * 20_000, IDS), "tomodachi", "envelope", "tomodachi"),
    (
        received(
            '{"metadata":{"message_uuid":"m","protocol_version":"p","data_encoding":"base64_gzip_json"},"data":1}',
            IDS,
        ),
        "tomodachi",
        "envelope",
        "tomodachi",
    ),
]


@pytest.mark.parametrize(("record", "kind", "reason", "name"), REFUSED)
def test_what_is_no_delivery_is_refused_by_name(
    record: object, kind: EnvelopeKind, reason: DeliveryFault, name: str | None
) -> None:
    with pytest.raises(UndecodableDeliveryError) as refused:
        decode_sqs_record(record, kind)

    assert (refused.value.reason, refused.value.name) == (reason, name)
    assert str(refused.value).startswith(f"{reason}: ")


def test_an_error_holds_nothing_of_the_message() -> None:
    secret = "s3cr3t"
    with pytest.raises(UndecodableDeliveryError) as refused:
        decode_sqs_record(
            received(f'{{"{secret}": "{secret}"', [*IDS, ("Hops", "Number", secret)]), "tomodachi"
        )
    assert secret not in repr(refused.value)
    assert refused.value.__cause__ is None

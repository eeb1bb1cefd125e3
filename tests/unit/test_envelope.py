"""The three envelopes, to the byte, and what they refuse."""

import msgspec
import pytest

from outbox_sdk.core.entry import Entry, TopicLimits, encode_entry, entry_request
from outbox_sdk.core.envelope import Attribute, Envelope, EnvelopeKind, encode_envelope
from outbox_sdk.core.identifiers import (
    AccountId,
    AggregateId,
    CorrelationId,
    ItemKey,
    MessageId,
    Region,
    TopicName,
)
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.routing import Refusal, Routing

SOURCE = "/outbox/outbox"
ROUTING = Routing(region=Region("eu-west-1"), account_id=AccountId("123456789012"))
MESSAGE = OutboxMessage(
    key=ItemKey((("PK", "S", "AGGREGATE#order-7"), ("SK", "S", "MESSAGE#m-1"))),
    marker={"S": "04"},
    message_id=MessageId("m-1"),
    aggregate_id=AggregateId("order-7"),
    topic=TopicName("order--created"),
    body='{"price": 1.10}',
    correlation_id=CorrelationId("c-1"),
    created_at="2026-11-23T10:00:00.5+01:00",
    message_type="OrderCreated",
    schema_version=2,
    content_type="application/json",
    headers={"tenant": "blue"},
    sequence=3,
)
BARE = OutboxMessage(
    key=MESSAGE.key,
    marker=MESSAGE.marker,
    message_id=MESSAGE.message_id,
    aggregate_id=MESSAGE.aggregate_id,
    topic=MESSAGE.topic,
    body="plain",
)


def body_of(message: OutboxMessage, kind: EnvelopeKind) -> str:
    envelope = encode_envelope(message, kind, source=SOURCE)
    assert isinstance(envelope, Envelope)
    return envelope.body


def reason_of(message: OutboxMessage, kind: EnvelopeKind = "raw") -> str:
    refusal = encode_envelope(message, kind, source=SOURCE)
    assert isinstance(refusal, Refusal)
    return refusal.reason


def test_raw() -> None:
    assert body_of(MESSAGE, "raw") == '{"price": 1.10}'


def test_cloudevents() -> None:
    assert body_of(MESSAGE, "cloudevents") == (
        '{"specversion":"1.0","id":"m-1","source":"/outbox/outbox","type":"OrderCreated",'
        '"subject":"order-7","partitionkey":"order-7","datacontenttype":"application/json",'
        '"time":"2026-11-23T09:00:00.500000Z","schemaversion":"2","correlationid":"c-1","sequence":"3",'
        '"data":{"price": 1.10}}'
    )
    assert body_of(BARE, "cloudevents") == (
        '{"specversion":"1.0","id":"m-1","source":"/outbox/outbox","type":"order--created",'
        '"subject":"order-7","partitionkey":"order-7","datacontenttype":"text/plain","data":"plain"}'
    )


def test_tomodachi() -> None:
    assert body_of(MESSAGE, "tomodachi") == (
        '{"service":{"name":"/outbox/outbox","uuid":null},"metadata":{"message_uuid":"m-1",'
        '"protocol_version":"tomodachi-json-base--1.0.0","compatible_protocol_versions":["json_base-wip"],'
        '"timestamp":1795424400.5,"topic":"order--created","data_encoding":"raw"},"data":{"price": 1.10}}'
    )
    assert body_of(BARE, "tomodachi").endswith(
        '"timestamp":null,"topic":"order--created","data_encoding":"raw"},"data":"plain"}'
    )


def test_attributes() -> None:
    envelope = encode_envelope(MESSAGE, "raw", source=SOURCE)
    assert isinstance(envelope, Envelope)
    assert envelope.attributes == (
        Attribute("MessageId", "m-1"),
        Attribute("AggregateId", "order-7"),
        Attribute("CorrelationId", "c-1"),
        Attribute("MessageType", "OrderCreated"),
        Attribute("ContentType", "application/json"),
        Attribute("SchemaVersion", "2", "Number"),
        Attribute("Sequence", "3", "Number"),
        Attribute("tenant", "blue"),
    )
    assert Attribute("é", "é€").size == 2 + len("String") + 5


@pytest.mark.parametrize("kind", ["raw", "cloudevents", "tomodachi"])
def test_hops_are_carried_where_there_are_any(kind: EnvelopeKind) -> None:
    far = msgspec.structs.replace(BARE, hops=3)
    envelope, plain = (encode_envelope(message, kind, source=SOURCE) for message in (far, BARE))
    assert isinstance(envelope, Envelope)
    assert isinstance(plain, Envelope)
    assert envelope.attributes == (*plain.attributes, Attribute("Hops", "3", "Number"))
    assert ('"hops":"3"' in envelope.body) == (kind == "cloudevents")
    assert "hops" not in plain.body


def test_a_message_that_goes_round_in_a_circle_is_refused() -> None:
    def encode(hops: int) -> Entry | Refusal:
        message = msgspec.structs.replace(BARE, hops=hops)
        return encode_entry(message, ROUTING, kind="raw", limits=TopicLimits(), source=SOURCE)

    assert isinstance(encode(15), Entry)
    assert encode(16) == encode(10**30) == Refusal("hops:16")


@pytest.mark.parametrize("kind", ["cloudevents", "tomodachi"])
@pytest.mark.parametrize(
    ("body", "content_type", "data"),
    [
        ("[1]", None, "[1]"),
        ("[1]", "application/json; charset=utf-8", "[1]"),
        ("[1]", "Application/Problem+JSON", "[1]"),
        ("[1]", "text/plain", '"[1]"'),
        ("[1,]", None, '"[1,]"'),
        ("12345678901234567890.10", None, "12345678901234567890.10"),
        ('{"a":1,"a":2}', None, '{"a":1,"a":2}'),
        ("NaN", None, '"NaN"'),
        ("\ufeff{}", None, '"\ufeff{}"'),
        # No decoder agrees on half a surrogate pair, so it travels as the text it is.
        ('"\\ud800"', None, '"\\"\\\\ud800\\""'),
    ],
)
def test_the_data_is_the_document_or_a_string(
    kind: EnvelopeKind, body: str, content_type: str | None, data: str
) -> None:
    message = msgspec.structs.replace(BARE, body=body, content_type=content_type)
    assert body_of(message, kind).endswith(f'"data":{data}}}')


def test_a_body_that_is_declared_json_and_is_not() -> None:
    message = msgspec.structs.replace(BARE, body="{", content_type="application/json")
    assert reason_of(message, "cloudevents") == "json"
    assert reason_of(message, "tomodachi") == "json"
    assert body_of(message, "raw") == "{"


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"MessageId": "x"}, "attribute-name"),
        ({"Hops": "1"}, "attribute-name"),
        ({"AWS.x": "x"}, "attribute-name"),
        ({"amazon.x": "x"}, "attribute-name"),
        ({".x": "x"}, "attribute-name"),
        ({"x.": "x"}, "attribute-name"),
        ({"a..b": "x"}, "attribute-name"),
        ({"a b": "x"}, "attribute-name"),
        ({"é": "x"}, "attribute-name"),
        ({"": "x"}, "attribute-name"),
        ({"a" * 257: "x"}, "attribute-name"),
        ({"a": ""}, "attribute-empty:a"),
        ({"a": "\0"}, "charset:U+0000:a"),
        ({"a": "\ud800"}, "unicode:a"),
        ({f"h{number}": "x" for number in range(9)}, "attributes:11"),
    ],
)
def test_headers_that_sns_would_not_carry(headers: dict[str, str], reason: str) -> None:
    assert reason_of(msgspec.structs.replace(BARE, headers=headers)) == reason


def test_ten_attributes_and_long_names_are_fine() -> None:
    headers = {f"h{number}": "x" for number in range(7)} | {"a" * 256: "x"}
    envelope = encode_envelope(msgspec.structs.replace(BARE, headers=headers), "raw", source=SOURCE)
    assert isinstance(envelope, Envelope)
    assert len(envelope.attributes) == 10


def test_exactly_the_limit_passes_and_one_byte_more_does_not() -> None:
    size = len("plain") + sum(
        len(text) for text in ("MessageId", "String", "m-1", "AggregateId", "String", "order-7")
    )

    def encode(limit: int) -> object:
        limits = TopicLimits(1, {BARE.topic: limit})
        return encode_entry(BARE, ROUTING, kind="raw", limits=limits, source=SOURCE)

    assert not isinstance(encode(size), Refusal)
    assert encode(size - 1) == Refusal(f"size:{size}>{size - 1}")


def test_an_entry_of_a_fifo_topic() -> None:
    message = msgspec.structs.replace(BARE, topic=TopicName("orders.fifo"))
    entry = encode_entry(message, ROUTING, kind="raw", limits=TopicLimits(), source=SOURCE)
    assert not isinstance(entry, Refusal)
    assert entry_request(entry, "0") == {
        "Id": "0",
        "Message": "plain",
        "MessageAttributes": {
            "MessageId": {"DataType": "String", "StringValue": "m-1"},
            "AggregateId": {"DataType": "String", "StringValue": "order-7"},
        },
        "MessageGroupId": "order-7",
        "MessageDeduplicationId": entry.deduplication_id,
    }


@pytest.mark.parametrize("kind", ["cloudevents", "tomodachi"])
def test_a_document_nested_deeply_is_one_messages_fault(kind: EnvelopeKind) -> None:
    message = msgspec.structs.replace(BARE, body="[" * 5000 + "]" * 5000)
    encode_envelope(message, kind, source=SOURCE)


@pytest.mark.parametrize("created_at", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_a_time_at_the_end_of_the_calendar_stops_no_message(created_at: str) -> None:
    body_of(msgspec.structs.replace(BARE, created_at=created_at), "cloudevents")

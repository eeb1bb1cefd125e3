"""Envelopes: the body arrives as the producer wrote it, under the message's own id."""

import json
from datetime import datetime
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from outbox_sdk.core.entry import TopicLimits, deduplication_id, encode_entry, message_group_id
from outbox_sdk.core.envelope import Envelope, EnvelopeKind, encode_envelope
from outbox_sdk.core.routing import Refusal, Routing, resolve_topic
from outbox_sdk.core.table import TableDesign
from tests.property import strategies as our
from tests.property.oracles import check_park_reason, find_untravelling, read_tomodachi

SOURCE = "/outbox/test"


def exact(text: str) -> Any:
    """JSON as it is written: numbers stay text, and repeated names stay repeated."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    return json.loads(
        text,
        parse_int=lambda digits: ("number", digits),
        parse_float=lambda digits: ("number", digits),
        parse_constant=refuse,
        object_pairs_hook=lambda pairs: ("object", pairs),
    )


def is_json(text: str) -> bool:
    try:
        exact(text)
    except ValueError:
        return False
    return True


def member(document: Any, name: str) -> Any:
    kind, pairs = document
    assert kind == "object"
    (value,) = [value for key, value in pairs if key == name]
    return value


def expected_data(body: str, content_type: str | None) -> Any:
    """A body that is JSON, or says that it is, is embedded; any other is a string."""
    media_type = (content_type or "application/json").partition(";")[0].lower()
    is_document = is_json(body) and (media_type == "application/json" or media_type.endswith("+json"))
    return exact(body) if is_document else body


@given(st.data(), our.designs())
def test_raw_leaves_the_body_identical(data: st.DataObject, design: TableDesign) -> None:
    """With `raw`, subscribers get the producer's text to the byte."""
    message = data.draw(our.messages(design))
    envelope = encode_envelope(message, "raw", source=SOURCE)
    assert isinstance(envelope, Envelope)
    assert envelope.body.encode() == message.body.encode()


@given(st.data(), our.designs())
def test_cloudevents_carries_the_same_data(data: st.DataObject, design: TableDesign) -> None:
    """CloudEvents 1.0: the required attributes are there, and `data` is the body, not a digit changed."""
    message = data.draw(our.messages(design))
    envelope = encode_envelope(message, "cloudevents", source=SOURCE)
    assert isinstance(envelope, Envelope)
    assert member(exact(envelope.body), "data") == expected_data(message.body, message.content_type)
    event = json.loads(envelope.body)
    assert event["specversion"] == "1.0"
    assert event["id"] == message.message_id
    assert event["source"] == SOURCE
    assert event["type"] == (message.message_type or message.topic)
    assert event["subject"] == message.aggregate_id
    for name, value in event.items():
        # "lower-case letters or digits"; only `data` may be anything but a string.
        assert name.isascii()
        assert name.isalnum()
        assert name == name.lower()
        assert name == "data" or isinstance(value, str)
    if "time" in event:
        assert datetime.fromisoformat(event["time"]).tzinfo is not None


@given(st.data(), our.designs())
def test_a_tomodachi_consumer_reads_the_same_data(data: st.DataObject, design: TableDesign) -> None:
    """A consumer of the `JsonBase` envelope gets the body: as a document if it is one, else as a string."""
    message = data.draw(our.messages(design))
    envelope = encode_envelope(message, "tomodachi", source=SOURCE)
    assert isinstance(envelope, Envelope)
    if message.body != json.dumps(message.body):  # the same letter for letter, besides the same value
        document = is_json(message.body) and expected_data(message.body, message.content_type) != message.body
        assert (
            message.body if document else json.dumps(message.body, ensure_ascii=False)[1:2]
        ) in envelope.body
    plain = expected_data(message.body, message.content_type)
    plain = json.loads(message.body) if plain != message.body else message.body
    assert read_tomodachi(envelope.body, json.loads) == plain


@given(st.data(), our.designs(), our.envelope_kinds())
def test_every_message_travels_under_its_own_id(
    data: st.DataObject, design: TableDesign, kind: EnvelopeKind
) -> None:
    """Consumers deduplicate by the message's id and order by its aggregate, in any envelope."""
    message = data.draw(our.messages(design))
    envelope = encode_envelope(message, kind, source=SOURCE)
    assert isinstance(envelope, Envelope)
    attributes = {attribute.name: (attribute.kind, attribute.value) for attribute in envelope.attributes}
    assert len(attributes) == len(envelope.attributes)
    expected = {
        "MessageId": ("String", message.message_id),
        "AggregateId": ("String", message.aggregate_id),
        "CorrelationId": ("String", message.correlation_id),
        "MessageType": ("String", message.message_type),
        "ContentType": ("String", message.content_type),
        "SchemaVersion": ("Number", message.schema_version),
        "Sequence": ("Number", message.sequence),
        "Hops": ("Number", message.hops if message.hops > 0 else None),
        **{name: ("String", value) for name, value in message.headers.items()},
    }
    assert attributes == {
        name: (kind, str(value)) for name, (kind, value) in expected.items() if value not in (None, "")
    }


@given(st.data(), our.designs(), our.envelope_kinds())
def test_a_refusal_names_the_fault_and_no_payload(
    data: st.DataObject, design: TableDesign, kind: EnvelopeKind
) -> None:
    """What SNS or SQS would not carry is refused beforehand, with a reason fit for a log."""
    message = data.draw(our.messages(design))
    fields = st.dictionaries(
        st.sampled_from(["correlation_id", "message_type", "content_type"]), our.awkward_text(), max_size=2
    )
    many = st.integers(0, 12).map(lambda count: {f"h{number}": "x" for number in range(count)})
    odd = st.dictionaries(our.awkward_text() | st.sampled_from(["MessageId", "a"]), our.awkward_text())
    headers = odd | many
    drawn = data.draw(fields)
    drawn_headers = data.draw(headers)
    message = msgspec.structs.replace(message, **drawn, headers=drawn_headers)
    envelope = encode_envelope(message, kind, source=SOURCE)
    if isinstance(envelope, Refusal):
        check_park_reason(envelope.reason)
        for text in drawn_headers.values():
            assert len(text) < 4 or text not in envelope.reason
    else:
        assert len(envelope.attributes) <= 10
        for attribute in envelope.attributes:
            assert attribute.value
            assert find_untravelling(attribute.value) is None


@given(st.data(), our.designs(), our.routings(), our.envelope_kinds(), our.limits())
def test_an_entry_goes_where_its_producer_may_go(
    data: st.DataObject,
    design: TableDesign,
    routing: Routing,
    kind: EnvelopeKind,
    limits: TopicLimits,
) -> None:
    """A producer reaches no topic outside the prefix and the allow-list, and none over its size limit."""
    message = data.draw(our.messages(design))
    entry = encode_entry(message, routing, kind=kind, limits=limits, source=SOURCE)
    if isinstance(entry, Refusal):
        check_park_reason(entry.reason)
        return
    expected = (
        f"arn:{routing.partition}:sns:{routing.region}:{routing.account_id}:{routing.prefix}{message.topic}"
    )
    assert entry.topic == expected
    assert routing.allowed is None or message.topic in routing.allowed
    sizes = [
        len(text.encode())
        for attribute in entry.envelope.attributes
        for text in (attribute.name, attribute.kind, attribute.value)
    ]
    assert entry.envelope.size == len(entry.envelope.body.encode()) + sum(sizes)
    assert entry.envelope.size <= limits.by_topic.get(message.topic, limits.default)
    assert (entry.group_id is None) == (not message.topic.endswith(".fifo"))


@given(
    our.routings(),
    our.awkward_text() | st.sampled_from(["arn:aws:sns:us-east-1:999999999999:t", "a/b", "a.b"]),
)
def test_no_text_breaks_out_of_a_topic_name(routing: Routing, name: str) -> None:
    """Whatever a producer writes as a topic, the account, the Region and the prefix stay the relay's."""
    topic = resolve_topic(name, routing)
    if isinstance(topic, Refusal):
        assert topic.reason in ("topic-name", "topic-not-allowed")
        return
    head = ["arn", routing.partition, "sns", routing.region, routing.account_id]
    assert topic.split(":") == [*head, routing.prefix + name]
    assert name.isascii()


@given(our.travelling_text(max_size=200), our.travelling_text(max_size=200))
def test_fifo_groups_are_legal_and_keep_aggregates_apart(one: str, other: str) -> None:
    """Order is kept within an aggregate, and no aggregate waits for another."""
    for group in (message_group_id(one), message_group_id(other)):
        assert 1 <= len(group) <= 128
        assert all("!" <= character <= "~" for character in group)
    assert (message_group_id(one) == message_group_id(other)) == (one == other)


@given(st.data(), our.designs(), st.integers(0, 5), st.integers(0, 5))
def test_only_the_same_item_in_the_same_round_is_a_duplicate(
    data: st.DataObject, design: TableDesign, one: int, other: int
) -> None:
    """SNS drops what is a duplicate: a second publish of one item is, a redrive and another item are not."""
    key = data.draw(our.messages(design)).key
    second = data.draw(st.just(key) | our.messages(design).map(lambda message: message.key))
    same = deduplication_id(key, one) == deduplication_id(second, other)
    assert same == ((key, one) == (second, other))
    assert len(deduplication_id(key, one)) <= 128

"""Destinations that are no topics: who reaches them, how services count, and what goes over the wire."""

import base64
import json
from typing import Any

import msgspec
import pytest
from botocore.validate import ParamValidator
from hypothesis import assume, given
from hypothesis import strategies as st

from outbox_sdk.core.classification import ErrorClass, known_class
from outbox_sdk.core.destination_json import WIRES
from outbox_sdk.core.destinations import (
    EVENTBRIDGE,
    KINESIS,
    SNS,
    SQS,
    is_ordered_route,
    is_route,
    parse_route,
    route_of,
    services_of,
)
from outbox_sdk.core.embedding import encode_document
from outbox_sdk.core.entry import Entry, TopicLimits, encode_entry, find_publish_fault
from outbox_sdk.core.envelope import ENVELOPE_KINDS, PAYLOAD_SIZE, encode_envelope
from outbox_sdk.core.identifiers import AccountId, AggregateId, ItemKey, MessageId, Region, TopicName
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.pointer import encode_pointer
from outbox_sdk.core.publish import (
    EntryFailed,
    Published,
    PublishRequest,
    RequestFailed,
    decode_publish_response,
    pack_requests,
)
from outbox_sdk.core.routing import Refusal, Routing, resolve_route
from outbox_sdk.core.table import TableDesign
from tests.property import strategies as our
from tests.property.test_wire_formats import operation, parse, serialize

ROUTES = ("sqs:billing", "sqs:billing.fifo", "eventbridge:orders", "kinesis:orders")
ROUTING = Routing(
    region=Region("eu-west-1"),
    account_id=AccountId("123456789012"),
    allowed=frozenset(map(TopicName, ROUTES)),
)
ENDPOINT = "https://sqs.eu-west-1.amazonaws.com"
_routes = st.sampled_from(ROUTES).map(TopicName)
_messages = our.messages(TableDesign.ordered, topics=_routes)


def encode(message: OutboxMessage, kind: Any = "raw") -> Entry | Refusal:
    return encode_entry(message, ROUTING, kind=kind, limits=TopicLimits(), source="/outbox/orders-outbox")


@st.composite
def requests(draw: st.DrawFn) -> PublishRequest:
    route = draw(_routes)
    kind = draw(our.envelope_kinds())
    drawn = draw(st.lists(our.messages(TableDesign.ordered, topics=st.just(route)), min_size=1, max_size=3))
    entries = [entry for message in drawn if isinstance(entry := encode(message, kind), Entry)]
    assume(entries)
    return PublishRequest(entries[0].topic, tuple(entries))


# Routes


@given(our.topic_names())
def test_the_name_of_a_topic_is_its_route(name: TopicName) -> None:
    assert parse_route(name) == (SNS, name)
    assert services_of([name]) == ("sns",)


@pytest.mark.parametrize("route", ROUTES)
def test_an_arn_leads_back_to_its_route(route: str) -> None:
    arn = resolve_route(route, ROUTING)

    assert isinstance(arn, str)
    assert route_of(arn) == parse_route(route)


@pytest.mark.parametrize(
    "text",
    [
        "sqs:",
        "sqs:a b",
        "sqs:a/b",
        "sqs:" + "q" * 81,
        "sqs:" + "q" * 76 + ".fifo",
        "sqs:a.b",
        "eventbridge:aws.partner/x",
        "eventbridge:" + "b" * 257,
        "kinesis:" + "s" * 129,
        "kinesis:a:b",
        "firehose:x",
        "SQS:q",
        "arn:aws:sqs:eu-west-1:123456789012:q",
        ":q",
        "x" * 5_000,
    ],
)
def test_what_no_service_would_take_is_no_route(text: str) -> None:
    assert not is_route(text)
    assert not is_ordered_route(text)
    assert isinstance(resolve_route(text, ROUTING), Refusal)


@given(_messages, our.routings())
def test_no_destination_is_in_reach_that_is_not_named(message: OutboxMessage, routing: Routing) -> None:
    """A prefix and a list of topics open topics only."""
    entry = encode_entry(message, routing, kind="raw", limits=TopicLimits(), source="/outbox/outbox")

    assert entry == Refusal("destination-not-allowed")


def test_the_limit_of_a_route_is_its_own() -> None:
    limits = TopicLimits(1_024, {TopicName("sqs:billing"): 2_048})

    assert limits.of_route(TopicName("sqs:billing"), SQS) == 2_048
    assert limits.of_route(TopicName("kinesis:orders"), KINESIS) == KINESIS.entry_bytes


# Sizes


@given(_messages, our.envelope_kinds())
def test_an_entry_is_counted_as_its_service_counts(message: OutboxMessage, kind: Any) -> None:
    """The oracle counts what stands in the request, by the words of each service's documentation."""
    entry = encode(message, kind)
    assume(isinstance(entry, Entry))
    assert isinstance(entry, Entry)
    takes, _ = route_of(entry.topic)
    sent = WIRES[takes.service].arguments(PublishRequest(entry.topic, (entry,)), ENDPOINT)

    if takes is SQS:
        (written,) = sent["Entries"]
        texts = [written["MessageBody"]]
        for name, value in written["MessageAttributes"].items():
            texts += [name, *value.values()]
        texts += [written.get("MessageGroupId", ""), written.get("MessageDeduplicationId", "")]
        size = sum(len(text.encode()) for text in texts)
    elif takes is EVENTBRIDGE:
        (written,) = sent["Entries"]
        size = sum(len(written[name].encode()) for name in ("Source", "DetailType", "Detail"))
        size += 14 if "Time" in written else 0
    else:
        (written,) = sent["Records"]
        size = len(written["Data"]) + len(written["PartitionKey"].encode())
    assert entry.size == size
    assert (entry.limit, entry.max_entries) == (takes.request_bytes, takes.max_entries)


@given(st.lists(_messages, max_size=30), st.integers(1, 4), st.sampled_from([100, 400, 1_000_000]))
def test_requests_are_within_the_limits_that_come_with_their_entries(
    drawn: list[OutboxMessage], max_entries: int, limit: int
) -> None:
    encoded = [entry for message in drawn if isinstance(entry := encode(message), Entry)]
    entries = [msgspec.structs.replace(entry, limit=limit, max_entries=max_entries) for entry in encoded]

    packed = pack_requests(entries)

    for request in packed:
        assert {entry.topic for entry in request.entries} == {request.topic}
        assert len(request.entries) <= max_entries
        assert len(request.entries) == 1 or sum(entry.size for entry in request.entries) <= limit
    for topic in {entry.topic for entry in entries}:
        mine = [entry for request in packed if request.topic == topic for entry in request.entries]
        assert mine == [entry for entry in entries if entry.topic == topic]


@given(_messages, our.envelope_kinds())
def test_a_producer_is_told_what_the_relay_would_refuse(message: OutboxMessage, kind: Any) -> None:
    limits = TopicLimits(by_topic=dict.fromkeys(map(TopicName, ROUTES), 300))
    source = "/outbox/orders-outbox"
    entry = encode_entry(message, ROUTING, kind=kind, limits=limits, source=source)

    fault = find_publish_fault(message, kind=kind, limits=limits, source=source)

    assert fault == (entry if isinstance(entry, Refusal) else None)


@pytest.mark.parametrize("aggregate_id", ["order-7", "größe"])
@pytest.mark.parametrize("route", ROUTES)
def test_exactly_the_limit_passes_and_one_byte_more_does_not(route: str, aggregate_id: str) -> None:
    template = OutboxMessage(
        key=our.item_key(TableDesign.ordered, "a", "m"),
        marker={"S": "03"},
        message_id=MessageId("m"),
        aggregate_id=AggregateId(aggregate_id),
        topic=TopicName(route),
        body="",
    )
    bare = encode(template)
    assert isinstance(bare, Entry)
    limit = TopicLimits().of_route(template.topic, route_of(bare.topic)[0])
    reserved = len((bare.group_id or "") + bare.deduplication_id) if bare.deduplication_id else 0
    room = limit - (bare.size - reserved)

    assert isinstance(encode(msgspec.structs.replace(template, body="x" * room)), Entry)
    over = encode(msgspec.structs.replace(template, body="x" * (room + 1)))
    assert over == Refusal(f"size:{limit + 1}>{limit}")


# What travels


@given(_messages, our.envelope_kinds())
def test_one_object_says_what_body_and_attributes_would_have_said(message: OutboxMessage, kind: Any) -> None:
    document = encode_document(message, kind, source="/outbox/outbox")
    envelope = encode_envelope(message, kind, source="/outbox/outbox")
    if isinstance(envelope, Refusal):
        assert document == envelope
        return
    if isinstance(document, Refusal):
        assert document.reason == "json" or document.reason.startswith("extension-name:")
        return
    said = json.loads(document)
    attributes = {attribute.name: attribute.value for attribute in envelope.attributes}
    if kind == "raw":
        assert said.keys() == {"attributes", "data"}
        assert said["attributes"] == attributes
        assert said["data"] == message.body or said["data"] == json.loads(message.body)
        return
    carried = json.loads(envelope.body)
    if kind == "tomodachi":
        assert said == {**carried, "attributes": attributes}
        return
    assert {name: said[name] for name in carried} == carried
    extensions = {name.lower(): value for name, value in attributes.items() if name in message.headers}
    assert extensions.items() <= said.items()
    assert ("schemaversion" in said) == (message.schema_version is not None)


@pytest.mark.parametrize("kind", ENVELOPE_KINDS)
def test_a_claimed_body_is_referred_to_and_not_embedded(kind: Any) -> None:
    key = "claims/outbox/body/A/M/" + "0" * 64 + "-" + "f" * 16
    pointer = encode_pointer("orders", key)
    message = OutboxMessage(
        key=our.item_key(TableDesign.ordered, "a", "m"),
        marker={"S": "03"},
        message_id=MessageId("m"),
        aggregate_id=AggregateId("a"),
        topic=TopicName("kinesis:orders"),
        body=pointer,
        headers={PAYLOAD_SIZE: "300000"},
    )

    entry = encode(message, kind)

    assert isinstance(entry, Entry)
    said = json.loads(entry.envelope.body)
    if kind == "cloudevents":
        assert (said["dataref"], said["datasize"]) == (f"s3://orders/{key}", "300000")
        assert "data" not in said
    else:
        assert said["data"] == json.loads(pointer)
        assert said["attributes"][PAYLOAD_SIZE] == "300000"


# The event says none of the last ones here, and a consumer would take the header's word for it.
_FORGED = ("time", "dataschema", "sequence", "hops", "correlationid", "dataref", "datasize", "Traceparent")


@pytest.mark.parametrize("name", ["trace.id", "x-y", "ID", "Source", "schemaversion", *_FORGED])
def test_a_header_that_no_cloud_event_could_carry_refuses_the_message(name: str) -> None:
    message = OutboxMessage(
        key=our.item_key(TableDesign.ordered, "a", "m"),
        marker={"S": "03"},
        message_id=MessageId("m"),
        aggregate_id=AggregateId("a"),
        topic=TopicName("kinesis:orders"),
        body="{}",
        schema_version=2,
        headers={name: "value"},
    )

    assert encode(message, "cloudevents") == Refusal(f"extension-name:{name}")
    assert isinstance(encode(message, "raw"), Entry)


@given(
    our.messages(TableDesign.ordered, topics=st.just(TopicName("eventbridge:orders"))), our.envelope_kinds()
)
def test_the_detail_of_an_event_is_an_object_and_its_fields_are_legal(
    message: OutboxMessage, kind: Any
) -> None:
    entry = encode(message, kind)
    assume(isinstance(entry, Entry))
    assert isinstance(entry, Entry)
    fields = {field.name: field.value for field in entry.envelope.attributes}

    assert isinstance(json.loads(entry.envelope.body), dict)
    assert fields["Source"] == "outbox.orders-outbox"
    assert 1 <= len(fields["DetailType"]) <= 128
    assert int(fields.get("Time", 0)) >= 0


def test_a_type_that_is_too_long_for_an_event_refuses_the_message() -> None:
    message = OutboxMessage(
        key=our.item_key(TableDesign.ordered, "a", "m"),
        marker={"S": "03"},
        message_id=MessageId("m"),
        aggregate_id=AggregateId("a"),
        topic=TopicName("eventbridge:orders"),
        body="{}",
        message_type="T" * 128,
    )

    assert isinstance(encode(message), Entry)
    assert encode(msgspec.structs.replace(message, message_type="T" * 129)) == Refusal("detail-type:129>128")


# The wire


@given(requests())
def test_a_request_is_written_as_botocore_writes_it(request: PublishRequest) -> None:
    service = route_of(request.topic)[0].service
    wire = WIRES[service]
    arguments = wire.arguments(request, ENDPOINT)
    expected = serialize(service, wire.operation, arguments)

    body = wire.encode(request, endpoint_url=ENDPOINT)

    assert json.loads(body) == json.loads(expected["body"])
    assert wire.headers == {name: expected["headers"][name] for name in wire.headers}
    shape = operation(service, wire.operation).input_shape
    assert shape is not None
    assert not ParamValidator().validate(arguments, shape).has_errors()


def test_what_an_event_is_on_the_wire() -> None:
    message = OutboxMessage(
        key=our.item_key(TableDesign.ordered, "a", "m"),
        marker={"S": "03"},
        message_id=MessageId("m-1"),
        aggregate_id=AggregateId("order-7"),
        topic=TopicName("eventbridge:orders"),
        body='{"total": 1.0}',
        created_at="2026-11-23T10:00:00.9+01:00",
        message_type="OrderCreated",
    )
    entry = encode(message)
    assert isinstance(entry, Entry)

    # Its source, its type, and 14 bytes for its time.
    assert entry.size == len(entry.envelope.body) + len("outbox.orders-outbox") + len("OrderCreated") + 14

    body = WIRES["events"].encode(PublishRequest(entry.topic, (entry,)), endpoint_url=ENDPOINT)

    assert json.loads(body) == {
        "Entries": [
            {
                "Detail": '{"attributes":{"MessageId":"m-1","AggregateId":"order-7",'
                '"MessageType":"OrderCreated"},"data":{"total": 1.0}}',
                "DetailType": "OrderCreated",
                "EventBusName": "arn:aws:events:eu-west-1:123456789012:event-bus/orders",
                "Source": "outbox.orders-outbox",
                "Time": 1795424400,
            }
        ]
    }


def test_a_partition_key_counts_in_utf_8() -> None:
    message = OutboxMessage(
        key=our.item_key(TableDesign.ordered, "a", "m"),
        marker={"S": "03"},
        message_id=MessageId("m-1"),
        aggregate_id=AggregateId("größe"),
        topic=TopicName("kinesis:orders"),
        body="{}",
    )
    entry = encode(message)
    assert isinstance(entry, Entry)

    assert entry.group_id == "größe"
    assert entry.size == len(entry.envelope.body.encode()) + 7


@given(requests())
def test_a_request_names_its_destination(request: PublishRequest) -> None:
    kind, name = route_of(request.topic)
    sent = json.loads(WIRES[kind.service].encode(request, endpoint_url=ENDPOINT))

    if kind is SQS:
        assert sent["QueueUrl"] == f"https://sqs.eu-west-1.amazonaws.com/123456789012/{name}"
        assert ("MessageGroupId" in sent["Entries"][0]) == name.endswith(".fifo")
    elif kind is EVENTBRIDGE:
        assert {entry["EventBusName"] for entry in sent["Entries"]} == {request.topic}
    else:
        assert sent["StreamName"] == name
        for record, entry in zip(sent["Records"], request.entries, strict=True):
            assert base64.b64decode(record["Data"]).decode() == entry.envelope.body


_texts = our.travelling_text(min_size=0)
_codes = st.sampled_from(["KmsThrottled", "InternalFailure", "MalformedDetail", ""])
_ids = st.sampled_from(["0", "1", "2", "7", "", "x"])


@given(
    requests(),
    st.lists(st.tuples(_ids, _texts), max_size=4),
    st.lists(st.tuples(_ids, _codes, _texts, st.booleans()), max_size=4),
    st.lists(st.tuples(st.sampled_from(["id-1", ""]), _codes, _texts), max_size=4),
)
def test_an_answer_is_read_as_botocore_reads_it(
    request: PublishRequest,
    successful: list[tuple[str, str]],
    failed: list[tuple[str, str, str, bool]],
    results: list[tuple[str, str, str]],
) -> None:
    kind, _ = route_of(request.topic)
    wire = WIRES[kind.service]
    own = {"events": "EventId", "kinesis": "SequenceNumber"}.get(kind.service, "")
    if kind is SQS:
        document: dict[str, Any] = {
            "Successful": [{"Id": i, "MessageId": text, "MD5OfMessageBody": "x"} for i, text in successful],
            "Failed": [
                {"Id": i, "Code": code, "Message": text, "SenderFault": fault}
                for i, code, text, fault in failed
            ],
        }
    else:
        listed = [
            ({"ErrorCode": code, "ErrorMessage": text} if code else {own: own_id} if own_id else {})
            for own_id, code, text in results
        ]
        document = {"Entries" if kind is EVENTBRIDGE else "Records": listed, "FailedEntryCount": 1}
    body = json.dumps(document).encode()

    answer = wire.decode_answer(request, 200, body)

    expected = parse(kind.service, wire.operation, 200, body)
    if kind is SQS:
        assert answer == decode_publish_response(request, expected)
        return
    parsed = expected["Entries" if kind is EVENTBRIDGE else "Records"]
    if len(parsed) != len(request.entries):
        # Which result is whose is not known, and a wrong guess would mark a message that is not out.
        assert answer == RequestFailed("UnreadableResponse")
        return
    read = [
        EntryFailed(each["ErrorCode"], text=each["ErrorMessage"])
        if "ErrorCode" in each
        else Published(each[own])
        if own in each
        else EntryFailed("MissingFromResponse")
        for each in parsed
    ]
    assert answer == tuple(read)


@given(requests(), st.sampled_from([400, 403, 500, 503]), st.sampled_from(["A", "B.C"]), _texts)
def test_a_refusal_is_read_as_botocore_reads_it(
    request: PublishRequest, status: int, code: str, text: str
) -> None:
    wire = WIRES[route_of(request.topic)[0].service]
    for kind in (code, f"com.amazonaws.sqs#{code}"):
        body = json.dumps({"__type": kind, "message": text}).encode()
        expected = parse(wire.kind.service, wire.operation, status, body)["Error"]

        failure = wire.decode_answer(request, status, body)

        assert failure == RequestFailed(expected["Code"], status, expected["Message"])


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("KMS.ThrottlingException", "KmsThrottled"),
        ("KMS.AccessDeniedException", "KmsAccessDenied"),
        ("KMS.DisabledException", "KmsDisabled"),
        ("KMS.InvalidKeyUsageException", "KmsInvalidKeyUsage"),
        ("KMS.InvalidStateException", "KmsInvalidState"),
        ("KMS.NotFoundException", "KmsNotFound"),
        ("KMS.OptInRequired", "KmsOptInRequired"),
        ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"),
        ("AWS.SimpleQueueService.UnsupportedOperation", "UnsupportedOperation"),
        ("InternalError", "InternalError"),
    ],
)
def test_an_older_name_of_a_code_of_sqs_is_that_of_its_json(said: str, code: str) -> None:
    """``SenderFault`` comes with all of these: unknown, they would park a message for the key's sake."""
    entry = encode(
        OutboxMessage(
            key=ItemKey.from_item({"PK": {"S": "a"}}),
            marker={"S": "03"},
            message_id=MessageId("m"),
            aggregate_id=AggregateId("a"),
            topic=TopicName("sqs:billing"),
            body="{}",
        )
    )
    assert isinstance(entry, Entry)
    request = PublishRequest(entry.topic, (entry,))
    failed = json.dumps({"Failed": [{"Id": "0", "Code": said, "SenderFault": True}]}).encode()

    assert WIRES["sqs"].decode_answer(request, 200, failed) == (EntryFailed(code, sender_fault=True),)
    refused = json.dumps({"__type": f"com.amazonaws.sqs#{said}"}).encode()
    assert WIRES["sqs"].decode_answer(request, 400, refused) == RequestFailed(code, 400)
    assert known_class(code) not in (None, ErrorClass.MESSAGE)


@given(
    requests(),
    st.binary(max_size=60)
    | st.sampled_from([b"[]", b"{}", b'{"Entries": 7}', b'{"Records": [7]}', b'{"Failed": [{}]}']),
)
def test_no_answer_is_too_strange_to_be_a_failure(request: PublishRequest, body: bytes) -> None:
    wire = WIRES[route_of(request.topic)[0].service]

    assert wire.decode_answer(request, 502, body) == RequestFailed("502", 502)
    assert wire.decode_answer(request, 200, body) == RequestFailed("UnreadableResponse")

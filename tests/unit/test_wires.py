"""Requests to the letter and answers as values, for each destination: SNS, SQS, EventBridge and Kinesis."""

import json
from hashlib import sha256
from typing import Any

import pytest

from outbox_sdk.core.destination_json import (
    WIRES,
    decode_bus,
    describe_bus_headers,
    describe_bus_request,
    put_events_request,
    put_records_request,
    send_message_batch_request,
)
from outbox_sdk.core.destinations import (
    EVENTBRIDGE,
    KINESIS,
    SNS,
    SQS,
    Service,
    is_ordered_route,
    parse_route,
    route_of,
    services_of,
)
from outbox_sdk.core.embedding import encode_document, encode_event
from outbox_sdk.core.entry import (
    Entry,
    TopicLimits,
    deduplication_id,
    encode_entry,
    find_publish_fault,
    message_group_id,
)
from outbox_sdk.core.envelope import ENVELOPE_KINDS, Attribute, Envelope
from outbox_sdk.core.identifiers import (
    AccountId,
    AggregateId,
    ItemKey,
    MessageId,
    Region,
    TopicArn,
    TopicName,
)
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.publish import EntryFailed, Published, PublishRequest, PublishResponse, RequestFailed
from outbox_sdk.core.routing import Refusal, Routing
from outbox_sdk.core.sns_query import decode_publish_answer, encode_publish_request

HERE = "eu-west-1:123456789012"
KEY = ItemKey((("PK", "S", "AGGREGATE#order-7"), ("SK", "S", "MESSAGE#m-1")))
ROUTES = ("t", "t.fifo", "sqs:billing", "sqs:billing.fifo", "eventbridge:orders", "kinesis:orders")
ROUTING = Routing(
    region=Region("eu-west-1"),
    account_id=AccountId("123456789012"),
    allowed=frozenset(map(TopicName, ROUTES)),
)
SOURCE = "/outbox/orders"


def message(route: str = "t", **changes: Any) -> OutboxMessage:
    given: dict[str, Any] = {
        "key": KEY,
        "marker": {"S": "04"},
        "message_id": MessageId("m-1"),
        "aggregate_id": AggregateId("order-7"),
        "topic": TopicName(route),
        "body": '{"a":1}',
        **changes,
    }
    return OutboxMessage(**given)


def entry(route: str = "t", limits: TopicLimits | None = None, **changes: Any) -> Entry:
    encoded = encode_entry(
        message(route, **changes), ROUTING, kind="raw", limits=limits or TopicLimits(), source=SOURCE
    )
    assert isinstance(encoded, Entry)
    return encoded


def request(*entries: Entry) -> PublishRequest:
    return PublishRequest(entries[0].topic, entries)


# Entries: address, size, lane


DEDUPLICATION = deduplication_id(KEY, 0)
ATTRIBUTES_SIZE = len("MessageIdStringm-1AggregateIdStringorder-7")
DOCUMENT = '{"attributes":{"MessageId":"m-1","AggregateId":"order-7"},"data":{"a":1}}'


@pytest.mark.parametrize(
    ("route", "topic", "figures", "lane"),
    [
        ("t", f"sns:{HERE}:t", (7 + ATTRIBUTES_SIZE, 262_144, 10), (None, None)),
        (
            "t.fifo",
            f"sns:{HERE}:t.fifo",
            (7 + ATTRIBUTES_SIZE + 7 + 64, 262_144, 10),
            ("order-7", DEDUPLICATION),
        ),
        ("sqs:billing", f"sqs:{HERE}:billing", (7 + ATTRIBUTES_SIZE, 1_048_576, 10), (None, None)),
        (
            "sqs:billing.fifo",
            f"sqs:{HERE}:billing.fifo",
            (7 + ATTRIBUTES_SIZE + 7 + 64, 1_048_576, 10),
            ("order-7", DEDUPLICATION),
        ),
        (
            "eventbridge:orders",
            f"events:{HERE}:event-bus/orders",
            (len(DOCUMENT) + len("outbox.orders") + len("eventbridge:orders"), 999_999, 10),
            (None, None),
        ),
        (
            "kinesis:orders",
            f"kinesis:{HERE}:stream/orders",
            (len(DOCUMENT) + 7, 5_242_880, 500),
            ("order-7", None),
        ),
    ],
)
def test_an_entry_for_each_destination(
    route: str, topic: str, figures: tuple[int, int, int], lane: tuple[str | None, str | None]
) -> None:
    made = entry(route)
    assert made.topic == f"arn:aws:{topic}"
    assert (made.size, made.limit, made.max_entries) == figures
    assert (made.group_id, made.deduplication_id) == lane
    assert made.message == message(route)


@pytest.mark.parametrize("route", ROUTES)
def test_exactly_the_limit_passes_and_one_byte_more_names_both_figures(route: str) -> None:
    reserved = 71 if route.endswith(".fifo") else 0
    size = entry(route).size - reserved
    fits, not_quite = (TopicLimits(1, {TopicName(route): limit}) for limit in (size, size - 1))
    assert entry(route, fits).size == size + reserved
    refusal = Refusal(f"size:{size}>{size - 1}")
    assert encode_entry(message(route), ROUTING, kind="raw", limits=not_quite, source=SOURCE) == refusal
    assert find_publish_fault(message(route), kind="raw", limits=not_quite, source=SOURCE) == refusal
    assert find_publish_fault(message(route), kind="raw", limits=fits, source=SOURCE) is None


@pytest.mark.parametrize(
    ("route", "reason"),
    [
        ("no topic", "topic-name"),
        ("other", "topic-not-allowed"),
        ("sqs:no queue", "topic-name"),
        ("http:x", "topic-name"),
        ("sqs:other", "destination-not-allowed"),
    ],
)
def test_what_is_out_of_reach(route: str, reason: str) -> None:
    limits = TopicLimits()
    assert encode_entry(message(route), ROUTING, kind="raw", limits=limits, source=SOURCE) == Refusal(reason)


def test_a_refusal_by_the_envelope_is_that_of_every_destination() -> None:
    for route in ROUTES:
        bad = message(route, headers={"a": ""})
        for made in (
            encode_entry(bad, ROUTING, kind="raw", limits=TopicLimits(), source=SOURCE),
            find_publish_fault(bad, kind="raw", limits=TopicLimits(), source=SOURCE),
        ):
            assert made == Refusal("attribute-empty:a")


def test_an_event_with_a_time_counts_14_bytes_more() -> None:
    plain, timed = (entry("eventbridge:orders", created_at=at) for at in (None, "2026-11-23T09:00:00Z"))
    assert timed.size == plain.size + 14


def test_ids_that_a_service_would_not_take_become_hashes() -> None:
    long = "x" * 129
    hashed = sha256(long.encode()).hexdigest()
    assert message_group_id("x") == "x"
    assert message_group_id("x" * 128) == "x" * 128
    assert message_group_id(long) == hashed
    assert len(message_group_id("a b")) == 64
    assert entry("kinesis:orders", aggregate_id=AggregateId("x")).group_id == "x"
    assert entry("kinesis:orders", aggregate_id=AggregateId(long)).group_id == hashed
    assert entry("kinesis:orders", aggregate_id=AggregateId("x" * 128)).group_id == "x" * 128
    wide = entry("kinesis:orders", aggregate_id=AggregateId("ä"))
    assert wide.size == len(DOCUMENT) - 7 + 2 + 2


def test_a_redrive_is_a_message_of_its_own_to_a_fifo_queue() -> None:
    first, again = (entry("sqs:billing.fifo", redrive_count=count) for count in (0, 1))
    assert first.deduplication_id == DEDUPLICATION
    assert again.deduplication_id == deduplication_id(KEY, 1) != DEDUPLICATION


# Documents


def test_a_document_says_all_that_attributes_would() -> None:
    told = message(message_type="order.created", headers={"tenant": "blue"})
    attributes = '{"MessageId":"m-1","AggregateId":"order-7","MessageType":"order.created","tenant":"blue"}'
    assert encode_document(told, "raw", source=SOURCE) == f'{{"attributes":{attributes},"data":{{"a":1}}}}'
    tomodachi = encode_document(told, "tomodachi", source=SOURCE)
    assert isinstance(tomodachi, str)
    assert json.loads(tomodachi)["attributes"] == json.loads(attributes)
    assert json.loads(tomodachi)["service"] == {"name": SOURCE, "uuid": None}
    assert encode_document(told, "cloudevents", source=SOURCE) == (
        '{"specversion":"1.0","id":"m-1","source":"/outbox/orders","type":"order.created",'
        '"subject":"order-7","partitionkey":"order-7","datacontenttype":"application/json",'
        '"tenant":"blue","data":{"a":1}}'
    )


@pytest.mark.parametrize("name", ["Id", "Data", "dataref", "sequence", "a-b", "TRACEPARENT", "replayed2-"])
def test_a_header_that_can_be_no_extension_refuses_the_message(name: str) -> None:
    told = message(headers={name: "x"})
    assert encode_document(told, "cloudevents", source=SOURCE) == Refusal(f"extension-name:{name}")
    assert encode_event(told, "cloudevents", source=SOURCE) == Refusal(f"extension-name:{name}")


def test_two_headers_of_one_extension_refuse_the_message_and_the_same_said_twice_does_not() -> None:
    twice = message(headers={"tenant": "a", "Tenant": "b"})
    assert encode_document(twice, "cloudevents", source=SOURCE) == Refusal("extension-name:Tenant")
    same = message(headers={"traceparent": "x", "CausationId": "m-0"})
    document = encode_document(same, "cloudevents", source=SOURCE)
    assert isinstance(document, str)
    assert json.loads(document)["traceparent"] == "x"
    assert json.loads(document)["causationid"] == "m-0"


def test_a_body_that_is_no_json_refuses_where_it_is_embedded() -> None:
    broken = message(body="{", content_type="application/json")
    for kind in ENVELOPE_KINDS:
        assert encode_document(broken, kind, source=SOURCE) == Refusal("json")


def test_the_fields_of_an_event() -> None:
    made = encode_event(
        message("eventbridge:orders", created_at="2026-11-23T10:00:00.9+01:00"), "raw", source=SOURCE
    )
    assert made == Envelope(
        DOCUMENT,
        (
            Attribute("Source", "outbox.orders"),
            Attribute("DetailType", "eventbridge:orders"),
            Attribute("Time", "1795424400", "Number"),
        ),
    )
    typed = encode_event(message("eventbridge:orders", message_type="order.created"), "raw", source=SOURCE)
    assert isinstance(typed, Envelope)
    assert typed.attributes == (
        Attribute("Source", "outbox.orders"),
        Attribute("DetailType", "order.created"),
    )
    for created_at, times in (
        ("1969-12-31T23:59:59Z", []),
        ("1970-01-01T00:00:00Z", ["0"]),
        ("yesterday", []),
    ):
        event = encode_event(message(created_at=created_at), "raw", source=SOURCE)
        assert isinstance(event, Envelope)
        assert [each.value for each in event.attributes if each.name == "Time"] == times


def test_a_type_of_more_than_128_characters_is_no_detail_type() -> None:
    assert isinstance(encode_event(message(message_type="x" * 128), "raw", source=SOURCE), Envelope)
    refused = encode_event(message(message_type="x" * 129), "raw", source=SOURCE)
    assert refused == Refusal("detail-type:129>128")


# Requests


def test_a_request_to_a_topic() -> None:
    assert encode_publish_request(request(entry(headers={"a": "é &"}), entry("t.fifo"))).decode() == (
        "Action=PublishBatch&Version=2010-03-31&TopicArn=arn:aws:sns:eu-west-1:123456789012:t"
        "&PublishBatchRequestEntries.member.1.Id=0&PublishBatchRequestEntries.member.1.Message="
        "%7B%22a%22:1%7D"
        "&PublishBatchRequestEntries.member.1.MessageAttributes.entry.1.Name=MessageId"
        "&PublishBatchRequestEntries.member.1.MessageAttributes.entry.1.Value.DataType=String"
        "&PublishBatchRequestEntries.member.1.MessageAttributes.entry.1.Value.StringValue=m-1"
        "&PublishBatchRequestEntries.member.1.MessageAttributes.entry.2.Name=AggregateId"
        "&PublishBatchRequestEntries.member.1.MessageAttributes.entry.2.Value.DataType=String"
        "&PublishBatchRequestEntries.member.1.MessageAttributes.entry.2.Value.StringValue=order-7"
        "&PublishBatchRequestEntries.member.1.MessageAttributes.entry.3.Name=a"
        "&PublishBatchRequestEntries.member.1.MessageAttributes.entry.3.Value.DataType=String"
        "&PublishBatchRequestEntries.member.1.MessageAttributes.entry.3.Value.StringValue=%C3%A9+%26"
        "&PublishBatchRequestEntries.member.2.Id=1&PublishBatchRequestEntries.member.2.Message="
        "%7B%22a%22:1%7D"
        "&PublishBatchRequestEntries.member.2.MessageAttributes.entry.1.Name=MessageId"
        "&PublishBatchRequestEntries.member.2.MessageAttributes.entry.1.Value.DataType=String"
        "&PublishBatchRequestEntries.member.2.MessageAttributes.entry.1.Value.StringValue=m-1"
        "&PublishBatchRequestEntries.member.2.MessageAttributes.entry.2.Name=AggregateId"
        "&PublishBatchRequestEntries.member.2.MessageAttributes.entry.2.Value.DataType=String"
        "&PublishBatchRequestEntries.member.2.MessageAttributes.entry.2.Value.StringValue=order-7"
        "&PublishBatchRequestEntries.member.2.MessageGroupId=order-7"
        f"&PublishBatchRequestEntries.member.2.MessageDeduplicationId={DEDUPLICATION}"
    )


QUEUE_ATTRIBUTES = {
    "MessageId": {"DataType": "String", "StringValue": "m-1"},
    "AggregateId": {"DataType": "String", "StringValue": "order-7"},
}


def test_a_request_to_a_queue() -> None:
    plain, ordered = entry("sqs:billing", sequence=3), entry("sqs:billing.fifo")
    assert send_message_batch_request(request(plain, ordered), "https://sqs.example") == {
        "QueueUrl": "https://sqs.example/123456789012/billing",
        "Entries": [
            {
                "Id": "0",
                "MessageBody": '{"a":1}',
                "MessageAttributes": {
                    **QUEUE_ATTRIBUTES,
                    "Sequence": {"DataType": "Number", "StringValue": "3"},
                },
            },
            {
                "Id": "1",
                "MessageBody": '{"a":1}',
                "MessageAttributes": QUEUE_ATTRIBUTES,
                "MessageGroupId": "order-7",
                "MessageDeduplicationId": DEDUPLICATION,
            },
        ],
    }


def test_a_request_to_a_bus_and_one_to_a_stream() -> None:
    event = entry("eventbridge:orders", created_at="2026-11-23T09:00:00Z")
    assert put_events_request(request(event)) == {
        "Entries": [
            {
                "Detail": DOCUMENT,
                "EventBusName": f"arn:aws:events:{HERE}:event-bus/orders",
                "Source": "outbox.orders",
                "DetailType": "eventbridge:orders",
                "Time": 1_795_424_400,
            }
        ]
    }
    assert put_records_request(request(entry("kinesis:orders"))) == {
        "StreamName": "orders",
        "Records": [{"Data": DOCUMENT.encode(), "PartitionKey": "order-7"}],
    }


def test_the_headers_name_the_call() -> None:
    assert {service: wire.headers for service, wire in WIRES.items()} == {
        "sqs": {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": "AmazonSQS.SendMessageBatch",
        },
        "events": {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AWSEvents.PutEvents"},
        "kinesis": {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "Kinesis_20131202.PutRecords",
        },
    }
    assert describe_bus_headers() == {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "AWSEvents.DescribeEventBus",
    }


# Answers


TWO: dict[str, PublishRequest] = {
    "sqs": request(entry("sqs:billing"), entry("sqs:billing")),
    "events": request(entry("eventbridge:orders"), entry("eventbridge:orders")),
    "kinesis": request(entry("kinesis:orders"), entry("kinesis:orders")),
}
UNREADABLE = RequestFailed("UnreadableResponse")
MISSING = EntryFailed("MissingFromResponse")


@pytest.mark.parametrize(
    ("service", "status", "body", "answer"),
    [
        (
            "sqs",
            200,
            {
                "Successful": [{"Id": "1", "MessageId": "s-1"}],
                "Failed": [
                    {
                        "Id": "0",
                        "Code": "AWS.SimpleQueueService.KMS.ThrottlingException",
                        "SenderFault": True,
                        "Message": "x",
                    }
                ],
            },
            (EntryFailed("KmsThrottled", sender_fault=True, text="x"), Published("s-1")),
        ),
        ("sqs", 200, {"Successful": [{"Id": "0"}]}, (Published(""), MISSING)),
        (
            "sqs",
            200,
            {"Failed": [{"Id": "0", "Code": "InternalError", "Message": None}, {"Id": "1"}]},
            (EntryFailed("InternalError"), EntryFailed("")),
        ),
        ("sqs", 200, {"Successful": [], "Failed": []}, (MISSING, MISSING)),
        ("sqs", 200, {}, UNREADABLE),
        ("sqs", 200, [], UNREADABLE),
        (
            "sqs",
            400,
            {"__type": "com.amazonaws.sqs#AWS.SimpleQueueService.NonExistentQueue", "message": "gone"},
            RequestFailed("QueueDoesNotExist", 400, "gone"),
        ),
        ("sqs", 503, {}, RequestFailed("503", 503)),
        (
            "events",
            200,
            {"Entries": [{"EventId": "e-1"}, {"ErrorCode": "ThrottlingException", "ErrorMessage": "x"}]},
            (Published("e-1"), EntryFailed("ThrottlingException", text="x")),
        ),
        ("events", 200, {"Entries": [{}, {"ErrorCode": "X"}]}, (MISSING, EntryFailed("X"))),
        ("events", 200, {"Entries": [{"EventId": "e-1"}]}, UNREADABLE),
        ("events", 200, {"Records": []}, UNREADABLE),
        (
            "kinesis",
            200,
            {"Records": [{"SequenceNumber": "5"}, {"ErrorCode": "InternalFailure"}]},
            (Published("5"), EntryFailed("InternalFailure")),
        ),
        ("kinesis", 200, {"Records": [{}, {}, {}]}, UNREADABLE),
        (
            "kinesis",
            400,
            {"__type": "ResourceNotFoundException", "message": "gone"},
            RequestFailed("ResourceNotFoundException", 400, "gone"),
        ),
    ],
)
def test_what_an_answer_says_of_each_entry(
    service: Service, status: int, body: object, answer: PublishResponse
) -> None:
    assert WIRES[service].decode_answer(TWO[service], status, json.dumps(body).encode()) == answer


@pytest.mark.parametrize("service", ["sqs", "events", "kinesis"])
@pytest.mark.parametrize("body", [b"<html>", b'{"Entries":"\xff"}', b"[" * 100_000])
def test_an_answer_of_something_on_the_way(service: Service, body: bytes) -> None:
    assert WIRES[service].decode_answer(TWO[service], 200, body) == UNREADABLE


BUS = TopicArn(f"arn:aws:events:{HERE}:event-bus/orders")


@pytest.mark.parametrize(
    ("status", "body", "answer"),
    [
        (200, {"Arn": BUS}, None),
        (200, {"Arn": f"{BUS}2"}, RequestFailed("ResourceNotFoundException", 400)),
        (200, {}, UNREADABLE),
        (200, [], UNREADABLE),
        (
            400,
            {"__type": "X#ResourceNotFoundException", "message": "gone"},
            RequestFailed("ResourceNotFoundException", 400, "gone"),
        ),
        (400, {"__type": "ValidationException", "message": "x"}, RequestFailed("InvalidAddress", 400, "x")),
        (503, {}, RequestFailed("503", 503)),
    ],
)
def test_whether_a_bus_is_there(status: int, body: object, answer: RequestFailed | None) -> None:
    assert describe_bus_request(BUS) == b'{"Name":"orders"}'
    assert decode_bus(BUS, status, json.dumps(body).encode()) == answer


def answer_of_sns(inner: str, root: str = "PublishBatchResponse") -> bytes:
    return f'<{root} xmlns="http://sns.amazonaws.com/doc/2010-03-31/">{inner}</{root}>'.encode()


@pytest.mark.parametrize(
    ("status", "body", "answer"),
    [
        (
            200,
            answer_of_sns(
                "<PublishBatchResult><Successful><member><Id>1</Id><MessageId>s-1</MessageId></member>"
                "</Successful><Failed><member><Id>0</Id><Code>InvalidParameter</Code><Message>x</Message>"
                "<SenderFault>true</SenderFault></member></Failed></PublishBatchResult>"
            ),
            (EntryFailed("InvalidParameter", sender_fault=True, text="x"), Published("s-1")),
        ),
        (
            200,
            answer_of_sns(
                "<PublishBatchResult><Failed><member><Id>0</Id><Code/><SenderFault>false</SenderFault>"
                "</member></Failed></PublishBatchResult>"
            ),
            (EntryFailed(""), MISSING),
        ),
        (200, answer_of_sns("<PublishBatchResult/>"), (MISSING, MISSING)),
        (200, answer_of_sns(""), UNREADABLE),
        (200, b"<html>", UNREADABLE),
        (
            403,
            answer_of_sns(
                "<Error><Type>Sender</Type><Code>AuthorizationError</Code><Message>no</Message></Error>",
                "ErrorResponse",
            ),
            RequestFailed("AuthorizationError", 403, "no"),
        ),
        (503, answer_of_sns("<Error/>", "ErrorResponse"), RequestFailed("503", 503)),
        (502, b"Bad Gateway", RequestFailed("502", 502)),
    ],
)
def test_what_sns_says_of_each_entry(status: int, body: bytes, answer: PublishResponse) -> None:
    assert decode_publish_answer(request(entry(), entry()), status, body) == answer


# Routes


@pytest.mark.parametrize(
    ("route", "parsed"),
    [
        ("t", (SNS, "t")),
        ("t" * 256, (SNS, "t" * 256)),
        ("t" * 257, None),
        ("sqs:q", (SQS, "q")),
        ("sqs:" + "q" * 81, None),
        ("eventbridge:a.b", (EVENTBRIDGE, "a.b")),
        ("kinesis:a.b", (KINESIS, "a.b")),
        (":t", None),
        ("sns:t", None),
        ("sqs:a:b", None),
        ("", None),
        ("eventbridge:" + "x" * 256, (EVENTBRIDGE, "x" * 256)),
        ("eventbridge:" + "x" * 300, None),
    ],
)
def test_where_a_route_leads(route: str, parsed: object) -> None:
    assert parse_route(route) == parsed


def test_order_and_services_go_by_the_route() -> None:
    routes = ("t", "t.fifo", "sqs:q", "sqs:q.fifo", "kinesis:s", "eventbridge:b.fifo", "no topic.fifo")
    assert [is_ordered_route(route) for route in routes] == [False, True, False, True, True, False, False]
    assert services_of(["eventbridge:b", "kinesis:s", "sqs:q", "no topic"]) == (
        "sns",
        "sqs",
        "events",
        "kinesis",
    )
    assert services_of([]) == ()
    assert services_of(["sqs:q"]) == ("sqs",)
    assert route_of(f"arn:aws:sns:{HERE}:a:b") == (SNS, "a:b")
    assert route_of(str(BUS)) == (EVENTBRIDGE, "orders")
    with pytest.raises(KeyError):
        route_of("arn:aws:s3:::bucket")

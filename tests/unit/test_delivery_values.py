"""Deliveries, their origin and their trace as whole values; and what producers are told, to the letter."""

import json
from typing import Any

import msgspec
import pytest

from outbox_sdk.core.body import BodyFault, encode_body, find_body_fault, is_message_class
from outbox_sdk.core.catalog import Catalog
from outbox_sdk.core.delivery import Delivery, decode_sns_record, decode_sqs_record
from outbox_sdk.core.errors import (
    ConfigurationError,
    InvalidMessageError,
    UndecodableDeliveryError,
    UndecodableMessageError,
)
from outbox_sdk.core.identifiers import (
    AccountId,
    AggregateId,
    CorrelationId,
    ItemKey,
    MessageId,
    Region,
    TopicArn,
    TopicName,
)
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.message_arguments import (
    check_headers,
    check_hops,
    check_sequence,
    check_text,
    find_route,
)
from outbox_sdk.core.message_type import MessageType, is_message_name, message
from outbox_sdk.core.origin import NO_ORIGIN, Origin, count_attributes, plan_origin, take_over
from outbox_sdk.core.routing import Refusal, Routing, parse_function_arn, resolve_topic
from outbox_sdk.core.trace import (
    TraceContext,
    format_traceparent,
    parse_traceparent,
    parse_tracestate,
    read_trace,
    shorten_tracestate,
    trace_headers,
)
from outbox_sdk.core.unwrap import Content, is_json_type, unwrap
from tests.support.deliveries import QUEUE_ARN, TOPIC_ARN, lambda_sns, lambda_sqs, lambda_sqs_of_sns, received

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"
TRACE = TraceContext(TRACE_ID, SPAN_ID, 1, "congo=1")
ATTRIBUTES = [
    ("MessageId", "String", "m-1"),
    ("AggregateId", "String", "order-7"),
    ("CorrelationId", "String", "c-1"),
    ("MessageType", "String", "order.created"),
    ("SchemaVersion", "Number", "2"),
    ("ContentType", "String", "application/json"),
    ("Sequence", "Number", "3"),
    ("Hops", "Number", "4"),
    ("CausationId", "String", "m-0"),
    ("traceparent", "String", PARENT),
    ("tracestate", "String", "congo=1"),
    ("replayed", "String", "2026-11-24T09:00:00.000000Z"),
    ("tenant", "String", "blue"),
]
DELIVERY = Delivery(
    message_id=MessageId("m-1"),
    aggregate_id=AggregateId("order-7"),
    body="{}",
    message_type="order.created",
    schema_version=2,
    content_type="application/json",
    correlation_id=CorrelationId("c-1"),
    causation_id=MessageId("m-0"),
    sequence=3,
    hops=4,
    headers={"tenant": "blue"},
    trace=TRACE,
    replayed_at="2026-11-24T09:00:00.000000Z",
)
OF_QUEUE: dict[str, Any] = {
    "transport_message_id": "c80e8021-a70a-42c7-a470-796e1186f753",
    "transport_sequence_number": "18849496460467696128",
    "group_id": "order-7",
    "receive_count": 2,
}
OF_TOPIC: dict[str, Any] = {"topic": "order--created.fifo", "topic_arn": TopicArn(TOPIC_ARN)}


def test_every_field_of_a_delivery_by_every_way() -> None:
    replace = msgspec.structs.replace
    assert decode_sqs_record(lambda_sqs("{}", ATTRIBUTES)) == replace(
        DELIVERY, **OF_QUEUE, queue_arn=QUEUE_ARN
    )
    assert decode_sqs_record(received("{}", ATTRIBUTES)) == replace(DELIVERY, **OF_QUEUE)
    assert decode_sqs_record(lambda_sqs_of_sns("{}", ATTRIBUTES)) == replace(
        DELIVERY, **OF_QUEUE, **OF_TOPIC, queue_arn=QUEUE_ARN
    )
    assert decode_sns_record(lambda_sns("{}", ATTRIBUTES)) == replace(
        DELIVERY,
        **OF_TOPIC,
        transport_message_id="22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        transport_sequence_number="10000000000000003000",
    )


EVENT = {
    "specversion": "1.0",
    "id": "m-1",
    "source": "/outbox/orders",
    "type": "order.created",
    "subject": "order-7",
    "time": "2026-11-23T09:00:00.000000Z",
    "datacontenttype": "application/json",
    "schemaversion": "2",
    "correlationid": "c-1",
    "sequence": 3,
    "hops": "4",
    "causationid": "m-0",
    "traceparent": PARENT,
    "tracestate": "congo=1",
    "replayed": "2026-11-24T09:00:00.000000Z",
}


def test_an_event_says_all_where_there_are_no_attributes() -> None:
    text = json.dumps({**EVENT, "data": {"a": 1}}, separators=(",", ":"))
    assert decode_sqs_record(received(text, []), "cloudevents") == msgspec.structs.replace(
        DELIVERY,
        **OF_QUEUE,
        body='{"a":1}',
        headers={},
        created_at="2026-11-23T09:00:00.000000Z",
        source="/outbox/orders",
    )
    by_key = {**EVENT, "partitionkey": "order-8", "data": 1}
    assert decode_sqs_record(received(json.dumps(by_key), []), "cloudevents").aggregate_id == "order-8"


def test_the_content_of_an_envelope_of_tomodachi() -> None:
    envelope: dict[str, Any] = {
        "service": {"name": "orders"},
        "metadata": {
            "message_uuid": "m-1",
            "protocol_version": "tomodachi-json-base--1.0.0",
            "timestamp": 1_795_424_400.5,
            "topic": "t",
        },
        "data": "text",
    }
    content = Content("text", {"MessageId": "m-1"}, "2026-11-23T09:00:00.500000Z", source="orders", topic="t")
    replace = msgspec.structs.replace
    assert unwrap(json.dumps(envelope), "tomodachi", content_type=None) == content
    typed = unwrap(json.dumps(envelope), "tomodachi", content_type="application/json")
    assert typed == replace(content, body='"text"')
    for timestamp in (1e300, None):
        envelope["metadata"]["timestamp"] = timestamp
        found = unwrap(json.dumps(envelope), "tomodachi", content_type=None)
        assert found == replace(content, created_at=None)
    envelope["metadata"]["data_encoding"] = "base64"
    assert unwrap(json.dumps(envelope), "tomodachi", content_type=None) is None


@pytest.mark.parametrize(
    ("content_type", "declared"),
    [
        ("application/json", True),
        (" Application/JSON ; charset=utf-8", True),
        ("application/vnd.order+json", True),
        ("text/json", False),
        ("", False),
        (None, False),
    ],
)
def test_which_types_are_json(content_type: str | None, declared: bool) -> None:
    assert is_json_type(content_type) is declared


def test_data_elsewhere_comes_back_as_its_pointer_with_its_size() -> None:
    event = json.dumps({**EVENT, "dataref": "s3://orders/k", "datasize": "300000"})
    content = unwrap(event, "cloudevents", content_type=None)
    assert content is not None
    assert content.body == (
        '["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"orders","s3Key":"k"}]'
    )
    assert content.attributes["ExtendedPayloadSize"] == "300000"
    attributes = [each for each in ATTRIBUTES if each[0] in {"MessageId", "AggregateId"}]
    found = decode_sqs_record(received(event, attributes), "cloudevents")
    assert found.headers == {"ExtendedPayloadSize": "300000"}
    both = json.dumps({**EVENT, "data": 1, "dataref": "s3://orders/k", "datasize": "300000"})
    beside = unwrap(both, "cloudevents", content_type=None)
    assert beside is not None
    assert beside.body == "1"
    assert "ExtendedPayloadSize" not in beside.attributes


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (None, "record: is neither a message of SQS nor a notification of SNS"),
        (
            {"body": "{}", "messageId": "1", "attributes": 1},
            "record: is neither a message of SQS nor a notification of SNS",
        ),
        (
            received("{}", ATTRIBUTES[:1]),
            "missing: the attribute AggregateId is missing; every message of an outbox has it, and "
            "receive_message gives it if it is asked to: MessageAttributeNames=['All']",
        ),
        (
            received("{}", [*ATTRIBUTES[:2], ("Hops", "Number", "1" * 39)]),
            "number: the attribute Hops is no whole number",
        ),
    ],
)
def test_what_a_refused_delivery_is_told(record: Any, text: str) -> None:
    with pytest.raises(UndecodableDeliveryError) as refused:
        decode_sqs_record(record)
    assert str(refused.value) == text


# Origin and trace

MESSAGE = OutboxMessage(
    key=ItemKey((("PK", "S", "MESSAGE#m-2"),)),
    marker={"S": "04"},
    message_id=MessageId("m-2"),
    aggregate_id=AggregateId("order-7"),
    topic=TopicName("t"),
    body="{}",
)
HEADERS = {"traceparent": PARENT, "CausationId": "m-1", "tracestate": "congo=1"}


def test_what_follows_from_a_delivery() -> None:
    origin = plan_origin(DELIVERY, None)
    assert origin == Origin(CorrelationId("c-1"), 5, HEADERS)
    assert list(origin.headers) == ["traceparent", "CausationId", "tracestate"]
    bare = Delivery(message_id=MessageId("m-1"), aggregate_id=AggregateId("7"), body="", hops=-3)
    assert plan_origin(bare, None) == Origin(CorrelationId("m-1"), 1, {"CausationId": "m-1"})
    current = TraceContext("1" * 32, "2" * 16)
    assert plan_origin(DELIVERY, current).headers == {
        "traceparent": f"00-{'1' * 32}-{'2' * 16}-00",
        "CausationId": "m-1",
    }
    assert plan_origin(None, TRACE) == Origin(headers={"traceparent": PARENT, "tracestate": "congo=1"})


@pytest.mark.parametrize(
    ("mine", "correlation", "added"),
    [
        (0, "c-1", ["traceparent", "CausationId", "tracestate"]),
        (4, "c-1", ["traceparent", "CausationId", "tracestate"]),
        (5, "c-1", ["traceparent", "CausationId"]),
        (6, "c-1", ["traceparent"]),
        (7, "c-1", []),
        (8, None, []),
        (9, None, []),
    ],
)
def test_what_is_taken_over_has_room(mine: int, correlation: str | None, added: list[str]) -> None:
    own = {f"h{number}": "x" for number in range(mine)}
    given = msgspec.structs.replace(MESSAGE, headers=own)
    assert take_over(given, Origin(CorrelationId("c-1"), 5, HEADERS)) == msgspec.structs.replace(
        given, correlation_id=correlation, headers={**own, **{name: HEADERS[name] for name in added}}
    )


def test_what_the_producer_gave_stays() -> None:
    own = {"traceparent": "mine"}
    given = msgspec.structs.replace(MESSAGE, headers=own, correlation_id=CorrelationId(""))
    origin = Origin(CorrelationId("c-1"), 5, HEADERS)
    expected = msgspec.structs.replace(given, headers={**own, "CausationId": "m-1"})
    assert take_over(given, origin) == expected
    assert take_over(MESSAGE, NO_ORIGIN) is MESSAGE
    state_only = Origin(headers={"tracestate": "congo=1"})
    assert take_over(MESSAGE, state_only) is MESSAGE


def test_every_attribute_counts() -> None:
    assert count_attributes(MESSAGE) == 2
    for changes in (
        {"correlation_id": "c"},
        {"message_type": "t"},
        {"content_type": "t"},
        {"schema_version": 0},
        {"sequence": 0},
        {"hops": 1},
        {"headers": {"a": "b"}},
    ):
        assert count_attributes(msgspec.structs.replace(MESSAGE, **changes)) == 3


@pytest.mark.parametrize(
    ("text", "context"),
    [
        (PARENT, TraceContext(TRACE_ID, SPAN_ID, 1)),
        (f"00-{TRACE_ID}-{SPAN_ID}-ff", TraceContext(TRACE_ID, SPAN_ID, 255)),
        (f"01-{TRACE_ID}-{SPAN_ID}-10-x", TraceContext(TRACE_ID, SPAN_ID, 16)),
        (f"{PARENT}-x", None),
        (f"ff-{TRACE_ID}-{SPAN_ID}-01", None),
        (f"00-{TRACE_ID}-{'0' * 16}-01", None),
        (f"00-{'0' * 32}-{SPAN_ID}-01", None),
        (PARENT.upper(), None),
    ],
)
def test_a_traceparent_is_read_strictly(text: str, context: TraceContext | None) -> None:
    assert parse_traceparent(text) == context
    if context is not None:
        assert parse_traceparent(format_traceparent(context)) == context


def test_a_tracestate_is_read_strictly_and_shortened_by_members() -> None:
    assert parse_tracestate("a=1,\t b=2 ,,") == "a=1,b=2"
    assert parse_tracestate("a=1,a=2") is None
    assert parse_tracestate("A=1") is None
    many = [f"k{number}=1" for number in range(33)]
    assert parse_tracestate(",".join(many[:32])) == ",".join(many[:32])
    assert parse_tracestate(",".join(many)) is None
    assert read_trace({"traceparent": PARENT, "tracestate": "A"}) == TraceContext(TRACE_ID, SPAN_ID, 1)
    assert read_trace({"tracestate": "a=1"}) is None
    long, edge = "l=" + "x" * 127, "e=" + "x" * 126  # 129 and 128 characters
    four = [f"k{number}=" + "x" * 124 for number in range(3)]  # 127 each
    exact = ",".join([edge, *four])  # 128 + 3 * 128
    assert len(exact) == 512
    assert shorten_tracestate(exact) == exact
    assert shorten_tracestate(",".join([long, *four, edge])) == ",".join([*four, edge])
    assert shorten_tracestate(",".join([edge, *four, "z=1"])) == exact
    assert shorten_tracestate("l=" + "x" * 600) == ""
    assert trace_headers(TRACE) == {"traceparent": PARENT, "tracestate": "congo=1"}
    assert [TraceContext("", "", flags).is_sampled for flags in (0, 1, 2, 3)] == [False, True, False, True]


def test_the_arn_of_a_function_and_of_a_topic() -> None:
    assert parse_function_arn("arn:aws-cn:lambda:cn-north-1:1:function:f") == ("aws-cn", "cn-north-1", "1")
    for arn in (
        "arn:aws:lambda:eu-west-1:1:function",
        "x:aws:lambda:eu-west-1:1:function:f",
        "arn:aws:sqs:eu-west-1:1:function:f",
        "arn:aws:lambda::1:function:f",
        "arn:aws:lambda:eu-west-1:1::f",
    ):
        with pytest.raises(ConfigurationError) as refused:
            parse_function_arn(arn)
        assert str(refused.value) == f"invoked_function_arn: {arn!r} is not the ARN of a Lambda function"
    routing = Routing(region=Region("r"), account_id=AccountId("1"), prefix="p" * 200)
    assert resolve_topic("t" * 56, routing) == f"arn:aws:sns:r:1:{'p' * 200}{'t' * 56}"
    assert resolve_topic("t" * 57, routing) == Refusal("topic-name")


# What producers are told


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (lambda: find_route(None, None), "topic: is of type NoneType; give a str"),
        (
            lambda: find_route(None, "a b"),
            "topic: 'a b' is not a topic name; give that of a topic without its ARN, or sqs:NAME, "
            "eventbridge:BUS or kinesis:STREAM",
        ),
        (lambda: check_sequence(True), "sequence: is of type bool; give an int"),
        (lambda: check_sequence("1"), "sequence: is of type str; give an int"),
        (lambda: check_sequence(-1), "sequence: -1 is not between 0 and 10^38"),
        (lambda: check_sequence(10**38), f"sequence: {10**38} is not between 0 and 10^38"),
        (lambda: check_text("body", 1), "body: is of type int; give a str"),
        (lambda: check_text("body", ""), "body: is refused: empty"),
        (lambda: check_text("body", "\0"), "body: is refused: charset:U+0000"),
        (lambda: check_headers([]), "headers: are of type list; give a dict of str"),
        (lambda: check_headers({1: "x"}), "headers: have a name of type int; give a str"),
        (
            lambda: check_headers({"replayed": "x"}),
            "headers: hold 'replayed', which replays alone write: rename it",
        ),
        (lambda: check_headers({"a": 1}), "headers: is of type int; give a str"),
        (
            lambda: check_hops(16),
            "hops: 16 messages have led to this one: consumers write to each other without end",
        ),
        (
            lambda: encode_body(b"x"),
            "message: is of type bytes: decode it to text, or put the base64 of it as text",
        ),
        (
            lambda: encode_body(object()),
            "message: a object is not encoded as JSON by msgspec; pass its JSON text",
        ),
    ],
)
def test_an_argument_that_is_refused(check: Any, text: str) -> None:
    with pytest.raises(InvalidMessageError) as refused:
        check()
    assert str(refused.value) == text


@pytest.mark.parametrize("hops", [True, "1", -1])
def test_what_is_no_count_of_hops(hops: object) -> None:
    with pytest.raises(InvalidMessageError) as refused:
        check_hops(hops)
    assert str(refused.value) == "hops: is not a whole number from 0 on"


def test_arguments_at_the_edge_pass() -> None:
    check_sequence(0)
    check_sequence(10**38 - 1)
    check_hops(0)
    check_hops(15)
    check_text("body", "x")
    check_headers({"a": "b"})
    known = MessageType("n", TopicName("t"))
    assert (find_route(known, None), find_route(known, "u"), find_route(None, "sqs:q")) == ("t", "u", "sqs:q")


def upcast(body: dict[str, Any]) -> dict[str, Any]:
    return body


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"name": "a b"}, "name: 'a b' is not 1 to 128 printable characters of ASCII"),
        ({"topic": "a b"}, "topic: 'a b' of n is not a topic name"),
        ({"version": 0}, "version: 0 of n is not a whole number from 1 on"),
        ({"version": True}, "version: True of n is not a whole number from 1 on"),
        ({"version": "1"}, "version: '1' of n is not a whole number from 1 on"),
        ({"version": 10**38}, f"version: {10**38} of n is not a whole number from 1 on"),
        (
            {"version": 4, "upcasters": {1: upcast, 3: upcast}},
            "upcasters: n is of version 4 and has upcasters for [1, 3]; "
            "there must be one for each version from the oldest to 3",
        ),
        (
            {"version": 1, "upcasters": {0: upcast}},
            "upcasters: n is of version 1 and has upcasters for [0]; "
            "there must be one for each version from the oldest to 0",
        ),
        ({"version": 2, "upcasters": {1: None}}, "upcasters: that of version 1 of n is no function"),
    ],
)
def test_a_record_that_is_refused(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        message(**{"name": "n", "topic": "t", **arguments})
    assert str(refused.value) == text


class Line(msgspec.Struct):
    price: int


@message("line", topic="t", version=3, upcasters={2: upcast})
class Current(msgspec.Struct):
    price: int


def test_what_describes_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError) as refused:
        message("n", topic="t")(int)
    assert str(refused.value) == (
        "message: n describes 'int', which is no Struct, dataclass, attrs class, pydantic model or "
        "TypedDict; @message goes above @dataclass"
    )
    assert not is_message_class(Line(1))
    assert (is_message_name("x" * 128), is_message_name("x" * 129), is_message_name(1)) == (
        True,
        False,
        False,
    )
    catalog = Catalog(Current)
    assert catalog.type_of(Current).oldest == 2
    with pytest.raises(ConfigurationError) as absent:
        catalog.type_of(Line)
    assert str(absent.value) == "catalog: Line is not in it; add it to Catalog(…)"
    with pytest.raises(ConfigurationError) as bare:
        Catalog(Line)
    assert str(bare.value) == 'catalog: Line has no record; put @message("…", topic="…") above it'


@pytest.mark.parametrize(
    ("event", "of", "text"),
    [
        (Line(1), None, "message: Line is not in the catalog; add it to Catalog(…)"),
        ({}, None, "message: dict is not in the catalog; name the TypedDict by of="),
        ({}, Line, "of: Line is not in the catalog; add it to Catalog(…)"),
        ({}, Current, "message: is a dict, and of= says Current"),
    ],
)
def test_what_a_catalog_does_not_write(event: Any, of: Any, text: str) -> None:
    with pytest.raises(InvalidMessageError) as refused:
        Catalog(Current).encode(event, of)
    assert str(refused.value) == text


@pytest.mark.parametrize(
    ("body", "attributes", "problem", "message_type", "path"),
    [
        ("{}", {}, "unknown_type: there is no attribute MessageType", None, None),
        (
            "{}",
            {"MessageType": "a b"},
            "unknown_type: the attribute MessageType holds no name",
            None,
            None,
        ),
        (
            "{}",
            {"MessageType": "other"},
            "unknown_type: other is not in the catalog; add its class to Catalog(…)",
            "other",
            None,
        ),
        (
            "{}",
            {"MessageType": "line", "SchemaVersion": "0"},
            "unknown_version: that of line is not a whole number from 1 on",
            "line",
            None,
        ),
        (
            "{}",
            {"MessageType": "line", "SchemaVersion": "4"},
            "newer_version: line is of version 4, and of 3 here; deploy its newer class before the producer "
            "writes it",
            "line",
            None,
        ),
        (
            "{}",
            {"MessageType": "line"},
            "no_upcaster: line is of version 1, and of 3 here; give @message(…, upcasters=…) a function for "
            "version 1",
            "line",
            None,
        ),
        (
            "[]",
            {"MessageType": "line", "SchemaVersion": "2"},
            "invalid_body: that of line: $ is no object",
            "line",
            "$",
        ),
        (
            '{"price":"x"}',
            {"MessageType": "line", "SchemaVersion": "3"},
            "invalid_body: that of line: $.price Expected `int`, got `str`",
            "line",
            "$.price",
        ),
    ],
)
def test_what_a_catalog_does_not_read(
    body: str, attributes: dict[str, str], problem: str, message_type: str | None, path: str | None
) -> None:
    with pytest.raises(UndecodableMessageError) as refused:
        Catalog(Current).decode(body, attributes)
    error = refused.value
    assert (str(error), error.message_type, error.path) == (problem, message_type, path)


def test_a_fault_that_no_library_explains() -> None:
    assert find_body_fault(RecursionError(), Line) == BodyFault("$", "is nested too deep")
    assert find_body_fault(LookupError("s3cret"), Line) == BodyFault(
        "$", "is refused by Line with LookupError"
    )

"""What `Outbox.put` refuses, and which argument it names."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from outbox_sdk.core.catalog import Catalog
from outbox_sdk.core.errors import ConfigurationError, InvalidMessageError
from outbox_sdk.core.message_type import message
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell.producer import Outbox


@message("order.created", topic="order--created", version=2)
class OrderCreated(msgspec.Struct):
    order_id: str
    price: Decimal


OUTBOX = Outbox("outbox", catalog=Catalog(OrderCreated))
NOON = datetime(2026, 11, 23, 12, tzinfo=timezone(timedelta(hours=1)))


def put(event: object = "body", *, outbox: Outbox = OUTBOX, **arguments: Any) -> Any:
    defaults = {"aggregate_id": "order-7", "topic": "orders"}
    return outbox.put(event, **{**defaults, **arguments})


def test_an_item_of_the_ordered_table() -> None:
    entry: Any = OUTBOX.put(
        OrderCreated("7", Decimal("1.10")),
        aggregate_id="order-7",
        correlation_id="c-1",
        message_id="m-1",
        sequence=3,
        headers={"tenant": "blue"},
        created_at=NOON,
    )
    assert entry == {
        "Put": {
            "TableName": "outbox",
            "Item": {
                "PK": {"S": "AGGREGATE#order-7"},
                "SK": {"S": "MESSAGE#m-1"},
                "MessageId": {"S": "m-1"},
                "AggregateId": {"S": "order-7"},
                "CorrelationId": {"S": "c-1"},
                "Topic": {"S": "order--created"},
                "Message": {"S": '{"order_id":"7","price":"1.10"}'},
                "MessageType": {"S": "order.created"},
                "SchemaVersion": {"N": "2"},
                "ContentType": {"S": "application/json"},
                "CreatedAt": {"S": "2026-11-23T11:00:00.000000Z"},
                "Sequence": {"N": "3"},
                "Headers": {"M": {"tenant": {"S": "blue"}}},
                "IsDispatched": {"BOOL": False},
                "ApproximateDispatchCount": {"N": "0"},
                "NotDispatched": {"S": "04"},
            },
            "ConditionExpression": "attribute_not_exists(#message_pk) AND attribute_not_exists(#message_sk)",
            "ExpressionAttributeNames": {"#message_pk": "PK", "#message_sk": "SK"},
        }
    }


def test_an_item_of_the_message_keyed_table() -> None:
    outbox = Outbox("outbox", design=TableDesign.message_keyed)
    item = put(outbox=outbox, message_id="m-1")["Put"]["Item"]
    assert item["PK"] == {"S": "MESSAGE#m-1"}
    assert "SK" not in item


def test_what_is_left_out_gets_a_default() -> None:
    one, other = put()["Put"]["Item"], put()["Put"]["Item"]
    assert one["MessageId"] != other["MessageId"]
    written = datetime.fromisoformat(one["CreatedAt"]["S"])
    assert abs(datetime.now(UTC) - written) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("event", "arguments", "field", "problem"),
    [
        ("body", {"message_id": ""}, "message_id", "empty"),
        ("body", {"aggregate_id": ""}, "aggregate_id", "empty"),
        ("body", {"sequence": -1}, "sequence", "-1 is not between 0 and 10^38"),
        ("body", {"sequence": 10**38}, "sequence", "is not between 0 and 10^38"),
        ("body", {"sequence": "5"}, "sequence", "is of type str; give an int"),
        ("body", {"sequence": True}, "sequence", "is of type bool; give an int"),
        ("body", {"aggregate_id": 7}, "aggregate_id", "is of type int; give a str"),
        ("body", {"correlation_id": 7}, "correlation_id", "is of type int; give a str"),
        ("body", {"correlation_id": 0}, "correlation_id", "is of type int; give a str"),
        ("body", {"headers": {7: "n"}}, "headers", "have a name of type int; give a str"),
        ("body", {"headers": [("n", "7")]}, "headers", "are of type list; give a dict of str"),
        ("body", {"topic": 7}, "topic", "is of type int; give a str"),
        ("body", {"topic": "lambda:x"}, "topic", "sqs:NAME, eventbridge:BUS or kinesis:STREAM"),
        ("body", {"created_at": "2026"}, "created_at", "is of type str; give a datetime with a time zone"),
        (b"hi", {}, "message", "is of type bytes: decode it to text"),
        (bytearray(b"hi"), {}, "message", "is of type bytearray: decode it to text"),
        (memoryview(b"hi"), {}, "message", "is of type memoryview: decode it to text"),
        ("body", {"headers": {"tenant": "blue", "MessageId": "x"}}, "headers", "'MessageId' is reserved"),
        ("body", {"headers": {"a b": "x"}}, "headers", "attribute-name; the header 'a b' is no name"),
        ("body", {"headers": {"n": "x" * 300_000}}, "message", "; use a claim check, or raise topic_max"),
        ("body", {"headers": dict.fromkeys("abcdefghi", "x")}, "headers", "are 11, of which 9 are headers"),
        ("body", {"headers": {"n": 7}}, "headers", "is of type int; give a str"),
        ("body", {"topic": "arn:aws:sns:eu-west-1:1:t"}, "topic", "is not a topic name"),
        ("body", {"topic": None}, "topic", "str is not in the catalog"),
        ("body", {"created_at": datetime(2026, 11, 23)}, "created_at", "time zone"),  # noqa: DTZ001
        ("body", {"aggregate_id": "a" * 3000}, "aggregate_id", "PK has 3010 of 2048 bytes"),
        ("body", {"aggregate_id": "\0"}, "aggregate_id", "charset:U+0000"),
        ("body", {"message_id": "\ud800"}, "message_id", "unicode"),
        ("", {}, "message", "refused: empty"),
        ("a\0", {}, "message", "refused: charset:U+0000"),
        ("\ud800", {}, "message", "refused: unicode"),
        ("a" * 262_144, {}, "message", "refused: size:262"),
        (object(), {}, "message", "a object is not encoded as JSON by msgspec"),
        ({"a": "\ud800"}, {}, "message", "a dict is not encoded as JSON by msgspec"),
    ],
)
def test_an_error_names_the_argument(
    event: object, arguments: dict[str, Any], field: str, problem: str
) -> None:
    with pytest.raises(InvalidMessageError) as raised:
        put(event, message_id=arguments.pop("message_id", "m-1"), **arguments)
    assert raised.value.field == field
    assert problem in raised.value.problem
    assert str(raised.value) == f"{field}: {raised.value.problem}"


def test_an_item_over_dynamodbs_limit() -> None:
    outbox = Outbox("outbox", topic_max_bytes=1_048_576)
    with pytest.raises(InvalidMessageError, match=r"an item of \d+ of 408576 bytes"):
        put("a" * 409_600, outbox=outbox)


@pytest.mark.parametrize(
    ("arguments", "variable"),
    [
        ({"buckets": 0}, "buckets"),
        ({"buckets": 101}, "buckets"),
    ],
)
def test_an_outbox_that_is_wired_wrongly(arguments: dict[str, Any], variable: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Outbox("outbox", **arguments)
    assert raised.value.variable == variable


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"headers": {"MessageId": "x"}}, "headers"),
        ({"headers": {"a": "\0"}}, "headers"),
        ({"headers": {f"h{number}": "x" for number in range(9)}}, "headers"),
        ({"correlation_id": "\0"}, "correlation_id"),
        ({"message_id": "m" * 2000}, "message_id"),
    ],
)
def test_an_error_names_the_argument_that_is_at_fault(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidMessageError) as raised:
        put(**arguments)
    assert raised.value.field == field


def test_a_time_at_the_end_of_the_calendar_is_an_invalid_message() -> None:
    with pytest.raises(InvalidMessageError):
        put(created_at=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))))


def test_a_document_nested_deeply_is_an_invalid_message() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(InvalidMessageError):
        put(nested, topic="t")


def test_text_nested_deeply_is_text() -> None:
    """Too deep for an envelope to embed, so it travels as a string."""
    put("[" * 5000 + "]" * 5000, outbox=Outbox("outbox", envelope="cloudevents"))


def test_the_hops_of_a_message_are_written_where_there_are_any() -> None:
    assert put(hops=3)["Put"]["Item"]["Hops"] == {"N": "3"}
    assert "Hops" not in put()["Put"]["Item"]


@pytest.mark.parametrize("hops", [-1, 16, 1.5, "1", True])
def test_hops_that_are_none_or_too_many_are_refused(hops: Any) -> None:
    """Consumers that write to each other are stopped where they write, and not only at the relay."""
    with pytest.raises(InvalidMessageError) as raised:
        put(hops=hops)
    assert raised.value.field == "hops"

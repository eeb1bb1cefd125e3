"""What is refused says so in a sentence that names the argument, the limit and what to do."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from outbox_sdk import Outbox, Selection, TableDesign
from outbox_sdk.core.attributes import read_attributes
from outbox_sdk.core.errors import (
    ConfigurationError,
    DeliveryFault,
    InvalidEventError,
    InvalidMessageError,
    TableCallError,
    UndecodableDeliveryError,
    UndecodableMessageError,
)
from outbox_sdk.core.operator_rights import operator_policy
from outbox_sdk.core.selection import matches
from outbox_sdk.core.stream import decode_event, decode_event_json
from outbox_sdk.core.sweep_report import SweepOrder, parse_sweep_event
from outbox_sdk.core.text import find_text_fault, format_instant, parse_instant, utf8_size
from outbox_sdk.core.when import parse_when
from outbox_sdk.core.wording import describe_duration, escape_unprintable

ORDERED = TableDesign.ordered
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
NO_TEXT = {"N": "1"}


@pytest.mark.parametrize(
    ("reason", "name", "text"),
    [
        ("record", None, "record: is neither a message of SQS nor a notification of SNS"),
        (
            "envelope",
            "raw",
            "envelope: the body is not in the envelope 'raw'; give the one that the relay writes",
        ),
        (
            "missing",
            "AggregateId",
            "missing: the attribute AggregateId is missing; every message of an outbox has it, and "
            "receive_message gives it if it is asked to: MessageAttributeNames=['All']",
        ),
        ("number", "Hops", "number: the attribute Hops is no whole number"),
    ],
)
def test_a_delivery_that_cannot_be_read(reason: DeliveryFault, name: str | None, text: str) -> None:
    error = UndecodableDeliveryError(reason, name)
    assert (str(error), error.reason, error.name) == (text, reason, name)


@pytest.mark.parametrize(
    ("error", "text", "fields"),
    [
        (ConfigurationError("V", "p"), "V: p", {"variable": "V", "problem": "p"}),
        (InvalidMessageError("topic", "p"), "topic: p", {"field": "topic", "problem": "p"}),
        (
            TableCallError("Query", "Timeout", "wait"),
            "Query failed with Timeout: wait",
            {"operation": "Query", "code": "Timeout", "advice": "wait"},
        ),
        (
            UndecodableMessageError("invalid_body", "p", message_type="t", path="$.x"),
            "invalid_body: p",
            {"reason": "invalid_body", "problem": "p", "message_type": "t", "path": "$.x"},
        ),
    ],
)
def test_an_error_carries_its_parts_and_so_does_its_copy(
    error: Exception, text: str, fields: dict[str, Any]
) -> None:
    for each in (error, copy.copy(error)):
        assert type(each) is type(error)
        assert (str(each), vars(each)) == (text, fields)


CHANGE = {"Keys": {"PK": {"S": "a"}, "SK": {"S": "b"}}, "SequenceNumber": "1", "NewImage": {}}
RECORD = {"eventName": "INSERT", "dynamodb": CHANGE}
NEED_IMAGES = (
    "StreamViewType: the records carry no new image; the table's stream must be NEW_AND_OLD_IMAGES or "
    "NEW_IMAGE"
)


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (
            {"dynamodb": {**CHANGE, "SequenceNumber": "1a"}},
            "not a DynamoDB stream event: SequenceNumber must be digits",
        ),
        (
            {"dynamodb": {**CHANGE, "SequenceNumber": "1" * 129}},
            "not a DynamoDB stream event: SequenceNumber must be digits",
        ),
        (
            {"dynamodb": {**CHANGE, "SequenceNumber": "\u0661"}},
            "not a DynamoDB stream event: SequenceNumber must be digits",
        ),
        ({"eventSource": "aws:sqs"}, "not a DynamoDB stream event: eventSource is 'aws:sqs'"),
        (
            {"dynamodb": {**CHANGE, "Keys": {"PK": {"S": "a", "N": "1"}}}},
            "record 1: key attribute PK must carry exactly one type, not 2",
        ),
        ({"dynamodb": {**CHANGE, "Keys": {}}}, "record 1: a key has at least one attribute"),
    ],
)
def test_a_record_that_cannot_be_named(record: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidEventError) as raised:
        decode_event({"Records": [{**RECORD, **record}]}, ORDERED)
    assert str(raised.value) == text


def test_a_sequence_number_of_128_digits_is_one() -> None:
    long = {**RECORD, "dynamodb": {**CHANGE, "SequenceNumber": "1" * 128}}
    (record,) = decode_event({"Records": [long]}, ORDERED)
    assert record.position == int("1" * 128)


def test_a_stream_without_images_and_one_of_another_table() -> None:
    no_image = {**RECORD, "dynamodb": {**CHANGE, "NewImage": None}}
    with pytest.raises(ConfigurationError) as raised:
        decode_event({"Records": [no_image]}, ORDERED)
    assert str(raised.value) == NEED_IMAGES

    arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/carts/stream/2026-11-23T09:00:00.000"
    with pytest.raises(ConfigurationError) as raised:
        decode_event({"Records": [{**RECORD, "eventSourceARN": arn}]}, ORDERED, table_name="outbox")
    assert str(raised.value) == (
        f"DYNAMODB_OUTBOX_TABLE_NAME: the event comes from '{arn}', but the relay is configured for table "
        "'outbox'"
    )
    assert (
        len(decode_event({"Records": [{**RECORD, "eventSourceARN": arn}]}, ORDERED, table_name="carts")) == 1
    )


def test_what_is_no_event_says_which_part_is_wrong() -> None:
    with pytest.raises(InvalidEventError) as raised:
        decode_event({"Records": [{**RECORD, "dynamodb": {**CHANGE, "NewImage": [1]}}]}, ORDERED)
    assert str(raised.value) == (
        "not a DynamoDB stream event: Expected `object | null`, got `array` - at "
        "`$.Records[0].dynamodb.NewImage`"
    )
    with pytest.raises(InvalidEventError, match=r"\Anot JSON: "):
        decode_event_json("{", ORDERED)
    assert decode_event({}, ORDERED) == decode_event({"Records": None}, ORDERED) == ()


@pytest.mark.parametrize(
    ("event", "order"),
    [
        (None, SweepOrder()),
        ({"publish": True}, SweepOrder(publish=True)),
        ({"limit": 1}, SweepOrder(limit=1)),
        ({"limit": 1_000_000, "publish": False}, SweepOrder(limit=1_000_000)),
    ],
)
def test_what_a_schedule_may_ask_for(event: object, order: SweepOrder) -> None:
    assert parse_sweep_event(event) == order


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"publish": 1}, "'publish' is neither true nor false"),
        ({"limit": 0}, "'limit' is not a whole number between 1 and 1000000"),
        ({"limit": 1_000_001}, "'limit' is not a whole number between 1 and 1000000"),
        ({"limit": True}, "'limit' is not a whole number between 1 and 1000000"),
        ({"limit": "5"}, "'limit' is not a whole number between 1 and 1000000"),
    ],
)
def test_what_a_schedule_may_not_ask_for(event: object, text: str) -> None:
    with pytest.raises(InvalidEventError) as raised:
        parse_sweep_event(event)
    assert str(raised.value) == text


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"since": datetime(2026, 1, 1)}, "since: needs a time zone"),  # noqa: DTZ001 - what is refused
        ({"until": datetime(2026, 1, 1)}, "until: needs a time zone"),  # noqa: DTZ001 - what is refused
        (
            {"since": NOW, "until": NOW},
            "until: is not later than since, so that nothing could be meant",
        ),
        ({"limit": 0}, "limit: 0 is less than 1"),
        *[
            ({name: ("a", "")}, f"{name}: holds an empty text, which no item has")
            for name in ("message_ids", "aggregate_ids", "topics", "message_types", "reasons")
        ],
    ],
)
def test_a_selection_says_which_argument_is_wrong(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Selection(**changes)
    assert str(raised.value) == text
    Selection(limit=1, since=NOW)


def test_each_part_of_a_selection_reads_its_own_attribute() -> None:
    item = {
        "MessageId": {"S": "m"},
        "AggregateId": {"S": "a"},
        "Topic": {"S": "t"},
        "MessageType": {"S": "k"},
        "ParkReason": {"S": "size:3"},
        "CreatedAt": {"S": "2026-11-23T09:00:00Z"},
        "ParkedAt": {"S": "2026-11-23T10:00:00Z"},
    }
    for name, text in (
        ("message_ids", "m"),
        ("aggregate_ids", "a"),
        ("topics", "t"),
        ("message_types", "k"),
        ("reasons", "size"),
    ):
        one: Any = {name: ("x", text)}
        other: Any = {name: ("x", f"{text}x")}
        assert matches(Selection(**one), item, ORDERED), name
        assert not matches(Selection(**other), item, ORDERED), name
        assert not matches(Selection(**one), {}, ORDERED), name
        assert not matches(Selection(**one), dict.fromkeys(item, NO_TEXT), ORDERED), name
    later = NOW.replace(hour=10)
    assert matches(Selection(since=NOW, until=later), item, ORDERED)
    assert not matches(Selection(until=NOW), item, ORDERED)
    assert not matches(Selection(since=later), item, ORDERED)
    assert matches(Selection(since=later), item, ORDERED, time_attribute="ParkedAt")
    assert not matches(Selection(until=later), {"CreatedAt": {"S": "?"}}, ORDERED)
    assert not matches(Selection(since=NOW), {}, ORDERED)


def test_a_time_that_is_none_is_quoted() -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_when("3y", now=NOW, variable="--since")
    assert str(raised.value) == (
        "--since: '3y' is neither an instant as 2026-11-23T09:00:00Z nor a time ago as 90s, 30m, 2h, 7d"
    )
    assert parse_when(" 2026-11-23 ", now=NOW, variable="-") == datetime(2026, 11, 23, tzinfo=UTC)
    assert parse_when(" 1 h ", now=NOW, variable="-") == datetime(2026, 11, 23, 8, tzinfo=UTC)


ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/outbox"


def test_the_policy_of_all_commands() -> None:
    def allow(resource: str, *operations: str) -> dict[str, Any]:
        actions = [f"dynamodb:{operation}" for operation in operations]
        return {"Effect": "Allow", "Action": actions, "Resource": [resource]}

    assert operator_policy(ARN, "Index") == {
        "Version": "2012-10-17",
        "Statement": [
            allow(f"{ARN}/index/Index", "Query"),
            allow(ARN, "BatchGetItem", "DeleteItem", "DescribeTable", "Query", "Scan", "UpdateItem"),
            allow(f"{ARN}/stream/*", "DescribeStream", "GetRecords", "GetShardIterator"),
        ],
    }
    assert operator_policy(ARN, "Index", ["replay"]) == {
        "Version": "2012-10-17",
        "Statement": [allow(ARN, "Query", "Scan", "UpdateItem")],
    }


def test_a_command_that_there_is_not_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError) as raised:
        operator_policy(ARN, "Index", ["status", "zap", "drop"])
    assert str(raised.value) == (
        "commands: 'drop' is not one of status, pending, parked, show, redrive, replay, purge, tail"
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("\t\n\r ~\x7f\u0080\ud7ff\ue000\ufffd\U00010000\U0010ffff", None),
        ("", None),
        ("\x00", "charset:U+0000"),
        ("\x08", "charset:U+0008"),
        ("\x0b", "charset:U+000B"),
        ("\x1f", "charset:U+001F"),
        ("\ufffe", "charset:U+FFFE"),
        ("\uffff", "charset:U+FFFF"),
        ("\ud800", "unicode"),
        ("x\udfff", "unicode"),
        ("\x01\ud800", "charset:U+0001"),
        ("\ud800\x01", "unicode"),
    ],
)
def test_the_first_character_that_cannot_travel_is_named(text: str, fault: str | None) -> None:
    assert find_text_fault(text) == fault


def test_instants_are_read_with_any_offset_and_written_as_utc() -> None:
    assert parse_instant("2026-11-23T09:00:00") == NOW
    assert parse_instant("2026-11-23T11:00:00+02:00") == NOW
    for text in ("", "?", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"):
        assert parse_instant(text) is None, text
    offset = parse_instant("2026-11-23T11:00:00+02:00")
    assert offset is not None
    assert offset.tzinfo is UTC
    assert format_instant(NOW) == "2026-11-23T09:00:00.000000Z"
    assert format_instant(datetime(1, 2, 3, 4, 5, 6, 7, tzinfo=UTC)) == "0001-02-03T04:05:06.000007Z"
    with pytest.raises(ValueError, match=r"\Aan instant needs a time zone\Z"):
        format_instant(datetime(2026, 11, 23))  # noqa: DTZ001 - what is refused
    assert (utf8_size("abc"), utf8_size("a\u20ac"), utf8_size("\U0001f600")) == (3, 4, 4)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "-"),
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (60, "1 min 0 s"),
        (3_599, "59 min 59 s"),
        (3_600, "1 h 0 min"),
        (86_399, "23 h 59 min"),
        (86_400, "1 d 0 h"),
        (10 * 86_400 + 5 * 3_600 + 59, "10 d 5 h"),
    ],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds: float | None, words: str) -> None:
    assert describe_duration(seconds) == words


def test_what_turns_text_round_is_escaped_unless_it_is_kept() -> None:
    assert escape_unprintable("größe") == "größe"
    assert escape_unprintable("a\nb\tc") == "a\\nb\\tc"
    assert escape_unprintable("a\nb\tc\u202e", keep="\n") == "a\nb\\tc\\u202e"
    assert escape_unprintable("\ud800") == "\\ud800"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"headers": {"MessageId": "s3cr3t"}},
            "headers: message m is refused: attribute-name; the header 'MessageId' is reserved for the "
            "relay: give it another name",
        ),
        (
            {"headers": {"a b": "s3cr3t"}},
            "headers: message m is refused: attribute-name; the header 'a b' is no name of an attribute: use "
            "1 to 256 of A-Z, a-z, 0-9, _, - and single dots within, and do not begin with aws. or amazon.",
        ),
        (
            {"headers": {f"h{number}": "s3cr3t" for number in range(9)}},
            "headers: message m is refused: attributes:11; at most 10 attributes travel, yours are 11, of "
            "which 9 are headers: send fewer",
        ),
    ],
)
def test_a_producer_is_told_what_to_do_and_no_value_is_quoted(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidMessageError) as raised:
        Outbox("outbox").put("{}", aggregate_id="a", topic="t", message_id="m", **changes)
    assert str(raised.value) == text


@pytest.mark.parametrize("key", ["Type", "DataType", "dataType"])
def test_a_binary_attribute_has_no_text_whatever_its_custom_type(key: str) -> None:
    attributes = {"a": {key: "Binary.png", "Value": "eA=="}, "b": {key: "String.Binary", "Value": "x"}}
    assert read_attributes(attributes) == {"b": "x"}
    assert read_attributes({1: "x", "c": 2, "d": {"Value": 3}, "e": {"StringValue": "y"}}) == {"e": "y"}
    assert read_attributes("x") == {}

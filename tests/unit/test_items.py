"""Why an item is poison, in the words that stand in its ``ParkReason``."""

from typing import Any

import pytest

from outbox_sdk.core.errors import InvalidEventError
from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.core.items import bucket_of, decode_item, encode_item
from outbox_sdk.core.message import OutboxMessage, Poison
from outbox_sdk.core.stream import decode_event, decode_event_json
from outbox_sdk.core.table import TableDesign

DESIGN = TableDesign.ordered
KEY = ItemKey((("PK", "S", "AGGREGATE#order-7"), ("SK", "S", "MESSAGE#m-1")))
GOOD: dict[str, Any] = {
    "PK": {"S": "AGGREGATE#order-7"},
    "SK": {"S": "MESSAGE#m-1"},
    "NotDispatched": {"S": "x"},
    "MessageId": {"S": "m-1"},
    "AggregateId": {"S": "order-7"},
    "Topic": {"S": "orders"},
    "Message": {"S": "{}"},
}


def decode(**changes: Any) -> OutboxMessage | Poison:
    item = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return decode_item(item, KEY, DESIGN)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Topic": None}, "missing:Topic"),
        ({"Topic": {"NULL": True}}, "missing:Topic"),
        ({"Topic": {"S": ""}}, "missing:Topic"),
        ({"Topic": {"N": "1"}}, "type:Topic:N"),
        ({"Topic": {"M": {}}}, "type:Topic:M"),
        ({"Topic": {"SS": ["a"]}}, "type:Topic:SS"),
        ({"Topic": {}}, "type:Topic:?"),
        ({"Topic": "orders"}, "type:Topic:?"),
        ({"Topic": {"S": "a", "N": "1"}}, "type:Topic:?"),
        ({"Message": None}, "missing:Message"),
        ({"Message": {"B": "eA=="}}, "type:Message:B"),
        ({"Message": {"S": ""}}, "empty"),
        ({"Message": {"S": "a\0"}}, "charset:U+0000"),
        ({"Message": {"S": "\ufffe"}}, "charset:U+FFFE"),
        ({"Message": {"S": "\ud800"}}, "unicode"),
        ({"MessageId": None}, "missing:MessageId"),
        ({"MessageId": {"S": "\x01"}}, "charset:U+0001:MessageId"),
        ({"AggregateId": {"S": "\udfff"}}, "unicode:AggregateId"),
        ({"CorrelationId": {"N": "1"}}, "type:CorrelationId:N"),
        ({"Headers": {"M": {"a": {"N": "1"}}}}, "type:Headers:M"),
        ({"Headers": {"L": []}}, "type:Headers:L"),
        ({"Sequence": {"S": "1"}}, "type:Sequence:S"),
        ({"Sequence": {"N": "1.5"}}, "integer:Sequence"),
        ({"SchemaVersion": {"N": "1E+40"}}, "integer:SchemaVersion"),
        ({"RedriveCount": {"BOOL": True}}, "type:RedriveCount:BOOL"),
        ({"Hops": {"S": "1"}}, "type:Hops:S"),
        ({"Hops": {"N": "0.5"}}, "integer:Hops"),
    ],
)
def test_a_park_reason(changes: dict[str, Any], reason: str) -> None:
    poison = decode(**changes)
    assert isinstance(poison, Poison)
    assert poison.reason == reason
    assert poison.marker == {"S": "x"}


@pytest.mark.parametrize(
    "changes",
    [
        {"CreatedAt": {"N": "1763888400"}},
        {"CreatedAt": {"S": "yesterday"}},
        {"ApproximateDispatchCount": {"S": "many"}},
        {"ApproximateDispatchCount": {"N": "-1"}},
        {"IsDispatched": {"S": "no"}},
        {"ExpiresAt": {"S": "never"}},
        {"CorrelationId": {"NULL": True}},
        {"Headers": {"NULL": True}},
        {"Customer": {"L": [{"M": {}}]}},
    ],
)
def test_bookkeeping_never_stops_a_message(changes: dict[str, Any]) -> None:
    assert isinstance(decode(**changes), OutboxMessage)


def test_an_item_of_the_least_is_a_message() -> None:
    message = decode()
    assert isinstance(message, OutboxMessage)
    assert (message.message_id, message.topic, message.body) == ("m-1", "orders", "{}")
    assert (message.dispatch_count, message.redrive_count, message.headers) == (0, 0, {})
    assert encode_item(message, DESIGN) == {
        **GOOD,
        "IsDispatched": {"BOOL": False},
        "ApproximateDispatchCount": {"N": "0"},
    }


def test_an_empty_attribute_of_every_type_is_explained_once() -> None:
    poison = decode(Message={"S": "\0"}, MessageId={"N": "1"})
    assert isinstance(poison, Poison)
    assert poison.reason == "type:MessageId:N"
    assert poison.message_id is None


def test_a_bucket_depends_on_the_id_alone() -> None:
    """Producers in other languages compute the same: CRC-32 of the UTF-8 text, modulo the buckets."""
    assert bucket_of("123456789", 100) == f"{0xCBF43926 % 100:02d}"
    assert bucket_of("", 16) == "00"


def event(image: dict[str, Any], **change: Any) -> dict[str, Any]:
    record = {"Keys": {"PK": {"S": "a"}}, "SequenceNumber": "1", "NewImage": image, **change}
    return {"Records": [{"eventName": "INSERT", "dynamodb": record}]}


def test_half_a_surrogate_pair_as_a_type_is_one_records_fault() -> None:
    (record,) = decode_event(event({**GOOD, "Topic": {"\ud800": "x"}}), DESIGN)
    assert isinstance(record.content, Poison)
    assert record.content.reason == "type:Topic:?"


def test_a_time_beyond_all_bounds_is_no_time() -> None:
    """A record must not fail for a time it can do without."""
    (record,) = decode_event(event(GOOD, ApproximateCreationDateTime=10**400), DESIGN)
    assert record.creation is None


def test_text_that_is_no_unicode_is_no_event() -> None:
    with pytest.raises(InvalidEventError):
        decode_event_json("\ud800", DESIGN)

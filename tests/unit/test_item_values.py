"""Items as whole values: every attribute there and back, the size of every type, all that a poison tells."""

from types import MappingProxyType
from typing import Any

import msgspec
import pytest

from outbox_sdk.core.identifiers import (
    AggregateId,
    CorrelationId,
    Item,
    ItemKey,
    MessageId,
    TopicName,
    to_client_value,
)
from outbox_sdk.core.items import decode_item, encode_item, is_outstanding, item_size, redrive_count_of
from outbox_sdk.core.message import OutboxMessage, Poison
from outbox_sdk.core.table import TableDesign

DESIGN = msgspec.structs.replace(TableDesign.ordered, partition_key="pk", topic="Channel", hops="Distance")
KEY = ItemKey((("SK", "S", "MESSAGE#m-1"), ("pk", "S", "AGGREGATE#order-7")))
MESSAGE = OutboxMessage(
    key=KEY,
    marker={"S": "04"},
    message_id=MessageId("m-1"),
    aggregate_id=AggregateId("order-7"),
    topic=TopicName("orders"),
    body="{}",
    correlation_id=CorrelationId("c-1"),
    created_at="2026-11-23T09:00:00.000000Z",
    message_type="order.created",
    schema_version=2,
    content_type="application/json",
    headers={"tenant": "blue", "colour": "grün"},
    sequence=3,
    dispatch_count=4,
    redrive_count=5,
    hops=6,
)
ITEM: dict[str, Any] = {
    "pk": {"S": "AGGREGATE#order-7"},
    "SK": {"S": "MESSAGE#m-1"},
    "MessageId": {"S": "m-1"},
    "AggregateId": {"S": "order-7"},
    "Channel": {"S": "orders"},
    "Message": {"S": "{}"},
    "CorrelationId": {"S": "c-1"},
    "CreatedAt": {"S": "2026-11-23T09:00:00.000000Z"},
    "MessageType": {"S": "order.created"},
    "SchemaVersion": {"N": "2"},
    "ContentType": {"S": "application/json"},
    "Headers": {"M": {"tenant": {"S": "blue"}, "colour": {"S": "grün"}}},
    "Sequence": {"N": "3"},
    "IsDispatched": {"BOOL": False},
    "ApproximateDispatchCount": {"N": "4"},
    "NotDispatched": {"S": "04"},
    "RedriveCount": {"N": "5"},
    "Distance": {"N": "6"},
}


def test_every_attribute_is_written_and_read_under_the_names_of_the_design() -> None:
    assert encode_item(MESSAGE, DESIGN) == ITEM
    assert decode_item(ITEM, KEY, DESIGN) == MESSAGE


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"RedriveCount": {"N": "-1"}}, "redrive_count", 0),
        ({"RedriveCount": {"NULL": True}}, "redrive_count", 0),
        ({"Distance": {"N": "-2"}}, "hops", -2),
        ({"Distance": {"NULL": True}}, "hops", 0),
        ({"Sequence": {"NULL": True}}, "sequence", None),
        ({"SchemaVersion": {"NULL": True}}, "schema_version", None),
        ({"ApproximateDispatchCount": {"N": "٣"}}, "dispatch_count", 0),
        ({"ApproximateDispatchCount": {"N": "²"}}, "dispatch_count", 0),
        ({"ApproximateDispatchCount": {"N": ""}}, "dispatch_count", 0),
        ({"ApproximateDispatchCount": {"N": 7}}, "dispatch_count", 0),
        ({"ApproximateDispatchCount": {"S": "7"}}, "dispatch_count", 0),
        ({"CreatedAt": ["S"]}, "created_at", None),
        ({"CreatedAt": MappingProxyType({"S": "now"})}, "created_at", "now"),
    ],
)
def test_what_an_unusual_attribute_is_read_as(changes: dict[str, Any], field: str, value: object) -> None:
    message = decode_item({**ITEM, **changes}, KEY, DESIGN)
    assert message == msgspec.structs.replace(MESSAGE, **{field: value})


@pytest.mark.parametrize(
    ("changes", "poison"),
    [
        ({"Channel": {"N": "1"}}, Poison(key=KEY, marker={"S": "04"}, reason="type:Channel:N")),
        (
            {"MessageId": {"S": "\ud800"}},
            Poison(key=KEY, marker={"S": "04"}, reason="unicode:MessageId"),
        ),
        ({"MessageId": {"S": ""}}, Poison(key=KEY, marker={"S": "04"}, reason="missing:MessageId")),
        ({"NotDispatched": {"N": "1"}}, Poison(key=KEY, marker={"N": "1"}, reason="type:NotDispatched:N")),
        (
            {"NotDispatched": "x"},
            Poison(key=KEY, marker={"NULL": True}, reason="type:NotDispatched:?"),
        ),
        (
            {"NotDispatched": {"S": "x", "N": "1"}},
            Poison(key=KEY, marker={"NULL": True}, reason="type:NotDispatched:?"),
        ),
        (
            {"NotDispatched": {"X": "x"}},
            Poison(key=KEY, marker={"NULL": True}, reason="type:NotDispatched:?"),
        ),
        ({"Distance": {"N": "much"}}, Poison(key=KEY, marker={"S": "04"}, reason="integer:Distance")),
        ({"Channel": {"B": b"x"}}, Poison(key=KEY, marker={"S": "04"}, reason="type:Channel:B")),
        ({"Channel": {"N": 1}}, Poison(key=KEY, marker={"S": "04"}, reason="type:Channel:?")),
        ({"Channel": {"BOOL": True}}, Poison(key=KEY, marker={"S": "04"}, reason="type:Channel:BOOL")),
        ({"Channel": {"NULL": False}}, Poison(key=KEY, marker={"S": "04"}, reason="type:Channel:NULL")),
        ({"Channel": {"L": []}}, Poison(key=KEY, marker={"S": "04"}, reason="type:Channel:L")),
        ({"Channel": {"M": []}}, Poison(key=KEY, marker={"S": "04"}, reason="type:Channel:?")),
        ({"Channel": {"NS": ["1"]}}, Poison(key=KEY, marker={"S": "04"}, reason="type:Channel:NS")),
        ({"Channel": {"BS": [b"1"]}}, Poison(key=KEY, marker={"S": "04"}, reason="type:Channel:BS")),
    ],
)
def test_a_poison_tells_all_that_is_known_of_the_item(changes: dict[str, Any], poison: Poison) -> None:
    known = None if "MessageId" in changes else "m-1"
    if changes.get("MessageId") == {"S": ""}:
        known = ""
    expected = msgspec.structs.replace(poison, message_id=known, redrive_count=5)
    assert decode_item({**ITEM, **changes}, KEY, DESIGN) == expected


def test_the_text_of_each_required_attribute_is_checked_by_its_name() -> None:
    for name in ("MessageId", "AggregateId", "Channel"):
        poison = decode_item({**ITEM, name: {"S": "a\x02"}}, KEY, DESIGN)
        assert isinstance(poison, Poison)
        assert poison.reason == f"charset:U+0002:{name}"


def test_who_is_outstanding() -> None:
    assert is_outstanding(ITEM, DESIGN)
    assert not is_outstanding(None, DESIGN)
    assert not is_outstanding({**ITEM, "NotDispatched": {"S": "parked"}}, DESIGN)
    assert not is_outstanding(
        {name: value for name, value in ITEM.items() if name != "NotDispatched"}, DESIGN
    )
    assert (redrive_count_of(ITEM, DESIGN), redrive_count_of({}, DESIGN)) == (5, 0)


# Sizes, as DynamoDB Local counts them


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": ""}, 0),
        ({"S": "größe"}, 7),
        ({"B": b"abc"}, 3),
        ({"B": "abcé"}, 5),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
        ({"M": {}}, 3),
        ({"M": {"ab": {"S": "cde"}, "f": {"NULL": True}}}, 3 + 2 + 2 + 3 + 1 + 1),
        ({"L": []}, 3),
        ({"L": [{"S": "ab"}, {"BOOL": False}]}, 3 + 1 + 2 + 1 + 1),
        ({"SS": ["a", "bcd"]}, 4),
        ({"NS": ["1", "-1"]}, 2 + 3),
        ({"BS": [b"a", b"bc"]}, 3),
        ({"N": "0"}, 1),
        ({"N": "-0"}, 1),
        ({"N": "0.00"}, 1),
        ({"N": "1"}, 2),
        ({"N": "12"}, 2),
        ({"N": "123"}, 3),
        ({"N": "-123"}, 4),
        ({"N": "100"}, 2),
        ({"N": "1000"}, 2),
        ({"N": "1010"}, 3),
        ({"N": "0.1"}, 2),
        ({"N": "0.01"}, 2),
        ({"N": "0.001"}, 2),
        ({"N": "1.5"}, 3),
        ({"N": "12.34"}, 3),
        ({"N": "1.234"}, 4),
        ({"N": "1E+3"}, 2),
        ({"N": "NaN"}, 1),
        ({"N": "Infinity"}, 1),
        ({"N": "many"}, 5),
        ({"N": "x" * 20}, 21),
        ({"N": "x" * 40}, 21),
    ],
)
def test_the_size_of_a_value(value: Any, size: int) -> None:
    assert item_size({"": value}) == size
    assert item_size({"é": value, "n": {"NULL": True}}) == 2 + size + 2


# Keys


@pytest.mark.parametrize(
    ("keys", "parts"),
    [
        ({"b": {"S": "x"}, "a": {"N": "1"}}, (("a", "N", "1"), ("b", "S", "x"))),
        ({"a": {"B": b"x"}}, (("a", "B", "eA=="),)),
        ({"a": {"B": "eA=="}}, (("a", "B", "eA=="),)),
        ({"a": {"S": "ü"}}, (("a", "S", "ü"),)),
    ],
)
def test_a_key_is_its_parts_in_order(keys: Item, parts: tuple[tuple[str, str, str], ...]) -> None:
    assert ItemKey.from_item(keys).parts == parts
    assert ItemKey.from_item(ItemKey(parts).to_item()) == ItemKey(parts)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({}, "a key has at least one attribute"),
        ({"a": {}}, "key attribute a must carry exactly one type, not 0"),
        ({"a": {"S": "x", "N": "1"}}, "key attribute a must carry exactly one type, not 2"),
        ({"a": {"BOOL": True}}, "key attribute a must be a string, a number or binary"),
        ({"a": {"BOOL": "x"}}, "key attribute a must be a string, a number or binary"),
        ({"a": {"S": 1}}, "key attribute a must be a string, a number or binary"),
        ({"a": {"S": b"x"}}, "key attribute a must be a string, a number or binary"),
        ({"a": {"S": "ü\ud800"}}, "key attribute a holds half a surrogate pair"),
        ({"a": {"S": "\udfff"}}, "key attribute a holds half a surrogate pair"),
    ],
)
def test_what_is_no_key_is_refused_by_its_attribute(keys: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{problem}$"):
        ItemKey.from_item(keys)


def test_only_binary_text_is_changed_for_a_client() -> None:
    assert to_client_value({"B": b"x"}) == {"B": b"x"}
    assert to_client_value({"S": "eA=="}) == {"S": "eA=="}
    assert ItemKey.from_item({"a": {"B": b"x"}}).to_item() == {"a": {"B": b"x"}}

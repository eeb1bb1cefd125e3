"""What `@message` and `Catalog` refuse, and what an error says where."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypedDict, TypeVar

import msgspec
import pydantic
import pytest

from outbox_sdk import (
    Catalog,
    ConfigurationError,
    InvalidMessageError,
    MessageType,
    Outbox,
    UndecodableMessageError,
    message,
)
from outbox_sdk.core.message_type import find_message_type


class Line(msgspec.Struct):
    price: int


def add_currency(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "currency": "EUR"}


@message("order.created", topic="order--created", version=2, upcasters={1: add_currency})
class OrderCreated(msgspec.Struct):
    order_id: str
    currency: str
    lines: list[Line] = []

    def __post_init__(self) -> None:
        if self.order_id == "refused":
            raise ValueError(f"s3cret {self.order_id} - at `$.s3cret`")


@message("order.shipped", topic="order--shipped")
class OrderShipped(TypedDict):
    order_id: str


@message("order.paid", topic="order--paid")
class OrderPaid(pydantic.BaseModel):
    amounts: dict[str, int]
    amount: int = pydantic.Field(alias="Amount")


@message("order.sized", topic="order--sized")
class OrderSized(msgspec.Struct):
    count: Annotated[int, msgspec.Meta(ge=0)]
    name: Annotated[str, msgspec.Meta(min_length=1, pattern="^[A-Z]*$")] = "A"


class Unregistered(msgspec.Struct):
    order_id: str


class Child(OrderCreated):
    """Another message than its parent, or none."""


CATALOG = Catalog(OrderCreated, OrderShipped, OrderPaid, OrderSized)


def test_the_class_is_the_same_and_says_what_was_recorded() -> None:
    before = Unregistered.__dict__.copy()

    class Plain(msgspec.Struct):
        x: int

    assert message("plain", topic="t")(Plain) is Plain
    assert find_message_type(OrderCreated) == MessageType(
        "order.created", CATALOG.type_of(OrderCreated).topic, 2, {1: add_currency}
    )
    assert find_message_type(Unregistered) is None
    assert before == dict(Unregistered.__dict__)


def test_a_record_is_not_inherited() -> None:
    assert find_message_type(Child) is None
    assert Child not in CATALOG
    with pytest.raises(ConfigurationError, match="Child has no record"):
        Catalog(Child)
    with pytest.raises(InvalidMessageError, match="Child is not in the catalog"):
        CATALOG.encode(Child("7", "EUR"))


def decorate(**arguments: Any) -> Callable[[type[Any]], type[Any]]:
    return message(**{"name": "n", "topic": "t", **arguments})


@pytest.mark.parametrize(
    ("arguments", "variable", "problem"),
    [
        ({"name": ""}, "name", "printable"),
        ({"name": "two words"}, "name", "printable"),
        ({"name": "n" * 129}, "name", "printable"),
        ({"name": None}, "name", "printable"),
        ({"topic": "no topic"}, "topic", "'no topic' of n is not a topic name"),
        ({"version": 0}, "version", "0 of n is not a whole number"),
        ({"version": True}, "version", "True of n"),
        ({"version": "2"}, "version", "'2' of n"),
        ({"version": 3, "upcasters": {1: add_currency}}, "upcasters", r"for \[1\]; .* to 2"),
        ({"version": 3, "upcasters": {1: add_currency, 3: add_currency}}, "upcasters", r"for \[1, 3\]"),
        ({"version": 2, "upcasters": {2: add_currency}}, "upcasters", r"for \[2\]"),
        ({"version": 2, "upcasters": {0: add_currency, 1: add_currency}}, "upcasters", r"for \[0, 1\]"),
        ({"version": 2, "upcasters": {"1": add_currency}}, "upcasters", r"for \['1'\]"),
        ({"version": 2, "upcasters": {1: "function"}}, "upcasters", "version 1 of n is no function"),
    ],
)
def test_a_record_that_breaks_a_rule_is_refused_where_it_is_made(
    arguments: dict[str, Any], variable: str, problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=problem) as raised:
        decorate(**arguments)
    assert raised.value.variable == variable


def test_upcasters_may_start_late_and_stand_in_any_order() -> None:
    both = {3: add_currency, 2: add_currency}
    kind = decorate(version=4, upcasters=both)(Line)
    assert CATALOG.type_of(OrderCreated).oldest == 1
    record = find_message_type(kind)
    assert record is not None
    assert record.oldest == 2


T = TypeVar("T")


class Box(Generic[T]):
    content: T


@pytest.mark.parametrize("candidate", [object, int, dict, Box[int], "OrderCreated", lambda: None])
def test_what_describes_no_body_is_refused(candidate: Any) -> None:
    with pytest.raises(ConfigurationError, match="no Struct, dataclass, attrs class, pydantic model or"):
        decorate()(candidate)


def test_a_dataclass_with_slots_keeps_its_record() -> None:
    """It is another class than the one under the decorator, which is why `@message` goes on top."""

    @message("slotted", topic="t")
    @dataclass(frozen=True, slots=True)
    class Slotted:
        x: int

    assert Catalog(Slotted).decode('{"x":1}', {"MessageType": "slotted"}) == Slotted(1)


class Odd(msgspec.Struct):
    either: OrderCreated | Line


def test_a_catalog_refuses_what_it_could_not_tell_apart_or_read() -> None:
    twin = decorate(name="order.created")(Unregistered)
    try:
        with pytest.raises(ConfigurationError, match=r"order\.created names both OrderCreated and Unreg"):
            Catalog(OrderCreated, twin)
        with pytest.raises(ConfigurationError, match=r"order\.created names both OrderCreated and Unreg"):
            CATALOG | Catalog(twin)
    finally:
        del Unregistered.__outbox_message__  # type: ignore[attr-defined]  # what `@message` records
    with pytest.raises(ConfigurationError, match="Odd cannot be read: If a type union contains"):
        Catalog(decorate()(Odd))
    with pytest.raises(ConfigurationError, match=r"'order\.created' is not a class"):
        Catalog("order.created")  # type: ignore[call-overload]  # what is no class
    with pytest.raises(ConfigurationError, match=r"order\.created names both OrderCreated and Order"):
        Catalog(OrderCreated, OrderCreated)


def test_two_catalogs_together_hold_the_classes_of_both() -> None:
    both = Catalog(OrderCreated) | Catalog(OrderShipped, OrderCreated)
    assert list(both) == [OrderCreated, OrderShipped]
    assert len(both) == 2
    assert repr(both) == "Catalog(OrderCreated, OrderShipped)"
    assert (OrderPaid in both, OrderShipped in both, "OrderShipped" in both) == (False, True, False)
    assert both.decode('{"order_id":"7"}', {"MessageType": "order.shipped"}) == {"order_id": "7"}
    with pytest.raises(ConfigurationError, match="OrderPaid is not in it; add it to Catalog"):
        both.type_of(OrderPaid)


@pytest.mark.parametrize(
    ("body", "attributes", "reason", "text"),
    [
        ("{}", {}, "unknown_type", "there is no attribute MessageType"),
        ("{}", {"MessageType": "a b"}, "unknown_type", "the attribute MessageType holds no name"),
        ("{}", {"MessageType": "order.lost"}, "unknown_type", "order.lost is not in the catalog; add"),
        ("{}", {"SchemaVersion": "3"}, "newer_version", "of version 3, and of 2 here; deploy"),
        ("{}", {"SchemaVersion": "1.5"}, "unknown_version", "that of order.created is not a whole"),
        ("[]", {}, "invalid_body", "that of order.created: $ is no object"),
        ("{", {}, "invalid_body", "that of order.created: $ is not JSON"),
        (None, {}, "invalid_body", "that of order.created is no text"),
        ("[" * 100_000, {}, "invalid_body", "that of order.created: $ is not JSON"),
        ("{}", {"SchemaVersion": "2"}, "invalid_body", "$ Object missing required field `order_id`"),
    ],
)
def test_an_error_says_what_is_wrong_and_what_to_do(
    body: Any, attributes: dict[str, str], reason: str, text: str
) -> None:
    with pytest.raises(UndecodableMessageError) as raised:
        CATALOG.decode(
            body, {"MessageType": "order.created", **attributes} if attributes or body != "{}" else {}
        )
    assert raised.value.reason == reason
    assert text in str(raised.value)


@pytest.mark.parametrize(
    ("name", "body", "path", "problem"),
    [
        ("created", '{"order_id":1,"currency":"EUR"}', "$.order_id", "Expected `str`, got `int`"),
        (
            "created",
            '{"order_id":"7","currency":"EUR","lines":[{"price":1},{"price":"s3cret"}]}',
            "$.lines[1].price",
            "Expected `int`, got `str`",
        ),
        ("created", '{"order_id":"refused","currency":"EUR"}', "$", "is not what the class says"),
        ("created", '{"order_id":"7","currency":"EUR"', "$", "is not JSON"),
        ("sized", '{"count":-1}', "$.count", "Expected `int` >= 0"),
        ("sized", '{"count":1,"name":""}', "$.name", "Expected `str` of length >= 1"),
        ("sized", '{"count":1,"name":"s3cret"}', "$.name", "is not what the class says"),
        ("sized", '{"count":1e999}', "$.count", "Number out of range"),
        ("shipped", "[1]", "$", "Expected `object`, got `array`"),
        ("paid", '{"Amount":"s3cret","amounts":{}}', "$.Amount", "int_parsing"),
        ("paid", '{"Amount":1,"amounts":{"s3cret":"x"}}', "$.amounts[...]", "int_parsing"),
        ("paid", '{"Amount":1', "$", "is not JSON"),
        ("paid", '{"amounts":{}}', "$.Amount", "missing"),
    ],
)
def test_the_path_leads_to_the_fault(name: str, body: str, path: str, problem: str) -> None:
    version = "2" if name == "created" else "1"
    with pytest.raises(UndecodableMessageError) as raised:
        CATALOG.decode(body, {"MessageType": f"order.{name}", "SchemaVersion": version})
    error = raised.value
    assert (error.reason, error.path, error.message_type) == ("invalid_body", path, f"order.{name}")
    assert str(error) == f"invalid_body: that of order.{name}: {path} {problem}"


def failing(body: dict[str, Any]) -> dict[str, Any]:
    raise LookupError(body["s3cret"])


@pytest.mark.parametrize(
    ("upcaster", "problem"),
    [
        (failing, "that of version 1 of n fails with LookupError"),
        (lambda body: None, "that of version 1 of n gives a NoneType and no object"),
        (lambda body: {"x": object()}, "that of version 1 of n gives what has no JSON (TypeError)"),
    ],
)
def test_an_upcaster_that_fails_is_named_and_what_it_raised_is_not_kept(
    upcaster: Callable[[dict[str, Any]], Any], problem: str
) -> None:
    kind = decorate(version=2, upcasters={1: upcaster})(Line)
    with pytest.raises(UndecodableMessageError) as raised:
        Catalog(kind).decode('{"s3cret":"s3cret"}', {"MessageType": "n"})
    assert raised.value.problem == problem
    assert raised.value.reason == "upcaster_failed"
    assert raised.value.__cause__ is raised.value.__context__ is None


def test_a_number_of_an_older_version_passes_through_no_float() -> None:
    class Priced(msgspec.Struct):
        price: msgspec.Raw

    kind: Any = decorate(version=2, upcasters={1: lambda body: body})(Priced)
    decoded = Catalog(kind).decode('{"price":12345678901234567890.10}', {"MessageType": "n"})
    assert bytes(decoded.price) == b"12345678901234567890.10"


@pytest.mark.parametrize(
    ("event", "of", "field", "problem"),
    [
        ({"order_id": "7"}, None, "topic", "dict is not in the catalog; .*name a TypedDict by of="),
        ({"order_id": "7"}, Unregistered, "of", "Unregistered is not in the catalog"),
        ({"order_id": 5}, OrderShipped, "message", r"is no OrderShipped: \$.order_id Expected `str`"),
        ({}, OrderShipped, "message", r"is no OrderShipped: \$ Object missing required field"),
        ({"order_id": "7"}, OrderCreated, "message", "is a dict, and of= says OrderCreated"),
        (OrderCreated("7", "EUR"), OrderShipped, "message", "is no OrderShipped: "),
        (Unregistered("7"), None, "topic", "Unregistered is not in the catalog; add it to Catalog"),
        ("{}", None, "topic", "str is not in the catalog"),
    ],
)
def test_what_is_not_of_the_catalog_is_not_put(
    event: Any, of: type[Any] | None, field: str, problem: str
) -> None:
    outbox: Outbox[Any] = Outbox("outbox", catalog=CATALOG)
    with pytest.raises(InvalidMessageError, match=problem) as raised:
        outbox.put(event, of=of, aggregate_id="7")
    assert raised.value.field == field


def test_with_a_topic_anything_is_put_and_a_record_still_travels() -> None:
    outbox = Outbox("outbox")
    free: Any = outbox.put(Unregistered("7"), topic="t", aggregate_id="7")
    known: Any = outbox.put(OrderCreated("7", "EUR"), topic="t", aggregate_id="7")
    named: Any = Outbox("outbox", catalog=CATALOG).put(
        {"order_id": "7"}, of=OrderShipped, topic="t", aggregate_id="7"
    )
    items = [entry["Put"]["Item"] for entry in (free, known, named)]
    assert [item.get("MessageType") for item in items] == [
        None,
        {"S": "order.created"},
        {"S": "order.shipped"},
    ]
    assert [item.get("SchemaVersion") for item in items] == [None, {"N": "2"}, {"N": "1"}]
    assert {item["Topic"]["S"] for item in items} == {"t"}


class Silent(pydantic.BaseModel):
    x: int

    @pydantic.field_serializer("x")
    def fail(self, value: int) -> int:
        raise LookupError("s3cret")


def test_a_model_that_cannot_write_itself_is_not_quoted() -> None:
    with pytest.raises(
        InvalidMessageError, match=r"a Silent does not write itself as JSON \(\w+\)"
    ) as raised:
        Outbox("outbox").put(Silent(x=1), topic="t", aggregate_id="7")
    assert raised.value.__cause__ is raised.value.__context__ is None

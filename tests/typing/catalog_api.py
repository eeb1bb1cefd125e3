"""What type checkers must accept of messages, catalogs and outboxes, and what they must refuse.

Read by mypy and by pyright, and never run. ``tests/unit/test_typing.py`` compares the lines that end in
``# refused`` with those at which each of the two finds an error.
"""

from dataclasses import dataclass
from typing import Any, Never, TypedDict, assert_never, assert_type

import attrs
import msgspec
import pydantic

from outbox_sdk import Catalog, Outbox, message


@message("order.created", topic="order--created", version=2, upcasters={1: lambda body: body})
class OrderCreated(msgspec.Struct):
    order_id: str
    total: int


@message("order.shipped", topic="order--shipped")
class OrderShipped(TypedDict):
    order_id: str


@message("order.paid", topic="order--paid")
@dataclass(frozen=True)
class OrderPaid:
    order_id: str


@message("order.packed", topic="order--packed")
@attrs.frozen
class OrderPacked:
    order_id: str


@message("order.lost", topic="order--lost")
class OrderLost(pydantic.BaseModel):
    order_id: str


class Unregistered(msgspec.Struct):
    order_id: str


assert_type(OrderCreated("7", 120), OrderCreated)  # the decorator changes no class

catalog = Catalog(OrderCreated, OrderShipped)
assert_type(catalog, Catalog[OrderCreated | OrderShipped])
assert_type(Catalog(OrderCreated), Catalog[OrderCreated])
assert_type(
    Catalog(OrderCreated, OrderShipped, OrderPaid, OrderPacked, OrderLost),
    Catalog[OrderCreated | OrderShipped | OrderPaid | OrderPacked | OrderLost],
)
assert_type(
    Catalog(OrderCreated, OrderShipped) | Catalog(OrderPaid), Catalog[OrderCreated | OrderShipped | OrderPaid]
)
assert_type(catalog.type_of(OrderCreated).version, int)
assert_type(catalog.encode(OrderCreated("7", 120)), str)


def read(body: str, attributes: dict[str, Any]) -> str:
    event = Catalog(OrderCreated, OrderPaid).decode(body, attributes)
    assert_type(event, OrderCreated | OrderPaid)
    match event:
        case OrderCreated():
            return f"{event.total}"
        case OrderPaid():
            return event.order_id
        case _:
            assert_never(event)


def forget_one(body: str, attributes: dict[str, Any]) -> str:
    event = Catalog(OrderCreated, OrderPaid).decode(body, attributes)
    match event:
        case OrderCreated():
            return event.order_id
        case _:
            assert_never(event)  # refused


outbox = Outbox("outbox", catalog=catalog)
assert_type(outbox, Outbox[OrderCreated | OrderShipped])
assert_type(Outbox("outbox"), Outbox[Never])

outbox.put(OrderCreated("7", 120), aggregate_id="7")
outbox.put(OrderCreated("7", 120), aggregate_id="7", topic="elsewhere", sequence=1)
outbox.put({"order_id": "7"}, of=OrderShipped, aggregate_id="7")
outbox.put('{"free":"text"}', topic="notes", aggregate_id="7")
outbox.put(Unregistered("7"), topic="notes", aggregate_id="7")
Outbox("outbox").put(OrderCreated("7", 120), topic="notes", aggregate_id="7")

outbox.put(OrderPaid("7"), aggregate_id="7")  # refused
outbox.put(OrderCreated("7", 120))  # refused
outbox.put('{"free":"text"}', topic="notes")  # refused
outbox.put(Unregistered("7"), aggregate_id="7")  # refused
outbox.put('{"free":"text"}', aggregate_id="7")  # refused
outbox.put({"order": "7"}, of=OrderShipped, aggregate_id="7")  # refused
outbox.put({"order_id": "7"}, of=OrderPaid, aggregate_id="7")  # refused
outbox.put(OrderCreated("7", 120), aggregate_id=7)  # refused
Outbox("outbox").put(OrderCreated("7", 120), aggregate_id="7")  # refused
Outbox("outbox", topics={OrderCreated: "order--created"})  # refused
Catalog()  # refused
Catalog("OrderCreated")  # refused
message("order.created")  # refused
catalog.encode(OrderPaid("7"))  # refused


def put_created(some: Outbox[OrderCreated]) -> None:
    some.put(OrderCreated("7", 120), aggregate_id="7")


def put_texts(some: Outbox) -> None:
    some.put("{}", topic="notes", aggregate_id="7")


put_created(outbox)  # an outbox of more messages will do
put_texts(outbox)
put_created(Outbox("outbox"))  # refused
put_created(Outbox("outbox", catalog=Catalog(OrderPaid)))  # refused

"""What type checkers accept of consumers, and what they refuse. Read as its neighbours are."""

from typing import assert_type

import msgspec

from outbox_sdk import (
    Catalog,
    ClaimStore,
    Delivery,
    Gap,
    Next,
    Stale,
    consumer,
    current_delivery,
    decode_sqs_record,
    handling,
    message,
    step_of,
)
from outbox_sdk.shell.consumer import RecordHandler
from outbox_sdk.testing import InMemoryBucket


@message("order.created", topic="order--created")
class OrderCreated(msgspec.Struct):
    order_id: str


@message("order.paid", topic="order--paid")
class OrderPaid(msgspec.Struct):
    order_id: str


catalog = Catalog(OrderCreated, OrderPaid)
store = ClaimStore(InMemoryBucket("bodies"), buckets=["bodies"])


@consumer(catalog)
async def handle(event: OrderCreated | OrderPaid, delivery: Delivery) -> None:
    assert_type(delivery.sequence, int | None)


@consumer(catalog, envelope="cloudevents", unknown_types="skip", claims=store)
async def handle_anything(event: object, delivery: Delivery) -> int:
    return 1


assert_type(handle, RecordHandler[OrderCreated | OrderPaid])
assert_type(current_delivery(), Delivery | None)


async def work(record: dict[str, object]) -> None:
    await handle.handle(record)
    delivery = decode_sqs_record(record)
    assert_type(delivery, Delivery)
    with handling(delivery):
        await handle.__wrapped__(OrderPaid("7"), delivery)
        assert_type(step_of(2, seen=delivery.sequence), Next | Gap | Stale)
    await handle.__wrapped__(OrderPaid("7"))  # refused
    handling(record)  # refused


async def forgets_one(event: OrderCreated, delivery: Delivery) -> None: ...
def is_not_async(event: object, delivery: Delivery) -> None: ...
async def takes_no_delivery(event: OrderCreated | OrderPaid) -> None: ...


consumer(catalog)(forgets_one)  # refused
consumer(catalog)(is_not_async)  # refused
consumer(catalog)(takes_no_delivery)  # refused
consumer(catalog, envelope="xml")  # refused
consumer(catalog, unknown_types="drop")  # refused
consumer(catalog, claims=InMemoryBucket("bodies"))  # refused
consumer(OrderCreated)  # refused

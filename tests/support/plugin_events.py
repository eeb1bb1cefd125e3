"""The events of the services that the tests of the plugin play."""

from dataclasses import dataclass

import msgspec

from outbox_sdk import Catalog, Outbox, message

__all__ = ["CATALOG", "OUTBOX", "Event", "OrderCreated", "OrderShipped"]


@message("order.created", topic="order--created")
class OrderCreated(msgspec.Struct):
    order_id: str
    total: int


@message("order.shipped", topic="orders.fifo")
@dataclass
class OrderShipped:
    order_id: str


Event = OrderCreated | OrderShipped
CATALOG = Catalog(OrderCreated, OrderShipped)
OUTBOX = Outbox("outbox", catalog=CATALOG)

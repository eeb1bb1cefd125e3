"""What this service tells, and what it reads of others, with the fields that it needs."""

import msgspec

from outbox_sdk import Catalog, message

__all__ = [
    "CONSUMED",
    "PUBLISHED",
    "CreditRefused",
    "CreditReserved",
    "OrderApproved",
    "OrderCreated",
    "OrderRejected",
]

# One topic for an order's whole life, and a FIFO one: who follows an order hears of it in order.
_TOPIC = "orders.fifo"


@message("order.created", topic=_TOPIC)
class OrderCreated(msgspec.Struct, frozen=True):
    """An order waits for credit; ``total`` is in cents."""

    order_id: str
    customer_id: str
    total: int


@message("order.approved", topic=_TOPIC)
class OrderApproved(msgspec.Struct, frozen=True):
    """The credit is there."""

    order_id: str
    customer_id: str
    total: int


@message("order.rejected", topic=_TOPIC)
class OrderRejected(msgspec.Struct, frozen=True):
    """The credit was refused, and why."""

    order_id: str
    customer_id: str
    reason: str


PUBLISHED: Catalog[OrderCreated | OrderApproved | OrderRejected] = Catalog(
    OrderCreated, OrderApproved, OrderRejected
)


@message("customer.credit-reserved", topic="customer--credit-reserved")
class CreditReserved(msgspec.Struct, frozen=True):
    """The order may be approved."""

    order_id: str


@message("customer.credit-refused", topic="customer--credit-refused")
class CreditRefused(msgspec.Struct, frozen=True):
    """The order is to be rejected."""

    order_id: str
    reason: str


CONSUMED: Catalog[CreditReserved | CreditRefused] = Catalog(CreditReserved, CreditRefused)

"""What this service tells, and what it reads of others.

What it reads it declares itself, with the fields that it needs: a field more at the producer changes nothing
here.
"""

import msgspec

from outbox_sdk import Catalog, message

__all__ = ["CONSUMED", "PUBLISHED", "CreditRefused", "CreditReserved", "OrderCreated"]


@message("customer.credit-reserved", topic="customer--credit-reserved")
class CreditReserved(msgspec.Struct, frozen=True):
    """The order's amount is taken off what its customer may still owe."""

    order_id: str
    customer_id: str
    amount: int


@message("customer.credit-refused", topic="customer--credit-refused")
class CreditRefused(msgspec.Struct, frozen=True):
    """Nothing is taken off; ``reason`` is one of ``unknown-customer`` and ``insufficient-credit``."""

    order_id: str
    customer_id: str
    reason: str


# An order is answered once, so between the answers there is no order to keep: standard topics.
PUBLISHED: Catalog[CreditReserved | CreditRefused] = Catalog(CreditReserved, CreditRefused)


@message("order.created", topic="orders.fifo")
class OrderCreated(msgspec.Struct, frozen=True):
    """An order waits for credit; ``total`` is in cents."""

    order_id: str
    customer_id: str
    total: int


CONSUMED: Catalog[OrderCreated] = Catalog(OrderCreated)

"""What this service decides, without asking or telling anybody."""

from typing import Literal

import msgspec

__all__ = [
    "Approve",
    "ContradictoryAnswer",
    "CreditAnswer",
    "Decision",
    "Granted",
    "Keep",
    "Order",
    "OrderDiffers",
    "OrdersError",
    "Refused",
    "Reject",
    "Status",
    "UnknownOrder",
    "decide_order",
]

Status = Literal["pending", "approved", "rejected"]


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """An order; ``total`` is in cents, ``reason`` that of a rejection."""

    order_id: str
    customer_id: str
    total: int
    status: Status
    reason: str | None = None


class Granted(msgspec.Struct, frozen=True):
    """The credit for an order is reserved."""


class Refused(msgspec.Struct, frozen=True):
    """The credit for an order is refused."""

    reason: str


CreditAnswer = Granted | Refused


class Approve(msgspec.Struct, frozen=True):
    """Approve a pending order."""


class Reject(msgspec.Struct, frozen=True):
    """Reject a pending order."""

    reason: str


class Keep(msgspec.Struct, frozen=True):
    """It was decided before, in the same way: there is nothing to do, and nothing to tell."""


Decision = Approve | Reject | Keep


class OrdersError(Exception):
    """The root of what this service refuses."""


class UnknownOrder(OrdersError):  # noqa: N818 - the name is the code that clients see
    """There is no order of this id."""

    def __init__(self) -> None:
        super().__init__("There is no order of this id.")


class OrderDiffers(OrdersError):  # noqa: N818
    """There is an order of this id, and it says something else."""

    def __init__(self) -> None:
        super().__init__("There is another order of this id; choose another id.")


class ContradictoryAnswer(OrdersError):  # noqa: N818
    """An order was decided, and now its credit is answered in the other way: for a person to look at."""

    def __init__(self, order_id: str, status: Status) -> None:
        super().__init__(f"order {order_id} is {status}, and its credit is answered in the other way")


def decide_order(order: Order, answer: CreditAnswer) -> Decision:
    """Say what becomes of an order when its credit is answered.

    Raises:
        ContradictoryAnswer: it was answered in the other way before.

    >>> order = Order("order-1", "anna", 60_00, "pending")
    >>> decide_order(order, Granted()), decide_order(order, Refused("insufficient-credit"))
    (Approve(), Reject(reason='insufficient-credit'))
    >>> decide_order(msgspec.structs.replace(order, status="approved"), Granted())
    Keep()
    """
    match order.status, answer:
        case "pending", Granted():
            return Approve()
        case "pending", Refused(reason=reason):
            return Reject(reason)
        case ("approved", Granted()) | ("rejected", Refused()):
            return Keep()
        case _:
            raise ContradictoryAnswer(order.order_id, order.status)

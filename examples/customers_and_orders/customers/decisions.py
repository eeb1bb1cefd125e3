"""What this service decides, without asking or telling anybody: amounts in cents, no clock, no table."""

from typing import Literal

import msgspec

__all__ = [
    "Answer",
    "CreditRequest",
    "Customer",
    "CustomerDiffers",
    "CustomersError",
    "Decision",
    "RefusalReason",
    "Refuse",
    "Repeat",
    "Reserve",
    "UnknownCustomer",
    "decide_credit",
]

RefusalReason = Literal["unknown-customer", "insufficient-credit"]


class Customer(msgspec.Struct, frozen=True):
    """What a customer may owe in all, and what of it is still free."""

    customer_id: str
    credit_limit: int
    available: int


class CreditRequest(msgspec.Struct, frozen=True):
    """What an order asks for."""

    order_id: str
    customer_id: str
    amount: int


class Reserve(msgspec.Struct, frozen=True, tag=True):
    """Take the amount off what is free."""

    amount: int


class Refuse(msgspec.Struct, frozen=True, tag=True):
    """Take nothing."""

    reason: RefusalReason


Answer = Reserve | Refuse
"""What an order is told, once and for all."""


class Repeat(msgspec.Struct, frozen=True):
    """The order was answered before: say the same once more, and take nothing."""

    answer: Answer


Decision = Answer | Repeat


class CustomersError(Exception):
    """The root of what a request to this service is refused for."""


class UnknownCustomer(CustomersError):  # noqa: N818 - the name is the code that clients see
    """There is no customer of this id."""

    def __init__(self) -> None:
        super().__init__("There is no customer of this id.")


class CustomerDiffers(CustomersError):  # noqa: N818
    """There is a customer of this id, with another limit."""

    def __init__(self) -> None:
        super().__init__("There is a customer of this id with another credit limit; choose another id.")


def decide_credit(request: CreditRequest, customer: Customer | None, earlier: Answer | None) -> Decision:
    """Answer an order: by what it was told ``earlier``, or else by what its customer has left.

    >>> request = CreditRequest("order-1", "anna", 60_00)
    >>> decide_credit(request, Customer("anna", 100_00, 100_00), None)
    Reserve(amount=6000)
    >>> decide_credit(request, Customer("anna", 100_00, 40_00), None)
    Refuse(reason='insufficient-credit')
    >>> decide_credit(request, Customer("anna", 100_00, 40_00), Reserve(60_00))
    Repeat(answer=Reserve(amount=6000))
    """
    if earlier is not None:
        return Repeat(earlier)
    if customer is None:
        return Refuse("unknown-customer")
    if request.amount > customer.available:
        return Refuse("insufficient-credit")
    return Reserve(request.amount)

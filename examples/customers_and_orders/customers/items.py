"""Customers and the answers to their orders as items of the table ``customers``."""

from typing import Any

import msgspec

from examples.customers_and_orders.common.database import Item
from examples.customers_and_orders.customers.decisions import Answer, CreditRequest, Customer

__all__ = [
    "TABLE",
    "answer_item",
    "answer_key",
    "customer_item",
    "customer_key",
    "read_answer",
    "read_customer",
]

TABLE = "customers"
_read_answer = msgspec.json.Decoder(Answer).decode


# Any: attribute values of the clients' own type, a closed union.
def customer_key(customer_id: str) -> dict[str, Any]:
    """Give the key of a customer."""
    return {"PK": {"S": f"CUSTOMER#{customer_id}"}, "SK": {"S": "PROFILE"}}


def answer_key(request: CreditRequest) -> dict[str, Any]:
    """Give the key of what an order was told; it stands with its customer, whether there is one or not."""
    return {"PK": {"S": f"CUSTOMER#{request.customer_id}"}, "SK": {"S": f"ORDER#{request.order_id}"}}


def customer_item(customer: Customer) -> dict[str, Any]:
    """Write a customer."""
    return {
        **customer_key(customer.customer_id),
        "CustomerId": {"S": customer.customer_id},
        "CreditLimit": {"N": str(customer.credit_limit)},
        "Available": {"N": str(customer.available)},
    }


def read_customer(item: Item) -> Customer:
    """Read a customer."""
    return Customer(
        item["CustomerId"]["S"], int(item["CreditLimit"]["N"]), available=int(item["Available"]["N"])
    )


def answer_item(request: CreditRequest, answer: Answer) -> dict[str, Any]:
    """Write what an order was told."""
    return {**answer_key(request), "Answer": {"S": msgspec.json.encode(answer).decode()}}


def read_answer(item: Item) -> Answer:
    """Read what an order was told."""
    answer: Answer = _read_answer(item["Answer"]["S"])
    return answer

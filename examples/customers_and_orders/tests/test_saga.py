"""The saga in milliseconds: every message takes its whole way, but for AWS itself."""

import asyncio
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.customers_and_orders.customers.decisions import Customer
from examples.customers_and_orders.customers.service import INBOX as CUSTOMERS_INBOX
from examples.customers_and_orders.orders.decisions import Order
from examples.customers_and_orders.orders.service import INBOX as ORDERS_INBOX
from examples.customers_and_orders.tests.in_memory import Saga
from outbox_sdk import Inbox
from outbox_sdk.testing import InMemoryStack

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb.type_defs import TransactWriteItemTypeDef


def types_of(stack: InMemoryStack) -> Counter[str]:
    return Counter(message.attributes["MessageType"] for message in stack.published)


async def test_an_order_within_its_customers_credit_is_approved() -> None:
    saga = Saga()
    await saga.customers.create("anna", 100)

    order, new = await saga.orders.create("order-1", "anna", 60)
    assert (order.status, new) == ("pending", True)
    await saga.run()

    assert (await saga.orders.read("order-1")).status == "approved"
    assert await saga.customers.read("anna") == Customer("anna", 100, available=40)
    assert types_of(saga.orders_stack) == {"order.created": 1, "order.approved": 1}
    assert types_of(saga.customers_stack) == {"customer.credit-reserved": 1}


@pytest.mark.parametrize(
    ("customer_id", "reason"), [("anna", "insufficient-credit"), ("zoe", "unknown-customer")]
)
async def test_an_order_without_credit_is_rejected(customer_id: str, reason: str) -> None:
    saga = Saga()
    await saga.customers.create("anna", 100)

    await saga.orders.create("order-1", customer_id, 101)
    await saga.run()

    assert await saga.orders.read("order-1") == Order("order-1", customer_id, 101, "rejected", reason)
    assert await saga.customers.read("anna") == Customer("anna", 100, available=100)
    assert types_of(saga.orders_stack) == {"order.created": 1, "order.rejected": 1}


@given(
    limit=st.integers(min_value=0, max_value=300),
    totals=st.lists(st.integers(min_value=1, max_value=150), max_size=8),
    deliveries=st.integers(min_value=1, max_value=3),
    at_a_time=st.integers(min_value=1, max_value=8),
)
def test_credit_is_reserved_once_whatever_is_ordered_and_however_often_it_is_delivered(
    limit: int, totals: list[int], deliveries: int, at_a_time: int
) -> None:
    async def play() -> None:
        saga = Saga(deliveries=deliveries)
        await saga.customers.create("anna", limit)
        for number, total in enumerate(totals):
            await saga.orders.create(f"order-{number}", "anna", total)
            if number % at_a_time == 0:
                await saga.run()
        await saga.run()

        orders = [await saga.orders.read(f"order-{number}") for number in range(len(totals))]
        approved = sum(order.total for order in orders if order.status == "approved")
        assert not [order for order in orders if order.status == "pending"]
        assert 0 <= (await saga.customers.read("anna")).available == limit - approved
        # One answer and one decision an order, and each message remembered once by whom it was for.
        answers, told = types_of(saga.customers_stack), types_of(saga.orders_stack)
        assert answers.total() == len(orders)
        assert told["order.approved"] + told["order.rejected"] == len(orders)
        assert len(saga.customers_database.items(CUSTOMERS_INBOX.table_name)) == len(orders)
        assert len(saga.orders_database.items(ORDERS_INBOX.table_name)) == len(orders)

    asyncio.run(play())


class ForgetfulInbox(Inbox):
    """Takes each delivery for a message of its own."""

    def guard(self, message_id: str, *, now: datetime | None = None) -> "TransactWriteItemTypeDef":
        return super().guard(f"{message_id}-{uuid4()}", now=now)


async def test_without_an_inbox_a_message_that_comes_twice_is_answered_twice() -> None:
    """What the test above would see. The credit is safe even so: an order is answered once and for all."""
    forgetful = ForgetfulInbox(CUSTOMERS_INBOX.table_name, consumer="customers")
    saga = Saga(deliveries=2, customers_inbox=forgetful)
    await saga.customers.create("anna", 100)

    await saga.orders.create("order-1", "anna", 60)
    await saga.run()

    assert types_of(saga.customers_stack) == {"customer.credit-reserved": 2}
    assert (await saga.customers.read("anna")).available == 40


async def test_without_an_inbox_an_answer_that_comes_twice_is_dealt_with_twice() -> None:
    forgetful = ForgetfulInbox(ORDERS_INBOX.table_name, consumer="orders")
    saga = Saga(deliveries=2, orders_inbox=forgetful)

    await saga.orders.create("order-1", "zoe", 60)
    await saga.run()

    assert len(saga.orders_database.items(ORDERS_INBOX.table_name)) == 2
    assert types_of(saga.orders_stack) == {"order.created": 1, "order.rejected": 1}


async def test_an_order_that_is_sent_again_is_told_once() -> None:
    saga = Saga()

    await saga.orders.create("order-1", "zoe", 60)
    assert await saga.orders.create("order-1", "zoe", 60) == (Order("order-1", "zoe", 60, "pending"), False)
    await saga.run()

    assert types_of(saga.orders_stack) == {"order.created": 1, "order.rejected": 1}

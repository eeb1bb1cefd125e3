"""The saga in milliseconds: every message takes its whole way, but for AWS itself."""

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.customers_and_orders.customers.decisions import Customer
from examples.customers_and_orders.customers.events import CreditReserved
from examples.customers_and_orders.customers.service import INBOX as CUSTOMERS_INBOX
from examples.customers_and_orders.orders.decisions import Order
from examples.customers_and_orders.orders.events import OrderApproved, OrderCreated, OrderRejected
from examples.customers_and_orders.tests.in_memory import Saga, open_saga
from outbox_sdk import Inbox
from outbox_sdk.pytest_plugin import OutboxStack

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb.type_defs import TransactWriteItemTypeDef


@pytest.fixture
async def saga() -> Saga:
    saga = await open_saga()
    await saga.customers.create("anna", 100)
    return saga


async def test_an_order_within_its_customers_credit_is_approved(saga: Saga) -> None:
    order, new = await saga.orders.create("order-1", "anna", 60)
    assert (order.status, new) == ("pending", True)
    await saga.run()

    assert (await saga.orders.read("order-1")).status == "approved"
    assert await saga.customers.read("anna") == Customer("anna", 100, available=40)
    saga.orders_stack.assert_published(OrderApproved, order_id="order-1", total=60)
    saga.customers_stack.assert_published(CreditReserved, order_id="order-1", amount=60)
    saga.customers_stack.assert_nothing_outstanding()
    saga.orders_stack.assert_nothing_outstanding()


@pytest.mark.parametrize(
    ("customer_id", "reason"), [("anna", "insufficient-credit"), ("zoe", "unknown-customer")]
)
async def test_an_order_without_credit_is_rejected(saga: Saga, customer_id: str, reason: str) -> None:
    await saga.orders.create("order-1", customer_id, 101)
    await saga.run()

    assert await saga.orders.read("order-1") == Order("order-1", customer_id, 101, "rejected", reason)
    assert await saga.customers.read("anna") == Customer("anna", 100, available=100)
    saga.orders_stack.assert_published(OrderRejected, order_id="order-1", reason=reason)


async def test_an_order_that_is_sent_again_is_told_once(saga: Saga) -> None:
    pending = Order("order-1", "zoe", 60, "pending")

    assert await saga.orders.create("order-1", "zoe", 60) == (pending, True)
    assert await saga.orders.create("order-1", "zoe", 60) == (pending, False)
    await saga.run()

    assert saga.orders_stack.published(OrderCreated) == [OrderCreated("order-1", "zoe", 60)]


async def test_two_messages_about_an_order_are_told_the_same_and_take_credit_once(saga: Saga) -> None:
    """The inbox knows messages, and these are two."""
    await saga.orders.create("order-1", "anna", 60)
    await saga.run()
    again = saga.orders_stack.published()[0].to_sqs_record()
    again["messageAttributes"]["MessageId"]["stringValue"] = "m-2"

    await saga.answer_order(again)
    await saga.run()

    assert (await saga.customers.read("anna")).available == 40
    assert saga.customers_stack.published(CreditReserved) == [CreditReserved("order-1", "anna", 60)] * 2
    assert saga.orders_stack.published(OrderApproved) == [OrderApproved("order-1", "anna", 60)]


@settings(deadline=None, max_examples=15)
@given(
    limit=st.integers(min_value=0, max_value=300),
    totals=st.lists(st.integers(min_value=1, max_value=150), min_size=1, max_size=8),
    deliveries=st.integers(min_value=1, max_value=3),
    at_a_time=st.integers(min_value=1, max_value=8),
)
def test_credit_is_reserved_once_whatever_is_ordered_and_whatever_happens_to_messages(
    limit: int, totals: list[int], deliveries: int, at_a_time: int
) -> None:
    """Relays die between publishing and marking, and what is delivered is delivered again."""

    async def play() -> None:
        saga = await open_saga()
        await saga.customers.create("anna", limit)
        with (
            saga.orders_stack.faults(crash_after_publish=1, deliver_twice=True),
            saga.customers_stack.faults(crash_after_publish=1, deliver_twice=True),
        ):
            for number, total in enumerate(totals):
                await saga.orders.create(f"order-{number}", "anna", total)
                if number % at_a_time == 0:
                    await saga.run(deliveries=deliveries)
            await saga.run(deliveries=deliveries)
        await check(saga, limit=limit, orders=len(totals))

    asyncio.run(play())


async def check(saga: Saga, *, limit: int, orders: int) -> None:
    """Each order was decided once, and the credit of those that were approved is what is missing."""
    decided = [await saga.orders.read(f"order-{number}") for number in range(orders)]
    approved = sum(order.total for order in decided if order.status == "approved")
    assert not [order for order in decided if order.status == "pending"]
    assert 0 <= (await saga.customers.read("anna")).available == limit - approved
    assert len(ids_of(saga.customers_stack)) == orders
    assert len(ids_of(saga.orders_stack)) == 2 * orders
    saga.customers_stack.assert_nothing_outstanding()
    saga.orders_stack.assert_nothing_outstanding()


def ids_of(stack: OutboxStack) -> set[str]:
    return {message.message_id for message in stack.published()}


class ForgetfulInbox(Inbox):
    """Takes each delivery for a message of its own."""

    def guard(self, message_id: str, *, now: datetime | None = None) -> "TransactWriteItemTypeDef":
        return super().guard(f"{message_id}-{uuid4()}", now=now)


async def test_without_an_inbox_a_message_that_comes_twice_is_answered_twice() -> None:
    """What the test above would see. The credit is safe even so: an order is answered once and for all."""
    saga = await open_saga(customers_inbox=ForgetfulInbox(CUSTOMERS_INBOX.table_name, consumer="customers"))
    await saga.customers.create("anna", 100)

    await saga.orders.create("order-1", "anna", 60)
    await saga.run(deliveries=2)

    assert len(ids_of(saga.customers_stack)) == 2
    assert (await saga.customers.read("anna")).available == 40

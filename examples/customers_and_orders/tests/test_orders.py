"""One service alone, with the fixtures that the SDK brings for pytest; and the laws, of its own events."""

import pytest

from examples.customers_and_orders.orders.decisions import ContradictoryAnswer, Granted, Refused
from examples.customers_and_orders.orders.events import PUBLISHED, OrderApproved, OrderCreated, OrderRejected
from examples.customers_and_orders.orders.items import TABLE
from examples.customers_and_orders.orders.service import INBOX, OUTBOX, Orders
from outbox_sdk import AlreadyProcessed, Catalog
from outbox_sdk.pytest_plugin import OutboxStack
from outbox_sdk.pytest_plugin.laws import EventLaws


@pytest.mark.once
class TestEvents(EventLaws):
    """Whatever is in an event, and whatever happens on its way, it arrives as it was written."""

    catalog = PUBLISHED


@pytest.fixture(scope="session")
def outbox_catalog() -> Catalog[OrderCreated | OrderApproved | OrderRejected]:
    return PUBLISHED


@pytest.fixture(scope="session")
def outbox_table_name() -> str:
    return OUTBOX.table_name


@pytest.fixture
async def orders(outbox_memory_stack: OutboxStack) -> Orders:
    await outbox_memory_stack.create_table(TABLE, "PK")
    await outbox_memory_stack.create_table(INBOX.table_name, "PK", "SK")
    return Orders(outbox_memory_stack.dynamodb)


async def test_an_order_is_told_of_in_the_order_of_its_life(
    orders: Orders, outbox_memory_stack: OutboxStack
) -> None:
    """A FIFO topic keeps it so even if the relay dies after the first message."""
    await orders.create("order-1", "anna", 60)
    await orders.settle("order-1", Granted(), message_id="m-1")
    with outbox_memory_stack.faults(crash_after_publish=1):
        await outbox_memory_stack.drain()

    outbox_memory_stack.assert_nothing_outstanding()
    published = outbox_memory_stack.published()
    assert [message.attributes["MessageType"] for message in published] == ["order.created", "order.approved"]
    assert [message.attributes["Sequence"] for message in published] == ["1", "2"]
    assert {message.group_id for message in published} == {"order-1"}


async def test_an_answer_is_dealt_with_once(orders: Orders, outbox_memory_stack: OutboxStack) -> None:
    await orders.create("order-1", "anna", 60)
    await orders.settle("order-1", Refused("late"), message_id="m-1")
    with pytest.raises(AlreadyProcessed):
        await orders.settle("order-1", Refused("late"), message_id="m-1")
    await orders.settle("order-1", Refused("late"), message_id="m-2")  # another message says the same

    await outbox_memory_stack.drain()

    outbox_memory_stack.assert_published(OrderRejected, order_id="order-1", reason="late")
    assert len(outbox_memory_stack.published()) == 2


async def test_an_answer_that_contradicts_an_earlier_one_changes_nothing(orders: Orders) -> None:
    await orders.create("order-1", "anna", 60)
    await orders.settle("order-1", Granted(), message_id="m-1")

    with pytest.raises(ContradictoryAnswer):
        await orders.settle("order-1", Refused("late"), message_id="m-2")

    assert (await orders.read("order-1")).status == "approved"

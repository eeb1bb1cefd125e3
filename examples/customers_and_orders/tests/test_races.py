"""Two workers at a time: both have read before either writes, which every transaction here reckons with."""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from examples.customers_and_orders.common.database import Database, Item
from examples.customers_and_orders.customers.decisions import CreditRequest
from examples.customers_and_orders.customers.events import CreditRefused, CreditReserved
from examples.customers_and_orders.customers.service import Customers
from examples.customers_and_orders.orders.decisions import Granted
from examples.customers_and_orders.orders.events import OrderApproved
from examples.customers_and_orders.orders.service import Orders
from examples.customers_and_orders.tests.in_memory import open_saga

if TYPE_CHECKING:
    from typing import Unpack

    from types_aiobotocore_dynamodb.type_defs import TransactWriteItemsInputTypeDef


class SlowDatabase:
    """Lets everybody else read before what was read can be acted on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get_item(self, *, TableName: str, Key: Item, ConsistentRead: bool) -> Any:  # noqa: N803
        answer = await self._database.get_item(TableName=TableName, Key=Key, ConsistentRead=ConsistentRead)
        await asyncio.sleep(0)
        return answer

    def transact_write_items(self, **kwargs: "Unpack[TransactWriteItemsInputTypeDef]") -> Awaitable[object]:
        return self._database.transact_write_items(**kwargs)


async def test_of_two_orders_that_want_the_last_credit_one_gets_it() -> None:
    saga = await open_saga()
    await saga.customers.create("anna", 100)
    customers = Customers(SlowDatabase(saga.customers_stack.dynamodb))

    await asyncio.gather(
        customers.answer(CreditRequest("order-1", "anna", 60), message_id="m-1"),
        customers.answer(CreditRequest("order-2", "anna", 60), message_id="m-2"),
    )
    await saga.customers_stack.drain()

    assert (await customers.read("anna")).available == 40
    assert len(saga.customers_stack.published(CreditReserved)) == 1
    assert len(saga.customers_stack.published(CreditRefused)) == 1


async def test_two_messages_about_one_order_at_a_time_take_its_credit_once() -> None:
    saga = await open_saga()
    await saga.customers.create("anna", 100)
    customers = Customers(SlowDatabase(saga.customers_stack.dynamodb))
    # Thrice that is within the limit, so it is not the limit that keeps the other two from taking it.
    request = CreditRequest("order-1", "anna", 30)

    await asyncio.gather(*[customers.answer(request, message_id=f"m-{number}") for number in range(3)])
    await saga.customers_stack.drain()

    assert (await customers.read("anna")).available == 70
    assert saga.customers_stack.published(CreditReserved) == [CreditReserved("order-1", "anna", 30)] * 3


async def test_an_order_is_approved_once_by_two_answers_at_a_time() -> None:
    saga = await open_saga()
    await saga.orders.create("order-1", "anna", 60)
    orders = Orders(SlowDatabase(saga.orders_stack.dynamodb))

    await asyncio.gather(
        *[orders.settle("order-1", Granted(), message_id=f"m-{number}") for number in range(3)]
    )
    await saga.orders_stack.drain()

    assert saga.orders_stack.published(OrderApproved) == [OrderApproved("order-1", "anna", 60)]

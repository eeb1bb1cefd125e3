"""The whole saga in memory: the services and the relays are the real ones, only AWS is doubled."""

from typing import Any

from examples.customers_and_orders.customers import events as customers_events
from examples.customers_and_orders.customers import items as customers_items
from examples.customers_and_orders.customers import service as customers_service
from examples.customers_and_orders.customers.consumers import build_consumer as build_customers_consumer
from examples.customers_and_orders.orders import events as orders_events
from examples.customers_and_orders.orders import items as orders_items
from examples.customers_and_orders.orders import service as orders_service
from examples.customers_and_orders.orders.consumers import build_consumer as build_orders_consumer
from outbox_sdk import Catalog, Inbox
from outbox_sdk.pytest_plugin import OutboxStack
from outbox_sdk.pytest_plugin.memory import open_memory_stack
from outbox_sdk.testing import PublishedMessage

__all__ = ["Saga", "open_saga"]


async def open_saga(
    *,
    customers_inbox: Inbox = customers_service.INBOX,
) -> "Saga":
    """Make a saga, each service on an empty stack of its own.

    A test of one service alone asks for the fixture ``outbox_memory_stack``, which is such a stack.
    """
    customers = open_memory_stack(table_name=customers_service.OUTBOX.table_name)
    await customers.create_table(customers_items.TABLE, "PK", "SK")
    await customers.create_table(customers_service.INBOX.table_name, "PK", "SK")
    orders = open_memory_stack(table_name=orders_service.OUTBOX.table_name)
    await orders.create_table(orders_items.TABLE, "PK")
    await orders.create_table(orders_service.INBOX.table_name, "PK", "SK")
    return Saga(customers, orders, customers_inbox)


class Saga:
    """Both services, and what carries messages from one to the other."""

    def __init__(self, customers: OutboxStack, orders: OutboxStack, customers_inbox: Inbox) -> None:
        self.customers_stack = customers
        self.orders_stack = orders
        self.customers = customers_service.Customers(customers.dynamodb, inbox=customers_inbox)
        self.orders = orders_service.Orders(orders.dynamodb)
        self.answer_order = build_customers_consumer(self.customers)
        self.settle_order = build_orders_consumer(self.orders)
        self._delivered = {customers: 0, orders: 0}

    async def run(self, *, deliveries: int = 1) -> None:
        """Relay and deliver, to and fro, until nothing is under way any more.

        ``deliveries`` is how often each message is handed to its consumer.
        """
        while True:
            await self.orders_stack.drain()
            created = self._fresh(self.orders_stack, customers_events.CONSUMED)
            for message in created * deliveries:
                await self.answer_order(message.to_sqs_record())
            await self.customers_stack.drain()
            answered = self._fresh(self.customers_stack, orders_events.CONSUMED)
            for message in answered * deliveries:
                await self.settle_order(message.to_sqs_record())
            if not created and not answered:
                return

    def _fresh(self, stack: OutboxStack, reads: Catalog[Any]) -> list[PublishedMessage]:
        """Give what has been published since the last time, of what the other service reads."""
        fresh = stack.published()[self._delivered[stack] :]
        self._delivered[stack] += len(fresh)
        types = {reads.type_of(each).name for each in reads}
        return [message for message in fresh if message.attributes["MessageType"] in types]

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
from outbox_sdk.testing import InMemoryStack, PublishedMessage

__all__ = ["Saga"]


class Saga:
    """Both services, each on a stack of its own, and what carries messages from one to the other.

    ``deliveries`` is how often each message is handed to its consumer.
    """

    def __init__(
        self,
        *,
        deliveries: int = 1,
        customers_inbox: Inbox = customers_service.INBOX,
        orders_inbox: Inbox = orders_service.INBOX,
    ) -> None:
        self.customers_stack = InMemoryStack(table_name=customers_service.OUTBOX.table_name)
        self.orders_stack = InMemoryStack(table_name=orders_service.OUTBOX.table_name)
        self.customers_database = self.customers_stack.client()
        self.customers_database.create_table(customers_items.TABLE, "PK", "SK")
        self.customers_database.create_table(customers_service.INBOX.table_name, "PK", "SK")
        self.orders_database = self.orders_stack.client()
        self.orders_database.create_table(orders_items.TABLE, "PK")
        self.orders_database.create_table(orders_service.INBOX.table_name, "PK", "SK")
        self.customers = customers_service.Customers(self.customers_database, inbox=customers_inbox)
        self.orders = orders_service.Orders(self.orders_database, inbox=orders_inbox)
        self._deliveries = deliveries
        self._delivered = {"customers": 0, "orders": 0}

    async def run(self) -> None:
        """Relay and deliver, to and fro, until nothing is under way any more."""
        answer_order = build_customers_consumer(self.customers).handle
        settle_order = build_orders_consumer(self.orders).handle
        while True:
            await self.orders_stack.relay()
            await self.customers_stack.relay()
            created = self._fresh("orders", self.orders_stack, customers_events.CONSUMED)
            answered = self._fresh("customers", self.customers_stack, orders_events.CONSUMED)
            if not created and not answered:
                return
            for message in created:
                for _ in range(self._deliveries):
                    await answer_order(message.to_sqs_record())
            for message in answered:
                for _ in range(self._deliveries):
                    await settle_order(message.to_sqs_record())

    def _fresh(self, name: str, stack: InMemoryStack, reads: Catalog[Any]) -> list[PublishedMessage]:
        """Give what has been published since the last time, of what the other service reads."""
        fresh = stack.published[self._delivered[name] :]
        self._delivered[name] += len(fresh)
        types = {reads.type_of(each).name for each in reads}
        return [message for message in fresh if message.attributes["MessageType"] in types]

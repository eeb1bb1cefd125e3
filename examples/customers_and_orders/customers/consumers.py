"""What this service does about the messages of others."""

from examples.customers_and_orders.customers.decisions import CreditRequest
from examples.customers_and_orders.customers.events import CONSUMED, OrderCreated
from examples.customers_and_orders.customers.service import Customers
from outbox_sdk import Delivery, RecordHandler, consumer

__all__ = ["build_consumer"]


def build_consumer(customers: Customers) -> RecordHandler[OrderCreated]:
    """Build the handler of what comes out of the queue of this service."""

    @consumer(CONSUMED)
    async def answer_order(event: OrderCreated, delivery: Delivery) -> None:
        request = CreditRequest(event.order_id, event.customer_id, event.total)
        await customers.answer(request, message_id=delivery.message_id)

    return answer_order

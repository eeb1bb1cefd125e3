"""What this service does about the messages of others."""

from typing import assert_never

from examples.customers_and_orders.orders.decisions import CreditAnswer, Granted, Refused
from examples.customers_and_orders.orders.events import CONSUMED, CreditRefused, CreditReserved
from examples.customers_and_orders.orders.service import Orders
from outbox_sdk import Delivery, RecordHandler, consumer

__all__ = ["build_consumer"]


def build_consumer(orders: Orders) -> RecordHandler[CreditReserved | CreditRefused]:
    """Build the handler of what comes out of the queue of this service."""

    @consumer(CONSUMED)
    async def settle_order(event: CreditReserved | CreditRefused, delivery: Delivery) -> None:
        await orders.settle(event.order_id, _answer_of(event), message_id=delivery.message_id)

    return settle_order


def _answer_of(event: CreditReserved | CreditRefused) -> CreditAnswer:
    match event:
        case CreditReserved():
            return Granted()
        case CreditRefused(reason=reason):
            return Refused(reason)
        case never:
            assert_never(never)

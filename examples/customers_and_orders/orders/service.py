"""What this service does: each change is one transaction, together with what is told of it."""

from typing import assert_never

from msgspec.structs import replace

from examples.customers_and_orders.common.database import Database, read_item
from examples.customers_and_orders.orders.decisions import (
    Approve,
    CreditAnswer,
    Decision,
    Keep,
    Order,
    OrderDiffers,
    Reject,
    UnknownOrder,
    decide_order,
)
from examples.customers_and_orders.orders.events import (
    PUBLISHED,
    OrderApproved,
    OrderCreated,
    OrderRejected,
)
from examples.customers_and_orders.orders.items import TABLE, order_item, order_key, read_order
from outbox_sdk import ConditionFailed, Inbox, Outbox, Transaction

__all__ = ["INBOX", "OUTBOX", "Orders"]

OUTBOX: Outbox[OrderCreated | OrderApproved | OrderRejected] = Outbox("orders-outbox", catalog=PUBLISHED)
INBOX = Inbox("orders-inbox", consumer="orders")
_ATTEMPTS = 3


class Orders:
    """The service, on a client of DynamoDB that stays the caller's.

    ``inbox`` is for tests that want to see what happens without it.
    """

    def __init__(self, database: Database, *, inbox: Inbox = INBOX) -> None:
        self._database = database
        self._inbox = inbox

    async def create(self, order_id: str, customer_id: str, total: int) -> tuple[Order, bool]:
        """Take an order; give it as it stands, and whether it is new. To repeat this is harmless.

        Raises:
            OrderDiffers: the id is taken by another order.
        """
        order = Order(order_id, customer_id, total, "pending")
        try:
            async with OUTBOX.transaction(self._database) as tx:
                tx.put(
                    TableName=TABLE,
                    Item=order_item(order),
                    ConditionExpression="attribute_not_exists(PK)",
                )
                tx.publish(OrderCreated(order_id, customer_id, total), aggregate_id=order_id, sequence=1)
        except ConditionFailed:
            existing = await self.read(order_id)
            if (existing.customer_id, existing.total) != (customer_id, total):
                raise OrderDiffers from None
            return existing, False
        return order, True

    async def read(self, order_id: str) -> Order:
        """Read an order.

        Raises:
            UnknownOrder: there is none of this id.
        """
        item = await read_item(self._database, TABLE, order_key(order_id))
        if item is None:
            raise UnknownOrder
        return read_order(item)

    async def settle(self, order_id: str, answer: CreditAnswer, *, message_id: str) -> None:
        """Approve an order or reject it, as its credit was answered, and tell which.

        Raises:
            AlreadyProcessed: this very message was dealt with before.
            UnknownOrder: the answer is about no order of this service.
            ContradictoryAnswer: the order was answered in the other way before.
            ConditionFailed: others were faster, again and again; the message should come once more.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            order = await self.read(order_id)
            decision = decide_order(order, answer)
            try:
                async with OUTBOX.transaction(self._database) as tx:
                    tx.guard(self._inbox, message_id)
                    _write_decision(tx, order, decision)
                return
            except ConditionFailed:  # it was decided meanwhile
                if attempt == _ATTEMPTS:
                    raise


_Tells = Transaction[OrderCreated | OrderApproved | OrderRejected]


def _write_decision(tx: _Tells, order: Order, decision: Decision) -> None:
    order_id, customer_id = order.order_id, order.customer_id
    match decision:
        case Approve():
            _replace_pending(tx, replace(order, status="approved"))
            tx.publish(OrderApproved(order_id, customer_id, order.total), aggregate_id=order_id, sequence=2)
        case Reject(reason=reason):
            _replace_pending(tx, replace(order, status="rejected", reason=reason))
            tx.publish(OrderRejected(order_id, customer_id, reason), aggregate_id=order_id, sequence=2)
        case Keep():
            pass
        case never:
            assert_never(never)


def _replace_pending(tx: _Tells, order: Order) -> None:
    """Write an order that was decided, if nobody has decided it meanwhile."""
    tx.put(
        TableName=TABLE,
        Item=order_item(order),
        ConditionExpression="#status = :pending",
        ExpressionAttributeNames={"#status": "Status"},
        ExpressionAttributeValues={":pending": {"S": "pending"}},
    )

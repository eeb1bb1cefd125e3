"""What this service does: each change is one transaction, together with what is told of it."""

from typing import assert_never

from examples.customers_and_orders.common.database import Database, read_item
from examples.customers_and_orders.customers.decisions import (
    Answer,
    CreditRequest,
    Customer,
    CustomerDiffers,
    Decision,
    Refuse,
    Repeat,
    Reserve,
    UnknownCustomer,
    decide_credit,
)
from examples.customers_and_orders.customers.events import PUBLISHED, CreditRefused, CreditReserved
from examples.customers_and_orders.customers.items import (
    TABLE,
    answer_item,
    answer_key,
    customer_item,
    customer_key,
    read_answer,
    read_customer,
)
from outbox_sdk import ConditionFailed, Inbox, Outbox, Transaction, open_transaction

__all__ = ["INBOX", "OUTBOX", "Customers"]

OUTBOX: Outbox[CreditReserved | CreditRefused] = Outbox("customers-outbox", catalog=PUBLISHED)
INBOX = Inbox("customers-inbox", consumer="customers")
_ATTEMPTS = 5


class Customers:
    """The service, on a client of DynamoDB that stays the caller's.

    ``inbox`` is for tests that want to see what happens without it.
    """

    def __init__(self, database: Database, *, inbox: Inbox = INBOX) -> None:
        self._database = database
        self._inbox = inbox

    async def create(self, customer_id: str, credit_limit: int) -> tuple[Customer, bool]:
        """Create a customer; give it, and whether it is new. To repeat this is harmless.

        Raises:
            CustomerDiffers: the id is taken by one with another limit.
        """
        customer = Customer(customer_id, credit_limit, available=credit_limit)
        try:
            async with open_transaction(self._database) as tx:
                tx.put(
                    TableName=TABLE,
                    Item=customer_item(customer),
                    ConditionExpression="attribute_not_exists(PK)",
                )
        except ConditionFailed:
            existing = await self.read(customer_id)
            if existing.credit_limit != credit_limit:
                raise CustomerDiffers from None
            return existing, False
        return customer, True

    async def read(self, customer_id: str) -> Customer:
        """Read a customer.

        Raises:
            UnknownCustomer: there is none of this id.
        """
        item = await read_item(self._database, TABLE, customer_key(customer_id))
        if item is None:
            raise UnknownCustomer
        return read_customer(item)

    async def answer(self, request: CreditRequest, *, message_id: str) -> None:
        """Reserve credit for an order or refuse it, and tell which, once for each message.

        A second message about the same order is told the same again; it never takes credit twice.

        Raises:
            AlreadyProcessed: this very message was answered before.
            ConditionFailed: others were faster, again and again; the message should come once more.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            decision = await self._decide(request)
            try:
                async with OUTBOX.transaction(self._database) as tx:
                    tx.guard(self._inbox, message_id)
                    _write_decision(tx, request, decision)
                return
            except ConditionFailed:  # the customer is not any more what the decision was made by
                if attempt == _ATTEMPTS:
                    raise

    async def _decide(self, request: CreditRequest) -> Decision:
        item = await read_item(self._database, TABLE, customer_key(request.customer_id))
        told = await read_item(self._database, TABLE, answer_key(request))
        return decide_credit(
            request,
            None if item is None else read_customer(item),
            None if told is None else read_answer(told),
        )


_Tells = Transaction[CreditReserved | CreditRefused]


def _write_decision(tx: _Tells, request: CreditRequest, decision: Decision) -> None:
    match decision:
        case Reserve() | Refuse():
            _hold_to_reason(tx, request, decision)
            tx.put(
                TableName=TABLE,
                Item=answer_item(request, decision),
                ConditionExpression="attribute_not_exists(PK)",
            )
            _tell(tx, request, decision)
        case Repeat(answer=answer):
            _tell(tx, request, answer)
        case never:
            assert_never(never)


def _hold_to_reason(tx: _Tells, request: CreditRequest, answer: Answer) -> None:
    """Let the transaction pass only while the customer is what the answer says, and take the credit."""
    key, amount = customer_key(request.customer_id), {":amount": {"N": str(request.amount)}}
    match answer:
        case Reserve():
            tx.update(
                TableName=TABLE,
                Key=key,
                UpdateExpression="SET Available = Available - :amount",
                ConditionExpression="Available >= :amount",
                ExpressionAttributeValues=amount,
            )
        case Refuse(reason=reason):
            match reason:
                case "insufficient-credit":
                    tx.check(
                        TableName=TABLE,
                        Key=key,
                        ConditionExpression="Available < :amount",
                        ExpressionAttributeValues=amount,
                    )
                case "unknown-customer":
                    tx.check(TableName=TABLE, Key=key, ConditionExpression="attribute_not_exists(PK)")
                case unknown:
                    assert_never(unknown)
        case never:
            assert_never(never)


def _tell(tx: _Tells, request: CreditRequest, answer: Answer) -> None:
    order_id, customer_id = request.order_id, request.customer_id
    match answer:
        case Reserve(amount=amount):
            tx.publish(CreditReserved(order_id, customer_id, amount), aggregate_id=customer_id)
        case Refuse(reason=reason):
            tx.publish(CreditRefused(order_id, customer_id, reason), aggregate_id=customer_id)
        case never:
            assert_never(never)

"""What type checkers accept of transactions and inboxes, and what they refuse. Read as its neighbours are."""

from typing import assert_type

import msgspec
from types_aiobotocore_dynamodb import DynamoDBClient

from outbox_sdk import Catalog, Inbox, Outbox, PlainTransaction, Transaction, message, open_transaction
from outbox_sdk.core.identifiers import MessageId
from outbox_sdk.core.retry import RetryPolicy


@message("order.created", topic="order--created")
class OrderCreated(msgspec.Struct):
    order_id: str


@message("order.paid", topic="order--paid")
class OrderPaid(msgspec.Struct):
    order_id: str


class Unregistered(msgspec.Struct):
    order_id: str


outbox = Outbox("outbox", catalog=Catalog(OrderCreated, OrderPaid))
inbox = Inbox("inbox", consumer="mail")


def pay(tx: Transaction[OrderPaid]) -> None:
    tx.publish(OrderPaid("7"), aggregate_id="7")


def note(tx: Transaction) -> None:
    tx.publish("a note", aggregate_id="7", topic="notes")


def remember(tx: PlainTransaction) -> None:
    tx.guard(inbox, "m-1")


async def accepted(client: DynamoDBClient) -> None:
    async with outbox.transaction(client, retries=RetryPolicy(attempts=2), jitter=lambda: 0.5) as tx:
        assert_type(tx, Transaction[OrderCreated | OrderPaid])
        tx.put(TableName="orders", Item={"PK": {"S": "7"}}, ConditionExpression="attribute_not_exists(PK)")
        tx.update(TableName="orders", Key={"PK": {"S": "7"}}, UpdateExpression="REMOVE A")
        tx.delete(TableName="orders", Key={"PK": {"S": "7"}})
        tx.check(TableName="orders", Key={"PK": {"S": "7"}}, ConditionExpression="attribute_exists(PK)")
        tx.add(outbox.put(OrderPaid("7"), aggregate_id="7"))
        tx.add({"Delete": {"TableName": "orders", "Key": {"PK": {"S": "8"}}}})
        assert_type(tx.publish(OrderCreated("7"), aggregate_id="7", sequence=1), MessageId)
        tx.publish({"any": "thing"}, aggregate_id="7", topic="notes")
        pay(tx)
        note(tx)
        remember(tx)
    async with open_transaction(client) as plain:
        assert_type(plain, PlainTransaction)
        remember(plain)
    await client.transact_write_items(TransactItems=[inbox.guard("m-1")])


async def refused(client: DynamoDBClient) -> None:
    async with outbox.transaction(client) as tx:
        tx.publish(Unregistered("7"), aggregate_id="7")  # refused
        tx.publish(OrderCreated("7"))  # refused
        tx.put(Item={"PK": {"S": "7"}})  # refused
        tx.update(TableName="orders", Key={"PK": {"S": "7"}})  # refused
        tx.check(TableName="orders", Key={"PK": {"S": "7"}})  # refused
        tx.guard("m-1")  # refused
    async with open_transaction(client) as plain:
        plain.publish("{}", aggregate_id="7", topic="t")  # refused
        pay(plain)  # refused
    Inbox("inbox")  # refused

"""What both services need of AWS: tables, topics, and for each a queue with a dead-letter queue."""

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from examples.customers_and_orders.customers import events as customers_events
from examples.customers_and_orders.customers import items as customers_items
from examples.customers_and_orders.customers import service as customers_service
from examples.customers_and_orders.orders import events as orders_events
from examples.customers_and_orders.orders import items as orders_items
from examples.customers_and_orders.orders import service as orders_service
from outbox_sdk import Catalog, create_inbox_table, create_outbox_table

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient
    from types_aiobotocore_sns import SNSClient
    from types_aiobotocore_sqs import SQSClient

__all__ = ["Clients", "Queue", "Queues", "create_queue", "create_queues", "create_tables", "create_topics"]

_MAX_RECEIVES = 10
# Any: the clients name each attribute by a literal.
_Attributes = dict[Any, str]


class Clients(NamedTuple):
    """Clients of aiobotocore, open."""

    dynamodb: "DynamoDBClient"
    sns: "SNSClient"
    sqs: "SQSClient"


class Queue(NamedTuple):
    """A queue, and where SQS puts what was handed out too often."""

    url: str
    dead_letters_url: str


class Queues(NamedTuple):
    """The queue of each service."""

    customers: Queue
    orders: Queue


async def create_tables(dynamodb: "DynamoDBClient") -> None:
    """Create three tables a service: its own, its outbox and its inbox."""
    await _create_table(dynamodb, customers_items.TABLE, "PK", "SK")
    await _create_table(dynamodb, orders_items.TABLE, "PK")
    for outbox in (customers_service.OUTBOX, orders_service.OUTBOX):
        await create_outbox_table(dynamodb, outbox.table_name)
    for inbox in (customers_service.INBOX, orders_service.INBOX):
        await create_inbox_table(dynamodb, inbox.table_name)


async def _create_table(dynamodb: "DynamoDBClient", name: str, partition_key: str, *sort_key: str) -> None:
    names = (partition_key, *sort_key)
    await dynamodb.create_table(
        TableName=name,
        KeySchema=[
            {"AttributeName": key, "KeyType": "HASH" if key == partition_key else "RANGE"} for key in names
        ],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in names],
        BillingMode="PAY_PER_REQUEST",
    )
    await dynamodb.get_waiter("table_exists").wait(TableName=name)


async def create_topics(sns: "SNSClient") -> dict[str, str]:
    """Create the topics that the two services publish to; give their ARNs by name."""
    names = {*_types_by_topic(customers_events.PUBLISHED), *_types_by_topic(orders_events.PUBLISHED)}
    arns = {}
    for name in sorted(names):
        attributes = {"FifoTopic": "true"} if name.endswith(".fifo") else {}
        arns[name] = (await sns.create_topic(Name=name, Attributes=attributes))["TopicArn"]
    return arns


async def create_queues(clients: Clients, topics: dict[str, str]) -> Queues:
    """Create the queue of each service, behind the topics of what it reads."""
    return Queues(
        customers=await create_queue(clients, topics, "customers.fifo", customers_events.CONSUMED),
        orders=await create_queue(clients, topics, "orders", orders_events.CONSUMED),
    )


async def create_queue(clients: Clients, topics: dict[str, str], name: str, reads: Catalog[Any]) -> Queue:
    """Create a queue that gets the messages of a catalog and no others.

    Topics are filtered by the attribute ``MessageType``, so what nobody here reads is not even delivered.
    """
    base, dot, suffix = name.partition(".")
    kind: _Attributes = {"FifoQueue": "true"} if dot else {}
    dead_url, dead_arn = await _create_plain_queue(clients.sqs, f"{base}-dead{dot}{suffix}", kind)
    redrive = {"deadLetterTargetArn": dead_arn, "maxReceiveCount": _MAX_RECEIVES}
    attributes: _Attributes = {**kind, "VisibilityTimeout": "5", "RedrivePolicy": json.dumps(redrive)}
    url, arn = await _create_plain_queue(clients.sqs, name, attributes)
    for topic, types in _types_by_topic(reads).items():
        await clients.sns.subscribe(
            TopicArn=topics[topic],
            Protocol="sqs",
            Endpoint=arn,
            Attributes={
                "RawMessageDelivery": "true",
                "FilterPolicy": json.dumps({"MessageType": types}),
            },
        )
    return Queue(url, dead_url)


async def _create_plain_queue(sqs: "SQSClient", name: str, attributes: _Attributes) -> tuple[str, str]:
    url = (await sqs.create_queue(QueueName=name, Attributes=attributes))["QueueUrl"]
    found = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, found["Attributes"]["QueueArn"]


def _types_by_topic(catalog: Catalog[Any]) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for message_class in catalog:
        message_type = catalog.type_of(message_class)
        found[message_type.topic].append(message_type.name)
    return dict(found)

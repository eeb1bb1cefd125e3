"""The demo itself: a stack, a table, topics; orders written, relayed and read back at the queues."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import groupby
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from outbox_sdk.core.configuration import RelayConfiguration
from outbox_sdk.core.errors import OutboxError
from outbox_sdk.core.identifiers import AccountId, Region, TableName
from outbox_sdk.core.outcome import BatchReport, Dispatched, MarkRefused, Unmarked
from outbox_sdk.core.table import TableDesign
from outbox_sdk.demo.messages import CATALOG, DemoMessage, OrderChanged, OrderNotified
from outbox_sdk.demo.report import DemoReport, Received, Written, judge
from outbox_sdk.demo.topics import create_topics, read_queue
from outbox_sdk.embedded_stack import EmbeddedStack
from outbox_sdk.provisioning import create_outbox_table
from outbox_sdk.shell.aws.access import AwsAccess
from outbox_sdk.shell.aws.session import open_client, patient_config
from outbox_sdk.shell.producer import Outbox
from outbox_sdk.shell.relay import Relay, open_relay

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient
    from types_aiobotocore_dynamodb.type_defs import TransactWriteItemTypeDef
    from types_aiobotocore_sns import SNSClient
    from types_aiobotocore_sqs import SQSClient

__all__ = ["OUTBOX", "DemoResult", "Progress", "run_demo"]

OUTBOX: Outbox[OrderNotified | OrderChanged] = Outbox("outbox", catalog=CATALOG)
_ORDERS = "orders"
_WRITERS = 16
_STALLED_SECONDS = 30.0


@dataclass(slots=True)
class Progress:
    """Where the demo stands, in messages; ``changed`` is called whenever a number has."""

    total: int
    written: int = 0
    published: int = 0
    received: int = 0
    changed: Callable[["Progress"], None] = field(default=lambda _: None, repr=False)

    def add(self, *, written: int = 0, published: int = 0, received: int = 0) -> None:
        """Count, and tell."""
        self.written += written
        self.published += published
        self.received += received
        self.changed(self)


class DemoResult(NamedTuple):
    """The verdict, and each message as it was received, with what was written by message id."""

    report: DemoReport
    received: Sequence[Received]
    written: Mapping[str, Written]


class _Clients(NamedTuple):
    dynamodb: "DynamoDBClient"
    sns: "SNSClient"
    sqs: "SQSClient"


async def run_demo(stack: EmbeddedStack, messages: Sequence[DemoMessage], progress: Progress) -> DemoResult:
    """Write messages on an empty stack, relay them, read the queues, and compare.

    Raises:
        OutboxError: nothing has moved for half a minute although messages are missing.
    """
    async with _open_clients(stack) as clients, _open_relay(stack) as relay:
        await create_outbox_table(clients.dynamodb, OUTBOX.table_name)
        await _create_orders_table(clients.dynamodb)
        queues = await create_topics(
            clients.sns,
            clients.sqs,
            sorted(
                {*(CATALOG.type_of(each).topic for each in CATALOG), *(message.topic for message in messages)}
            ),
        )
        written: dict[str, Written] = {}
        received: list[Received] = []
        seen: set[str] = set()
        stop, complete = asyncio.Event(), asyncio.Event()

        def on_batch(report: BatchReport) -> None:
            accepted = (Dispatched, Unmarked, MarkRefused)
            progress.add(published=sum(isinstance(record.outcome, accepted) for record in report.records))

        def on_received(message: Received) -> None:
            received.append(message)
            if message.message_id not in seen:
                seen.add(message.message_id)
                progress.add(received=1)

        started = monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(relay.follow(stop=stop, on_batch=on_batch, poll_seconds=0.05))
            for topic, url in queues.items():
                group.create_task(read_queue(clients.sqs, url, topic, on_received, complete=complete))
            group.create_task(_write_all(clients.dynamodb, messages, written, progress))
            await _wait_until_done(progress)
            seconds = monotonic() - started
            complete.set()
            stop.set()
        marked = await _count_marked(clients.dynamodb)
    report = judge(written, received, published=progress.published, marked=marked, seconds=seconds)
    return DemoResult(report, received, written)


@asynccontextmanager
async def _open_clients(stack: EmbeddedStack) -> AsyncIterator[_Clients]:
    access = AwsAccess(
        region=stack.region,
        endpoint_url=stack.endpoint_url,
        credentials=(stack.access_key_id, stack.secret_access_key),
    )
    async with AsyncExitStack() as exits:
        names = ("dynamodb", "sns", "sqs")
        yield _Clients(
            *[await exits.enter_async_context(open_client(n, access, config=patient_config())) for n in names]
        )


@asynccontextmanager
async def _open_relay(stack: EmbeddedStack) -> AsyncIterator[Relay]:
    configuration = RelayConfiguration(
        dynamodb_outbox_table_name=TableName(OUTBOX.table_name),
        aws_endpoint_url=stack.endpoint_url,
        aws_region=Region(stack.region),
        aws_account_id=AccountId(stack.account_id),
    )
    credentials = (stack.access_key_id, stack.secret_access_key)
    async with open_relay(configuration, credentials=credentials) as relay:
        yield relay


async def _create_orders_table(dynamodb: "DynamoDBClient") -> None:
    await dynamodb.create_table(
        TableName=_ORDERS,
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    await dynamodb.get_waiter("table_exists").wait(TableName=_ORDERS)


async def _write_all(
    dynamodb: "DynamoDBClient",
    messages: Iterable[DemoMessage],
    written: dict[str, Written],
    progress: Progress,
) -> None:
    """Write the transactions of an aggregate one after the other, and of many aggregates side by side."""
    by_aggregate: dict[str, list[DemoMessage]] = defaultdict(list)
    for message in messages:
        by_aggregate[message.aggregate_id].append(message)
    slots = asyncio.Semaphore(_WRITERS)

    async def write_aggregate(own: list[DemoMessage]) -> None:
        async with slots:
            for version, transaction in groupby(own, key=lambda message: message.transaction):
                committed = await _write_transaction(dynamodb, version, list(transaction))
                written.update((message.message_id, message) for message in committed)
                progress.add(written=len(committed))

    async with asyncio.TaskGroup() as group:
        for own in by_aggregate.values():
            group.create_task(write_aggregate(own))


async def _write_transaction(
    dynamodb: "DynamoDBClient", version: int, messages: Sequence[DemoMessage]
) -> list[Written]:
    """Change an order and write the messages about it: all of it, or nothing."""
    aggregate_id = messages[0].aggregate_id
    order: TransactWriteItemTypeDef = {
        "Put": {
            "TableName": _ORDERS,
            "Item": {"PK": {"S": f"ORDER#{aggregate_id}"}, "Version": {"N": str(version + 1)}},
        }
    }
    puts = [
        OUTBOX.put(
            message.message,
            aggregate_id=message.aggregate_id,
            topic=message.topic,
            sequence=message.sequence,
        )
        for message in messages
    ]
    await dynamodb.transact_write_items(TransactItems=[order, *puts])
    return [_written(message, put) for message, put in zip(messages, puts, strict=True)]


def _written(message: DemoMessage, put: "TransactWriteItemTypeDef") -> Written:
    item: Mapping[str, Any] = put["Put"]["Item"]
    return Written(
        message_id=item[OUTBOX.design.message_id]["S"],
        aggregate_id=message.aggregate_id,
        topic=message.topic,
        body=item[OUTBOX.design.body]["S"],
        position=message.transaction,
        verbatim=message.verbatim,
    )


async def _wait_until_done(progress: Progress) -> None:
    """Wait for as many receipts as messages; give up when nothing has moved for long."""
    last, since = (0, 0, 0), monotonic()
    while progress.received < progress.total:
        await asyncio.sleep(0.02)
        now = (progress.written, progress.published, progress.received)
        if now != last:
            last, since = now, monotonic()
        elif monotonic() - since > _STALLED_SECONDS:
            raise OutboxError(
                f"nothing has moved for {_STALLED_SECONDS:.0f} s: of {progress.total} messages "
                f"{progress.written} are written, {progress.published} published, "
                f"{progress.received} received"
            )


async def _count_marked(dynamodb: "DynamoDBClient") -> int:
    """Count dispatched items in the table itself, rather than believe the relay."""
    design: TableDesign = OUTBOX.design
    marked = 0
    async for page in dynamodb.get_paginator("scan").paginate(
        TableName=OUTBOX.table_name,
        FilterExpression="#dispatched = :true AND attribute_not_exists(#marker)",
        ExpressionAttributeNames={"#dispatched": design.is_dispatched, "#marker": design.not_dispatched},
        ExpressionAttributeValues={":true": {"BOOL": True}},
        Select="COUNT",
    ):
        marked += page["Count"]
    return marked

"""The example's saga on an embedded stack, where everything comes twice and relays are killed."""

import asyncio
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple

import pytest
from aiohttp import ClientSession

from examples.customers_and_orders.common.worker import Handler
from examples.customers_and_orders.customers import events as customers_events
from examples.customers_and_orders.customers import items as customers_items
from examples.customers_and_orders.customers import service as customers_service
from examples.customers_and_orders.orders import events as orders_events
from examples.customers_and_orders.orders import items as orders_items
from examples.customers_and_orders.orders import service as orders_service
from examples.customers_and_orders.provisioning import Clients, Queue, create_queue
from examples.customers_and_orders.running import OUTBOX_TABLES, Running, open_services
from outbox_sdk import decode_sqs_record
from outbox_sdk.core.table import TableDesign
from outbox_sdk.embedded_stack import EmbeddedStack, open_embedded_stack
from tests.support.killed_relays import draw_death, kill_relays, open_relay_process

pytestmark = [pytest.mark.integration, pytest.mark.once]

KILLS = 10
SEED = 20_261_128
LIMITS = {"anna": 1_000, "ben": 2_500, "cleo": 0, "dan": 100_000}
STRANGER = "zoe"
FAST_ORDERS = 50
QUIET_WITHIN_SECONDS = 120


class Audit(NamedTuple):
    """Queues of somebody who follows everything that both services tell."""

    orders: Queue
    customers: Queue


def twice(handle: Handler) -> Handler:
    """Have each message handled twice: every second one by two at a time, the others one after the other."""
    numbers = count()

    async def handle_twice(record: object) -> None:
        if next(numbers) % 2:
            await handle(record)
            await handle(record)
            return
        results = await asyncio.gather(handle(record), handle(record), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    return handle_twice


@pytest.fixture
def stack() -> Iterator[EmbeddedStack]:
    """One of its own: the example's tables have the names that they have."""
    with open_embedded_stack() as opened:
        yield opened


async def test_each_order_is_decided_once_whatever_comes_twice_and_is_killed(stack: EmbeddedStack) -> None:
    chance = random.Random(SEED)
    deaths = [draw_death(chance) for _ in range(KILLS)]
    async with open_services(stack, around=twice) as running:
        audit = await open_audit(running)
        await create_customers(running)
        stop = asyncio.Event()
        ordering = asyncio.create_task(keep_ordering(running, chance, stop))
        by_table = zip(OUTBOX_TABLES, (deaths[::2], deaths[1::2]), strict=True)
        codes = await asyncio.gather(*[kill_relays(stack, table, part) for table, part in by_table])
        stop.set()
        ordered = await ordering

        customers_table, orders_table = OUTBOX_TABLES
        async with open_relay_process(stack, customers_table), open_relay_process(stack, orders_table):
            await until_quiet(running)

        await check_orders_and_credit(running.clients, ordered)
        await check_messages(running, audit, ordered)
        assert [code for part in codes for code in part] == [-9] * KILLS


async def open_audit(running: Running) -> Audit:
    clients, topics = running.clients, running.topics
    return Audit(
        orders=await create_queue(clients, topics, "audit-orders.fifo", orders_events.PUBLISHED),
        customers=await create_queue(clients, topics, "audit-customers", customers_events.PUBLISHED),
    )


async def create_customers(running: Running) -> None:
    async with ClientSession() as session:
        for customer_id, limit in LIMITS.items():
            url = f"{running.customers_url}/customers/{customer_id}"
            async with session.put(url, json={"credit_limit": limit}) as response:
                assert response.status == 201


async def keep_ordering(
    running: Running, chance: random.Random, stop: asyncio.Event
) -> dict[str, tuple[str, int]]:
    """Order until ``stop`` is set; give what was ordered, by whom and for how much.

    On a machine that is slow or busy it takes long until all kills are done, so there are fewer orders a
    second by and by: relays must have work to die of, and all of it is to be done in the end.
    """
    ordered: dict[str, tuple[str, int]] = {}
    async with ClientSession() as session:
        while not stop.is_set():
            order_id = f"order-{len(ordered) + 1}"
            customer_id, total = chance.choice([*LIMITS, STRANGER]), chance.randint(1, 400)
            ordered[order_id] = customer_id, total
            body = {"customer_id": customer_id, "total": total}
            async with session.put(f"{running.orders_url}/orders/{order_id}", json=body) as response:
                assert response.status == 202
            await asyncio.sleep(0.1 if len(ordered) < FAST_ORDERS else 0.5)
    return ordered


async def until_quiet(running: Running) -> None:
    """Wait until nothing is outstanding in an outbox, and nothing is in a queue that a service reads."""
    clients, queues = running.clients, running.queues
    quiet = 0
    async with asyncio.timeout(QUIET_WITHIN_SECONDS):
        while quiet < 2:  # between an outbox and a queue, a message is in neither for a moment
            waiting = [await count_outstanding(clients, table) for table in OUTBOX_TABLES]
            waiting += [await count_messages(clients, queue.url) for queue in queues]
            quiet = 0 if any(waiting) else quiet + 1
            await asyncio.sleep(0.3)


async def check_orders_and_credit(clients: Clients, ordered: dict[str, tuple[str, int]]) -> None:
    orders = [orders_items.read_order(item) for item in await scan(clients, orders_items.TABLE)]
    assert {order.order_id: (order.customer_id, order.total) for order in orders} == ordered
    assert {order.status for order in orders} == {"approved", "rejected"}
    reserved: defaultdict[str, int] = defaultdict(int)
    for order in orders:
        reserved[order.customer_id] += order.total if order.status == "approved" else 0
    profiles = [item for item in await scan(clients, customers_items.TABLE) if "Available" in item]
    customers = [customers_items.read_customer(item) for item in profiles]
    assert {each.customer_id: each.credit_limit for each in customers} == LIMITS
    assert {each.customer_id: each.available for each in customers} == {
        customer_id: limit - reserved[customer_id] for customer_id, limit in LIMITS.items()
    }
    assert all(each.available >= 0 for each in customers)
    assert reserved[STRANGER] == 0 < reserved["anna"]


async def check_messages(running: Running, audit: Audit, ordered: dict[str, tuple[str, int]]) -> None:
    """Each order is told of once by whom it is to be told, everything told has arrived, and nothing waits."""
    clients = running.clients
    answers, told = [await read_outbox(clients, table) for table in OUTBOX_TABLES]
    assert Counter(order_id for _, order_id in answers.values()) == dict.fromkeys(ordered, 1)
    assert Counter(told.values()) == {
        **dict.fromkeys([("order.created", order_id) for order_id in ordered], 1),
        **dict.fromkeys([each for each in told.values() if each[0] != "order.created"], 1),
    }
    assert len(told) == 2 * len(ordered)
    for inbox in (customers_service.INBOX, orders_service.INBOX):
        assert len(await scan(clients, inbox.table_name)) == len(ordered)
    for queue in running.queues:
        assert await count_messages(clients, queue.dead_letters_url) == 0

    heard = await read_queue(clients, audit.orders.url)
    assert Counter(message_id for message_id, _, _ in heard) == dict.fromkeys(told, 1)  # a FIFO topic
    by_order: defaultdict[str, list[str]] = defaultdict(list)
    for _, message_type, order_id in heard:
        by_order[order_id].append(message_type)
    assert {types[0] for types in by_order.values()} == {"order.created"}

    repeated = Counter(message_id for message_id, _, _ in await read_queue(clients, audit.customers.url))
    assert set(repeated) == set(answers)
    assert repeated.total() > len(answers)  # or no relay has died between publishing and marking


async def read_outbox(clients: Clients, table_name: str) -> dict[str, tuple[str, str]]:
    """Give type and order of each message of an outbox, by its id; all of them must be out."""
    design = TableDesign.ordered
    messages = {}
    for item in await scan(clients, table_name):
        assert item[design.is_dispatched] == {"BOOL": True}
        assert design.not_dispatched not in item
        order_id = json.loads(item[design.body]["S"])["order_id"]
        messages[item[design.message_id]["S"]] = item[design.message_type]["S"], order_id
    return messages


async def read_queue(clients: Clients, queue_url: str) -> list[tuple[str, str, str]]:
    """Empty a queue; give id, type and order of each message."""
    heard: list[tuple[str, str, str]] = []
    while True:
        answer = await clients.sqs.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )
        if not answer.get("Messages"):
            return heard
        for message in answer["Messages"]:
            delivery = decode_sqs_record(message)
            order_id = json.loads(delivery.body)["order_id"]
            heard.append((str(delivery.message_id), str(delivery.message_type), order_id))
            await clients.sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])


async def scan(clients: Clients, table_name: str) -> list[dict[str, Any]]:
    pages = clients.dynamodb.get_paginator("scan").paginate(TableName=table_name, ConsistentRead=True)
    return [item async for page in pages for item in page["Items"]]


async def count_outstanding(clients: Clients, table_name: str) -> int:
    return sum(TableDesign.ordered.not_dispatched in item for item in await scan(clients, table_name))


async def count_messages(clients: Clients, queue_url: str) -> int:
    """Count what is in a queue, messages that somebody is at work on included."""
    names: Any = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    answer = await clients.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)
    return sum(int(answer["Attributes"][name]) for name in names)

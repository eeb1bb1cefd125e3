"""Both services, whole, in this process: HTTP, the workers at their queues, and a relay for each outbox."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession

from examples.customers_and_orders.common.web import open_server
from examples.customers_and_orders.common.worker import Handler, work_queue
from examples.customers_and_orders.customers.consumers import build_consumer as build_customers_consumer
from examples.customers_and_orders.customers.http import build_app as build_customers_app
from examples.customers_and_orders.customers.service import OUTBOX as CUSTOMERS_OUTBOX
from examples.customers_and_orders.customers.service import Customers
from examples.customers_and_orders.orders.consumers import build_consumer as build_orders_consumer
from examples.customers_and_orders.orders.http import build_app as build_orders_app
from examples.customers_and_orders.orders.service import OUTBOX as ORDERS_OUTBOX
from examples.customers_and_orders.orders.service import Orders
from examples.customers_and_orders.provisioning import (
    Clients,
    Queues,
    create_queues,
    create_tables,
    create_topics,
)
from outbox_sdk import Relay, Settings, open_relay
from outbox_sdk.embedded_stack import EmbeddedStack

__all__ = ["OUTBOX_TABLES", "Running", "open_clients", "open_services", "run_relays"]

OUTBOX_TABLES = (CUSTOMERS_OUTBOX.table_name, ORDERS_OUTBOX.table_name)


class Running(NamedTuple):
    """Both services at work: the addresses of their HTTP, and what they work with."""

    customers_url: str
    orders_url: str
    clients: Clients
    topics: dict[str, str]
    queues: Queues


@asynccontextmanager
async def open_clients(stack: EmbeddedStack) -> AsyncIterator[Clients]:
    """Open clients at a stack. Nothing of this machine's own AWS configuration is used."""
    # Any: the typed session knows service names as literals only.
    session: Any = AioSession(session_vars={"profile": (None, None, None, None)})
    async with AsyncExitStack() as exits:
        yield Clients(
            *[
                await exits.enter_async_context(
                    session.create_client(
                        service,
                        endpoint_url=stack.endpoint_url,
                        region_name=stack.region,
                        aws_access_key_id=stack.access_key_id,
                        aws_secret_access_key=stack.secret_access_key,
                        config=AioConfig(proxies={}, max_pool_connections=50),
                    )
                )
                for service in ("dynamodb", "sns", "sqs")
            ]
        )


@asynccontextmanager
async def open_services(
    stack: EmbeddedStack,
    *,
    around: Callable[[Handler], Handler] = lambda handle: handle,
) -> AsyncIterator[Running]:
    """Set both services up on an empty stack and run them, relays excepted, for the length of the block.

    ``around`` is put around what handles the messages of each queue: tests deliver each message twice by it.
    """
    stop = asyncio.Event()
    async with open_clients(stack) as clients:
        await create_tables(clients.dynamodb)
        topics = await create_topics(clients.sns)
        queues = await create_queues(clients, topics)
        customers, orders = Customers(clients.dynamodb), Orders(clients.dynamodb)
        consumers = {
            queues.customers.url: build_customers_consumer(customers).handle,
            queues.orders.url: build_orders_consumer(orders).handle,
        }
        async with (
            open_server(build_customers_app(customers)) as customers_url,
            open_server(build_orders_app(orders)) as orders_url,
            asyncio.TaskGroup() as group,
        ):
            for url, handle in consumers.items():
                group.create_task(work_queue(clients.sqs, url, around(handle), stop=stop))
            try:
                yield Running(customers_url, orders_url, clients, topics, queues)
            finally:
                stop.set()


@asynccontextmanager
async def run_relays(stack: EmbeddedStack) -> AsyncIterator[None]:
    """Relay both outboxes for the length of the block. On AWS, that is what Lambda does."""
    stop = asyncio.Event()
    async with AsyncExitStack() as exits:
        relays = [await exits.enter_async_context(_open_relay(stack, table)) for table in OUTBOX_TABLES]
        async with asyncio.TaskGroup() as group:
            for relay in relays:
                group.create_task(relay.follow(stop=stop, poll_seconds=0.1))
            try:
                yield
            finally:
                stop.set()


@asynccontextmanager
async def _open_relay(stack: EmbeddedStack, table_name: str) -> AsyncIterator[Relay]:
    settings = Settings(
        dynamodb_outbox_table_name=table_name,
        aws_endpoint_url=stack.endpoint_url,
        aws_region=stack.region,
        aws_account_id=stack.account_id,
        # What this machine's environment may say of another relay is not meant for this one.
        aws_sns_topic_prefix="",
        outbox_allowed_topics=None,
        outbox_envelope="raw",
    )
    credentials = (stack.access_key_id, stack.secret_access_key)
    async with open_relay(settings.to_configuration(), credentials=credentials) as relay:
        yield relay

"""A test leaves nothing behind on a server, takes nothing over, and is told of a server that is late."""

import asyncio
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.pytest_plugin import queues, server
from outbox_sdk.pytest_plugin.endpoint import Endpoint, open_endpoint
from outbox_sdk.pytest_plugin.memory import MemoryBackend
from outbox_sdk.pytest_plugin.server import ServerBackend, open_server_stack
from outbox_sdk.pytest_plugin.stack import OutboxStack
from outbox_sdk.shell.aws.session import open_client, patient_config
from outbox_sdk.testing import InMemoryStack, PublishedMessage
from tests.support.plugin_events import OUTBOX, OrderShipped


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with open_endpoint("embedded") as opened:
        yield opened


async def left(endpoint: Endpoint) -> list[str]:
    async with (
        open_client("dynamodb", endpoint.access, config=patient_config()) as dynamodb,
        open_client("sns", endpoint.access, config=patient_config()) as sns,
        open_client("sqs", endpoint.access, config=patient_config()) as sqs,
    ):
        return [
            *(await dynamodb.list_tables())["TableNames"],
            *[each["TopicArn"] for each in (await sns.list_topics())["Topics"]],
            *(await sqs.list_queues()).get("QueueUrls", []),
        ]


async def ship(stack: OutboxStack, *orders: str, aggregate: str = "truck") -> None:
    for order in orders:
        entry: Any = OUTBOX.put(OrderShipped(order), aggregate_id=aggregate, message_id=f"m-{order}")
        await stack.dynamodb.transact_write_items(TransactItems=[entry])


async def test_what_a_failed_test_has_made_is_removed(endpoint: Endpoint) -> None:
    stack = open_server_stack(endpoint, topics=["orders.fifo", "orders"])
    opened = await stack.__aenter__()
    await opened.create_table("orders", "PK")
    await stack.__aexit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert await left(endpoint) == []


async def test_a_table_whose_creation_was_not_answered_is_removed(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_server_stack(endpoint) as stack:
        create = stack.dynamodb.create_table

        async def create_and_fail(**arguments: Any) -> None:
            await create(**arguments)
            raise TimeoutError

        monkeypatch.setattr(stack.dynamodb, "create_table", create_and_fail)
        with pytest.raises(TimeoutError):
            await stack.create_table("orders", "PK")
    assert await left(endpoint) == []


async def test_a_table_of_somebody_else_is_left_alone(endpoint: Endpoint) -> None:
    async with (
        open_client("dynamodb", endpoint.access, config=patient_config()) as dynamodb,
        open_server_stack(endpoint, table_name="theirs"),
    ):
        async with open_server_stack(endpoint) as stack:
            with pytest.raises(dynamodb.exceptions.ClientError, match="ResourceInUse"):
                await stack.create_table("theirs", "PK")
        assert await left(endpoint) != []


async def test_a_stack_that_cannot_be_made_is_removed(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe = queues.subscribe

    async def subscribe_but_one(*arguments: Any) -> Any:
        if arguments[2] == "b":
            raise ZeroDivisionError
        return await subscribe(*arguments)

    monkeypatch.setattr(server, "subscribe", subscribe_but_one)
    with pytest.raises(ZeroDivisionError):
        async with open_server_stack(endpoint, topics=["a", "b", "c"]):
            pass
    assert await left(endpoint) == []


async def test_a_test_may_remove_what_the_stack_has_made(endpoint: Endpoint) -> None:
    async with open_server_stack(endpoint, topics=["orders"]) as stack:
        await stack.create_table("orders", "PK")
        await stack.dynamodb.delete_table(TableName="orders")
        await stack.dynamodb.delete_table(TableName="outbox")
        async with open_client("sqs", endpoint.access, config=patient_config()) as sqs:
            for url in (await sqs.list_queues())["QueueUrls"]:
                await sqs.delete_queue(QueueUrl=url)
    assert await left(endpoint) == []


async def test_the_messages_of_a_killed_test_reach_no_other(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def keep(*arguments: Any, **names: Any) -> None:
        pass

    monkeypatch.setattr(queues, "remove", keep)
    monkeypatch.setattr(ServerBackend, "lag", 0.0)
    monkeypatch.setattr(server, "receive_all", lambda *arguments: asyncio.sleep(0, []))
    async with open_server_stack(endpoint, topics=["orders.fifo"]) as stack:
        await ship(stack, "7")
        with pytest.raises(AssertionError, match="m-7"):
            await stack.drain()
    monkeypatch.undo()
    async with open_server_stack(endpoint, topics=["orders.fifo"]) as stack:
        await ship(stack, "8")
        await stack.drain()
        assert stack.published(OrderShipped) == [OrderShipped("8")]
    async with open_client("sqs", endpoint.access, config=patient_config()) as sqs:
        for url in (await sqs.list_queues()).get("QueueUrls", []):
            await sqs.delete_queue(QueueUrl=url)


async def test_a_fifo_topic_knows_nothing_of_the_test_before(endpoint: Endpoint) -> None:
    for _ in range(2):
        async with open_server_stack(endpoint, topics=["orders.fifo"]) as stack:
            await ship(stack, "7")
            await stack.drain()
            assert stack.published(OrderShipped) == [OrderShipped("7")]


async def test_many_groups_and_many_messages_of_one_are_received_in_order(endpoint: Endpoint) -> None:
    async with open_server_stack(endpoint, topics=["orders.fifo"]) as stack:
        orders = [f"{group}-{number:02}" for number in range(13) for group in range(10)]
        await asyncio.gather(
            *[
                ship(stack, *[each for each in orders if each.startswith(f"{group}-")], aggregate=str(group))
                for group in range(10)
            ]
        )
        await stack.drain()
        received = [event.order_id for event in stack.published(OrderShipped)]
    assert len(received) == len(orders)
    for group in range(10):
        own = [each for each in received if each.startswith(f"{group}-")]
        assert own == sorted(own)


class LateBackend(MemoryBackend):
    """Queues that get a message a while after the topic has accepted it, as LocalStack's do."""

    lag = 0.2
    topics = frozenset({"orders.fifo"})

    def __init__(self, stack: InMemoryStack, polls: float) -> None:
        super().__init__(stack)
        self._polls = polls

    async def receive(self) -> Sequence[PublishedMessage]:
        self._polls -= 1
        return () if self._polls >= 0 else await super().receive()


async def test_a_queue_that_is_late_is_waited_for() -> None:
    stack = OutboxStack(LateBackend(InMemoryStack(), 5), table_name="outbox")
    await ship(stack, "7")
    await stack.drain()
    assert stack.published(OrderShipped) == [OrderShipped("7")]


class LateStream(LateBackend):
    """A stream that brings a record a while after its item is there, as DynamoDB Local's does."""

    async def read(self) -> Sequence[Mapping[str, Any]]:
        self._polls -= 1
        return () if self._polls >= 0 else await super().read()


async def test_a_stream_that_is_late_is_waited_for() -> None:
    stack = OutboxStack(LateStream(InMemoryStack(), 5), table_name="outbox")
    await ship(stack, "7")
    await stack.drain()
    assert stack.published(OrderShipped) == [OrderShipped("7")]


async def test_a_message_that_no_queue_gets_is_told() -> None:
    stack = OutboxStack(LateBackend(InMemoryStack(), float("inf")), table_name="outbox")
    await ship(stack, "7")
    with pytest.raises(AssertionError, match="m-7"):
        await stack.drain()


async def test_a_stack_of_another_event_loop_says_so(endpoint: Endpoint) -> None:
    async with open_server_stack(endpoint) as stack:

        def elsewhere() -> None:
            for use in (stack.drain, lambda: stack.create_table("orders", "PK"), _touch(stack)):
                with pytest.raises(ConfigurationError, match="event loop"):
                    asyncio.run(use())

        await asyncio.to_thread(elsewhere)


def _touch(stack: OutboxStack) -> Any:
    async def touch() -> None:
        stack.dynamodb  # noqa: B018 - asking for it is the use

    return touch


def test_a_server_that_does_not_answer_is_told_before_a_test_waits_for_it() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    problem = f"nothing answers at http://127.0.0.1:{port} "
    with pytest.raises(ConfigurationError, match=problem), open_endpoint(f"http://127.0.0.1:{port}"):
        pass


async def test_a_topic_that_is_none_needs_the_stack_in_memory(endpoint: Endpoint) -> None:
    with pytest.raises(ConfigurationError, match=r"sqs:billing.*memory"):
        async with open_server_stack(endpoint, topics=["sqs:billing"]):
            pass

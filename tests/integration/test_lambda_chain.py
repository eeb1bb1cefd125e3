"""The whole way with real parts: AWS's own table and stream, and its own runtime around the package.

The event source mapping in between is this project's reader of the stream: nobody else's keeps to partial
reports.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from outbox_sdk import Outbox, follow_stream
from outbox_sdk.embedded_stack import EmbeddedStack
from tests.support.eventually import eventually
from tests.support.lambda_runtime import Deployed
from tests.support.listeners import listeners_of_children
from tests.support.outbox_tables import OutboxTable, open_outbox_table
from tests.support.runtime_emulator import EMULATOR_ACCOUNT_ID, Emulator, FunctionError, open_emulator
from tests.support.servers import server_or_skip
from tests.support.topics import Topic, open_topic

pytestmark = [pytest.mark.integration, pytest.mark.once]

AGGREGATES, STEPS = 5, 4
LATE, POISONED = 4, (1, 2)


class Step(msgspec.Struct):
    """What a message says: whose it is, and the how-manieth."""

    aggregate: int
    step: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What the function was handed, and what it reported of it."""

    brought: list[str]
    reported: list[str]


@dataclass(frozen=True, slots=True)
class World:
    """DynamoDB Local, MiniStack, and the function between them; the late topic is not there yet."""

    stack: EmbeddedStack
    table: OutboxTable
    topic: Topic
    late_name: str
    emulator: Emulator
    batches: list[Batch] = field(default_factory=list)
    gate: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def write(self) -> None:
        """Commit each message in a transaction of its own, the aggregates taking turns."""
        outbox = Outbox(self.table.name)
        for step in range(STEPS):
            for aggregate in range(AGGREGATES):
                entry: Any = outbox.put(
                    Step(aggregate, step),
                    aggregate_id=f"order-{aggregate}",
                    message_id=f"m-{aggregate}-{step}",
                    topic=self.late_name if aggregate == LATE else self.topic.name,
                )
                if (aggregate, step) == POISONED:
                    entry["Put"]["Item"]["Topic"] = {"N": "7"}
                await self.table.dynamodb.transact_write_items(TransactItems=[entry])

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Bring the stream to the function meanwhile."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(
                follow_stream(self.table.streams, self.table.stream_arn, self._handle, stop=stop)
            )
            yield
            stop.set()

    async def _handle(self, event: dict[str, Any]) -> Any:
        async with self.gate:
            response = await self.emulator.invoke(event)
        brought = [record["dynamodb"]["SequenceNumber"] for record in event["Records"]]
        reported = [failure["itemIdentifier"] for failure in response["batchItemFailures"]]
        self.batches.append(Batch(brought, reported))
        return response

    def open_topic(self, name: str) -> AbstractAsyncContextManager[Topic]:
        """Create a FIFO topic where the function looks for it."""
        url = self.stack.endpoint_url
        return open_topic(url, fifo=True, name=name, access_key=EMULATOR_ACCOUNT_ID)

    async def markers(self) -> dict[tuple[int, int], str]:
        """Name the messages that carry a marker, and which."""
        items = (await self.table.dynamodb.scan(TableName=self.table.name, ConsistentRead=True))["Items"]
        assert len(items) == AGGREGATES * STEPS
        return {
            _identify(item["Message"]["S"]): item["NotDispatched"]["S"]
            for item in items
            if "NotDispatched" in item
        }


@pytest.fixture
async def world(
    ministack: EmbeddedStack, dynamodb_local: str, deployed: Deployed, unique: str
) -> AsyncIterator[World]:
    async with AsyncExitStack() as exits:
        table = await exits.enter_async_context(open_outbox_table(dynamodb_local))
        variables = {
            # MiniStack goes by the account of the key, and the relay by that of its function.
            "AWS_ACCESS_KEY_ID": EMULATOR_ACCOUNT_ID,
            "AWS_ENDPOINT_URL_DYNAMODB": dynamodb_local,
            "AWS_ENDPOINT_URL_SNS": ministack.endpoint_url,
            "DYNAMODB_OUTBOX_TABLE_NAME": table.name,
        }
        emulator = exits.enter_context(server_or_skip(open_emulator(deployed, variables)))
        opened = open_topic(
            ministack.endpoint_url, fifo=True, name=f"{unique}.fifo", access_key=EMULATOR_ACCOUNT_ID
        )
        topic = await exits.enter_async_context(opened)
        yield World(ministack, table, topic, f"{unique}-late.fifo", emulator)


async def test_every_message_arrives_once_in_order_through_reports_retries_and_a_poisoned_one(
    world: World,
) -> None:
    late = {(LATE, step) for step in range(STEPS)}
    await world.write()
    async with AsyncExitStack() as exits:
        await exits.enter_async_context(world.following())
        # All but the late ones are out, and those have been reported and brought again.
        await eventually(lambda: len(world.batches) >= 3)
        assert set(await world.markers()) == {*late, POISONED}
        async with world.gate:  # between a topic and its subscription messages would go nowhere
            late_topic = await exits.enter_async_context(world.open_topic(world.late_name))
        await eventually(lambda: not world.batches[-1].reported)
        assert await world.markers() == {POISONED: "parked"}
        on_time, afterwards = await world.topic.drain(expected=15), await late_topic.drain(expected=4)

    first, second = world.batches[:2]
    assert 0 < len(first.reported) < len(first.brought)
    assert second.brought == first.brought[first.brought.index(first.reported[0]) :]
    arrived = [_identify(message.body) for message in (*on_time, *afterwards)]
    everything = {(aggregate, step) for aggregate in range(AGGREGATES) for step in range(STEPS)}
    assert sorted(arrived) == sorted(everything - {POISONED})
    for aggregate in range(AGGREGATES):
        steps = [step for owner, step in arrived if owner == aggregate]
        assert steps == sorted(steps)
    assert {_identify(message.body) for message in afterwards} == late


# The emulator itself


@pytest.fixture
def emulator(deployed: Deployed, tmp_path: Path) -> Iterator[Emulator]:
    """Run a function of the tests, which sleeps as long as it is told, and for 2 seconds at most."""
    tmp_path.joinpath("sleeper.py").write_text(
        "import os, time\n"
        "def handler(event, context):\n"
        "    time.sleep(event['seconds'])\n"
        "    return os.getpid()\n"
    )
    with server_or_skip(
        open_emulator(replace(deployed, task_root=tmp_path), {}, handler="sleeper.handler", timeout_seconds=2)
    ) as opened:
        yield opened


async def test_the_emulator_and_the_function_listen_on_loopback_only(emulator: Emulator) -> None:
    await emulator.invoke({"seconds": 0})

    assert {host for host, _ in listeners_of_children()} == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("event", "text"), [({"seconds": 5}, "Task timed out after 2.00 seconds"), ({}, "KeyError")]
)
async def test_an_invocation_that_fails_raises_though_the_emulator_answers_200(
    emulator: Emulator, event: dict[str, Any], text: str
) -> None:
    with pytest.raises(FunctionError, match=text):
        await emulator.invoke(event)


async def test_a_function_in_the_middle_of_an_invocation_ends_with_its_emulator(
    deployed: Deployed, tmp_path: Path
) -> None:
    tmp_path.joinpath("endless.py").write_text(
        "import os, pathlib, time\n"
        "def handler(event, context):\n"
        "    pathlib.Path(os.environ['LAMBDA_TASK_ROOT'], 'pid').write_text(str(os.getpid()))\n"
        "    time.sleep(600)\n"
    )
    pid_file, here = tmp_path / "pid", replace(deployed, task_root=tmp_path)
    with server_or_skip(open_emulator(here, {}, handler="endless.handler")) as opened:
        invocation = asyncio.create_task(opened.invoke({}))
        await eventually(lambda: pid_file.exists() and bool(pid_file.read_text()))
        pid = int(pid_file.read_text())
        assert _is_alive(pid)
    await asyncio.gather(invocation, return_exceptions=True)

    await eventually(lambda: not _is_alive(pid))


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _identify(body: str) -> tuple[int, int]:
    step = msgspec.json.decode(body, type=Step)
    return step.aggregate, step.step

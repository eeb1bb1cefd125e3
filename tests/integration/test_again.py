"""`outbox redrive`, `replay` and `purge` on real servers: what they say, and ten thousand interrupted."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from outbox_sdk import Outbox, RelayConfiguration, TableDesign, open_relay
from outbox_sdk.core.identifiers import Region, TableName
from outbox_sdk.core.text import format_instant
from outbox_sdk.embedded_stack import EmbeddedStack
from outbox_sdk.shell.aws.service import AwsService
from outbox_sdk.shell.dynamodb import call
from outbox_sdk.shell.streams import lambda_event
from outbox_sdk.testing import InMemoryStack
from tests.support.admin_commands import AdminCommands
from tests.support.aws import open_client, open_services
from tests.support.command import CREDENTIALS, environment
from tests.support.fixtures import endpoint_of
from tests.support.outbox_tables import OutboxTable, open_outbox_table, read_stream
from tests.support.recorded_calls import excuse
from tests.support.topics import open_topic

pytestmark = [pytest.mark.integration, pytest.mark.once]

DESIGN = TableDesign.message_keyed
"""Thousands are written in half the time without a local index; the order is seen to in memory."""
VARIABLES = {"OUTBOX_TABLE_DESIGN": "message_keyed"}
SECRET = "s3cr3t-b0dy"
MANY = 10_000 if os.environ.get("OUTBOX_FULL_SIZE") == "1" else 1_000
"""The session `endurance` takes them all; a tenth does for every day."""

MOST_AT_A_TIME = 64


class World(NamedTuple):
    """A table on a server, and the commands on it."""

    table: OutboxTable
    endpoint_url: str
    dynamodb: AwsService

    async def run(self, *words: str) -> Any:
        """Run a command to its end, in a process of its own: it listens for signals."""
        return await asyncio.to_thread(
            AdminCommands(self.endpoint_url, self.table.name, VARIABLES).run_apart, *words
        )

    async def write(self, items: Iterable[dict[str, Any]]) -> None:
        """Write items as they are, in place of those of the same keys."""
        rows, waiting = list(items), asyncio.Semaphore(8)

        async def write(some: list[Any]) -> None:
            requests = [{"PutRequest": {"Item": item}} for item in some]
            async with waiting:
                await call(self.dynamodb, "BatchWriteItem", {"RequestItems": {self.table.name: requests}})

        async with asyncio.TaskGroup() as group:
            for start in range(0, len(rows), 25):
                group.create_task(write(rows[start : start + 25]))

    async def read(self) -> list[dict[str, Any]]:
        """Read all items."""
        items: list[dict[str, Any]] = []
        cursor: dict[str, Any] = {}
        while True:
            answer = await call(self.dynamodb, "Scan", {"TableName": self.table.name, **cursor})
            items.extend(answer["Items"])
            if not answer.get("LastEvaluatedKey"):
                return items
            cursor = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    async def cut_off(self, number: int, *words: str, after: int) -> tuple[int, str, str]:
        """Run a command and send it a signal once it has written so many more; give how it ended."""
        target = await self.count_sent() + after
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "outbox_sdk.cli", *words, "--table", self.table.name),
            *("--endpoint-url", self.endpoint_url, "--region", "us-east-1", "--rate", str(MANY // 4)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(**CREDENTIALS, **VARIABLES),
        )
        while await self.count_sent() < target:
            assert process.returncode is None, await process.communicate()
            await asyncio.sleep(0.3)
        process.send_signal(number)
        output, errors = await process.communicate()
        return process.returncode or 0, output.decode(), errors.decode()

    async def count_sent(self) -> int:
        """Count what is outstanding, by one of 16 buckets: more would slow the server down."""
        request = {
            "TableName": self.table.name,
            "IndexName": DESIGN.outstanding_index,
            "KeyConditionExpression": "NotDispatched = :b",
            "ExpressionAttributeValues": {":b": {"S": "00"}},
            "Select": "COUNT",
        }
        answer = await call(self.dynamodb, "Query", request)
        return int(answer["Count"]) * 16


@pytest_asyncio.fixture
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    endpoint = endpoint_of(request, "dynamodb_local")
    async with (
        open_outbox_table(endpoint, DESIGN, with_stream=False) as table,
        open_services(endpoint) as services,
    ):
        excuse(services.dynamodb)
        yield World(table, endpoint, services.dynamodb)


def message(number: int, topic: str = "orders.fifo", **attributes: Any) -> dict[str, Any]:
    """Make the item of a message; ``None`` leaves an attribute out."""
    entry: Any = Outbox("outbox", design=DESIGN).put(
        SECRET, aggregate_id=f"o-{number % 500}", topic=topic, message_id=f"m-{number}", sequence=number
    )
    item = {**entry["Put"]["Item"], **attributes}
    return {name: value for name, value in item.items() if value is not None}


def parked(number: int) -> dict[str, Any]:
    """Make the item of a parked message."""
    at = "2026-11-23T09:00:00.000000Z"
    return message(
        number, NotDispatched={"S": "parked"}, ParkReason={"S": "held:NotFound"}, ParkedAt={"S": at}
    )


def dispatched(number: int, at: datetime, **attributes: Any) -> dict[str, Any]:
    """Make the item of a dispatched message."""
    done: dict[str, Any] = {"IsDispatched": {"BOOL": True}, "LastDispatchedAt": {"S": format_instant(at)}}
    return message(number, NotDispatched=None, **done, **attributes)


@pytest.mark.parametrize("part", ["ministack", "dynamodb_local"])
def test_the_commands_show_first_and_do_then(request: pytest.FixtureRequest, part: str) -> None:
    endpoint, yesterday = endpoint_of(request, part), datetime.now(UTC) - timedelta(days=1)
    items = [*map(parked, range(3)), *(dispatched(number, yesterday) for number in range(3, 6))]

    async def open_filled() -> str:
        async with open_outbox_table(endpoint, DESIGN) as table:
            for item in items:
                await table.put(item)
            return table.name

    async def read() -> list[dict[str, Any]]:
        async with open_client("dynamodb", endpoint) as dynamodb:
            found: list[dict[str, Any]] = (await dynamodb.scan(TableName=commands.table))["Items"]
            return found

    commands = AdminCommands(endpoint, asyncio.run(open_filled()), VARIABLES)

    def report(*words: str) -> tuple[int, Any]:
        done = commands.run(*words, "--json")
        assert SECRET not in done.output + done.errors
        return done.exit_code, done.documents[0]

    for words, meant in (
        (["redrive", "--reason", "held:"], 3),
        (["replay", "--since", "2d"], 3),
        (["purge", "--until", "1h"], 3),
        (["purge", "--state", "parked", "--all"], 3),
    ):
        code, found = report(*words, "--dry-run")
        assert (code, found["meant"], found["done"]) == (0, meant, 0), words
    assert asyncio.run(read()) == sorted(items, key=asyncio.run(read()).index)

    for words, code, done in (
        (["redrive", "--id", "m-0", "--id", "m-1"], 0, 2),
        (["replay", "--aggregate", "o-3"], 0, 1),
        (["redrive", "--id", "nobody"], 1, 0),
        (["purge", "--all"], 0, 2),
    ):
        ended, found = report(*words, "--yes")
        assert (ended, found["done"]) == (code, done), words
    shown = commands.run("redrive", "--dry-run")
    assert shown.exit_code == 0
    assert "held:NotFound" in shown.output
    states = {item["MessageId"]["S"]: item.get("NotDispatched") for item in asyncio.run(read())}
    assert states.pop("m-2") == {"S": "parked"}
    assert set(states) == {"m-0", "m-1", "m-3"}
    assert all(marker and marker != {"S": "parked"} for marker in states.values())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["redrive", "--json"], "--json: asks nothing"),
        (["redrive", "--rate", "0", "--yes"], "rate"),
        (["redrive", "--since", "soon", "--yes"], "--since"),
        (["replay", "--yes"], "--all"),
        (["replay", "--all", "--topic", "t", "--yes"], "--all"),
        (["replay", "--all", "--resume", "never", "--yes"], "--resume"),
        (["purge", "--yes"], "--all"),
        (["purge", "--all", "--state", "lost", "--yes"], "--state"),
        (["purge", "--all", "--state", "outstanding", "--yes"], "--force"),
        (["purge", "--reason", "size", "--yes"], "reasons"),
    ],
    ids=str,
)
def test_wrong_input_is_refused_with_a_sentence(words: list[str], sentence: str) -> None:
    done = AdminCommands("http://127.0.0.1:9", "outbox").run(*words)
    assert done.exit_code == 2
    assert sentence in done.errors
    assert not done.output


async def test_thousands_are_redriven_with_the_plug_pulled_twice(world: World) -> None:
    await world.write(map(parked, range(MANY)))

    code, _, errors = await world.cut_off(signal.SIGINT, "redrive", "--yes", after=MANY // 5)
    assert code == 130, errors
    assert "does the rest" in errors
    code, _, _ = await world.cut_off(signal.SIGKILL, "redrive", "--yes", after=MANY // 5)
    assert code == -signal.SIGKILL
    half = sum(item["NotDispatched"] != {"S": "parked"} for item in await world.read())
    assert 0.3 * MANY <= half < MANY
    code, (report,), _ = await world.run("redrive", "--yes", "--json")
    # What was on its way when the plug was pulled is done too, and after it was counted perhaps.
    late = MANY - half - report["done"]
    assert (code, report["meant"]) == (0, report["done"] + report["changed"])
    assert 0 <= late <= MOST_AT_A_TIME

    items = await world.read()
    assert len(items) == MANY
    assert {item["RedriveCount"]["N"] for item in items} == {"1"}, "none was sent twice"
    await _check_relayed(items)


async def test_thousands_are_replayed_with_the_plug_pulled_twice(world: World) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=3)
    await world.write(dispatched(number, long_ago) for number in range(MANY))

    code, _, errors = await world.cut_off(signal.SIGINT, "replay", "--all", "--yes", after=MANY // 5)
    assert code == 130, errors
    began = errors.partition("Began at ")[2].partition(": ")[0]
    # What is sent by now is dispatched again before the rest is taken up: it must not be sent a third time.
    sent = {item["MessageId"]["S"] for item in await world.read() if "NotDispatched" in item}
    headers = {"M": {"replayed": {"S": began}}}
    again = {"RedriveCount": {"N": "1"}, "Headers": headers}
    numbers = [int(name[2:]) for name in sent]
    await world.write(dispatched(number, datetime.now(UTC), **again) for number in numbers)
    code, _, _ = await world.cut_off(
        signal.SIGKILL, "replay", "--all", "--resume", began, "--yes", after=MANY // 5
    )
    assert code == -signal.SIGKILL
    code, (report,), _ = await world.run("replay", "--all", "--resume", began, "--yes", "--json")
    assert code == 0

    items = await world.read()
    assert len(items) == MANY
    assert {item["RedriveCount"]["N"] for item in items} == {"1"}, "none was sent twice"
    assert {item["Headers"]["M"]["replayed"]["S"] for item in items} == {began}
    assert report["done"] + len(sent) < MANY, "the second part has done some"
    await _check_relayed([item for item in items if item["MessageId"]["S"] not in sent])


async def _check_relayed(items: list[dict[str, Any]]) -> None:
    """See that the relay publishes all of it, once, and an aggregate's in its order."""
    stack = InMemoryStack(topics=["orders.fifo"], design=DESIGN)
    for item in sorted(items, key=lambda item: int(item["Sequence"]["N"])):
        stack.table.put(item)
    await stack.relay()
    published = [message.attributes["MessageId"] for message in stack.published]
    assert sorted(published) == sorted(item["MessageId"]["S"] for item in items)


async def test_a_replay_within_five_minutes_is_delivered(ministack: EmbeddedStack) -> None:
    """A FIFO topic drops for five minutes what comes under one deduplication id; a replay has its own."""
    async with (
        open_outbox_table(ministack.endpoint_url, DESIGN) as table,
        open_topic(ministack.endpoint_url, fifo=True) as topic,
    ):
        await table.put(message(1, topic.name))
        configuration = RelayConfiguration(
            dynamodb_outbox_table_name=TableName(table.name),
            aws_endpoint_url=ministack.endpoint_url,
            aws_region=Region(ministack.region),
            outbox_mark_strategy="single",
            outbox_table_design=DESIGN,
        )
        credentials = (ministack.access_key_id, ministack.secret_access_key)
        commands = AdminCommands(ministack.endpoint_url, table.name, VARIABLES)
        async with open_relay(configuration, credentials=credentials) as relay:
            seen: int = 0
            report: Any = {}
            for step in ("first", "again"):
                if step == "again":
                    done = await asyncio.to_thread(commands.run_apart, "replay", "--all", "--yes", "--json")
                    code, (report, *_) = done[:2]
                    assert (code, report["done"]) == (0, 1)
                records = await read_stream(table.streams, table.stream_arn)
                await relay.relay_batch(lambda_event(records[seen:], table.stream_arn))
                seen = len(records)
        received = await topic.drain(expected=2)

    assert [each.message_id for each in received] == ["m-1", "m-1"]
    assert [each.attributes.get("replayed") for each in received] == [None, ("String", report["began_at"])]

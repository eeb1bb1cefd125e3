"""`outbox status`, `pending`, `parked`, `show` and `tail` on real servers, and what it costs to look."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from outbox_sdk import Outbox, TableDesign
from outbox_sdk.core.identifiers import TableName
from outbox_sdk.shell.admin import AdminContext
from outbox_sdk.shell.aws.service import AwsService
from outbox_sdk.shell.dynamodb import call
from outbox_sdk.shell.inspection import read_status
from outbox_sdk.shell.table_calls import DynamoDbCalls, RetryingCalls
from tests.support.admin_commands import AdminCommands, check_document
from tests.support.aws import open_services
from tests.support.command import CREDENTIALS, environment
from tests.support.fixtures import endpoint_of
from tests.support.outbox_process import outbox_command
from tests.support.outbox_tables import OutboxTable, key_of, open_outbox_table
from tests.support.recorded_calls import excuse
from tests.support.servers import open_dynamodb_local, server_or_skip

pytestmark = [pytest.mark.integration, pytest.mark.once, pytest.mark.asyncio(loop_scope="module")]

OUTBOX = Outbox("outbox")
SECRET = "s3cr3t-b0dy"
HISTORY = 100_000 if os.environ.get("OUTBOX_FULL_SIZE") == "1" else 10_000
"""The session `endurance` writes all of it; a tenth does for every day."""
DESIGN = TableDesign.message_keyed
"""Of the long history: the index is the same, and it is written in half the time."""


class World(NamedTuple):
    """A table with three outstanding messages, one parked and one dispatched, and the commands on it."""

    table: OutboxTable
    endpoint_url: str

    @property
    def commands(self) -> AdminCommands:
        """The commands on the table."""
        return AdminCommands(self.endpoint_url, self.table.name)

    async def run(self, *words: str, **options: Any) -> Any:
        """Run a command beside the loop of the test."""
        return await asyncio.to_thread(self.commands.run, *words, **options)


def _item(number: int, **attributes: Any) -> dict[str, Any]:
    entry: Any = OUTBOX.put(SECRET, aggregate_id=f"o-{number}", topic="orders", message_id=f"m-{number}")
    return {**entry["Put"]["Item"], **attributes}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["dynamodb_local", "ministack"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    endpoint = endpoint_of(request, request.param)
    async with open_outbox_table(endpoint, TableDesign.ordered) as table:
        for number in range(3):
            await table.put(_item(number))
        reason: dict[str, Any] = {"NotDispatched": {"S": "parked"}, "ParkReason": {"S": "size:300000"}}
        await table.put(_item(3, **reason, ParkedAt={"S": "2026-11-23T09:00:00.000000Z"}))
        sent = {name: value for name, value in _item(4).items() if name != "NotDispatched"}
        done: dict[str, Any] = {
            "IsDispatched": {"BOOL": True},
            "LastDispatchedAt": {"S": "2026-11-23T09:00:00.000000Z"},
        }
        await table.put({**sent, **done})
        yield World(table, endpoint)


async def test_status_as_a_document_and_for_people(world: World) -> None:
    done = await world.run("status", "--json")
    assert done.exit_code == 0
    (status,) = done.documents
    assert (status["outstanding"]["count"], status["parked"]["count"]) == (3, 1)
    assert status["outstanding"]["by_topic"] == {"orders": 3}
    assert status["parked"]["by_reason"] == {"size": 1}
    assert status["read_units"] > 0

    words = await world.run("status")
    assert words.exit_code == 0
    assert "outstanding" in words.output
    assert "orders" in words.output


async def test_what_is_outstanding_and_parked_is_listed(world: World) -> None:
    pending = await world.run("pending", "--json", "--limit", "2")
    assert [each["message_id"] for each in pending.documents] == ["m-0", "m-1"]
    parked = await world.run("parked", "--json", "--reason", "size")
    assert [each["message_id"] for each in parked.documents] == ["m-3"]
    assert parked.documents[0]["advice"]
    assert (await world.run("parked", "--json", "--reason", "held:")).documents == []

    words = await world.run("parked")
    assert "size:300000" in words.output
    assert "To do: larger than its destination takes" in words.output
    assert "none" in (await world.run("pending", "--topic", "bills")).output


async def test_a_message_is_shown_whole(world: World) -> None:
    for words in (("--aggregate", "o-4"), ("--scan",)):
        done = await world.run("show", "m-4", "--json", *words)
        assert (done.exit_code, done.documents[0]["message"]["state"]) == (0, "dispatched")
    assert "dispatched" in (await world.run("show", "m-4", "--aggregate", "o-4")).output

    missing = await world.run("show", "m-4")
    assert missing.exit_code == 1
    assert "--scan" in missing.errors


async def test_payload_is_shown_to_those_who_ask_and_to_nobody_else(world: World) -> None:
    for command in (["status"], ["pending"], ["parked"], ["show", "m-0"]):
        for form in ([], ["--json"]):
            done = await world.run(*command, *form)
            assert SECRET not in done.output + done.errors
            if command != ["status"]:
                assert SECRET in (await world.run(*command, *form, "--payload")).output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["pending", "--since", "yesterday"], "--since: 'yesterday' is neither"),
        (["parked", "--since", "1h", "--until", "2h"], "--until: is not later than since"),
        (["pending", "--topic", ""], "--topic: holds an empty text"),
    ],
)
async def test_wrong_input_is_refused_with_a_sentence(world: World, words: list[str], sentence: str) -> None:
    done = await world.run(*words)
    assert done.exit_code == 2
    assert sentence in done.errors
    assert not done.output


async def test_a_table_that_is_not_there_is_wrong_input(world: World) -> None:
    for command in (["status"], ["pending"], ["parked"], ["show", "m-1"]):
        done = await world.run(*command, table="there-is-none")
        assert done.exit_code == 2, command
        assert "--table" in done.errors or "DYNAMODB_OUTBOX_TABLE_NAME" in done.errors


async def test_messages_are_followed_as_they_pass(world: World) -> None:
    where = ["--table", world.table.name, "--endpoint-url", world.endpoint_url, "--region", "us-east-1"]
    with outbox_command() as command:
        process = await asyncio.create_subprocess_exec(
            *command, "tail", "--json", "--topic", "orders", *where,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(**CREDENTIALS),
        )  # fmt: skip
        assert process.stdout is not None
        # From now on, whenever that is: so messages are written until the first one shows.
        told: list[Any] = []
        for number in range(100, 200):
            await world.table.put(_item(number))
            try:
                async with asyncio.timeout(1):
                    told.append(json.loads(await process.stdout.readline()))
                    break
            except TimeoutError:
                continue
        await world.table.delete(_key(told[0]))
        async with asyncio.timeout(30):
            while told[-1]["event"] != "removed":
                told.append(json.loads(await process.stdout.readline()))
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()

    assert process.returncode == 0, errors.decode()
    assert {each["event"] for each in told} == {"created", "removed"}
    for each in told:
        check_document("tail", each)
        assert SECRET not in json.dumps(each)
    for number in range(100, 200):  # for the other tests, these are not there
        await world.table.delete(_key_of(_item(number)))


def _key(passage: Any) -> Any:
    return _key_of({name: {"S": text} for name, text in passage["message"]["key"].items()})


def _key_of(item: dict[str, Any]) -> Any:
    return key_of(item, TableDesign.ordered)


async def test_a_status_costs_no_more_for_a_long_history() -> None:
    """Very many dispatched items beside 100 outstanding ones change next to nothing.

    On a server of its own: what the stream keeps of so many would slow down those who share it.
    """
    units = []
    async with AsyncExitStack() as stack:
        endpoint = stack.enter_context(server_or_skip(open_dynamodb_local()))
        services = await stack.enter_async_context(open_services(endpoint))
        excuse(services.dynamodb)  # they are written by the test
        for history in (0, HISTORY):
            async with open_outbox_table(endpoint, DESIGN, with_stream=False) as table:
                items = [*map(_outstanding, range(100)), *map(_dispatched, range(history))]
                await _write(services.dynamodb, table.name, items)
                context = AdminContext(
                    calls=RetryingCalls(DynamoDbCalls(services.dynamodb)),
                    table_name=TableName(table.name),
                    design=table.design,
                )
                status = await read_status(context)
                assert (status.outstanding.count, status.outstanding.looked_at) == (100, 100)
                assert status.read_units is not None
                units.append(status.read_units)

    # Half a unit for each bucket, at least.
    assert 51 <= units[0] <= units[1] <= 1.1 * units[0]


def _outstanding(number: int) -> dict[str, Any]:
    entry: Any = Outbox("outbox", design=DESIGN).put(
        SECRET, aggregate_id=f"o-{number}", topic="orders", message_id=f"m-{number}"
    )
    item: dict[str, Any] = entry["Put"]["Item"]
    return item


def _dispatched(number: int) -> dict[str, Any]:
    return {
        "PK": {"S": f"MESSAGE#h-{number}"},
        "MessageId": {"S": f"h-{number}"},
        "CreatedAt": {"S": "2026-11-23T09:00:00.000000Z"},
        "IsDispatched": {"BOOL": True},
    }


async def _write(dynamodb: AwsService, table_name: str, items: list[Any]) -> None:
    waiting = asyncio.Semaphore(8)

    async def write(some: list[Any]) -> None:
        requests = [{"PutRequest": {"Item": item}} for item in some]
        async with waiting:
            answer = await call(dynamodb, "BatchWriteItem", {"RequestItems": {table_name: requests}})
        assert not answer["UnprocessedItems"]

    async with asyncio.TaskGroup() as group:
        for start in range(0, len(items), 25):
            group.create_task(write(items[start : start + 25]))

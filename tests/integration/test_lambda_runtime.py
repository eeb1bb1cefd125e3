"""The package that is deployed, under AWS's own runtime: awslambdaric on the interpreter of the functions."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from outbox_sdk.core.function import HANDLERS
from outbox_sdk.core.text import format_instant
from outbox_sdk.embedded_stack import EmbeddedStack
from outbox_sdk.shell.streams import lambda_event
from tests.support.events import insert_records, write_event
from tests.support.eventually import eventually
from tests.support.lambda_package import unpack_package
from tests.support.lambda_runtime import Deployed, Function, open_function
from tests.support.outbox_tables import Items, OutboxTable, item_of, key_of, open_outbox_table, read_stream
from tests.support.runtime_api import Outcome
from tests.support.topics import Topic, open_topic
from tests.support.wire import Wire, open_wire

pytestmark = [pytest.mark.integration, pytest.mark.once]

SUCCESS = b'{"batchItemFailures": []}'
TABLE = "DYNAMODB_OUTBOX_TABLE_NAME"


@pytest.fixture
def wire() -> Iterator[Wire]:
    with open_wire() as opened:
        yield opened


@dataclass(frozen=True, slots=True)
class World:
    """An embedded stack with a table and a topic, and the package to run on it."""

    stack: EmbeddedStack
    table: OutboxTable
    topic: Topic
    deployed: Deployed

    @contextmanager
    def open_function(
        self, variables: Mapping[str, str] | None = None, *, handler: str = HANDLERS["relay"]
    ) -> Iterator[Function]:
        """Start a function whose clients go to the stack, but for what ``variables`` redirect."""
        given = {
            "AWS_ENDPOINT_URL_DYNAMODB": self.stack.endpoint_url,
            "AWS_ENDPOINT_URL_SNS": self.stack.endpoint_url,
            TABLE: self.table.name,
            **(variables or {}),
        }
        # The topics are those of the function's own account.
        arn = f"arn:aws:lambda:{self.stack.region}:{self.stack.account_id}:function:relay"
        with open_function(self.deployed, given, handler=handler, function_arn=arn) as function:
            yield function

    def item(self, number: int, **attributes: Any) -> Items:
        """Write the item of a message to the topic by hand."""
        fields = {"Topic": {"S": self.topic.name}, "Message": {"S": f"body {number}"}, **attributes}
        return item_of(f"order-{number}", f"m-{number}", self.table.design, **fields)

    async def events(self, *items: Items) -> list[dict[str, Any]]:
        """Put items; give the stream's records of them as Lambda does, in an event each."""
        before = len(await read_stream(self.table.streams, self.table.stream_arn))
        for item in items:
            await self.table.put(item)
        records = (await read_stream(self.table.streams, self.table.stream_arn))[before:]
        return [json.loads(json.dumps(lambda_event([record], self.table.stream_arn))) for record in records]

    async def assert_marked(self, *items: Items) -> None:
        for item in items:
            stored = await self.table.get(key_of(item, self.table.design))
            assert stored is not None
            assert "NotDispatched" not in stored
            assert stored["IsDispatched"] == {"BOOL": True}


@pytest.fixture
async def world(ministack: EmbeddedStack, deployed: Deployed) -> AsyncIterator[World]:
    async with AsyncExitStack() as exits:
        table = await exits.enter_async_context(open_outbox_table(ministack.endpoint_url))
        topic = await exits.enter_async_context(open_topic(ministack.endpoint_url))
        yield World(ministack, table, topic, deployed)


def _merge(events: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Records": [record for event in events for record in event["Records"]]}


def _numbers(event: Mapping[str, Any]) -> list[str]:
    return [record["dynamodb"]["SequenceNumber"] for record in event["Records"]]


async def _outcome_of_start(function: Function) -> Outcome:
    return await asyncio.wait_for(asyncio.wrap_future(function.api.init_error), timeout=30)


# Answers


async def test_three_events_in_a_row_are_published_and_marked_and_answered_to_the_byte(world: World) -> None:
    items = [world.item(number) for number in range(3)]
    events = await world.events(*items)

    with world.open_function() as function:
        outcomes = [await function.api.invoke(event) for event in events]

    assert [(outcome.kind, outcome.body) for outcome in outcomes] == [("response", SUCCESS)] * 3
    received = await world.topic.drain(expected=3)
    assert sorted(message.body for message in received) == ["body 0", "body 1", "body 2"]
    await world.assert_marked(*items)
    assert not function.api.init_error.done()


async def test_an_empty_batch_is_answered_with_no_failures(world: World) -> None:
    with world.open_function() as function:
        outcome = await function.api.invoke({"Records": []})

    assert (outcome.kind, outcome.body) == ("response", SUCCESS)


async def test_a_batch_with_one_failing_record_reports_exactly_that_one(world: World) -> None:
    good = [world.item(1), world.item(3)]
    lost = world.item(2, Topic={"S": "there-is-no-such-topic"})
    event = _merge(await world.events(good[0], lost, good[1]))

    with world.open_function() as function:
        outcome = await function.api.invoke(event)

    number = _numbers(event)[1]
    assert outcome.body == f'{{"batchItemFailures": [{{"itemIdentifier": "{number}"}}]}}'.encode()
    assert sorted(message.message_id for message in await world.topic.drain(expected=2)) == ["m-1", "m-3"]
    await world.assert_marked(*good)


async def test_invocations_share_their_clients_and_connections(deployed: Deployed, wire: Wire) -> None:
    variables = {
        "AWS_ENDPOINT_URL": wire.endpoint_url,
        TABLE: "outbox",
        "OUTBOX_RECHECK_AFTER_SECONDS": "3600",  # a slow start must not make the first record old
    }
    with open_function(deployed, variables) as function:
        for _ in range(3):
            outcome = await function.api.invoke(write_event(insert_records(1)))
            assert outcome.body == SUCCESS

    assert wire.counts() == {"PublishBatch": 3, "BatchExecuteStatement": 3}
    assert wire.connections == 1  # at one endpoint, both services share one pool


async def test_a_missing_variable_fails_each_invocation_by_its_name_in_one_process(
    deployed: Deployed,
) -> None:
    # Nobody starts a second process: the one that failed asks for the next invocation.
    with open_function(deployed, {}) as function:
        outcomes = [await function.api.invoke({"Records": []}) for _ in range(2)]

    assert [outcome.kind for outcome in outcomes] == ["error", "error"]
    for outcome in outcomes:
        assert outcome.document["errorType"] == "ConfigurationError"
        assert outcome.document["errorMessage"] == f"{TABLE}: is not set; give the name of the outbox table"


async def test_the_sweeper_in_the_same_package_touches_what_is_old(world: World) -> None:
    long_ago = format_instant(datetime.now(UTC) - timedelta(hours=30))
    item = world.item(1, CreatedAt={"S": long_ago})
    await world.table.put(item)

    with world.open_function(handler=HANDLERS["sweeper"]) as function:
        outcome = await function.api.invoke({"source": "aws.scheduler"})

    assert (outcome.kind, outcome.document["found"], outcome.document["touched"]) == ("response", 1, 1)
    assert await world.table.list_changes(key_of(item, world.table.design)) == ["INSERT", "MODIFY"]


# What goes wrong


@dataclass(frozen=True, slots=True)
class Kill:
    """A moment to kill at, told by the call that hangs, and how often its message is published in the end."""

    service: str
    operation: str
    published: int


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["term", "kill"])
@pytest.mark.parametrize(
    "moment",
    [Kill("SNS", "PublishBatch", 1), Kill("DYNAMODB", "BatchExecuteStatement", 2)],
    ids=["before-the-publish", "between-publish-and-mark"],
)
async def test_a_process_killed_in_the_middle_loses_nothing(
    world: World, wire: Wire, number: signal.Signals, moment: Kill
) -> None:
    """Published once where nothing had gone out, and twice where only the mark was missing."""
    wire.always(moment.operation, "hang")
    item = world.item(1)
    (event,) = await world.events(item)

    with world.open_function({f"AWS_ENDPOINT_URL_{moment.service}": wire.endpoint_url}) as first:
        invocation = first.api.submit(event)
        await eventually(lambda: wire.calls_of(moment.operation) != [])
        first.kill(number)
        assert not invocation.outcome.done()
    stored = await world.table.get(key_of(item, world.table.design))
    assert stored == item
    with world.open_function() as second:
        outcome = await second.api.invoke(event)

    assert outcome.body == SUCCESS
    received = await world.topic.drain(expected=moment.published)
    assert [message.message_id for message in received] == ["m-1"] * moment.published
    await world.assert_marked(item)


async def test_an_answer_comes_before_the_deadline_when_the_endpoint_hangs(
    deployed: Deployed, wire: Wire
) -> None:
    event = write_event(insert_records(3))
    variables = {"AWS_ENDPOINT_URL": wire.endpoint_url, TABLE: "outbox"}
    with open_function(deployed, variables) as function:
        # A cold start takes as long as it likes: the deadline is set when there is a process to meet it.
        assert (await function.api.invoke({"Records": []})).body == SUCCESS
        wire.always("PublishBatch", "hang")
        invocation = function.api.submit(event, remaining_seconds=3.0)
        outcome = await asyncio.wait_for(asyncio.wrap_future(invocation.outcome), timeout=30)

    assert outcome.kind == "response"
    assert outcome.arrived_at < invocation.deadline
    named = [failure["itemIdentifier"] for failure in outcome.document["batchItemFailures"]]
    assert sorted(named) == sorted(_numbers(event))
    assert wire.counts() == {"PublishBatch": 1}


async def test_a_package_that_lacks_a_dependency_fails_at_its_start(
    deployed: Deployed, tmp_path: Path
) -> None:
    """The tests' own environment has the dependency: nothing of it reaches the function."""
    incomplete = replace(deployed, task_root=unpack_package(tmp_path, without="msgspec"))
    with open_function(incomplete, {TABLE: "outbox"}) as function:
        outcome = await _outcome_of_start(function)

    assert outcome.error_type == "Runtime.ImportModuleError"
    assert outcome.document["errorMessage"] == (
        "Unable to import module 'outbox_sdk.lambda_handler': No module named 'msgspec'"
    )
    assert [path.rpartition("runtime/")[2] for path in function.api.requests] == ["init/error"]

"""A backlog that no stream brings, on an embedded stack: found, touched or published, to the last message."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from outbox_sdk import InvalidEventError, RelayConfiguration, open_relay
from outbox_sdk.core.identifiers import Region, TableName
from outbox_sdk.core.text import format_instant
from outbox_sdk.embedded_stack import EmbeddedStack
from outbox_sdk.shell.streams import lambda_event
from outbox_sdk.sweeper_handler import SweeperHandler
from tests.support.admin_commands import read_lines
from tests.support.command import CREDENTIALS, run_outbox
from tests.support.events import FakeContext
from tests.support.outbox_tables import Items, OutboxTable, item_of, key_of, open_outbox_table, read_stream
from tests.support.topics import Topic, open_topic

# The same on every interpreter, and slow: most of it waits for processes.
pytestmark = [pytest.mark.integration, pytest.mark.once]

NOW = datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class World:
    """A table, a FIFO topic with a consumer, and nothing that relays between them."""

    stack: EmbeddedStack
    table: OutboxTable
    topic: Topic

    async def write(self, aggregates: int, steps: int) -> list[Items]:
        """Write an old backlog, the steps of each aggregate in no order and over all kinds of buckets."""
        items = [
            item_of(
                f"order-{aggregate}",
                f"m-{aggregate}-{step}",
                self.table.design,
                marker=("x", "00", "07", "15", "63", "99")[(aggregate + step * 5) % 6],
                CreatedAt={"S": format_instant(NOW - timedelta(hours=30, seconds=-step))},
                Topic={"S": self.topic.name},
                Message={"S": f"{step}"},
            )
            for step in sorted(range(steps), key=lambda step: step * 7919 % steps)
            for aggregate in range(aggregates)
        ]
        for start in range(0, len(items), 25):
            puts = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
            answer = await self.table.dynamodb.batch_write_item(RequestItems={self.table.name: puts})
            assert not answer["UnprocessedItems"]
        return items

    async def stored(self, item: Items) -> Items:
        found = await self.table.get(key_of(item, self.table.design))
        assert found is not None
        return found

    async def run(self, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
        """Run the command; give its exit code and its lines."""
        done = await asyncio.to_thread(
            run_outbox,
            "sweep",
            *("--table", self.table.name, "--endpoint-url", self.stack.endpoint_url),
            *("--region", self.stack.region, "--json", *arguments),
            **CREDENTIALS,
        )
        assert done.stderr == ""
        return done.returncode, read_lines("sweep", done.stdout)

    def configuration(self) -> RelayConfiguration:
        return RelayConfiguration(
            dynamodb_outbox_table_name=TableName(self.table.name),
            aws_endpoint_url=self.stack.endpoint_url,
            aws_region=Region(self.stack.region),
        )


@pytest.fixture
async def world(ministack: EmbeddedStack) -> AsyncIterator[World]:
    async with AsyncExitStack() as exits:
        table = await exits.enter_async_context(open_outbox_table(ministack.endpoint_url))
        topic = await exits.enter_async_context(open_topic(ministack.endpoint_url, fifo=True))
        yield World(ministack, table, topic)


@pytest.fixture
def handler(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[SweeperHandler]:
    """The handler as Lambda would find it."""
    for name in ("AWS_PROFILE", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    monkeypatch.setenv("AWS_ENDPOINT_URL", world.stack.endpoint_url)
    monkeypatch.setenv("DYNAMODB_OUTBOX_TABLE_NAME", world.table.name)
    with closing(SweeperHandler()) as opened:
        yield opened


def context_of(world: World) -> FakeContext:
    arn = f"arn:aws:lambda:{world.stack.region}:{world.stack.account_id}:function:sweeper"
    return FakeContext(function_arn=arn)


async def test_a_backlog_without_a_relay_is_published_to_the_last_message_in_order(world: World) -> None:
    """More than a page of a bucket and more than a chunk, so that both are seen to go on."""
    aggregates, steps = 21, 55
    items = await world.write(aggregates, steps)

    code, lines = await world.run("--publish", "--limit", "5000")

    assert code == 0, lines
    total = aggregates * steps
    (summary,) = lines
    assert summary["outcomes"] == {"dispatched": total}
    assert (summary["found"], summary["failures"], summary["unread"]) == (total, {}, 0)
    since_import = (datetime.now(UTC) - NOW).total_seconds()
    assert summary["oldest_age_seconds"] == pytest.approx(30 * 3_600 + since_import, abs=60)
    received = await world.topic.drain(expected=total)
    assert len(received) == total
    for aggregate in range(aggregates):
        bodies = [message.body for message in received if message.group_id == f"order-{aggregate}"]
        assert bodies == [f"{step}" for step in range(steps)]
    for item in (items[0], items[-1]):
        assert (await world.stored(item))["IsDispatched"] == {"BOOL": True}
    assert (await world.run("--publish"))[1][0]["found"] == 0


async def test_a_touched_backlog_comes_again_through_the_stream_and_what_is_settled_does_not(
    world: World,
) -> None:
    items = await world.write(6, 5)
    settled = {name: value for name, value in items[0].items() if name != "NotDispatched"}
    parked = items[1] | {"NotDispatched": {"S": "parked"}}
    for item in (settled, parked):
        await world.table.put(item)
    lost = len(await read_stream(world.table.streams, world.table.stream_arn))

    code, (summary,) = await world.run()

    assert (code, summary["touched"]) == (0, 28)
    assert await world.stored(settled) == settled
    assert await world.stored(parked) == parked
    records = (await read_stream(world.table.streams, world.table.stream_arn))[lost:]
    assert [record["eventName"] for record in records] == ["MODIFY"] * 28
    credentials = (world.stack.access_key_id, world.stack.secret_access_key)
    async with open_relay(world.configuration(), credentials=credentials) as relay:
        report = await relay.relay_batch(lambda_event(records, world.table.stream_arn))
    assert report.counts() == {"dispatched": 28}
    received = await world.topic.drain(expected=28)
    for aggregate in range(6):
        bodies = [int(message.body) for message in received if message.group_id == f"order-{aggregate}"]
        assert bodies == sorted(bodies)
    assert len(received) == 28


async def test_what_is_touched_is_not_touched_again_at_once(world: World) -> None:
    (item,) = await world.write(1, 1)
    await world.run()
    touched = await world.stored(item)

    code, (summary,) = await world.run()

    assert (code, summary["touched"], summary["skipped"]) == (0, 0, {"touched": 1})
    assert await world.stored(item) == touched


async def test_the_options_say_how_old_and_how_many(world: World) -> None:
    await world.write(1, 5)

    assert (await world.run("--older-than", "720000"))[1][0]["skipped"] == {"young": 5}
    assert (await world.run("--limit", "2"))[1][0]["touched"] == 2


async def test_what_could_not_be_published_is_an_exit_code(world: World) -> None:
    await world.write(1, 3)

    code, lines = await world.run("--publish", "--topic-prefix", "absent-")

    assert code == 1
    assert [line["event"] for line in lines] == ["publish_failed", "backlog_swept"]
    assert lines[0]["code"] == "NotFound"
    assert lines[1]["outcomes"] == {"held": 3}


async def test_a_table_that_cannot_be_read_is_an_exit_code(world: World) -> None:
    code, lines = await world.run("--table", "there-is-no-such-table")

    assert code == 1
    assert [line["event"] for line in lines] == ["buckets_unread", "backlog_swept"]
    assert (lines[0]["count"], lines[1]["unread"]) == (101, 101)


@pytest.mark.parametrize(
    "arguments", [("--limit", "0"), ("--limit", "1000001"), ("--older-than", "-1"), ("--envelope", "xml")]
)
def test_wrong_options_are_refused_with_a_sentence(arguments: tuple[str, ...]) -> None:
    done = run_outbox("sweep", "--table", "outbox", *arguments, AWS_REGION="us-east-1", **CREDENTIALS)

    assert done.returncode == 2, done.stderr
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


def test_publishing_without_marks_is_refused_with_a_sentence() -> None:
    done = run_outbox(
        *("sweep", "--table", "outbox", "--publish"),
        AWS_REGION="us-east-1",
        AWS_ACCOUNT_ID="000000000000",
        OUTBOX_SKIP_MARK_MESSAGES_AS_DISPATCHED="true",
        **CREDENTIALS,
    )

    assert done.returncode == 2
    assert done.stderr.startswith("outbox: OUTBOX_SKIP_MARK_MESSAGES_AS_DISPATCHED: ")


async def test_the_handler_sweeps_by_schedule_and_publishes_when_told(
    world: World, handler: SweeperHandler, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.write(2, 5)
    scheduled = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}

    touched = await asyncio.to_thread(handler, scheduled, context_of(world))
    published = await asyncio.to_thread(handler, {"publish": True, "limit": 7}, context_of(world))

    assert touched["touched"] == 10
    assert published["outcomes"] == {"dispatched": 7}
    assert json.loads(json.dumps(published)) == published
    assert len(await world.topic.drain(expected=7)) == 7
    said = [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if "_aws" in line]
    assert [(each["BacklogOutstanding"], each["BacklogParked"]) for each in said] == [([10], [0]), ([3], [0])]
    assert said[1]["Published"] == said[1]["Marked"] == [7]
    since = (datetime.now(UTC) - NOW).total_seconds()  # which is when this file was loaded
    assert 107_990 <= said[0]["OldestOutstandingAge"][0] <= 108_001 + since, (
        "thirty hours, and what has passed"
    )


async def test_the_handler_warns_of_what_it_could_not_read_and_does_not_raise(
    world: World,
    handler: SweeperHandler,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("DYNAMODB_OUTBOX_TABLE_NAME", "there-is-no-such-table")

    report = await asyncio.to_thread(handler, None, context_of(world))

    assert len(report["unread"]) == 101
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.ERROR, "buckets_unread"),
        (logging.INFO, "backlog_swept"),
    ]


async def test_the_handler_refuses_an_event_that_asks_for_what_there_is_not(
    world: World, handler: SweeperHandler
) -> None:
    with pytest.raises(InvalidEventError, match="limit"):
        await asyncio.to_thread(handler, {"limit": "many"}, context_of(world))

"""What the tests of faults share: an outbox whose topics and table fail as told, and everything it says.

Every body, header and injected error text of these helpers carries :data:`CANARY`. What a user can see of a
batch goes through :func:`say`, and the ``canary`` fixture fails a test in which the canary shows up there.
"""

import asyncio
import itertools
import json
import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec

from outbox_sdk import RelayConfiguration, open_relay
from outbox_sdk.core.identifiers import AccountId, ItemKey, Region, TableName
from outbox_sdk.core.lookup import LookupResult, Unreadable
from outbox_sdk.core.mark import Mark, MarkResult, Park, Unwritten
from outbox_sdk.core.outcome import BatchReport, Outcome
from outbox_sdk.core.publish import EntryFailed, Published, PublishRequest, PublishResponse, RequestFailed
from outbox_sdk.core.report import LogLine, describe_batch, describe_records
from outbox_sdk.core.retry import RetryPolicy
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell.context import RelayContext
from outbox_sdk.shell.relay import relay_batch
from outbox_sdk.testing import InMemoryStack, InMemoryTable, InMemoryTopics
from outbox_sdk.testing.simulation import CANARY
from tests.support.events import insert_record, write_event
from tests.support.outbox_tables import Items, item_of
from tests.support.wire import ACCOUNT_ID, Wire

__all__ = [
    "CANARY",
    "Bench",
    "FailingTable",
    "FailingTopics",
    "Relayed",
    "body_of",
    "entry_failure",
    "event_of",
    "message_entry",
    "open_bench",
    "open_wire_context",
    "parked",
    "parked_at",
    "published",
    "relay",
    "relayed",
    "request_failure",
    "said",
    "say",
]

_said: list[str] = []
_positions = itertools.count()


def say(text: str) -> None:
    """Take note of something that a user can see."""
    _said.append(text)


def said() -> list[str]:
    """Give the list of all that was said in this test; the ``canary`` fixture empties it."""
    return _said


# Messages


def body_of(message_id: str) -> str:
    """Give the body of a message: JSON with the canary and the message's id."""
    return json.dumps({"canary": CANARY, "id": message_id})


def message_entry(
    message_id: str = "m0", *, aggregate_id: str | None = None, topic: str = "t", **attributes: Any
) -> Items:
    """Write the item of an outstanding message, of an aggregate of its own unless one is given.

    ``attributes`` replace what the item has, or remove it where they are ``None``: ``Topic={"N": "5"}``.
    """
    plain = {"Topic": {"S": topic}, "Message": {"S": body_of(message_id)}}
    headers = {"Headers": {"M": {"Canary": {"S": CANARY}}}}
    aggregate = f"a-{message_id}" if aggregate_id is None else aggregate_id
    return item_of(aggregate, message_id, TableDesign.ordered, **{**plain, **headers, **attributes})


# Topics that fail


TopicAnswer = RequestFailed | Mapping[int, EntryFailed] | Literal["hang", "lost"] | None
"""One answer of :class:`FailingTopics`: a failure of the whole request, failures of entries by position,
no answer ever (with ``lost`` after the entries were accepted), or ``None`` for success."""


def request_failure(code: str, status: int = 400, text: str = "") -> RequestFailed:
    """Refuse a whole request, in words that quote the message as SNS does."""
    return RequestFailed(code, status, f"{text} {CANARY}".strip())


def entry_failure(code: str, *, sender_fault: bool = False) -> EntryFailed:
    """Refuse one entry of a request, in words that quote the message."""
    return EntryFailed(code, sender_fault, CANARY)


class FailingTopics(InMemoryTopics):
    """Topics that answer as told: ``script`` call by call, else ``judge`` by the request, else with success.

    ``requests`` are all that came, ``most_in_flight`` is how many there were at a time.
    """

    def __init__(self, *script: TopicAnswer, judge: Callable[[PublishRequest], TopicAnswer] | None = None):
        super().__init__()
        self.script = deque(script)
        self.judge = judge
        self.requests: list[PublishRequest] = []
        self.in_flight = self.most_in_flight = 0

    @property
    def sizes(self) -> list[int]:
        """How many entries each request had."""
        return [len(request.entries) for request in self.requests]

    @property
    def sent(self) -> list[list[str]]:
        """The ids of the messages in each request."""
        return [[entry.message.message_id for entry in request.entries] for request in self.requests]

    async def publish(self, request: PublishRequest) -> PublishResponse:
        self.requests.append(request)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)
            return await self._answer(request)
        finally:
            self.in_flight -= 1

    async def _answer(self, request: PublishRequest) -> PublishResponse:
        answer = self.script.popleft() if self.script else self.judge(request) if self.judge else None
        if isinstance(answer, RequestFailed):
            return answer
        if answer == "hang":
            await asyncio.Event().wait()
        if answer == "lost":
            await super().publish(request)
            return RequestFailed("Timeout", 0, CANARY)
        failures: Mapping[int, EntryFailed] = answer if isinstance(answer, Mapping) else {}
        topic = request.topic.rpartition(":")[2]
        return tuple(
            failures[position] if position in failures else Published(self.accept(topic, entry))
            for position, entry in enumerate(request.entries)
        )


# A table that fails


class FailingTable(InMemoryTable):
    """A table whose calls fail with the codes given, one code a call and then no more.

    ``fail`` has the codes of the next calls by name: ``table.fail["mark"].append("ThrottlingException")``.
    ``calls`` counts what came, failed or not.
    """

    def __init__(self, design: TableDesign = TableDesign.ordered, *, deletes: bool = False) -> None:
        super().__init__(design, deletes=deletes)
        self.fail: dict[str, deque[str]] = {"mark": deque(), "park": deque(), "lookup": deque()}
        self.calls: dict[str, int] = {"mark": 0, "park": 0, "lookup": 0}

    def _next(self, call: str) -> str | None:
        self.calls[call] += 1
        return self.fail[call].popleft() if self.fail[call] else None

    async def mark(self, marks: Sequence[Mark]) -> tuple[MarkResult, ...]:
        code = self._next("mark")
        return await super().mark(marks) if code is None else (Unwritten(code),) * len(marks)

    async def park(self, park: Park, *, now: str) -> MarkResult:
        code = self._next("park")
        return await super().park(park, now=now) if code is None else Unwritten(code)

    async def lookup(self, keys: Sequence[ItemKey]) -> Mapping[ItemKey, LookupResult]:
        code = self._next("lookup")
        return await super().lookup(keys) if code is None else dict.fromkeys(keys, Unreadable(code))

    def remove(self, key: ItemKey) -> None:
        """Delete an item, as somebody does who does not care."""
        self._write(key, None)


# Relaying


@dataclass(frozen=True)
class Relayed:
    """A batch that was relayed, and what the log says of it."""

    report: BatchReport
    lines: tuple[LogLine, ...]

    @property
    def reported(self) -> list[str]:
        """The sequence numbers that Lambda is to bring again."""
        return [failure["itemIdentifier"] for failure in self.report.response["batchItemFailures"]]

    @property
    def outcomes(self) -> list[Outcome]:
        """What became of each record, in the order of the event."""
        return [record.outcome for record in self.report.records]

    @property
    def counts(self) -> Mapping[str, Any]:
        """The fields of the batch's own line."""
        return describe_batch(self.report).fields

    @property
    def events(self) -> list[tuple[str, str]]:
        """Event and level of each line, without the batch's own."""
        return [(line.event, line.level) for line in self.lines[:-1]]

    def line(self, event: str) -> LogLine:
        """Give the one line of an event."""
        (line,) = [line for line in self.lines if line.event == event]
        return line


def relayed(report: BatchReport) -> Relayed:
    """Describe a batch as the handler's log does, and say so."""
    lines = (*describe_records(report), describe_batch(report))
    for line in lines:
        say(f"{line.level} {line.event} {dict(line.fields)!r}")
        say(msgspec.json.encode(line.fields, enc_hook=repr).decode())
    return Relayed(report, lines)


async def relay(context: RelayContext, event: object, *, remaining_seconds: float | None = None) -> Relayed:
    """Relay a batch; what is logged of it, or raised for it, is said."""
    try:
        report = await relay_batch(context, event, remaining_seconds=remaining_seconds)
    except Exception as error:
        say("".join(traceback.format_exception(error)))
        raise
    return relayed(report)


@dataclass
class Bench:
    """A relay between a table and topics in memory, its clock in ``now`` (epoch seconds)."""

    topics: FailingTopics
    table: FailingTable
    context: RelayContext
    _read: int = field(default=0)

    def put(self, *items: Items) -> dict[str, Any]:
        """Commit items; give the event of all records since the last one."""
        for item in items:
            self.table.put(item)
        return self.event()

    def event(self) -> dict[str, Any]:
        """Give the event of all records since the last one, those of the relay's own marks included."""
        records = self.table.records[self._read :]
        self._read = len(self.table.records)
        return write_event(records)

    async def relay(self, event: object, *, remaining_seconds: float | None = None) -> Relayed:
        """Relay a batch."""
        return await relay(self.context, event, remaining_seconds=remaining_seconds)

    async def relay_items(self, *items: Items, remaining_seconds: float | None = None) -> Relayed:
        """Commit items and relay the batch that they make."""
        return await self.relay(self.put(*items), remaining_seconds=remaining_seconds)


def open_bench(
    *script: TopicAnswer,
    judge: Callable[[PublishRequest], TopicAnswer] | None = None,
    deletes: bool = False,
    **context: Any,
) -> Bench:
    """Put a relay between failing doubles. ``context`` replaces fields of the relay's context.

    Pauses between attempts have no length, unless ``jitter`` is given.
    """
    topics, table = FailingTopics(*script, judge=judge), FailingTable(deletes=deletes)
    rules: dict[str, Any] = {"jitter": lambda: 0.0, **context}
    return Bench(
        topics,
        table,
        replace(InMemoryStack().context, publisher=topics, table=table, marker=table, **rules),
    )


def published(topics: InMemoryTopics) -> list[str]:
    """List the ids of the messages that subscribers have got, in order."""
    return [message.message_id for message in topics.published]


def parked(table: InMemoryTable) -> dict[str, str]:
    """Give the reasons of all parked items, by message id, or else by the end of the sort key."""
    return {
        item.get("MessageId", {}).get("S") or item["SK"]["S"].removeprefix("MESSAGE#"): item["ParkReason"][
            "S"
        ]
        for item in table.items.values()
        if item.get("NotDispatched") == {"S": "parked"}
    }


# Over the wire


def event_of(*items: Items, table_name: str = "outbox") -> dict[str, Any]:
    """Give the event of the inserts of items that are in no table of the test.

    The next one goes on in the stream where this one ends: no sequence number comes twice.
    """
    return write_event([insert_record(item, next(_positions)) for item in items], table_name=table_name)


@asynccontextmanager
async def open_wire_context(
    wire: Wire, *, retry: RetryPolicy | None = None, jitter: float = 0.0, **configuration: Any
) -> AsyncIterator[RelayContext]:
    """Open the real clients at the tests' own endpoint, and a relay with them.

    ``jitter`` is the part of each pause that is waited for: without one, retries follow at once.
    """
    settings = {
        "dynamodb_outbox_table_name": TableName("outbox"),
        "aws_endpoint_url": wire.endpoint_url,
        "aws_region": Region("us-east-1"),
        "aws_account_id": AccountId(ACCOUNT_ID),
        **configuration,
    }
    async with open_relay(RelayConfiguration(**settings), credentials=("local", "local")) as opened:
        yield replace(opened.context, retry=retry or RetryPolicy(), jitter=lambda: jitter)


def parked_at(wire: Wire) -> dict[str, str]:
    """Give the reasons of all parks that were sent, by the end of the sort key."""
    return {
        call.body["Key"]["SK"]["S"].removeprefix("MESSAGE#"): call.body["ExpressionAttributeValues"][
            ":reason"
        ]["S"]
        for call in wire.calls_of("UpdateItem")
    }

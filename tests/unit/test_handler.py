"""The handler invoked in ways that Lambda never does: from several threads, and from within its own marks."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from typing import Any

import pytest

from outbox_sdk import lambda_handler
from outbox_sdk.core.mark import Mark, MarkResult
from outbox_sdk.core.publish import PublishRequest, PublishResponse, RequestFailed
from outbox_sdk.lambda_handler import RelayHandler
from outbox_sdk.shell.aws.access import AwsAccess
from outbox_sdk.shell.producer import Outbox
from outbox_sdk.shell.relay import Relay
from outbox_sdk.testing import InMemoryStack, InMemoryTable, InMemoryTopics
from tests.support.events import FakeContext

OUTBOX = Outbox("outbox")
SUCCESS: Any = {"batchItemFailures": []}


class Topics(InMemoryTopics):
    """Answers a little late, so that some messages are on their way while others are marked."""

    def __init__(self) -> None:
        super().__init__()
        self.code = ""
        self.calls = 0

    async def publish(self, request: PublishRequest) -> PublishResponse:
        self.calls += 1
        for _ in range(self.calls % 4 * 5):
            await asyncio.sleep(0)
        return RequestFailed(self.code, 403) if self.code else await super().publish(request)


class Emulator(InMemoryTable):
    """A table whose stream invokes the handler within the write, with all the records that it still holds."""

    request_size = 1

    def __init__(self, *, threads: bool) -> None:
        super().__init__()
        self.threads = threads
        self.handler: RelayHandler | None = None
        self.calls: list[tuple[list[str], Any]] = []
        self.lock = threading.Lock()

    async def mark(self, marks: Sequence[Mark]) -> tuple[MarkResult, ...]:
        with self.lock:  # a server writes one item at a time; the handler it invokes is outside of that
            before = len(self.records)
            (result,) = [self._mark(mark) for mark in marks]
            records = list(self.records)
        results = (result,)
        if len(records) > before:
            if self.threads:
                await asyncio.to_thread(self.invoke, records)
            else:
                self.invoke(records)
        return results

    def invoke(self, records: list[dict[str, Any]]) -> Any:
        assert self.handler is not None
        response = self.handler({"Records": records}, FakeContext())
        self.calls.append(([record["dynamodb"]["SequenceNumber"] for record in records], response))
        return response


class Opened:
    """What the handler opens instead of clients of AWS, and how often."""

    def __init__(self) -> None:
        self.topics = Topics()
        self.table: InMemoryTable = InMemoryTable()
        self.count = self.open = 0

    @asynccontextmanager
    async def open_relay(self, *_: Any, **__: Any) -> AsyncIterator[Relay]:
        self.count += 1
        self.open += 1
        context = replace(
            InMemoryStack().context,
            publisher=self.topics,
            table=self.table,
            marker=self.table,
            recheck_after=0.0,
        )
        clients: Any = None
        try:
            yield Relay(context, clients, AwsAccess(region="us-east-1"))
        finally:
            self.open -= 1


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    opened = Opened()
    monkeypatch.setattr(lambda_handler, "open_relay", opened.open_relay)
    monkeypatch.setenv("DYNAMODB_OUTBOX_TABLE_NAME", "outbox")
    yield opened
    assert opened.open == 0  # whatever was opened is closed with the handler


@pytest.fixture
def handler(opened: Opened) -> Iterator[RelayHandler]:
    with closing(RelayHandler()) as made:
        yield made


def write(table: InMemoryTable, count: int, topic: str) -> list[dict[str, Any]]:
    for number in range(count):
        entry: Any = OUTBOX.put("{}", aggregate_id=f"a{number % 7}", topic=topic, message_id=f"m{number}")
        table.put(entry["Put"]["Item"])
    return list(table.records)


@pytest.mark.parametrize("topic", ["t", "t.fifo"])
@pytest.mark.parametrize("count", [1, 3, 25])
@pytest.mark.parametrize("threads", [False, True], ids=["same thread", "other thread"])
def test_a_batch_invoked_again_from_within_its_marks_publishes_everything_once(
    opened: Opened, handler: RelayHandler, threads: bool, count: int, topic: str
) -> None:
    table = opened.table = Emulator(threads=threads)
    table.handler = handler

    outer = table.invoke(write(table, count, topic))

    assert outer == SUCCESS
    published = Counter(message.message_id for message in opened.topics.published)
    assert published == Counter({f"m{number}": 1 for number in range(count)})
    assert all("NotDispatched" not in item for item in table.items.values())
    assert len(table.calls) == 1 + count  # the first, and one from within each mark
    for numbers, response in table.calls:
        assert list(response) == ["batchItemFailures"]
        named = [failure["itemIdentifier"] for failure in response["batchItemFailures"]]
        assert set(named) <= set(numbers)
        assert named == sorted(set(named), key=int)


def test_a_batch_within_marks_only_marks_what_is_out_already(opened: Opened, handler: RelayHandler) -> None:
    """What one engine has published, all of them know: a batch from within settles the rest."""
    table = opened.table = Emulator(threads=False)
    table.handler = handler

    table.invoke(write(table, 3, "t"))

    assert [response for _, response in table.calls] == [SUCCESS] * 4
    assert opened.topics.calls == 1


def test_invocations_from_several_threads_have_a_loop_each_and_one_memory(
    opened: Opened, handler: RelayHandler
) -> None:
    records = write(opened.table, 20, "t")
    gate = threading.Barrier(4)

    def invoke(_: int) -> Any:
        gate.wait(10)
        return handler({"Records": records}, FakeContext())

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(invoke, range(4)))

    assert sorted(message.message_id for message in opened.topics.published) == sorted(
        f"m{number}" for number in range(20)
    )
    assert 1 <= opened.count <= 4
    assert opened.open == opened.count


async def test_a_caller_with_a_loop_of_its_own_may_invoke_it(opened: Opened, handler: RelayHandler) -> None:
    """A test's own event loop is running in this very thread."""
    assert handler({"Records": write(opened.table, 3, "t")}, FakeContext()) == SUCCESS
    assert asyncio.get_running_loop().is_running()


def test_one_invocation_after_the_other_opens_one_relay(opened: Opened, handler: RelayHandler) -> None:
    for _ in range(3):
        handler({"Records": write(opened.table, 2, "t")}, FakeContext())

    assert opened.count == 1


@pytest.mark.parametrize(
    ("code", "opens"),
    [
        ("ExpiredToken", 3),
        ("InvalidClientTokenId", 3),
        ("UnrecognizedClientException", 3),
        ("AuthorizationError", 1),
        ("Throttled", 1),
    ],
)
def test_credentials_that_are_refused_are_looked_for_anew_at_the_next_invocation(
    opened: Opened, handler: RelayHandler, code: str, opens: int
) -> None:
    records = write(opened.table, 2, "t")
    opened.topics.code = code

    for _ in range(2):
        response = handler({"Records": records}, FakeContext())
        assert len(response["batchItemFailures"]) == 2
    opened.topics.code = ""
    assert handler({"Records": records}, FakeContext()) == SUCCESS
    handler({"Records": records}, FakeContext())

    assert opened.count == opens
    assert opened.open == 1
    assert not any("ParkReason" in item for item in opened.table.items.values())

"""The real relay under a load of known size, on virtual time: what the capacity model is held against.

Calls take the time they are told to take; the relay itself takes none. A batch of given lanes is measured
alone, or batches come from a simulated stream: messages at random times, pollers that read, wait for their
window and invoke, as the model says Lambda does.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from outbox_sdk.core.batch_cost import BatchCost, Calls
from outbox_sdk.core.identifiers import MessageId, TableName
from outbox_sdk.core.items import encode_item
from outbox_sdk.core.mark import Mark, MarkResult
from outbox_sdk.core.plan import Wrapping
from outbox_sdk.core.poller import Poller
from outbox_sdk.core.publish import PublishRequest, PublishResponse
from outbox_sdk.core.quotas import READ_BYTES, READ_RECORDS
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.write_units import example_message
from outbox_sdk.shell.context import RelayContext
from outbox_sdk.shell.relay import relay_batch
from outbox_sdk.testing import InMemoryTable, InMemoryTopics
from outbox_sdk.testing.simulation import run_virtually
from outbox_sdk.testing.table import ROUTING

__all__ = ["Observed", "observe_batch", "observe_stream"]

DESIGN = TableDesign.ordered


class SlowTopics(InMemoryTopics):
    """Topics that take their time, and note when each message was accepted."""

    def __init__(self, calls: Calls) -> None:
        super().__init__(now=lambda: 0.0)
        self.requests = 0
        self.accepted: dict[MessageId, float] = {}
        self._calls = calls

    async def publish(self, request: PublishRequest) -> PublishResponse:
        self.requests += 1
        await asyncio.sleep(self._calls.publish_seconds)
        now = asyncio.get_running_loop().time()
        self.accepted.update((entry.message.message_id, now) for entry in request.entries)
        return await super().publish(request)


class SlowTable(InMemoryTable):
    """A table whose marks take their time, so many in a request."""

    def __init__(self, calls: Calls) -> None:
        super().__init__(DESIGN)
        self.request_size = calls.marks
        self.requests = 0
        self._calls = calls

    async def mark(self, marks: Sequence[Mark]) -> tuple[MarkResult, ...]:
        self.requests += 1
        await asyncio.sleep(self._calls.mark_seconds)
        return await super().mark(marks)


def _context(topics: SlowTopics, table: SlowTable, calls: Calls) -> RelayContext:
    return RelayContext(
        publisher=topics,
        table=table,
        marker=table,
        table_name=TableName("outbox"),
        design=DESIGN,
        wrapping=Wrapping(routing=ROUTING, source="/outbox/outbox"),
        max_concurrency=calls.slots,
        recheck_after=1e12,
    )


def _item(number: int, *, aggregate: str, topic: str) -> dict[str, object]:
    message = example_message(body_bytes=10, design=DESIGN, topic=topic, number=number)
    item: dict[str, object] = dict(encode_item(message, DESIGN))
    return {**item, "PK": {"S": f"AGGREGATE#{aggregate}"}, "AggregateId": {"S": aggregate}}


def observe_batch(topics: Sequence[Sequence[int]], calls: Calls, *, fifo: bool) -> BatchCost:
    """Relay one batch whose topics hold lanes of these lengths; count its calls and take its time."""
    publisher, table = SlowTopics(calls), SlowTable(calls)
    number = 0
    # One message of each lane after the other, so that all lanes are open from the start.
    for depth in range(max((max(lanes) for lanes in topics), default=0)):
        for topic, lanes in enumerate(topics):
            for lane, length in enumerate(lanes):
                if depth < length:
                    name = f"topic-{topic}.fifo" if fifo else f"topic-{topic}"
                    table.put(_item(number, aggregate=f"{topic}-{lane}", topic=name))
                    number += 1

    async def run() -> float:
        report = await relay_batch(_context(publisher, table, calls), {"Records": table.records[:number]})
        assert report.counts() == {"dispatched": number}
        return asyncio.get_running_loop().time()

    seconds = run_virtually(run())
    accepted = publisher.accepted.values()
    return BatchCost(
        publish_requests=publisher.requests,
        mark_requests=table.requests,
        publish_seconds=max(accepted),
        mean_publish_seconds=sum(accepted) / number,
        seconds=seconds,
    )


@dataclass(frozen=True)
class Observed:
    """What pollers have come to: a batch on average, calls of a message, lags in seconds.

    ``invocation_seconds`` and the calls are of all messages. The lags leave out the first quarter, before it
    is steady, and the last tenth, whose batches nothing fills; ``lag_before`` is that of the second quarter.
    """

    messages: float
    publish_calls: float
    mark_calls: float
    invocation_seconds: float
    lag: float
    lag_99: float
    lag_before: float


class _Lambda:
    """Pollers that read a stream of arrivals and invoke the real relay."""

    def __init__(self, poller: Poller, arrivals: Sequence[tuple[float, Mapping[str, object]]]) -> None:
        self.topics = SlowTopics(poller.calls)
        self.table = SlowTable(poller.calls)
        self.batches = 0
        self.busy_seconds = 0.0
        self._poller = poller
        self._arrivals = arrivals
        self._position = 0

    async def go_round(self) -> None:
        """Go round until all has been relayed, as :func:`~outbox_sdk.core.poller.plan_turn` supposes."""
        poller, loop = self._poller, asyncio.get_running_loop()
        context = _context(self.topics, self.table, poller.calls)
        while self._position < len(self._arrivals):
            await asyncio.sleep(poller.poll_seconds)
            batch = self._read(poller.batch_size)
            if not batch:
                continue
            closes = loop.time() + poller.window_seconds
            while len(batch) < poller.batch_size and loop.time() < closes:
                await asyncio.sleep(min(poller.poll_seconds, closes - loop.time()))
                batch += self._read(poller.batch_size - len(batch))
            first = len(self.table.records)
            for item in batch:
                self.table.put(item)
            began = loop.time()
            await relay_batch(context, {"Records": self.table.records[first:]})
            self.busy_seconds += loop.time() - began
            self.batches += 1

    def _read(self, limit: int) -> list[Mapping[str, object]]:
        now = asyncio.get_running_loop().time()
        # A read is cut by records and by bytes, among which are those that the filter drops.
        limit = min(
            limit,
            READ_RECORDS // self._poller.records_per_message,
            READ_BYTES // self._poller.bytes_per_message,
        )
        found: list[Mapping[str, object]] = []
        while len(found) < limit and self._position < len(self._arrivals):
            time, item = self._arrivals[self._position]
            if time > now:
                break
            found.append(item)
            self._position += 1
        return found


def observe_stream(poller: Poller, *, seconds: float, pollers: int = 1, seed: int = 1) -> Observed:
    """Let messages come at random for so long, at each of so many pollers, and relay them all."""
    source = random.Random(seed)
    times: dict[MessageId, float] = {}
    works = []
    number = 0
    for _ in range(pollers):
        arrivals: list[tuple[float, Mapping[str, object]]] = []
        time = source.expovariate(poller.arrivals)
        while time < seconds:
            aggregate = source.randrange(round(poller.aggregates or 1_000_000))
            topic = f"topic-{aggregate % poller.topics}{'.fifo' if poller.aggregates else ''}"
            item = _item(number, aggregate=str(aggregate), topic=topic)
            arrivals.append((time, item))
            times[MessageId(item["MessageId"]["S"])] = time  # type: ignore[index]
            time += source.expovariate(poller.arrivals)
            number += 1
        works.append(_Lambda(poller, arrivals))

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work.go_round())

    run_virtually(run())
    by_arrival = sorted(
        (times[message_id], accepted - times[message_id])
        for work in works
        for message_id, accepted in work.topics.accepted.items()
    )
    lags = [lag for _, lag in by_arrival]
    assert len(lags) == number
    quarter, steady = lags[number // 4 : number // 2], sorted(lags[number // 4 : number * 9 // 10])
    batches = sum(work.batches for work in works)
    return Observed(
        messages=number / batches,
        publish_calls=sum(work.topics.requests for work in works) / number,
        mark_calls=sum(work.table.requests for work in works) / number,
        invocation_seconds=sum(work.busy_seconds for work in works) / batches,
        lag=sum(steady) / len(steady),
        lag_99=steady[len(steady) * 99 // 100],
        lag_before=sum(quarter) / len(quarter),
    )

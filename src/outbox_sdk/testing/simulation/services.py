"""The services of a simulation and the way to them: the relay's ports, with latency and faults."""

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from outbox_sdk.core.backlog import BucketPage, FetchResult, Touch, Touched, TouchResult
from outbox_sdk.core.identifiers import Item, ItemKey
from outbox_sdk.core.lookup import LookupResult, Unreadable
from outbox_sdk.core.mark import Mark, Marked, MarkResult, Park, Unwritten
from outbox_sdk.core.publish import (
    EntryFailed,
    Published,
    PublishRequest,
    PublishResponse,
    RequestFailed,
)
from outbox_sdk.core.table import TableDesign
from outbox_sdk.testing.simulation.ledger import Ledger
from outbox_sdk.testing.simulation.sandbox import Sandbox
from outbox_sdk.testing.simulation.scenario import Fault, FaultPlan, Operation
from outbox_sdk.testing.simulation.stream import SimulatedStream
from outbox_sdk.testing.simulation.tracked import EPOCH, Acceptance, Invocation
from outbox_sdk.testing.table import InMemoryTable
from outbox_sdk.testing.topics import InMemoryTopics, name_of

__all__ = ["TOPIC_MAX_BYTES", "SimulatedPorts", "SimulatedTable"]

_T = TypeVar("_T")

TOPIC_MAX_BYTES = 2_048
"""The message size limit here, and that of a request to a topic: small, so that requests are often full."""


class SimulatedTable(InMemoryTable):
    """The double of the table, with a stream of several shards and an index that lags behind."""

    def __init__(
        self,
        design: TableDesign,
        stream: SimulatedStream,
        ledger: Ledger,
        *,
        deletes: bool,
        index_lag: float = 0.0,
    ) -> None:
        super().__init__(design, deletes=deletes)
        self._stream = stream
        self._ledger = ledger
        ledger.items = self.items
        self.changed: asyncio.Event = asyncio.Event()
        self._index_lag = index_lag
        self._index = InMemoryTable(design)
        self._index_at = -math.inf
        self._buckets: frozenset[str] = frozenset()

    async def list_bucket(self, bucket: str, *, cursor: Item | None, limit: int) -> BucketPage | Unreadable:
        """Read a page of the index as it was some time ago."""
        if not self.holds(bucket):
            return BucketPage(())
        return await self._index.list_bucket(bucket, cursor=cursor, limit=limit)

    def holds(self, bucket: str) -> bool:
        """Tell whether the index had anything in a bucket some time ago."""
        if self._ledger.now > self._index_at + self._index_lag:
            self._index.items, self._index_at = dict(self.items), self._ledger.now
            markers = (item.get(self.design.not_dispatched, {}) for item in self.items.values())
            self._buckets = frozenset(marker.get("S", "") for marker in markers)
        return bucket in self._buckets

    def _emit(self, key: ItemKey, new: dict[str, Any] | None, old: dict[str, Any] | None) -> None:
        self._ledger.written(key, new)
        self._stream.append(key, new=new, old=old, now=EPOCH + self._ledger.now)
        self.changed.set()

    def remove(self, key: ItemKey) -> None:
        """Delete an item, as somebody does who does not care."""
        self._write(key, None)


class SimulatedPorts:
    """All ports of one process. Each call meets what the plan has for it, and takes its time.

    A process that dies, or gives a call up, leaves the request on its way: it may still arrive.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        table: SimulatedTable,
        topics: InMemoryTopics,
        *,
        plan: FaultPlan,
        ledger: Ledger,
        request_size: int,
    ) -> None:
        self.invocation: Invocation | None = None
        self.request_size = request_size
        self.deletes: bool = table.deletes
        self._sandbox = sandbox
        self._table = table
        self._topics = topics
        self._plan = plan
        self._ledger = ledger

    @property
    def _running(self) -> Invocation:
        assert self.invocation is not None  # noqa: S101 - set before anything runs
        return self.invocation

    async def _call(
        self, operation: Operation, target: str, size: int, work: Callable[[Fault], _T]
    ) -> _T | Fault:
        """Send a request; give what ``work`` answers at the service, or the fault that befell it."""
        if not self._sandbox.alive:
            raise asyncio.CancelledError  # a dead process begins nothing
        loop = asyncio.get_running_loop()
        fault = self._plan.fault(operation, target, size, loop.time())
        if fault.kind != "none":
            self._ledger.note(
                "%s: %s meets %s %s", self._sandbox.name, operation, fault.kind, fault.code or ""
            )
        answer: asyncio.Future[_T | Fault] = loop.create_future()

        def resolve(value: _T | Fault) -> None:
            if not answer.done():
                answer.set_result(value)

        def arrive() -> None:
            value = work(fault)
            if fault.kind == "answer_lost":
                loop.call_later(fault.seconds, resolve, fault)
            else:
                loop.call_later(self._plan.latency(), resolve, value)

        arrival: asyncio.TimerHandle | None = None
        if fault.kind == "unreached":
            loop.call_later(fault.seconds, resolve, fault)
        elif fault.kind == "refused":
            loop.call_later(2 * self._plan.latency(), resolve, fault)
        else:
            arrival = loop.call_later(self._plan.latency(), arrive)
        try:
            return await answer
        except asyncio.CancelledError:
            if arrival is not None and arrival.when() > loop.time() and not self._plan.arrives():
                arrival.cancel()
            raise

    async def publish(self, request: PublishRequest) -> PublishResponse:
        """Publish; every acceptance is known to the ledger, also where the relay never hears of it."""
        topic = name_of(request.topic)
        accepted: dict[int, Acceptance] = {}

        def work(fault: Fault) -> PublishResponse:
            return self._accept(request, topic, fault, accepted)

        answer = await self._call("publish", topic, len(request.entries), work)
        if isinstance(answer, Fault):
            if answer.status:
                self._ledger.refused(topic, answer.code)
            return RequestFailed(answer.code, answer.status)
        if not isinstance(answer, RequestFailed):
            for position, result in enumerate(answer):
                if isinstance(result, Published):
                    accepted[position].answered = True
        return answer

    def _accept(
        self, request: PublishRequest, topic: str, fault: Fault, accepted: dict[int, Acceptance]
    ) -> PublishResponse:
        ledger, invocation = self._ledger, self._running
        ledger.publishing(request, TOPIC_MAX_BYTES)
        kinds = [ledger.messages[entry.message.key].commit.kind for entry in request.entries]
        if "refused" in kinds:
            return RequestFailed("InvalidParameter", 400)
        results: list[Published | EntryFailed] = []
        for position, (entry, kind) in enumerate(zip(request.entries, kinds, strict=True)):
            hit = fault.kind == "partial" and position in fault.positions
            if kind == "rejected":
                results.append(EntryFailed("InvalidParameter", sender_fault=True))
            elif hit and fault.code != "MissingFromResponse":
                ledger.refused(topic, fault.code)
                results.append(EntryFailed(fault.code, sender_fault=True))
            else:
                before = len(self._topics.published)
                sns_message_id = self._topics.accept(topic, entry)
                acceptance = Acceptance(
                    ledger.now,
                    invocation,
                    entry.message.redrive_count,
                    delivered=len(self._topics.published) > before,
                )
                accepted[position] = acceptance
                ledger.accept(entry.message.key, acceptance)
                results.append(EntryFailed(fault.code) if hit else Published(sns_message_id))
        return tuple(results)

    async def mark(self, marks: Sequence[Mark]) -> tuple[MarkResult, ...]:
        """Mark; each statement of a request may fail for itself."""

        def work(fault: Fault) -> tuple[MarkResult, ...]:
            if not 1 <= len({mark.key for mark in marks}) == len(marks) <= self.request_size:
                self._ledger.violate("illegal request", f"{len(marks)} marks in one request")
            results: list[MarkResult] = []
            for position, mark in enumerate(marks):
                if fault.kind == "partial" and position in fault.positions:
                    results.append(Unwritten(fault.code))
                else:
                    self._ledger.marking(mark.key, mark.redrive_count)
                    results.extend(_finish(self._table.mark([mark])))
            return tuple(results)

        answer = await self._call("mark", "table", len(marks), work)
        return (Unwritten(answer.code),) * len(marks) if isinstance(answer, Fault) else answer

    async def park(self, park: Park, *, now: str) -> MarkResult:
        """Park one item."""

        def work(_: Fault) -> MarkResult:
            result = _finish(self._table.park(park, now=now))
            if result == Marked():
                self._ledger.note("%s parked: %s", self._ledger.name(park.key), park.reason)
                self._ledger.parking(park.key, park.reason)
            return result

        answer = await self._call("park", "table", 1, work)
        return Unwritten(answer.code) if isinstance(answer, Fault) else answer

    async def lookup(self, keys: Sequence[ItemKey]) -> Mapping[ItemKey, LookupResult]:
        """Look items up; keys may be left unprocessed."""

        def work(fault: Fault) -> Mapping[ItemKey, LookupResult]:
            if not 1 <= len(set(keys)) == len(keys) <= 100:
                self._ledger.violate("illegal request", f"{len(keys)} keys in one read")
            results = dict(_finish(self._table.lookup(keys)))
            results.update((key, Unreadable(fault.code)) for key in _hit(keys, fault))
            return results

        answer = await self._call("lookup", "table", len(keys), work)
        return dict.fromkeys(keys, Unreadable(answer.code)) if isinstance(answer, Fault) else answer

    async def list_bucket(self, bucket: str, *, cursor: Item | None, limit: int) -> BucketPage | Unreadable:
        """Read the index, in pages of one item."""

        def work(_: Fault) -> BucketPage | Unreadable:
            return _finish(self._table.list_bucket(bucket, cursor=cursor, limit=1))

        if not self._table.holds(bucket):
            return BucketPage(())  # at once and without a fault: there are ninety of them in every sweep
        answer = await self._call("query", "table", 1, work)
        if isinstance(answer, Fault):
            self._running.blind = True
            return Unreadable(answer.code)
        return answer

    async def fetch(self, keys: Sequence[ItemKey], *, whole: bool) -> Mapping[ItemKey, FetchResult]:
        """Read items; keys may be left unprocessed."""

        def work(fault: Fault) -> Mapping[ItemKey, FetchResult]:
            results = dict(_finish(self._table.fetch(keys, whole=whole)))
            results.update((key, Unreadable(fault.code)) for key in _hit(keys, fault))
            return results

        answer = await self._call("fetch", "table", len(keys), work)
        return dict.fromkeys(keys, Unreadable(answer.code)) if isinstance(answer, Fault) else answer

    async def touch(self, touch: Touch) -> TouchResult:
        """Touch one item."""

        def work(_: Fault) -> TouchResult:
            before = self._table.items.get(touch.key, {})
            result = _finish(self._table.touch(touch))
            if isinstance(result, Touched):
                self._ledger.touched(touch.key, self._running, before)
            return result

        answer = await self._call("touch", "table", 1, work)
        return Unwritten(answer.code) if isinstance(answer, Fault) else answer


def _hit(keys: Sequence[ItemKey], fault: Fault) -> Iterator[ItemKey]:
    """Give the keys that a fault leaves unprocessed."""
    if fault.kind == "partial":
        yield from (key for position, key in enumerate(keys) if position in fault.positions)


def _finish(call: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine of a double, which never waits, to its end."""
    try:
        call.send(None)
    except StopIteration as stop:
        value: _T = stop.value
        return value
    raise RuntimeError("a double waited")

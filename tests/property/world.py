"""A small world for the real relay: a table, its stream, topics, and a Lambda that brings batches again.

Everything is in memory and on a virtual clock. Each call of the relay may meet a fault, taken from a list
of its port; when the lists are used up the world is calm. What must hold at every step is asserted
here, at the moment it would break.
"""

import asyncio
import selectors
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from outbox_sdk.core.checkpoint import count_settled
from outbox_sdk.core.destinations import SNS, route_of
from outbox_sdk.core.identifiers import AccountId, ItemKey, Region, TableName, TopicName
from outbox_sdk.core.lookup import Found, LookupResult, Missing, Unreadable
from outbox_sdk.core.mark import Mark, Marked, MarkResult, Park, Unwritten
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.outcome import BatchReport
from outbox_sdk.core.plan import Wrapping
from outbox_sdk.core.publish import (
    EntryFailed,
    Published,
    PublishRequest,
    PublishResponse,
    RequestFailed,
    publish_batch_request,
)
from outbox_sdk.core.routing import Routing
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell.context import PublishedMemo, RelayContext
from outbox_sdk.shell.relay import relay_batch
from tests.property.oracles import check_publish_batch
from tests.property.strategies import wire_record

__all__ = ["BAD", "TOPICS", "Acceptance", "Fault", "World", "run_virtually"]

BAD = "refused-by-sns"
"""A body with this in it makes SNS answer 400 to the whole request."""

DESIGN = TableDesign.ordered
TOPICS = frozenset(
    map(
        TopicName,
        ("one.fifo", "two.fifo", "standard", "sqs:three.fifo", "kinesis:four", "eventbridge:five"),
    )
)
"""Everything that messages may go to, some of it in order."""

ARN = "arn:aws:sns:eu-west-1:123456789012:"


class Fault(NamedTuple):
    """What goes wrong at one call; ``mask`` chooses the entries of a request that it hits."""

    kind: str
    mask: int = 0

    def hits(self, position: int) -> bool:
        """Whether it hits the entry at this place."""
        return bool(self.mask >> (position % 4) & 1)


CALM = Fault("none")


class Acceptance(NamedTuple):
    """SNS accepted an entry; ``delivered`` is False for a repeat that a FIFO topic drops."""

    topic: str
    key: ItemKey
    delivered: bool


@dataclass
class World:
    """The state of everything, and the ports that the relay uses on it."""

    faults: dict[str, list[Fault]] = field(default_factory=dict)
    batch_size: int = 10
    recheck_after: float = 5.0
    remaining_seconds: float | None = None
    can_delete: bool = False
    items: dict[ItemKey, dict[str, Any]] = field(default_factory=dict)
    stream: list[dict[str, Any]] = field(default_factory=list)
    accepted: list[Acceptance] = field(default_factory=list)
    reports: list[BatchReport] = field(default_factory=list)
    now: float = 1_000_000.0
    calls: int = 0
    request_size: int = 25
    _number: int = 10**20 - 3
    _deduplicated: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.restart()

    @property
    def deletes(self) -> bool:
        """What the marker's strategy does to an item."""
        return self.can_delete

    def restart(self) -> None:
        """A new process: nothing is remembered."""
        routing = Routing(region=Region("eu-west-1"), account_id=AccountId("123456789012"), allowed=TOPICS)
        self.context = RelayContext(
            publisher=self,
            table=self,
            marker=self,
            table_name=TableName("outbox"),
            design=DESIGN,
            wrapping=Wrapping(routing=routing, source="/outbox/outbox"),
            max_concurrency=3,
            recheck_after=self.recheck_after,
            now=lambda: self.now,
            jitter=lambda: 0.0,
            memo=PublishedMemo(),
        )

    # The table and its stream

    def write(self, key: ItemKey, item: dict[str, Any] | None) -> None:
        """Put, replace or delete an item; a change makes a record."""
        old = self.items.pop(key, None)
        if item is not None:
            self.items[key] = item
        if item != old:
            self._number += 7
            self.stream.append(wire_record(key, str(self._number), new=item, old=old, creation=self.now))

    def marker_of(self, key: ItemKey) -> str | None:
        """The item's ``NotDispatched``, if it is there and has one."""
        value = self.items.get(key, {}).get(DESIGN.not_dispatched)
        return None if value is None else str(value.get("S"))

    def _fault(self, call: str) -> Fault:
        self.calls += 1
        faults = self.faults.get(call)
        return faults.pop(0) if faults else CALM

    # The ports

    async def publish(self, request: PublishRequest) -> PublishResponse:
        """``PublishBatch`` or its like: all its rules, and the faults of the network around it."""
        self._check(request)
        fault = self._fault("publish")
        await asyncio.sleep(0)
        match fault.kind:
            case "throttled":
                return RequestFailed("Throttled", 429)
            case "closed":
                return RequestFailed("ConnectionClosed", 0)
            case "missing topic":
                return RequestFailed("NotFound", 404)
            case "hang":
                await asyncio.sleep(1_000_000)
            case _:
                pass  # it gets as far as SNS
        if any(BAD in entry.envelope.body for entry in request.entries):
            return RequestFailed("InvalidParameter", 400)
        results: list[Published | EntryFailed] = []
        for position, entry in enumerate(request.entries):
            if fault.kind == "partial" and fault.hits(position):
                results.append(EntryFailed("InternalError"))
            elif fault.kind == "partly denied" and fault.hits(position):
                results.append(EntryFailed("KMSAccessDenied", sender_fault=True))
            else:
                self._accept(request.topic, entry.message, entry.deduplication_id)
                lost = fault.kind == "partly unanswered" and fault.hits(position)
                results.append(EntryFailed("MissingFromResponse") if lost else Published("sns"))
        if fault.kind == "answer lost":
            return RequestFailed("Timeout", 0)
        if fault.kind == "answer late":
            await asyncio.sleep(1_000_000)
        return tuple(results)

    @staticmethod
    def _check(request: PublishRequest) -> None:
        takes, _ = route_of(request.topic)
        if takes is SNS:
            check_publish_batch(publish_batch_request(request), limit=262_144)
            return
        assert 1 <= len(request.entries) <= takes.max_entries
        assert sum(entry.size for entry in request.entries) <= takes.request_bytes
        lanes = [entry.group_id for entry in request.entries if entry.group_id is not None]
        assert len(set(lanes)) == len(lanes)

    def _accept(self, topic: str, message: OutboxMessage, deduplication_id: str | None) -> None:
        repeated = deduplication_id is not None and (topic, deduplication_id) in self._deduplicated
        if deduplication_id is not None:
            self._deduplicated.add((topic, deduplication_id))
        self.accepted.append(Acceptance(topic.removeprefix(ARN), message.key, not repeated))

    async def mark(self, marks: Sequence[Mark]) -> tuple[MarkResult, ...]:
        """Mark or delete, on the condition that the marker stands; only what was accepted may be marked."""
        assert 1 <= len({mark.key for mark in marks}) == len(marks) <= self.request_size
        accepted = {acceptance.key for acceptance in self.accepted}
        assert all(mark.key in accepted for mark in marks), "marked before it was accepted"
        fault = self._fault("mark")
        await asyncio.sleep(0)
        results: list[MarkResult] = []
        for position, mark in enumerate(marks):
            hit = fault.hits(position)
            if fault.kind == "throttled" or (fault.kind == "partial" and hit):
                results.append(Unwritten("ThrottlingError"))
            elif fault.kind in ("partly denied", "missing topic") and hit:
                results.append(Unwritten("AccessDenied"))
            elif self._settle(mark):
                results.append(Unwritten("Timeout") if fault.kind == "answer lost" else Marked())
            else:
                results.append(Marked(gone=True))
        if fault.kind in ("hang", "answer late"):
            await asyncio.sleep(1_000_000)
        return tuple(results)

    def _settle(self, mark: Mark) -> bool:
        item = self.items.get(mark.key)
        if self.can_delete:
            self.write(mark.key, None)
            return True
        if item is None or item.get(DESIGN.not_dispatched) != mark.marker:
            return False
        kept = {name: value for name, value in item.items() if name != DESIGN.not_dispatched}
        dispatched = {
            DESIGN.is_dispatched: {"BOOL": True},
            DESIGN.dispatch_count: {"N": str(mark.dispatch_count)},
            DESIGN.last_dispatched_at: {"S": mark.dispatched_at},
        }
        self.write(mark.key, {**kept, **dispatched})
        return True

    async def lookup(self, keys: Sequence[ItemKey]) -> Mapping[ItemKey, LookupResult]:
        """A consistent read of at most 100 items, all of them or some."""
        assert 1 <= len(set(keys)) == len(keys) <= 100
        fault = self._fault("lookup")
        await asyncio.sleep(0)
        if fault.kind in ("hang", "answer late"):
            await asyncio.sleep(1_000_000)
        in_part = fault.kind in ("partial", "partly denied")
        results: dict[ItemKey, LookupResult] = {}
        for position, key in enumerate(keys):
            if fault.kind in ("throttled", "closed") or (in_part and fault.hits(position)):
                results[key] = Unreadable("Throttled")
            elif key in self.items:
                results[key] = Found(self.marker_of(key) not in (None, "parked"))
            else:
                results[key] = Missing()
        return results

    async def park(self, park: Park, *, now: str) -> MarkResult:
        """Set an item aside, on the condition that the marker stands."""
        fault = self._fault("park")
        await asyncio.sleep(0)
        if fault.kind in ("throttled", "partly denied"):
            return Unwritten("ThrottlingException" if fault.kind == "throttled" else "AccessDeniedException")
        item = self.items.get(park.key)
        if item is None or item.get(DESIGN.not_dispatched) != park.marker:
            return Marked(gone=True)
        parked = {DESIGN.parked_at: {"S": now}, DESIGN.park_reason: {"S": park.reason}}
        self.write(park.key, {**item, DESIGN.not_dispatched: {"S": "parked"}, **parked})
        if fault.kind == "answer lost":
            return Unwritten("Timeout")
        if fault.kind in ("hang", "answer late"):
            await asyncio.sleep(1_000_000)
        return Marked()

    # Lambda

    async def deliver(self) -> None:
        """Bring one batch, and take from the stream what the response settles."""
        batch = self.stream[: self.batch_size]
        self.now += 1.0
        loop = asyncio.get_running_loop()
        begun = loop.time()
        report = await relay_batch(self.context, {"Records": batch}, remaining_seconds=self.remaining_seconds)
        assert asyncio.all_tasks() == {asyncio.current_task()}, "a task was left running"
        if self.remaining_seconds is not None:
            assert loop.time() - begun <= self.remaining_seconds
        self.reports.append(report)
        numbers = [record["dynamodb"]["SequenceNumber"] for record in batch]
        assert [record.sequence_number for record in report.records] == numbers
        named = [failure["itemIdentifier"] for failure in report.response["batchItemFailures"]]
        assert len(set(named)) == len(named)
        assert set(named) <= set(numbers)
        del self.stream[: count_settled(batch, report.response)]

    async def deliver_until_quiet(self) -> None:
        """Bring batches until nothing is left; calm comes when the faults are used up."""
        deliveries = 0
        while self.stream:
            deliveries += 1
            assert deliveries <= 300, "it never comes to rest"
            await self.deliver()


class _VirtualSelector(selectors.DefaultSelector):
    """Instead of waiting, moves the clock to where something happens."""

    skipped: float = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everything waits for something that never happens"
            self.skipped += max(timeout, 0.0)
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _VirtualSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.skipped


def run_virtually(world: World, *, deliveries: int | None = None) -> None:
    """Let Lambda bring batches until the world is quiet, or as many as are asked for, in no time."""
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        if deliveries is None:
            runner.run(world.deliver_until_quiet())
        else:
            for _ in range(deliveries):
                runner.run(world.deliver())

"""A simulated table with its stream, and relays behind event source mappings, all within reach of a test.

:func:`~outbox_sdk.testing.simulation.simulate` plays one relay to its end. Here a test may put several beside
each other, have the function throttled, and replay what a mapping has given up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, Self, TypeVar

from outbox_sdk.core.outcome import BatchReport
from outbox_sdk.shell.context import HoldMemo, InFlight, PublishedMemo, RelayContext
from outbox_sdk.shell.relay import relay_batch
from outbox_sdk.testing import InMemoryStack, InMemoryTopics
from outbox_sdk.testing.simulation import CALM, Calm, Commit, FaultPlan, Scenario, run_virtually
from outbox_sdk.testing.simulation import Mapping as MappingSettings
from outbox_sdk.testing.simulation.event_source import SimulatedMapping
from outbox_sdk.testing.simulation.function import Process, SimulatedFunction
from outbox_sdk.testing.simulation.ledger import Ledger
from outbox_sdk.testing.simulation.sandbox import Sandbox, follow_tasks
from outbox_sdk.testing.simulation.services import SimulatedPorts, SimulatedTable
from outbox_sdk.testing.simulation.stream import SimulatedStream
from outbox_sdk.testing.simulation.tracked import EPOCH, Invocation
from tests.faults.support import message_entry, relayed

__all__ = ["CALM", "Deployment", "play", "restart"]

_T = TypeVar("_T")
_Batch = Sequence[Mapping[str, Any]]


class Deployment:
    """A table and as many relays as are added, each with a mapping of its own, on a virtual loop.

    ``ledger`` checks what must always hold. Leaving the block stops the mappings.
    """

    def __init__(self, *commits: Commit) -> None:
        loop = asyncio.get_running_loop()
        follow_tasks(loop)
        self._scenario = Scenario(commits=commits)
        self._design = InMemoryStack().table.design
        self.ledger = Ledger(self._scenario, self._design, clock=loop.time, tracing=True)
        self._stream = SimulatedStream(1)
        self.table = SimulatedTable(self._design, self._stream, self.ledger, deletes=False)
        self.topics = InMemoryTopics(now=loop.time)
        self._mappings: list[SimulatedMapping] = []
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._resources.aclose()

    def commit(self) -> None:
        """Commit all messages; the n-th is called ``m<n>``."""
        for number, commit in enumerate(self._scenario.commits):
            item = message_entry(f"m{number}", aggregate_id=commit.aggregate, topic=commit.topic)
            self.ledger.commit(self.table.key_of(item), commit)
            self.table.put(item)

    def add_relay(
        self,
        plan: FaultPlan | None = None,
        *,
        settings: MappingSettings | None = None,
        throttled: int = 0,
    ) -> SimulatedMapping:
        """Read the stream with one relay more. Its first ``throttled`` invocations find no concurrency."""
        plan = plan or Calm()
        function = SimulatedFunction(
            f"relay-{len(self._mappings)}",
            lambda sandbox: self._open(sandbox, plan),
            relaying=self._scenario.relaying,
            plan=plan,
            ledger=self.ledger,
        )
        mapping = SimulatedMapping(
            self._stream,
            _throttle(function.invoke, throttled),
            settings=settings or MappingSettings(),
            design=self._design,
            plan=plan,
            ledger=self.ledger,
            changed=self.table.changed,
        )
        task = asyncio.create_task(mapping.run())
        self._resources.push_async_callback(_cancel, task)
        self._mappings.append(mapping)
        return mapping

    def _open(self, sandbox: Sandbox, plan: FaultPlan) -> Process:
        ports = SimulatedPorts(
            sandbox, self.table, self.topics, plan=plan, ledger=self.ledger, request_size=25
        )
        loop = asyncio.get_running_loop()
        context = replace(
            InMemoryStack().context,
            publisher=ports,
            table=ports,
            marker=ports,
            now=lambda: EPOCH + loop.time(),
            jitter=lambda: 0.5,
        )
        return Process(sandbox, context, ports)

    async def rest(self) -> None:
        """Wait until every mapping has read the stream to its end."""
        await asyncio.sleep(0)
        for mapping in self._mappings:
            async with asyncio.timeout(86_400):
                await mapping.rested.wait()

    async def replay(self, records: _Batch) -> BatchReport:
        """Relay records by hand, in a process of its own."""
        _, context, ports = self._open(Sandbox("by hand"), Calm())
        invocation = ports.invocation = Invocation(1_000, "by hand", self.ledger.now)
        self.ledger.begin(invocation, records)
        report = await relay_batch(context, {"Records": list(records)})
        self.ledger.end(invocation)
        return relayed(report).report

    @property
    def changes(self) -> int:
        """How many records the stream has had."""
        return sum(shard.end for shard in self._stream.shards)

    @property
    def published(self) -> list[str]:
        """The ids of all messages that topics have delivered, in order."""
        return [message.message_id for message in self.topics.published]


def restart(context: RelayContext, **changes: Any) -> RelayContext:
    """The same relay in a fresh process, which remembers nothing."""
    fresh = replace(
        context, memo=PublishedMemo(), done=PublishedMemo(), holds=HoldMemo(), in_flight=InFlight()
    )
    return replace(fresh, **changes)


def _throttle(invoke: Callable[[_Batch], Awaitable[Any]], times: int) -> Callable[[_Batch], Awaitable[Any]]:
    left = times

    async def throttled(batch: _Batch) -> Any:
        nonlocal left
        left -= 1
        return None if left >= 0 else await invoke(batch)

    return throttled


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled() and (error := task.exception()):
        raise error


def play(main: Awaitable[_T]) -> _T:
    """Run a coroutine on virtual time."""

    async def run() -> _T:
        return await main

    return run_virtually(run())

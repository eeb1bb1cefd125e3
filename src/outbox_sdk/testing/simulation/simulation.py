"""One run from the first commit to rest: producers, stream, mapping, function and topics on virtual time."""

import asyncio
from random import Random
from typing import Any

import msgspec

from outbox_sdk.core.entry import TopicLimits
from outbox_sdk.core.identifiers import TableName, TopicName
from outbox_sdk.core.items import is_outstanding
from outbox_sdk.core.plan import Wrapping
from outbox_sdk.core.retry import RetryPolicy
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell.context import RelayContext
from outbox_sdk.testing.simulation.event_source import SimulatedMapping
from outbox_sdk.testing.simulation.function import Process, SimulatedFunction
from outbox_sdk.testing.simulation.ledger import Ledger
from outbox_sdk.testing.simulation.people import People, sleep_until
from outbox_sdk.testing.simulation.sandbox import Sandbox, follow_tasks
from outbox_sdk.testing.simulation.scenario import Calm, FaultPlan, Operation, Scenario
from outbox_sdk.testing.simulation.services import TOPIC_MAX_BYTES, SimulatedPorts, SimulatedTable
from outbox_sdk.testing.simulation.stream import SimulatedStream
from outbox_sdk.testing.simulation.tracked import EPOCH, Tracked, Violation
from outbox_sdk.testing.simulation.virtual_time import run_virtually
from outbox_sdk.testing.table import ROUTING
from outbox_sdk.testing.topics import InMemoryTopics

__all__ = ["Run", "simulate"]

_REST_SECONDS = 172_800.0
"""Two days after the last fault, everything has come to rest or never will."""

_SWEEP_EVERY_SECONDS = 6 * 3_600.0 + 60.0
"""A bit more than the time for which a touched item is left alone."""

_LAST_SWEEPS = 4


class Run(msgspec.Struct, frozen=True):
    """How a run ended: what was violated, what became of each message, and how long it took.

    ``steps`` and ``calls`` are what may be hit by a fault: for each invocation, in the order in which they
    began, how often a task of its process was resumed; and each request to a service, with its operation
    and size.
    ``seconds`` is virtual time.
    """

    violations: tuple[Violation, ...]
    messages: tuple[Tracked, ...]
    trace: tuple[str, ...]
    seconds: float
    steps: tuple[int, ...]
    calls: tuple[tuple[Operation, int], ...]


def simulate(
    scenario: Scenario,
    plan: FaultPlan | None = None,
    *,
    design: TableDesign = TableDesign.ordered,
    seed: int = 0,
    tracing: bool = False,
) -> Run:
    """Play a scenario with the real relay, and tell whether every invariant held.

    Nothing is waited for and nothing is left to chance: the same scenario, plan and seed give the same run,
    on every machine. ``plan`` decides the faults; without one nothing fails. ``tracing`` keeps a line for
    everything that happens. It runs a loop of its own, so it is not for use within a coroutine.

    >>> from outbox_sdk.testing.simulation import Commit, Scenario, simulate
    >>> run = simulate(Scenario(commits=(Commit(at=0, transaction=0, aggregate="a", topic="orders"),)))
    >>> run.violations, [len(message.acceptances) for message in run.messages]
    ((), [1])
    """
    return run_virtually(
        _Simulation(scenario, plan or Calm(), design=design, seed=seed, tracing=tracing).run()
    )


class _Simulation:
    def __init__(
        self, scenario: Scenario, plan: FaultPlan, *, design: TableDesign, seed: int, tracing: bool
    ) -> None:
        self._scenario = scenario
        self._plan = _Counted(plan)
        self._design = design
        self._random = Random(seed)
        self._tracing = tracing

    async def run(self) -> Run:
        loop = asyncio.get_running_loop()
        follow_tasks(loop)
        scenario, design = self._scenario, self._design
        self._ledger = Ledger(scenario, design, clock=loop.time, tracing=self._tracing)
        self._stream = SimulatedStream(scenario.shards, longer_from=len(scenario.commits) // 2)
        strategy = scenario.relaying.strategy
        self._table = SimulatedTable(
            design,
            self._stream,
            self._ledger,
            deletes=strategy == "delete",
            index_lag=scenario.index_lag,
        )
        self._topics = InMemoryTopics(now=loop.time)
        self._function, self._sweeper = (
            SimulatedFunction(
                name,
                self._create_process,
                relaying=scenario.relaying,
                plan=self._plan,
                ledger=self._ledger,
            )
            for name in ("relay", "sweeper")
        )
        self._mapping = SimulatedMapping(
            self._stream,
            self._function.invoke,
            settings=scenario.mapping,
            design=design,
            plan=self._plan,
            ledger=self._ledger,
            changed=self._table.changed,
        )
        polling = asyncio.create_task(self._mapping.run())
        try:
            await self._play()
        finally:
            polling.cancel()
            await asyncio.wait({polling})
        if not polling.cancelled() and (error := polling.exception()):
            raise error
        return Run(
            violations=tuple(self._ledger.violations),
            messages=tuple(self._ledger.messages.values()),
            trace=tuple(self._ledger.trace or ()),
            seconds=loop.time(),
            steps=tuple(self._ledger.steps),
            calls=tuple(self._plan.calls),
        )

    async def _play(self) -> None:
        ledger = self._ledger
        people = People(self._scenario, self._table, design=self._design, ledger=ledger, random=self._random)
        await asyncio.gather(
            people.produce(),
            people.remove(),
            people.replay(),
            people.edit(),
            people.mend(),
            self._split(),
            self._sweep(),
        )
        await self._rest()
        await sleep_until(self._scenario.calm_after)
        await self._rest()
        if not ledger.violations and people.redrive_held():
            await self._rest()
        if self._scenario.relaying.sweeps:
            await self._sweep_until_clean()
        if not ledger.violations:
            ledger.finish()

    async def _rest(self) -> None:
        """Wait until the mapping has nothing left to read."""
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(self._scenario.calm_after + _REST_SECONDS):
                await self._mapping.rested.wait()
        except TimeoutError:
            self._ledger.violate("stuck", "the stream is not read to its end")

    async def _split(self) -> None:
        for at in self._scenario.splits:
            await sleep_until(at)
            self._ledger.note("a shard splits")
            self._stream.split(self._random.randrange(100))
            self._table.changed.set()

    async def _sweep(self) -> None:
        for at in self._scenario.relaying.sweeps:
            await sleep_until(at)
            await self._sweeper.sweep()

    async def _sweep_until_clean(self) -> None:
        """Sweep on, as a schedule would, until nothing is outstanding or hope is lost."""
        for _ in range(_LAST_SWEEPS):
            items = self._table.items.values()
            if self._ledger.violations or not any(is_outstanding(item, self._design) for item in items):
                return
            await asyncio.sleep(_SWEEP_EVERY_SECONDS)
            await self._sweeper.sweep()
            await self._rest()

    # The relay

    def _create_process(self, sandbox: Sandbox) -> Process:
        relaying = self._scenario.relaying
        ports = SimulatedPorts(
            sandbox,
            self._table,
            self._topics,
            plan=self._plan,
            ledger=self._ledger,
            request_size=1 if relaying.strategy == "single" else 25,
        )
        loop = asyncio.get_running_loop()
        topics = frozenset(TopicName(commit.topic) for commit in self._scenario.commits)
        context = RelayContext(
            publisher=ports,
            table=ports,
            marker=None if relaying.strategy is None else ports,
            table_name=TableName("outbox"),
            design=self._design,
            wrapping=Wrapping(
                routing=msgspec.structs.replace(ROUTING, allowed=topics),
                limits=TopicLimits(TOPIC_MAX_BYTES, dict.fromkeys(topics, TOPIC_MAX_BYTES)),
                source="/outbox/outbox",
            ),
            max_concurrency=relaying.max_concurrency,
            retry=RetryPolicy(attempts=relaying.attempts),
            recheck_after=relaying.recheck_after,
            park_held_after=relaying.park_held_after,
            now=lambda: EPOCH + loop.time(),
            jitter=self._random.random,
        )
        return Process(sandbox, context, ports)


class _Counted:
    """A plan that counts the calls it was asked about, and has nothing to say once it is calm."""

    def __init__(self, plan: FaultPlan) -> None:
        self._plan = plan
        self.calls: list[tuple[Operation, int]] = []

    def fault(self, operation: Operation, target: str, size: int, now: float) -> Any:
        self.calls.append((operation, size))
        return self._plan.fault(operation, target, size, now)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plan, name)

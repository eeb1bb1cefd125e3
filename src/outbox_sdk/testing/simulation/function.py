"""The Lambda functions of a simulation: the real code in sandboxes that are reused, time out and die."""

import json
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from outbox_sdk.core.outcome import BatchReport
from outbox_sdk.core.report import LogLine, describe_batch, describe_records
from outbox_sdk.core.sweep_report import SweepReport, describe_sweep, describe_troubles
from outbox_sdk.shell.context import RelayContext
from outbox_sdk.shell.relay import relay_batch
from outbox_sdk.shell.sweeper import sweep
from outbox_sdk.testing.simulation.ledger import Ledger
from outbox_sdk.testing.simulation.sandbox import Killed, Sandbox
from outbox_sdk.testing.simulation.scenario import FaultPlan, Relaying
from outbox_sdk.testing.simulation.services import SimulatedPorts
from outbox_sdk.testing.simulation.tracked import Invocation

__all__ = ["Process", "SimulatedFunction"]

_T = TypeVar("_T")


class Process(NamedTuple):
    """A sandbox and what lives in it."""

    sandbox: Sandbox
    context: RelayContext
    ports: SimulatedPorts


class SimulatedFunction:
    """Runs the relay for each batch, or the sweeper, in a warm sandbox if one is idle."""

    def __init__(
        self,
        name: str,
        create: Callable[[Sandbox], Process],
        *,
        relaying: Relaying,
        plan: FaultPlan,
        ledger: Ledger,
    ) -> None:
        self._name = name
        self._create = create
        self._relaying = relaying
        self._plan = plan
        self._ledger = ledger
        self._idle: list[Process] = []
        self._sandboxes = 0
        self._invocations = 0

    async def invoke(self, batch: Sequence[Mapping[str, Any]]) -> Any:
        """Relay one batch; give the handler's response, or ``None`` for an error of the function."""
        report = await self._run(
            batch,
            lambda process: relay_batch(
                process.context, {"Records": batch}, remaining_seconds=self._relaying.timeout
            ),
        )
        return None if report is None else self._answer(batch, report)

    async def sweep(self) -> SweepReport | None:
        """Sweep once; ``None`` where the process ended before it was done."""
        relaying = self._relaying
        report = await self._run(
            (),
            lambda process: sweep(
                process.context,
                process.ports,
                sweep_after=relaying.sweep_after,
                limit=relaying.sweep_limit,
                remaining_seconds=relaying.timeout,
                publish=relaying.sweep_publishes,
            ),
        )
        if report is not None:
            self._log((*describe_troubles(report), describe_sweep(report)))
            self._ledger.note(
                "swept: found %d, touched %d, %s, %d buckets unread",
                report.found,
                report.touched,
                dict(report.outcomes),
                len(report.unread),
            )
        return report

    async def _run(
        self,
        records: Sequence[Mapping[str, Any]],
        work: Callable[[Process], Coroutine[Any, Any, _T]],
    ) -> _T | None:
        if not self._idle:
            self._sandboxes += 1
            self._idle.append(self._create(Sandbox(f"{self._name}-{self._sandboxes}")))
        process = self._idle.pop()
        sandbox, ledger = process.sandbox, self._ledger
        self._invocations += 1
        invocation = process.ports.invocation = Invocation(self._invocations, sandbox.name, ledger.now)
        ledger.note("%s: invocation %d with %d records", sandbox.name, self._invocations, len(records))
        ledger.begin(invocation, records)
        before, place = sandbox.steps, len(ledger.steps)
        ledger.steps.append(0)
        try:
            outcome = await sandbox.run(
                lambda: work(process),
                seconds=self._relaying.timeout,
                kill_at=self._plan.kill_at(ledger.now),
            )
        except Exception as error:
            ledger.violate("crashed", f"{type(error).__name__}: {error}")
            return None
        finally:
            ledger.end(invocation)
            ledger.steps[place] = sandbox.steps - before
            if left := await sandbox.clear():
                ledger.violate("task left", f"{left} in {sandbox.name}")
        if isinstance(outcome, Killed):
            ledger.note("%s ended: %s", sandbox.name, outcome.reason)
            if outcome.reason == "timeout":
                ledger.violate("overtime", f"{sandbox.name} had {self._relaying.timeout:g} s")
            return None
        self._idle.append(process)
        return outcome

    def _answer(self, batch: Sequence[Mapping[str, Any]], report: BatchReport) -> Any:
        ledger = self._ledger
        response = report.response
        ledger.answered(batch, response)
        if ledger.violations:
            return None
        self._log((*describe_records(report), describe_batch(report)))
        if ledger.trace is not None:
            counts = ", ".join(f"{count} {name}" for name, count in report.counts().items())
            ledger.note("answer: %s; reported %d", counts, len(response["batchItemFailures"]))
        return response

    def _log(self, lines: Iterable[LogLine]) -> None:
        for line in lines:
            self._ledger.logged(f"{line.event} {json.dumps(line.fields, default=repr)}")

"""The Lambda function of a simulation: the real relay in sandboxes that are reused, time out and die."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from outbox_sdk.core.outcome import BatchReport
from outbox_sdk.core.report import describe_batch, describe_records
from outbox_sdk.shell.context import RelayContext
from outbox_sdk.shell.relay import relay_batch
from outbox_sdk.testing.simulation.ledger import Invocation, Ledger
from outbox_sdk.testing.simulation.sandbox import Killed, Sandbox
from outbox_sdk.testing.simulation.scenario import FaultPlan
from outbox_sdk.testing.simulation.services import SimulatedPorts

__all__ = ["SimulatedFunction"]


class SimulatedFunction:
    """Runs the relay's ``relay_batch`` for each batch, in a warm sandbox if one is idle."""

    def __init__(
        self,
        create: Callable[[Sandbox], tuple[RelayContext, SimulatedPorts]],
        *,
        plan: FaultPlan,
        ledger: Ledger,
        timeout: float,
    ) -> None:
        self._create = create
        self._plan = plan
        self._ledger = ledger
        self._timeout = timeout
        self._idle: list[tuple[Sandbox, RelayContext, SimulatedPorts]] = []
        self._sandboxes = 0
        self._invocations = 0
        self.steps = 0

    async def invoke(self, batch: Sequence[Mapping[str, Any]]) -> Any:
        """Run one batch; give the handler's response, or ``None`` for an error of the function."""
        if not self._idle:
            self._sandboxes += 1
            sandbox = Sandbox(f"sandbox-{self._sandboxes}")
            self._idle.append((sandbox, *self._create(sandbox)))
        sandbox, context, ports = self._idle.pop()
        ledger = self._ledger
        self._invocations += 1
        invocation = ports.invocation = Invocation(self._invocations, sandbox.name, ledger.now)
        ledger.note("%s: invocation %d with %d records", sandbox.name, self._invocations, len(batch))
        ledger.begin(invocation, batch)
        before = sandbox.steps
        try:
            outcome = await sandbox.run(
                lambda: relay_batch(context, {"Records": batch}, remaining_seconds=self._timeout),
                seconds=self._timeout,
                kill_at=self._plan.kill_at(ledger.now),
            )
        except Exception as error:
            ledger.violate("crashed", f"{type(error).__name__}: {error}")
            return None
        finally:
            ledger.end(invocation)
            self.steps += sandbox.steps - before
            if left := await sandbox.clear():
                ledger.violate("task left", f"{left} in {sandbox.name}")
        if isinstance(outcome, Killed):
            ledger.note("%s ended: %s", sandbox.name, outcome.reason)
            if outcome.reason == "timeout":
                ledger.violate("overtime", f"{sandbox.name} had {self._timeout:g} s")
            return None
        self._idle.append((sandbox, context, ports))
        return self._answer(batch, outcome)

    def _answer(self, batch: Sequence[Mapping[str, Any]], report: BatchReport) -> Any:
        ledger = self._ledger
        response = report.response
        ledger.answered(batch, response)
        if ledger.violations:
            return None
        for line in (*describe_records(report), describe_batch(report)):
            ledger.logged(f"{line.event} {json.dumps(line.fields, default=repr)}")
        if ledger.trace is not None:
            counts = ", ".join(f"{count} {name}" for name, count in report.counts().items())
            ledger.note("answer: %s; reported %d", counts, len(response["batchItemFailures"]))
        return response

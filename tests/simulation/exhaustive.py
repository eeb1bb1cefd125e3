"""Every single fault in a small world: two aggregates of three messages, and one thing that goes wrong.

A run without faults tells how many calls are made and how often a task is resumed. Then each call meets each
kind of fault once, and each step is a kill once, with what was on its way arriving or not.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple
from unittest import mock

import msgspec

from outbox_sdk.core.items import bucket_of
from outbox_sdk.shell import listing
from outbox_sdk.testing.simulation import (
    Calm,
    Commit,
    Fault,
    FaultPlan,
    Mapping,
    Relaying,
    Run,
    Scenario,
    simulate,
)
from outbox_sdk.testing.simulation.plans import OneFault, OneKill

__all__ = ["SMALL_WORLDS", "Try", "list_tries", "play_try"]

_FAULTS: dict[str, Fault] = {
    "throttled": Fault("refused", "Throttled", 429),
    "denied": Fault("refused", "AuthorizationError", 403),
    "no such topic": Fault("refused", "NotFound", 404),
    "unknown refusal": Fault("refused", "SomethingNew", 400),
    "answer lost": Fault("answer_lost", "Timeout", seconds=5.0),
    "connection closed after": Fault("answer_lost", "ConnectionClosed", seconds=0.01),
    "connection closed before": Fault("unreached", "ConnectionClosed", seconds=0.01),
    "never arrived": Fault("unreached", "Timeout", seconds=5.0),
    "first of a request failed": Fault("partial", "InternalFailure", positions=frozenset({0})),
    "second of a request failed": Fault("partial", "ThrottlingError", positions=frozenset({1})),
    "in neither list": Fault("partial", "MissingFromResponse", positions=frozenset({0})),
    "all of a request failed": Fault("partial", "KMSThrottling", positions=frozenset(range(25))),
}


def _world(topic: str, **relaying: Any) -> Scenario:
    commits = tuple(
        Commit(at=0.0, transaction=number, aggregate="ab"[number % 2], topic=topic) for number in range(6)
    )
    return Scenario(commits=commits, relaying=Relaying(**relaying), calm_after=0.0)


SMALL_WORLDS: dict[str, Scenario] = {
    "FIFO": _world("orders.fifo"),
    "FIFO, always looked up": _world("orders.fifo", recheck_after=0.0),
    "FIFO, one attempt": _world("orders.fifo", attempts=1),
    "FIFO, single marks": _world("orders.fifo", strategy="single", max_concurrency=1),
    "FIFO, deleting": _world("orders.fifo", strategy="delete", recheck_after=0.0),
    "standard": _world("orders"),
    "standard, not marked": _world("orders", strategy=None),
    # The mapping is off until the stream has lost everything; the first process is the sweeper's.
    "FIFO, swept": msgspec.structs.replace(
        _world("orders.fifo", sweeps=(4_000.0, 4_100.0, 4_200.0), sweep_publishes=True),
        mapping=Mapping(disabled=((0.0, 90_000.0),)),
        calm_after=90_000.0,
    ),
    "FIFO, touched": msgspec.structs.replace(
        _world("orders.fifo", sweeps=(90_100.0,)),
        mapping=Mapping(disabled=((0.0, 90_000.0),)),
        calm_after=90_000.0,
    ),
}


_BUCKETS = tuple(sorted({bucket_of(f"m{number}", 16) for number in range(6)}))


class Try(NamedTuple):
    """One thing that goes wrong: a fault at a call, or a kill at a step of an invocation."""

    call: int | None = None
    fault: str = ""
    invocation: int = 0
    step: int | None = None
    arrives: bool = False

    @property
    def plan(self) -> FaultPlan:
        """The plan that does just this."""
        if self.step is not None:
            return OneKill(self.step, arrives=self.arrives, invocation=self.invocation)
        if self.call is not None:
            return OneFault(self.call, _FAULTS[self.fault])
        return Calm()


def list_tries(world: str) -> Iterator[Try]:
    """List everything that can go wrong once in a world: at each of its calls, at each of its steps."""
    calm = play_try(world, Try())
    for call, (operation, size) in enumerate(calm.calls):
        for name, fault in _FAULTS.items():
            # Only requests of several elements fail in part, and only where there is such an element.
            partly = (
                operation in ("publish", "mark", "lookup", "fetch") and min(fault.positions, default=0) < size
            )
            if fault.kind != "partial" or partly:
                yield Try(call=call, fault=name)
    for invocation, steps in enumerate(calm.steps):
        for step in range(1, steps + 1):
            yield Try(invocation=invocation, step=step, arrives=False)
            yield Try(invocation=invocation, step=step, arrives=True)


def play_try(world: str, chosen: Try, *, tracing: bool = False) -> Run:
    """Play a small world with one thing going wrong."""
    # The ninety-odd empty buckets are ninety-odd tasks in which nothing of interest can be hit.
    with mock.patch.object(listing, "BUCKETS", _BUCKETS):
        return simulate(SMALL_WORLDS[world], chosen.plan, tracing=tracing)

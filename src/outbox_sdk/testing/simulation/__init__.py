"""A simulator of everything around the relay: DynamoDB, its stream, Lambda and SNS, on virtual time.

The relay in it is the real one, and so is the producer. All else is simulated: items and their stream with
shards, splits and trimming; Lambda's event source mapping with partial answers, retries and bisecting;
sandboxes that time out and can be killed at any await; topics that deduplicate; and a network on which
requests and answers get lost. What must hold is checked at every step, by a ledger that sees everything.

Not simulated: capacity, what DynamoDB and SNS check of requests beyond their limits (contract tests on real
parts do), and whatever AWS does that nobody has recorded.
"""

from outbox_sdk.testing.simulation.scenario import (
    CALM,
    Calm,
    Commit,
    Fault,
    FaultPlan,
    Mapping,
    Operation,
    Relaying,
    Scenario,
)
from outbox_sdk.testing.simulation.simulation import Run, simulate
from outbox_sdk.testing.simulation.tracked import CANARY, INVARIANTS, Acceptance, Tracked, Violation
from outbox_sdk.testing.simulation.virtual_time import NothingHappensError, VirtualLoop, run_virtually

__all__ = [
    "CALM",
    "CANARY",
    "INVARIANTS",
    "Acceptance",
    "Calm",
    "Commit",
    "Fault",
    "FaultPlan",
    "Mapping",
    "NothingHappensError",
    "Operation",
    "Relaying",
    "Run",
    "Scenario",
    "Tracked",
    "Violation",
    "VirtualLoop",
    "run_virtually",
    "simulate",
]

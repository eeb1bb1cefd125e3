"""Scenarios drawn from seeds: each seed belongs to one class of faults; all else varies freely."""

from random import Random
from typing import Any, Literal, NamedTuple
from unittest import mock

import msgspec

from outbox_sdk.core.backlog import BUCKETS
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell import listing, sweeper
from outbox_sdk.testing.simulation import Commit, Mapping, Relaying, Run, Scenario, simulate
from outbox_sdk.testing.simulation.plans import Outage, Rates, SeededFaults

__all__ = ["FAULT_CLASSES", "Case", "draw_case", "run_case"]

_TOPICS = ("alpha", "beta.fifo", "gamma.fifo")
_ELSEWHERE = {
    "alpha": ("eventbridge:alpha", "sqs:alpha"),
    "beta.fifo": ("sqs:beta.fifo",),
    "gamma.fifo": ("kinesis:gamma",),
}
_POISON: Any = ("refused", "rejected", "no_topic", "empty", "not_allowed", "too_big")
_CONFIGURATION_CODES = (
    ("AuthorizationError", 403),
    ("NotFound", 404),
    ("KMSAccessDenied", 400),
    ("KMSDisabled", 400),
    ("ExpiredToken", 403),
    ("EndpointDisabled", 400),
)

FAULT_CLASSES: dict[str, Rates] = {
    "none": Rates(),
    "throttling": Rates(refused=0.25),
    "partial failures": Rates(partial=0.3, lasting=0.5),
    "unread keys": Rates(partial=0.5, refused=0.1, lasting=0.5, operations=frozenset({"lookup"})),
    "failing marks": Rates(partial=0.2, refused=0.2, answer_lost=0.3, operations=frozenset({"mark", "park"})),
    "lost answers": Rates(unreached=0.08, answer_lost=0.12, slow=0.3),
    "kills": Rates(killed=0.35),
    "short of time": Rates(unreached=0.1, answer_lost=0.1, slow=1.0),
    "redelivery": Rates(redelivered=0.3),
    "wrong configuration": Rates(),
    "given up by Lambda": Rates(refused=0.15, partial=0.1, killed=0.1, redelivered=0.2),
    "published from the table": Rates(refused=0.1, partial=0.2, unreached=0.02, answer_lost=0.02, killed=0.1),
    "touched after a day": Rates(refused=0.2, partial=0.3, unreached=0.02, answer_lost=0.02, killed=0.1),
    "everything": Rates(
        refused=0.06, partial=0.06, unreached=0.03, answer_lost=0.05, killed=0.1, redelivered=0.2
    ),
}
"""What fails, by the name that the tables print."""


class Case(msgspec.Struct, frozen=True):
    """One seed: what is played, and what fails."""

    seed: int
    fault_class: str
    scenario: Scenario
    rates: Rates
    design: Literal["ordered", "message_keyed"] = "ordered"


def draw_case(seed: int) -> Case:
    """Draw a case. Neighbouring seeds belong to different classes of faults."""
    random = Random(seed * 2 + 1)
    fault_class = list(FAULT_CLASSES)[seed % len(FAULT_CLASSES)]
    rates = FAULT_CLASSES[fault_class]
    calm_after = 60.0
    numbered = random.random() < 0.3
    commits = _draw_commits(random, numbered=numbered)
    recheck_after = random.choice((0.0, 5.0, 5.0))
    attempts = random.choice((1, 2, 4, 4))
    edits = random.choice((0, 0, 4))
    clock_skew = 0.0
    limits: dict[str, Any] = {}
    sweeps: dict[str, Any] = {}
    match fault_class:
        case "unread keys":
            # Everything is looked up, and much of it waits for each other.
            recheck_after = 0.0
            commits = _draw_commits(random, numbered=numbered, crowded=True)
        case "wrong configuration":
            rates, calm_after = _draw_outages(random)
            # Sometimes the messages are old when the topic is first found to be out of reach.
            if random.random() < 0.5:
                rates, calm_after = _later(rates, 3_990.0), calm_after + 3_990.0
                limits = {"disabled": ((0.0, 4_000.0),)}
        case "given up by Lambda":
            limits = random.choice(
                ({"max_retry_attempts": 0}, {"max_retry_attempts": 2}, {"max_record_age": 60.0})
            )
            sweeps = {"sweeps": (20.0, 40.0, 70.0), "sweep_after": random.choice((5.0, 30.0))}
        case "partial failures" | "everything" if seed // len(FAULT_CLASSES) % 2:
            # By numbers of its own, so that the rest of the case is what it would have been.
            commits = _send_elsewhere(Random(seed), commits)
        case "published from the table" | "touched after a day":
            day = _draw_day_off(random, rates, publishes=fault_class == "published from the table")
            rates, limits, sweeps, clock_skew = day.rates, day.limits, day.sweeps, day.clock_skew
            commits, attempts, calm_after = day.commits, random.choice((1, 2)), day.calm_after
        case _:
            pass
    scenario = Scenario(
        commits=commits,
        mapping=Mapping(
            batch_size=random.choice((1, 3, 10, 10, 100)),
            parallelization_factor=random.choice((1, 1, 1, 3)),
            bisect=random.random() < 0.7,
            filtered=random.random() < 0.7,
            **limits,
        ),
        relaying=Relaying(
            strategy=random.choice(("batch", "batch", "single", "delete")),
            recheck_after=recheck_after,
            park_held_after=random.choice((600.0, 3600.0)),
            timeout=random.choice((3.0, 6.0)) if fault_class == "short of time" else 30.0,
            max_concurrency=random.choice((1, 4, 32)),
            attempts=attempts,
            **sweeps,
        ),
        index_lag=random.choice((0.0, 10.0)),
        shards=random.choice((1, 1, 2, 3)),
        splits=tuple(sorted(random.uniform(0, 40) for _ in range(random.choice((0, 0, 1, 2))))),
        # A moment after a commit, when its message may be on its way.
        removals=tuple(
            sorted(
                random.choice(commits).at + random.uniform(0.2, 0.35)
                for _ in range(random.choice((0, 0, 0, 3)))
            )
        ),
        edits=tuple(sorted(random.choice(commits).at + random.uniform(0.0, 0.4) for _ in range(edits))),
        # Soon, while a mark or a park of the time before may be on its way, or at any time.
        mends=_draw_times(random, commits, count=random.choice((0, 4)), until=calm_after),
        replays=_draw_times(random, commits, count=random.choice((0, 0, 6)), until=calm_after),
        clock_skew=clock_skew,
        calm_after=calm_after,
    )
    if fault_class == "none":
        # Who deletes an outstanding item makes a fault; all else that people do is none.
        scenario = msgspec.structs.replace(scenario, removals=())
    design: Any = random.choice(("ordered", "ordered", "ordered", "message_keyed"))
    return Case(seed, fault_class, scenario, rates, design)


def _draw_times(
    random: Random, commits: tuple[Commit, ...], *, count: int, until: float
) -> tuple[float, ...]:
    """Draw times, half of them within seconds of a commit."""
    soon = (random.choice(commits).at + random.uniform(0.3, 6.0) for _ in range(count // 2))
    late = (random.uniform(0.0, until) for _ in range(count - count // 2))
    return tuple(sorted((*soon, *late)))


class _DayOff(NamedTuple):
    commits: tuple[Commit, ...]
    rates: Rates
    limits: dict[str, Any]
    sweeps: dict[str, Any]
    clock_skew: float
    calm_after: float


def _draw_day_off(random: Random, rates: Rates, *, publishes: bool) -> _DayOff:
    """The mapping is off for thirty hours, and the stream forgets what was committed at the start.

    The backlog is published before the relay is switched on, until nothing old is left; or it is touched
    afterwards, beside the running relay.
    """
    numbered = random.random() < 0.5
    late = _draw_commits(random, numbered=numbered, first_version=1_000)
    commits = _draw_commits(random, numbered=numbered) + tuple(
        msgspec.structs.replace(commit, at=105_000.0 + commit.at, transaction=100 + commit.transaction)
        for commit in late
    )
    if random.random() < 0.7:
        # With one bucket that cannot be listed nothing is published: mostly, let the list be read.
        writes: Any = ("fetch", "publish", "mark", "park", "touch")
        rates = msgspec.structs.replace(rates, operations=frozenset(writes))
    limit = random.choice((30, 1_000))
    return _DayOff(
        commits=commits,
        rates=rates,
        limits={"disabled": ((0.0, 108_000.0),)},
        sweeps={
            "sweeps": tuple(map(float, range(107_000, 108_000, 125)))
            if publishes
            else (108_100.0, 112_000.0),
            "sweep_after": random.choice((600.0, 3_600.0)),
            "sweep_publishes": publishes,
            "sweep_limit": limit,
        },
        # A run that takes a part only goes by the clocks alone.
        clock_skew=2.0 if publishes and numbered and limit == 1_000 else 0.0,
        calm_after=107_500.0 if publishes else 110_000.0,
    )


def _draw_commits(
    random: Random, *, numbered: bool, first_version: int = 1, crowded: bool = False
) -> tuple[Commit, ...]:
    """Draw what is committed; ``crowded`` is all at once, and of one aggregate."""
    commits: list[Commit] = []
    poison_share = random.choice((0.0, 0.0, 0.1, 0.2))
    foreign_share = random.choice((0.0, 0.0, 0.3))
    aggregates = 1 if crowded else random.choice((1, 2, 3, 6))
    topics = _TOPICS[1:] if crowded else random.choice((_TOPICS, _TOPICS[1:], _TOPICS[:1]))
    versions: dict[str, int] = {}
    pace = 0.0 if crowded else random.choice((0.0, 1.0, 1.0))  # all at once, or over up to a minute
    at = 0.0
    for transaction in range(random.choice((4, 8, 16))):
        at += pace * random.choice((0.0, 0.0, 0.1, 3.0))
        # Together with a sequence only: without one, a transaction's own order is nobody's to promise.
        for _ in range(random.choice((1, 1, 2, 3))):
            aggregate = f"a{random.randrange(aggregates)}"
            versions[aggregate] = versions.get(aggregate, first_version - 1) + 1
            commits.append(
                Commit(
                    at=at,
                    transaction=transaction,
                    aggregate=aggregate,
                    topic=random.choice(topics),
                    kind=random.choice(_POISON) if random.random() < poison_share else "good",
                    sequence=versions[aggregate] if numbered else None,
                    foreign=random.random() < foreign_share,
                )
            )
    return tuple(commits)


def _send_elsewhere(random: Random, commits: tuple[Commit, ...]) -> tuple[Commit, ...]:
    """Send to queues, a bus and a stream what was to go to topics."""
    return tuple(
        msgspec.structs.replace(commit, topic=random.choice(_ELSEWHERE[commit.topic])) for commit in commits
    )


def _draw_outages(random: Random) -> tuple[Rates, float]:
    """One topic, or the table, is out of reach for a minute or for hours."""
    target = random.choice((*_TOPICS, "table"))
    code, status = (
        ("AccessDeniedException", 400) if target == "table" else random.choice(_CONFIGURATION_CODES)
    )
    start = random.uniform(0, 10)
    end = start + random.choice((10.0, 120.0, 5_000.0, 8_000.0))
    outage = Outage(start=start, end=end, target=target, code=code, status=status)
    return Rates(outages=(outage,)), end


def _later(rates: Rates, seconds: float) -> Rates:
    """Move the outages of some rates."""
    outages = tuple(
        msgspec.structs.replace(outage, start=outage.start + seconds, end=outage.end + seconds)
        for outage in rates.outages
    )
    return msgspec.structs.replace(rates, outages=outages)


def run_case(case: Case, *, tracing: bool = False) -> Run:
    """Play a case. Every other one sweeps in chunks so small that there are several."""
    plan = SeededFaults(case.seed, case.rates, calm_after=case.scenario.calm_after)
    design: TableDesign = getattr(TableDesign, case.design)
    # Of the buckets that no producer here writes to, one stands for all: the others only cost time.
    buckets = (*BUCKETS[:17], "x") if vars(listing)["BUCKETS"] is BUCKETS else vars(listing)["BUCKETS"]
    with (
        mock.patch.object(listing, "BUCKETS", buckets),
        mock.patch.object(sweeper, "_WHOLE_CHUNK", 3 if case.seed % 2 else 100),
    ):
        return simulate(case.scenario, plan, design=design, seed=case.seed, tracing=tracing)

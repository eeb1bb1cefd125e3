"""How much does an outbox carry, and is the model that says so right?

Run: ``nox -s bench -- capacity``, or ``python -m benchmarks.capacity``.

The first table is :func:`outbox_sdk.core.capacity.plan_capacity` alone, with the quotas of us-east-1 and a
hundred index buckets. The others compare it with the real relay on virtual time: one batch of given lanes,
and batches from a simulated stream, below and above the limit of a poller. No figure depends on the
machine.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

from benchmarks.harness.answers import Answer, Plot, Series, Table, print_answer
from outbox_sdk.core.batch_cost import Calls, batch_cost
from outbox_sdk.core.capacity import plan_capacity
from outbox_sdk.core.poller import Poller, plan_turn
from outbox_sdk.core.quotas import SnsQuotas
from outbox_sdk.core.workload import Workload
from tests.support.simulated_load import observe_batch, observe_stream

RATES = (100, 1_000, 10_000, 100_000)
BODIES = {"1 KB": 1_000, "10 KB": 10_000}
LATENCIES = (0.005, 0.020)

BATCHES: Sequence[tuple[str, bool, list[list[int]]]] = (
    ("10, standard", False, [[1] * 10]),
    ("100, standard", False, [[1] * 100]),
    ("1,000, standard", False, [[1] * 1_000]),
    ("100, FIFO, 100 aggregates", True, [[1] * 100]),
    ("100, FIFO, 20 aggregates", True, [[5] * 20]),
    ("100, FIFO, 1 aggregate", True, [[100]]),
    ("116, FIFO, 28 uneven", True, [[3, 1, 9, 4, 4, 4, 4] * 4]),
)

CALLS = Calls(publish_seconds=0.02, mark_seconds=0.01)
ONE_BY_ONE = Calls(publish_seconds=0.02, mark_seconds=0.01, marks=1)
STREAMS: Sequence[tuple[str, dict[str, Any]]] = (
    ("standard", {"arrivals": 1}),
    ("standard", {"arrivals": 40}),
    ("standard, no window", {"arrivals": 40, "window_seconds": 0}),
    ("standard, marked one by one", {"arrivals": 40, "calls": ONE_BY_ONE}),
    ("standard", {"arrivals": 150}),
    ("standard", {"arrivals": 320}),
    ("standard", {"arrivals": 400}),
    ("FIFO, 40 aggregates", {"arrivals": 40, "aggregates": 40.0}),
    ("FIFO, 4 aggregates", {"arrivals": 40, "aggregates": 4.0}),
    ("FIFO, 4 aggregates", {"arrivals": 80, "aggregates": 4.0}),
    ("FIFO, 4 aggregates", {"arrivals": 160, "aggregates": 4.0}),
)


def capacities() -> Table:
    return table(
        "What a workload comes to, with the default quotas of us-east-1",
        CAPACITY_HEADERS,
        [
            capacity_row(rate, body, latency, fifo=fifo)
            for rate, body, latency, fifo in product(RATES, BODIES, LATENCIES, (False, True))
        ],
    )


def capacities_with_raised_quotas() -> Table:
    """What limits where AWS has granted a hundred times the table, and SNS as much as is asked for."""
    raised = {
        "table_units_per_second": 4_000_000.0,
        "sns": SnsQuotas(standard=200_000, fifo=200_000, fifo_topic=200_000, fifo_topic_bytes=2e9),
    }
    return table(
        "The same with quotas raised, and FIFO topics of the throughput scope MessageGroup",
        CAPACITY_HEADERS,
        [
            capacity_row(rate, body, 0.020, fifo=fifo, **raised)
            for rate, body, fifo in product((10_000, 50_000, 100_000), BODIES, (False, True))
        ],
    )


CAPACITY_HEADERS = [
    "rate",
    "body",
    "latency",
    "topics",
    "shards",
    "concurrency",
    "publish/s",
    "mark/s",
    "write units/s",
    "of them index",
    "lag",
    "bottleneck",
    "used",
    "sustained",
]


def capacity_row(rate: int, body: str, latency: float, *, fifo: bool, **quotas: Any) -> list[str]:
    capacity = plan_capacity(
        Workload(
            rate=rate,
            body_bytes=BODIES[body],
            publish_seconds=latency,
            mark_seconds=latency,
            fifo=fifo,
            buckets=100,
            **quotas,
        )
    )
    return [
        f"{rate:,}",
        body,
        f"{latency * 1_000:.0f} ms",
        "FIFO" if fifo else "standard",
        f"{capacity.shards:,}",
        f"{capacity.concurrency:.2f}",
        f"{capacity.publish_calls_per_second:,.0f}",
        f"{capacity.mark_calls_per_second:,.0f}",
        f"{capacity.table_units_per_second + capacity.index_units_per_second:,.0f}",
        f"{capacity.index_units_per_second:,.0f}",
        f"{capacity.lag_seconds:.2f} s" if capacity.sustainable else "grows",
        capacity.bottleneck.name,
        f"{capacity.bottleneck.utilisation:.0%}",
        "all" if capacity.sustainable else f"{capacity.sustainable_rate:,.0f}/s",
    ]


def batches() -> Table:
    headers = ["batch", "latencies", "mark", "publishes", "simulated", "marks", "simulated"]
    headers += ["time", "simulated"]
    rows = []
    for (name, fifo, topics), (publish, mark), marks in product(
        BATCHES, ((0.020, 0.010), (0.005, 0.005)), (25, 1)
    ):
        calls = Calls(publish_seconds=publish, mark_seconds=mark, marks=marks)
        expected, observed = batch_cost(topics, calls), observe_batch(topics, calls, fifo=fifo)
        rows.append(
            [
                name,
                f"{publish * 1_000:.0f} and {mark * 1_000:.0f} ms",
                "single" if marks == 1 else "batch",
                f"{expected.publish_requests:.0f}",
                f"{observed.publish_requests:.0f}",
                f"{expected.mark_requests:.0f}",
                f"{observed.mark_requests:.0f}",
                f"{expected.seconds * 1_000:.0f} ms",
                f"{observed.seconds * 1_000:.0f} ms",
            ]
        )
    return table("One batch: the model and the relay on virtual time", headers, rows)


def streams() -> Table:
    headers = ["topics", "messages/s", "used", "batch", "simulated", "calls/message", "simulated"]
    headers += ["invocation", "simulated", "lag", "simulated", "bound", "99 % simulated"]
    rows = []
    for name, settings in STREAMS:
        poller = Poller(**{"calls": CALLS, **settings})
        turn = plan_turn(poller)
        observed = observe_stream(poller, seconds=min(1_000.0, 4_000 / poller.arrivals), pollers=2)
        behind = turn.utilisation >= 1
        calls_of_message = (turn.batch.publish_requests + turn.batch.mark_requests) / turn.messages
        grown = f"{observed.lag_before:.2f} s, then {observed.lag:.2f} s"
        rows.append(
            [
                name,
                f"{poller.arrivals:g}",
                f"{turn.utilisation:.0%}",
                f"{turn.messages:.1f}",
                f"{observed.messages:.1f}",
                f"{calls_of_message:.3f}",
                f"{observed.publish_calls + observed.mark_calls:.3f}",
                f"{turn.invocation_seconds * 1_000:.0f} ms",
                f"{observed.invocation_seconds * 1_000:.0f} ms",
                "grows" if behind else f"{turn.lag:.2f} s",
                grown if behind else f"{observed.lag:.2f} s",
                "–" if behind else f"{turn.lag_bound:.2f} s",
                f"{observed.lag_99:.2f} s",
            ]
        )
    return table("One poller: the model and the relay behind a simulated stream", headers, rows)


def table(title: str, headers: list[str], rows: list[list[str]]) -> Table:
    return Table(title=title, headers=tuple(headers), rows=tuple(map(tuple, rows)))


def lag_plot() -> Plot:
    """How the lag of one poller grows with what arrives, by the model and by the simulation."""
    loads = (20.0, 60.0, 120.0, 180.0, 240.0, 300.0)
    turns = [plan_turn(Poller(calls=CALLS, arrivals=load)) for load in loads]
    seen = [observe_stream(Poller(calls=CALLS, arrivals=load), seconds=20.0, pollers=2) for load in loads]
    return Plot(
        name="capacity",
        title="Lag behind one poller of a stream",
        x_label="messages a second",
        y_label="seconds",
        series=(
            Series("model", loads, tuple(turn.lag for turn in turns)),
            Series("relay on virtual time", loads, tuple(observed.lag for observed in seen)),
        ),
    )


def answer() -> Answer:
    question, _, method = (__doc__ or "").partition("\n\n")
    return Answer(
        name="capacity",
        question=question,
        method=method,
        tables=(capacities(), capacities_with_raised_quotas(), batches(), streams()),
        plots=(lag_plot(),),
        notes="How the model is used, what it assumes and what is not known: [capacity](capacity.md).",
    )


if __name__ == "__main__":
    print_answer(answer())

"""How do time and memory grow with the work: records a batch, bytes a message, aggregates of a FIFO topic?

Run: ``nox -s bench -- scale``, or ``python -m benchmarks.scale``.

The relay is called through its handler; AWS answers at once. CPU a record is the process's own. Memory is the
most that a fresh process held while it relayed one event, above what it held with that event parsed. The
share of a core is that of a function of 256 MB: its process is stopped for the rest of each 20 ms; imports
are done before, as Lambda does them at full speed, and the first batch opens all connections.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from benchmarks.harness.answers import Answer, Bar, Plot, Series, Table, describe_machine, print_answer
from benchmarks.harness.endpoint import Endpoint, open_endpoint
from benchmarks.harness.events import make_event, refresh
from benchmarks.harness.runs import Sample, alternate
from benchmarks.harness.share import Share
from benchmarks.warm_batch import CONTEXT, lambda_environment

SMALL = 100
COUNTS = (10, 100, 1_000, 10_000)
SIZES = (1_000, 10_000, 50_000, 200_000)
AGGREGATES = (1, 10, 100, 1_000)
PAYLOAD = 6_000_000
SHARE_OF_256_MB = 256 / 1_769


def measure_growth(shapes: dict[str, dict[str, Any]], rounds: int) -> dict[str, Sample]:
    """Relay events of these shapes in turn."""
    from outbox_sdk.lambda_handler import RelayHandler

    with open_endpoint() as endpoint, lambda_environment(endpoint):
        relay = RelayHandler()

        def preparing(shape: dict[str, Any]) -> Callable[[], Callable[[], object]]:
            def prepare() -> Callable[[], object]:
                event = make_event(**shape)
                refresh(event)
                return lambda: relay(event, CONTEXT)

            return prepare

        try:
            return alternate({name: preparing(shape) for name, shape in shapes.items()}, rounds=rounds)
        finally:
            relay.close()


@contextmanager
def open_function(endpoint: Endpoint) -> Iterator["subprocess.Popen[str]"]:
    """Start a function's process, and wait until its imports are done."""
    with lambda_environment(endpoint):
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.harness.invocations_main"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert process.stderr is not None
    try:
        assert process.stderr.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def invoke(process: "subprocess.Popen[str]", event: dict[str, Any]) -> dict[str, float]:
    """Let a function answer an event; give seconds and bytes."""
    assert process.stdin is not None
    assert process.stderr is not None
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        refresh(event)
        json.dump(event, file)
        file.flush()
        process.stdin.write(f"{file.name}\n")
        process.stdin.flush()
        line = process.stderr.readline()
    took: dict[str, float] = json.loads(line)
    return took


def full_event(size: int) -> dict[str, Any]:
    """Give as many records as fit into a payload."""
    (record,) = make_event(1, size=size)["Records"]
    return make_event(PAYLOAD // len(json.dumps(record)), size=size)


def measure_memory(rounds: int) -> dict[str, tuple[int, float]]:
    """Give the records of an event and the bytes that relaying it adds, by what it is."""
    events: dict[str, Callable[[], dict[str, Any]]] = {
        "10,000 small records": lambda: make_event(10_000, size=SMALL),
        "6 MB of 1 KB messages": lambda: full_event(1_000),
        "6 MB of 200 KB messages": lambda: full_event(200_000),
    }
    found = {}
    with open_endpoint() as endpoint:
        for name, make in events.items():
            grown, count = [], 0
            for _ in range(rounds):
                with open_function(endpoint) as process:
                    invoke(process, make_event(1))  # connections are not the event's
                    event = make()
                    count = len(event["Records"])
                    grown.append(invoke(process, event)["bytes"])
            found[name] = (count, median(grown))
    return found


def measure_share(rounds: int) -> dict[str, float]:
    """Give the seconds that 100 records take in a share of a core, in a cold process and then warm."""
    took: dict[str, list[float]] = {"cold": [], "warm": []}
    with open_endpoint() as endpoint:
        for _ in range(rounds):
            with open_function(endpoint) as process, Share(process.pid, SHARE_OF_256_MB):
                for seconds in took.values():
                    seconds.append(invoke(process, make_event(100))["wall"])
    return {name: median(seconds) for name, seconds in took.items()}


def answer(rounds: int = 15) -> Answer:
    counts = {f"{count:,}": {"records": count, "size": SMALL} for count in COUNTS}
    sizes = {
        f"{size // 1_000} KB": {"records": min(100, PAYLOAD // (size + 1_500)), "size": size}
        for size in SIZES
    }
    fifo = {
        f"{number:,}": {"records": 1_000, "topic": "order--created.fifo", "aggregates": number}
        for number in AGGREGATES
    }
    grown = measure_growth(counts, rounds)
    by_size = measure_growth(sizes, rounds)
    by_aggregate = measure_growth(fifo, max(3, rounds // 3))
    memory = measure_memory(max(3, rounds // 5))
    share = measure_share(max(3, rounds // 3))

    def micros(samples: dict[str, Sample], shapes: dict[str, dict[str, Any]]) -> list[float]:
        return [samples[name].cpu.median / shapes[name]["records"] * 1e6 for name in shapes]

    def table(
        title: str, header: str, samples: dict[str, Sample], shapes: dict[str, dict[str, Any]]
    ) -> Table:
        rows = []
        for name, micro in zip(shapes, micros(samples, shapes), strict=True):
            records, sample = shapes[name]["records"], samples[name]
            rows.append((name, f"{records:,}", f"{micro:,.1f}", f"{sample.wall.median * 1e3:,.1f}"))
        headers = (header, "records", "CPU, µs a record", "wall, ms a batch")
        return Table(title=title, headers=headers, rows=tuple(rows))

    small = dict(zip(COUNTS, micros(grown, counts), strict=True))
    most = max(grown for _, grown in memory.values())
    question, _, method = (__doc__ or "").partition("\n\n")
    return Answer(
        name="scale",
        question=question,
        method=method,
        bars=(
            Bar(
                what="a record of 10,000 to one of 1,000, CPU",
                value=small[10_000] / small[1_000],
                sense="≤",
                bar=1.1,
            ),
            Bar(what="memory that a full event adds", value=most / 2**20, sense="≤", bar=32, unit="MB"),
            Bar(
                what="100 records in a share of 0.145 of a core, cold",
                value=share["cold"],
                sense="≤",
                bar=1,
                unit="s",
            ),
            Bar(what="the same, warm", value=share["warm"], sense="≤", bar=1, unit="s"),
        ),
        tables=(
            table(f"Records a batch, messages of {SMALL} bytes", "records", grown, counts),
            table("Bytes a message", "size", by_size, sizes),
            table("Aggregates of a batch of 1,000 on a FIFO topic", "aggregates", by_aggregate, fifo),
            Table(
                title="Memory above the parsed event",
                headers=("event", "records", "MB", "bytes a record"),
                rows=tuple(
                    (name, f"{count:,}", f"{size / 2**20:.1f}", f"{size / count:,.0f}")
                    for name, (count, size) in memory.items()
                ),
            ),
        ),
        plots=(
            Plot(
                name="scale",
                title="CPU a record",
                x_label="records a batch",
                y_label="µs",
                log_x=True,
                series=(Series("messages of 100 bytes", tuple(map(float, COUNTS)), tuple(small.values())),),
            ),
        ),
        machine=describe_machine(),
    )


if __name__ == "__main__":
    print_answer(answer(*map(int, sys.argv[1:])))

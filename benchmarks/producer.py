"""What does a producer's commit cost: messages built by `Outbox.put`, written in one transaction?

Run: ``nox -s bench -- producer``, or ``python -m benchmarks.producer``.

The reference opens a client for each commit and writes the items by hand; a service with this package keeps
one client, as its documentation tells. "Tuned" is such a client that leaves checking parameters to
`Outbox.put` and to DynamoDB. The endpoint answers at once.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession

from benchmarks.harness.answers import Answer, Bar, Plot, Series, Table, describe_machine, print_answer
from benchmarks.harness.endpoint import open_endpoint
from benchmarks.harness.events import TABLE, make_body
from benchmarks.harness.runs import Sample, alternate
from benchmarks.reference.producer import commit as commit_by_hand
from benchmarks.warm_batch import ENVIRONMENT
from outbox_sdk import Outbox

COUNTS = (1, 10, 100)
OUTBOX = Outbox(TABLE)
TUNED = AioConfig(parameter_validation=False)


async def commit(client: Any, bodies: list[str]) -> None:
    await client.transact_write_items(
        TransactItems=[
            OUTBOX.put(body, aggregate_id=f"order-{number}", topic="order--created")
            for number, body in enumerate(bodies)
        ]
    )


def measure(count: int, rounds: int) -> dict[str, Sample]:
    """Commit so many messages in turn."""
    os.environ.update(ENVIRONMENT)
    bodies = [make_body(1_000)] * count
    ids = [f"{number:036}" for number in range(count)]
    session: Any = AioSession()
    with open_endpoint() as endpoint, asyncio.Runner() as runner:

        async def open_clients() -> list[Any]:
            return [
                await session.create_client("dynamodb", endpoint_url=endpoint.url, config=config).__aenter__()
                for config in (None, TUNED)
            ]

        plain, tuned = runner.run(open_clients())

        def running(make: Callable[[], Any]) -> Callable[[], Callable[[], object]]:
            return lambda: lambda: runner.get_loop().run_until_complete(make())

        samples = alternate(
            {
                "reference": running(lambda: commit_by_hand(bodies, ids, ids, endpoint.url)),
                "a client kept": running(lambda: commit(plain, bodies)),
                "a client kept, tuned": running(lambda: commit(tuned, bodies)),
            },
            rounds=rounds,
        )
        for client in (plain, tuned):
            runner.run(client.__aexit__(None, None, None))
    return samples


def answer(rounds: int = 30) -> Answer:
    measured = {count: measure(count, rounds) for count in COUNTS}
    times = {
        name: [
            measured[count]["reference"].wall.median / measured[count][name].wall.median for count in COUNTS
        ]
        for name in measured[1]
    }
    rows = [
        (
            f"{count}, {name}",
            f"{sample.wall.median * 1e3:,.2f}",
            f"{sample.wall.low * 1e3:,.2f}–{sample.wall.high * 1e3:,.2f}",
            f"{sample.cpu.median * 1e3:,.2f}",
            f"{times[name][place]:,.1f}",
        )
        for place, count in enumerate(COUNTS)
        for name, sample in measured[count].items()
    ]
    question, _, method = (__doc__ or "").partition("\n\n")
    return Answer(
        name="producer",
        question=question,
        method=method,
        bars=(
            Bar(
                what="a commit of 10 messages, faster than the reference's, a client kept",
                value=times["a client kept"][1],
                sense="≥",
                bar=20,
            ),
        ),
        tables=(
            Table(
                title="A commit of messages of 1 KB",
                headers=("messages", "wall, ms", "10–90 %", "CPU, ms", "× reference"),
                rows=tuple(rows),
            ),
        ),
        plots=(
            Plot(
                name="producer",
                title="A commit, times the reference",
                x_label="messages",
                y_label="times the reference",
                kind="bars",
                series=tuple(
                    Series(name, tuple(map(str, COUNTS)), tuple(values))
                    for name, values in times.items()
                    if name != "reference"
                ),
            ),
        ),
        machine=describe_machine(),
    )


if __name__ == "__main__":
    print_answer(answer(*map(int, sys.argv[1:])))

"""What does a message cost in DynamoDB's write units over its life, and what of that has a server confirmed?

Run: ``nox -s bench -- write_units``, or ``python -m benchmarks.write_units``.

All figures are computed by :mod:`outbox_sdk.core.write_units`. Those marked ``m`` are what DynamoDB Local
reported for the same request; it reports none for PartiQL, so a mark of the strategy ``batch`` is measured
as the ``UpdateItem`` that costs the same. Those marked ``c`` are only computed: puts in a transaction, for
what it reports of transactions was not found to be DynamoDB's own figure. Without DynamoDB Local all are
``c``.
"""

import asyncio
from collections.abc import Iterator, Mapping
from itertools import product
from typing import NamedTuple

from benchmarks.harness.answers import Answer, Table, print_answer
from outbox_sdk._local_server.loopback import HOST, ServerStartError, open_loopback_server
from outbox_sdk.core.mark import MARK_STRATEGIES, MarkStrategy
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.write_units import WriteUnits, example_message, write_units
from outbox_sdk.provisioning import create_outbox_table
from tests.support.aws import open_client
from tests.support.dynamodb_local import dynamodb_local_launch_plan
from tests.support.measured_write_units import measure_write_units
from tests.support.unavailable import ServerUnavailable

DESIGNS: Mapping[str, TableDesign] = {
    "ordered": TableDesign.ordered,
    "message_keyed": TableDesign.message_keyed,
}
BODIES = {"100 B": 100, "1 KB": 1_000, "10 KB": 10_000}
HEADERS = [
    "design",
    "mark",
    "TTL",
    "body",
    "put: table",
    "put: index",
    "mark: table",
    "mark: index",
    "alone",
    "put in a transaction: table",
    "in a transaction",
]


class Case(NamedTuple):
    design: str
    strategy: MarkStrategy
    ttl_days: int | None
    body: str
    sequence: int | None = None


def cases() -> Iterator[Case]:
    for design, strategy, ttl_days, body in product(DESIGNS, MARK_STRATEGIES, (None, 7), BODIES):
        if strategy == "delete" and ttl_days is not None:
            continue  # nothing is left to expire
        yield Case(design, strategy, ttl_days, body)
    for strategy in MARK_STRATEGIES:
        yield Case("ordered", strategy, None, "1 KB", sequence=7)


def compute(case: Case, *, in_transaction: bool = False) -> WriteUnits:
    design = DESIGNS[case.design]
    return write_units(
        example_message(body_bytes=BODIES[case.body], design=design, sequence=case.sequence),
        design,
        strategy=case.strategy,
        in_transaction=in_transaction,
        ttl_days=case.ttl_days,
    )


async def measure(endpoint_url: str) -> dict[Case, WriteUnits]:
    measured = {}
    async with open_client("dynamodb", endpoint_url) as dynamodb:
        for name, design in DESIGNS.items():
            await create_outbox_table(dynamodb, name, design=design)
        for number, case in enumerate(cases()):
            design = DESIGNS[case.design]
            measured[case] = await measure_write_units(
                dynamodb,
                case.design,
                example_message(
                    body_bytes=BODIES[case.body], design=design, sequence=case.sequence, number=number
                ),
                design,
                strategy=case.strategy,
                ttl_days=case.ttl_days,
            )
    return measured


def row(case: Case, measured: WriteUnits | None) -> list[str]:
    computed, together = compute(case), compute(case, in_transaction=True)
    alone = measured or computed
    # Two figures in a cell would be a fault of one of them, which the integration test would have found.
    assert alone == computed, case
    origin = "c" if measured is None else "m"
    parts = [
        alone.put_table,
        alone.put_index + alone.put_sequence_index,
        alone.mark_table,
        alone.mark_index + alone.mark_sequence_index,
        alone.total,
    ]
    return [
        case.design + (" with `Sequence`" if case.sequence is not None else ""),
        case.strategy,
        "–" if case.ttl_days is None else f"{case.ttl_days} days",
        case.body,
        *(f"{part} {origin}" for part in parts),
        f"{together.put_table} c",
        f"{together.total} c",
    ]


def tables() -> list[Table]:
    try:
        # Not by way of the fixtures' module, which needs pytest.
        plan = dynamodb_local_launch_plan()
        with open_loopback_server(
            plan, name="DynamoDB Local", health_path="/", startup_timeout_seconds=60.0
        ) as port:
            measured: Mapping[Case, WriteUnits] = asyncio.run(measure(f"http://{HOST}:{port}"))
        note = "m: measured on DynamoDB Local, marks of `batch` as their `UpdateItem`; c: computed"
    except (ServerStartError, ServerUnavailable) as error:
        measured, note = {}, f"all computed, for DynamoDB Local cannot be had: {error}"
    rows = tuple(tuple(row(case, measured.get(case))) for case in cases())
    return [
        Table(title=f"Write units of a message over its life ({note})", headers=tuple(HEADERS), rows=rows)
    ]


def answer() -> Answer:
    question, _, method = (__doc__ or "").partition("\n\n")
    return Answer(name="write_units", question=question, method=method, tables=tuple(tables()))


if __name__ == "__main__":
    print_answer(answer())

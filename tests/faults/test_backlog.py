"""Faults 59 to 62: a backlog that the stream no longer holds, or that no mapping reads."""

import dataclasses
import time

import msgspec
import pytest

from outbox_sdk.core.report import describe_batch
from outbox_sdk.core.sweep_report import describe_sweep
from outbox_sdk.shell.sweeper import sweep
from outbox_sdk.testing import InMemoryStack
from outbox_sdk.testing.simulation import Commit, Mapping, Relaying, Run, Scenario, simulate
from tests.faults.support import message_entry, say

DAY = 86_400.0
OFF = Mapping(disabled=((0.0, 1.25 * DAY),))
"""The mapping is off for thirty hours, and the stream forgets after twenty-four."""

COMMITS = tuple(
    Commit(
        # Half of them in the first hour, half of them in the last one.
        at=60.0 * number if number < 20 else 1.25 * DAY - 3_000.0 + 60.0 * number,
        transaction=number,
        aggregate=f"a{number % 3}",
        topic="orders.fifo",
        foreign=number % 5 == 0,
    )
    for number in range(40)
)


def accepted_in_order(run: Run) -> bool:
    """Whether each aggregate's messages were first accepted in the order of their commits."""
    lanes: dict[str, list[float]] = {}
    for message in run.messages:
        lanes.setdefault(message.commit.aggregate, []).append(message.acceptances[0].at)
    return all(times == sorted(times) for times in lanes.values())


def test_fault_59_stream_trimmed() -> None:
    """What the stream has forgotten is found in the table, touched, and relayed like all else."""
    relaying = Relaying(sweeps=(1.25 * DAY + 600.0, 1.25 * DAY + 4_200.0))
    scenario = Scenario(commits=COMMITS, mapping=OFF, relaying=relaying, calm_after=1.25 * DAY)

    without = simulate(msgspec.structs.replace(scenario, relaying=Relaying()))
    run = simulate(scenario, tracing=True)

    lost = [violation for violation in without.violations if violation.invariant == "lost"]
    assert len(lost) == 20  # the twenty that only a sweeper can find
    assert run.violations == ()
    assert [len(message.acceptances) for message in run.messages] == [1] * 40
    assert sum(line.endswith("touched") for line in run.trace) == 20


def test_fault_60_relay_off_for_days() -> None:
    """Swept with `--publish` before the relay is on again, all of it is delivered, in order, and once."""
    relaying = Relaying(sweeps=(1.25 * DAY - 600.0,), sweep_publishes=True, sweep_after=60.0)
    scenario = Scenario(commits=COMMITS, mapping=OFF, relaying=relaying, calm_after=1.25 * DAY)

    run = simulate(scenario)

    assert run.violations == ()
    assert [len(message.acceptances) for message in run.messages] == [1] * 40
    assert accepted_in_order(run)


def test_fault_60_in_parts() -> None:
    """A sweep takes up no more than it is told, the oldest first; the next one goes on where it ended."""
    relaying = Relaying(
        sweeps=tuple(1.25 * DAY - 600.0 + 30.0 * run for run in range(5)),
        sweep_publishes=True,
        sweep_after=60.0,
        sweep_limit=10,
    )
    scenario = Scenario(commits=COMMITS, mapping=OFF, relaying=relaying, calm_after=1.25 * DAY)

    run = simulate(scenario)

    assert run.violations == ()
    assert accepted_in_order(run)


async def test_fault_61_mapping_made_anew_at_the_end_of_the_stream() -> None:
    """A mapping that starts at LATEST passes over what came before; a sweep brings it in again."""
    stack = InMemoryStack()
    for number in range(10):
        stack.table.put(message_entry(f"m{number}"))
    stack._relayed = len(stack.table.records)  # as LATEST does
    report = await stack.relay()
    assert report.records == ()

    later = dataclasses.replace(stack.context, now=lambda: time.time() + 7_200.0)
    swept = await sweep(later, stack.table, sweep_after=3_600.0, limit=100)
    report = await stack.relay()

    assert swept.touched == 10
    assert swept.oldest_age_seconds is not None
    assert swept.oldest_age_seconds >= 3_600.0
    assert len(stack.published) == 10
    assert report.counts() == {"dispatched": 10}
    for line in (describe_sweep(swept), describe_batch(report)):
        say(repr(line))


async def test_fault_62_stream_made_anew() -> None:
    """Records of the table's new stream are the table's; what only the old one held is swept."""
    stack = InMemoryStack()
    stack.table.put(message_entry("before"))
    stack._relayed = len(stack.table.records)  # the old stream, which nobody reads any more

    later = dataclasses.replace(stack.context, now=lambda: time.time() + 7_200.0)
    await sweep(later, stack.table, sweep_after=3_600.0, limit=100)
    stack.table.put(message_entry("after"))
    new_arn = "arn:aws:dynamodb:us-east-1:000000000000:table/outbox/stream/2026-12-01T00:00:00.000"
    for record in stack.table.records:
        record["eventSourceARN"] = new_arn
    report = await stack.relay()

    assert sorted(message.message_id for message in stack.published) == ["after", "before"]
    assert report.response == {"batchItemFailures": []}


@pytest.mark.parametrize("marker", ["00", "15", "99", "x"])
async def test_a_sweep_finds_every_marker_of_an_outstanding_item(marker: str) -> None:
    stack = InMemoryStack()
    stack.table.put(message_entry("m", NotDispatched={"S": marker}))
    later = dataclasses.replace(stack.context, now=lambda: time.time() + 7_200.0)

    assert (await sweep(later, stack.table, sweep_after=3_600.0, limit=100)).touched == 1

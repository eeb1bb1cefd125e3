"""Faults of processes and of time, 50 to 58 and 63 to 66: what a crash costs, and what comes too late."""

import asyncio
import random
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from outbox_sdk import lambda_handler
from outbox_sdk.core.identifiers import Region
from outbox_sdk.core.outcome import Dispatched
from outbox_sdk.lambda_handler import RelayHandler
from outbox_sdk.testing import InMemoryStack
from outbox_sdk.testing.simulation import Calm, Commit, Fault, Relaying, Run, Scenario, simulate
from outbox_sdk.testing.simulation import Mapping as MappingSettings
from outbox_sdk.testing.simulation.plans import OneKill
from tests.faults.mapping import CALM, Deployment, play, restart
from tests.faults.support import (
    entry_failure,
    event_of,
    message_entry,
    open_bench,
    parked,
    published,
    relay,
)
from tests.support.events import FakeContext
from tests.support.wire import Wire

SUCCESS: Any = {"batchItemFailures": []}


def commits(*lanes: tuple[str, str], count: int = 3) -> tuple[Commit, ...]:
    """Commit ``count`` messages of each (topic, aggregate), one transaction after the other."""
    pairs = [lane for _ in range(count) for lane in lanes]
    return tuple(
        Commit(at=0.0, transaction=number, aggregate=aggregate, topic=topic)
        for number, (topic, aggregate) in enumerate(pairs)
    )


def kill_everywhere(scenario: Scenario, *, arrives: bool) -> list[Run]:
    """Play a scenario once for each step of its first invocation, killed there."""
    steps = simulate(scenario).steps[0]
    assert steps > 10
    return [simulate(scenario, OneKill(step, arrives=arrives)) for step in range(1, steps + 1)]


# Crashes

TWO_TOPICS = Scenario(commits=commits(("alpha", "a0"), ("beta.fifo", "a0"), ("beta.fifo", "a1")))


def test_fault_50_crash_between_publish_and_mark() -> None:
    """A process that dies before it has marked what is out costs one repetition, and on FIFO topics none."""
    runs = kill_everywhere(TWO_TOPICS, arrives=True)

    assert [run.violations for run in runs if run.violations] == []
    accepted = Counter(len(message.acceptances) for run in runs for message in run.messages)
    assert set(accepted) == {1, 2}
    twice = {m.commit.topic for run in runs for m in run.messages if m.duplicates}
    assert twice == {"alpha"}


async def test_fault_51_crash_between_mark_and_return() -> None:
    """What is marked and comes again is looked up and left; only a record seconds old may go out twice."""
    bench = open_bench()
    event = bench.put(message_entry("m0"), message_entry("m1", topic="t.fifo"))
    await bench.relay(event)

    old = restart(bench.context, now=lambda: time.time() + 6.0)
    settled = await relay(old, event)
    assert settled.report.skips() == {"already_dispatched": 2}
    assert settled.reported == []
    assert published(bench.topics) == ["m0", "m1"]

    always = await relay(restart(bench.context, recheck_after=0.0), event)
    assert always.report.skips() == {"already_dispatched": 2}

    # Sooner than that nobody looks: once more on a standard topic, and the second mark changes nothing.
    soon = await relay(restart(bench.context), event)
    assert soon.outcomes == [Dispatched(gone=True)] * 2
    assert published(bench.topics) == ["m0", "m1", "m0"]


class SlowAnswers(Calm):
    """Every publish of the first minute takes effect, and answers long after the function's time is up."""

    def fault(self, operation: Any, target: str, size: int, now: float) -> Fault:
        slow = operation == "publish" and now < 60.0
        return Fault("answer_lost", "Timeout", seconds=500.0) if slow else CALM


def test_fault_52_function_timeout() -> None:
    """The relay answers before the function's time is up, however slow AWS is; the rest comes again."""
    scenario = msgspec.structs.replace(TWO_TOPICS, relaying=Relaying(timeout=3.0))

    run = simulate(scenario, SlowAnswers(), tracing=True)

    assert run.violations == ()  # `overtime` would be one, and so would a message lost or overtaken
    assert any("9 held; reported 9" in line or "reported 9" in line for line in run.trace)
    assert all(message.acceptances for message in run.messages)


@pytest.mark.parametrize("bisect", [True, False], ids=["bisect", "whole"])
def test_fault_53_process_killed(bisect: bool) -> None:
    """A process killed at any moment, for its memory or anything else, loses and reorders nothing."""
    poisoned = (
        *TWO_TOPICS.commits,
        Commit(at=0.0, transaction=9, aggregate="a2", topic="alpha", kind="empty"),
    )
    scenario = msgspec.structs.replace(
        TWO_TOPICS, commits=poisoned, mapping=MappingSettings(bisect=bisect, batch_size=100)
    )

    for run in kill_everywhere(scenario, arrives=False):
        assert run.violations == ()
        assert all(message.duplicates <= 1 for message in run.messages)
        assert [m.parks for m in run.messages if m.parks] == [["empty"]]


# The handler


def messages(count: int) -> list[Any]:
    return [message_entry(f"m{number}", aggregate_id=f"a{number}") for number in range(count)]


def numbers_of(event: dict[str, Any]) -> list[dict[str, str]]:
    return [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]} for record in event["Records"]]


def left_over(handler: RelayHandler) -> set[asyncio.Task[Any]]:
    """The tasks on the handler's loops, which stand still between two invocations."""
    return {task for engine in handler._idle for task in asyncio.all_tasks(engine._runner.get_loop())}


@pytest.mark.integration
@pytest.mark.parametrize("hung", [None, "PublishBatch", "BatchExecuteStatement"])
def test_fault_54_frozen_with_nothing_under_way(wire: Wire, handler: RelayHandler, hung: str | None) -> None:
    """When the handler has answered, no task of it is left that a freeze could stop half-way."""
    handler(event_of(message_entry()), FakeContext())  # opens the clients
    threads = set(threading.enumerate())
    if hung is not None:
        wire.always(hung, "hang")

    response = handler(event_of(*messages(30)), FakeContext(remaining_seconds=1.4))

    assert len(response["batchItemFailures"]) == (0 if hung is None else 30)
    assert left_over(handler) == set()
    assert set(threading.enumerate()) == threads


@pytest.mark.integration
@pytest.mark.parametrize(("left", "requests"), [(0.3, 0), (1.3, 3)])
def test_a_hung_socket_with_little_time_left_on_the_clock(
    wire: Wire, handler: RelayHandler, left: float, requests: int
) -> None:
    """With 300 ms left nothing is begun, and what was begun is cut off 200 ms before the end."""
    handler(event_of(message_entry()), FakeContext())  # opens the clients
    wire.reset()
    wire.always("PublishBatch", "hang")
    wire.always("BatchExecuteStatement", "hang")
    before = set(threading.enumerate())
    event = event_of(*messages(30))
    context = FakeContext(remaining_seconds=left)

    response = handler(event, context)

    assert context.get_remaining_time_in_millis() > 0
    assert response == {"batchItemFailures": numbers_of(event)}
    assert wire.counts().get("PublishBatch", 0) == requests
    assert left_over(handler) == set()
    assert set(threading.enumerate()) == before


@pytest.mark.integration
def test_fault_55_restored_from_a_snapshot(wire: Wire, handler: RelayHandler) -> None:
    """A snapshot holds no client, no connection and no state of randomness; all are made when needed."""
    assert handler._idle == []
    assert lambda_handler._handler._idle == []
    assert wire.connections == 0

    assert handler(event_of(message_entry()), FakeContext()) == SUCCESS
    assert wire.connections == 1

    # Processes restored have one state of Python's generator; the relay's jitter is not drawn from it.
    jitter = InMemoryStack().context.jitter
    restored = random.getstate()
    first = [jitter() for _ in range(4)]
    random.setstate(restored)
    assert [jitter() for _ in range(4)] != first


# The mapping


def test_fault_56_function_throttled() -> None:
    """While the function finds no concurrency the mapping waits; nothing is sent, lost, or sent twice."""

    async def main() -> None:
        async with Deployment(*commits(("t.fifo", "a0"), ("t", "a1"))) as deployed:
            deployed.commit()
            mapping = deployed.add_relay(throttled=5, settings=MappingSettings(bisect=False))
            await deployed.rest()

            assert deployed.ledger.violations == []
            assert mapping.given_up == []
            assert sorted(deployed.published) == [f"m{number}" for number in range(6)]
            assert all(len(m.acceptances) == 1 for m in deployed.ledger.messages.values())
            deployed.ledger.finish()
            assert deployed.ledger.violations == []

    play(main())


class DownForAnHour(Calm):
    """One topic answers nothing but throttling for an hour."""

    def fault(self, operation: Any, target: str, size: int, now: float) -> Fault:
        down = operation == "publish" and target == "t.fifo" and now < 3_600.0
        return Fault("refused", "Throttled", 429) if down else CALM


def give_up_and_replay(settings: MappingSettings) -> None:
    """Let a mapping give a batch up, and replay what it wrote to its on-failure destination an hour later."""

    async def main() -> None:
        async with Deployment(*commits(("t.fifo", "a0"), ("t", "a1"))) as deployed:
            deployed.commit()
            mapping = deployed.add_relay(DownForAnHour(), settings=settings)
            await deployed.rest()

            # The other topic's messages went at once, and stand in the payload all the same.
            assert deployed.published == ["m1", "m3", "m5"]
            assert [record["dynamodb"]["NewImage"]["MessageId"]["S"] for record in mapping.given_up] == [
                f"m{number}" for number in range(6)
            ]
            assert not any("ParkReason" in item for item in deployed.table.items.values())

            await asyncio.sleep(3_600.0)
            report = await deployed.replay(mapping.given_up)

            assert report.counts() == {"dispatched": 3, "settled": 3}
            assert report.skips() == {"already_dispatched": 3}
            assert deployed.published == ["m1", "m3", "m5", "m0", "m2", "m4"]
            again = await deployed.replay(mapping.given_up)
            assert again.skips() == {"already_dispatched": 6}
            deployed.ledger.finish()
            assert deployed.ledger.violations == []

    play(main())


def test_fault_57_retries_exhausted() -> None:
    """What a mapping with finite retries gives up is delivered when its payload is replayed, and no more."""
    give_up_and_replay(MappingSettings(max_retry_attempts=3))


def test_fault_58_record_too_old_for_the_mapping() -> None:
    """What has grown too old for the mapping is delivered when its payload is replayed, and no more."""
    give_up_and_replay(MappingSettings(max_record_age=600.0))


# The stream and its copies


def test_fault_63_shard_split() -> None:
    """When a shard splits, messages of an aggregate go on in order, and the relay notices nothing."""
    lanes = [("beta.fifo", f"a{number}") for number in range(6)]
    pairs = [(at, lane) for at in range(8) for lane in lanes]
    scenario = Scenario(
        commits=tuple(
            Commit(at=float(at), transaction=number, aggregate=aggregate, topic=topic)
            for number, (at, (topic, aggregate)) in enumerate(pairs)
        ),
        mapping=MappingSettings(batch_size=5),
        splits=(1.5, 3.2, 3.3, 5.9),
    )

    run = simulate(scenario, tracing=True)

    assert run.violations == ()
    assert sum("a shard splits" in line for line in run.trace) == 4
    assert [len(message.acceptances) for message in run.messages] == [1] * len(run.messages)


class FarAway(Calm):
    """Every request takes a little longer."""

    def latency(self) -> float:
        return 0.03


def test_fault_64_two_relays_on_one_stream() -> None:
    """Two relays beside each other, as while one replaces the other, cost repetitions and nothing else."""

    async def main() -> None:
        async with Deployment(*commits(("t.fifo", "a0"), ("t.fifo", "a1"), ("t", "a0"))) as deployed:
            deployed.commit()
            mappings = [deployed.add_relay(), deployed.add_relay(FarAway())]
            await deployed.rest()
            deployed.ledger.finish()

            assert deployed.ledger.violations == []
            times = Counter(deployed.published)
            assert set(times) == {f"m{number}" for number in range(9)}
            assert {times[f"m{number}"] for number in range(9) if number % 3 != 2} == {1}
            assert {times[f"m{number}"] for number in range(2, 9, 3)} == {2}
            assert [mapping.given_up for mapping in mappings] == [[], []]
            assert all("NotDispatched" not in item for item in deployed.table.items.values())
            counts = [item["ApproximateDispatchCount"] for item in deployed.table.items.values()]
            assert counts == [{"N": "1"}] * 9
            assert deployed.changes == 18  # an insert and a mark each: the second mark changes nothing

    play(main())


async def test_fault_65_global_table() -> None:
    """A table replicated to two Regions with a relay in each sends twice, under one MessageId: run one relay.

    The relay does not compare Regions. What has been marked before its record is looked at is not repeated.
    """
    bench = open_bench()
    event = bench.put(*(message_entry(f"m{number}", topic="t.fifo") for number in range(3)))
    wrapping = bench.context.wrapping
    routing = msgspec.structs.replace(wrapping.routing, region=Region("eu-west-1"))
    elsewhere = restart(bench.context, wrapping=msgspec.structs.replace(wrapping, routing=routing))

    here, there = await asyncio.gather(relay(bench.context, event), relay(elsewhere, event))

    assert here.reported == there.reported == []
    regions = Counter(request.topic.split(":")[3] for request in bench.topics.requests)
    assert regions == {"us-east-1": 1, "eu-west-1": 1}
    assert all("NotDispatched" not in item for item in bench.table.items.values())

    later = await relay(replace(elsewhere, recheck_after=0.0), event)
    assert later.report.skips() == {"already_dispatched": 3}


async def test_fault_66_restored_from_a_backup() -> None:
    """After a restore old messages are parked where a limit is set, and sent only where somebody asks."""
    an_hour_later = datetime(2026, 11, 23, 10, tzinfo=UTC).timestamp()  # than `message_entry` says
    old: Any = {"CreatedAt": {"S": "2020-01-01T00:00:00Z"}}
    items = [
        message_entry("old", **old),
        message_entry("new"),
        message_entry("x", RedriveCount={"N": "1"}, **old),
    ]

    guarded = open_bench(park_older_than=86_400.0, now=lambda: an_hour_later)
    done = await guarded.relay_items(*items)

    assert published(guarded.topics) == ["new", "x"]
    assert parked(guarded.table) == {"old": "age:86400"}
    assert done.reported == []
    assert "OUTBOX_PARK_OLDER_THAN_SECONDS" in done.line("message_parked").fields["advice"]

    unguarded = open_bench()
    await unguarded.relay_items(*items)
    assert published(unguarded.topics) == ["old", "new", "x"]


# A request that half succeeded


@pytest.mark.parametrize("recheck_after", [5.0, 0.0])
async def test_two_failed_entries_of_ten_are_sent_again_and_nothing_else(recheck_after: float) -> None:
    """A fresh process that gets the batch after the recheck age sends what failed, and its followers."""
    bench, event, first = await relay_ten(recheck_after)
    assert first.report.counts() == {"dispatched": 10, "held": 3}
    requests = len(bench.topics.requests)

    later = restart(bench.context, now=lambda: time.time() + recheck_after + 1.0)
    second = await relay(later, event)

    assert [m for sent in bench.topics.sent[requests:] for m in sent] == ["m3", "m7", "m11"]
    assert sorted(published(bench.topics)) == sorted(f"m{number}" for number in range(13))
    assert second.report.skips() == {"already_dispatched": 10}
    assert second.reported == []


async def test_two_failed_entries_of_ten_cost_a_repetition_at_most_when_they_come_at_once() -> None:
    """Sooner than that, a process that remembers nothing repeats at most what was accepted; FIFO drops it."""
    bench, event, _ = await relay_ten(5.0)

    second = await relay(restart(bench.context), event)

    assert second.reported == []
    times = Counter(message for sent in bench.topics.sent for message in sent)
    assert max(times.values()) <= 2 + 3  # what failed had all its attempts, and one more now
    assert sorted(published(bench.topics)) == sorted(f"m{number}" for number in range(13))


async def relay_ten(recheck_after: float) -> Any:
    """Relay ten lanes, two of whose heads SNS does not take, and a follower in three of them."""
    failing = {"m3", "m7"}

    def judge(request: Any) -> Any:
        ids = [entry.message.message_id for entry in request.entries]
        return {place: entry_failure("InternalFailure") for place, m in enumerate(ids) if m in failing}

    bench = open_bench(judge=judge, recheck_after=recheck_after)
    items = [message_entry(f"m{number}", aggregate_id=f"a{number}", topic="t.fifo") for number in range(10)]
    followers = [
        message_entry(f"m{number}", aggregate_id=f"a{lane}", topic="t.fifo")
        for number, lane in ((10, 0), (11, 3), (12, 5))
    ]
    event = bench.put(*items, *followers)
    first = await bench.relay(event)
    bench.topics.judge = None
    return bench, event, first

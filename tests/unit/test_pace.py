"""What an invocation counts, how often it tries again, and how it makes way where AWS asks for less."""

import asyncio
import dataclasses
import random
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.core.lookup import LookupResult, Unreadable
from outbox_sdk.core.mark import Mark, MarkResult, Park, Unwritten
from outbox_sdk.core.outcome import Held, Parked
from outbox_sdk.core.publish import PublishRequest, PublishResponse, RequestFailed
from outbox_sdk.core.retry import Deadline, RetryPolicy
from outbox_sdk.shell.context import RelayContext
from outbox_sdk.shell.pace import Pace
from outbox_sdk.shell.producer import Outbox
from outbox_sdk.shell.relay import relay_batch
from outbox_sdk.testing import InMemoryStack, InMemoryTable, InMemoryTopics

OUTBOX = Outbox("outbox")
QUICK = RetryPolicy(attempts=4, base=0.0, cap=0.0)


class Aws(InMemoryTable):
    """A table and topics that answer the first calls of each kind as they are told, and count what runs."""

    def __init__(self, *, request_size: int = 25, **answers: list[str]) -> None:
        super().__init__()
        self.request_size = request_size
        self.answers = answers
        self.topics = InMemoryTopics()
        self.running = self.most = 0
        self.widths: list[int] = []

    async def _answer(self, call: str) -> str:
        self.running += 1
        self.most = max(self.most, self.running)
        for _ in range(3):
            await asyncio.sleep(0)
        self.widths.append(self.running)
        self.running -= 1
        answers = self.answers.get(call)
        return answers.pop(0) if answers else ""

    async def publish(self, request: PublishRequest) -> PublishResponse:
        code = await self._answer("publish")
        return RequestFailed(code, 400) if code else await self.topics.publish(request)

    async def mark(self, marks: Sequence[Mark]) -> tuple[MarkResult, ...]:
        code = await self._answer("mark")
        return (Unwritten(code),) * len(marks) if code else await super().mark(marks)

    async def lookup(self, keys: Sequence[ItemKey]) -> Mapping[ItemKey, LookupResult]:
        code = await self._answer("lookup")
        return dict.fromkeys(keys, Unreadable(code)) if code else await super().lookup(keys)

    async def park(self, park: Park, *, now: str) -> MarkResult:
        code = await self._answer("park")
        return Unwritten(code) if code else await super().park(park, now=now)


def write(aws: Aws, count: int, **changes: Any) -> dict[str, Any]:
    for number in range(count):
        entry: Any = OUTBOX.put("{}", aggregate_id=f"a{number}", topic="t", message_id=f"m{number}")
        aws.put({**entry["Put"]["Item"], **changes})
    return {"Records": list(aws.records)}


def context_of(aws: Aws, **changes: Any) -> RelayContext:
    context = dataclasses.replace(InMemoryStack().context, publisher=aws, table=aws, marker=aws)
    return dataclasses.replace(context, **{"retry": QUICK, "recheck_after": 60.0, **changes})


# What is counted


async def test_a_calm_batch_counts_its_requests_and_nothing_else() -> None:
    aws = Aws()

    report = await relay_batch(context_of(aws), write(aws, 30))

    assert report.effort.counted() == {"publish_requests": 3, "mark_requests": 2}


async def test_every_kind_of_trouble_is_counted() -> None:
    aws = Aws(
        publish=["Throttled", "BatchRequestTooLong"],
        mark=["ThrottlingError"],
        lookup=["Throttled"],
        park=["Timeout"],
    )
    bad: Any = OUTBOX.put("{}", aggregate_id="bad", topic="t", message_id="bad")["Put"]["Item"]
    del bad["Message"]
    aws.put(bad)

    report = await relay_batch(context_of(aws, recheck_after=0.0), write(aws, 10))

    assert report.effort.counted() == {
        "publish_requests": 4,
        "mark_requests": 2,
        "lookup_requests": 2,
        "park_writes": 2,
        "retries": 4,
        "throttled": 3,
        "size_miscounts": 1,
    }
    assert report.counts() == {"dispatched": 10, "parked": 1}


async def test_what_is_out_already_and_what_is_gone_are_counted() -> None:
    aws = Aws(mark=["AccessDenied"])
    event = write(aws, 3)
    context = context_of(aws)

    first = await relay_batch(context, event)
    for key in list(aws.items):
        aws._write(key, None)
    second = await relay_batch(context, event)

    assert first.counts() == {"unmarked": 3}
    assert second.effort.counted() == {"mark_requests": 1, "memo_hits": 3, "gone": 3}
    assert len(aws.topics.published) == 3


async def test_two_items_of_one_message_id_are_both_published_and_counted() -> None:
    aws = Aws()
    for aggregate in ("a", "b"):
        entry: Any = OUTBOX.put("{}", aggregate_id=aggregate, topic="t", message_id="m")
        aws.put(entry["Put"]["Item"])

    report = await relay_batch(context_of(aws), {"Records": list(aws.records)})

    assert len(aws.topics.published) == 2
    assert report.effort.message_id_collisions == 1


# How often


@pytest.mark.parametrize(
    ("call", "changes"),
    [("publish", {}), ("mark", {}), ("lookup", {"recheck_after": 0.0}), ("park", {"park_older_than": 0.0})],
)
@pytest.mark.parametrize("budget", [0, 3, 7])
async def test_all_calls_share_the_retries_of_an_invocation(
    call: str, changes: dict[str, float], budget: int
) -> None:
    """In an outage nobody insists: what fails when the retries are used up is reported at once."""
    aws = Aws(request_size=1, **{call: ["InternalError"] * 1_000})
    retry = msgspec.structs.replace(QUICK, budget=budget)
    event = write(aws, 10, CreatedAt={"S": "2001-01-01T00:00:00Z"})

    report = await relay_batch(context_of(aws, retry=retry, **changes), event)

    counts = report.effort
    made = {"publish": counts.publish_requests, "mark": counts.mark_requests}
    made |= {"lookup": counts.lookup_requests, "park": counts.park_writes}
    first = {"publish": 1, "mark": 10, "lookup": 1, "park": 10}[call]
    assert counts.retries == min(budget, 3 * first)
    assert made[call] == first + counts.retries
    assert len(report.response["batchItemFailures"]) == 10


async def test_the_budget_is_one_for_all_kinds_of_calls() -> None:
    aws = Aws(lookup=["InternalError"] * 2, publish=["InternalError"] * 9)
    retry = msgspec.structs.replace(QUICK, budget=3)

    report = await relay_batch(context_of(aws, retry=retry, recheck_after=0.0), write(aws, 1))

    assert (report.effort.lookup_requests, report.effort.publish_requests) == (3, 2)


async def test_neither_isolation_nor_a_stale_connection_costs_a_retry() -> None:
    """Both may come at any time without any trouble at AWS."""
    aws = Aws(publish=["InvalidParameter", *["ConnectionClosed"] * 10], mark=["ConnectionClosed"])
    patient = RetryPolicy(base=60.0, cap=60.0, budget=0)

    report = await asyncio.wait_for(relay_batch(context_of(aws, retry=patient), write(aws, 10)), timeout=10)

    assert report.counts() == {"dispatched": 10}
    assert report.effort.retries == 11


def test_processes_restored_from_one_snapshot_do_not_pause_for_the_same_times() -> None:
    """They share the state of Python's generator, which jitter therefore is not drawn from."""
    jitter = InMemoryStack().context.jitter
    snapshot = random.getstate()
    first = [jitter() for _ in range(4)]
    random.setstate(snapshot)

    assert [jitter() for _ in range(4)] != first


# How fast


async def test_an_answer_that_asks_for_less_keeps_its_slot() -> None:
    aws = Aws(request_size=1, publish=["Throttled"] * 3)

    report = await relay_batch(context_of(aws, max_concurrency=4), write(aws, 40))

    assert report.counts() == {"dispatched": 40}
    assert aws.most == 4
    assert set(aws.widths[-20:]) == {1}


@pytest.mark.parametrize("slots", [1, 2])
async def test_the_last_slot_is_always_given_back(slots: int) -> None:
    answers = {call: ["ThrottlingException"] * 3 for call in ("publish", "mark", "lookup")}
    aws = Aws(request_size=1, **answers)

    report = await asyncio.wait_for(
        relay_batch(context_of(aws, max_concurrency=slots, recheck_after=0.0), write(aws, 20)), timeout=20
    )

    assert report.counts() == {"dispatched": 20}
    assert report.effort.throttled == 9


async def test_trouble_that_is_no_throttling_keeps_no_slot() -> None:
    aws = Aws(request_size=1, publish=["InternalError"] * 3)

    await relay_batch(context_of(aws, max_concurrency=4), write(aws, 40))

    assert max(aws.widths[-20:]) == 4


async def test_a_call_that_is_cut_off_gives_its_slot_back() -> None:
    pace = Pace(context_of(Aws(), max_concurrency=1), Deadline())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), pace.slot():
            await asyncio.sleep(60)

    async with asyncio.timeout(5), pace.slot():
        pace.note("publish_requests", ["Throttled"])
    async with asyncio.timeout(5), pace.slot():
        assert pace.effort.throttled == 1


# How old


@pytest.mark.parametrize(
    ("age", "changes", "parked"),
    [
        (86_500, {}, True),
        (86_300, {}, False),
        (86_500, {"RedriveCount": {"N": "1"}}, False),
        (86_500, {"CreatedAt": {"S": "yesterday"}}, False),
        (86_500, {"CreatedAt": {"NULL": True}}, False),
        (0, {"CreatedAt": {"S": "2001-01-01T00:00:00+01:00"}}, True),
    ],
)
async def test_what_was_created_too_long_ago_is_parked_where_that_is_asked_for(
    age: float, changes: dict[str, Any], parked: bool
) -> None:
    """After a restore, every item that was outstanding in the backup would go out once more."""
    aws = Aws()
    created = (datetime.now(UTC) - timedelta(seconds=age)).isoformat()
    event = write(aws, 1, **{"CreatedAt": {"S": created}, **changes})

    report = await relay_batch(context_of(aws, park_older_than=86_400.0), event)

    assert (report.records[0].outcome == Parked("age:86400")) == parked
    assert len(aws.topics.published) == (not parked)


async def test_nothing_is_too_old_by_default() -> None:
    aws = Aws()

    report = await relay_batch(context_of(aws), write(aws, 1, CreatedAt={"S": "2001-01-01T00:00:00Z"}))

    assert report.counts() == {"dispatched": 1}


async def test_a_message_that_goes_round_in_a_circle_is_parked() -> None:
    aws = Aws()

    report = await relay_batch(context_of(aws), write(aws, 1, Hops={"N": "16"}))

    assert [record.outcome for record in report.records] == [Parked("hops:16")]


# Side by side


async def test_what_another_batch_is_at_work_on_is_reported_and_not_published() -> None:
    aws = Aws()
    event = write(aws, 3)
    context = context_of(aws)
    first, second = await asyncio.gather(relay_batch(context, event), relay_batch(context, event))

    assert first.counts() == {"dispatched": 3}
    assert {record.outcome for record in second.records} == {Held("InFlight")}
    assert len(aws.topics.published) == 3

    third = await relay_batch(dataclasses.replace(context, recheck_after=0.0, now=time.time), event)

    assert third.skips() == {"already_dispatched": 3}

"""Faults of poison, order and cost, 67 to 76: what must not block, overtake, echo, circle or flood."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from outbox_sdk import Outbox
from outbox_sdk.core.errors import InvalidMessageError
from outbox_sdk.core.outcome import Dispatched, Held, Parked, Unparked
from outbox_sdk.core.publish import PublishRequest
from outbox_sdk.lambda_handler import RelayHandler
from outbox_sdk.testing import InMemoryStack
from outbox_sdk.testing.simulation import Commit, Relaying, Scenario, run_virtually, simulate
from outbox_sdk.testing.simulation import Mapping as MappingSettings
from tests.faults.mapping import restart
from tests.faults.support import (
    CANARY,
    FailingTopics,
    TopicAnswer,
    entry_failure,
    event_of,
    message_entry,
    open_bench,
    parked,
    published,
    relay,
    request_failure,
)
from tests.support.events import FakeContext
from tests.support.wire import Call, Reply, Wire, publish_answer, sns_error

FIFO = "t.fifo"


def lane_of(count: int, *, aggregate_id: str = "a", first: int = 0, **attributes: Any) -> list[Any]:
    """Write messages of one aggregate with the versions that their producer gave them."""
    return [
        message_entry(
            f"m{number}",
            aggregate_id=aggregate_id,
            topic=FIFO,
            **{"Sequence": {"N": str(number)}, **attributes},
        )
        for number in range(first, first + count)
    ]


def sequences(topics: FailingTopics) -> list[str]:
    """The versions by which a consumer sees gaps and repetitions, as subscribers have got them."""
    return [message.attributes["Sequence"] for message in topics.published]


# Poison


def test_fault_67_poison_does_not_block_its_shard() -> None:
    """Poison is parked at first sight: whatever stands at the head of a shard, the shard moves on."""
    kinds: Any = ("no_topic", "empty", "not_allowed", "too_big", "refused", "rejected")
    bad = [
        Commit(at=0.0, transaction=n, aggregate=f"p{n}", topic="alpha", kind=k) for n, k in enumerate(kinds)
    ]
    good = [
        Commit(at=0.0, transaction=6 + n, aggregate=f"a{n % 3}", topic=("alpha", "beta.fifo")[n % 2])
        for n in range(20)
    ]

    run = simulate(Scenario(commits=(*bad, *good)), tracing=True)

    assert run.violations == ()
    assert [bool(message.parks) for message in run.messages] == [True] * 6 + [False] * 20
    assert sum("invocation" in line for line in run.trace) == 1
    assert max(a.at for message in run.messages for a in message.acceptances) < 2.0


@pytest.mark.parametrize("refused_by", ["relay", "SNS"])
async def test_fault_68_poison_in_a_lane(refused_by: str) -> None:
    """A parked message's followers do not wait for a person; the gap in `Sequence` tells consumers.

    There is no policy that parks the rest of the lane as well.
    """

    def judge(request: PublishRequest) -> TopicAnswer:
        ids = [entry.message.message_id for entry in request.entries]
        refusal = entry_failure("InvalidParameter", sender_fault=True)
        return {place: refusal for place, name in enumerate(ids) if name == "m1"}

    if refused_by == "SNS":
        bench, lane = open_bench(judge=judge), lane_of(4)
    else:
        bench, lane = open_bench(), lane_of(4)
        lane[1]["Message"] = {"S": ""}

    done = await bench.relay_items(*lane)

    assert [type(outcome) for outcome in done.outcomes] == [Dispatched, Parked, Dispatched, Dispatched]
    assert sequences(bench.topics) == ["0", "2", "3"]
    assert done.reported == []
    assert list(parked(bench.table)) == ["m1"]
    assert done.events == [("message_parked", "WARNING")]


@pytest.mark.parametrize(
    ("code", "level", "writes"),
    [("ThrottlingException", "WARNING", 4), ("AccessDeniedException", "ERROR", 1)],
)
async def test_fault_69_park_that_cannot_be_written(code: str, level: str, writes: int) -> None:
    """Poison that cannot be parked is reported, never dropped: it comes again and is parked then."""
    bench = open_bench()
    bench.table.fail["park"].extend([code] * writes)
    event = bench.put(message_entry("bad", Topic=None), message_entry("good"))

    done = await bench.relay(event)
    assert done.outcomes == [Unparked("missing:Topic", code), Dispatched()]
    assert done.reported == [event["Records"][0]["dynamodb"]["SequenceNumber"]]
    assert done.events == [("park_failed", level)]
    assert done.line("park_failed").fields["advice"]
    assert bench.table.calls["park"] == writes

    again = await bench.relay(event)
    assert parked(bench.table) == {"bad": "missing:Topic"}
    assert again.reported == []
    assert published(bench.topics) == ["good"]


# Order


async def test_fault_70_passing_failure_at_the_head_of_a_lane() -> None:
    """A head that fails for now holds its lane and no other; the next time it goes first."""
    failing = ["m0"]

    def judge(request: PublishRequest) -> TopicAnswer:
        ids = [entry.message.message_id for entry in request.entries]
        return {place: entry_failure("InternalFailure") for place, name in enumerate(ids) if name in failing}

    bench = open_bench(judge=judge)
    event = bench.put(*lane_of(3), *lane_of(3, aggregate_id="b", first=10), message_entry("plain"))

    done = await bench.relay(event)

    assert done.outcomes[:3] == [Held("InternalFailure"), *[Held("InternalFailure", behind=True)] * 2]
    assert done.outcomes[3:] == [Dispatched()] * 4
    assert done.reported == [record["dynamodb"]["SequenceNumber"] for record in event["Records"][:3]]
    assert done.line("publish_failed").fields["count"] == 1  # those behind are no trouble of their own
    assert not {"m1", "m2"} & {name for sent in bench.topics.sent for name in sent}

    failing.clear()
    requests = len(bench.topics.requests)
    again = await bench.relay(event)
    assert bench.topics.sent[requests:] == [["m0"], ["m1"], ["m2"]]
    assert again.reported == []


async def test_fault_71_replay_after_five_minutes() -> None:
    """What could not be marked goes out again when FIFO topics have forgotten it, with its id and version."""
    clock = [time.time()]
    bench = open_bench(now=lambda: clock[0])
    bench.topics._now = lambda: clock[0]
    bench.table.fail["mark"].append("AccessDeniedException")
    event = bench.put(*lane_of(3))
    await bench.relay(event)

    clock[0] += 240.0
    bench.table.fail["mark"].append("AccessDeniedException")
    await relay(restart(bench.context), event)
    assert sequences(bench.topics) == ["0", "1", "2"]

    clock[0] += 61.0
    done = await relay(restart(bench.context), event)

    assert done.outcomes == [Dispatched()] * 3
    assert sequences(bench.topics) == ["0", "1", "2"] * 2
    assert published(bench.topics) == ["m0", "m1", "m2"] * 2


# Cost


class SlowTopics(FailingTopics):
    """Every request takes a tenth of a second."""

    async def _answer(self, request: PublishRequest) -> Any:
        await asyncio.sleep(0.1)
        return await super()._answer(request)


def test_fault_72_hot_aggregate() -> None:
    """One aggregate's messages go one after the other, as many as there is time for; the rest comes again.

    Others do not wait for them.
    """

    async def main() -> None:
        bench = open_bench()
        bench.topics = SlowTopics()
        bench.context = replace(bench.context, publisher=bench.topics)
        event = bench.put(*lane_of(50), *(message_entry(f"other{n}") for n in range(10)))

        done = await bench.relay(event, remaining_seconds=3.0)

        out = len(done.outcomes) - len(done.reported) - 10
        assert 15 <= out <= 21  # two seconds at ten a second
        assert done.outcomes[:out] == [Dispatched()] * out
        assert done.outcomes[50:] == [Dispatched()] * 10
        assert done.reported == [r["dynamodb"]["SequenceNumber"] for r in event["Records"][out:50]]
        assert all(len(sent) == 1 or sent[0] == "m0" or "other0" in sent for sent in bench.topics.sent)
        assert done.line("publish_failed").fields["code"] == "Deadline"
        # One may have been on its way when the time was up; no more was begun.
        assert sum(name.startswith("m") for name in published(bench.topics)) in (out, out + 1)

        event["Records"] = event["Records"][out:]
        await bench.relay(event, remaining_seconds=30.0)
        assert [name for name in published(bench.topics) if name.startswith("m")] == [
            f"m{number}" for number in range(50)
        ]
        assert Counter(published(bench.topics)).most_common(1)[0][1] == 1

    run_virtually(main())


async def test_fault_73_own_marks_come_back() -> None:
    """Without a filter the relay's own marks and parks invoke it again, without a call; no echo follows."""
    bench = open_bench()
    await bench.relay_items(*(message_entry(f"m{n}") for n in range(3)), message_entry("bad", Topic=None))
    requests, calls = len(bench.topics.requests), dict(bench.table.calls)

    echo = await bench.relay(bench.event())

    assert echo.report.skips() == {"self_echo": 3, "park_echo": 1}
    assert (echo.reported, echo.events) == ([], [])
    assert len(bench.topics.requests) == requests
    assert bench.table.calls == calls
    assert bench.event()["Records"] == []


def test_fault_73_own_marks_are_not_filtered() -> None:
    """The same behind a mapping: with and without a filter, everything goes out once and comes to rest."""
    commits = tuple(
        Commit(at=n * 0.3, transaction=n, aggregate=f"a{n % 3}", topic=("alpha", "beta.fifo")[n % 2])
        for n in range(12)
    )
    for strategy in ("batch", "delete"):
        settings = MappingSettings(filtered=False, batch_size=3)
        scenario = Scenario(
            commits=commits,
            mapping=settings,
            relaying=Relaying(strategy=strategy),
        )
        run = simulate(scenario)
        assert run.violations == ()
        assert [len(message.acceptances) for message in run.messages] == [1] * 12
        assert run.seconds < 120.0


async def test_fault_74_consumers_in_a_circle() -> None:
    """Messages that lead to each other end after sixteen, whether their writer looks at the count or not."""
    stack, outbox = InMemoryStack(), Outbox("outbox")

    def answer(hops: int) -> Any:
        return outbox.put(CANARY, aggregate_id="a", topic="ping", hops=hops)

    hops = 0
    for _ in range(16):
        stack.write(answer(hops))
        await stack.relay()
        hops = int(stack.published[-1].attributes.get("Hops", "0")) + 1
    assert len(stack.published) == 16
    with pytest.raises(InvalidMessageError, match="hops"):
        answer(hops)

    bench = open_bench()
    done = await bench.relay_items(
        message_entry("last", Hops={"N": "15"}), message_entry("m", Hops={"N": "16"})
    )
    assert published(bench.topics) == ["last"]
    assert parked(bench.table) == {"m": "hops:16"}
    assert "circle" in done.line("message_parked").fields["advice"]


@pytest.mark.parametrize("code", ["InternalError", "Throttled"])
async def test_fault_75_outage_of_a_region(code: str) -> None:
    """In an outage all calls of an invocation share one budget of retries; the rest is reported at once."""
    bench = open_bench(judge=lambda _: request_failure(code, 503))
    items = [message_entry(f"m{n}", topic=("t", FIFO)[n % 2]) for n in range(2_000)]

    done = await bench.relay_items(*items)

    budget = bench.context.retry.budget
    assert len(bench.topics.requests) <= 200 + budget
    assert done.counts["retries"] == budget
    assert len(done.reported) == 2_000
    assert parked(bench.table) == {}
    assert len(done.events) == 2  # one for each topic


@pytest.mark.integration
def test_fault_76_log_flood(wire: Wire, handler: RelayHandler, canary: Any) -> None:
    """A thousand failures make a line for each class, with ids and advice and nothing of the messages."""
    refusals: Mapping[str, Any] = {
        "denied": sns_error(403, "AuthorizationError", f"not on {CANARY}"),
        "strict": sns_error(400, "InvalidParameter", f"Invalid parameter: Message {CANARY}"),
    }

    def judge(call: Call) -> Reply:
        answer: Any = refusals.get(call.body["TopicArn"].rpartition(":")[2], publish_answer())
        reply: Reply = answer(call)
        return reply

    wire.always("PublishBatch", judge)
    denied = [message_entry(f"d{n}", topic="denied") for n in range(500)]
    strict = [message_entry(f"s{n}", topic="strict") for n in range(50)]
    broken = [message_entry(f"b{n}", Headers={"S": CANARY}) for n in range(50)]

    response = handler(event_of(*denied, *strict, *broken, message_entry("good")), FakeContext())

    assert len(response["batchItemFailures"]) == 500
    lines = [json.loads(line) for line in canary.output().splitlines() if line.startswith("{")]
    figures = lines.pop()
    assert (figures["FailedConfiguration"], figures["Parked"], figures["Published"]) == ([500], [100], [1])
    assert [(line["message"], line.get("count")) for line in lines] == [
        ("publish_failed", 500),
        ("message_parked", 50),
        ("message_parked", 50),
        ("batch_relayed", None),
    ]
    assert all(len(json.dumps(line)) < 2_000 for line in lines)

"""Faults of SNS and of the way there, 28 to 38: what is tried again, what is parked, what is reported.

Where the way itself is at fault, the real clients talk to an endpoint of the tests' own.
"""

import asyncio
import socket
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from outbox_sdk.core.outcome import Dispatched, Held
from outbox_sdk.core.publish import EntryFailed, PublishRequest, RequestFailed
from outbox_sdk.core.retry import RetryPolicy
from outbox_sdk.shell.aws import service as aws_service
from outbox_sdk.shell.aws.access import AwsAccess
from outbox_sdk.shell.aws.session import client_config
from outbox_sdk.shell.context import PublishedMemo
from tests.faults.support import (
    CANARY,
    body_of,
    entry_failure,
    event_of,
    message_entry,
    open_bench,
    open_wire_context,
    parked,
    parked_at,
    published,
    relay,
    request_failure,
)
from tests.support.outbox_tables import Items
from tests.support.wire import Answer, Wire, publish_answer, sns_error

THROTTLED = request_failure("Throttled", 429, "Rate exceeded")
PATIENT = RetryPolicy(attempts=3, base=60.0, cap=60.0, budget=0)
"""Any pause would be noticed, and none is allowed."""


def messages(count: int, **attributes: Any) -> list[Items]:
    return [message_entry(f"m{number}", **attributes) for number in range(count)]


def lane(count: int) -> list[Items]:
    return messages(count, aggregate_id="a", topic="t.fifo")


# Throttled


async def test_fault_28_throttled_for_a_moment() -> None:
    """A throttled request is sent again with a pause, and only the throttling is told of."""
    bench = open_bench(THROTTLED, THROTTLED)

    done = await bench.relay_items(*messages(10))

    assert sorted(published(bench.topics)) == [f"m{number}" for number in range(10)]
    assert (done.outcomes, done.reported, parked(bench.table)) == ([Dispatched()] * 10, [], {})
    assert (done.counts["throttled"], done.counts["retries"], done.events) == (2, 2, [])


async def test_fault_28_throttled_for_long() -> None:
    """While SNS throttles, fewer requests go at a time, a budget ends the retries, and all is reported."""
    bench = open_bench(judge=lambda _: THROTTLED, max_concurrency=8, retry=RetryPolicy(budget=30))
    widths: list[int] = []
    publish = bench.topics.publish

    async def watch(request: PublishRequest) -> Any:
        widths.append(bench.topics.in_flight + 1)
        return await publish(request)

    bench.topics.publish = watch  # type: ignore[method-assign]

    done = await bench.relay_items(*messages(400))

    assert len(bench.topics.requests) == 40 + 30  # each request once, and the budget
    assert max(widths[:8]) == 8
    assert widths[-40:] == [1] * 40
    assert done.outcomes == [Held("Throttled")] * 400
    assert (len(done.reported), published(bench.topics), parked(bench.table)) == (400, [], {})
    assert (done.counts["throttled"], done.counts["retries"]) == (70, 30)
    assert done.events == [("publish_failed", "WARNING")]
    assert "quota" in done.line("publish_failed").fields["advice"]


async def test_fault_28_pauses_grow_with_jitter_and_end_with_the_deadline() -> None:
    """The pauses before the attempts double, and none is begun that the deadline would not let end."""
    pauses = []
    bench = open_bench(judge=lambda _: THROTTLED, jitter=lambda: 0.5)
    sleep = asyncio.sleep

    async def at_once(seconds: float) -> None:
        if seconds:
            pauses.append(seconds)
        await sleep(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "sleep", at_once)
        done = await bench.relay_items(*messages(1))
    assert (pauses, len(done.reported)) == ([0.025, 0.05, 0.1], 1)

    slow = open_bench(judge=lambda _: THROTTLED, jitter=lambda: 0.9, retry=RetryPolicy(base=60.0, cap=60.0))
    done = await asyncio.wait_for(slow.relay_items(*messages(1), remaining_seconds=10.0), timeout=5)
    assert (slow.topics.sizes, len(done.reported)) == ([1], 1)


# Single entries


async def test_fault_29_entry_failed_for_a_moment() -> None:
    """Of a request of which a part failed, only that part is sent again."""
    bench = open_bench({1: entry_failure("InternalError"), 3: entry_failure("InternalError")})

    done = await bench.relay_items(*messages(5))

    assert bench.topics.sent == [["m0", "m1", "m2", "m3", "m4"], ["m1", "m3"]]
    assert sorted(published(bench.topics)) == ["m0", "m1", "m2", "m3", "m4"]
    assert (done.reported, parked(bench.table), done.counts["retries"]) == ([], {}, 1)


async def test_fault_29_entry_failed_for_long() -> None:
    """An entry that keeps failing is reported, and so is its lane behind it; other lanes go."""

    def judge(request: PublishRequest) -> Mapping[int, EntryFailed]:
        ids = [entry.message.message_id for entry in request.entries]
        return {place: entry_failure("InternalError") for place, name in enumerate(ids) if name == "m1"}

    bench = open_bench(judge=judge)
    event = bench.put(*lane(3), message_entry("other", aggregate_id="b", topic="t.fifo"))
    numbers = [record["dynamodb"]["SequenceNumber"] for record in event["Records"]]

    done = await bench.relay(event)

    assert sorted(published(bench.topics)) == ["m0", "other"]
    held = [Held("InternalError"), Held("InternalError", behind=True)]
    assert done.outcomes == [Dispatched(), *held, Dispatched()]
    assert (done.reported, parked(bench.table)) == (numbers[1:3], {})
    assert done.events == [("publish_failed", "WARNING")]
    assert done.line("publish_failed").fields["message_id"] == "m1"

    bench.topics.judge = None
    done = await bench.relay({"Records": event["Records"][1:]})  # as Lambda brings it again

    assert [name for name in published(bench.topics) if name != "other"] == ["m0", "m1", "m2"]
    assert done.reported == []


async def test_fault_30_entry_refused_for_its_own_sake() -> None:
    """An entry that SNS refuses for its own sake is parked by its code, and its lane and neighbours go on.

    The code decides; ``SenderFault`` does only for a code that nobody has listed, because SNS sets it for
    throttling and missing rights too.
    """
    bench = open_bench(
        {
            0: entry_failure("InvalidParameter", sender_fault=True),
            1: entry_failure("NeverHeardOf", sender_fault=True),
            2: entry_failure("KMSThrottling", sender_fault=True),
        }
    )

    done = await bench.relay_items(
        message_entry("m0", aggregate_id="a", topic="t.fifo"),
        message_entry("m1", aggregate_id="b", topic="t.fifo"),
        message_entry("m2", aggregate_id="c", topic="t.fifo"),
        message_entry("m3", aggregate_id="a", topic="t.fifo"),
    )

    assert sorted(published(bench.topics)) == ["m2", "m3"]
    assert parked(bench.table) == {"m0": "InvalidParameter", "m1": "NeverHeardOf"}
    assert done.reported == []
    assert done.events == [("message_parked", "WARNING")] * 2


async def test_fault_31_entry_in_neither_list(wire: Wire) -> None:
    """An entry that the answer does not mention has failed: it is sent again, and reported in the end."""
    wire.script("PublishBatch", publish_answer(e1="absent"))
    async with open_wire_context(wire) as context:
        done = await relay(context, event_of(*messages(3)))
        sent = [call.messages for call in wire.calls_of("PublishBatch")]
        assert sent == [[body_of("m0"), body_of("m1"), body_of("m2")], [body_of("m1")]]
        assert (done.outcomes, done.reported) == ([Dispatched()] * 3, [])

        wire.reset()
        wire.always("PublishBatch", publish_answer(e0="absent"))
        done = await relay(context, event_of(message_entry()))

    assert (done.outcomes, len(done.reported)) == ([Held("MissingFromResponse")], 1)
    assert parked_at(wire) == {}
    assert done.events == [("publish_failed", "WARNING")]


# Requests refused as a whole


async def test_fault_32_one_bad_entry_fails_the_request(wire: Wire) -> None:
    """A request refused for one entry's sake is taken apart: that one is parked, the others are delivered."""
    refuse, accept = sns_error(400, "InvalidParameter", f"Invalid parameter: {CANARY}"), publish_answer()
    assert callable(refuse)
    assert callable(accept)
    wire.always("PublishBatch", lambda call: (refuse if body_of("m4") in call.messages else accept)(call))

    async with open_wire_context(wire) as context:
        done = await relay(context, event_of(*messages(10)))

    assert wire.counts() == {"PublishBatch": 11, "UpdateItem": 1, "BatchExecuteStatement": 1}
    assert parked_at(wire) == {"m4": "InvalidParameter"}
    assert sorted(wire.marked()) == [f"AGGREGATE#a-m{number}" for number in range(10) if number != 4]
    assert done.reported == []
    assert (done.counts["dispatched"], done.counts["parked"]) == (9, 1)
    assert "retries" not in done.counts


async def test_fault_33_request_longer_than_counted() -> None:
    """A request that SNS finds too long is halved until it fits; a single message too long is parked."""

    def judge(request: PublishRequest) -> RequestFailed | None:
        names = [entry.message.message_id for entry in request.entries]
        too_long = len(names) > 3 or "m7" in names
        return request_failure("BatchRequestTooLong") if too_long else None

    bench = open_bench(judge=judge)

    done = await bench.relay_items(*messages(10))

    assert sorted(published(bench.topics)) == [f"m{number}" for number in range(10) if number != 7]
    assert parked(bench.table) == {"m7": "BatchRequestTooLong"}
    assert done.reported == []
    assert bench.topics.sizes[:3] == [10, 5, 5]
    assert done.counts["size_miscounts"] == sum(
        "m7" in names or len(names) > 3 for names in bench.topics.sent
    )
    assert "retries" not in done.counts


# The way there


@pytest.mark.parametrize(
    "answer",
    [sns_error(500, "InternalError", CANARY), sns_error(503, "ServiceUnavailable", CANARY), "close", "reset"],
    ids=["500", "503", "closed", "reset"],
)
async def test_fault_34_trouble_before_acceptance(wire: Wire, answer: Answer) -> None:
    """A server's error, or a connection lost before the answer, is met with another attempt."""
    wire.script("PublishBatch", answer, answer)

    async with open_wire_context(wire) as context:
        done = await relay(context, event_of(*messages(10)))

    assert wire.counts() == {"PublishBatch": 3, "BatchExecuteStatement": 1}
    assert (done.outcomes, done.reported, parked_at(wire)) == ([Dispatched()] * 10, [], {})
    assert done.counts["retries"] == 2


async def test_fault_34_trouble_that_lasts(wire: Wire) -> None:
    """What does not pass in four attempts is reported, never parked, and costs the other topics nothing."""
    fail, accept = sns_error(500, "InternalError", CANARY), publish_answer()
    assert callable(fail)
    assert callable(accept)
    wire.always("PublishBatch", lambda call: (fail if call.body["TopicArn"].endswith(":t") else accept)(call))

    async with open_wire_context(wire) as context:
        done = await relay(context, event_of(*messages(3), message_entry("other", topic="u")))

    assert wire.counts() == {"PublishBatch": 5, "BatchExecuteStatement": 1}
    assert done.outcomes == [*[Held("InternalError")] * 3, Dispatched()]
    assert (len(done.reported), parked_at(wire)) == (3, {})
    assert done.events == [("publish_failed", "WARNING")]


@pytest.mark.parametrize(("topic", "deliveries"), [("t.fifo", 1), ("t", 2)])
async def test_fault_35_answer_lost_after_acceptance(topic: str, deliveries: int) -> None:
    """An answer lost after acceptance makes a repetition: FIFO topics drop it, elsewhere its id tells it."""
    bench = open_bench("lost")

    done = await bench.relay_items(message_entry("m0", topic=topic))

    assert published(bench.topics) == ["m0"] * deliveries
    assert (done.outcomes, done.reported) == ([Dispatched()], [])
    first, second = [request.entries[0] for request in bench.topics.requests]
    assert first == second


async def test_fault_35_answer_lost_by_one_process_and_repeated_by_another() -> None:
    """A process that knows nothing of the first attempt sends the message under the same deduplication id."""
    bench = open_bench("lost", retry=RetryPolicy(attempts=1))
    event = bench.put(*lane(2))
    done = await bench.relay(event)
    assert (len(done.reported), published(bench.topics)) == (2, ["m0"])

    other = replace(bench.context, memo=PublishedMemo())
    done = await relay(other, event)

    assert bench.topics.sent == [["m0"], ["m0"], ["m1"]]
    assert published(bench.topics) == ["m0", "m1"]
    assert (done.outcomes, done.reported) == ([Dispatched()] * 2, [])


async def test_fault_35_answer_cut_off_on_the_wire(wire: Wire) -> None:
    """An answer that breaks off leads to the same request once more, under the same deduplication ids."""
    wire.script("PublishBatch", "cut")

    async with open_wire_context(wire) as context:
        done = await relay(context, event_of(*(message_entry(name, topic="t.fifo") for name in ("m0", "m1"))))

    first, second = wire.calls_of("PublishBatch")
    assert first.body == second.body
    assert first.body["PublishBatchRequestEntries.member.1.MessageDeduplicationId"]
    assert (done.outcomes, done.reported) == ([Dispatched()] * 2, [])


@pytest.mark.parametrize("answer", ["close", "reset"])
async def test_fault_36_connection_gone_stale(wire: Wire, answer: Answer) -> None:
    """A connection gone while the process was frozen is replaced without pause, at no cost to the budget."""
    async with open_wire_context(wire, retry=PATIENT, jitter=1.0) as context:
        await relay(context, event_of(message_entry("m0")))
        wire.script("PublishBatch", answer)
        began = time.monotonic()

        done = await asyncio.wait_for(relay(context, event_of(message_entry("m1"))), timeout=10)

    assert time.monotonic() - began < 5
    assert wire.published() == [body_of("m0"), body_of("m1"), body_of("m1")]
    assert (done.outcomes, done.reported, done.events) == ([Dispatched()], [], [])


async def test_fault_36_is_free_once_only(wire: Wire) -> None:
    """A connection that is closed again and again is trouble, with pauses and a budget as for any other."""
    wire.always("PublishBatch", "close")

    async with open_wire_context(wire, retry=PATIENT, jitter=1.0) as context:
        done = await asyncio.wait_for(relay(context, event_of(message_entry())), timeout=10)

    assert wire.counts() == {"PublishBatch": 2}
    assert (done.outcomes, len(done.reported)) == ([Held("ConnectionClosed")], 1)


async def test_fault_37_hung_socket(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call without an answer is given up long before the invocation, and made again."""
    config: Any = client_config(AwsAccess(region="us-east-1"))
    assert config.connect_timeout + config.read_timeout <= 10
    monkeypatch.setattr(aws_service, "READ_TIMEOUT_SECONDS", 0.3)
    wire.script("PublishBatch", "hang")

    async with open_wire_context(wire) as context:
        done = await relay(context, event_of(*messages(3)), remaining_seconds=20.0)

    assert wire.counts() == {"PublishBatch": 2, "BatchExecuteStatement": 1}
    assert (done.outcomes, done.reported) == ([Dispatched()] * 3, [])


async def test_fault_37_hung_until_the_deadline(wire: Wire) -> None:
    """What hangs until the deadline is reported in time, and what has come through is not."""
    accept = publish_answer()
    assert callable(accept)
    wire.script("PublishBatch", accept, "hang")

    async with open_wire_context(wire) as context:
        before, began = asyncio.all_tasks(), time.monotonic()
        done = await relay(
            context, event_of(message_entry("good"), message_entry("m1", topic="u")), remaining_seconds=1.6
        )

        assert time.monotonic() - began < 1.6
        assert asyncio.all_tasks() == before
    held = [record for record in done.report.records if record.outcome == Held("Deadline")]
    assert (len(held), len(done.reported), parked_at(wire)) == (1, 1, {})
    assert done.counts["dispatched"] == 1
    assert "timeout" in done.line("publish_failed").fields["advice"]


@pytest.mark.parametrize("cause", ["name", "route"])
async def test_fault_38_no_way_to_sns(wire: Wire, monkeypatch: pytest.MonkeyPatch, cause: str) -> None:
    """Without DNS or a route to SNS everything is reported and nothing is parked: no message is at fault."""

    def fail(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, CANARY)

    async def never(*_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()

    endpoint = "http://sns.us-east-1.vpce.invalid"
    if cause == "name":
        monkeypatch.setattr(socket, "getaddrinfo", fail)
    else:
        monkeypatch.setattr(aws_service, "CONNECT_TIMEOUT_SECONDS", 0.1)
        monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", never)
        endpoint = wire.endpoint_url

    async with open_wire_context(wire, aws_endpoint_url=endpoint) as context:
        done = await relay(context, event_of(*messages(12)))

    code = "ConnectionFailed" if cause == "name" else "Timeout"
    assert done.outcomes == [Held(code)] * 12
    assert (len(done.reported), wire.counts(), done.counts["publish_requests"]) == (12, {}, 8)
    assert done.events == [("publish_failed", "WARNING")]
    words = "VPC endpoint" if cause == "name" else "check the route"
    assert words in done.line("publish_failed").fields["advice"]

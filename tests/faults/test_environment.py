"""Faults of what surrounds the relay, 39 to 49: credentials, rights, keys, clocks, the table's capacity."""

import time
from collections import deque
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from outbox_sdk.core.entry import TopicLimits
from outbox_sdk.core.outcome import Dispatched, Held, MarkRefused, Parked, Unmarked
from outbox_sdk.core.retry import RetryPolicy
from outbox_sdk.lambda_handler import RelayHandler
from tests.faults.mapping import restart
from tests.faults.support import (
    CANARY,
    body_of,
    event_of,
    message_entry,
    open_bench,
    open_wire_context,
    parked,
    published,
    relay,
    request_failure,
)
from tests.support.events import FakeContext
from tests.support.wire import (
    ACCOUNT_ID,
    Call,
    Reply,
    Wire,
    dynamodb_error,
    publish_answer,
    sns_error,
    statements_answer,
)

SUCCESS: Any = {"batchItemFailures": []}
ARN = f"arn:aws:sns:us-east-1:{ACCOUNT_ID}:t"
QUICK = RetryPolicy(attempts=4, base=0.001, cap=0.01)


def messages(count: int, **attributes: Any) -> list[Any]:
    return [message_entry(f"m{number}", **attributes) for number in range(count)]


# SNS


@pytest.mark.integration
async def test_fault_39_wrong_region_or_account(wire: Wire) -> None:
    """A topic that is not where the relay looks holds its messages and no others; the log names the ARN."""
    refusal = sns_error(400, "InvalidParameter", f"Invalid parameter: TopicArn Reason: {CANARY}")

    def judge(call: Call) -> Reply:
        answer: Any = refusal if call.body["TopicArn"].endswith(":t") else publish_answer()
        reply: Reply = answer(call)
        return reply

    wire.always("PublishBatch", judge)
    items = [*messages(3), message_entry("other", topic="elsewhere")]
    async with open_wire_context(wire) as opened:
        done = await relay(opened, event_of(*items))

    assert done.outcomes == [Held("InvalidParameter")] * 3 + [Dispatched()]
    assert len(done.reported) == 3
    line = done.line("publish_failed")
    assert (line.level, line.fields["count"], line.fields["topic_arn"]) == ("ERROR", 3, ARN)
    assert all(word in line.fields["advice"] for word in (ARN, "Region", "account", "AWS_ACCOUNT_ID"))
    assert "UpdateItem" not in wire.counts()  # nothing is parked


@pytest.mark.integration
def test_fault_40_expired_credentials(
    wire: Wire, handler: RelayHandler, monkeypatch: pytest.MonkeyPatch, canary: Any
) -> None:
    """Expired credentials are looked for anew at the next invocation; until then all is reported."""
    refusal = sns_error(403, "ExpiredToken", f"The security token is expired {CANARY}")

    def judge(call: Call) -> Reply:
        answer: Any = refusal if call.access_key == "OLD" else publish_answer()
        reply: Reply = answer(call)
        return reply

    wire.always("PublishBatch", judge)
    event = event_of(*messages(3))

    assert len(handler(event, FakeContext())["batchItemFailures"]) == 3
    assert wire.counts() == {"PublishBatch": 1}  # no retry: the same credentials do not get better
    assert "renew its credentials" in canary.output()

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "NEW")
    assert handler(event, FakeContext()) == SUCCESS
    assert [call.access_key for call in wire.calls] == ["OLD", "NEW", "NEW"]


CONFIGURATION_FAULTS = {
    "ExpiredToken": (403, "credentials"),
    "InvalidClientTokenId": (403, "credentials"),
    "NotFound": (404, "create topic arn:aws:sns:us-east-1:000000000000:t.fifo"),
    "AuthorizationError": (403, "sns:Publish on arn:aws:sns:us-east-1:000000000000:t.fifo"),
    "KMSAccessDenied": (400, "kms:GenerateDataKey* and kms:Decrypt on the key of arn:aws:sns"),
    "KMSDisabled": (400, "enable the key of arn:aws:sns:us-east-1:000000000000:t.fifo"),
}


@pytest.mark.parametrize("code", CONFIGURATION_FAULTS)
async def test_wrong_configuration_is_reported_for_an_hour_and_then_parked_in_order(code: str) -> None:
    """Nothing is parked while there is time to mend it, and one line says how; then the lane is, in order."""
    status, words = CONFIGURATION_FAULTS[code]
    clock = [time.time()]
    bench = open_bench(
        judge=lambda request: request_failure(code, status) if request.topic.endswith(":t.fifo") else None,
        now=lambda: clock[0],
    )
    lane = [message_entry(f"m{number}", aggregate_id=f"a{number % 3}", topic="t.fifo") for number in range(9)]
    event = bench.put(*lane, message_entry("other"), message_entry("another", topic="u.fifo"))

    # Lambda brings it again and again; half an hour without a word would begin the hour anew.
    for seconds in (0.0, 10.0, 1_790.0, 1_798.0):
        clock[0] += seconds
        done = await bench.relay(event)
        assert parked(bench.table) == {}
        assert len(done.reported) == 9
        assert done.events == [("publish_failed", "ERROR")]
        line = done.line("publish_failed")
        assert (line.fields["code"], line.fields["count"]) == (code, 3)
        assert words in line.fields["advice"]
    assert sorted(published(bench.topics)) == ["another", "other"]

    clock[0] += 3.0
    done = await bench.relay(event)

    assert parked(bench.table) == {f"m{number}": f"held:{code}" for number in range(9)}
    assert done.reported == []
    assert done.events == [("message_parked", "WARNING")]
    assert words in done.line("message_parked").fields["advice"]
    assert done.line("message_parked").fields["advice"].endswith("then redrive by this reason")
    assert bench.table.calls["park"] == 9


async def test_fault_41_denied_topic_or_key() -> None:
    """A topic that may not be published to holds its own lanes only, and is spoken of once an invocation.

    Held for an hour, its messages are parked, so that one mistyped topic cannot stop a shard for a day.
    """
    denied = {"secret": "AuthorizationError", "gone.fifo": "NotFound", "locked": "KMSDisabled"}

    def judge(request: Any) -> Any:
        code = denied.get(request.topic.rpartition(":")[2])
        return None if code is None else request_failure(code, 403)

    bench = open_bench(judge=judge)
    items = [
        message_entry(f"{topic}-{number}", aggregate_id="a", topic=topic)
        for number in range(4)
        for topic in (*denied, "t", "t.fifo")
    ]

    done = await bench.relay_items(*items)

    assert sorted(published(bench.topics)) == sorted(
        f"{topic}-{number}" for topic in ("t", "t.fifo") for number in range(4)
    )
    assert parked(bench.table) == {}
    assert len(done.reported) == 12
    assert done.events == [("publish_failed", "ERROR")] * 3
    assert [line.fields["count"] for line in done.lines[:-1]] == [4, 1, 4]
    # One request a topic and lane: nobody insists where a person has to act.
    assert len([request for request in bench.topics.requests if "secret" in request.topic]) == 1


@pytest.mark.integration
@pytest.mark.parametrize(
    "answer",
    [sns_error(400, "KMSThrottling", CANARY), publish_answer(e0="KMSThrottling", e2="KMSThrottling")],
    ids=["request", "entries"],
)
async def test_fault_42_kms_throttling(wire: Wire, answer: Any) -> None:
    """KMS throttling, which the client never retries and which says that we are to blame, is tried again."""
    wire.script("PublishBatch", answer, answer)
    async with open_wire_context(wire) as opened:
        done = await relay(opened, event_of(*messages(3)))

    assert done.outcomes == [Dispatched()] * 3
    assert wire.counts() == {"PublishBatch": 3, "BatchExecuteStatement": 1}
    assert (done.counts["retries"], done.counts["throttled"]) == (2, 2)

    wire.always("PublishBatch", answer)
    async with open_wire_context(wire) as opened:
        done = await relay(opened, event_of(*messages(3)))
    assert Held("KMSThrottling") in done.outcomes
    assert "KMS is throttled" in done.line("publish_failed").fields["advice"]
    assert "UpdateItem" not in wire.counts()


# The table


async def test_fault_43_table_throttled_on_mark() -> None:
    """A throttled mark is tried again; then the record is reported and, in this process, only marked."""
    bench = open_bench()
    bench.table.fail["mark"] = deque(["ThrottlingException"])
    done = await bench.relay_items(message_entry("m0"))
    assert done.outcomes == [Dispatched()]
    assert done.counts["throttled"] == 1

    bench.table.fail["mark"] = deque(["ProvisionedThroughputExceededException"] * 4)
    event = bench.put(message_entry("m1"), message_entry("m2", topic="t.fifo"))
    event["Records"] = event["Records"][-2:]
    done = await bench.relay(event)
    assert done.outcomes == [Unmarked("ProvisionedThroughputExceededException")] * 2
    assert len(done.reported) == 2
    assert "capacity" in done.line("mark_failed").fields["advice"]
    table = dict(bench.table.items)

    again = await bench.relay(event)
    assert again.outcomes == [Dispatched()] * 2
    assert again.counts["memo_hits"] == 2
    assert published(bench.topics) == ["m0", "m1", "m2"]

    # A process that knows nothing of it sends once more, and the FIFO topic drops it.
    bench.table.items.update(table)
    fresh = await relay(restart(bench.context), event)
    assert fresh.outcomes == [Dispatched()] * 2
    assert published(bench.topics) == ["m0", "m1", "m2", "m1"]


@pytest.mark.integration
async def test_fault_44_index_back_pressure_on_mark(wire: Wire) -> None:
    """A hot key of the index throttles the mark of an item: it alone is tried again, then reported.

    The error of one statement names no index; the advice names the buckets that keep its keys apart.
    """
    wire.script("BatchExecuteStatement", statements_answer(s1="ThrottlingError"))
    async with open_wire_context(wire) as opened:
        done = await relay(opened, event_of(*messages(3)))
        assert done.outcomes == [Dispatched()] * 3
        sizes = [len(call.body["Statements"]) for call in wire.calls_of("BatchExecuteStatement")]
        assert sizes == [3, 1]

        wire.always("BatchExecuteStatement", statements_answer(s0="ProvisionedThroughputExceeded"))
        done = await relay(opened, event_of(message_entry("m9")))

    assert done.outcomes == [Unmarked("ProvisionedThroughputExceeded")]
    assert len(done.reported) == 1
    line = done.line("mark_failed")
    assert line.level == "WARNING"
    assert "OUTBOX_NOT_DISPATCHED_BUCKETS" in line.fields["advice"]


@pytest.mark.integration
@pytest.mark.parametrize(
    "answer",
    [
        statements_answer(s0="TransactionConflict"),
        statements_answer(s0="ReplicatedWriteConflictException"),
        dynamodb_error(400, "TransactionConflictException"),
        dynamodb_error(400, "ReplicatedWriteConflictException"),
    ],
    ids=["statement", "replicated statement", "request", "replicated request"],
)
async def test_fault_45_conflict_on_mark(wire: Wire, answer: Any) -> None:
    """A mark that meets another write of its item, which the client never retries, is tried again."""
    wire.script("BatchExecuteStatement", answer, answer)
    async with open_wire_context(wire) as opened:
        done = await relay(opened, event_of(*messages(2)))

    assert done.outcomes == [Dispatched()] * 2
    assert done.events == []
    assert wire.counts() == {"PublishBatch": 1, "BatchExecuteStatement": 3}


async def test_fault_46_item_deleted_before_the_mark() -> None:
    """A mark that finds its item deleted is done: the message is out, and nothing is reported."""
    bench = open_bench()
    event = bench.put(message_entry("m0"), message_entry("m1"))
    bench.table.remove(next(iter(bench.table.items)))

    done = await bench.relay(event)

    assert done.outcomes == [Dispatched(gone=True), Dispatched()]
    assert (done.reported, done.events, done.counts["gone"]) == ([], [], 1)
    assert published(bench.topics) == ["m0", "m1"]
    assert len(bench.table.items) == 1  # the mark has not brought it back


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("AccessDeniedException", "messages are sent twice"),
        ("ResourceNotFoundException", "DYNAMODB_OUTBOX_TABLE_NAME"),
    ],
)
async def test_fault_47_no_right_or_no_table_to_mark(code: str, words: str) -> None:
    """What is out and cannot be marked is reported, so that nothing is lost; repetitions last until mended.

    A process that remembers publishing only marks. One that does not sends again what the table shows as
    outstanding, and nothing that the table does not tell about.
    """
    bench = open_bench()
    bench.table.fail["mark"] = deque([code] * 3)
    event = bench.put(message_entry("m0"), message_entry("m1"))

    for _ in range(2):
        done = await bench.relay(event)
        assert done.outcomes == [Unmarked(code)] * 2
        assert len(done.reported) == 2
        assert done.events == [("mark_failed", "ERROR")]
        assert words in done.line("mark_failed").fields["advice"]
    assert published(bench.topics) == ["m0", "m1"]

    bench.table.fail["lookup"] = deque([code])
    later = restart(bench.context, now=lambda: time.time() + 60.0)
    unreadable = await relay(later, event)
    assert unreadable.outcomes == [Held(code)] * 2
    assert unreadable.events == [("lookup_failed", "ERROR")]
    assert published(bench.topics) == ["m0", "m1"]

    denied = await relay(later, event)
    assert denied.outcomes == [Unmarked(code)] * 2
    assert published(bench.topics) == ["m0", "m1"] * 2

    mended = await relay(restart(later), event)
    assert mended.outcomes == [Dispatched()] * 2
    assert all("NotDispatched" not in item for item in bench.table.items.values())


@pytest.mark.integration
@pytest.mark.parametrize(
    ("code", "status"),
    [("RequestExpired", 400), ("SignatureDoesNotMatch", 403), ("IncompleteSignature", 400)],
)
async def test_fault_48_clock_skew(wire: Wire, code: str, status: int) -> None:
    """A clock that is off makes signatures worthless: one attempt, a report, and a word about the clock."""
    wire.always("PublishBatch", sns_error(status, code, f"Signature expired: {CANARY}"))
    async with open_wire_context(wire) as opened:
        done = await relay(opened, event_of(*messages(3)))

    assert done.outcomes == [Held(code)] * 3
    assert len(done.reported) == 3
    assert wire.counts() == {"PublishBatch": 1}
    line = done.line("publish_failed")
    assert line.level == "ERROR"
    assert "clock" in line.fields["advice"]


@pytest.mark.integration
async def test_fault_48_clock_skew_at_the_table(wire: Wire) -> None:
    """The same at the table: what is out is reported as unmarked, after one attempt."""
    wire.always("BatchExecuteStatement", dynamodb_error(400, "InvalidSignatureException"))
    async with open_wire_context(wire) as opened:
        done = await relay(opened, event_of(*messages(2)))

    assert done.outcomes == [Unmarked("InvalidSignatureException")] * 2
    assert wire.counts() == {"PublishBatch": 1, "BatchExecuteStatement": 1}
    assert "clock" in done.line("mark_failed").fields["advice"]


@pytest.mark.parametrize("batch_code", ["BatchRequestTooLong", "InvalidParameter"])
async def test_fault_49_topic_limit_lowered(batch_code: str) -> None:
    """Where a topic takes less than the relay was told, what is too large is parked and the rest goes."""
    limit = 262_144

    def judge(request: Any) -> Any:
        size = sum(entry.size for entry in request.entries)
        if size <= limit:
            return None
        return request_failure(batch_code if len(request.entries) > 1 else "InvalidParameter")

    bench = open_bench(judge=judge)
    wrapping = msgspec.structs.replace(bench.context.wrapping, limits=TopicLimits(1_048_576))
    bench.context = replace(bench.context, wrapping=wrapping)
    large: Any = {"Message": {"S": body_of("large") + " " * 300_000}}
    medium: Any = {"Message": {"S": body_of("medium") + " " * 200_000}}
    items = [*messages(3), message_entry("large", **large), *(message_entry(n, **medium) for n in "xy")]

    done = await bench.relay_items(*items)

    assert sorted(published(bench.topics)) == ["m0", "m1", "m2", "x", "y"]
    assert parked(bench.table) == {"large": "InvalidParameter"}
    assert done.reported == []
    assert "OUTBOX_TOPIC_MAX_BYTES" in done.line("message_parked").fields["advice"]


# The rest of the table's refusals


async def test_a_mark_refused_for_the_items_own_sake_holds_nothing() -> None:
    bench = open_bench()
    bench.table.fail["mark"] = deque(["ItemCollectionSizeLimitExceeded"])

    done = await bench.relay_items(message_entry("m0"))

    assert done.outcomes == [MarkRefused("ItemCollectionSizeLimitExceeded")]
    assert done.reported == []
    assert done.events == [("mark_refused", "ERROR")]
    assert not isinstance(done.outcomes[0], Parked)

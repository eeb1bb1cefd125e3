"""The relay on doubles in memory: cases that the laws do not spell out one by one."""

import asyncio
import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import pytest

from outbox_sdk.core.errors import ConfigurationError, InvalidMessageError
from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.core.mark import Mark, MarkResult, Park, Unwritten, park_request
from outbox_sdk.core.message import Poison
from outbox_sdk.core.outcome import Dispatched, MarkRefused
from outbox_sdk.core.publish import PublishRequest, PublishResponse, RequestFailed
from outbox_sdk.core.stream import decode_event
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell import dispatch
from outbox_sdk.shell.producer import Outbox
from outbox_sdk.shell.relay import relay_batch
from outbox_sdk.testing import InMemoryStack, InMemoryTable, InMemoryTopics, stream_event

OUTBOX = Outbox("outbox")


def entries(count: int, topic: str = "t") -> list[Any]:
    return [
        OUTBOX.put("{}", aggregate_id=f"a{number}", topic=topic, message_id=f"m{number}")
        for number in range(count)
    ]


def remove_all(table: InMemoryTable) -> None:
    for key in list(table.items):
        table._write(key, None)


async def test_what_was_removed_before_it_was_relayed_is_published() -> None:
    """A committed message is not lost because somebody deleted its item in the same batch."""
    stack = InMemoryStack()
    stack.write(*entries(1))
    remove_all(stack.table)

    report = await stack.relay()

    assert [message.message_id for message in stack.published] == ["m0"]
    assert report.response == {"batchItemFailures": []}


async def test_what_the_deleting_mark_removed_is_not_published_again() -> None:
    stack = InMemoryStack()
    table = InMemoryTable(deletes=True)
    context = dataclasses.replace(stack.context, table=table, marker=table)
    table.put(entries(1)[0]["Put"]["Item"])
    await relay_batch(context, {"Records": list(table.records)})
    assert [record["eventName"] for record in table.records] == ["INSERT", "REMOVE"]

    await relay_batch(context, {"Records": list(table.records)})

    assert len(stack.published) == 1


class OneBadMark(InMemoryTable):
    """DynamoDB refuses a whole request for one statement in it."""

    async def mark(self, marks: Sequence[Mark]) -> tuple[MarkResult, ...]:
        if any("m3" in mark.key.describe() for mark in marks):
            return (Unwritten("ValidationException"),) * len(marks)
        return await super().mark(marks)


async def test_one_mark_that_is_refused_takes_no_other_along() -> None:
    stack = InMemoryStack()
    table = OneBadMark()
    for entry in entries(10):
        table.put(entry["Put"]["Item"])
    context = dataclasses.replace(stack.context, table=table, marker=table)

    report = await relay_batch(context, {"Records": list(table.records)})

    outcomes = [record.outcome for record in report.records]
    assert outcomes == [MarkRefused("ValidationException") if n == 3 else Dispatched() for n in range(10)]
    assert report.response == {"batchItemFailures": []}


class OneHangingTopic(InMemoryTopics):
    async def publish(self, request: PublishRequest) -> PublishResponse:
        if request.topic.endswith("slow"):
            await asyncio.Event().wait()
        return await super().publish(request)


async def test_a_publish_that_hangs_keeps_no_other_message_unmarked() -> None:
    topics, stack = OneHangingTopic(), InMemoryStack()
    slow = OUTBOX.put("{}", aggregate_id="z", topic="slow", message_id="slow")
    stack.write(*entries(5), slow)
    context = dataclasses.replace(stack.context, publisher=topics)

    report = await relay_batch(context, {"Records": list(stack.table.records)}, remaining_seconds=1.3)

    assert report.counts() == {"dispatched": 5, "held": 1}
    assert len(report.response["batchItemFailures"]) == 1


async def test_a_batch_ends_with_its_last_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits in case of trouble is not waited for without any."""
    monkeypatch.setattr(dispatch, "_LINGER_SECONDS", 3_600.0)
    stack = InMemoryStack()
    stack.write(*entries(12))

    report = await asyncio.wait_for(stack.relay(), timeout=60)

    assert report.counts() == {"dispatched": 12}


class DeniedOnce(InMemoryTopics):
    """One moment of a wrong policy."""

    def __init__(self) -> None:
        super().__init__()
        self.denied = True

    async def publish(self, request: PublishRequest) -> PublishResponse:
        return RequestFailed("AuthorizationError", 403) if self.denied else await super().publish(request)


async def test_an_old_backlog_is_not_parked_for_a_moments_denial() -> None:
    """Held for long is not the same as old: the hour begins when the relay first meets the fault."""
    stack, topics = InMemoryStack(), DeniedOnce()
    stack.write(*entries(3))
    now = time.time() + 7_200.0
    clock = [now]
    context = dataclasses.replace(stack.context, publisher=topics, now=lambda: clock[0])
    batch = {"Records": list(stack.table.records)}

    counts = []
    for seconds in (0.0, 1_800.0, 1_799.0, 1.0):
        clock[0] += seconds
        counts.append((await relay_batch(context, batch)).counts())

    assert counts == [{"held": 3}, {"held": 3}, {"held": 3}, {"parked": 3}]


async def test_a_moments_denial_a_day_later_begins_the_hour_anew() -> None:
    """A process that heard nothing of a topic for a while does not know that it has been held all along."""
    stack, topics = InMemoryStack(), DeniedOnce()
    stack.write(*entries(2))
    clock = [time.time()]
    context = dataclasses.replace(stack.context, publisher=topics, now=lambda: clock[0])
    one, other = stack.table.records

    await relay_batch(context, {"Records": [one]})  # mended then, and published by another process
    clock[0] += 86_400.0
    report = await relay_batch(context, {"Records": [other]})

    assert report.counts() == {"held": 1}


async def test_a_park_on_its_way_leaves_alone_what_was_mended_and_redriven() -> None:
    """Lambda brings the old record of poison again for a neighbour's sake, after it was redriven."""
    stack = InMemoryStack(topics=["t"])
    bad, held = entries(2)
    del bad["Put"]["Item"]["Topic"]
    stack.write(bad, held)
    old = {"Records": list(stack.table.records)}
    assert (await relay_batch(stack.context, old)).counts() == {"dispatched": 1, "parked": 1}
    (key,) = [key for key, item in stack.table.items.items() if item.get("ParkReason")]
    item = {name: value for name, value in stack.table.items[key].items() if not name.startswith("Park")}
    mended = {**item, "Topic": {"S": "t"}, "RedriveCount": {"N": "1"}, "NotDispatched": {"S": "04"}}
    mended["NotDispatched"] = bad["Put"]["Item"]["NotDispatched"]
    stack.table.put(mended)

    again = await relay_batch(stack.context, old)
    report = await relay_batch(stack.context, {"Records": stack.table.records[-1:]})

    assert again.counts() == {"settled": 2}
    assert report.counts() == {"dispatched": 1}
    assert len(stack.published) == 2


async def test_a_publish_in_between_begins_the_hour_anew() -> None:
    stack, topics = InMemoryStack(), DeniedOnce()
    stack.write(*entries(2))
    clock = [time.time()]
    context = dataclasses.replace(stack.context, publisher=topics, now=lambda: clock[0])
    one, other = stack.table.records

    await relay_batch(context, {"Records": [one]})
    topics.denied = False
    await relay_batch(context, {"Records": [one]})
    topics.denied, clock[0] = True, clock[0] + 7_200.0
    report = await relay_batch(context, {"Records": [other]})

    assert report.counts() == {"held": 1}


class OneDownTopic(InMemoryTopics):
    """One topic is throttled, the others are well."""

    async def publish(self, request: PublishRequest) -> PublishResponse:
        down = request.topic.endswith(":down")
        return RequestFailed("Throttled", 429) if down else await super().publish(request)


@pytest.mark.parametrize("deletes", [False, True])
async def test_what_comes_again_for_an_earlier_records_sake_is_not_published_again(deletes: bool) -> None:
    """Lambda brings all behind the lowest record reported, mostly to the same process and at once."""
    stack, topics, table = InMemoryStack(), OneDownTopic(), InMemoryTable(deletes=deletes)
    down = OUTBOX.put("{}", aggregate_id="z", topic="down", message_id="down")
    for entry in (down, *entries(12)):
        table.put(entry["Put"]["Item"])
    context = dataclasses.replace(
        stack.context, publisher=topics, table=table, marker=table, jitter=lambda: 0.0
    )
    batch = {"Records": list(table.records)}

    first = await relay_batch(context, batch)
    second = await relay_batch(context, batch)

    assert (first.counts(), second.counts()) == ({"dispatched": 12, "held": 1}, {"held": 1, "settled": 12})
    assert second.skips() == {"already_dispatched": 12}
    assert len(topics.published) == 12
    assert second.effort.mark_requests == 0


@pytest.mark.parametrize(
    "marker", [{"B": "eHg="}, {"N": "1"}, {"BOOL": True}, {}, "x", {"S": 5}, {"S": "x", "N": "1"}]
)
async def test_poison_is_parked_whatever_its_marker_looks_like(marker: Any) -> None:
    stack = InMemoryStack()
    bad, good = entries(2)
    bad["Put"]["Item"]["NotDispatched"] = marker
    stack.write(bad, good)

    report = await stack.relay()

    assert report.counts() == {"dispatched": 1, "parked": 1}


def test_a_marker_of_no_type_is_one_records_fault() -> None:
    event = stream_event(*entries(2))
    event["Records"][0]["dynamodb"]["NewImage"]["NotDispatched"] = "x"

    first, second = decode_event(event, TableDesign.ordered)

    assert isinstance(first.content, Poison)
    assert not isinstance(second.content, Poison)


@pytest.mark.parametrize("name", ["#at", ":at", ""])
def test_a_design_refuses_names_that_no_statement_can_quote(name: str) -> None:
    with pytest.raises(ConfigurationError, match="last_dispatched_at"):
        TableDesign(keyed_by="message", last_dispatched_at=name)


def test_the_stack_in_memory_refuses_a_message_put_twice_and_writes_nothing() -> None:
    stack = InMemoryStack()
    first, second = entries(2)
    stack.write({"Put": {"TableName": "orders", "Item": {"PK": {"S": "order"}}}}, first)

    with pytest.raises(InvalidMessageError):
        stack.write(second, first)

    assert len(stack.table.items) == 1


def test_sequence_numbers_of_the_double_differ_in_length() -> None:
    numbers = [record["dynamodb"]["SequenceNumber"] for record in stream_event(*entries(6))["Records"]]

    assert numbers == sorted(numbers, key=int)
    assert numbers != sorted(numbers)


@pytest.mark.parametrize("marker", [{"NULL": True}, {"N": "1"}, {"B": "eHg="}])
def test_a_park_repeats_no_marker_that_may_not_be_one(marker: Any) -> None:
    """A condition on a stand-in would never hold, and poison would pass for settled by somebody else."""
    key = ItemKey((("PK", "S", "a"),))

    request = park_request(Park(key, marker, "empty"), TableDesign.ordered, "outbox", now="n")

    kept = "attribute_exists(#marker) AND #marker <> :parked AND NOT #redrives > :redrives"
    assert request["ConditionExpression"] == kept
    assert ":marker" not in request["ExpressionAttributeValues"]


async def test_a_stack_with_no_topics_holds_what_is_sent_to_one() -> None:
    """As one with other topics does: what exists is no allow-list."""
    for topics in ([], ["other"]):
        stack = InMemoryStack(topics=topics)
        stack.write(*entries(1))
        assert (await stack.relay()).counts() == {"held": 1}

"""The sweeper on doubles in memory: what it takes up, in which order, and what it does in trouble."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from outbox_sdk.core.backlog import (
    BUCKETS,
    BucketPage,
    FetchResult,
    Sighting,
    Touch,
    TouchResult,
)
from outbox_sdk.core.errors import ConfigurationError, InvalidEventError
from outbox_sdk.core.identifiers import Item, ItemKey
from outbox_sdk.core.lookup import Unreadable
from outbox_sdk.core.mark import Mark, MarkResult, Unwritten
from outbox_sdk.core.publish import EntryFailed, Published, PublishRequest, PublishResponse
from outbox_sdk.core.retry import RetryPolicy
from outbox_sdk.core.sweep_report import SweepReport, describe_troubles, parse_sweep_event
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.text import format_instant
from outbox_sdk.shell import listing, sweeper
from outbox_sdk.shell.context import RelayContext
from outbox_sdk.shell.sweeper import sweep
from outbox_sdk.testing import InMemoryStack, InMemoryTable, InMemoryTopics
from tests.support.outbox_tables import item_of

DESIGN = TableDesign.ordered
NOW = 1_795_000_000.0
CLOSED = "ResourceNotFoundException"
"""A code that no retry helps."""


def ago(seconds: float) -> str:
    return format_instant(datetime.fromtimestamp(NOW - seconds, UTC))


class Faulty(InMemoryTable):
    """A table that answers as it is told; every fault is a set or a list of what it befalls."""

    def __init__(self) -> None:
        super().__init__()
        self.closed_buckets: set[str] = set()
        self.touch_faults: dict[str, list[str]] = {}
        self.unreadable: dict[str, list[str]] = {}
        self.mark_code: str | None = None
        self.hangs = False
        self.stale: list[Sighting] = []
        self.touches: list[str] = []
        self.in_flight = self.most_in_flight = 0

    async def list_bucket(self, bucket: str, *, cursor: Item | None, limit: int) -> BucketPage | Unreadable:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(0)
        self.in_flight -= 1
        if bucket in self.closed_buckets:
            return Unreadable(CLOSED)
        page = await super().list_bucket(bucket, cursor=cursor, limit=limit)
        assert isinstance(page, BucketPage)
        stale = tuple(self.stale) if bucket == "00" and cursor is None else ()
        return BucketPage((*stale, *page.sightings), page.cursor)

    async def fetch(self, keys: Sequence[ItemKey], *, whole: bool) -> Mapping[ItemKey, FetchResult]:
        assert 1 <= len(set(keys)) == len(keys) <= 100
        results = dict(await super().fetch(keys, whole=whole))
        for key in keys:
            faults = self.unreadable.get(f"{message_id(key)}:{'whole' if whole else 'part'}")
            if faults:
                results[key] = Unreadable(faults.pop(0))
        return results

    async def touch(self, touch: Touch) -> TouchResult:
        if self.hangs:
            await asyncio.Event().wait()
        # Nobody else comes in between where touches follow each other; where they do not, it shows.
        await asyncio.sleep(0.001 * (7 - len(self.touches) % 7))
        faults = self.touch_faults.get(message_id(touch.key))
        if faults:
            return Unwritten(faults.pop(0))
        self.touches.append(message_id(touch.key))
        return await super().touch(touch)

    async def mark(self, marks: Sequence[Mark]) -> tuple[MarkResult, ...]:
        if self.mark_code is not None:
            return (Unwritten(self.mark_code),) * len(marks)
        return await super().mark(marks)

    def add(self, aggregate: str, message: str, age: float = 7_200.0, **attributes: Any) -> ItemKey:
        """Write an outstanding item that is so many seconds old."""
        attributes = {
            "CreatedAt": {"S": ago(age)},
            "Topic": {"S": "t.fifo"},
            "Message": {"S": message},
            **attributes,
        }
        return self.put(item_of(aggregate, message, DESIGN, **attributes))

    def touched(self) -> set[str]:
        """The messages that carry a touch of now."""
        return {message_id(key) for key, item in self.items.items() if item.get("TouchedAt") == {"S": ago(0)}}


def message_id(key: ItemKey) -> str:
    return key.parts[-1][2].removeprefix("MESSAGE#")


class Topics(InMemoryTopics):
    """Topics that refuse the messages they are told, and may never answer."""

    def __init__(self) -> None:
        super().__init__()
        self.denied: set[str] = set()
        self.hangs = False

    async def publish(self, request: PublishRequest) -> PublishResponse:
        if self.hangs:
            await asyncio.Event().wait()
        topic = request.topic.rpartition(":")[2]
        return tuple(
            EntryFailed("AuthorizationError")
            if entry.envelope.body in self.denied
            else Published(self.accept(topic, entry))
            for entry in request.entries
        )


class World:
    """A table, topics and a relay between them, at one moment."""

    def __init__(self) -> None:
        self.table, self.topics = Faulty(), Topics()
        self.context: RelayContext = replace(
            InMemoryStack().context,
            publisher=self.topics,
            table=self.table,
            marker=self.table,
            retry=RetryPolicy(attempts=3, base=0.0, cap=0.0),
            now=lambda: NOW,
        )

    async def sweep(self, **options: Any) -> SweepReport:
        return await sweep(self.context, self.table, **{"sweep_after": 3_600.0, "limit": 1_000, **options})

    def published(self, aggregate: str | None = None) -> list[str]:
        return [m.body for m in self.topics.published if aggregate in (None, m.group_id)]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages and chunks of a few items, so that a small backlog has many."""
    monkeypatch.setattr(listing, "_PAGE_SIZE", 2)
    monkeypatch.setattr(sweeper, "_CHUNK", 3)


# Touching


async def test_items_of_every_bucket_are_touched_and_nothing_else(world: World) -> None:
    for bucket in BUCKETS:
        world.table.add(f"a{bucket}", f"m{bucket}", marker=bucket)
    world.table.add("p", "parked", marker="parked")
    world.table.add("d", "dispatched", NotDispatched=None)
    world.table.add("y", "young", 3_599.0)

    report = await world.sweep()

    assert world.table.touched() == {f"m{bucket}" for bucket in BUCKETS}
    assert (report.found, report.touched, report.skipped) == (102, 101, {"young": 1})
    assert report.succeeded


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("publish", [False, True])
async def test_every_page_of_a_bucket_is_read(world: World, publish: bool) -> None:
    for number in range(25):
        world.table.add(f"a{number}", f"m{number}", 7_200.0 - number % 4, marker="03")

    report = await world.sweep(publish=publish)

    assert report.found == 25
    assert report.touched + report.outcomes.get("dispatched", 0) == 25
    assert report.succeeded


@pytest.mark.usefixtures("small_parts")
async def test_an_aggregate_is_touched_in_its_order_so_that_the_stream_has_it_so(world: World) -> None:
    for number in (3, 1, 4, 0, 2):
        world.table.add("a", f"a{number}", 9_000.0 - number, marker=f"{(number * 7) % 5:02d}")
        world.table.add("b", f"b{number}", 8_000.0 - number, marker="x")

    await world.sweep()

    for aggregate in "ab":
        order = [name for name in world.table.touches if name.startswith(aggregate)]
        assert order == [f"{aggregate}{number}" for number in range(5)]


async def test_numbers_of_the_producer_go_before_times(world: World) -> None:
    for number in (2, 0, 1):
        world.table.add("a", f"a{number}", 9_000.0 + number, Sequence={"N": str(number)})

    await world.sweep()

    assert world.table.touches == ["a0", "a1", "a2"]


async def test_a_failed_touch_ends_its_aggregate_for_this_run_and_no_other(world: World) -> None:
    for number in range(4):
        world.table.add("a", f"a{number}", 9_000.0 - number)
        world.table.add("b", f"b{number}", 9_000.0 - number)
    world.table.touch_faults["a1"] = [CLOSED]

    report = await world.sweep()

    assert world.table.touched() == {"a0", "b0", "b1", "b2", "b3"}
    assert report.failures == {CLOSED: 1}
    assert report.skipped == {"behind": 2}
    assert not report.succeeded
    (line,) = describe_troubles(report)
    assert (line.event, line.fields["key"]) == ("touch_failed", "PK=AGGREGATE#a SK=MESSAGE#a1")


@pytest.mark.usefixtures("small_parts")
async def test_a_failed_touch_ends_its_aggregate_in_later_chunks_as_well(world: World) -> None:
    for number in range(9):
        world.table.add("a", f"a{number}", 9_000.0 - number)
    world.table.touch_faults["a1"] = [CLOSED]

    report = await world.sweep()

    assert world.table.touched() == {"a0"}
    assert report.skipped == {"behind": 7}


async def test_a_touch_that_may_succeed_is_tried_again(world: World) -> None:
    world.table.add("a", "a0")
    world.table.touch_faults["a0"] = ["ThrottlingException", "InternalServerError"]

    report = await world.sweep()

    assert (report.touched, report.succeeded) == (1, True)


async def test_what_was_touched_lately_is_left_alone_and_what_is_behind_it_is_not(world: World) -> None:
    world.table.add("a", "a0", 9_000.0, TouchedAt={"S": ago(6 * 3_600)})
    world.table.add("a", "a1", 8_000.0)
    world.table.add("b", "b0", 9_000.0, TouchedAt={"S": ago(6 * 3_600 + 1)})

    report = await world.sweep()

    assert world.table.touched() == {"a1", "b0"}
    assert report.skipped == {"touched": 1}


@pytest.mark.usefixtures("small_parts")
async def test_a_run_takes_up_the_oldest_and_the_next_one_goes_on_behind_them(world: World) -> None:
    for number in range(10):
        world.table.add(f"a{number}", f"m{number}", 9_000.0 - number, marker=f"{number // 6:02d}")

    touched = []
    for _ in range(4):
        await world.sweep(limit=3)
        touched.append(len(world.table.touched()))
        assert world.table.touched() == {f"m{number}" for number in range(touched[-1])}

    assert touched == [3, 6, 9, 10]


async def test_time_is_compared_as_time_and_not_as_text(world: World) -> None:
    def local(age: float, hours: int) -> dict[str, str]:
        instant = datetime.fromtimestamp(NOW - age + hours * 3_600, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return {"S": f"{instant}{hours:+03d}:00"}

    world.table.add("a", "a0", CreatedAt=local(9_000.0, 14))  # its text is in the future
    world.table.add("a", "a1", CreatedAt=local(8_000.0, 0))
    world.table.add("a", "a2", CreatedAt=local(7_000.0, -11))
    world.table.add("b", "young", CreatedAt=local(60.0, -11))  # its text is of long ago
    world.table.add("c", "timeless", CreatedAt={"S": "Monday"})

    report = await world.sweep()

    assert world.table.touched() == {"a0", "a1", "a2", "timeless"}
    assert [name for name in world.table.touches if name.startswith("a")] == ["a0", "a1", "a2"]
    assert report.oldest_age_seconds == 9_000.0


async def test_what_the_index_still_shows_and_the_table_does_not_is_left_alone(world: World) -> None:
    gone, settled = world.table.add("a", "gone"), world.table.add("a", "settled", 99_999.0)
    world.table.stale = [Sighting(gone, ago(7_200)), Sighting(settled, ago(99_999))]
    del world.table.items[gone]
    world.table.items[settled].pop("NotDispatched")
    world.table.add("a", "left")

    report = await world.sweep()

    assert world.table.touched() == {"left"}
    assert report.skipped == {"settled": 2}
    assert report.oldest_age_seconds == 7_200.0


async def test_a_touched_backlog_goes_through_the_relay_to_the_last_message() -> None:
    stack = InMemoryStack()
    for number in range(30):
        stack.table.put(item_of(f"a{number % 3}", f"m{number}", DESIGN, Message={"S": f"{number}"}))
    stack._relayed = len(stack.table.records)  # the stream has lost them

    report = await sweep(stack.context, stack.table, sweep_after=0.0, limit=1_000)
    relayed = await stack.relay()

    assert report.touched == 30
    assert relayed.counts() == {"dispatched": 30}
    assert len(stack.published) == 30


async def test_a_bucket_that_cannot_be_read_is_named_and_the_others_are_swept(world: World) -> None:
    world.table.add("a", "a0", marker="03")
    world.table.add("b", "b0", marker="04")
    world.table.closed_buckets = {"03", "77"}

    report = await world.sweep()

    assert world.table.touched() == {"b0"}
    assert report.unread == {"03": CLOSED, "77": CLOSED}
    assert not report.succeeded
    (line,) = describe_troubles(report)
    assert line.level == "ERROR"
    assert {"code": CLOSED, "count": 2, "buckets": ["03", "77"]}.items() <= line.fields.items()
    assert "DYNAMODB_OUTBOX_TABLE_NAME" in line.fields["advice"]


async def test_no_more_calls_are_in_flight_than_allowed(world: World) -> None:
    world.context = replace(world.context, max_concurrency=3)

    await world.sweep()

    assert world.table.most_in_flight == 3


@pytest.mark.parametrize("publish", [False, True])
async def test_without_time_nothing_is_begun_and_everything_is_named(world: World, publish: bool) -> None:
    world.table.add("a", "a0")

    report = await world.sweep(publish=publish, remaining_seconds=0.5)

    assert set(report.unread.items()) == {(bucket, "Deadline") for bucket in BUCKETS}
    assert (report.touched, world.published()) == (0, [])


async def test_a_touch_that_hangs_leaves_time_to_report_it(world: World) -> None:
    world.table.add("a", "a0", 9_000.0)
    world.table.add("a", "a1", 8_000.0)

    world.table.hangs = True

    report = await asyncio.wait_for(world.sweep(remaining_seconds=4.0), timeout=30)

    assert report.failures == {"Deadline": 1}
    assert report.skipped == {"behind": 1}


# Publishing


@pytest.mark.usefixtures("small_parts")
async def test_a_backlog_is_published_in_the_order_of_its_aggregates(world: World) -> None:
    for number in (6, 2, 4, 0, 5, 1, 3):
        for aggregate in "abc":
            marker = f"{(number * 31 + ord(aggregate)) % 100:02d}"
            world.table.add(aggregate, f"{aggregate}{number}", 9_000.0 - number, marker=marker)
    world.table.add("a", "young", 60.0)

    report = await world.sweep(publish=True)

    for aggregate in "abc":
        assert world.published(aggregate) == [f"{aggregate}{number}" for number in range(7)]
    assert report.outcomes == {"dispatched": 21}
    assert report.skipped == {"young": 1}
    assert report.succeeded
    again = await world.sweep(publish=True)
    assert (again.found, len(world.published())) == (1, 21)


@pytest.mark.usefixtures("small_parts")
async def test_numbers_hold_across_chunks_whatever_the_clocks_said(world: World) -> None:
    for number in range(8):
        world.table.add("a", f"a{number}", 9_000.0 + number, Sequence={"N": str(number)})

    await world.sweep(publish=True)

    assert world.published() == [f"a{number}" for number in range(8)]


async def test_nothing_is_published_past_one_that_is_too_young(world: World) -> None:
    for number, age in enumerate((9_000.0, 60.0, 8_000.0)):
        world.table.add("a", f"a{number}", age, Sequence={"N": str(number)})

    report = await world.sweep(publish=True)

    assert world.published() == ["a0"]
    assert report.skipped == {"young": 1, "behind": 1}


async def test_an_unread_bucket_stops_publishing_altogether(world: World) -> None:
    world.table.add("a", "a0", marker="03")
    world.table.add("b", "b0", marker="04")
    world.table.closed_buckets = {"03"}

    report = await world.sweep(publish=True)

    assert world.published() == []
    assert report.unread == {"03": CLOSED}
    assert not report.succeeded


@pytest.mark.usefixtures("small_parts")
async def test_a_bucket_that_fails_after_its_first_page_stops_publishing_as_well(world: World) -> None:
    for number in range(9):
        world.table.add("a", f"a{number}", 9_000.0 - number, marker="03")
    pages = []

    class Ending(Faulty):
        async def list_bucket(self, bucket: str, *, cursor: Item | None, limit: int) -> Any:
            pages.append(bucket)
            if cursor is not None:
                return Unreadable(CLOSED)
            return await super().list_bucket(bucket, cursor=cursor, limit=limit)

    table = Ending()
    table.items = world.table.items

    report = await sweep(world.context, table, sweep_after=3_600.0, limit=99, publish=True)

    assert world.published() == []
    assert report.unread == {"03": CLOSED}


async def test_an_item_that_was_never_read_stops_publishing_for_nobody_knows_its_aggregate(
    world: World,
) -> None:
    world.table.add("a", "a0", 9_000.0)
    world.table.add("a", "a1", 8_000.0)
    world.table.unreadable["a0:part"] = [CLOSED]

    report = await world.sweep(publish=True)

    assert world.published() == []
    assert report.failures == {CLOSED: 1}


@pytest.mark.usefixtures("small_parts")
async def test_an_item_that_cannot_be_read_again_holds_its_aggregate_from_there_on(world: World) -> None:
    for number in range(6):
        world.table.add("a", f"a{number}", 9_000.0 - number)
        world.table.add("b", f"b{number}", 9_000.0 - number)
    world.table.unreadable["a1:whole"] = ["ThrottlingException"] * 3
    world.table.unreadable["b1:whole"] = ["ThrottlingException"] * 2

    report = await world.sweep(publish=True)

    assert world.published("a") == ["a0"]
    assert world.published("b") == [f"b{number}" for number in range(6)]
    assert report.outcomes == {"dispatched": 7, "held": 5}
    assert report.failures == {"ThrottlingException": 1}


@pytest.mark.usefixtures("small_parts")
async def test_what_is_held_in_one_chunk_is_held_in_all_that_follow(world: World) -> None:
    for number in range(6):
        for aggregate in "ab":
            world.table.add(aggregate, f"{aggregate}{number}", 9_000.0 - number)
    world.table.add("c", "c0", 9_500.0, Topic={"S": "standard"})
    world.table.add("c", "c1", 8_000.0, Topic={"S": "standard"})
    world.topics.denied = {"a1", "c0"}

    report = await world.sweep(publish=True)

    assert world.published("a") == ["a0"]
    assert world.published("b") == [f"b{number}" for number in range(6)]
    assert "c1" in world.published()  # on a standard topic nothing waits
    assert report.failures == {"AuthorizationError": 2}
    assert report.outcomes == {"dispatched": 8, "held": 6}


async def test_poison_is_parked_and_takes_no_neighbour_along(world: World) -> None:
    world.table.add("a", "a0", 9_000.0, Message={"N": "1"})
    world.table.add("a", "a1", 8_000.0)

    report = await world.sweep(publish=True)

    assert world.published() == ["a1"]
    assert report.outcomes == {"dispatched": 1, "parked": 1}
    assert report.succeeded
    (line,) = describe_troubles(report)
    assert (line.event, line.fields["reason"]) == ("message_parked", "type:Message:N")


async def test_a_mark_that_is_refused_is_a_failure_for_the_next_run_publishes_again(world: World) -> None:
    world.table.add("a", "a0")
    world.table.mark_code = "ValidationException"

    report = await world.sweep(publish=True)

    assert report.outcomes == {"mark_refused": 1}
    assert not report.succeeded


async def test_each_sweep_begins_with_an_empty_memory(world: World) -> None:
    """What an earlier one published and could not mark may have been redriven: it is not out already."""
    world.table.add("a", "a0")
    world.table.mark_code = "AccessDeniedException"
    assert (await world.sweep(publish=True)).outcomes == {"unmarked": 1}
    world.topics.hangs = True

    report = await world.sweep(publish=True, remaining_seconds=4.0)

    assert report.outcomes == {"held": 1}
    assert report.failures == {"Deadline": 1}


async def test_without_marks_nothing_is_published_from_the_table(world: World) -> None:
    world.table.add("a", "a0")
    world.context = replace(world.context, marker=None)

    with pytest.raises(ConfigurationError, match="OUTBOX_SKIP_MARK_MESSAGES_AS_DISPATCHED"):
        await world.sweep(publish=True)
    assert world.published() == []
    assert (await world.sweep()).touched == 1


# What a schedule sends


@pytest.mark.parametrize(
    "event",
    [
        {"publish": 1},
        {"publish": "true"},
        {"publish": None},
        {"limit": 0},
        {"limit": 1_000_001},
        {"limit": "5"},
        {"limit": True},
        {"limit": 1.0},
    ],
    ids=str,
)
def test_an_event_that_asks_for_what_there_is_not_is_refused(event: Any) -> None:
    with pytest.raises(InvalidEventError):
        parse_sweep_event(event)


# What a hurried sweep would get wrong


async def test_nothing_of_an_aggregate_is_touched_before_an_item_of_it_that_could_not_be_read() -> None:
    """The stream would bring the younger ones first; they wait for the next sweep."""
    world = World()
    for number in range(3):
        world.table.add("a", f"m{number}", age=9_000.0 - number)
    world.table.add("b", "other")
    world.table.unreadable["m0:part"] = [CLOSED]

    first = await world.sweep()
    assert world.table.touches == ["other"]
    assert first.skipped == {"behind": 2}
    assert not first.succeeded

    await world.sweep()
    assert world.table.touches == ["other", "m0", "m1", "m2"]


async def test_what_shares_a_partition_with_an_unread_item_waits_also_in_a_later_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The index is read part by part; the part with the younger items comes after the one that failed."""
    monkeypatch.setattr(listing, "_PAGE_SIZE", 1)
    world = World()
    for number in range(4):
        world.table.add("a", f"m{number}", age=9_000.0 - number)
    world.table.unreadable["m0:part"] = [CLOSED]

    await world.sweep()

    assert world.table.touches == []


async def test_a_large_backlog_is_read_although_every_read_is_throttled_once() -> None:
    """The budget of a batch is not that of a sweep: it would leave a large backlog unread, each time."""
    world = World()
    for number in range(150):
        world.table.add(f"a{number}", f"m{number:03}", age=9_000.0 - number)
        world.table.unreadable[f"m{number:03}:part"] = ["Throttled"]
    world.context = replace(world.context, retry=RetryPolicy(attempts=1_000, base=0.0, cap=0.0, budget=1))

    report = await world.sweep(publish=True)

    assert report.outcomes == {"dispatched": 150}


async def test_a_sweep_parks_what_is_too_old_as_the_relay_does() -> None:
    world = World()
    world.context = replace(world.context, park_older_than=8_000.0)
    world.table.add("a", "old", age=9_000.0)
    world.table.add("b", "redriven", age=9_000.0, RedriveCount={"N": "1"})
    world.table.add("c", "young", age=7_000.0)

    report = await world.sweep(publish=True)

    assert report.outcomes == {"dispatched": 2, "parked": 1}
    assert [trouble.code for trouble in report.troubles] == ["age:8000"]


@pytest.mark.parametrize("seconds", [-1.0, 1e12, float("nan"), float("inf")])
async def test_a_sweep_refuses_an_age_that_is_none(seconds: float) -> None:
    with pytest.raises(ConfigurationError, match="sweep_after"):
        await World().sweep(sweep_after=seconds)

"""What a backlog keeps, on every part and in memory: listing buckets, reading items, touching them."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
import pytest_asyncio

from outbox_sdk.core.backlog import BucketPage, Fetched, Sighting, Touch, Touched, Untouched
from outbox_sdk.core.classification import ErrorClass, classify_table_error
from outbox_sdk.core.identifiers import Item, ItemKey
from outbox_sdk.core.lookup import MAX_KEYS, Missing, Unreadable
from outbox_sdk.core.mark import Unwritten
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell.backlog import DynamoDbBacklog
from outbox_sdk.shell.ports import Backlog
from outbox_sdk.testing import InMemoryTable
from tests.support.aws import open_services
from tests.support.fixtures import endpoint_of
from tests.support.outbox_tables import Items, MemoryTable, TableView, item_of, key_of, open_outbox_table

# What servers and adapters agree on is the same on every interpreter.
pytestmark = [pytest.mark.integration, pytest.mark.once, pytest.mark.asyncio(loop_scope="module")]

NOW = "2026-11-23T10:00:00.000000Z"
SIX_HOURS_AGO = "2026-11-23T04:00:00.000000Z"
DESIGNS = {"ordered": TableDesign.ordered, "message_keyed": TableDesign.message_keyed}


class Case(NamedTuple):
    """A table behind its port, and its back door; ``missing`` is one that does not exist, where one can."""

    part: TableView
    backlog: Backlog
    missing: Backlog | None = None

    async def put(self, **attributes: Any) -> tuple[ItemKey, Items]:
        """Write an outstanding item that no other test knows."""
        item = item_of(f"order-{uuid4()}", str(uuid4()), self.part.design, **attributes)
        await self.part.put(item)
        return key_of(item, self.part.design), item

    async def list_all(self, bucket: str, *, limit: int) -> list[BucketPage]:
        """Read a bucket page by page."""
        pages: list[BucketPage] = []
        cursor: Item | None = None
        while not pages or cursor is not None:
            page = await self.backlog.list_bucket(bucket, cursor=cursor, limit=limit)
            assert isinstance(page, BucketPage)
            pages.append(page)
            cursor = page.cursor
        return pages


def _cases(*parts: str) -> pytest.MarkDecorator:
    cases = [pytest.param((part, design), id=f"{part}-{design}") for part in parts for design in DESIGNS]
    return pytest.mark.parametrize("case", cases, indirect=True)


every_backlog = _cases("memory", "dynamodb_local", "ministack", "moto")
every_remote_backlog = _cases("dynamodb_local", "ministack", "moto")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def case(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    part, design = request.param
    if part == "memory":
        double = InMemoryTable(DESIGNS[design])
        yield Case(MemoryTable(double), double)
        return
    endpoint = endpoint_of(request, part)
    async with open_outbox_table(endpoint, DESIGNS[design]) as table, open_services(endpoint) as services:
        yield Case(
            table,
            DynamoDbBacklog(services.dynamodb, table.name, table.design),
            DynamoDbBacklog(services.dynamodb, "there-is-no-such-table", table.design),
        )


# Listing


@every_backlog
async def test_a_bucket_is_listed_page_by_page_oldest_text_first(case: Case) -> None:
    expected = []
    for number in (3, 0, 6, 1, 5, 2, 4):
        created_at = f"2026-11-23T09:00:0{number}.000000Z"
        key, _ = await case.put(NotDispatched={"S": "41"}, CreatedAt={"S": created_at})
        expected.append(Sighting(key, created_at))

    for limit in (1, 3, 7, 100):
        pages = await case.list_all("41", limit=limit)
        assert all(len(page.sightings) <= limit for page in pages)
        listed = [sighting for page in pages for sighting in page.sightings]
        assert listed == sorted(expected, key=lambda sighting: sighting.created_at)


@every_backlog
async def test_items_of_one_instant_are_listed_once_each_whatever_the_page(case: Case) -> None:
    keys = {(await case.put(NotDispatched={"S": "42"}))[0] for _ in range(5)}

    pages = await case.list_all("42", limit=2)

    listed = [sighting.key for page in pages for sighting in page.sightings]
    assert len(listed) == 5
    assert set(listed) == keys


@every_backlog
async def test_a_bucket_holds_only_what_carries_its_marker_and_a_time(case: Case) -> None:
    foreign, _ = await case.put(NotDispatched={"S": "x"})
    parked, _ = await case.put(NotDispatched={"S": "parked"})
    dispatched, _ = await case.put(NotDispatched=None)
    timeless, _ = await case.put(NotDispatched={"S": "x"}, CreatedAt=None)

    (page,) = await case.list_all("x", limit=1_000)

    listed = {sighting.key for sighting in page.sightings}
    assert foreign in listed
    assert not listed & {parked, dispatched, timeless}


@every_backlog
async def test_an_empty_bucket_has_one_empty_page(case: Case) -> None:
    assert await case.backlog.list_bucket("99", cursor=None, limit=10) == BucketPage(())


@every_remote_backlog
async def test_a_bucket_of_a_table_that_does_not_exist_says_why(case: Case) -> None:
    assert case.missing is not None
    result = await case.missing.list_bucket("00", cursor=None, limit=10)

    assert isinstance(result, Unreadable)
    assert classify_table_error(result.code) is ErrorClass.CONFIGURATION


# Reading


@every_backlog
async def test_items_are_read_whole_as_the_table_holds_them(case: Case) -> None:
    key, item = await case.put(Extra={"S": "kept"}, Sequence={"N": "5"})
    gone = key_of(item_of("order", str(uuid4()), case.part.design), case.part.design)

    assert await case.backlog.fetch([gone, key], whole=True) == {gone: Missing(), key: Fetched(item)}


@every_backlog
async def test_a_plan_is_given_no_more_of_an_item_than_it_needs(case: Case) -> None:
    key, item = await case.put(Extra={"S": "kept"}, Sequence={"N": "5"}, TouchedAt={"S": NOW})

    result = (await case.backlog.fetch([key], whole=False))[key]

    assert isinstance(result, Fetched)
    wanted = {*key.to_item(), "NotDispatched", "AggregateId", "CreatedAt", "Sequence", "TouchedAt"}
    assert result.item == {name: value for name, value in item.items() if name in wanted}


@every_backlog
@pytest.mark.parametrize("whole", [True, False])
async def test_a_read_sees_what_was_written_just_before(case: Case, whole: bool) -> None:
    """Never the index's word alone: it may show for a while what has been settled."""
    key, item = await case.put()
    await case.part.put({name: value for name, value in item.items() if name != "NotDispatched"})

    result = (await case.backlog.fetch([key], whole=whole))[key]

    assert isinstance(result, Fetched)
    assert "NotDispatched" not in result.item


@every_backlog
async def test_a_full_read_answers_for_every_key(case: Case) -> None:
    keys = [(await case.put())[0] for _ in range(MAX_KEYS)]

    results = await case.backlog.fetch(keys, whole=True)

    assert list(results) == keys
    assert all(isinstance(result, Fetched) for result in results.values())


@every_remote_backlog
async def test_a_read_in_a_table_that_does_not_exist_says_why_for_each_key(case: Case) -> None:
    assert case.missing is not None
    keys = [(await case.put())[0] for _ in range(2)]
    results = await case.missing.fetch(keys, whole=False)

    assert list(results) == keys
    for result in results.values():
        assert isinstance(result, Unreadable)
        assert classify_table_error(result.code) is ErrorClass.CONFIGURATION


# Touching


def _touch(key: ItemKey, marker: str = "03") -> Touch:
    return Touch(key=key, marker={"S": marker}, now=NOW, unless_since=SIX_HOURS_AGO)


@every_backlog
@pytest.mark.parametrize("marker", ["03", "x"])
async def test_a_touch_changes_one_attribute_and_shows_in_the_stream(case: Case, marker: str) -> None:
    key, item = await case.put(NotDispatched={"S": marker}, Extra={"S": "kept"})

    assert await case.backlog.touch(_touch(key, marker)) == Touched()

    assert await case.part.get(key) == item | {"TouchedAt": {"S": NOW}}
    assert await case.part.list_changes(key) == ["INSERT", "MODIFY"]


@every_backlog
async def test_a_touch_of_long_ago_counts_no_more(case: Case) -> None:
    key, item = await case.put(TouchedAt={"S": "2026-11-23T03:59:59.999999Z"})

    assert await case.backlog.touch(_touch(key)) == Touched()

    assert await case.part.get(key) == item | {"TouchedAt": {"S": NOW}}


@every_backlog
@pytest.mark.parametrize(
    "state",
    [
        {"NotDispatched": None, "IsDispatched": {"BOOL": True}},
        {"NotDispatched": {"S": "04"}},
        {"NotDispatched": {"S": "parked"}, "ParkReason": {"S": "empty"}},
        {"TouchedAt": {"S": SIX_HOURS_AGO}},
        {"TouchedAt": {"S": NOW}},
    ],
    ids=["marked", "redriven", "parked", "touched six hours ago", "touched just now"],
)
async def test_a_touch_leaves_alone_what_is_settled_or_was_touched_lately(
    case: Case, state: dict[str, Any]
) -> None:
    key, item = await case.put(**state)

    assert await case.backlog.touch(_touch(key)) == Untouched()

    assert await case.part.get(key) == item
    assert await case.part.list_changes(key) == ["INSERT"]


@every_backlog
async def test_a_touch_of_a_missing_item_makes_no_ghost(case: Case) -> None:
    key = key_of(item_of("order", str(uuid4()), case.part.design), case.part.design)

    assert await case.backlog.touch(_touch(key)) == Untouched()

    assert await case.part.get(key) is None


@every_remote_backlog
async def test_a_touch_in_a_table_that_does_not_exist_is_a_matter_of_configuration(case: Case) -> None:
    assert case.missing is not None
    key, _ = await case.put()
    result = await case.missing.touch(_touch(key))

    assert isinstance(result, Unwritten)
    assert classify_table_error(result.code) is ErrorClass.CONFIGURATION

"""What a table keeps, on every part and in memory: looking items up, and setting them aside."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
import pytest_asyncio

from outbox_sdk.core.classification import ErrorClass, classify_table_error
from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.core.lookup import MAX_KEYS, Found, Missing, Unreadable
from outbox_sdk.core.mark import Marked, Park, Unwritten
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell.dynamodb import DynamoDbTable
from outbox_sdk.shell.ports import Table
from outbox_sdk.testing import InMemoryTable
from tests.support.aws import open_services
from tests.support.fixtures import endpoint_of
from tests.support.outbox_tables import Items, MemoryTable, TableView, item_of, key_of, open_outbox_table

# What servers and adapters agree on is the same on every interpreter.
pytestmark = [pytest.mark.integration, pytest.mark.once, pytest.mark.asyncio(loop_scope="module")]

NOW = "2026-11-23T10:00:00.000000Z"
DESIGNS = {"ordered": TableDesign.ordered, "message_keyed": TableDesign.message_keyed}
AWKWARD = ("O'Brien", 'the "best"', "a?b", "a\\b", "café ключ 注文", "👩‍👩‍👧 🇸🇪", "a#b:c", " ")


class Case(NamedTuple):
    """A table behind its port, and its back door; ``missing`` is one that does not exist, where one can."""

    part: TableView
    table: Table
    missing: Table | None = None

    def item(self, **attributes: Any) -> Items:
        """Make an outstanding item that no other test knows."""
        return item_of(f"order-{uuid4()}", str(uuid4()), self.part.design, **attributes)

    async def put(self, **attributes: Any) -> tuple[ItemKey, Items]:
        """Write one."""
        item = self.item(**attributes)
        await self.part.put(item)
        return key_of(item, self.part.design), item


def _cases(*parts: str) -> pytest.MarkDecorator:
    cases = [pytest.param((part, design), id=f"{part}-{design}") for part in parts for design in DESIGNS]
    return pytest.mark.parametrize("case", cases, indirect=True)


every_table = _cases("memory", "dynamodb_local", "ministack", "moto")
every_remote_table = _cases("dynamodb_local", "ministack", "moto")


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
            DynamoDbTable(services.dynamodb, table.name, table.design),
            DynamoDbTable(services.dynamodb, "there-is-no-such-table", table.design),
        )


# Looking up


@every_table
async def test_lookup_tells_the_states_of_an_item_apart(case: Case) -> None:
    outstanding, _ = await case.put()
    foreign, _ = await case.put(NotDispatched={"S": "x"})
    dispatched, _ = await case.put(NotDispatched=None, IsDispatched={"BOOL": True})
    parked, _ = await case.put(NotDispatched={"S": "parked"})
    redriven, _ = await case.put(RedriveCount={"N": "3"})
    missing = key_of(case.item(), case.part.design)

    keys = (missing, parked, outstanding, dispatched, foreign, redriven)

    assert await case.table.lookup(keys) == {
        outstanding: Found(outstanding=True),
        foreign: Found(outstanding=True),
        dispatched: Found(outstanding=False),
        parked: Found(outstanding=False),
        redriven: Found(outstanding=True, redrive_count=3),
        missing: Missing(),
    }


@every_table
async def test_lookup_answers_for_a_full_request(case: Case) -> None:
    keys: list[ItemKey] = []
    expected: dict[ItemKey, Found | Missing] = {}
    for number in range(MAX_KEYS):
        item = case.item(NotDispatched={"S": "07"} if number % 4 else None)
        key = key_of(item, case.part.design)
        keys.append(key)
        if number % 3:
            await case.part.put(item)
            expected[key] = Found(outstanding=bool(number % 4))
        else:
            expected[key] = Missing()

    assert await case.table.lookup(keys) == expected


@every_table
async def test_lookup_finds_items_with_awkward_keys(case: Case) -> None:
    design = case.part.design
    items = [item_of(f"{text}{uuid4()}", f"{uuid4()}{text}", design) for text in AWKWARD]
    for item in items:
        await case.part.put(item)

    keys = [key_of(item, design) for item in items]

    assert await case.table.lookup(keys) == dict.fromkeys(keys, Found(outstanding=True))


@every_remote_table
async def test_lookup_in_a_table_that_does_not_exist_says_why_for_each_key(case: Case) -> None:
    keys = [key_of(case.item(), case.part.design) for _ in range(2)]

    assert case.missing is not None
    results = await case.missing.lookup(keys)

    assert list(results) == keys
    for result in results.values():
        assert isinstance(result, Unreadable)
        assert classify_table_error(result.code) is ErrorClass.CONFIGURATION


# Parking


@every_table
async def test_park_writes_exactly_what_the_design_names(case: Case) -> None:
    key, item = await case.put(Extra={"S": "kept"})

    assert await case.table.park(_park(key, "missing:Topic"), now=NOW) == Marked()

    assert await case.part.get(key) == item | {
        "NotDispatched": {"S": "parked"},
        "ParkedAt": {"S": NOW},
        "ParkReason": {"S": "missing:Topic"},
    }


@every_table
async def test_parked_item_moves_in_the_index_to_where_a_person_looks(case: Case) -> None:
    key, _ = await case.put()
    other, _ = await case.put()

    assert await case.table.park(_park(key), now=NOW) == Marked()

    assert key in await case.part.list_index("parked")
    outstanding = await case.part.list_index("03")
    assert key not in outstanding
    assert other in outstanding


@every_table
async def test_park_gives_an_item_without_creation_time_one_so_that_it_is_found(case: Case) -> None:
    key, item = await case.put(CreatedAt=None)
    assert key not in await case.part.list_index("03")

    assert await case.table.park(_park(key), now=NOW) == Marked()

    stored = await case.part.get(key)
    assert stored is not None
    assert stored["CreatedAt"] == {"S": NOW}
    assert key in await case.part.list_index("parked")
    assert {name: stored[name] for name in item if name != "NotDispatched"} == {
        name: value for name, value in item.items() if name != "NotDispatched"
    }


@every_table
async def test_park_takes_the_marker_as_the_image_showed_it_whatever_its_value(case: Case) -> None:
    for marker in ("x", "O'Brien 🙂"):
        key, _ = await case.put(NotDispatched={"S": marker})
        assert await case.table.park(Park(key, {"S": marker}, "empty"), now=NOW) == Marked()


@every_table
@pytest.mark.parametrize(
    "state",
    [
        {"NotDispatched": None, "IsDispatched": {"BOOL": True}},
        {"NotDispatched": {"S": "04"}},
        {"RedriveCount": {"N": "1"}},
        {"NotDispatched": {"S": "parked"}, "ParkReason": {"S": "earlier"}},
    ],
    ids=["marked", "moved", "redriven", "parked"],
)
async def test_park_leaves_an_item_alone_that_somebody_has_dealt_with(
    case: Case, state: dict[str, Any]
) -> None:
    key, item = await case.put(**state)

    assert await case.table.park(_park(key), now=NOW) == Marked(gone=True)

    assert await case.part.get(key) == item
    assert await case.part.list_changes(key) == ["INSERT"]


@every_table
async def test_park_of_a_missing_item_makes_no_ghost(case: Case) -> None:
    key = key_of(case.item(), case.part.design)

    assert await case.table.park(_park(key), now=NOW) == Marked(gone=True)

    assert await case.part.get(key) is None
    assert await case.part.list_changes(key) == []


@every_remote_table
async def test_park_in_a_table_that_does_not_exist_is_a_matter_of_configuration(case: Case) -> None:
    assert case.missing is not None
    result = await case.missing.park(_park(key_of(case.item(), case.part.design)), now=NOW)

    assert isinstance(result, Unwritten)
    assert classify_table_error(result.code) is ErrorClass.CONFIGURATION


def _park(key: ItemKey, reason: str = "empty") -> Park:
    return Park(key, {"S": "03"}, reason)

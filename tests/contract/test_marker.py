"""What every marker keeps, on every part that can run it: the strategies of one port, held to one contract.

The double in memory is held to it with the rest. Moto is left out of ``batch``: it answers 500 to a
statement with more than one clause.
"""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio

from outbox_sdk.core.classification import ErrorClass, classify_table_error
from outbox_sdk.core.items import decode_item
from outbox_sdk.core.mark import Mark, Marked, MarkResult, Unwritten, plan_mark
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell.dynamodb import create_marker
from outbox_sdk.shell.ports import Marker
from outbox_sdk.testing import InMemoryTable
from tests.support.aws import open_services
from tests.support.fixtures import endpoint_of
from tests.support.outbox_tables import Items, MemoryTable, TableView, item_of, key_of, open_outbox_table

# What servers and adapters agree on is the same on every interpreter.
pytestmark = [pytest.mark.integration, pytest.mark.once, pytest.mark.asyncio(loop_scope="module")]

NOW, NOW_SECONDS = "2026-11-23T10:00:00.000000Z", 1_795_428_000.75

RENAMED = msgspec.structs.replace(
    TableDesign.ordered,
    partition_key="pk",
    sort_key="sort.key",
    not_dispatched="Not Dispatched",
    is_dispatched="select",
    last_dispatched_at='the "last" at',
    dispatch_count="zähler",
    outstanding_index="by-marker",
    sequence_index="by-sequence",
)
DESIGNS = {"ordered": TableDesign.ordered, "message_keyed": TableDesign.message_keyed, "renamed": RENAMED}


class Case(NamedTuple):
    """A marker and the table it marks in; ``missing`` marks in a table that does not exist, where one can."""

    table: TableView
    marker: Marker
    missing: Marker | None = None

    async def put(self, **attributes: Any) -> Items:
        """Write an outstanding item that no other test knows."""
        item = item_of(f"order-{uuid4()}", str(uuid4()), self.table.design, **attributes)
        await self.table.put(item)
        return item

    def mark_of(self, item: Items, *, ttl_days: int | None = None) -> Mark:
        """Plan the mark of an item as the relay does, from its image."""
        design = self.table.design
        message = decode_item(item, key_of(item, design), design)
        assert isinstance(message, OutboxMessage)
        return plan_mark(message, now=NOW, now_seconds=NOW_SECONDS, ttl_days=ttl_days)

    def marked(self, item: Items, *, count: int = 1, **more: Any) -> Items:
        """Write down what an item is once it is marked."""
        design = self.table.design
        rest = {name: value for name, value in item.items() if name != design.not_dispatched}
        return rest | {
            design.is_dispatched: {"BOOL": True},
            design.last_dispatched_at: {"S": NOW},
            design.dispatch_count: {"N": str(count)},
            **more,
        }


def _cases(*strategies: str, memory: bool = True) -> list[Any]:
    parts = {
        "batch": ("memory", "dynamodb_local", "ministack"),
        "single": ("dynamodb_local", "ministack", "moto"),
        "delete": ("memory", "dynamodb_local", "ministack", "moto"),
    }
    return [
        pytest.param((part, strategy, design), id=f"{strategy}-{part}-{design}")
        for strategy in strategies
        for part in parts[strategy]
        if memory or part != "memory"
        for design in DESIGNS
        # Names of its own are a trap for those who write them into statements and expressions.
        if design != "renamed" or (strategy != "delete" and part != "moto")
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def case(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    part, strategy, design = request.param
    if part == "memory":
        double = InMemoryTable(DESIGNS[design], deletes=strategy == "delete")
        yield Case(MemoryTable(double), double)
        return
    endpoint = endpoint_of(request, part)
    async with open_outbox_table(endpoint, DESIGNS[design]) as table, open_services(endpoint) as services:
        yield Case(
            table,
            create_marker(strategy, services.dynamodb, table.name, table.design),
            create_marker(strategy, services.dynamodb, "there-is-no-such-table", table.design),
        )


every_marker = pytest.mark.parametrize("case", _cases("batch", "single", "delete"), indirect=True)
every_remote_marker = pytest.mark.parametrize(
    "case", _cases("batch", "single", "delete", memory=False), indirect=True
)
every_keeping_marker = pytest.mark.parametrize("case", _cases("batch", "single"), indirect=True)
every_deleting_marker = pytest.mark.parametrize("case", _cases("delete"), indirect=True)


# What all markers keep


@every_marker
async def test_a_marked_item_is_outstanding_no_more_and_has_left_the_index(case: Case) -> None:
    item, other = await case.put(), await case.put()
    key, other_key = key_of(item, case.table.design), key_of(other, case.table.design)
    assert {key, other_key} <= set(await case.table.list_index("03"))

    assert await case.marker.mark([case.mark_of(item)]) == (Marked(),)

    stored = await case.table.get(key)
    assert stored is None or case.table.design.not_dispatched not in stored
    listed = await case.table.list_index("03")
    assert key not in listed
    assert other_key in listed


@every_marker
async def test_a_full_request_marks_each_of_its_items(case: Case) -> None:
    items = [await case.put(**_bucket(case, n)) for n in range(case.marker.request_size)]

    results = await case.marker.mark([case.mark_of(item) for item in items])

    assert results == (Marked(),) * len(items)
    for item in items:
        expected = None if case.marker.deletes else case.marked(item)
        assert await case.table.get(key_of(item, case.table.design)) == expected


@every_marker
async def test_marking_leaves_the_neighbours_of_an_item_alone(case: Case) -> None:
    item = await case.put()
    design = case.table.design
    aggregate = item[design.aggregate_id]["S"]
    neighbours = [item_of(aggregate, str(uuid4()), design), item_of(f"{aggregate}0", str(uuid4()), design)]
    for neighbour in neighbours:
        await case.table.put(neighbour)

    assert await case.marker.mark([case.mark_of(item)]) == (Marked(),)

    assert [await case.table.get(key_of(neighbour, design)) for neighbour in neighbours] == neighbours


@every_marker
async def test_marking_a_missing_item_succeeds_and_makes_no_ghost(case: Case) -> None:
    design = case.table.design
    item = item_of(f"order-{uuid4()}", str(uuid4()), design)

    (result,) = await case.marker.mark([case.mark_of(item)])

    assert result == Marked(gone=not case.marker.deletes)
    assert await case.table.get(key_of(item, design)) is None
    assert await case.table.list_changes(key_of(item, design)) == []


@every_remote_marker
async def test_marking_in_a_table_that_does_not_exist_is_a_matter_of_configuration(case: Case) -> None:
    item = item_of("order-1", "m-1", case.table.design)
    assert case.missing is not None

    (result,) = await case.missing.mark([case.mark_of(item)])

    assert isinstance(result, Unwritten)
    assert classify_table_error(result.code) is ErrorClass.CONFIGURATION


@every_marker
async def test_keys_are_values_and_never_read_as_a_statement(case: Case) -> None:
    design = case.table.design
    texts = (
        "O'Brien",
        'the "best"',
        "'; DELETE FROM t --",
        "a?b",
        "a\\b",
        "café ключ 注文",
        "👩‍👩‍👧 🇸🇪",
        "a#b:c",
        " ",
    )
    items = [item_of(f"{text}{uuid4()}", f"{uuid4()}{text}", design, Note={"S": text}) for text in texts]
    for item in items:
        await case.table.put(item)

    assert [await _mark(case, item) for item in items] == [Marked()] * len(texts)

    for item in items:
        expected = None if case.marker.deletes else case.marked(item)
        assert await case.table.get(key_of(item, design)) == expected


# What the markers that keep the item promise


@every_keeping_marker
async def test_mark_writes_exactly_what_the_design_names(case: Case) -> None:
    foreign = {
        "Headers": {"M": {"trace": {"S": "t-1"}}},
        "Sequence": {"N": "7"},
        "Tags": {"SS": ["a", "b"]},
        "Blob": {"B": b"\x00\xff"},
        "Nothing": {"NULL": True},
        "ExpiresAtElsewhere": {"N": "1"},
    }
    item = await case.put(**foreign)

    assert await case.marker.mark([case.mark_of(item)]) == (Marked(),)

    assert _plain(await case.table.get(key_of(item, case.table.design))) == _plain(case.marked(item))


@every_keeping_marker
async def test_mark_sets_the_time_to_live_in_whole_seconds_when_asked(case: Case) -> None:
    item = await case.put()

    assert await case.marker.mark([case.mark_of(item, ttl_days=7)]) == (Marked(),)

    expires: Any = {case.table.design.expires_at: {"N": str(1_795_428_000 + 7 * 86_400)}}
    assert await case.table.get(key_of(item, case.table.design)) == case.marked(item, **expires)


@every_keeping_marker
@pytest.mark.parametrize(
    ("before", "after"),
    [(None, 1), ({"N": "41"}, 42), ({"NULL": True}, 1)],
    ids=["absent", "41", "null"],
)
async def test_mark_counts_from_the_image(case: Case, before: Any, after: int) -> None:
    item = await case.put(**{case.table.design.dispatch_count: before})

    assert await case.marker.mark([case.mark_of(item)]) == (Marked(),)

    assert await case.table.get(key_of(item, case.table.design)) == case.marked(item, count=after)


@every_keeping_marker
@pytest.mark.parametrize("before", [None, {"N": "1"}, {"NULL": True}], ids=["absent", "1", "null"])
async def test_mark_on_its_way_settles_nothing_that_was_redriven_since(case: Case, before: Any) -> None:
    """A replay sets the same marker again, so the marker alone does not tell the two apart."""
    design = case.table.design
    item = await case.put(**{design.redrive_count: before})
    mark = case.mark_of(item)
    redriven = {**item, design.redrive_count: {"N": "2"}}
    await case.table.put(redriven)

    assert await case.marker.mark([mark]) == (Marked(gone=True),)
    assert await case.table.get(key_of(item, design)) == redriven
    assert await case.marker.mark([case.mark_of(redriven)]) == (Marked(),)


@every_keeping_marker
async def test_mark_repeated_changes_nothing_and_leaves_no_trace_in_the_stream(case: Case) -> None:
    design = case.table.design
    item = await case.put()
    mark = case.mark_of(item)
    assert await case.marker.mark([mark]) == (Marked(),)
    once = await case.table.get(key_of(item, design))
    changes = await case.table.list_changes(key_of(item, design))
    assert changes[:1] == ["INSERT"]

    later = msgspec.structs.replace(mark, dispatched_at="later", dispatch_count=9)
    assert await case.marker.mark([later]) == (Marked(gone=True),)

    assert await case.table.get(key_of(item, design)) == once
    assert await case.table.list_changes(key_of(item, design)) == changes


@every_keeping_marker
@pytest.mark.parametrize("marker", ["04", "parked"])
async def test_mark_leaves_an_item_alone_whose_marker_has_changed(case: Case, marker: str) -> None:
    design = case.table.design
    item = await case.put()
    changed = item | {design.not_dispatched: {"S": marker}}
    await case.table.put(changed)

    assert await case.marker.mark([case.mark_of(item)]) == (Marked(gone=True),)

    assert await case.table.get(key_of(item, design)) == changed


@pytest.mark.parametrize("case", _cases("batch"), indirect=True)
async def test_each_mark_of_a_request_ends_for_itself(case: Case) -> None:
    design = case.table.design
    items = [await case.put() for _ in range(5)]
    await case.table.delete(key_of(items[1], design))
    changed = items[3] | {design.not_dispatched: {"S": "parked"}}
    await case.table.put(changed)

    results = await case.marker.mark([case.mark_of(item) for item in items])

    assert results == (Marked(), Marked(gone=True), Marked(), Marked(gone=True), Marked())
    stored = [await case.table.get(key_of(item, design)) for item in items]
    assert stored == [
        case.marked(items[0]),
        None,
        case.marked(items[2]),
        changed,
        case.marked(items[4]),
    ]


# What the marker that deletes promises


@every_deleting_marker
async def test_delete_repeated_is_success(case: Case) -> None:
    design = case.table.design
    item = await case.put()
    mark = case.mark_of(item)

    assert await case.marker.mark([mark]) == (Marked(),)
    assert await case.table.get(key_of(item, design)) is None
    changes = await case.table.list_changes(key_of(item, design))

    assert await case.marker.mark([mark]) == (Marked(),)
    assert changes == ["INSERT", "REMOVE"]
    assert await case.table.list_changes(key_of(item, design)) == changes


async def _mark(case: Case, item: Items) -> MarkResult:
    (result,) = await case.marker.mark([case.mark_of(item)])
    return result


def _bucket(case: Case, number: int) -> dict[str, Any]:
    return {case.table.design.not_dispatched: {"S": f"{number % 16:02d}"}}


def _plain(item: Items | None) -> Any:
    """Make sets comparable: their order is nobody's promise."""
    if item is None:
        return None
    return {
        name: {kind: sorted(value) if kind == "SS" else value for kind, value in typed.items()}
        for name, typed in item.items()
    }

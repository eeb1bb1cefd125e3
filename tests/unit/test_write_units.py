"""What a message costs in write units, by DynamoDB's rules; a server's figures are an integration test."""

import asyncio

import pytest

from outbox_sdk.core.items import encode_item, item_size
from outbox_sdk.core.mark import MARK_STRATEGIES, Mark, plan_mark
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.write_units import WriteUnits, example_message, marked_item, write_units
from outbox_sdk.testing import InMemoryTable

DESIGNS = [TableDesign.ordered, TableDesign.message_keyed]


def mark_of(message: OutboxMessage, ttl_days: int | None = None) -> Mark:
    return plan_mark(message, now="2026-11-23T09:00:00.123456Z", now_seconds=1_795_424_400, ttl_days=ttl_days)


def message_of_size(size: int, design: TableDesign) -> OutboxMessage:
    """A message whose item has exactly so many bytes."""
    least = item_size(encode_item(example_message(body_bytes=1, design=design), design))
    return example_message(body_bytes=size - least + 1, design=design)


@pytest.mark.parametrize("strategy", MARK_STRATEGIES)
def test_a_small_message_costs_five_units_in_a_transaction_and_four_alone(strategy: str) -> None:
    message = example_message(body_bytes=100, design=TableDesign.ordered)
    apart = WriteUnits(
        put_table=1, put_index=1, put_sequence_index=0, mark_table=1, mark_index=1, mark_sequence_index=0
    )

    alone = write_units(message, TableDesign.ordered, strategy=strategy, in_transaction=False)  # type: ignore[arg-type]
    together = write_units(message, TableDesign.ordered, strategy=strategy)  # type: ignore[arg-type]

    assert alone == apart
    assert (alone.producer, alone.relay, alone.total) == (2, 2, 4)
    # The table's part of the put is doubled, and no index.
    assert (together.put_table, together.put_index) == (2, 1)
    assert (together.producer, together.relay, together.table, together.index) == (3, 2, 3, 2)


@pytest.mark.parametrize("design", DESIGNS)
def test_a_begun_kilobyte_counts_as_a_whole(design: TableDesign) -> None:
    def put(size: int) -> int:
        return write_units(message_of_size(size, design), design, in_transaction=False).put_table

    assert [put(size) for size in (1_024, 1_025, 2_048, 2_049)] == [1, 2, 2, 3]


def test_a_mark_costs_the_larger_of_the_item_before_and_after() -> None:
    design = TableDesign.ordered
    message = message_of_size(1_024, design)
    item = encode_item(message, design)
    grown = item_size(marked_item(item, mark_of(message), design))

    assert grown > 1_024
    assert write_units(message, design).mark_table == 2
    # Deleting adds nothing to it.
    assert write_units(message, design, strategy="delete").mark_table == 1


def test_the_time_to_live_may_take_a_unit_more() -> None:
    design = TableDesign.ordered
    at_edge = next(
        message
        for size in range(900, 1_025)
        if item_size(
            marked_item(
                encode_item(message := message_of_size(size, design), design), mark_of(message), design
            )
        )
        == 1_024
    )

    assert write_units(at_edge, design).mark_table == 1
    assert write_units(at_edge, design, ttl_days=7).mark_table == 2


def test_a_sequence_is_written_into_the_local_index_and_a_mark_leaves_it_there() -> None:
    numbered = example_message(body_bytes=100, design=TableDesign.ordered, sequence=7)
    keyed = example_message(body_bytes=100, design=TableDesign.message_keyed, sequence=7)

    marked = write_units(numbered, TableDesign.ordered)
    deleted = write_units(numbered, TableDesign.ordered, strategy="delete")

    assert (marked.put_sequence_index, marked.mark_sequence_index) == (1, 0)
    assert (deleted.put_sequence_index, deleted.mark_sequence_index) == (1, 1)
    assert marked.table == 4  # the entry lies in the table's own partitions
    assert write_units(keyed, TableDesign.message_keyed).put_sequence_index == 0


def test_an_index_entry_costs_its_own_size_and_not_the_item_s() -> None:
    large = example_message(body_bytes=100_000, design=TableDesign.ordered)
    units = write_units(large, TableDesign.ordered)

    assert (units.put_index, units.mark_index) == (1, 1)
    assert units.put_table == 2 * units.mark_table == 2 * 99


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("ttl_days", [None, 7])
def test_an_item_is_left_as_the_table_leaves_it(design: TableDesign, ttl_days: int | None) -> None:
    message = example_message(body_bytes=100, design=design)
    table, mark = InMemoryTable(design), mark_of(message, ttl_days)
    key = table.put(encode_item(message, design))

    asyncio.run(table.mark([mark]))

    assert marked_item(encode_item(message, design), mark, design) == table.items[key]

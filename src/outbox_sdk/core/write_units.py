"""What a message costs in write units over its life: the put, the mark, and the indexes of both.

DynamoDB's rules, from its developer guide:

- A write takes one unit for each kilobyte of the item, rounded up; an update that of the larger of the item
  before and after, whatever it changes. A delete takes that of the item that goes. ("DynamoDB read and write
  operations")
- An index is written when what it holds of the item changes: an item that enters or leaves a sparse index
  costs the size of its entry there, keys and projected attributes. ("Using global secondary indexes", "Local
  secondary indexes")
- A transaction takes double for the items of the table ("DynamoDB transactions: how it works"). The guide
  does not say it of indexes; they are counted once, as recorded from DynamoDB (its responses to
  ``TransactWriteItems`` with ``ReturnConsumedCapacity`` of ``INDEXES``).
- What the time to live deletes is free.

A mark by PartiQL takes what the same ``UpdateItem`` takes. Sizes come from
:func:`~outbox_sdk.core.items.item_size`.
"""

from collections.abc import Iterable

import msgspec

from outbox_sdk.core.identifiers import AggregateId, CorrelationId, Item, ItemKey, MessageId, TopicName
from outbox_sdk.core.items import bucket_of, encode_item, item_size
from outbox_sdk.core.mark import Mark, MarkStrategy, plan_mark
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.table import TableDesign

__all__ = [
    "WRITE_UNIT_BYTES",
    "WriteUnits",
    "example_message",
    "kept_bytes",
    "marked_item",
    "units_of",
    "write_units",
]

WRITE_UNIT_BYTES = 1_024
"""What one write unit writes, in bytes; a begun one counts as a whole."""

_TRANSACTION_FACTOR = 2
_STORAGE_OVERHEAD = 100

_EXAMPLE_ID = "00000000-0000-4000-8000-000000000001"
_EXAMPLE_INSTANT = "2026-11-23T09:00:00.123456Z"
_EXAMPLE_SECONDS = 1_795_424_400


class WriteUnits(msgspec.Struct, frozen=True, kw_only=True):
    """Write units of one message over its life, by what is written and by what.

    ``index`` is the index of outstanding messages, ``sequence_index`` the local one of the design
    ``ordered``, which only messages with a ``sequence`` enter.
    """

    put_table: int
    put_index: int
    put_sequence_index: int
    mark_table: int
    mark_index: int
    mark_sequence_index: int

    @property
    def producer(self) -> int:
        """What the put takes."""
        return self.put_table + self.put_index + self.put_sequence_index

    @property
    def relay(self) -> int:
        """What the mark takes."""
        return self.mark_table + self.mark_index + self.mark_sequence_index

    @property
    def table(self) -> int:
        """What the table's partitions carry, with the local index, whose entries lie in them."""
        return self.put_table + self.put_sequence_index + self.mark_table + self.mark_sequence_index

    @property
    def index(self) -> int:
        """What the partitions of the index of outstanding messages carry."""
        return self.put_index + self.mark_index

    @property
    def total(self) -> int:
        """What is paid for."""
        return self.producer + self.relay


def units_of(size: int) -> int:
    """Give the write units of ``size`` bytes.

    >>> units_of(0), units_of(1), units_of(1_024), units_of(1_025)
    (0, 1, 1, 2)
    """
    return -(-size // WRITE_UNIT_BYTES)


def write_units(
    message: OutboxMessage,
    design: TableDesign,
    *,
    strategy: MarkStrategy = "batch",
    in_transaction: bool = True,
    ttl_days: int | None = None,
) -> WriteUnits:
    """Work out what a message costs: put alone or in a transaction, and marked by a strategy.

    >>> message = example_message(body_bytes=100, design=TableDesign.ordered)
    >>> units = write_units(message, TableDesign.ordered)
    >>> units.producer, units.relay, units.total
    (3, 2, 5)
    """
    item = encode_item(message, design)
    mark = plan_mark(message, now=_EXAMPLE_INSTANT, now_seconds=_EXAMPLE_SECONDS, ttl_days=ttl_days)
    after: Item = {} if strategy == "delete" else marked_item(item, mark, design)
    put = units_of(item_size(item))
    return WriteUnits(
        put_table=put * _TRANSACTION_FACTOR if in_transaction else put,
        put_index=_index_units({}, item, _outstanding_keys(design)),
        put_sequence_index=_index_units({}, item, _sequence_keys(design)),
        mark_table=units_of(max(item_size(item), item_size(after))),
        mark_index=_index_units(item, after, _outstanding_keys(design)),
        mark_sequence_index=_index_units(item, after, _sequence_keys(design)),
    )


def kept_bytes(message: OutboxMessage, design: TableDesign, *, ttl_days: int | None = None) -> int:
    """Give the bytes of a marked message that are billed as storage: its item, and its local index entry.

    DynamoDB adds 100 bytes to each of them ("Managing tables": estimating storage of items and indexes).

    >>> message = example_message(body_bytes=100, design=TableDesign.ordered)
    >>> item = encode_item(message, TableDesign.ordered)
    >>> kept_bytes(message, TableDesign.ordered, ttl_days=7) - item_size(item)
    143
    """
    mark = plan_mark(message, now=_EXAMPLE_INSTANT, now_seconds=_EXAMPLE_SECONDS, ttl_days=ttl_days)
    kept = marked_item(encode_item(message, design), mark, design)
    entry = _entry(kept, _sequence_keys(design))
    return sum(item_size(each) + _STORAGE_OVERHEAD for each in (kept, entry) if each)


def marked_item(item: Item, mark: Mark, design: TableDesign) -> Item:
    """Give an item as a mark leaves it."""
    marked = {name: value for name, value in item.items() if name != design.not_dispatched}
    marked[design.is_dispatched] = {"BOOL": True}
    marked[design.last_dispatched_at] = {"S": mark.dispatched_at}
    marked[design.dispatch_count] = {"N": str(mark.dispatch_count)}
    if mark.expires_at is not None:
        marked[design.expires_at] = {"N": str(mark.expires_at)}
    return marked


def example_message(
    *,
    body_bytes: int,
    design: TableDesign,
    topic: str = "order--created",
    sequence: int | None = None,
    number: int = 1,
) -> OutboxMessage:
    """Make a message of ordinary measure: ids of 36 characters and a body of JSON, of so many bytes.

    ``number`` tells several of them apart, without a change of their size.
    """
    message_id = MessageId(f"{_EXAMPLE_ID[:-6]}{number:06d}")
    aggregate_id = AggregateId(_EXAMPLE_ID)
    keys = design.item_key_values(aggregate_id, message_id)
    return OutboxMessage(
        key=ItemKey.from_item({name: {"S": value} for name, value in keys.items()}),
        marker={"S": bucket_of(message_id, 16)},
        message_id=message_id,
        aggregate_id=aggregate_id,
        topic=TopicName(topic),
        # One character in eight is a quote, which costs another byte wherever the body is within JSON.
        body=('"name":"a value of thirty-two","' * (body_bytes // 32 + 1))[:body_bytes],
        correlation_id=CorrelationId(_EXAMPLE_ID),
        created_at=_EXAMPLE_INSTANT,
        message_type="OrderCreated",
        content_type="application/json",
        sequence=sequence,
    )


def _outstanding_keys(design: TableDesign) -> tuple[str, ...]:
    return (design.not_dispatched, design.created_at, *_table_keys(design))


def _sequence_keys(design: TableDesign) -> tuple[str, ...]:
    """The attributes of the local index, or none where the design has none."""
    return () if design.sequence_index is None else (design.sequence, *_table_keys(design))


def _table_keys(design: TableDesign) -> Iterable[str]:
    return (name for name in (design.partition_key, design.sort_key) if name is not None)


def _index_units(before: Item, after: Item, keys: tuple[str, ...]) -> int:
    """Units of what a write changes in an index that projects its keys only."""
    left, entered = _entry(before, keys), _entry(after, keys)
    # An entry of other keys is another entry: the old one goes and the new one comes.
    return 0 if left == entered else units_of(item_size(left)) + units_of(item_size(entered))


def _entry(item: Item, keys: tuple[str, ...]) -> Item:
    """What an index holds of an item; nothing where one of its keys is missing."""
    return {name: item[name] for name in keys} if all(name in item for name in keys) else {}

"""Write units as DynamoDB Local reports them for the very requests that producer and relay make.

It reports none for PartiQL, so a mark is measured as the `UpdateItem` of the strategy `single`. What it
reports for transactions is not asked: puts are measured alone.
"""

from collections.abc import Mapping
from typing import Any

from outbox_sdk.core.items import encode_item
from outbox_sdk.core.mark import MarkStrategy, delete_marks_request, mark_request, plan_mark
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.write_units import WriteUnits

__all__ = ["measure_write_units"]


async def measure_write_units(
    dynamodb: Any,
    table_name: str,
    message: OutboxMessage,
    design: TableDesign,
    *,
    strategy: MarkStrategy,
    ttl_days: int | None,
) -> WriteUnits:
    """Put a message alone and mark it; give what the server says that took."""
    put = await dynamodb.put_item(
        TableName=table_name, Item=encode_item(message, design), ReturnConsumedCapacity="INDEXES"
    )
    mark = plan_mark(message, now="2026-11-23T09:00:00.123456Z", now_seconds=1_795_424_400, ttl_days=ttl_days)
    if strategy == "delete":
        arguments = delete_marks_request([mark], table_name)
        marked = await dynamodb.batch_write_item(**arguments, ReturnConsumedCapacity="INDEXES")
        (consumed,) = marked["ConsumedCapacity"]
    else:
        marked = await dynamodb.update_item(
            **mark_request(mark, design, table_name), ReturnConsumedCapacity="INDEXES"
        )
        consumed = marked["ConsumedCapacity"]
    put_table, put_index, put_sequence_index = _split(put["ConsumedCapacity"])
    mark_table, mark_index, mark_sequence_index = _split(consumed)
    return WriteUnits(
        put_table=put_table,
        put_index=put_index,
        put_sequence_index=put_sequence_index,
        mark_table=mark_table,
        mark_index=mark_index,
        mark_sequence_index=mark_sequence_index,
    )


def _split(consumed: Mapping[str, Any]) -> tuple[int, int, int]:
    """Units of the table, of its global and of its local indexes."""
    parts = (
        consumed["Table"]["CapacityUnits"],
        sum(index["CapacityUnits"] for index in consumed.get("GlobalSecondaryIndexes", {}).values()),
        sum(index["CapacityUnits"] for index in consumed.get("LocalSecondaryIndexes", {}).values()),
    )
    assert all(part == int(part) for part in parts)
    assert sum(parts) == consumed["CapacityUnits"]
    table, index, sequence_index = (int(part) for part in parts)
    return table, index, sequence_index

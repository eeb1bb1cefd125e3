"""Looking for one message by its id: the key it has, and the request that finds it where it has another."""

from typing import Any

from outbox_sdk.core.identifiers import Item, ItemKey, TableName
from outbox_sdk.core.table import TableDesign

__all__ = ["is_named_by", "key_of_message", "scan_for_request"]


def key_of_message(message_id: str, aggregate_id: str | None, design: TableDesign) -> ItemKey | None:
    """Give the key of a message; ``None`` where its aggregate has to be known and is not.

    >>> key = key_of_message("m-1", "order-7", TableDesign.ordered)
    >>> key.describe() if key else None
    'PK=AGGREGATE#order-7 SK=MESSAGE#m-1'
    >>> key_of_message("m-1", None, TableDesign.ordered)
    """
    if design.keyed_by == "aggregate" and aggregate_id is None:
        return None
    values = design.item_key_values(aggregate_id or "", message_id)
    return ItemKey.from_item({name: {"S": value} for name, value in values.items()})


def is_named_by(key: ItemKey, message_id: str, design: TableDesign) -> bool:
    """Tell whether a key is one that this package gives the message, whatever its aggregate."""
    name = design.partition_key if design.keyed_by == "message" else design.sort_key
    return any(part == (name, "S", f"MESSAGE#{message_id}") for part in key.parts)


def scan_for_request(
    message_id: str,
    design: TableDesign,
    table_name: TableName | str,
    *,
    segment: int,
    segments: int,
    cursor: Item | None,
) -> dict[str, Any]:
    """Write the arguments of ``Scan`` for one page of the items that carry a message id."""
    request: dict[str, Any] = {
        "TableName": str(table_name),
        "FilterExpression": "#id = :id",
        "ExpressionAttributeNames": {"#id": design.message_id},
        "ExpressionAttributeValues": {":id": {"S": message_id}},
        "Segment": segment,
        "TotalSegments": segments,
    }
    return request if cursor is None else {**request, "ExclusiveStartKey": cursor}

"""Reading and touching the backlog: requests on the index of outstanding items, and what the answers say."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from outbox_sdk.core.identifiers import AttributeValue, Item, ItemKey, TableName, to_client_value
from outbox_sdk.core.lookup import Missing, Unreadable
from outbox_sdk.core.mark import Unwritten
from outbox_sdk.core.table import TableDesign

__all__ = [
    "BUCKETS",
    "BucketPage",
    "FetchResult",
    "Fetched",
    "Sighting",
    "Touch",
    "TouchResult",
    "Touched",
    "Untouched",
    "decode_fetch_response",
    "decode_page",
    "fetch_request",
    "list_bucket_request",
    "touch_request",
]

BUCKETS: tuple[str, ...] = (*(f"{number:02d}" for number in range(100)), "x")
"""Every marker of an outstanding item: all buckets there may ever have been, and other producers' ``x``.

Whatever count is configured, all are read, so that changing it strands nothing. ``parked`` is not among
them: a parked item waits for a person.
"""


class Sighting(msgspec.Struct, frozen=True):
    """An item as the index shows it: eventually consistent, so to be read again before anything is done."""

    key: ItemKey
    created_at: str


class BucketPage(msgspec.Struct, frozen=True):
    """Part of a bucket, in the order of ``CreatedAt`` as text. Without a ``cursor`` it was the last part.

    A page may be empty and still have a cursor.
    """

    sightings: tuple[Sighting, ...]
    cursor: Item | None = None


class Fetched(msgspec.Struct, frozen=True):
    """The item as the table itself holds it, or the attributes of it that were asked for."""

    item: Item


FetchResult = Fetched | Missing | Unreadable
"""How one consistent read ended."""


class Touch(msgspec.Struct, frozen=True, kw_only=True):
    """Change an item so that the stream brings it again, if it still carries ``marker``.

    ``now`` and ``unless_since`` are fixed-width UTC: an item touched at ``unless_since`` or later is left
    alone.
    """

    key: ItemKey
    marker: AttributeValue
    now: str
    unless_since: str


class Touched(msgspec.Struct, frozen=True):
    """Written: the stream brings the item again."""


class Untouched(msgspec.Struct, frozen=True):
    """Not written, and need not be: the item is settled or gone, or somebody has touched it lately."""


TouchResult = Touched | Untouched | Unwritten
"""How one touch ended."""


def list_bucket_request(
    bucket: str, design: TableDesign, table_name: TableName | str, *, cursor: Item | None, limit: int
) -> dict[str, Any]:
    """Write the arguments of ``Query`` for one page of a bucket, oldest text first.

    There is no condition on ``CreatedAt``: text is in the order of time only where all of it is UTC of one
    width. ``…T10:00:00+05:00`` is five hours older than it looks, and what is no time at all may stand
    behind every bound.
    """
    request: dict[str, Any] = {
        "TableName": str(table_name),
        "IndexName": design.outstanding_index,
        "KeyConditionExpression": "#marker = :bucket",
        "ExpressionAttributeNames": {"#marker": design.not_dispatched},
        "ExpressionAttributeValues": {":bucket": {"S": bucket}},
        "ScanIndexForward": True,
        "Limit": limit,
    }
    return request if cursor is None else {**request, "ExclusiveStartKey": cursor}


def decode_page(response: Any, design: TableDesign) -> BucketPage:
    """Read a ``Query`` response."""
    return BucketPage(
        tuple(
            Sighting(_key_of(item, design), item[design.created_at]["S"])
            for item in response.get("Items") or ()
        ),
        response.get("LastEvaluatedKey") or None,
    )


def fetch_request(
    keys: Sequence[ItemKey], design: TableDesign, table_name: TableName | str, *, whole: bool
) -> dict[str, Any]:
    """Write the arguments of a consistent ``BatchGetItem`` for at most 100 distinct keys.

    ``whole`` reads all attributes, as publishing needs them; else only what orders and judges an item.
    """
    read: dict[str, Any] = {"Keys": [key.to_item() for key in keys], "ConsistentRead": True}
    if not whole:
        names = {
            *(name for key in keys for name, _, _ in key.parts),
            *(design.not_dispatched, design.aggregate_id, design.created_at),
            *(design.sequence, design.touched_at),
        }
        placeholders = {f"#a{position}": name for position, name in enumerate(sorted(names))}
        read["ProjectionExpression"] = ", ".join(placeholders)
        read["ExpressionAttributeNames"] = placeholders
    return {"RequestItems": {str(table_name): read}}


def decode_fetch_response(
    keys: Sequence[ItemKey], response: Any, design: TableDesign, table_name: TableName | str
) -> Mapping[ItemKey, FetchResult]:
    """Read a ``BatchGetItem`` response: a result for each key, unreadable where DynamoDB left it undone."""
    name = str(table_name)
    unprocessed = {
        ItemKey.from_item(key)
        for key in (response.get("UnprocessedKeys") or {}).get(name, {}).get("Keys", ())
    }
    found = {_key_of(item, design): item for item in (response.get("Responses") or {}).get(name, ())}
    results: dict[ItemKey, FetchResult] = {}
    for key in keys:
        if key in unprocessed:
            results[key] = Unreadable("Throttled")
        else:
            results[key] = Fetched(found[key]) if key in found else Missing()
    return results


def touch_request(touch: Touch, design: TableDesign, table_name: TableName | str) -> dict[str, Any]:
    """Write the arguments of ``UpdateItem`` for one touch."""
    return {
        "TableName": str(table_name),
        "Key": touch.key.to_item(),
        "UpdateExpression": "SET #touched = :now",
        "ConditionExpression": "#marker = :marker AND (attribute_not_exists(#touched) OR #touched < :since)",
        "ExpressionAttributeNames": {"#marker": design.not_dispatched, "#touched": design.touched_at},
        "ExpressionAttributeValues": {
            ":marker": to_client_value(touch.marker),
            ":now": {"S": touch.now},
            ":since": {"S": touch.unless_since},
        },
    }


def _key_of(item: Item, design: TableDesign) -> ItemKey:
    names = (design.partition_key, design.sort_key)
    return ItemKey.from_item({name: item[name] for name in names if name is not None})

"""Looking items up before publishing: the requests, and what their answers say."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from outbox_sdk.core.identifiers import ItemKey, TableName
from outbox_sdk.core.items import is_outstanding, redrive_count_of
from outbox_sdk.core.table import TableDesign

__all__ = [
    "MAX_KEYS",
    "Found",
    "LookupResult",
    "Missing",
    "Unreadable",
    "decode_lookup_response",
    "lookup_request",
]

MAX_KEYS = 100
"""DynamoDB takes this many keys in one ``BatchGetItem``."""


class Found(msgspec.Struct, frozen=True):
    """The item is there; ``outstanding`` tells whether it still awaits publishing.

    ``redrive_count`` tells how often somebody has sent it again: 0 where the item does not say.
    """

    outstanding: bool
    redrive_count: int = 0


class Missing(msgspec.Struct, frozen=True):
    """No item has this key any more."""


class Unreadable(msgspec.Struct, frozen=True):
    """The table did not answer for this key, so nothing is assumed either way."""

    code: str


LookupResult = Found | Missing | Unreadable


def lookup_request(
    keys: Sequence[ItemKey], design: TableDesign, table_name: TableName | str
) -> dict[str, Any]:
    """Write the arguments of a consistent ``BatchGetItem`` for at most 100 distinct keys.

    Only the keys, the marker and the redrive count are read: the body stays where it is.
    """
    wanted = {design.not_dispatched, design.redrive_count}
    names = sorted({name for key in keys for name, _, _ in key.parts} | wanted)
    placeholders = {f"#a{position}": name for position, name in enumerate(names)}
    return {
        "RequestItems": {
            str(table_name): {
                "Keys": [key.to_item() for key in keys],
                "ConsistentRead": True,
                "ProjectionExpression": ", ".join(placeholders),
                "ExpressionAttributeNames": placeholders,
            }
        }
    }


def decode_lookup_response(
    keys: Sequence[ItemKey], response: Any, design: TableDesign, table_name: TableName | str
) -> tuple[Mapping[ItemKey, LookupResult], tuple[ItemKey, ...]]:
    """Read a ``BatchGetItem`` response: results by key, and the keys that DynamoDB left unprocessed."""
    unprocessed = {
        ItemKey.from_item(key)
        for key in (response.get("UnprocessedKeys") or {}).get(str(table_name), {}).get("Keys", ())
    }
    found: dict[ItemKey, LookupResult] = {}
    names = {name for name, _, _ in keys[0].parts} if keys else set()
    for item in (response.get("Responses") or {}).get(str(table_name), ()):
        key = ItemKey.from_item({name: item[name] for name in names})
        found[key] = Found(is_outstanding(item, design), redrive_count_of(item, design))
    results = {key: found.get(key, Missing()) for key in keys if key not in unprocessed}
    return results, tuple(key for key in keys if key in unprocessed)

"""A replay decided: dispatched messages that are to be sent once more, in which order, by which request."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from outbox_sdk.core.envelope import MAX_ATTRIBUTES, REPLAYED
from outbox_sdk.core.identifiers import AttributeValue, Item, TableName
from outbox_sdk.core.redrive import Groups, plan_order, send_again_request
from outbox_sdk.core.seen_item import Condition, SeenItem, seen_attributes, was_dispatched_before
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.text import format_instant

__all__ = [
    "TOO_MANY_ATTRIBUTES",
    "list_aggregate_request",
    "list_dispatched_request",
    "plan_replay",
    "refuse_replay",
    "replay_request",
    "was_replayed",
]

TOO_MANY_ATTRIBUTES = f"attributes:{MAX_ATTRIBUTES}"
"""Why a message is refused that has no room for one attribute more."""


def was_replayed(seen: SeenItem, began_at: str) -> bool:
    """Tell whether a replay that began then has sent a message already, whatever has become of it since."""
    return _header(seen) == {"S": began_at}


def refuse_replay(seen: SeenItem) -> str | None:
    """Give the reason for which a message cannot be replayed, or ``None``.

    A message whose attributes are ten has no room for ``replayed``: with eleven, SQS would lose it unseen.
    """
    full = seen.attribute_count >= MAX_ATTRIBUTES and _header(seen) is None
    return TOO_MANY_ATTRIBUTES if full else None


def plan_replay(items: Iterable[SeenItem], *, began_at: datetime) -> Groups:
    """Choose those of some aggregates' items that a replay sends again, by aggregate and in its order.

    Left out is what is not dispatched, what was dispatched at ``began_at`` or later, and what this replay has
    sent already: so that it can be taken up again after an interruption.
    """
    mark = format_instant(began_at)
    return plan_order(
        item
        for item in items
        if item.state == "dispatched"
        and not was_replayed(item, mark)
        and was_dispatched_before(item, began_at)
    )


def replay_request(
    seen: SeenItem, design: TableDesign, table_name: TableName | str, *, buckets: int, began_at: str, now: str
) -> dict[str, Any]:
    """Write the arguments of ``UpdateItem`` that make a dispatched item outstanding, if it is as it was seen.

    It counts as one redrive more, which gives it a FIFO deduplication id of its own, and it carries the
    header ``replayed`` with the instant ``began_at``.
    """
    headers = seen.headers
    # An entry of a map can be set where there is a map, and a map where there is none.
    if isinstance(headers, Mapping) and isinstance(headers.get("M"), Mapping):
        names = {"#headers": design.headers, "#replayed": REPLAYED}
        values: dict[str, AttributeValue] = {":replayed": {"S": began_at}, ":map": {"S": "M"}}
        more = Condition("attribute_type(#headers, :map)", names, values)
        assignment = "#headers.#replayed = :replayed"
    else:
        names, values = {"#headers": design.headers}, {":replayed": {"M": {REPLAYED: {"S": began_at}}}}
        expression = "attribute_not_exists(#headers)"
        if headers is not None:
            values[":headers"] = headers
            expression = "#headers = :headers"
        more = Condition(expression, names, values)
        assignment = "#headers = :replayed"
    return send_again_request(
        seen, design, table_name, buckets=buckets, now=now, more=more, assignment=assignment
    )


def list_dispatched_request(
    design: TableDesign,
    table_name: TableName | str,
    *,
    segment: int,
    segments: int,
    cursor: Item | None,
    limit: int,
) -> dict[str, Any]:
    """Write the arguments of ``Scan`` for one page of what is dispatched; a partition is in one segment."""
    request = {
        **_dispatched_only(design, table_name),
        "Segment": segment,
        "TotalSegments": segments,
        "Limit": limit,
    }
    return request if cursor is None else {**request, "ExclusiveStartKey": cursor}


def list_aggregate_request(
    aggregate_id: str, design: TableDesign, table_name: TableName | str, *, cursor: Item | None
) -> dict[str, Any]:
    """Write the arguments of ``Query`` for one page of what one aggregate has dispatched."""
    request = _dispatched_only(design, table_name)
    values = {":partition": {"S": f"AGGREGATE#{aggregate_id}"}}
    request["KeyConditionExpression"] = "#partition = :partition"
    request["ExpressionAttributeNames"]["#partition"] = design.partition_key
    request["ExpressionAttributeValues"] = values
    return request if cursor is None else {**request, "ExclusiveStartKey": cursor}


def _dispatched_only(design: TableDesign, table_name: TableName | str) -> dict[str, Any]:
    attributes: Sequence[str] = sorted(seen_attributes(design))
    names = {f"#a{place}": name for place, name in enumerate(attributes)}
    return {
        "TableName": str(table_name),
        "FilterExpression": "attribute_not_exists(#marker) AND attribute_exists(#dispatched)",
        "ProjectionExpression": ", ".join(names),
        "ExpressionAttributeNames": {
            **names,
            "#marker": design.not_dispatched,
            "#dispatched": design.last_dispatched_at,
        },
        "ConsistentRead": True,
    }


def _header(seen: SeenItem) -> object:
    headers = seen.headers
    named = headers.get("M") if isinstance(headers, Mapping) else None
    return named.get(REPLAYED) if isinstance(named, Mapping) else None

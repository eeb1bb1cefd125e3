"""A redrive decided: parked messages that are to be outstanding again, in which order, by which request."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from outbox_sdk.core.aggregate_order import age_order, in_order, merge_oldest
from outbox_sdk.core.identifiers import AggregateId, AttributeValue, ItemKey, TableName
from outbox_sdk.core.items import bucket_of
from outbox_sdk.core.seen_item import Condition, SeenItem, condition_of
from outbox_sdk.core.table import TableDesign

__all__ = ["Groups", "plan_order", "plan_redrive", "redrive_request", "send_again_request"]


Groups = tuple[tuple[SeenItem, ...], ...]
"""Items by what they are ordered within, each group in its order."""


def plan_redrive(items: Iterable[SeenItem], *, limit: int | None = None) -> Groups:
    """Choose at most ``limit`` of the parked items, the oldest first, each aggregate from its first one on.

    They come by aggregate, in its order; the aggregate with the oldest item comes first. What is not parked
    is left out.
    """
    return plan_order((item for item in items if item.state == "parked"), limit=limit)


def plan_order(items: Iterable[SeenItem], *, limit: int | None = None) -> Groups:
    """Put items in order, by aggregate; what is over ``limit`` is left out, of an aggregate its end only."""
    together = _gather(items)
    chosen = islice(merge_oldest([in_order(group) for group in together]), limit)
    # An aggregate's first item is not always its oldest: numbers go before times.
    return tuple(sorted(map(tuple, _gather(chosen)), key=lambda group: min(map(age_order, group))))


def _gather(items: Iterable[SeenItem]) -> list[Sequence[SeenItem]]:
    groups: dict[AggregateId | ItemKey, list[SeenItem]] = {}
    for item in items:
        groups.setdefault(item.group, []).append(item)
    return list(groups.values())


def redrive_request(
    seen: SeenItem, design: TableDesign, table_name: TableName | str, *, buckets: int, now: str
) -> dict[str, Any]:
    """Write the arguments of ``UpdateItem`` that make a parked item outstanding, if it is as it was seen.

    ``now`` is fixed-width UTC. It becomes the time of creation of an item without one, which no index would
    show. Counting up makes the relay publish under a fresh FIFO deduplication id, and keeps marks and parks
    off that are still on their way from before.
    """
    return send_again_request(seen, design, table_name, buckets=buckets, now=now)


def send_again_request(
    seen: SeenItem,
    design: TableDesign,
    table_name: TableName | str,
    *,
    buckets: int,
    now: str,
    more: Condition | None = None,
    assignment: str | None = None,
) -> dict[str, Any]:
    """Write what a redrive and a replay share; ``assignment`` is one more, on the condition ``more``."""
    condition = condition_of(seen, design)
    more = more or Condition("", {}, {})
    names: Mapping[str, str] = {
        **condition.names,
        **more.names,
        "#created": design.created_at,
        "#expires": design.expires_at,
        "#parked": design.parked_at,
        "#reason": design.park_reason,
    }
    values: Mapping[str, AttributeValue] = {
        **condition.values,
        **more.values,
        ":bucket": {"S": _bucket(seen, buckets)},
        ":count": {"N": str(seen.redrives + 1)},
        ":now": {"S": now},
    }
    sets = ["#marker = :bucket", "#redrives = :count", "#created = if_not_exists(#created, :now)"]
    conditions = [condition.expression, *([more.expression] if more.expression else [])]
    return {
        "TableName": str(table_name),
        "Key": seen.key.to_item(),
        "UpdateExpression": f"SET {', '.join([*sets, *([assignment] if assignment else [])])}"
        # A time to live on an outstanding item would lose it.
        " REMOVE #expires, #parked, #reason",
        "ConditionExpression": " AND ".join(conditions),
        "ExpressionAttributeNames": dict(names),
        "ExpressionAttributeValues": dict(values),
    }


def _bucket(seen: SeenItem, buckets: int) -> str:
    text = seen.message_id or seen.key.describe()
    return bucket_of(text.encode(errors="replace").decode(), buckets)

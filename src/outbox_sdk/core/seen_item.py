"""An item as somebody has read it, and the condition that it still is so, for whoever writes it later."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from outbox_sdk.core.aggregate_order import read_sequence
from outbox_sdk.core.identifiers import AggregateId, AttributeValue, Item, ItemKey
from outbox_sdk.core.items import redrive_count_of
from outbox_sdk.core.message_view import MessageState, key_of_item
from outbox_sdk.core.table import PARKED, TableDesign
from outbox_sdk.core.text import parse_instant

__all__ = [
    "Condition",
    "SeenItem",
    "condition_of",
    "decode_seen",
    "seen_attributes",
    "was_dispatched_before",
]


class SeenItem(msgspec.Struct, frozen=True, kw_only=True):
    """A message's item, as far as it has to be known to send it again or to delete it, without its body.

    ``group`` is what it is ordered within: its aggregate, or the item by itself where the design keeps no
    order. ``marker``, ``redrive_count``, ``last_dispatched_at`` and ``headers`` are attributes as they are,
    ``None`` where there is none; ``redrives`` is the count as a number, ``attribute_count`` how many message
    attributes travel. What has no text is ``None``.
    """

    key: ItemKey
    state: MessageState
    group: AggregateId | ItemKey
    marker: AttributeValue | None = None
    redrive_count: AttributeValue | None = None
    redrives: int = 0
    last_dispatched_at: AttributeValue | None = None
    created: datetime | None = None
    sequence: int | None = None
    message_id: str | None = None
    topic: str | None = None
    message_type: str | None = None
    reason: str | None = None
    headers: AttributeValue | None = None
    attribute_count: int = 0


class Condition(msgspec.Struct, frozen=True):
    """A condition expression with the names and the values that it refers to."""

    expression: str
    names: Mapping[str, str]
    values: Mapping[str, AttributeValue]


def seen_attributes(design: TableDesign) -> frozenset[str]:
    """Name what has to be read of an item to judge it: all that this package writes, but the body."""
    names = {
        getattr(design, field)
        for field in design.__struct_fields__
        if field not in ("keyed_by", "body", "outstanding_index", "sequence_index")
    }
    return frozenset(name for name in names if name is not None)


def decode_seen(item: Item, design: TableDesign) -> SeenItem | None:
    """Read an item; ``None`` where it is no message of the outbox. Never raises, whatever it holds.

    A table may hold other items too. One without the marker is a message only if it has all that a mark
    leaves, and an id: whoever deletes or sends again has to be surer of that than whoever only looks.

    >>> item = {"PK": {"S": "AGGREGATE#7"}, "SK": {"S": "MESSAGE#m"}, "NotDispatched": {"S": "parked"}}
    >>> seen = decode_seen(item, TableDesign.ordered)
    >>> seen.state if seen else None
    'parked'
    """
    state = _state_of(item, design)
    if state is None:
        return None
    key = key_of_item(item, design)
    aggregate_id = _content(item, design.aggregate_id, "S")
    ordered = aggregate_id is not None and design.keyed_by == "aggregate"
    return SeenItem(
        key=key,
        state=state,
        group=AggregateId(aggregate_id) if ordered and aggregate_id else key,
        marker=item.get(design.not_dispatched),
        redrive_count=item.get(design.redrive_count),
        redrives=redrive_count_of(item, design),
        last_dispatched_at=item.get(design.last_dispatched_at),
        created=parse_instant(_content(item, design.created_at, "S") or ""),
        sequence=read_sequence(_content(item, design.sequence, "N")),
        message_id=_content(item, design.message_id, "S"),
        topic=_content(item, design.topic, "S"),
        message_type=_content(item, design.message_type, "S"),
        reason=_content(item, design.park_reason, "S") if state == "parked" else None,
        headers=item.get(design.headers),
        attribute_count=_count_attributes(item, design),
    )


def _count_attributes(item: Item, design: TableDesign) -> int:
    """Count what the relay makes attributes of."""
    always = (design.message_id, design.aggregate_id)
    texts = (design.correlation_id, design.message_type, design.content_type)
    numbers = (design.schema_version, design.sequence)
    headers: Any = item.get(design.headers)
    named = headers.get("M") if isinstance(headers, Mapping) else None
    hops = _content(item, design.hops, "N")
    return (
        len(always)
        + sum(bool(_content(item, name, "S")) for name in texts)
        + sum(_content(item, name, "N") is not None for name in numbers)
        + (hops is not None and hops.isdigit() and int(hops) > 0)
        + (len(named) if isinstance(named, Mapping) else 0)
    )


def _state_of(item: Item, design: TableDesign) -> MessageState | None:
    if design.not_dispatched in item:
        return "parked" if item[design.not_dispatched] == {"S": PARKED} else "outstanding"
    marked = item.get(design.is_dispatched) == {"BOOL": True}
    at, message_id = (_content(item, name, "S") for name in (design.last_dispatched_at, design.message_id))
    return "dispatched" if marked and at and message_id else None


def _content(item: Item, name: str, kind: str) -> str | None:
    value: Any = item.get(name)
    content = value.get(kind) if isinstance(value, Mapping) else None
    return content if isinstance(content, str) else None


def was_dispatched_before(seen: SeenItem, instant: datetime) -> bool:
    """Tell whether an item's last dispatch came before an instant; not where it has no time to be read."""
    dispatched = seen.last_dispatched_at
    content = dispatched.get("S") if isinstance(dispatched, Mapping) else None
    at = parse_instant(content) if isinstance(content, str) else None
    return at is not None and at < instant


def condition_of(seen: SeenItem, design: TableDesign) -> Condition:
    """Write the condition that an item is still there and in the state that was seen.

    It fails where somebody else has sent it again, settled or deleted it, and where it has expired. Without
    one an update would write a new item in the place of one that is gone.
    """
    names = {"#marker": design.not_dispatched, "#redrives": design.redrive_count}
    values: dict[str, AttributeValue] = {}
    parts = []
    if seen.marker is not None:
        parts.append("#marker = :marker")
        values[":marker"] = seen.marker
    else:
        parts.append("attribute_not_exists(#marker) AND #dispatched = :dispatched")
        names["#dispatched"] = design.last_dispatched_at
        values[":dispatched"] = seen.last_dispatched_at or {"NULL": True}
    if seen.redrive_count is None:
        parts.append("attribute_not_exists(#redrives)")
    else:
        parts.append("#redrives = :redrives")
        values[":redrives"] = seen.redrive_count
    return Condition(" AND ".join(parts), names, values)

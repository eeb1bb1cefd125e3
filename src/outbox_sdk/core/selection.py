"""Which messages are meant, as a value: what people look at, send again, or take away."""

from collections.abc import Callable
from datetime import datetime

import msgspec

from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import AttributeValue, Item
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.text import parse_instant

__all__ = ["Selection", "matches"]


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Messages by what their items say; what is empty or ``None`` leaves all in.

    Of several ids, aggregates, topics or types one must be the item's own; of several ``reasons`` one must
    be what its reason for being parked begins with. ``since`` is the first instant that counts, ``until`` the
    first that does not count any more; which time of an item they are about is said where a selection is
    used. ``limit`` is how many items at most.

    >>> item = {"Topic": {"S": "orders"}, "ParkReason": {"S": "size:300000"}}
    >>> matches(Selection(topics=("orders",), reasons=("size",)), item, TableDesign.ordered)
    True
    >>> matches(Selection(topics=("payments",)), item, TableDesign.ordered)
    False
    """

    message_ids: tuple[str, ...] = ()
    aggregate_ids: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    message_types: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        for name in ("since", "until"):
            instant: datetime | None = getattr(self, name)
            if instant is not None and instant.tzinfo is None:
                raise ConfigurationError(name, "needs a time zone")
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ConfigurationError("until", "is not later than since, so that nothing could be meant")
        if self.limit is not None and self.limit < 1:
            raise ConfigurationError("limit", f"{self.limit} is less than 1")
        for name in ("message_ids", "aggregate_ids", "topics", "message_types", "reasons"):
            if "" in getattr(self, name):
                raise ConfigurationError(name, "holds an empty text, which no item has")


def matches(
    selection: Selection, item: Item, design: TableDesign, *, time_attribute: str | None = None
) -> bool:
    """Tell whether an item is meant. Never raises, whatever the item holds.

    ``time_attribute`` is the attribute that ``since`` and ``until`` are about, else the design's
    ``created_at``; an item without an instant there is not within any bounds. ``limit`` is the caller's.
    """
    wanted: tuple[tuple[tuple[str, ...], str, Callable[[str, str], bool]], ...] = (
        (selection.message_ids, design.message_id, str.__eq__),
        (selection.aggregate_ids, design.aggregate_id, str.__eq__),
        (selection.topics, design.topic, str.__eq__),
        (selection.message_types, design.message_type, str.__eq__),
        (selection.reasons, design.park_reason, str.startswith),
    )
    for allowed, attribute, agrees in wanted:
        if allowed:
            text = _text(item.get(attribute))
            if text is None or not any(agrees(text, each) for each in allowed):
                return False
    if selection.since is None and selection.until is None:
        return True
    instant = parse_instant(_text(item.get(time_attribute or design.created_at)) or "")
    if instant is None:
        return False
    late_enough = selection.since is None or instant >= selection.since
    return late_enough and (selection.until is None or instant < selection.until)


def _text(value: AttributeValue | None) -> str | None:
    content = value.get("S") if isinstance(value, dict) else None
    return content if isinstance(content, str) else None

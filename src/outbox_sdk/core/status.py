"""How an outbox stands: what is outstanding and parked, since when, and where it wants to go."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from outbox_sdk.core.backlog import BUCKETS, Sighting
from outbox_sdk.core.identifiers import Item, TableName
from outbox_sdk.core.message_view import MessageState, age_of, decode_view
from outbox_sdk.core.sweep import pick_oldest
from outbox_sdk.core.table import PARKED, TableDesign
from outbox_sdk.core.text import format_instant

__all__ = ["MARKERS", "UNNAMED", "Group", "OutboxStatus", "Seen", "describe_status", "group_of", "see"]

MARKERS: tuple[str, ...] = (*BUCKETS, PARKED)
"""Every marker under which the index may hold an item: those of outstanding ones, and that of the parked."""

UNNAMED = "(none)"
"""Stands for what an item does not say."""


class Group(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is outstanding, or parked: how many items, and since when the oldest is.

    ``oldest_created_at`` is text as the item has it, and ``oldest_age_seconds`` counts from it; both are
    ``None`` where there is none, or none that says when. ``looked_at`` is how many were read for
    ``by_topic``, ``by_type`` and, of parked ones, ``by_reason``: the oldest, up to the limit that was given.
    """

    count: int = 0
    oldest_created_at: str | None = None
    oldest_age_seconds: float | None = None
    looked_at: int = 0
    by_topic: dict[str, int] = {}
    by_type: dict[str, int] = {}
    by_reason: dict[str, int] = {}


class OutboxStatus(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an outbox stood ``at`` an instant. ``read_units`` is what it took to see, if DynamoDB says."""

    table: str
    at: str
    outstanding: Group
    parked: Group
    read_units: float | None = None


class Seen(msgspec.Struct, frozen=True):
    """What the index shows of a group: how many items, and the oldest of them, as many as are kept."""

    count: int = 0
    oldest: tuple[Sighting, ...] = ()


def group_of(marker: str) -> MessageState:
    """Tell what a marker says of its item.

    >>> group_of("07"), group_of("parked")
    ('outstanding', 'parked')
    """
    return "parked" if marker == PARKED else "outstanding"


def see(seen: Seen, page: Sequence[Sighting], *, keep: int) -> Seen:
    """Count another page of the index, and keep the oldest by time, at least one.

    >>> from outbox_sdk.core.identifiers import ItemKey
    >>> see(Seen(count=2), [Sighting(ItemKey((("PK", "S", "a"),)), "2026-11-23T09:00:00Z")], keep=10).count
    3
    """
    return Seen(seen.count + len(page), pick_oldest((*seen.oldest, *page), max(1, keep)))


def describe_status(
    table_name: TableName | str,
    seen: Mapping[MessageState, Seen],
    items: Iterable[Item],
    design: TableDesign,
    *,
    now: datetime,
    read_units: float | None = None,
) -> OutboxStatus:
    """Sum up what the index has shown and what the items say of themselves; ``items`` are read by its keys.

    An item counts for the group that it is in by now: it may have been dispatched, or parked, since the index
    showed it. Then it is among those looked at no more, or of the other group.
    """
    counters: dict[tuple[str, str], Counter[str]] = {}
    looked_at: Counter[str] = Counter()
    for item in items:
        view = decode_view(item, design, now=now)
        if view is None:
            continue
        looked_at[view.state] += 1
        named = {"topic": view.topic, "type": view.message_type}
        if view.state == "parked":
            named["reason"] = _kind_of(view.park_reason)
        for what, name in named.items():
            counters.setdefault((view.state, what), Counter())[name or UNNAMED] += 1

    def group(state: MessageState) -> Group:
        part = seen.get(state, Seen())
        oldest = part.oldest[0].created_at if part.oldest else None
        by = {
            f"by_{what}": dict(counter.most_common())
            for (of, what), counter in counters.items()
            if of == state
        }
        return Group(
            count=part.count,
            oldest_created_at=oldest,
            oldest_age_seconds=age_of(oldest, now),
            looked_at=looked_at[state],
            **by,
        )

    return OutboxStatus(
        table=str(table_name),
        at=format_instant(now),
        outstanding=group("outstanding"),
        parked=group("parked"),
        read_units=read_units,
    )


def _kind_of(reason: str | None) -> str | None:
    """Give a reason without the figure of a single message, as the log does."""
    return "size" if reason is not None and reason.startswith("size:") else reason

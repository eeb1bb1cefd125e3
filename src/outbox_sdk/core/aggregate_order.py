"""In which order items go: those of an aggregate by number or time, aggregates by their oldest."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from outbox_sdk.core.identifiers import ItemKey

__all__ = ["Placed", "age_order", "in_order", "merge_oldest", "read_sequence"]

_NO_TIME = datetime.min.replace(tzinfo=UTC)


class Placed(Protocol):
    """What tells an item's place; ``created`` and ``sequence`` are ``None`` where it has none to be read."""

    @property
    def key(self) -> ItemKey:
        """The item's key, which settles what is equal otherwise."""
        ...

    @property
    def created(self) -> datetime | None:
        """The instant of ``CreatedAt``."""
        ...

    @property
    def sequence(self) -> int | None:
        """The aggregate's own number."""
        ...


_PlacedT = TypeVar("_PlacedT", bound=Placed)


def in_order(aggregate: Sequence[_PlacedT]) -> list[_PlacedT]:
    """Put the items of one aggregate in order: by ``Sequence`` if all have one, else by the time of creation.

    What has no time that can be read comes last.
    """
    if all(item.sequence is not None for item in aggregate):
        return sorted(aggregate, key=lambda item: (item.sequence or 0, *age_order(item)))
    return sorted(aggregate, key=age_order)


def age_order(item: Placed) -> tuple[bool, datetime, tuple[tuple[str, str, str], ...]]:
    """Give what sorts items by age, the oldest first."""
    return (item.created is None, item.created or _NO_TIME, item.key.parts)


def merge_oldest(aggregates: Iterable[Sequence[_PlacedT]]) -> Iterator[_PlacedT]:
    """Give always the oldest of all that are next in their aggregates."""
    heap = [(age_order(items[0]), place, 0, items) for place, items in enumerate(aggregates) if items]
    heapq.heapify(heap)
    while heap:
        _, place, position, items = heap[0]
        yield items[position]
        if position + 1 < len(items):
            heapq.heapreplace(heap, (age_order(items[position + 1]), place, position + 1, items))
        else:
            heapq.heappop(heap)


def read_sequence(text: str | None) -> int | None:
    """Read the text of a ``Sequence``; ``None`` where it is no whole number.

    >>> read_sequence("12"), read_sequence("1.5"), read_sequence(None)
    (12, None, None)
    """
    try:
        return None if text is None else int(text)
    except ValueError:  # `1.5` is a number, and for the decoder to judge
        return None

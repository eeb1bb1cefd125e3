"""What the relay needs of the world: few calls. Each answers with values; raising is for bugs of ours.

An exception of AWS inside a port becomes a result, because one raised among concurrent calls would cancel
others that AWS may have accepted already.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from outbox_sdk.core.backlog import BucketPage, FetchResult, Touch, TouchResult
from outbox_sdk.core.identifiers import Item, ItemKey
from outbox_sdk.core.lookup import LookupResult, Unreadable
from outbox_sdk.core.mark import Mark, MarkResult, Park
from outbox_sdk.core.publish import PublishRequest, PublishResponse

__all__ = ["Backlog", "Marker", "Publisher", "Table"]


class Publisher(Protocol):
    """Sends one request to a topic."""

    async def publish(self, request: PublishRequest) -> PublishResponse:
        """Give a result for each entry, in order, or one failure for all."""
        ...


class Marker(Protocol):
    """Records messages as dispatched, by one of the strategies."""

    @property
    def request_size(self) -> int:
        """How many marks of distinct items one request takes."""
        ...

    @property
    def deletes(self) -> bool:
        """Whether marking removes the item, so that a missing one has been dispatched."""
        ...

    async def mark(self, marks: Sequence[Mark]) -> tuple[MarkResult, ...]:
        """Make one request; give a result for each mark, in order."""
        ...


class Table(Protocol):
    """Reads and parks items of the outbox table."""

    async def lookup(self, keys: Sequence[ItemKey]) -> Mapping[ItemKey, LookupResult]:
        """Make one consistent read of at most 100 items; give a result for each key."""
        ...

    async def park(self, park: Park, *, now: str) -> MarkResult:
        """Set one item aside; ``now`` is the instant as text."""
        ...


class Backlog(Protocol):
    """Finds what is outstanding, whatever the stream still holds, and touches it."""

    async def list_bucket(self, bucket: str, *, cursor: Item | None, limit: int) -> BucketPage | Unreadable:
        """Read one page of at most ``limit`` items of the index, eventually consistent."""
        ...

    async def fetch(self, keys: Sequence[ItemKey], *, whole: bool) -> Mapping[ItemKey, FetchResult]:
        """Make one consistent read of at most 100 items, whole or as little as a plan needs."""
        ...

    async def touch(self, touch: Touch) -> TouchResult:
        """Change one item so that the stream brings it again."""
        ...

"""All buckets of the index read side by side, and given out as one, oldest text first."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

from outbox_sdk.core.backlog import BUCKETS, BucketPage, Sighting
from outbox_sdk.core.classification import ErrorClass, classify_table_error
from outbox_sdk.core.identifiers import Item
from outbox_sdk.core.lookup import Unreadable
from outbox_sdk.core.mark import Unwritten
from outbox_sdk.core.retry import Deadline
from outbox_sdk.shell.context import RelayContext
from outbox_sdk.shell.pace import Pace
from outbox_sdk.shell.ports import Backlog

__all__ = ["Calls", "Listing"]

_PAGE_SIZE = 500
_T = TypeVar("_T")


class Calls:
    """Makes calls for a sweep: no more at a time than allowed, with retries, and within the deadline."""

    def __init__(self, context: RelayContext, deadline: Deadline) -> None:
        self._deadline = deadline
        self._clock = asyncio.get_running_loop().time
        self._pace = Pace(context, deadline)

    async def make(self, call: Callable[[], Awaitable[_T]], *, late: _T, cut: float) -> _T:
        """Make one call, again if that may help; ``late`` where there is no time for it.

        ``cut`` is when a call under way is given up: at the deadline's ``stop`` if it changes nothing.
        """
        attempt = 1
        while True:
            try:
                async with asyncio.timeout_at(None if cut == float("inf") else cut), self._pace.slot():
                    if self._clock() >= self._deadline.stop:
                        return late
                    result = await call()
            except TimeoutError:
                return late
            if not isinstance(result, Unreadable | Unwritten):
                return result
            if classify_table_error(result.code) is not ErrorClass.RETRY:
                return result
            delay = self._pace.retry_delay(result.code, attempt)
            if delay is None:
                return result
            attempt += 1
            await asyncio.sleep(delay)


class _Bucket:
    def __init__(self, name: str) -> None:
        self.name = name
        self.waiting: deque[Sighting] = deque()
        self.cursor: Item | None = None
        self.ended = False


class Listing:
    """What the index shows, in parts: as much of it as is safe to say that nothing older comes later.

    ``unread`` names the buckets that could not be read on, each with a code; what they hold beyond that is
    not given out. ``found`` counts what has been read.
    """

    def __init__(self, backlog: Backlog, calls: Calls, deadline: Deadline) -> None:
        self.unread: dict[str, str] = {}
        self.found: int = 0
        self._backlog = backlog
        self._calls = calls
        self._deadline = deadline
        self._buckets = [_Bucket(name) for name in BUCKETS]

    async def read_next(self) -> tuple[Sighting, ...]:
        """Give the next part, ordered by ``CreatedAt`` as text; an empty one at the end of all buckets."""
        while True:
            async with asyncio.TaskGroup() as group:
                for bucket in self._buckets:
                    if not bucket.ended and len(bucket.waiting) <= _PAGE_SIZE // 2:
                        group.create_task(self._read_page(bucket))
            part = self._take()
            if part or all(bucket.ended for bucket in self._buckets):
                return part

    async def _read_page(self, bucket: _Bucket) -> None:
        def call() -> Awaitable[BucketPage | Unreadable]:
            return self._backlog.list_bucket(bucket.name, cursor=bucket.cursor, limit=_PAGE_SIZE)

        late: BucketPage | Unreadable = Unreadable("Deadline")
        page = await self._calls.make(call, late=late, cut=self._deadline.stop)
        if isinstance(page, Unreadable):
            self.unread[bucket.name] = page.code
            bucket.ended = True
            return
        self.found += len(page.sightings)
        bucket.waiting.extend(page.sightings)
        bucket.cursor = page.cursor
        bucket.ended = page.cursor is None

    def _take(self) -> tuple[Sighting, ...]:
        """Take what no page still to be read can come before."""
        open_buckets = [bucket for bucket in self._buckets if not bucket.ended]
        if any(not bucket.waiting for bucket in open_buckets):
            return ()
        bound = min((bucket.waiting[-1].created_at for bucket in open_buckets), default=None)
        part: list[Sighting] = []
        for bucket in self._buckets:
            while bucket.waiting and (bound is None or bucket.waiting[0].created_at <= bound):
                part.append(bucket.waiting.popleft())
        return tuple(sorted(part, key=lambda sighting: sighting.created_at))

"""The sweeper: what has been outstanding for too long is brought again by a touch, or published at once."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import TypeVar

import msgspec

from outbox_sdk.core.backlog import Fetched, FetchResult, Sighting, Touch, Touched, TouchResult, Untouched
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.core.lookup import Unreadable
from outbox_sdk.core.mark import Unwritten
from outbox_sdk.core.outcome import Held
from outbox_sdk.core.plan import BatchPlan
from outbox_sdk.core.retry import Deadline, plan_deadline
from outbox_sdk.core.sweep import (
    Aggregate,
    Outstanding,
    SweepPlan,
    decode_outstanding,
    find_stopped,
    is_young,
    pick_oldest,
    plan_republish,
    plan_sweep,
)
from outbox_sdk.core.sweep_report import SweepReport
from outbox_sdk.core.text import format_instant, parse_instant
from outbox_sdk.shell.context import PublishedMemo, RelayContext
from outbox_sdk.shell.dispatch import Dispatch
from outbox_sdk.shell.listing import Calls, Listing
from outbox_sdk.shell.lookups import read_all
from outbox_sdk.shell.ports import Backlog
from outbox_sdk.shell.tally import Tally

__all__ = ["sweep"]

_T = TypeVar("_T")

_TEN_YEARS_SECONDS = 315_360_000

_CHUNK = 1_000
"""So many items are read and planned at a time, whatever the limit is."""

_WHOLE_CHUNK = 100
"""So many bodies are in memory at a time, of up to 400 KB each."""

_TOUCH_AGAIN_AFTER_SECONDS = 6 * 3_600
"""A touched item has its way through the stream before it, which an hour's retries may make a long one."""


async def sweep(
    context: RelayContext,
    backlog: Backlog,
    *,
    sweep_after: float,
    limit: int,
    remaining_seconds: float | None = None,
    publish: bool = False,
) -> SweepReport:
    """Take up again what has been outstanding for longer than ``sweep_after`` seconds.

    All buckets of the index are read and what they show is read again in the table. An aggregate's items are
    touched one after the other, its oldest first; with ``publish`` they are published, marked and parked as
    the relay does it, in the order of their aggregates. At most ``limit`` items are taken up, the oldest
    first. What is not settled when ``remaining_seconds`` have passed is reported as such.

    Not promised: that an item is found at the first sweep, for the index is eventually consistent; that a
    touched item comes before younger ones of its aggregate, which may have been published already; that
    an item is published once.

    Raises:
        ConfigurationError: ``sweep_after`` is no time, or it is to publish and marking is switched off, so
            that each sweep would publish the same.
    """
    if not 0 <= sweep_after <= _TEN_YEARS_SECONDS:
        raise ConfigurationError("sweep_after", f"{sweep_after} is not between 0 and {_TEN_YEARS_SECONDS} s")
    if publish and context.marker is None:
        raise ConfigurationError(
            "OUTBOX_SKIP_MARK_MESSAGES_AS_DISPATCHED", "publishing a backlog needs the marks: set it to false"
        )
    run = _Run(context, backlog, sweep_after=sweep_after, limit=limit, remaining_seconds=remaining_seconds)
    await (run.publish() if publish else run.touch())
    return run.report()


class _Run:
    """One sweep under way."""

    def __init__(
        self,
        context: RelayContext,
        backlog: Backlog,
        *,
        sweep_after: float,
        limit: int,
        remaining_seconds: float | None,
    ) -> None:
        self._backlog = backlog
        # What it publishes has no sequence number by which a later redrive of the item would be told apart.
        # A retry for each item is allowed: what bounds a sweep is its limit, and a budget made for one batch
        # would leave a large backlog unread.
        retry = msgspec.structs.replace(context.retry, budget=context.retry.budget + limit)
        self._context = replace(context, memo=PublishedMemo(), done=PublishedMemo(), retry=retry)
        self._limit = limit
        self._now = context.now()
        self._cutoff = _instant(self._now - sweep_after)
        self._deadline: Deadline = plan_deadline(asyncio.get_running_loop().time(), remaining_seconds)
        self._calls = Calls(self._context, self._deadline)
        self._listing = Listing(backlog, self._calls, self._deadline)
        self._tally = Tally()
        self._unread: list[ItemKey] = []

    def report(self) -> SweepReport:
        return self._tally.report(found=self._listing.found, unread=self._listing.unread, now=self._now)

    # Touching

    async def touch(self) -> None:
        """Touch part by part, so that what cannot be touched now never keeps the sweep from what follows."""
        left = self._limit
        stopped: set[Aggregate] = set()
        while left and (part := await self._listing.read_next()):
            old = [item for item in part if not is_young(parse_instant(item.created_at), self._cutoff)]
            self._tally.skip("young", len(part) - len(old))
            for chunk in _chunks(tuple({item.key: item for item in old}.values()), _CHUNK):
                plan = await self._plan_touches(chunk, left, stopped)
                left -= len(plan.items)
                async with asyncio.TaskGroup() as group:
                    for items in plan.aggregates:
                        group.create_task(self._touch_aggregate(items, stopped))
                if not left:
                    break

    async def _plan_touches(self, chunk: Sequence[Sighting], left: int, stopped: set[Aggregate]) -> SweepPlan:
        fetched = await self._fetch([sighting.key for sighting in chunk], whole=False)
        items = list(self._decode(fetched))
        self._unread.extend(key for key, result in fetched.items() if isinstance(result, Unreadable))
        stopped |= find_stopped(items, self._unread, self._context.design)
        return self._plan(items, limit=left, unless_touched_since=self._unless_since())

    async def _touch_aggregate(self, items: Sequence[Outstanding], stopped: set[Aggregate]) -> None:
        """Touch one after the other, so that the stream has them in this order; a failure ends it."""
        for position, item in enumerate(items):
            if item.aggregate in stopped:
                self._tally.skip("behind", len(items) - position)
                return
            match await self._touch(item):
                case Touched():
                    self._tally.touched += 1
                case Untouched():
                    self._tally.skip("settled")
                case Unwritten(code):
                    self._tally.trouble("touch_failed", code, item.key)
                    stopped.add(item.aggregate)

    async def _touch(self, item: Outstanding) -> TouchResult:
        touch = Touch(
            key=item.key,
            marker=item.marker,
            now=format_instant(_instant(self._now)),
            unless_since=self._unless_since(),
        )
        late: TouchResult = Unwritten("Deadline")
        return await self._calls.make(lambda: self._backlog.touch(touch), late=late, cut=self._deadline.cut)

    def _unless_since(self) -> str:
        return format_instant(_instant(self._now - _TOUCH_AGAIN_AFTER_SECONDS))

    # Publishing

    async def publish(self) -> None:
        """Publish in chunks what a complete look at the backlog has put in order."""
        items = await self._plan_publishing()
        blocked: dict[Aggregate, str] = {}
        for chunk in _chunks(items, _WHOLE_CHUNK):
            fetched = await self._fetch([item.key for item in chunk], whole=True)
            plan = plan_republish(
                chunk,
                fetched,
                blocked=blocked,
                design=self._context.design,
                wrapping=self._context.wrapping,
                now=self._now,
                park_older_than=self._context.park_older_than,
            )
            await self._publish_chunk(chunk, plan, blocked)

    async def _plan_publishing(self) -> tuple[Outstanding, ...]:
        pool: list[Sighting] = []
        while part := await self._listing.read_next():
            pool.extend(part)
            if len(pool) > 2 * self._limit + _CHUNK:
                pool = list(pick_oldest(pool, self._limit))
        if self._listing.unread:
            return ()  # what was not seen may come before anything that was
        picked = pick_oldest(pool, self._limit)
        fetched = await self._fetch([sighting.key for sighting in picked], whole=False)
        unreadable = any(isinstance(result, Unreadable) for result in fetched.values())
        plan = self._plan(self._decode(fetched), limit=self._limit, unless_touched_since=None)
        # Nobody knows which aggregate an item is of that was not read even once.
        return () if unreadable else plan.items

    async def _publish_chunk(
        self, chunk: Sequence[Outstanding], plan: BatchPlan, blocked: dict[Aggregate, str]
    ) -> None:
        topics = {record.key: record.entry.topic for lane in plan.lanes for record in lane}
        fifo = {record.key for lane in plan.lanes for record in lane if record.entry.group_id is not None}
        outcomes = await Dispatch(self._context, self._deadline).run(plan)
        for item in chunk:
            outcome = outcomes[item.key]
            self._tally.outcome(item.key, outcome, topics.get(item.key))
            # On a standard topic nothing waits; an item that was held unpublished has no entry to tell.
            if isinstance(outcome, Held) and (item.key in fifo or item.key in plan.decided):
                blocked.setdefault(item.aggregate, outcome.code)

    # Both

    async def _fetch(self, keys: Sequence[ItemKey], *, whole: bool) -> Mapping[ItemKey, FetchResult]:
        if asyncio.get_running_loop().time() >= self._deadline.stop:
            return dict.fromkeys(keys, Unreadable("Deadline"))
        read = partial(self._backlog.fetch, whole=whole)
        return await read_all(self._context, keys, self._deadline, read)

    def _decode(self, fetched: Mapping[ItemKey, FetchResult]) -> Iterable[Outstanding]:
        for key, result in fetched.items():
            if isinstance(result, Unreadable):
                self._tally.trouble("fetch_failed", result.code, key)
                continue
            design = self._context.design
            item = decode_outstanding(result.item, key, design) if isinstance(result, Fetched) else None
            if item is None:
                self._tally.skip("settled")
                continue
            self._tally.see(item.created)
            yield item

    def _plan(
        self, items: Iterable[Outstanding], *, limit: int, unless_touched_since: str | None
    ) -> SweepPlan:
        plan = plan_sweep(items, cutoff=self._cutoff, limit=limit, unless_touched_since=unless_touched_since)
        for reason, count in plan.skipped.items():
            self._tally.skip(reason, count)
        return plan


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _chunks(items: Sequence[_T], size: int) -> Iterable[Sequence[_T]]:
    rest = iter(items)
    while chunk := tuple(islice(rest, size)):
        yield chunk

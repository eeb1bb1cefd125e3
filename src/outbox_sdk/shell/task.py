"""Carrying out a redrive, a replay or a purge: writes in order, at a pace, until told to stop."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from outbox_sdk.core.classification import ErrorClass, classify_table_error
from outbox_sdk.core.errors import ConfigurationError, TableCallError
from outbox_sdk.core.seen_item import SeenItem
from outbox_sdk.core.task_report import MAX_TROUBLES, Task, TaskReport, TaskTrouble, count_by
from outbox_sdk.core.text import format_instant
from outbox_sdk.shell.admin import AdminContext
from outbox_sdk.shell.table_reading import side_by_side

__all__ = ["Conduct", "Shown", "TaskRun"]

_GROUPS_AT_A_TIME = 64
_CHANGED = "ConditionalCheckFailedException"


@dataclass(slots=True)
class Shown:
    """What a dry run has read under the index's markers, so that the run after it writes that and no more.

    ``items`` is ``None`` until there was a dry run. Of dispatched messages nothing is kept, for they may be
    a whole table: ``began_at`` of a :class:`Conduct` bounds them.
    """

    items: tuple[SeenItem, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """How a task is carried out.

    ``dry_run`` reads, counts, and writes nothing. ``rate`` is how many writes a second there are at most.
    ``stop``, once set, lets the writes under way end and begins no other. ``on_progress`` is told after each
    write, and after each page that is read, what has been done so far; what it raises ends the task.

    ``began_at`` is when the task began, if not now: what was dispatched from then on is left out. ``shown``
    is filled by a dry run, and makes the run that is given it afterwards write what that has read, as far as
    it still is so. With both, what a person has agreed to is what is done.
    """

    dry_run: bool = False
    rate: float | None = None
    stop: asyncio.Event | None = None
    on_progress: Callable[[TaskReport], None] | None = None
    began_at: datetime | None = None
    shown: Shown | None = None

    def __post_init__(self) -> None:
        if self.rate is not None and not 0.001 <= self.rate <= 1_000_000:
            raise ConfigurationError("rate", f"{self.rate} is not between 0.001 and 1000000 a second")


class TaskRun:
    """One task under way: what it has counted, and its pace."""

    def __init__(
        self,
        task: Task,
        context: AdminContext,
        conduct: Conduct,
        *,
        began_at: datetime,
        wanted: Iterable[str] = (),
    ) -> None:
        self.context = context
        self.conduct = conduct
        self.refused: dict[str, int] = {}
        self.not_found: tuple[str, ...] = ()
        self.meant: int = 0
        # Not what was found: that may be a whole table.
        self._wanted = dict.fromkeys(wanted)
        self._task: Task = task
        self._began_at = began_at
        self._clock = asyncio.get_running_loop().time
        self._began = self._next_write = self._clock()
        self._done = self._changed = self._behind = 0
        self._failed: dict[str, int] = {}
        self._troubles: list[TaskTrouble] = []
        self._by_topic: dict[str, int] = {}
        self._by_type: dict[str, int] = {}
        self._by_reason: dict[str, int] = {}
        self._interrupted = False

    @property
    def stopped(self) -> bool:
        """Whether nothing new is to be begun; asking makes the report say so."""
        if self.conduct.stop is not None and self.conduct.stop.is_set():
            self._interrupted = True
        return self._interrupted

    def meet(self, seen: SeenItem) -> None:
        """Take note that a message is there, for one that was asked for by its id."""
        if seen.message_id is not None:
            self._wanted.pop(seen.message_id, None)

    def end_reading(self) -> None:
        """Take note that all was read: what was asked for by its id and not met is not there."""
        self.not_found = tuple(self._wanted)

    def mean(self, seen: SeenItem) -> None:
        """Count a message that is meant and can be taken up."""
        self.meant += 1
        count_by(self._by_topic, seen.topic)
        count_by(self._by_type, seen.message_type)
        if seen.state == "parked":
            count_by(self._by_reason, seen.reason)

    def refuse(self, seen: SeenItem, reason: str) -> None:
        """Count a message that is meant and can never be taken up."""
        count_by(self.refused, reason)
        self._name(seen, reason)

    def tell(self) -> None:
        """Tell the caller how far it has come."""
        if self.conduct.on_progress is not None:
            self.conduct.on_progress(self.report())

    def report(self) -> TaskReport:
        """Give what has been counted so far."""
        return TaskReport(
            task=self._task,
            table=str(self.context.table_name),
            began_at=format_instant(self._began_at),
            dry_run=self.conduct.dry_run,
            meant=self.meant,
            done=self._done,
            changed=self._changed,
            behind=self._behind,
            refused=dict(self.refused),
            failed=dict(self._failed),
            not_found=self.not_found,
            troubles=tuple(self._troubles),
            by_topic=dict(self._by_topic),
            by_type=dict(self._by_type),
            by_reason=dict(self._by_reason),
            interrupted=self._interrupted,
            duration_seconds=round(self._clock() - self._began, 3),
        )

    async def write(
        self,
        groups: AsyncGenerator[Sequence[SeenItem], None],
        request: Callable[[SeenItem], tuple[str, Mapping[str, Any]]],
    ) -> None:
        """Write all groups, many side by side and each one after the other within; no more once stopped.

        ``request`` gives the operation for an item, with its arguments. A group ends at a write that failed,
        for what is behind must not overtake.

        Raises:
            TableCallError: with these credentials, or on this table, no write can succeed.
        """
        slots = asyncio.Semaphore(_GROUPS_AT_A_TIME)

        async def write_group(group: Sequence[SeenItem]) -> None:
            try:
                await self._write_group(group, request)
            finally:
                slots.release()

        async def write_all() -> None:
            # Closed at once, and not when somebody collects it: what it reads with ends then, too.
            async with asyncio.TaskGroup() as tasks, aclosing(groups):
                async for group in groups:
                    await slots.acquire()
                    if self.stopped:
                        return
                    tasks.create_task(write_group(group))

        await side_by_side([write_all()])

    async def _write_group(
        self, group: Sequence[SeenItem], request: Callable[[SeenItem], tuple[str, Mapping[str, Any]]]
    ) -> None:
        for position, seen in enumerate(group):
            await self._wait_for_turn()
            if self.stopped:
                return
            try:
                await self.context.calls.call(*request(seen))
            except TableCallError as error:
                if error.code == _CHANGED:
                    self._changed += 1
                elif classify_table_error(error.code) is ErrorClass.CONFIGURATION:
                    raise
                else:
                    count_by(self._failed, error.code)
                    self._name(seen, error.code)
                    self._behind += len(group) - position - 1
                    return
            else:
                self._done += 1
            self.tell()

    async def _wait_for_turn(self) -> None:
        if self.conduct.rate is None:
            return
        now = self._clock()
        turn = max(now, self._next_write)
        self._next_write = turn + 1 / self.conduct.rate
        while turn > (now := self._clock()) and not self.stopped:
            await self.context.sleep(min(turn - now, 1.0))

    def _name(self, seen: SeenItem, reason: str) -> None:
        if len(self._troubles) < MAX_TROUBLES:
            self._troubles.append(TaskTrouble(seen.key.describe(), reason))

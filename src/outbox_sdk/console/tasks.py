"""Redrives and replays under way: each runs beside the pages, and is looked at until it ends."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import msgspec

from outbox_sdk.core.errors import ConfigurationError, OutboxError
from outbox_sdk.core.selection import Selection
from outbox_sdk.core.task_report import TaskReport
from outbox_sdk.core.text import parse_instant
from outbox_sdk.shell.admin import Admin
from outbox_sdk.shell.task import Conduct, Shown

__all__ = ["ConsoleTask", "Kind", "Tasks"]

Kind = Literal["redrive", "replay"]

_KEPT = 50
_AT_A_TIME = 4
_SHOWN_MOST = 2_000
"""Of so many parked messages a dry run keeps which they are; of more, how many: it may never be confirmed."""


@dataclass(slots=True, eq=False)
class ConsoleTask:
    """One redrive or replay: of what, how far it has come, and what follows from it.

    ``dry_run`` reads only and is to be confirmed; ``followed_by`` is the number of the one that was started
    by that, or that has taken this one up again. ``resume`` is when the replay began that is taken up.
    ``trouble`` says why it ended before its time. ``shown`` is what a dry run of a redrive has read.
    """

    number: int
    kind: Kind
    selection: Selection
    dry_run: bool
    resume: datetime | None = None
    report: TaskReport | None = None
    trouble: str | None = None
    ended: bool = False
    followed_by: int | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    shown: Shown = field(default_factory=Shown, repr=False)

    @property
    def to_confirm(self) -> int:
        """How many messages may be confirmed; 0 where there is nothing to confirm, or no more."""
        if not self.dry_run or not self.ended or self.trouble or self.stop.is_set() or self.report is None:
            return 0
        return 0 if self.followed_by is not None else self.report.meant

    @property
    def to_take_up(self) -> bool:
        """Whether something may be left that the same again would do."""
        if self.dry_run or not self.ended or self.followed_by is not None or self.limit_left == 0:
            return False
        return bool(self.trouble) or (self.report is not None and not self.report.succeeded)

    @property
    def limit_left(self) -> int | None:
        """How many of the messages that were confirmed it has not written yet; ``None`` without a limit."""
        limit, report = self.selection.limit, self.report
        if limit is None or report is None:
            return limit
        return max(0, limit - report.done - report.changed)


class Tasks:
    """The tasks of one console: the last fifty are remembered, and four may run at a time."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._tasks: dict[int, ConsoleTask] = {}
        self._running: dict[int, asyncio.Task[None]] = {}
        self._count = 0

    @property
    def recent(self) -> Sequence[ConsoleTask]:
        """The last tasks, the latest first."""
        return tuple(reversed(self._tasks.values()))

    def find(self, number: int) -> ConsoleTask | None:
        """Find a task; ``None`` where there is none, or none any more."""
        return self._tasks.get(number)

    def start(
        self,
        kind: Kind,
        selection: Selection,
        *,
        dry_run: bool = True,
        resume: datetime | None = None,
        shown: Shown | None = None,
    ) -> ConsoleTask:
        """Begin a task.

        Raises:
            ConfigurationError: enough are running already.
        """
        if len(self._running) >= _AT_A_TIME:
            raise ConfigurationError(kind, f"{_AT_A_TIME} tasks are running: let one end, or stop it, first")
        self._count += 1
        task = ConsoleTask(self._count, kind, selection, dry_run, resume)
        task.shown = shown or task.shown
        self._tasks[task.number] = task
        for number in [each.number for each in self._tasks.values() if each.ended][: -_KEPT or None]:
            del self._tasks[number]
        self._running[task.number] = asyncio.create_task(self._run(task))
        return task

    def confirm(self, task: ConsoleTask) -> ConsoleTask:
        """Do what a dry run has shown, and to no more messages than it has counted. Twice is once.

        Of parked messages they are those that it has read, if there were not too many to keep them.

        Raises:
            ConfigurationError: it is no dry run that has ended and found something; or enough are running.
        """
        if task.followed_by is not None:
            return self._tasks[task.followed_by]
        if not task.to_confirm:
            raise ConfigurationError(task.kind, "nothing is there to be confirmed; begin anew")
        selection = msgspec.structs.replace(task.selection, limit=task.to_confirm)
        began_at = None if task.report is None else parse_instant(task.report.began_at)
        if task.kind == "replay" and began_at is not None:
            # What is dispatched from there on has not been counted.
            until = began_at if selection.until is None else min(began_at, selection.until)
            selection = msgspec.structs.replace(selection, until=until)
        return self._follow(task, selection)

    def take_up(self, task: ConsoleTask) -> ConsoleTask:
        """Do the rest of a task that ended before its time. Twice is once.

        Raises:
            ConfigurationError: nothing of it is left; or enough are running.
        """
        if task.followed_by is not None:
            return self._tasks[task.followed_by]
        if not task.to_take_up:
            raise ConfigurationError(task.kind, "nothing of it is left to be taken up")
        selection, report = task.selection, task.report
        selection = msgspec.structs.replace(selection, limit=task.limit_left)
        resume = task.resume
        if task.kind == "replay" and resume is None and report is not None:
            resume = parse_instant(report.began_at)
        return self._follow(task, selection, resume)

    def _follow(self, task: ConsoleTask, selection: Selection, resume: datetime | None = None) -> ConsoleTask:
        following = self.start(task.kind, selection, dry_run=False, resume=resume, shown=task.shown)
        task.followed_by, task.shown = following.number, Shown()
        return following

    async def wait(self, task: ConsoleTask, seconds: float) -> None:
        """Wait for a task's end, for no longer than some seconds."""
        running = self._running.get(task.number)
        if running is not None:
            await asyncio.wait({running}, timeout=seconds)

    async def close(self) -> None:
        """Stop all tasks, let what they write end, and wait for that."""
        for number in self._running:
            self._tasks[number].stop.set()
        await asyncio.gather(*self._running.values())

    async def _run(self, task: ConsoleTask) -> None:
        def on_progress(report: TaskReport) -> None:
            task.report = report

        try:
            task.report = await self._carry_out(task, on_progress)
        except OutboxError as error:
            task.trouble = str(error)
        except Exception as error:
            task.trouble = f"It ended by an error of this program: {type(error).__name__}."
        finally:
            task.ended = True
            if not task.dry_run or len(task.shown.items or ()) > _SHOWN_MOST:
                task.shown = Shown()
            self._running.pop(task.number, None)

    async def _carry_out(self, task: ConsoleTask, on_progress: Callable[[TaskReport], None]) -> TaskReport:
        conduct = Conduct(dry_run=task.dry_run, stop=task.stop, on_progress=on_progress, shown=task.shown)
        if task.kind == "redrive":
            return await self._admin.redrive(task.selection, conduct)
        return await self._admin.replay(task.selection, conduct, resume=task.resume)

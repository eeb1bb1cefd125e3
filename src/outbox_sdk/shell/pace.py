"""How fast and how often one invocation may ask AWS, and what it has asked so far."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Literal

from outbox_sdk.core.classification import SIZE_CODES, is_throttle
from outbox_sdk.core.effort import Effort
from outbox_sdk.core.retry import Deadline, is_free, retry_delay
from outbox_sdk.shell.context import RelayContext

__all__ = ["Pace"]

_Requests = Literal["publish_requests", "mark_requests", "lookup_requests", "park_writes"]


class Pace:
    """The slots and the retries that all calls of one invocation share.

    Made for one invocation and one event loop. ``effort`` is what has been counted so far.
    """

    def __init__(self, context: RelayContext, deadline: Deadline) -> None:
        self._context = context
        self._deadline = deadline
        self._clock = asyncio.get_running_loop().time
        self._slots = asyncio.Semaphore(context.max_concurrency)
        self._width = context.max_concurrency
        self._withdrawn = 0
        self._retries_left = context.retry.budget
        self.effort: Effort = Effort()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one of the slots for a call; wait until one is free."""
        await self._slots.acquire()
        try:
            yield
        finally:
            if self._withdrawn:
                self._withdrawn -= 1
            else:
                self._slots.release()

    def note(self, requests: _Requests, codes: Iterable[str]) -> None:
        """Count a call, made in a slot, that was answered with these codes of failure.

        An answer that asks for less keeps its slot, so that fewer calls are made at a time until the
        invocation ends. The last slot is always given back.
        """
        codes = set(codes)
        throttled = any(map(is_throttle, codes))
        self.effort = self.effort.plus(
            **{requests: 1}, throttled=throttled, size_miscounts=not codes.isdisjoint(SIZE_CODES)
        )
        if throttled and self._width > 1:
            self._width -= 1
            self._withdrawn += 1

    def retry_delay(self, code: str, attempt: int) -> float | None:
        """Give the pause before another attempt; ``None`` where none is left, or no time for it.

        A pause given is a retry spent.
        """
        context = self._context
        delay = retry_delay(context.retry, attempt=attempt, code=code, jitter=context.jitter())
        if delay is None or self._clock() + delay >= self._deadline.stop:
            return None
        if not is_free(attempt=attempt, code=code):
            if self._retries_left <= 0:
                return None
            self._retries_left -= 1
        self.effort = self.effort.plus(retries=1)
        return delay

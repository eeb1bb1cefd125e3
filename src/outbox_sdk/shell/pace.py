"""How fast and how often one invocation may ask AWS, and what it has asked so far."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Literal

from outbox_sdk.core.classification import SIZE_CODES, is_throttle
from outbox_sdk.core.effort import Effort
from outbox_sdk.core.retry import Deadline, is_free, retry_delay
from outbox_sdk.shell.context import RelayContext

__all__ = ["Pace"]

_Requests = Literal["publish_requests", "mark_requests", "lookup_requests", "park_writes"]


class Pace:
    """The slots and the retries that all calls of one invocation share.

    Made for one invocation and one event loop. ``async with pace.slot():`` holds one of the slots for a call,
    and waits until one is free.
    """

    def __init__(self, context: RelayContext, deadline: Deadline) -> None:
        self._context = context
        self._deadline = deadline
        self._clock = asyncio.get_running_loop().time
        self._slots = _Slots(context.max_concurrency)
        self._width = context.max_concurrency
        self._retries_left = context.retry.budget
        self._counts: Counter[str] = Counter()

    @property
    def effort(self) -> Effort:
        """What has been counted so far."""
        return Effort(**self._counts)

    def slot(self) -> "_Slots":
        """Give what is held for the length of a call."""
        return self._slots

    def note(self, requests: _Requests, codes: Iterable[str]) -> None:
        """Count a call, made in a slot, that was answered with these codes of failure.

        An answer that asks for less keeps its slot, so that fewer calls are made at a time until the
        invocation ends. The last slot is always given back.
        """
        self._counts[requests] += 1
        codes = set(codes)
        if not codes.isdisjoint(SIZE_CODES):
            self._counts["size_miscounts"] += 1
        if any(map(is_throttle, codes)):
            self._counts["throttled"] += 1
            if self._width > 1:
                self._width -= 1
                self._slots.withdraw()

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
        self._counts["retries"] += 1
        return delay


class _Slots:
    """A semaphore, held by ``async with``, whose width can be narrowed while slots are held."""

    def __init__(self, width: int) -> None:
        self._free = asyncio.Semaphore(width)
        self._withdrawn = 0

    def withdraw(self) -> None:
        """Let the next slot that is given back be free no more."""
        self._withdrawn += 1

    async def __aenter__(self) -> None:
        await self._free.acquire()

    async def __aexit__(self, *_: object) -> None:
        if self._withdrawn:
            self._withdrawn -= 1
        else:
            self._free.release()

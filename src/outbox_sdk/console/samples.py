"""The backlog over time: looked at again and again while the console runs, and kept for some hours."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from outbox_sdk.core.errors import OutboxError
from outbox_sdk.core.status import OutboxStatus
from outbox_sdk.shell.admin import Admin

__all__ = ["Sample", "Sampler"]

_TOPICS_FROM = 200


@dataclass(frozen=True, slots=True)
class Sample:
    """How the outbox stood ``at`` an instant; all ``None`` where it could not be seen."""

    at: datetime
    outstanding: int | None = None
    parked: int | None = None
    lag_seconds: float | None = None


class Sampler:
    """Looks at an outbox every so many seconds, and keeps the last ``keep`` samples.

    ``latest`` is the last status that was seen, and ``trouble`` says why the last look has failed, if it has.
    """

    def __init__(self, admin: Admin, *, every: float = 15.0, keep: int = 2_880) -> None:
        self.every = every
        self.latest: OutboxStatus | None = None
        self.trouble: str | None = None
        self._admin = admin
        self._samples: deque[Sample] = deque(maxlen=keep)
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")

    @property
    def samples(self) -> Sequence[Sample]:
        """What has been seen, the oldest first."""
        return tuple(self._samples)

    async def look(self, *, not_after: float = 0.0) -> None:
        """Take a sample, unless the last is younger than ``not_after`` seconds. Never raises."""
        async with self._looking:
            clock = asyncio.get_running_loop().time
            if clock() - self._looked_at <= not_after:
                return
            try:
                # Of the oldest some: each look is paid for.
                status = await self._admin.status(sample=_TOPICS_FROM)
            except Exception as error:
                # Of another error the kind alone: its text may quote an item.
                self.trouble = str(error) if isinstance(error, OutboxError) else type(error).__name__
                self._samples.append(Sample(self._admin.context.now()))
            else:
                self.latest, self.trouble = status, None
                self._samples.append(
                    Sample(
                        self._admin.context.now(),
                        status.outstanding.count,
                        status.parked.count,
                        _lag_of(status),
                    )
                )
            self._looked_at = clock()

    async def run(self) -> None:
        """Take samples until cancelled."""
        while True:
            await self.look(not_after=self.every / 2)
            await asyncio.sleep(self.every)


def _lag_of(status: OutboxStatus) -> float | None:
    # With nothing outstanding there is no lag; with items that do not say since when, it is not known.
    return status.outstanding.oldest_age_seconds if status.outstanding.count else 0.0

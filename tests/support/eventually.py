"""Waits for what another process brings about, which tells nobody when it has."""

import asyncio
from collections.abc import Callable

__all__ = ["eventually"]


async def eventually(condition: Callable[[], bool], *, within_seconds: float = 30.0) -> None:
    """Wait until a condition holds. Raises TimeoutError when it does not come to hold in time."""
    async with asyncio.timeout(within_seconds):
        while not condition():  # noqa: ASYNC110 - an event would have to be set by the other process
            await asyncio.sleep(0.02)

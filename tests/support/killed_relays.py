"""Relays as processes, ``outbox relay``, which are killed when the test says so, and started anew."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from time import monotonic

from outbox_sdk.embedded_stack import EmbeddedStack

__all__ = ["kill_relays", "open_relay_process"]

_START_SECONDS = 60


async def kill_relays(
    stack: EmbeddedStack, table_name: str, moments: Sequence[float], on_started: Callable[[], object]
) -> list[int]:
    """Start a relay for each moment, tell of it, and kill it in that moment; give the exit codes.

    A moment is a share of the time that this relay took to start, so that it is about as far on a machine
    that is slow or busy.
    """
    codes = []
    for share in moments:
        began = monotonic()
        async with open_relay_process(stack, table_name) as process:
            started = monotonic()
            on_started()
            await asyncio.sleep(share * (started - began))
        codes.append(await process.wait())
    return codes


@asynccontextmanager
async def open_relay_process(
    stack: EmbeddedStack, table_name: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a relay that has begun to follow its stream; at the end of the block it is killed, not asked."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "outbox_sdk.cli", "relay", "--table", table_name, "--json"),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **stack.variables()},
    )
    assert process.stdout is not None
    reading = None
    try:
        async with asyncio.timeout(_START_SECONDS):
            line = await process.stdout.readline()
        assert b"relay_started" in line, line
        reading = asyncio.create_task(_read_all(process.stdout))  # or the relay would wait for a reader
        yield process
    finally:
        process.kill()
        await process.wait()
        if reading is not None:
            await reading


async def _read_all(lines: asyncio.StreamReader) -> None:
    while await lines.read(65_536):
        pass

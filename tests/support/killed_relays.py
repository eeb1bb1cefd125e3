"""Relays as processes, ``outbox relay``, which are killed amid their work, and started anew."""

import asyncio
import multiprocessing
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from outbox_sdk.embedded_stack import EmbeddedStack
from tests.support.relay_main import Death, relay_until_death

__all__ = ["draw_death", "kill_relays", "open_relay_process"]

_SECONDS = 60

# A process loads the command once, and each relay is a fork of it: to load it takes longer than most relays
# here live. Nothing of the test's own process is in them.
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.support.relay_main"])


def draw_death(chance: random.Random) -> Death:
    """Draw a death behind the first request, which describes the table."""
    return Death(chance.randint(2, 5), chance.choice(("before", "amid", "after")), chance.uniform(0.0, 15.0))


async def kill_relays(stack: EmbeddedStack, table_name: str, deaths: Iterable[Death]) -> list[int | None]:
    """Run a relay to each death, one after the other; give the exit codes of the processes."""
    codes = []
    for death in deaths:
        async with open_relay_process(stack, table_name, death) as process:
            await asyncio.to_thread(process.join, _SECONDS)
            codes.append(process.exitcode)
    return codes


@asynccontextmanager
async def open_relay_process(
    stack: EmbeddedStack, table_name: str, death: Death | None = None
) -> AsyncIterator[BaseProcess]:
    """Run a relay that has begun to follow its stream; at the end of the block it is killed, not asked."""
    lines, output = _forks.Pipe(duplex=False)
    process = _forks.Process(
        target=relay_until_death, args=(table_name, stack.variables(), death, output), daemon=True
    )
    process.start()
    output.close()
    started = asyncio.Event()
    tell = partial(asyncio.get_running_loop().call_soon_threadsafe, started.set)
    # A thread reads to the end, or the relay would wait for somebody to read.
    reading = asyncio.create_task(asyncio.to_thread(_read_all, lines, tell))
    try:
        async with asyncio.timeout(_SECONDS):
            await started.wait()
        yield process
    finally:
        process.kill()
        await asyncio.to_thread(process.join)
        await reading


def _read_all(lines: Connection, on_started: Callable[[], object]) -> None:
    """Read what a relay says until it has ended; tell of the line by which it begins."""
    with lines, open(lines.fileno(), "rb", closefd=False) as stream:
        for line in stream:
            if b"relay_started" in line:
                on_started()

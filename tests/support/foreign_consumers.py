"""Consumers built on other people's libraries, each a process with an environment of its own."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.installer import install_wheels
from tests.support.lambda_parts import cached_by_lock, lock_of

__all__ = ["Consumer", "open_consumer", "open_libraries"]

_CONSUMERS = Path(__file__).parents[1] / "consumers"
_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Consumer:
    """A consumer that is ready. It is killed at the end, if it has not ended by then."""

    process: asyncio.subprocess.Process

    async def consumed(self) -> dict[str, Any]:
        """Wait for what it makes of the next message."""
        document = json.loads(await _read_line(self.process, "consumed"))
        assert isinstance(document, dict)
        return document

    async def give(self, line: str) -> None:
        """Write a line to it."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        await self.process.stdin.drain()


@contextmanager
def open_libraries() -> Iterator[Path]:
    """Install, or find, the libraries for the interpreter that runs the tests. Raises ServerUnavailable."""

    def install(directory: Path) -> None:
        install_wheels(directory, "--no-deps", "--require-hashes", "-r", str(lock_of("consumers")))

    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    yield cached_by_lock("consumers", install, suffix=f"-python-{version}")


@asynccontextmanager
async def open_consumer(
    libraries: Path, arguments: Sequence[str], *, environment: dict[str, str]
) -> AsyncIterator[Consumer]:
    """Start a consumer in its folder and wait until it says that it is ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=_CONSUMERS,
        # In front of the packages of the tests' own environment; nothing of ours is on the path.
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(libraries), **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        await _read_line(process, "ready")
        yield Consumer(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _read_line(process: asyncio.subprocess.Process, start: str) -> str:
    """Give the rest of the next line that begins so; libraries print lines of their own."""
    assert process.stdout is not None
    async with asyncio.timeout(_START_SECONDS):
        while line := (await process.stdout.readline()).decode():
            if line.startswith(start):
                return line.removeprefix(start)
    raise AssertionError(f"the consumer ended with {await process.wait()} before it said {start!r}")

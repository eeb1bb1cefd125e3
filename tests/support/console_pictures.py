"""Takes the pictures of the console: ``python -m tests.support.console_pictures docs/how-to/console``."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from outbox_sdk import Outbox
from outbox_sdk.console import serve_console
from outbox_sdk.testing import InMemoryStack
from tests.support.browser import open_browser

__all__ = ["take_pictures"]

_OUTBOX = Outbox("outbox")
_TOPICS = ("order--created", "order--shipped", "invoice--issued")
_ROUNDS = (40, 90, 140, 160, 120, 150, 210, 180, 90, 60, 45, 38)


def _write(stack: InMemoryStack, numbers: range) -> None:
    for number in numbers:
        entry: Any = _OUTBOX.put(
            '{"total": "12.50"}',
            aggregate_id=f"order-{number // 3}",
            topic=_TOPICS[number % 3],
            message_id=f"b7e2c0de-{number:04}",
        )
        entry["Put"]["Item"]["MessageType"] = {"S": _TOPICS[number % 3].replace("--", ".")}
        if number % 97 == 5:  # no topic is called so
            entry["Put"]["Item"]["Topic"] = {"S": "order created"}
        stack.write(entry)


async def take_pictures(directory: Path) -> None:
    """Serve an outbox in memory for some seconds, in which its backlog comes and goes, and look at it."""
    stack, ready, stop = InMemoryStack(topics=_TOPICS), asyncio.Event(), asyncio.Event()
    where: list[str] = []

    def on_ready(address: str) -> None:
        where.append(address)
        ready.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(
            serve_console(stack.admin(), port=0, sample_every=0.5, stop=stop, on_ready=on_ready)
        )
        await ready.wait()
        begin = 0
        for place, count in enumerate(_ROUNDS):
            _write(stack, range(begin, begin + count))
            begin += count
            await asyncio.sleep(1)
            if place not in (2, 3, 4, 5, len(_ROUNDS) - 1):  # there the relay was down, say
                await stack.relay()
        await asyncio.to_thread(_look, where[0], directory)
        stop.set()


def _look(address: str, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    with open_browser(width=1200, height=1150) as browser:
        browser.get(address)
        browser.save_screenshot(str(directory / "overview.png"))
    with open_browser(width=500, height=900) as browser:
        # As a phone has it: a window is never narrower than 500.
        size = {"width": 390, "height": 980, "deviceScaleFactor": 2, "mobile": True}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(f"{address}message?id=b7e2c0de-0005&aggregate=order-1")
        browser.save_screenshot(str(directory / "message.png"))


if __name__ == "__main__":
    asyncio.run(take_pictures(Path(sys.argv[1])))

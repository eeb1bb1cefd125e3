"""Run both services on an embedded stack and play a story with them; `--serve` then leaves them to you."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from functools import partial

from examples.customers_and_orders.running import Running, open_services, run_relays
from examples.customers_and_orders.story import play_story
from outbox_sdk.embedded_stack import EmbeddedStack, open_embedded_stack

__all__ = ["main"]

# A pipe that is read line by line gets each line when it is written.
_show = partial(print, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.customers_and_orders", description=__doc__)
    parser.add_argument("--serve", action="store_true", help="serve until Ctrl-C, and show what to try")
    options = parser.parse_args(arguments)
    try:
        with open_embedded_stack() as stack:
            asyncio.run(_run(stack, serve=options.serve))
    except KeyboardInterrupt:
        return 130
    return 0


async def _run(stack: EmbeddedStack, *, serve: bool) -> None:
    async with open_services(stack) as running, run_relays(stack):
        if serve:
            await _serve(running)
        else:
            await play_story(running, _show)


async def _serve(running: Running) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    anna, order = f"{running.customers_url}/customers/anna", f"{running.orders_url}/orders/order-1"
    _show(f"""curl -X PUT {anna} -d '{{"credit_limit": 10000}}'""")
    _show(f"""curl -X PUT {order} -d '{{"customer_id": "anna", "total": 6000}}'""")
    _show(f"curl {order}")
    _show(f"curl {anna}")
    _show("Serving until Ctrl-C.")
    await stop.wait()


if __name__ == "__main__":
    sys.exit(main())

"""A short story over HTTP: three orders, of which one is approved, and two requests sent again."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import ClientSession  # it is there with aiobotocore

from examples.customers_and_orders.running import Running

__all__ = ["play_story"]

_DECIDED_WITHIN_SECONDS = 30


async def play_story(running: Running, show: Callable[[str], None]) -> None:
    """Play it, and show each request with its answer. Raises TimeoutError when an order stays undecided."""
    async with ClientSession(trust_env=False) as session:
        customers = _Service(session, running.customers_url, show)
        orders = _Service(session, running.orders_url, show)

        show("# Anna may owe 100.00, in cents.")
        await customers.put("/customers/anna", credit_limit=100_00)

        show("# Her first order is within her credit.")
        await orders.put("/orders/order-1", customer_id="anna", total=60_00)
        await orders.wait_until_decided("/orders/order-1")
        await customers.get("/customers/anna")

        show("# The second is over what is left of it.")
        await orders.put("/orders/order-2", customer_id="anna", total=70_00)
        await orders.wait_until_decided("/orders/order-2")

        show("# Nobody knows the customer of the third.")
        await orders.put("/orders/order-3", customer_id="zoe", total=10_00)
        await orders.wait_until_decided("/orders/order-3")

        show("# The first once more, as after an answer that got lost; and then with another total.")
        await orders.put("/orders/order-1", customer_id="anna", total=60_00)
        await orders.put("/orders/order-1", customer_id="anna", total=61_00)

        show("# One of three was approved, and its total is what is missing.")
        await customers.get("/customers/anna")


class _Service:
    """One service, as its client sees it."""

    def __init__(self, session: ClientSession, url: str, show: Callable[[str], None]) -> None:
        self._session = session
        self._url = url
        self._show = show

    async def put(self, path: str, **body: object) -> None:
        """Send a request with a body, and show its answer."""
        sent = msgspec.json.encode(body).decode()
        async with self._session.put(self._url + path, data=sent) as response:
            self._show(f"PUT {path} {sent}\n    {response.status} {await response.text()}")

    async def get(self, path: str) -> None:
        """Ask, and show the answer."""
        status, text = await self._ask(path)
        self._show(f"GET {path}\n    {status} {text}")

    async def wait_until_decided(self, path: str) -> None:
        """Ask until an order is not pending any more, and show the last answer."""
        async with asyncio.timeout(_DECIDED_WITHIN_SECONDS):
            while _status_of((await self._ask(path))[1]) == "pending":  # noqa: ASYNC110 - nobody calls back
                await asyncio.sleep(0.05)
        await self.get(path)

    async def _ask(self, path: str) -> tuple[int, str]:
        async with self._session.get(self._url + path) as response:
            return response.status, await response.text()


def _status_of(text: str) -> str:
    document: dict[str, Any] = msgspec.json.decode(text)
    return str(document["status"])

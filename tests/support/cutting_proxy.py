"""A proxy that loses answers: the request goes through, and then the connection is reset."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientSession, web

__all__ = ["CuttingProxy", "open_cutting_proxy"]


@dataclass(slots=True)
class CuttingProxy:
    """A running proxy. ``cuts`` is how many of the next transactions lose their answer."""

    endpoint_url: str = ""
    cuts: int = 0
    transactions: list[dict[str, Any]] = field(default_factory=list)

    @property
    def tokens(self) -> list[str]:
        """The ``ClientRequestToken`` of each transaction, as they came."""
        return [request["ClientRequestToken"] for request in self.transactions]


@asynccontextmanager
async def open_cutting_proxy(upstream: str) -> AsyncIterator[CuttingProxy]:
    """Run a proxy on a free port of loopback for the length of the block."""
    proxy = CuttingProxy()
    async with ClientSession(auto_decompress=False) as session:

        async def forward(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            async with session.post(upstream, data=body, headers=request.headers) as response:
                answer = await response.read()
            if request.headers.get("X-Amz-Target", "").endswith(".TransactWriteItems"):
                proxy.transactions.append(json.loads(body))
                if proxy.cuts:
                    proxy.cuts -= 1
                    _reset(request.transport)
            kept = {name: response.headers[name] for name in ("Content-Type",)}
            return web.Response(status=response.status, body=answer, headers=kept)

        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_post("/", forward)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            proxy.endpoint_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield proxy
        finally:
            await runner.cleanup()


def _reset(transport: asyncio.Transport | None) -> None:
    assert transport is not None
    at_once = struct.pack("ii", 1, 0)  # linger for no time
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    transport.abort()

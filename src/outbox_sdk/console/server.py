"""The console on a port, until it is told to stop."""

import asyncio
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import uvicorn

from outbox_sdk.console.access import build_access
from outbox_sdk.console.application import build_app
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.shell.admin import Admin

__all__ = ["serve_console"]

_LAST_SECONDS = 10


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing."""
        yield


async def serve_console(
    admin: Admin,
    *,
    host: str = "127.0.0.1",
    port: int = 8787,
    token: str | None = None,
    allowed_hosts: Sequence[str] = (),
    sample_every: float = 15.0,
    stop: asyncio.Event | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the console of an outbox until ``stop`` is set; then requests and writes under way may end.

    ``port`` 0 is any free one; ``on_ready`` is told the address. ``token`` is what must be given once by
    everybody, and may be left out only where ``host`` is this machine's loopback. ``allowed_hosts`` are more
    names that the console answers to, as that of a proxy before it. Nothing of a request is logged.

    Raises:
        ConfigurationError: there is no token where one is needed, or the address cannot be listened on.
    """
    access = build_access(host, token, allowed_hosts)
    app = build_app(admin, access, sample_every=sample_every)
    config = uvicorn.Config(
        app,
        lifespan="on",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=_LAST_SECONDS,
    )
    server = _Server(config)

    async def watch() -> None:
        if stop is not None:
            await stop.wait()
            server.should_exit = True

    with _listen(host, port) as listening:
        if on_ready is not None:
            on_ready(_address_of(host, listening))
        watching = asyncio.create_task(watch())
        try:
            await server.serve(sockets=[listening])
        finally:
            watching.cancel()


def _listen(host: str, port: int) -> socket.socket:
    name = "127.0.0.1" if host.lower() == "localhost" else host.strip("[]")
    try:
        family = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((name, port), family=family)
    except (OSError, OverflowError) as error:
        problem = f"cannot listen on {host} port {port} ({error}); give another host or port"
        raise ConfigurationError("host", problem) from None


def _address_of(host: str, listening: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"http://{shown}:{listening.getsockname()[1]}/"

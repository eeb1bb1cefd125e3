"""Lambda's Runtime API, which hands out invocations and keeps what comes back byte by byte."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import uuid4

from aiohttp import web

__all__ = ["Invocation", "Outcome", "RuntimeApi", "open_runtime_api"]

_VERSION = "/2018-06-01/runtime"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the function sent for an invocation, or instead of its first one. ``body`` is as it arrived."""

    kind: Literal["response", "error", "init-error"]
    body: bytes
    error_type: str | None
    arrived_at: float

    @property
    def document(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Invocation:
    """One invocation: what is handed out, and what becomes of it. ``deadline`` is in seconds since 1970."""

    request_id: str
    event: bytes
    deadline: float
    outcome: "Future[Outcome]" = field(default_factory=Future)


@dataclass(slots=True)
class RuntimeApi:
    """A running API for one function. Each invocation is handed out once, to whoever asks next."""

    function_arn: str
    address: str = ""
    requests: list[str] = field(default_factory=list)
    init_error: "Future[Outcome]" = field(default_factory=Future)
    _waiting: "asyncio.Queue[Invocation]" = field(default_factory=asyncio.Queue)
    _under_way: dict[str, Invocation] = field(default_factory=dict)
    _loop: asyncio.AbstractEventLoop | None = None

    def submit(self, event: Any, *, remaining_seconds: float = 30.0) -> Invocation:
        """Have an invocation handed out next."""
        deadline = time.time() + remaining_seconds
        invocation = Invocation(str(uuid4()), json.dumps(event).encode(), deadline)
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._waiting.put_nowait, invocation)
        return invocation

    async def invoke(self, event: Any, *, remaining_seconds: float = 30.0) -> Outcome:
        """Have an invocation handed out, and wait for what becomes of it: that no function started, maybe."""
        invocation = self.submit(event, remaining_seconds=remaining_seconds)
        ends = [asyncio.wrap_future(future) for future in (invocation.outcome, self.init_error)]
        done, _ = await asyncio.wait(ends, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        assert done, "the function sent nothing"
        return done.pop().result()

    async def _next(self, request: web.Request) -> web.Response:
        self.requests.append(request.path)
        invocation = await self._waiting.get()
        self._under_way[invocation.request_id] = invocation
        headers = {
            # Exactly so: with a charset behind it the runtime's client decodes nothing.
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(invocation.deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self.function_arn,
            "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000;Sampled=0",
        }
        return web.Response(body=invocation.event, headers=headers)

    async def _finish(self, request: web.Request) -> web.Response:
        self.requests.append(request.path)
        kind: Literal["response", "error"] = "error" if request.path.endswith("/error") else "response"
        outcome = await _read_outcome(request, kind)
        self._under_way.pop(request.match_info["request_id"]).outcome.set_result(outcome)
        return _accepted()

    async def _fail_init(self, request: web.Request) -> web.Response:
        self.requests.append(request.path)
        self.init_error.set_result(await _read_outcome(request, "init-error"))
        return _accepted()


@contextmanager
def open_runtime_api(function_arn: str) -> Iterator[RuntimeApi]:
    """Run the API on a free port of loopback, in a thread of its own, for the length of the block."""
    api = RuntimeApi(function_arn)
    started: Future[None] = Future()
    stop = asyncio.Event()

    def run() -> None:
        try:
            asyncio.run(_serve(api, started, stop))
        except Exception as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=run, name="runtime-api", daemon=True)
    thread.start()
    started.result(timeout=10)
    try:
        yield api
    finally:
        assert api._loop is not None
        api._loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        assert not thread.is_alive()


async def _serve(api: RuntimeApi, started: "Future[None]", stop: asyncio.Event) -> None:
    api._loop = asyncio.get_running_loop()
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_get(f"{_VERSION}/invocation/next", api._next)
    app.router.add_post(f"{_VERSION}/invocation/{{request_id}}/{{kind:response|error}}", api._finish)
    app.router.add_post(f"{_VERSION}/init/error", api._fail_init)
    # A function that is killed has asked for an invocation, and must not be handed the next one's.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    api.address = f"{host}:{port}"
    started.set_result(None)
    await stop.wait()
    await runner.cleanup()


async def _read_outcome(request: web.Request, kind: Literal["response", "error", "init-error"]) -> Outcome:
    error_type = request.headers.get("Lambda-Runtime-Function-Error-Type")
    return Outcome(kind, await request.read(), error_type, time.time())


def _accepted() -> web.Response:
    return web.Response(status=202, body=b'{"status":"OK"}', headers={"Content-Type": "application/json"})

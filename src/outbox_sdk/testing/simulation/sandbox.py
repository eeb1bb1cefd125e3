"""A process that can be killed at any await: a Lambda sandbox, with what it remembers while it is warm."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

from outbox_sdk.shell.context import RelayContext

__all__ = ["Killed", "Sandbox", "follow_tasks"]

_T = TypeVar("_T")


class Killed:
    """What running in a sandbox gives when the process ended instead of answering."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


class Sandbox:
    """One process. It runs one thing at a time, as a Lambda sandbox does, and dies once.

    ``context`` is the relay that it keeps while it is warm. ``steps`` counts how often any of its tasks was
    resumed: each of those is an await at which the process may be killed.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive: bool = True
        self.context: RelayContext | None = None
        self.steps: int = 0
        self._kill_at: int | None = None
        self._main: asyncio.Task[Any] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(
        self, work: Callable[[], Coroutine[Any, Any, _T]], *, seconds: float, kill_at: int | None = None
    ) -> _T | Killed:
        """Run ``work`` for at most ``seconds``; give its result, or how the process ended.

        ``kill_at`` kills it at so many steps from now, if it takes that many. What ``work`` raises is raised.
        """
        context = copy_context()
        context.run(_SANDBOX.set, self)
        self._kill_at = None if kill_at is None else self.steps + kill_at
        main = self._main = asyncio.get_running_loop().create_task(work(), context=context)
        done, _ = await asyncio.wait({main}, timeout=seconds)
        if not done:
            self.kill()
            await asyncio.wait({main})
        if not self.alive:
            # Its last words are of no interest; taking them keeps the loop from complaining.
            _ = main.cancelled() or main.exception()
            return Killed("killed" if done else "timeout")
        result: _T = main.result()
        return result

    def kill(self) -> None:
        """End the process: none of its requests is begun any more, and no answer reaches it."""
        self.alive = False
        if self._main is not None:
            self._main.cancel()

    async def clear(self) -> int:
        """Cancel the tasks that are still there; give their number."""
        left = [task for task in self._tasks if not task.done()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return len(left)

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Take note of a task begun in here."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def step(self) -> bool:
        """Count a step; tell whether the process was killed right before it."""
        if not self.alive:
            return False  # it is being cleared away, which nobody outside can see
        self.steps += 1
        if self._kill_at is None or self.steps < self._kill_at:
            return False
        self._kill_at = None
        self.kill()
        return True


_SANDBOX: ContextVar[Sandbox | None] = ContextVar("_SANDBOX", default=None)


class _Steps(Coroutine[Any, Any, _T]):
    """A coroutine whose sandbox is asked before each of its steps."""

    def __init__(self, coroutine: Coroutine[Any, Any, _T], sandbox: Sandbox) -> None:
        self._coroutine = coroutine
        self._sandbox = sandbox

    def send(self, value: Any) -> Any:
        if self._sandbox.step():
            # Yield what a task takes for an await, so that this step never happens.
            never: Any = asyncio.get_running_loop().create_future()
            never._asyncio_future_blocking = True
            return never
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        return self._coroutine.throw(*error)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, _T]:
        return self._coroutine.__await__()


def follow_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Make a loop tell each sandbox of the tasks begun in it, and ask it before each of their steps."""

    def create_task(
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[Any, Any, Any],
        *,
        context: Context | None = None,
        **options: Any,
    ) -> asyncio.Task[Any]:
        sandbox = _SANDBOX.get() if context is None else context.get(_SANDBOX)
        if sandbox is not None:
            coroutine = _Steps(coroutine, sandbox)
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, context=context, **options)
        if sandbox is not None:
            sandbox.adopt(task)
        return task

    loop.set_task_factory(create_task)  # type: ignore[arg-type]

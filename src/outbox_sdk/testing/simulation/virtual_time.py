"""An event loop whose clock jumps: an hour takes no time, and nothing depends on the machine."""

import asyncio
import selectors
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

__all__ = ["NothingHappensError", "VirtualLoop", "run_virtually"]

_T = TypeVar("_T")


class NothingHappensError(RuntimeError):
    """Every task waits for something that never comes."""


class _JumpingSelector(selectors.BaseSelector):
    """Instead of waiting, moves the clock on. It watches no file: nothing in a simulation is one."""

    def __init__(self) -> None:
        self.now = 0.0
        self._keys: dict[int, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        number = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = self._keys[number] = selectors.SelectorKey(fileobj, number, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj if isinstance(fileobj, int) else fileobj.fileno())

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise NothingHappensError("every task waits for something that never comes")
        self.now += max(timeout, 0.0)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop on virtual time, starting at 0 seconds. Deterministic: same program, same order of steps.

    Not promised: that sockets, processes or threads work on it. They do not.
    """

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Give the virtual seconds that have passed."""
        return self._jumping.now


def run_virtually(main: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end on a virtual loop of its own.

    What a callback raises, which a loop would only log, is raised here: a broken simulation shows nothing.

    Raises:
        NothingHappensError: it waits for something that never comes.

    >>> run_virtually(asyncio.sleep(3_600, "an hour later"))
    'an hour later'
    """
    loop = VirtualLoop()
    errors: list[BaseException] = []

    def collect(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        errors.append(context.get("exception") or RuntimeError(context["message"]))

    loop.set_exception_handler(collect)
    try:
        result = loop.run_until_complete(main)
    finally:
        loop.close()
    if errors:
        raise errors[0]
    return result

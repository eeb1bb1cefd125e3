"""A share of a core, as a small Lambda function has: a process is stopped and continued, over and over."""

import os
import signal
import threading
import time
from types import TracebackType

__all__ = ["Share"]

_PERIOD_SECONDS = 0.02


class Share:
    """Gives a process so much of a core while the block lasts. It must run on one core at a time."""

    def __init__(self, process: int, share: float) -> None:
        self._process = process
        self._share = share
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self._signal(signal.SIGCONT)

    def _run(self) -> None:
        while not self._done.is_set():
            self._signal(signal.SIGCONT)
            time.sleep(_PERIOD_SECONDS * self._share)
            self._signal(signal.SIGSTOP)
            self._done.wait(_PERIOD_SECONDS * (1 - self._share))

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.kill(self._process, number)
        except ProcessLookupError:
            self._done.set()

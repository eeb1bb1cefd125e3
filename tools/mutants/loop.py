"""The pytest plugin that runs the tests on one mutant after the other, each in a fork of a collected session.

Collecting takes seconds and a test of the core milliseconds, so the session is collected once. A child runs
the tests that reach the mutated function, the quickest first, and ends with the first that fails.
"""

import gc
import json
import os
import selectors
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state

__all__ = ["MutantLoop"]

# Of the tests that reach a function, in seconds: what is not killed by then has survived.
_BUDGET = 20.0
_GRACE = 15.0

Verdict = tuple[str, str]
"""What became of a mutant (killed, survived, timeout, unreached), and the test that killed it."""


class MutantLoop:
    """Runs mutants in place of the session's tests, and keeps each verdict as a line of a file."""

    def __init__(self, mutants: Sequence[str], results: Path, *, processes: int) -> None:
        self._mutants = mutants
        self._results = results
        self._processes = processes

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Find out which tests reach which function, then try the mutants."""
        reached, durations, failed = _measure(session.items)
        if failed:
            raise pytest.UsageError(f"without a mutant there are failures: {', '.join(failed[:5])}")
        order = sorted(range(len(session.items)), key=durations.__getitem__)
        gc.freeze()
        with self._results.open("a") as results:
            for name, verdict in self._try_all(session.items, order, durations, reached):
                results.write(json.dumps([name, *verdict]) + "\n")
                results.flush()
        return True

    def _try_all(
        self,
        items: Sequence[pytest.Item],
        order: Sequence[int],
        durations: Sequence[float],
        reached: dict[str, list[int]],
    ) -> Iterator[tuple[str, Verdict]]:
        running: dict[int, tuple[str, int, float]] = {}
        waiting = list(reversed(self._mutants))
        with selectors.DefaultSelector() as selector:
            while waiting or running:
                while waiting and len(running) < self._processes:
                    name = waiting.pop()
                    hits = set(reached.get(_function(name), ()))
                    chosen = _within_budget([place for place in order if place in hits], durations)
                    if not chosen:
                        yield name, ("unreached", "")
                        continue
                    pid, pipe = _fork(name, [items[place] for place in chosen])
                    expected = sum(durations[place] for place in chosen)
                    running[pipe] = (name, pid, time.monotonic() + 4 * expected + _GRACE)
                    selector.register(pipe, selectors.EVENT_READ)
                for key, _ in selector.select(timeout=0.5):
                    name, pid, _ = running.pop(key.fd)
                    selector.unregister(key.fd)
                    yield name, _read_verdict(key.fd, pid)
                for pipe, (name, pid, deadline) in list(running.items()):
                    if time.monotonic() > deadline:
                        os.kill(pid, signal.SIGKILL)
                        os.waitpid(pid, 0)
                        selector.unregister(pipe)
                        os.close(pipe)
                        del running[pipe]
                        yield name, ("timeout", "")


def _function(mutant: str) -> str:
    return mutant.rpartition("__mutmut_")[0]


def _within_budget(chosen: Sequence[int], durations: Sequence[float]) -> list[int]:
    spent, kept = 0.0, []
    for place in chosen:
        spent += durations[place]
        if kept and spent > _BUDGET:
            break
        kept.append(place)
    return kept


def _measure(items: Sequence[pytest.Item]) -> tuple[dict[str, list[int]], list[float], list[str]]:
    """Run every test once, in a child, so that nothing of it stays; give hits, durations and failures."""
    readable, writable = os.pipe()
    if (pid := os.fork()) == 0:
        os.close(readable)
        set_mutant_under_test("stats")
        reached: dict[str, list[int]] = {}
        durations, failed = [], []
        for place, item in enumerate(items):
            state()._stats.clear()
            began = time.perf_counter()
            if _fails(item, items[place + 1] if place + 1 < len(items) else None):
                failed.append(item.nodeid)
            durations.append(time.perf_counter() - began)
            for function in state()._stats:
                reached.setdefault(function, []).append(place)
        with os.fdopen(writable, "w") as pipe:
            json.dump([reached, durations, failed], pipe)
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as pipe:
        answer: Any = json.load(pipe)
    os.waitpid(pid, 0)
    return answer[0], answer[1], answer[2]


def _fails(item: pytest.Item, following: pytest.Item | None) -> bool:
    reports = runtestprotocol(item, log=False, nextitem=following)
    return any(report.failed for report in reports)


def _fork(mutant: str, items: Sequence[pytest.Item]) -> tuple[int, int]:
    readable, writable = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writable)
        return pid, readable
    os.close(readable)
    killer = ""
    try:
        set_mutant_under_test(mutant)
        for item, following in zip(items, [*items[1:], None], strict=True):
            if _fails(item, following):
                killer = item.nodeid
                break
    except BaseException as error:  # pytest itself gives up: the mutant is seen
        killer = type(error).__name__
    os.write(writable, json.dumps(["killed" if killer else "survived", killer]).encode())
    sys.stdout.flush()
    os._exit(0)


def _read_verdict(pipe: int, pid: int) -> Verdict:
    with os.fdopen(pipe) as answer:
        text = answer.read()
    os.waitpid(pid, 0)
    if not text:
        return "killed", "the process ended"
    verdict, killer = json.loads(text)
    return verdict, killer

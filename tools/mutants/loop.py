"""The pytest plugin that runs the tests on one mutant after the other, each in a fork of a collected session.

Collecting takes seconds and a test of the core milliseconds, so the session is collected once. A child runs
the tests that reach the mutated function, the quickest and most particular first, and ends with the first
that fails.
"""

import gc
import hashlib
import json
import os
import selectors
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import pytest
from _pytest.runner import runtestprotocol
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state

__all__ = ["MutantLoop"]

# Of the tests that reach a function, in seconds: what is not killed by then has survived.
_BUDGET = 10.0
_GRACE = 10.0

Verdict = tuple[str, str]
"""What became of a mutant (killed, survived, timeout, unreached), and the test that killed it."""


class MutantLoop:
    """Runs mutants in place of the session's tests, and keeps each verdict as a line of a file."""

    def __init__(self, mutants: Sequence[str], results: Path, *, kept: Path, processes: int) -> None:
        self._mutants = mutants
        self._results = results
        self._kept = kept
        self._processes = processes

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out the examples in the docstrings of the mutants: the function itself has the same."""
        items[:] = [item for item in items if "__mutmut_" not in item.nodeid]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Find out which tests reach which function, then try the mutants."""
        measured = measure(session.items, self._kept)
        failed = [item.nodeid for item, each in zip(session.items, measured, strict=True) if each.failed]
        if failed:
            raise pytest.UsageError(f"without a mutant there are failures: {', '.join(failed[:5])}")
        durations = [each.seconds for each in measured]
        reached: dict[str, list[int]] = {}
        for place, each in enumerate(measured):
            for function in each.functions:
                reached.setdefault(function, []).append(place)
        # First the tests that are quick and reach little else: they are about this function.
        order = sorted(
            range(len(session.items)),
            key=lambda place: durations[place] * (5 + len(measured[place].functions)),
        )
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
                    running[pipe] = (name, pid, time.monotonic() + 2 * expected + _GRACE)
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
    spent = 0.0
    kept: list[int] = []
    for place in chosen:
        spent += durations[place]
        if kept and spent > _BUDGET:
            break
        kept.append(place)
    return kept


class _Measured(msgspec.Struct):
    """What one test reaches and how long it takes, as it was in this text of its file."""

    file: str
    seconds: float
    functions: list[str]
    failed: bool = False


def measure(items: Sequence[pytest.Item], kept: Path) -> list[_Measured]:
    """Tell of every test what it reaches; those whose files are as they were when it was kept are not run.

    They run in a child, so that nothing of them stays in this process.
    """
    known: dict[str, _Measured] = {}
    if kept.exists():
        known = msgspec.json.decode(kept.read_bytes(), type=dict[str, _Measured])
    texts = {item.path: hashlib.sha256(item.path.read_bytes()).hexdigest() for item in items}
    changed = [item for item in items if _is_new(known.get(item.nodeid), texts[item.path])]
    if changed:
        known |= _measure_in_child(changed, texts)
        kept.write_bytes(msgspec.json.encode({item.nodeid: known[item.nodeid] for item in items}))
    return [known[item.nodeid] for item in items]


def _is_new(known: _Measured | None, text: str) -> bool:
    return known is None or known.failed or known.file != text


def _measure_in_child(items: Sequence[pytest.Item], texts: Mapping[Path, str]) -> dict[str, _Measured]:
    readable, writable = os.pipe()
    if (pid := os.fork()) == 0:
        os.close(readable)
        set_mutant_under_test("stats")
        measured = {}
        for item, following in zip(items, [*items[1:], None], strict=True):
            state()._stats.clear()
            began = time.perf_counter()
            failed = _fails(item, following)
            seconds = time.perf_counter() - began
            measured[item.nodeid] = _Measured(texts[item.path], seconds, sorted(state()._stats), failed)
        with os.fdopen(writable, "wb") as pipe:
            pipe.write(msgspec.json.encode(measured))
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable, "rb") as pipe:
        answer = msgspec.json.decode(pipe.read(), type=dict[str, _Measured])
    os.waitpid(pid, 0)
    return answer


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

"""A few seeds of each class of faults, and every mutant: `nox -s simulate` plays many more."""

import hashlib
import os
import subprocess
import sys

import pytest

from outbox_sdk.testing.simulation import INVARIANTS
from tests.simulation.__main__ import MUTANT_SEEDS, main, play, replay_command
from tests.simulation.mutants import MUTANTS
from tests.simulation.scenarios import FAULT_CLASSES, draw_case, run_case

SEEDS_A_CLASS = 6


@pytest.mark.parametrize("fault_class", FAULT_CLASSES)
def test_seeds_break_no_invariant(fault_class: str) -> None:
    """Nothing lost, overtaken, parked without need or repeated without a fault, whatever fails."""
    first = list(FAULT_CLASSES).index(fault_class)
    for seed in range(first, SEEDS_A_CLASS * len(FAULT_CLASSES), len(FAULT_CLASSES)):
        run = run_case(draw_case(seed))
        assert run.violations == (), replay_command(seed)


@pytest.mark.once
# `nox -s simulate` plays all of them.
@pytest.mark.parametrize("name", list(MUTANTS)[::3])
def test_each_mutant_is_found(name: str) -> None:
    """A simulator that misses a mistake that is there proves nothing about those that are not."""
    for seed in range(MUTANT_SEEDS):
        summary, _ = play(seed, name)
        if summary.violation is not None:
            assert summary.violation in INVARIANTS
            return
    pytest.fail(f"{name} survived {MUTANT_SEEDS} seeds")


def test_without_faults_everything_is_published_once() -> None:
    """Exactly once in a run without faults, but for what somebody replays: once more for each time."""
    for seed in [seed for seed in range(500) if draw_case(seed).fault_class == "none"]:
        run = run_case(draw_case(seed))
        for message in run.messages:
            redrives = [acceptance.redrive for acceptance in message.acceptances]
            assert len(set(redrives)) == len(redrives), replay_command(seed)
            assert message.duplicates == 0


def digest(seed: int) -> str:
    _, run = play(seed, tracing=True)
    return hashlib.sha256("\n".join(run.trace).encode()).hexdigest()


def test_a_seed_is_the_same_run_in_every_process() -> None:
    """A failure that is found once is found again, also where strings hash differently."""
    seeds = range(len(FAULT_CLASSES))
    code = f"from tests.simulation.test_seeds import digest; print([digest(s) for s in range({len(seeds)})])"
    here = [digest(seed) for seed in seeds]
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        there = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        assert there.stdout.strip() == repr(here)


def test_a_failing_seed_says_how_to_play_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    """One line to copy, and behind it everything that happened, in the order of virtual time."""
    arguments = ["--seeds", "3", "--processes", "1", "--mutant", "time-to-live-at-insert"]
    assert main(arguments) == 1
    shown = capsys.readouterr().out
    assert "nox -s simulate -- --seed 0 --mutant time-to-live-at-insert" in shown

    assert main(["--seed", "0", "--mutant", "time-to-live-at-insert"]) == 1
    shown = capsys.readouterr().out
    assert "VIOLATION time to live" in shown
    assert "committed" in shown


@pytest.mark.once
def test_the_table_of_repetitions_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", str(len(FAULT_CLASSES)), "--processes", "1", "--no-mutants"]) == 0
    shown = capsys.readouterr().out
    for name in (*FAULT_CLASSES, *INVARIANTS):
        assert name in shown

"""Runs many seeds and all mutants, and prints what they show: ``python -m tests.simulation --help``."""

import argparse
import multiprocessing
import multiprocessing.pool
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from outbox_sdk.testing.simulation import INVARIANTS, Run
from tests.simulation.exhaustive import SMALL_WORLDS, Try, list_tries, play_try
from tests.simulation.mutants import MUTANTS, apply_mutant
from tests.simulation.scenarios import FAULT_CLASSES, draw_case, run_case

__all__ = ["Summary", "main", "play"]

MUTANT_SEEDS = 300
"""Within so many seeds a mutant has to be found."""

_ENOUGH = 3
"""Found in so many seeds, a mutant needs no more of them."""


class Summary(NamedTuple):
    """What one seed showed; small, for it travels between processes."""

    seed: int
    fault_class: str
    violation: str | None
    text: str
    messages: tuple[int, int]
    duplicates: tuple[int, int]
    bound: tuple[int, int]
    soon: int


def play(seed: int, mutant: str | None = None, *, tracing: bool = False) -> tuple[Summary, Run]:
    """Play one seed, with a mistake in the code if a mutant is named."""
    case = draw_case(seed)
    with apply_mutant(mutant):
        run = run_case(case, tracing=tracing)
    first = run.violations[0] if run.violations else None
    by_kind: list[tuple[int, int, int]] = []
    for fifo in (False, True):
        kind = [m for m in run.messages if m.good and m.commit.topic.endswith(".fifo") == fifo]
        by_kind.append((len(kind), sum(m.duplicates for m in kind), sum(m.excuses for m in kind)))
    (standard, standard_twice, standard_bound), (fifo_, fifo_twice, fifo_bound) = by_kind
    summary = Summary(
        seed=seed,
        fault_class=case.fault_class,
        violation=None if first is None else first.invariant,
        text="" if first is None else first.text,
        messages=(standard, fifo_),
        duplicates=(standard_twice, fifo_twice),
        bound=(standard_bound, fifo_bound),
        soon=sum(m.soon_repeated for m in run.messages if m.commit.topic.endswith(".fifo")),
    )
    return summary, run


def _play_one(job: tuple[int, str | None]) -> Summary:
    return play(*job)[0]


def _play_in_steps(pool: multiprocessing.pool.Pool, mutant: str) -> Iterator[Summary]:
    """Play a mutant's seeds some at a time, for whoever reads them may have read enough."""
    for start in range(0, MUTANT_SEEDS, 20):
        jobs = [(seed, mutant) for seed in range(start, start + 20)]
        yield from pool.imap(_play_one, jobs, chunksize=5)


def replay_command(seed: int, mutant: str | None = None) -> str:
    """The line that plays a seed again, with its trace."""
    return f"nox -s simulate -- --seed {seed}" + (f" --mutant {mutant}" if mutant else "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for; 0 if everything is as it should be."""
    parser = argparse.ArgumentParser(prog="nox -s simulate --", description=__doc__)
    parser.add_argument("--seeds", type=int, default=15_000, help="how many seeds to play")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="play one seed and print its trace")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="with this mistake in the code")
    parser.add_argument("--no-mutants", action="store_true", help="leave the mutants out")
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    options = parser.parse_args(arguments)
    if options.seeds < 1 or options.processes < 1:
        parser.error("--seeds and --processes are 1 or more")
    if options.seed is not None:
        return replay(options.seed, options.mutant)
    with multiprocessing.Pool(options.processes) as pool:
        started = time.monotonic()
        jobs = [(seed, options.mutant) for seed in range(options.first, options.first + options.seeds)]
        failed = show_seeds(pool.imap_unordered(_play_one, jobs, chunksize=25), options.mutant)
        print(f"{len(jobs):,} seeds in {time.monotonic() - started:.0f} s")
        if options.mutant:
            return int(failed)
        failed = show_small_worlds(pool) or failed
        if options.no_mutants:
            return int(failed)
        started = time.monotonic()
        survived = show_mutants((name, _play_in_steps(pool, name)) for name in MUTANTS)
        print(f"{len(MUTANTS)} mutants in {time.monotonic() - started:.0f} s")
    return int(failed or survived)


def replay(seed: int, mutant: str | None) -> int:
    """Play one seed and print everything that happened."""
    summary, run = play(seed, mutant, tracing=True)
    print(f"seed {seed}, fault class: {summary.fault_class}")
    print(*run.trace, sep="\n")
    for violation in run.violations:
        print(f"{violation.invariant} ({INVARIANTS[violation.invariant]}): {violation.text}")
    if not run.violations:
        print(f"No invariant is broken in {run.seconds:,.0f} s of virtual time.")
    return int(bool(run.violations))


def show_seeds(summaries: Iterable[Summary], mutant: str | None = None) -> bool:
    """Print the table of repetitions by class of faults, and each violation; tell if there was any."""
    messages, duplicates, bound = (
        Counter[tuple[str, int]](),
        Counter[tuple[str, int]](),
        Counter[tuple[str, int]](),
    )
    violations: Counter[str] = Counter()
    soon: Counter[str] = Counter()
    for summary in summaries:
        soon[summary.fault_class] += summary.soon
        for kind in (0, 1):
            place = (summary.fault_class, kind)
            messages[place] += summary.messages[kind]
            duplicates[place] += summary.duplicates[kind]
            bound[place] += summary.bound[kind]
        if summary.violation is not None:
            violations[summary.violation] += 1
            if violations[summary.violation] <= 3:
                print(f"VIOLATION {summary.violation}: {summary.text}")
                print(f"  {replay_command(summary.seed, mutant)}")
    print()
    print("Repetitions a message, and in brackets the bound that each seed is held to:")
    print(f"{'':26}{'standard':>20}{'FIFO, 5 minutes':>18}{'FIFO, ever':>20}")
    for name in FAULT_CLASSES:
        if not messages[name, 0] and not messages[name, 1]:
            continue
        standard, fifo = (
            f"{duplicates[name, kind] / max(1, messages[name, kind]):.3f} "
            f"({bound[name, kind] / max(1, messages[name, kind]):.3f})"
            for kind in (0, 1)
        )
        within = f"{soon[name] / max(1, messages[name, 1]):.3f}"
        print(f"{name:26}{standard:>20}{within:>18}{fifo:>20}")
    print()
    for name, meaning in INVARIANTS.items():
        print(f"{violations[name]:6}  {name}: {meaning}")
    repeated = duplicates["none", 0] + duplicates["none", 1]
    if repeated:
        print(f"VIOLATION: {repeated} repetitions without a fault")
    return bool(violations or repeated)


def _play_small_world(job: tuple[str, Try]) -> tuple[str, Try, str | None]:
    run = play_try(*job)
    return *job, run.violations[0].invariant if run.violations else None


def show_small_worlds(pool: multiprocessing.pool.Pool) -> bool:
    """Play every single fault and kill in the small worlds; print how many, and each violation."""
    jobs = [(world, chosen) for world in SMALL_WORLDS for chosen in list_tries(world)]
    broken = [result for result in pool.imap_unordered(_play_small_world, jobs, chunksize=25) if result[2]]
    for world, chosen, invariant in broken:
        print(f"VIOLATION {invariant}: {world}, {chosen}")
    print(
        f"{len(jobs):,} single faults and kills, at each call and await of {len(SMALL_WORLDS)} small worlds"
    )
    return bool(broken)


def show_mutants(results: Iterable[tuple[str, Iterator[Summary]]]) -> bool:
    """Print in how many seeds each mutant was found, and by what; tell if one survived."""
    survived = False
    print()
    print(f"Mutants, until found in {_ENOUGH} seeds, of at most {MUTANT_SEEDS}:")
    for name, summaries in results:
        found: list[Summary] = []
        played = 0
        for summary in summaries:
            played += 1
            if summary.violation is not None:
                found.append(summary)
            if len(found) == _ENOUGH:
                break
        by = Counter(str(summary.violation) for summary in found)
        text = ", ".join(f"{invariant} {count}" for invariant, count in by.most_common())
        first = f"first {found[0].seed}" if found else "SURVIVED"
        print(f"{name:42}{len(found):3} of {played:3}  {first:10}  {text}", flush=True)
        survived = survived or not found
    return survived


if __name__ == "__main__":
    sys.exit(main())

"""Alternating runs: all cases in turn, round after round, so that a busy minute is everybody's."""

import gc
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter, process_time

__all__ = ["Sample", "Spread", "alternate"]


@dataclass(frozen=True, slots=True)
class Spread:
    """Some figures by their median and their first and last decile."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        """Sum figures up."""
        if len(values) < 2:
            return cls(values[0], values[0], values[0])
        deciles = statistics.quantiles(values, n=10, method="inclusive")
        return cls(statistics.median(values), deciles[0], deciles[-1])

    def scaled(self, factor: float) -> "Spread":
        """Give the same spread of so many times the work."""
        return Spread(self.median * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class Sample:
    """What one case took: seconds of wall time, and of this process's CPU."""

    wall: Spread
    cpu: Spread

    def scaled(self, factor: float) -> "Sample":
        """Give the sample of so many times the work."""
        return Sample(self.wall.scaled(factor), self.cpu.scaled(factor))


def alternate(
    cases: Mapping[str, Callable[[], Callable[[], object]]],
    *,
    rounds: int,
    warm_up: int = 2,
    rare: Mapping[str, int] | None = None,
) -> dict[str, Sample]:
    """Run all cases in turn. Each prepares its run unmeasured, and gives what is to be measured.

    ``rare`` runs a slow case in every so manieth round only.
    """
    wall: dict[str, list[float]] = {name: [] for name in cases}
    cpu: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(-warm_up, rounds):
        for name, prepare in cases.items():
            every = (rare or {}).get(name, 1)
            if number % every or (number < 0 and every > 1):
                continue
            run = prepare()
            gc.collect()  # no case pays for the garbage of the one before
            started, used = perf_counter(), process_time()
            run()
            took, spent = perf_counter() - started, process_time() - used
            if number >= 0:
                wall[name].append(took)
                cpu[name].append(spent)
    return {name: Sample(Spread.of(wall[name]), Spread.of(cpu[name])) for name in cases}

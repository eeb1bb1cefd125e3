"""Lines over time as geometry, for a template to draw: pure."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

__all__ = ["HEIGHT", "WIDTH", "Chart", "Line", "Tick", "build_chart", "nice_ceiling", "thin_out"]

WIDTH, HEIGHT = 640, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 12, 28
_MAX_POINTS = 240
_STEPS = 4


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis, and what is written there."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A series as polylines: one for each stretch without a gap. ``last`` is its last value, in words."""

    name: str
    paths: tuple[str, ...]
    last: str
    highest: str


@dataclass(frozen=True, slots=True)
class Chart:
    """All that a drawing takes: lines, ticks, and the sentence that says the same."""

    title: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    summary: str
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


def nice_ceiling(value: float) -> float:
    """Give the next number up whose quarters are whole and read well: 4, 8, 20, 40, 80, 200, and so on.

    >>> nice_ceiling(0), nice_ceiling(5), nice_ceiling(173)
    (4.0, 8.0, 200.0)
    """
    if value <= _STEPS:
        return float(_STEPS)
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (2.0, 4.0, 8.0, 20.0) if step * power >= value)


def thin_out(
    times: Sequence[datetime], values: Sequence[float | None], limit: int = _MAX_POINTS
) -> list[tuple[datetime, float | None]]:
    """Leave at most ``limit`` points, of each stretch the highest, so that no peak is lost.

    A stretch in which nothing is known stays a gap.
    """
    count = len(times)
    if count <= limit:
        return list(zip(times, values, strict=True))
    points = []
    for part in range(limit):
        begin, end = part * count // limit, (part + 1) * count // limit
        known = [(value, place) for place in range(begin, end) if (value := values[place]) is not None]
        value, place = max(known) if known else (None, begin)
        points.append((times[place], value))
    return points


def build_chart(
    title: str,
    times: Sequence[datetime],
    series: Mapping[str, Sequence[float | None]],
    say: Callable[[float], str],
) -> Chart | None:
    """Lay out series over the same times; ``None`` where fewer than two instants are known.

    ``say`` writes a value in words. ``None`` among the values is a gap.
    """
    if len(times) < 2 or times[-1] <= times[0]:  # no line has one point
        return None
    known = [value for values in series.values() for value in values if value is not None]
    top = nice_ceiling(max(known, default=0.0))
    begin, span = times[0], (times[-1] - times[0]).total_seconds()

    def x(at: datetime) -> float:
        return _LEFT + (at - begin).total_seconds() / span * (WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return HEIGHT - _BOTTOM - value / top * (HEIGHT - _TOP - _BOTTOM)

    def line(name: str, values: Sequence[float | None]) -> Line:
        stretches: list[list[str]] = [[]]
        for at, value in thin_out(times, values):
            if value is None:
                stretches.append([])
            else:
                stretches[-1].append(f"{x(at):.1f},{y(value):.1f}")
        there = [value for value in values if value is not None]
        last = "not known" if values[-1] is None else say(values[-1])
        highest = say(max(there)) if there else "not known"
        # A lone point is drawn too: from itself to itself, with round ends.
        paths = tuple(" ".join(part * (2 if len(part) == 1 else 1)) for part in stretches if part)
        return Line(name, paths, last, highest)

    lines = tuple(line(name, values) for name, values in series.items())
    return Chart(
        title,
        lines,
        x_ticks=_time_ticks(times, x),
        y_ticks=tuple(Tick(y(top * step / _STEPS), say(top * step / _STEPS)) for step in range(_STEPS + 1)),
        summary=f"{title} from {begin:%H:%M:%S} to {times[-1]:%H:%M:%S} UTC. "
        + " ".join(f"{each.name}: now {each.last}, at most {each.highest}." for each in lines),
    )


def _time_ticks(times: Sequence[datetime], x: Callable[[datetime], float]) -> tuple[Tick, ...]:
    span = times[-1] - times[0]
    form = "%H:%M:%S" if span.total_seconds() < 600 else "%H:%M"
    instants = [times[0] + span * step / _STEPS for step in range(_STEPS + 1)]
    texts = [f"{instant:{form}}" for instant in instants]
    kept = [0, *(place for place, (one, other) in enumerate(pairwise(texts), start=1) if one != other)]
    return tuple(Tick(round(x(instants[place]), 1), texts[place]) for place in kept)

"""What a benchmark answers, as data: tables, plots, and how its figures stand to their bars."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import msgspec

__all__ = ["Answer", "Bar", "Plot", "Series", "Table", "describe_machine", "print_answer"]


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table; the first column names, the others are figures."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def to_markdown(self) -> str:
        """Write the table."""
        rule = ["---", *["---:"] * (len(self.headers) - 1)]
        lines = [f"| {' | '.join(row)} |" for row in (self.headers, rule, *self.rows)]
        return "\n".join([f"{self.title}:", "", *lines])


class Series(msgspec.Struct, frozen=True):
    """A line of a plot, or its bars."""

    name: str
    x: tuple[float | str, ...]
    y: tuple[float, ...]


class Plot(msgspec.Struct, frozen=True, kw_only=True):
    """A picture. ``name`` is its file's."""

    name: str
    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    kind: Literal["lines", "bars"] = "lines"
    log_x: bool = False
    log_y: bool = False


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """A figure that has to reach ``bar``, and is reported against ``goal``."""

    what: str
    value: float
    sense: Literal["≥", "≤"]
    bar: float
    goal: float | None = None
    unit: str = "×"

    @property
    def met(self) -> bool:
        """Whether the bar is reached."""
        return self._reaches(self.bar)

    def _reaches(self, limit: float) -> bool:
        return self.value >= limit if self.sense == "≥" else self.value <= limit

    def row(self) -> tuple[str, ...]:
        """Write the figure as the row of a table."""
        goal = "" if self.goal is None else f"{self.goal:g} {self.unit}"
        if self.goal is not None:
            goal += " (reached)" if self._reaches(self.goal) else ""
        met = "yes" if self.met else "**no**"
        value = f"{self.value:,.3g}" if self.value < 1_000 else f"{self.value:,.0f}"
        return self.what, f"{value} {self.unit}", f"{self.sense} {self.bar:g} {self.unit}", met, goal


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one question. ``method`` and ``notes`` are Markdown."""

    name: str
    question: str
    method: str
    bars: tuple[Bar, ...] = ()
    tables: tuple[Table, ...] = ()
    plots: tuple[Plot, ...] = ()
    notes: str = ""
    machine: str = ""

    def bar_table(self) -> Table:
        """Set the figures beside their bars."""
        headers = ("what", "measured", "bar", "met", "goal")
        return Table(title="Bars", headers=headers, rows=tuple(bar.row() for bar in self.bars))


def describe_machine() -> str:
    """Name what it was measured with: interpreter, libraries, processor."""
    names = ("aiobotocore", "aiohttp", "aws-lambda-powertools", "msgspec")
    libraries = ", ".join(f"{name} {version(name)}" for name in names)
    cpu = Path("/proc/cpuinfo")
    models = cpu.read_text().splitlines() if cpu.exists() else []
    model = next((line.partition(":")[2].strip() for line in models if line.startswith("model name")), "")
    processor = f"{os.cpu_count()} cores of {model or platform.processor() or platform.machine()}"
    return f"Python {platform.python_version()}, {libraries}; {processor}, {platform.system()}"


def print_answer(answer: Answer) -> None:
    """Print an answer as Markdown, without its pictures."""
    tables = [*([answer.bar_table()] if answer.bars else []), *answer.tables]
    parts = [f"## {answer.question}", answer.machine, *(table.to_markdown() for table in tables)]
    print("\n\n".join(filter(None, [*parts, answer.notes])), end="\n\n")

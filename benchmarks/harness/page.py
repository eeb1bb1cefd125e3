"""The page of all answers, docs/explanation/performance.md, written from what a run has left behind."""

from pathlib import Path

import msgspec

from benchmarks.harness.answers import Answer, Table

__all__ = ["PAGE", "PICTURES", "QUESTIONS", "read_answers", "render_page", "save_answer"]

QUESTIONS = (
    "warm_batch",
    "cold_start",
    "decode_and_plan",
    "scale",
    "producer",
    "write_units",
    "capacity",
    "package_size",
)
"""The benchmarks, each a module of this package, in the order of the page."""

_ROOT = Path(__file__).parents[2]
PAGE = _ROOT / "docs" / "explanation" / "performance.md"
PICTURES = _ROOT / "docs" / "explanation" / "performance"
_RESULTS = _ROOT / "benchmarks" / "results"

_INTRODUCTION = """# Performance

What the relay costs, measured. `nox -s bench` writes this page, in about 15 minutes on two cores; the
benchmark of one question is run as its section tells. Times belong to the machine; what carries over are
ratios, each taken within one run in which the sides take turns. Every figure is a median.
"""

_METHOD = """## How it is measured, and what is not

- AWS is a process of its own that answers with success after a set delay, over plain HTTP on loopback. TLS is
  not in the figures of a warm batch, on either side; loading certificates is in those of a cold start.
- The reference (`benchmarks/reference`) is the relay as it is usually written: Powertools' asynchronous batch
  processing, and for each record a new client and `Publish`, then a new client and `UpdateItem`.
- The floor sends the relay's own requests once more, byte for byte, over plain aiohttp: no decoding, no
  planning, no signing, no reading of answers.
- Not measured: AWS itself. No figure here was taken on Lambda, and latencies of SNS and DynamoDB are the
  delays that a benchmark sets. arm64 was not measured. The
  interpreter is the one of the package's runtime, where the machine has it.
- Counts of calls and the set of modules that the function loads do not depend on a machine: tests hold them.
- A benchmark prints a bar that it misses and goes on; it fails nothing.
"""


def save_answer(answer: Answer) -> None:
    """Keep an answer for the page."""
    _RESULTS.mkdir(exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(answer), indent=1).decode()
    (_RESULTS / f"{answer.name}.json").write_text(text + "\n", encoding="utf-8")


def read_answers() -> list[Answer]:
    """Read what was kept, in the order of the page."""
    found = [_RESULTS / f"{name}.json" for name in QUESTIONS]
    return [msgspec.json.decode(path.read_bytes(), type=Answer) for path in found if path.exists()]


def render_page(answers: list[Answer]) -> str:
    """Write the page."""
    bars = [(answer.name.replace("_", " "), *bar.row()) for answer in answers for bar in answer.bars]
    summary = Table(
        title="Every bar that the project sets itself",
        headers=("benchmark", "what", "measured", "bar", "met", "goal"),
        rows=tuple(bars),
    )
    parts = [_INTRODUCTION, summary.to_markdown(), _METHOD]
    parts.extend(_render(answer) for answer in answers)
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _render(answer: Answer) -> str:
    parts = [f"## {answer.question}", answer.method, answer.machine and f"Measured with {answer.machine}."]
    parts.extend(f"![{plot.title}](performance/{plot.name}.svg)" for plot in answer.plots)
    parts.extend(table.to_markdown() for table in answer.tables)
    parts.append(answer.notes)
    return "\n\n".join(part.strip() for part in parts if part)

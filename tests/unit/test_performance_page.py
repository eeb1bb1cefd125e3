"""docs/explanation/performance.md is what the benchmarks have found, and nobody's wish."""

import re
from pathlib import Path

from benchmarks.harness.page import PAGE, PICTURES, QUESTIONS, read_answers, render_page

ROOT = Path(__file__).parents[2]


def test_the_page_is_written_from_what_was_kept_of_each_benchmark() -> None:
    answers = read_answers()

    assert tuple(answer.name for answer in answers) == QUESTIONS
    assert PAGE.read_text(encoding="utf-8") == render_page(answers)


def test_every_benchmark_has_a_place_on_the_page_and_says_how_it_is_run() -> None:
    modules = {path.stem for path in ROOT.glob("benchmarks/[!_]*.py")}

    assert modules == set(QUESTIONS)
    for name in QUESTIONS:
        source = (ROOT / "benchmarks" / f"{name}.py").read_text(encoding="utf-8")
        assert f"Run: ``nox -s bench -- {name}``, or ``python -m benchmarks.{name}``." in source


def test_every_picture_of_the_page_is_there() -> None:
    shown = set(re.findall(r"\]\(performance/(\w+)\.svg\)", PAGE.read_text(encoding="utf-8")))

    assert shown == {path.stem for path in PICTURES.glob("*.svg")}
    assert len(shown) >= 5

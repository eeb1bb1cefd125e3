"""The page of faults names all of them, and what shows each is there."""

import ast
import re
from collections import Counter

import pytest

from tests.support.documents import ROOT

FAULTS = range(1, 77)
NOT_SHOWN = re.compile(r"Not shown here: \w.{8,}")


def fault_rows() -> list[tuple[int, str]]:
    """Give the number and the last cell of each row of the page."""
    lines = (ROOT / "docs" / "explanation" / "faults.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip().strip("|").split(" | ")] for line in lines]
    return [(int(row[0]), row[-1]) for row in rows if row[0].isdigit()]


def fault_tests() -> dict[str, int]:
    """Give the names of all tests of faults in any suite, each with its fault's number."""
    names = [
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    found = [re.fullmatch(r"test_fault_(\d\d)_\w+", name) for name in names]
    return {match.group(): int(match.group(1)) for match in found if match}


ROWS = fault_rows()
TESTS = fault_tests()


def test_every_fault_has_one_row() -> None:
    assert Counter(number for number, _ in ROWS) == Counter(FAULTS)
    assert [number for number, _ in ROWS] == sorted(number for number, _ in ROWS)


@pytest.mark.parametrize(("number", "shown_by"), ROWS, ids=[str(number) for number, _ in ROWS])
def test_what_shows_a_fault_is_there(number: int, shown_by: str) -> None:
    named = set(re.findall(r"`(test_\w+)`", shown_by))

    assert named == {name for name, fault in TESTS.items() if fault == number}
    assert named or NOT_SHOWN.fullmatch(shown_by)


def test_most_faults_are_shown() -> None:
    assert len(set(TESTS.values())) >= 65

"""Type checkers accept what the documents show and refuse the mistakes that they are there for."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.documents import ROOT

FILES = sorted((ROOT / "tests" / "typing").glob("*.py"))
SEARCH_PATH = os.pathsep.join([str(ROOT / "src"), sysconfig.get_path("purelib")])


def refused_lines(path: Path) -> set[int]:
    """The lines at which a checker must find an error."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, start=1) if line.endswith("# refused")}


def mypy_lines(path: Path) -> set[int]:
    """The lines at which mypy finds an error, by the settings of the project."""
    done = run("mypy", "--no-error-summary", "--hide-error-context", "--no-pretty", str(path))
    return {int(line) for line in re.findall(rf"^[^\n]*{path.name}:(\d+): error:", done.stdout, re.MULTILINE)}


def pyright_lines(path: Path, folder: Path) -> set[int]:
    """The lines at which pyright finds an error, with the checks that it makes by itself."""
    settings = folder / "pyrightconfig.json"
    settings.write_text(json.dumps({"include": [str(path)], "typeCheckingMode": "standard"}))
    done = run("basedpyright", "--project", str(settings), "--outputjson")
    found = json.loads(done.stdout)["generalDiagnostics"]
    return {each["range"]["start"]["line"] + 1 for each in found if each["severity"] == "error"}


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    if find_spec(module) is None:
        pytest.skip(f"{module} is not installed here; `nox -s lint` has it")
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": SEARCH_PATH},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done


@pytest.mark.once
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_mypy_refuses_the_mistakes_and_nothing_else(path: Path) -> None:
    assert mypy_lines(path) == refused_lines(path)


@pytest.mark.once
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_pyright_refuses_the_mistakes_and_nothing_else(path: Path, tmp_path: Path) -> None:
    assert pyright_lines(path, tmp_path) == refused_lines(path)

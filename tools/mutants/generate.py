"""Writes a copy of the project in which every function of the core carries its mutants, by mutmut."""

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import mutmut
from mutmut.mutation.file_mutation import mutate_file_contents

__all__ = ["CORE", "ROOT", "WORK", "find_refused", "text_of_core", "write_mutants"]

ROOT = Path(__file__).parents[2]
WORK = ROOT / ".mutants"
CORE = Path("src/outbox_sdk/core")
_NEEDED = (
    "src",
    "tests",
    "docs",
    "deploy",
    "benchmarks",
    "examples",
    "tools",
    "requirements",
    "pyproject.toml",
)
_PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "noxfile.py")
# As the linting session does it, for the core alone; what a copy of a method defines again is no mistake.
_MYPY = (
    *("--config-file=", "--strict", "--explicit-package-bases", "--output=json"),
    *("--disable-error-code=unused-ignore", "--disable-error-code=no-redef"),
)


def write_mutants() -> dict[str, list[str]]:
    """Copy the project and mutate its core; give the mutants of each module by their full names."""
    WORK.mkdir(exist_ok=True)
    for name in (*_NEEDED, *_PAGES):
        source, target = ROOT / name, WORK / name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.zip"))
        elif source.exists():
            shutil.copy(source, target)
    files = sorted((WORK / CORE).rglob("*.py"))
    with ProcessPoolExecutor() as pool:
        names = list(pool.map(_mutate, files))
    return {_module(file): own for file, own in zip(files, names, strict=True)}


def text_of_core() -> str:
    """Give a digest of the core as it is without mutants."""
    texts = [path.read_bytes() for path in sorted((ROOT / CORE).rglob("*.py"))]
    return hashlib.sha256(b"".join(texts)).hexdigest()[:16]


def _module(path: Path) -> str:
    parts = path.relative_to(WORK / "src").with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def _mutate(path: Path) -> list[str]:
    """Mutate one file in place; what was written for the same text before is taken from the cache."""
    text = path.read_text()
    written_by = f"{mutmut.__version__}\n{path.relative_to(WORK)}\n{text}"
    cache = WORK / "cache" / hashlib.sha256(written_by.encode()).hexdigest()
    if not cache.exists():
        mutated = mutate_file_contents(str(path.relative_to(WORK)), text, None, None)
        cache.parent.mkdir(exist_ok=True)
        names = [f"{_module(path)}.{name}" for name in mutated.mutant_names]
        cache.write_text(json.dumps({"code": mutated.code, "names": names}))
    kept = json.loads(cache.read_text())
    path.write_text(kept["code"])
    found: list[str] = kept["names"]
    return found


def find_refused(names: Sequence[str]) -> set[str]:
    """Give those of the mutants that the type checker refuses."""
    answer = subprocess.run(
        [sys.executable, "-m", "mypy", *_MYPY, f"--cache-dir={WORK / '.mypy_cache'}", str(CORE)],
        cwd=WORK, env={**os.environ, "MYPYPATH": "src"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    errors = [json.loads(line) for line in answer.stdout.splitlines() if line.startswith("{")]
    if not errors:
        raise SystemExit(f"mypy finds nothing to refuse, which cannot be:\n{answer.stdout}{answer.stderr}")
    lines: dict[str, set[int]] = {}
    for error in errors:
        if error["severity"] == "error":
            lines.setdefault(error["file"], set()).add(error["line"])
    refused = {name for file, wrong in lines.items() for name in _at(WORK / file, wrong)}
    return refused & set(names)


def _at(path: Path, lines: set[int]) -> set[str]:
    """Name the mutants in whose text one of the lines is."""
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and "__mutmut_" in node.name
    ]
    return {
        f"{_module(path)}.{node.name}"
        for node in functions
        if any((node.end_lineno or node.lineno) >= line >= node.lineno for line in lines)
    }

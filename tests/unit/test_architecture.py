"""Imports point one way and the core stays pure: the contracts hold, and each is seen to fail."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once  # of the source, which is the same everywhere

ROOT = Path(__file__).parents[2]


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of the tree below `root`, which comes before any installed copy."""
    code = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    return subprocess.run(
        [sys.executable, "-c", code, "--no-cache"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root / "src"), "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def impure_syntax(source: str) -> list[str]:
    """What import contracts cannot see: async code, and built-ins that reach outside."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.AsyncFunctionDef() | ast.AsyncFor() | ast.AsyncWith() | ast.Await():
                found.append(f"line {node.lineno}: {type(node).__name__}")
            case ast.Call(func=ast.Name(id="open" | "print" | "input" | "breakpoint" as name), lineno=line):
                found.append(f"line {line}: {name}()")
            case _:
                pass
    return found


def test_the_contracts_hold() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(
    ("path", "source", "contract"),
    [
        ("core/planted.py", "import os", "The core is pure"),
        ("core/planted.py", "from time import monotonic", "The core is pure"),
        ("core/planted.py", "import outbox_sdk.shell.relay", "Imports point one way"),
        ("shell/planted.py", "import outbox_sdk.lambda_handler", "Imports point one way"),
        ("testing.py", "import outbox_sdk.provisioning", "Imports point one way"),
        ("planted.py", "", "Imports point one way"),
        ("shell/planted.py", "import aiobotocore.session", "Only outbox_sdk.shell.aws imports the AWS SDK"),
        ("provisioning.py", "import botocore.exceptions", "Only outbox_sdk.shell.aws imports the AWS SDK"),
        ("shell/planted.py", "import pydantic", "Only outbox_sdk.shell.settings imports pydantic"),
        ("shell/planted.py", "import rich.console", "Only outbox_sdk.cli and outbox_sdk.demo"),
        ("cli/planted.py", "import starlette.routing", "Only outbox_sdk.console imports starlette"),
        ("console/planted.py", "import rich.console", "Only outbox_sdk.cli and outbox_sdk.demo"),
        ("console/planted.py", "import outbox_sdk.cli", "Imports point one way"),
        ("shell/planted.py", "import ministack", "Only outbox_sdk.embedded_stack"),
    ],
)
def test_a_contract_fails_when_it_is_broken(tmp_path: Path, path: str, source: str, contract: str) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "src" / "outbox_sdk" / path).open("a", encoding="utf-8") as file:
        file.write(f"\n{source}\n")
    result = lint_imports(tmp_path)
    assert result.returncode != 0
    broken = [line for line in result.stdout.splitlines() if " BROKEN" in line]
    assert any(line.startswith(contract) for line in broken), result.stdout + result.stderr


def test_the_core_has_no_async_code_and_opens_nothing() -> None:
    core = ROOT / "src" / "outbox_sdk" / "core"
    found = {path.name: impure_syntax(path.read_text(encoding="utf-8")) for path in core.rglob("*.py")}
    assert found
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "source",
    [
        "async def f(): ...",
        "async def f():\n    await g()",
        "print('seen')",
        "open('file')",
    ],
)
def test_impure_syntax_is_found(source: str) -> None:
    assert impure_syntax(source)

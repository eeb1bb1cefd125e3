"""What the example's page shows is what the example does, and the example is made as the page says."""

import ast
import asyncio
import importlib
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession

from tests.support.documents import ROOT, code_blocks

EXAMPLE = ROOT / "examples" / "customers_and_orders"
COMMAND = [sys.executable, "-m", "examples.customers_and_orders"]
SERVICES = ("customers", "orders")
# What is public besides the package itself.
PUBLIC = (
    "outbox_sdk",
    "outbox_sdk.embedded_stack",
    "outbox_sdk.pytest_plugin",
    "outbox_sdk.pytest_plugin.laws",
    "outbox_sdk.pytest_plugin.memory",
    "outbox_sdk.testing",
)


@pytest.mark.integration
@pytest.mark.once
def test_the_story_is_the_one_that_the_page_tells() -> None:
    """The happy path and the refused ones, from HTTP to HTTP."""
    done = subprocess.run(COMMAND, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == code_blocks(EXAMPLE / "README.md", "text")[1]


@pytest.mark.integration
@pytest.mark.once
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_serves_until_it_is_stopped(number: signal.Signals) -> None:
    """The lines that it shows are carried out here, as curl would."""
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, "--serve"), cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            lines = [(await process.stdout.readline()).decode() for _ in range(5)]
            statuses = [await ask(line) for line in lines[:4]]
            process.send_signal(number)
            rest = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert lines[4] == "Serving until Ctrl-C.\n"
    assert statuses == [201, 202, 200, 200]
    assert (process.returncode, rest) == (0, (b"", b""))


async def ask(line: str) -> int:
    """Carry out a line for curl."""
    words = shlex.split(line)
    method = words[words.index("-X") + 1] if "-X" in words else "GET"
    body = words[words.index("-d") + 1] if "-d" in words else None
    (url,) = [word for word in words if word.startswith("http://127.0.0.1:")]
    async with ClientSession() as session, session.request(method, url, data=body) as response:
        return response.status


def imports_of(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Give each module that a file imports, and which names of it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield str(node.module), [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, []


def test_it_uses_only_what_is_public() -> None:
    used = [
        (module, name)
        for path in EXAMPLE.rglob("*.py")
        for module, names in imports_of(path)
        if module.partition(".")[0] == "outbox_sdk"
        for name in names
    ]

    assert ("outbox_sdk", "Outbox") in used
    assert {module for module, _ in used} <= set(PUBLIC)
    assert [(m, name) for m, name in used if name not in importlib.import_module(m).__all__] == []


@pytest.mark.parametrize(("own", "other"), [SERVICES, SERVICES[::-1]])
def test_a_service_imports_nothing_of_the_other(own: str, other: str) -> None:
    imported = {module for path in (EXAMPLE / own).glob("*.py") for module, _ in imports_of(path)}

    assert f"examples.customers_and_orders.{own}.decisions" in imported
    assert not [each for each in imported if each.startswith(f"examples.customers_and_orders.{other}")]


@pytest.mark.parametrize("service", SERVICES)
def test_decisions_reach_for_nothing(service: str) -> None:
    imported = {module for module, _ in imports_of(EXAMPLE / service / "decisions.py")}

    assert imported == {"typing", "msgspec"}


def test_the_python_of_the_page_runs() -> None:
    (block,) = re.findall(
        r"^```python\n(.*?)^```", (EXAMPLE / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )

    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})  # noqa: S102 - the project's own page

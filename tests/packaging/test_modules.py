"""Every module in the zip can be imported from it, so none misses what was left out."""

import json
import subprocess
from pathlib import Path

import pytest

from outbox_sdk.packaging.interpreters import find_interpreter

pytestmark = pytest.mark.once

ELSEWHERE = {
    *("OpenSSL", "anyio", "awscrt", "docutils", "gunicorn", "h2", "js", "opentelemetry", "socks", "winreg"),
}
"""What modules ask for that no function has: packages which are not locked, and another platform's."""


def test_modules_miss_nothing_but_what_is_not_locked(task: Path, runtime: str) -> None:
    interpreter = find_interpreter(runtime.removeprefix("python"))
    assert interpreter is not None
    script, result = Path(__file__).with_name("zip_modules.py"), task.with_name("modules.json")
    process = subprocess.run(
        [interpreter, "-I", "-S", "-B", "-W", "ignore", script, task, result],
        env={}, cwd=task.parent, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    done = json.loads(result.read_text())

    assert {name: missing for name, missing in done["missing"].items() if missing not in ELSEWHERE} == {}
    assert (
        set(done["missing"].values()) == ELSEWHERE
    )  # a name that nobody asks for any more comes off the list
    assert len(done["modules"]) > 400
    assert {"aiohttp._http_parser", "outbox_sdk.lambda_handler", "outbox_sdk.shell.aws", "six"} <= set(
        done["modules"]
    )

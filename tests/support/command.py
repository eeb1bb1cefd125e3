"""Runs the `outbox` command as a person or a script does: in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.outbox_process import outbox_command

__all__ = ["CREDENTIALS", "environment", "run_outbox", "run_shell"]

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}


def environment(**variables: str) -> dict[str, str]:
    """Nothing of the tester's own AWS settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "OUTBOX_"))}
    return kept | variables


def run_outbox(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    with outbox_command() as command:
        return subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=environment(**variables),
        )


def run_shell(script: str, directory: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a person types it; the first command that fails is its end, and that of its jobs."""
    path = f"{Path(sys.executable).parent}:{environment()['PATH']}"
    return subprocess.run(
        ["bash", "-e", "-u", "-m", "-c", f"trap 'kill $(jobs -p) 2>&- || true' EXIT\n{script}"],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment(**variables) | {"PATH": path},
    )

"""Runs the `outbox` command as a person or a script does: in a process of its own."""

import os
import subprocess

from tests.support.outbox_process import outbox_command

__all__ = ["CREDENTIALS", "environment", "run_outbox"]

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

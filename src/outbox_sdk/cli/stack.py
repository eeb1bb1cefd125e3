"""`outbox stack`: a local stand-in for AWS, for as long as the command runs."""

import asyncio
import shlex
import sys

from outbox_sdk.cli.output import errors_to_exit_codes, run_until_stopped
from outbox_sdk.embedded_stack import open_embedded_stack

__all__ = ["stack"]


def stack() -> None:
    """Run an empty local stack on a free port of this machine, and print the variables that lead to it."""
    with errors_to_exit_codes(), open_embedded_stack() as opened:
        for name, value in opened.variables().items():
            sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
        sys.stdout.flush()
        run_until_stopped(asyncio.Event.wait)

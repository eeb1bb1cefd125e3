"""What commands say and how they end: lines, errors as one sentence, exit codes, signals."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import typer
from rich.console import Console

from outbox_sdk.core.errors import ConfigurationError, OutboxError, TableCallError
from outbox_sdk.core.report import LogLine

__all__ = ["errors_to_exit_codes", "line_printer", "run_until_stopped", "stderr"]

stderr: Console = Console(stderr=True)
_INTERRUPTED = 130


def line_printer(*, as_json: bool) -> Callable[[LogLine], None]:
    """Give what prints a line: words for people, or one JSON object."""

    def show(line: LogLine) -> None:
        if as_json:
            text = msgspec.json.encode({"event": line.event, **line.fields}).decode()
        else:
            text = " ".join([line.event, *(f"{name}={value}" for name, value in line.fields.items())])
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    return show


def run_until_stopped(work: Callable[[asyncio.Event], Coroutine[Any, Any, object]]) -> None:
    """Run until done or until the first SIGINT or SIGTERM, which asks for a clean end; the second insists."""

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()

        def on_signal() -> None:
            if stop.is_set() and task is not None:
                task.cancel()
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, on_signal)
        await work(stop)

    asyncio.run(run())


@contextmanager
def errors_to_exit_codes(*, deploying: bool = False) -> Iterator[None]:
    """Turn this package's errors into one sentence and an exit code.

    ``deploying`` tells that the command has the options which only `outbox deploy` has.
    """
    try:
        yield
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(_INTERRUPTED) from None
    except (OutboxError, ExceptionGroup) as raised:
        error: Exception = raised
        while isinstance(error, ExceptionGroup):  # tasks that ran side by side raise in a group
            error = error.exceptions[0]
        if not isinstance(error, OutboxError):
            raise
        text = f"outbox: {error}{_hint(error, deploying=deploying)}"
        stderr.print(text, style="red", highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(2 if _is_wrong_input(error) else 1) from None


def _is_wrong_input(error: OutboxError) -> bool:
    missing_table = isinstance(error, TableCallError) and error.code == "ResourceNotFoundException"
    return missing_table or isinstance(error, ConfigurationError)


def _hint(error: OutboxError, *, deploying: bool) -> str:
    """Name the option behind a variable or an argument of the SDK, where it is called otherwise."""
    if not isinstance(error, ConfigurationError):
        return ""
    options = _OPTIONS.get(error.variable, ())
    if deploying:
        options += _DEPLOY_OPTIONS.get(error.variable, ())
    return f" ({', '.join(options)})" if options else ""


_OPTIONS: dict[str, tuple[str, ...]] = {
    "DYNAMODB_OUTBOX_TABLE_NAME": ("--table", "--region"),
    "OUTBOX_ALLOWED_TOPICS": ("--topic-prefix", "--allowed-topics"),
    "AWS_ACCESS_KEY_ID": ("--profile; for a local stack, source what `outbox stack` printed",),
    "AWS_REGION": ("--region",),
    "OUTBOX_CLAIM_BUCKET": ("--claim-bucket",),
    "function_name": ("--function-name",),
    "allowed_hosts": ("--allowed-host",),
}
_DEPLOY_OPTIONS: dict[str, tuple[str, ...]] = {
    "DYNAMODB_OUTBOX_TABLE_NAME": ("--create-table",),
    "OUTBOX_ALLOWED_TOPICS": ("--allow-any-topic",),
    "memory_mb": ("--memory",),
    "timeout_seconds": ("--timeout",),
    "kms_keys": ("--kms-key",),
    "on_failure": ("--on-failure",),
    "environment": ("--env",),
}

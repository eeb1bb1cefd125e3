"""`outbox demo`: the whole way of messages, on a stack that runs inside the command."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from outbox_sdk.cli.output import errors_to_exit_codes, stderr
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.demo.messages import InputLineError, generate_messages, parse_lines
from outbox_sdk.demo.report import DemoReport, received_line
from outbox_sdk.demo.run import OUTBOX, DemoResult, run_demo
from outbox_sdk.demo.run import Progress as DemoProgress
from outbox_sdk.embedded_stack import open_embedded_stack

__all__ = ["demo"]


def demo(
    *,
    messages: Annotated[int, typer.Option(min=1, max=100_000, help="How many messages to write.")] = 200,
    input_file: Annotated[
        Path | None,
        typer.Option(
            "--input",
            exists=True,
            dir_okay=False,
            readable=True,
            help='Write these instead: one {"aggregate_id", "topic", "message"} a line.',
        ),
    ] = None,
    received_file: Annotated[
        Path | None,
        typer.Option("--received", dir_okay=False, writable=True, help="Write each message received here."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show the whole way of messages, on a stack that runs inside this command."""
    with errors_to_exit_codes():
        if input_file and received_file and received_file.exists() and received_file.samefile(input_file):
            raise ConfigurationError("--received", f"{received_file} is the input itself")
        written = list(generate_messages(messages)) if input_file is None else _read_input(input_file)
        with _open_output(received_file) as output, open_embedded_stack() as stack:
            with _progress_bars(len(written)) as progress:
                result = asyncio.run(run_demo(stack, written, progress))
            if output is not None:
                _write_received(output, result)
        report = result.report
        if as_json:
            sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
        else:
            Console().print(_demo_table(report), _verdict(report))
    if not report.succeeded:
        raise typer.Exit(1)


def _read_input(path: Path) -> list[Any]:
    try:
        with path.open("rb") as lines:
            return parse_lines(lines, OUTBOX)
    except InputLineError as error:
        raise ConfigurationError(str(path), str(error)) from error


@contextmanager
def _open_output(path: Path | None) -> Iterator[IO[bytes] | None]:
    """Open the output before anything is written, so that a wrong path costs nothing."""
    if path is None:
        yield None
        return
    try:
        output = path.open("wb")
    except OSError as error:
        raise ConfigurationError("--received", f"{path}: {error.strerror}") from error
    with output:
        yield output


def _write_received(output: IO[bytes], result: DemoResult) -> None:
    for message in result.received:
        known = result.written.get(message.message_id)
        output.write(received_line(message, verbatim=known is None or known.verbatim))


@contextmanager
def _progress_bars(total: int) -> Iterator[DemoProgress]:
    columns = (TextColumn("{task.description:>9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    hidden = not stderr.is_terminal
    with Progress(*columns, console=stderr, transient=True, disable=hidden) as bars:
        tasks = {name: bars.add_task(name, total=total) for name in ("written", "published", "received")}

        def show(progress: DemoProgress) -> None:
            for name, task in tasks.items():
                bars.update(task, completed=getattr(progress, name))

        yield DemoProgress(total, changed=show)


def _verdict(report: DemoReport) -> str:
    if report.succeeded:
        return "[green]Every message arrived once, in order.[/green]"
    return "[red]Not every message arrived once and in order.[/red]"


def _demo_table(report: DemoReport) -> Table:
    table = Table()
    table.add_column("messages")
    table.add_column("count", justify="right")
    rows = {
        "written in transactions": report.written,
        "published to their topics": report.published,
        "marked as dispatched": report.marked,
        "received from the queues": report.received,
        "lost": report.lost,
        "duplicates": report.duplicates,
        "order violations (FIFO)": report.order_violations,
    }
    for name, count in rows.items():
        table.add_row(name, f"{count:,}")
    table.add_section()
    table.add_row("seconds", f"{report.seconds:.2f}")
    return table

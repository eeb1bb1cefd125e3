"""What the commands that look after an outbox have in common: a table opened, and values shown to people."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from outbox_sdk.cli.options import settings_of
from outbox_sdk.cli.output import errors_to_exit_codes, run_until_stopped, stderr
from outbox_sdk.core.wording import describe_duration, escape_unprintable
from outbox_sdk.shell.admin import Admin, open_admin

__all__ = [
    "age",
    "plain",
    "print_document",
    "print_pairs",
    "print_table",
    "progress",
    "run_admin",
    "waiting",
    "watch_admin",
]

_T = TypeVar("_T")


@contextmanager
def waiting(what: str | None) -> Iterator[None]:
    """Show on the terminal's error stream that something is under way; nothing for ``None``."""
    if what is None or not stderr.is_terminal:
        yield
        return
    with stderr.status(what):
        yield


def run_admin(
    work: Callable[[Admin], Awaitable[_T]], *, profile: str | None, doing: str | None = None, **options: Any
) -> _T:
    """Open the table that the options name and do something with it; errors become exit codes.

    ``doing`` is shown meanwhile.
    """
    with errors_to_exit_codes():
        configuration = settings_of(**options).to_configuration()

        async def run() -> _T:
            async with open_admin(configuration, profile=profile) as admin:
                return await work(admin)

        with waiting(doing):
            return asyncio.run(run())
    raise typer.Exit(1)  # never reached: errors_to_exit_codes raises


def watch_admin(
    work: Callable[[Admin, asyncio.Event], Awaitable[object]], *, profile: str | None, **options: Any
) -> None:
    """The same for what goes on until it is stopped."""
    with errors_to_exit_codes():
        configuration = settings_of(**options).to_configuration()

        async def run(stop: asyncio.Event) -> None:
            async with open_admin(configuration, profile=profile) as admin:
                await work(admin, stop)

        run_until_stopped(run)


def print_document(document: object) -> None:
    """Print a value as one line of JSON."""
    typer.echo(msgspec.json.encode(document).decode())


def print_table(title: str, columns: Mapping[str, str], rows: list[tuple[object, ...]]) -> None:
    """Print rows for people; a column's justification by its heading."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for heading, justify in columns.items():
        table.add_column(heading, justify="right" if justify == "right" else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    Console(soft_wrap=False).print(table)


def print_pairs(pairs: Mapping[str, object]) -> None:
    """Print what there is of some values, a line each."""
    shown = {plain(name): plain(value) for name, value in pairs.items() if value not in (None, "", 0, ())}
    width = max(map(len, shown), default=0)
    for name, text in shown.items():
        typer.echo(f"{name:<{width}}  {text}")


def plain(value: object) -> str:
    r"""Write a value so that it can do nothing to a terminal: what is no printable character is escaped.

    Ids and topics are whatever a producer has written.

    >>> plain("m-1"), plain("a\x1b[2Jb"), plain(None)
    ('m-1', 'a\\x1b[2Jb', '-')
    """
    if value is None:
        return "-"
    return escape_unprintable(str(value))


def age(seconds: float | None) -> str:
    """Write a duration in its two largest units.

    >>> age(None), age(4.21), age(75), age(7_260), age(200_000)
    ('-', '4.2 s', '1 min 15 s', '2 h 1 min', '2 d 7 h')
    """
    return describe_duration(seconds)


@contextmanager
def progress(
    description: str, *, total: int | None = None, shown: bool = True
) -> Iterator[Callable[[int], None]]:
    """Show how far something has come, on the terminal's error stream; give what is told of each step."""
    if not shown or not stderr.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.completed}"), console=stderr, transient=True) as bar:
        task = bar.add_task(description, total=total)
        yield lambda count: bar.advance(task, count)

"""Carrying out a redrive, a replay or a purge for a person: shown, asked about, done, and told."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, NoReturn

import typer

from outbox_sdk.cli.admin import plain, print_document, print_table, progress, waiting
from outbox_sdk.cli.options import settings_of
from outbox_sdk.cli.output import errors_to_exit_codes, run_until_stopped, stderr
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.task_report import TaskReport
from outbox_sdk.shell.admin import Admin, open_admin
from outbox_sdk.shell.task import Conduct, Shown

__all__ = ["carry_out"]

_Work = Callable[[Admin, Conduct], Awaitable[TaskReport]]


def carry_out(
    work: _Work, *, began_at: datetime, limit: int | None, dry_run: bool, yes: bool, as_json: bool,
    rate: float | None, profile: str | None, **options: Any,
) -> None:  # fmt: skip
    """Show what is meant and ask, then do that and no more; with ``--yes`` at once.

    What is meant is counted from ``began_at`` on in both, however long somebody takes to answer.
    """
    shown = Shown()
    with errors_to_exit_codes():
        if as_json and not (yes or dry_run):
            raise ConfigurationError("--json", "asks nothing: add --yes or --dry-run")
        Conduct(rate=rate)  # before anything is read
    total: int | None = None
    if not yes:
        with waiting(None if as_json else "Reading"):
            looking = Conduct(dry_run=True, began_at=began_at, shown=shown)
            planned = _run(work, looking, profile=profile, **options)
        _print(planned, as_json=as_json, limit=limit)
        if dry_run or planned.interrupted:
            _end(planned)
        if not planned.meant:
            _end(planned)
        messages = "1 message" if planned.meant == 1 else f"{planned.meant} messages"
        if not typer.confirm(f"{planned.task.capitalize()} {messages}?"):
            stderr.print("Nothing was changed.")
            raise typer.Exit(1)
        total = planned.meant
    with progress("Writing", total=total, shown=not as_json) as advance:
        told, began = 0, ""

        def on_progress(report: TaskReport) -> None:
            nonlocal told, began
            if report.task == "replay" and not began:
                began = report.began_at
                words = f"Began at {began}: if it is cut off, the same with --resume {began} does the rest."
                stderr.print(words, highlight=False, soft_wrap=True)
            now = report.done + report.changed
            advance(now - told)
            told = now

        conduct = Conduct(rate=rate, on_progress=on_progress, dry_run=dry_run, began_at=began_at, shown=shown)
        report = _run(work, conduct, profile=profile, **options)
    _print(report, as_json=as_json, limit=limit)
    _end(report)


def _run(work: _Work, conduct: Conduct, *, profile: str | None, **options: Any) -> TaskReport:
    """Carry a task out until it is done or interrupted; then it ends cleanly, and says how far it came."""
    reports: list[TaskReport] = []
    with errors_to_exit_codes():
        configuration = settings_of(**options).to_configuration()

        async def run(stop: asyncio.Event) -> None:
            async with open_admin(configuration, profile=profile) as admin:
                reports.append(await work(admin, replace(conduct, stop=stop)))

        run_until_stopped(run)
    return reports[0]


def _print(report: TaskReport, *, as_json: bool, limit: int | None) -> None:
    if as_json:
        print_document(report)
        return
    counts = {
        "meant": report.meant, "done": report.done, "changed meanwhile": report.changed,
        "behind a failure": report.behind, "not found": len(report.not_found),
    }  # fmt: skip
    rows: list[tuple[object, ...]] = [(name, count) for name, count in counts.items() if count]
    rows += [(f"refused: {plain(reason)}", count) for reason, count in report.refused.items()]
    rows += [(f"failed: {plain(code)}", count) for code, count in report.failed.items()]
    if report.dry_run:
        parts = {"topic": report.by_topic, "type": report.by_type, "reason": report.by_reason}
        rows += [(f"{what} {plain(name)}", count) for what, by in parts.items() for name, count in by.items()]
    title = f"{report.task} of {plain(report.table)}{': nothing changed yet' if report.dry_run else ''}"
    print_table(title, {"": "", "messages": "right"}, rows or [("meant", 0)])
    for trouble in report.troubles:
        typer.echo(f"{plain(trouble.reason)}  {plain(trouble.key)}")
    if report.not_found:
        typer.echo(f"Not there: {', '.join(map(plain, report.not_found))}")
    if report.interrupted:
        stderr.print(_say_interrupted(report, limit), highlight=False, soft_wrap=True)


def _say_interrupted(report: TaskReport, limit: int | None) -> str:
    if report.dry_run:
        return "Interrupted: nothing was changed."
    again = [f"--resume {report.began_at}"] if report.task == "replay" else []
    if limit is not None:  # it counts anew
        left = limit - report.done - report.changed
        if left < 1:
            return "Interrupted, and nothing is left to be done."
        again.append(f"--limit {left}")
    with_these = f" with {' '.join(again)}" if again else ""
    return f"Interrupted: the same command{with_these} does the rest."


def _end(report: TaskReport) -> NoReturn:
    if report.interrupted:
        raise typer.Exit(130)
    raise typer.Exit(0 if report.succeeded else 1)

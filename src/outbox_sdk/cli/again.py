"""`outbox redrive`, `outbox replay` and `outbox purge`: what is meant is shown first, and asked about."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn

import typer

from outbox_sdk.cli.admin import plain, print_document, print_table, progress, waiting
from outbox_sdk.cli.options import (
    EndpointOption,
    JsonOption,
    ProfileOption,
    RegionOption,
    TableOption,
    settings_of,
)
from outbox_sdk.cli.output import errors_to_exit_codes, run_until_stopped, stderr
from outbox_sdk.cli.selecting import (
    AggregatesOption,
    LimitOption,
    MessageIdsOption,
    ReasonsOption,
    SinceOption,
    TopicsOption,
    TypesOption,
    UntilOption,
    selection_of,
)
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.message_view import MessageState
from outbox_sdk.core.purge import check_purge
from outbox_sdk.core.selection import Selection
from outbox_sdk.core.task_report import TaskReport
from outbox_sdk.core.when import parse_when
from outbox_sdk.shell.admin import Admin, open_admin
from outbox_sdk.shell.task import Conduct

__all__ = ["purge", "redrive", "replay"]

_DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Count what is meant, and change nothing.")]
_YesOption = Annotated[bool, typer.Option("--yes", help="Do it without showing it first and asking.")]
_RateOption = Annotated[float | None, typer.Option("--rate", help="At most so many messages a second.")]

_Work = Callable[[Admin, Conduct], Awaitable[TaskReport]]


def redrive(
    *,
    table: TableOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    message_id: MessageIdsOption = None,
    aggregate: AggregatesOption = None,
    topic: TopicsOption = None,
    message_type: TypesOption = None,
    reason: ReasonsOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = None,
    rate: _RateOption = None,
    dry_run: _DryRunOption = False,
    yes: _YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Send parked messages again: those that are named by their id, topic, type, reason or age, or all."""
    with errors_to_exit_codes():
        selection = selection_of(
            message_ids=message_id, aggregate_ids=aggregate, topics=topic, message_types=message_type,
            reasons=reason, since=since, until=until, limit=limit,
        )  # fmt: skip
    _carry_out(
        lambda admin, conduct: admin.redrive(selection, conduct),
        dry_run=dry_run, yes=yes, as_json=as_json, rate=rate, profile=profile,
        dynamodb_outbox_table_name=table, aws_endpoint_url=endpoint_url, aws_region=region,
    )  # fmt: skip


def replay(
    *,
    table: TableOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    message_id: MessageIdsOption = None,
    aggregate: AggregatesOption = None,
    topic: TopicsOption = None,
    message_type: TypesOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = None,
    resume: Annotated[
        str | None, typer.Option("--resume", help="Take up again the replay that began at this instant.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All that is dispatched, where nothing else is named.")
    ] = False,
    rate: _RateOption = None,
    dry_run: _DryRunOption = False,
    yes: _YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Send dispatched messages once more, with the attribute `replayed`. Reads the table."""
    with errors_to_exit_codes():
        selection = selection_of(
            message_ids=message_id, aggregate_ids=aggregate, topics=topic, message_types=message_type,
            since=since, until=until, limit=limit,
        )  # fmt: skip
        _check_named(selection, everything=everything)
        began = None if resume is None else parse_when(resume, now=datetime.now(UTC), variable="--resume")
    _carry_out(
        lambda admin, conduct: admin.replay(selection, conduct, resume=began),
        dry_run=dry_run, yes=yes, as_json=as_json, rate=rate, profile=profile,
        dynamodb_outbox_table_name=table, aws_endpoint_url=endpoint_url, aws_region=region,
    )  # fmt: skip


def purge(
    *,
    table: TableOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    state: Annotated[
        str, typer.Option("--state", help="dispatched, parked, or with --force outstanding.")
    ] = "dispatched",
    message_id: MessageIdsOption = None,
    aggregate: AggregatesOption = None,
    topic: TopicsOption = None,
    message_type: TypesOption = None,
    reason: ReasonsOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All in that state, where nothing else is named.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Delete outstanding messages too, which nobody publishes then.")
    ] = False,
    rate: _RateOption = None,
    dry_run: _DryRunOption = False,
    yes: _YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delete messages for good: dispatched ones, unless told otherwise."""
    with errors_to_exit_codes():
        selection = selection_of(
            message_ids=message_id, aggregate_ids=aggregate, topics=topic, message_types=message_type,
            reasons=reason, since=since, until=until, limit=limit,
        )  # fmt: skip
        known = _state_of(state)
        _check_named(selection, everything=everything)
        try:
            check_purge(known, force=force)
        except ConfigurationError as error:
            raise ConfigurationError("--force", error.problem) from error
    _carry_out(
        lambda admin, conduct: admin.purge(selection, conduct, state=known, force=force),
        dry_run=dry_run, yes=yes, as_json=as_json, rate=rate, profile=profile,
        dynamodb_outbox_table_name=table, aws_endpoint_url=endpoint_url, aws_region=region,
    )  # fmt: skip


def _state_of(text: str) -> MessageState:
    match text:
        case "dispatched" | "parked" | "outstanding":
            return text
        case _:
            raise ConfigurationError("--state", f"{text!r} is not one of dispatched, parked, outstanding")


def _check_named(selection: Selection, *, everything: bool) -> None:
    """Refuse what would mean all there is where nobody has said so: a forgotten option is a whole table."""
    named = selection != Selection(limit=selection.limit)
    if named == everything:
        problem = "is for all; leave it out, or what is named" if named else "is how all are meant: name some"
        raise ConfigurationError("--all", problem)


def _carry_out(
    work: _Work, *, dry_run: bool, yes: bool, as_json: bool, rate: float | None, profile: str | None,
    **options: Any,
) -> None:  # fmt: skip
    """Show what is meant and ask, then do it; with ``--yes`` at once."""
    with errors_to_exit_codes():
        if as_json and not (yes or dry_run):
            raise ConfigurationError("--json", "asks nothing: add --yes or --dry-run")
        Conduct(rate=rate)  # before anything is read
    total: int | None = None
    if not yes:
        with waiting(None if as_json else "Reading"):
            planned = _run(work, Conduct(dry_run=True), profile=profile, **options)
        _print(planned, as_json=as_json)
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

        conduct = Conduct(rate=rate, on_progress=on_progress, dry_run=dry_run)
        report = _run(work, conduct, profile=profile, **options)
    _print(report, as_json=as_json)
    _end(report)


def _run(work: _Work, conduct: Conduct, *, profile: str | None, **options: Any) -> TaskReport:
    """Carry a task out until it is done or interrupted; then it ends cleanly, and says how far it came."""
    reports: list[TaskReport] = []
    with errors_to_exit_codes():
        configuration = settings_of(**options).to_configuration()

        async def run(stop: asyncio.Event) -> None:
            async with open_admin(configuration, profile=profile) as admin:
                stoppable = Conduct(
                    dry_run=conduct.dry_run, rate=conduct.rate, on_progress=conduct.on_progress, stop=stop
                )
                reports.append(await work(admin, stoppable))

        run_until_stopped(run)
    return reports[0]


def _print(report: TaskReport, *, as_json: bool) -> None:
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
        again = f" with --resume {report.began_at}" if report.task == "replay" else ""
        stderr.print(f"Interrupted: the same command{again} does the rest.", highlight=False, soft_wrap=True)


def _end(report: TaskReport) -> NoReturn:
    if report.interrupted:
        raise typer.Exit(130)
    raise typer.Exit(0 if report.succeeded else 1)

"""`outbox doctor`: what loses or disorders messages in a stack, or in a plan of one."""

import asyncio
import base64
import hashlib
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from outbox_sdk.cli.admin import plain, print_document, print_table
from outbox_sdk.cli.options import (
    AllowedTopicsOption,
    EndpointOption,
    JsonOption,
    ProfileOption,
    RegionOption,
    TableOption,
    settings_of,
)
from outbox_sdk.cli.output import errors_to_exit_codes, stderr
from outbox_sdk.core.doctor.finding import Diagnosis, Finding
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.function import ARCHITECTURES
from outbox_sdk.packaging import find_carried_package
from outbox_sdk.shell.doctor import diagnose_plan, diagnose_stack
from outbox_sdk.shell.settings import Settings

__all__ = ["doctor"]

_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}
_STDIN = Path("-")


def doctor(
    *,
    table: TableOption = None,
    function: Annotated[
        str | None, typer.Option("--function", help="The relay; else who relays the table's stream.")
    ] = None,
    sweeper: Annotated[
        str | None, typer.Option("--sweeper", help="The sweeper; else called as the relay is.")
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(help="What `terraform show -json` printed of a plan, - for stdin; asks AWS nothing."),
    ] = None,
    package: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The package that the relay is to run."),
    ] = None,
    allowed_topics: AllowedTopicsOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look for what loses or disorders messages, and say what mends it. An error makes it end with 1."""
    with errors_to_exit_codes():
        expected = _digests(package)
        if plan is not None:
            live = {"--sweeper": sweeper, "--allowed-topics": allowed_topics, "--profile": profile}
            refused = [name for name, value in live.items() if value is not None]
            if refused:
                raise ConfigurationError(refused[0], "is for a stack that runs, and --plan asks AWS nothing")
            content = _read(plan)
            found = diagnose_plan(content, table_name=table, function_name=function, expected_code=expected)
        else:
            settings = settings_of(
                dynamodb_outbox_table_name=table,
                aws_endpoint_url=endpoint_url,
                aws_region=region,
                outbox_allowed_topics=allowed_topics,
            )
            with stderr.status("Looking …"):
                found = (asyncio.run(_diagnose(settings, function, sweeper, profile, expected)),)
    for diagnosis in found:
        if as_json:
            print_document(diagnosis)
        else:
            _print(diagnosis)
    # Where nothing could be looked at, that nothing was found means nothing.
    if any(diagnosis.has_errors or not diagnosis.checked for diagnosis in found):
        raise typer.Exit(1)


async def _diagnose(
    settings: Settings,
    function: str | None,
    sweeper: str | None,
    profile: str | None,
    expected: tuple[str, ...] | None,
) -> Diagnosis:
    configuration = settings.to_configuration()
    return await diagnose_stack(
        configuration.dynamodb_outbox_table_name,
        function_name=function,
        sweeper_name=sweeper,
        topics=tuple(sorted(configuration.outbox_allowed_topics or ())),
        region=configuration.aws_region,
        endpoint_url=configuration.aws_endpoint_url,
        profile=profile,
        expected_code=expected,
    )


def _read(plan: Path) -> bytes:
    if plan == _STDIN:
        return sys.stdin.buffer.read()
    try:
        return plan.read_bytes()
    except OSError as error:
        raise ConfigurationError("--plan", f"{plan} cannot be read ({error.strerror})") from error


def _digests(package: Path | None) -> tuple[str, ...] | None:
    """Give the digests of the packages that a relay may run, as Lambda writes them; none is built for it."""
    carried = [find_carried_package(architecture) for architecture in ARCHITECTURES]
    files = [package] if package is not None else [each for each in carried if each is not None]
    digests = [base64.b64encode(hashlib.sha256(each.read_bytes()).digest()).decode() for each in files]
    return tuple(digests) or None


def _print(diagnosis: Diagnosis) -> None:
    console = Console(soft_wrap=True, highlight=False)
    counts = [
        f"{count} {severity}{'s' if count != 1 and severity != 'info' else ''}"
        for severity in _STYLES
        if (count := sum(each.severity == severity for each in diagnosis.findings))
    ]
    what = ", ".join(counts) or "nothing found"
    not_checked = len(diagnosis.unchecked)
    console.print(
        f"{escape(plain(diagnosis.stack))}: {what}; {diagnosis.checked} checks made, {not_checked} not"
    )
    for finding in diagnosis.findings:
        _print_finding(console, finding)
    if diagnosis.unchecked:
        _print_unchecked(diagnosis)


def _print_finding(console: Console, finding: Finding) -> None:
    style = _STYLES[finding.severity]
    where = f"{finding.id}  {plain(finding.resource)}"
    console.print(f"\n[{style}]{finding.severity}[/]  {escape(where)}")
    for label, text in (("what", finding.what), ("risk", finding.risk), ("mend", finding.remedy)):
        console.print(f"  {label}  {escape(plain(text))}")


def _print_unchecked(diagnosis: Diagnosis) -> None:
    """Say each reason once, with all that it kept from being checked; of what, is in the JSON."""
    by_reason: dict[str, list[str]] = {}
    for each in diagnosis.unchecked:
        by_reason.setdefault(each.reason, []).append(each.id)
    rows: list[tuple[object, ...]] = [
        (reason, ", ".join(dict.fromkeys(ids))) for reason, ids in by_reason.items()
    ]
    print_table("\nNot checked", {"why": "", "checks": ""}, rows)

"""`outbox sweep`: what has stayed behind is taken up again."""

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import typer

from outbox_sdk.cli.admin import waiting
from outbox_sdk.cli.options import (
    AllowedTopicsOption,
    EndpointOption,
    EnvelopeOption,
    JsonOption,
    PrefixOption,
    ProfileOption,
    RegionOption,
    StrategyOption,
    TableOption,
    settings_of,
)
from outbox_sdk.cli.output import errors_to_exit_codes, line_printer
from outbox_sdk.core.claim_sweep import ClaimSweepReport, describe_claim_sweep
from outbox_sdk.core.sweep_report import SweepReport, describe_sweep, describe_troubles
from outbox_sdk.shell.relay import open_relay
from outbox_sdk.shell.settings import Settings

__all__ = ["sweep"]

_T = TypeVar("_T")


def sweep(
    *,
    table: TableOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    topic_prefix: PrefixOption = None,
    allowed_topics: AllowedTopicsOption = None,
    mark_strategy: StrategyOption = None,
    envelope: EnvelopeOption = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Publish the backlog at once, without the stream.")
    ] = False,
    older_than: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds an item was outstanding; else OUTBOX_SWEEP_AFTER_SECONDS."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many items; else OUTBOX_SWEEP_LIMIT.")
    ] = None,
    claims: Annotated[
        bool, typer.Option("--claims", help="Delete orphaned bodies in S3, and touch nothing.")
    ] = False,
    claim_bucket: Annotated[
        str | None, typer.Option(help="The bucket of the claims; else OUTBOX_CLAIM_BUCKET.")
    ] = None,
    claim_prefix: Annotated[
        str | None, typer.Option(help="What its keys begin with; else OUTBOX_CLAIM_PREFIX.")
    ] = None,
    claim_minimum_age_days: Annotated[
        int | None,
        typer.Option(help="Days that a queue may keep a message; else OUTBOX_CLAIM_MINIMUM_AGE_DAYS."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Take up again what has been outstanding for too long: touch it, or publish it."""
    if claims and publish:
        raise typer.BadParameter("--claims and --publish are two sweeps: run one after the other")
    with errors_to_exit_codes():
        settings = settings_of(
            dynamodb_outbox_table_name=table,
            aws_endpoint_url=endpoint_url,
            aws_region=region,
            aws_sns_topic_prefix=topic_prefix,
            outbox_allowed_topics=allowed_topics,
            outbox_mark_strategy=mark_strategy,
            outbox_envelope=envelope,
            outbox_sweep_after_seconds=older_than,
            outbox_sweep_limit=limit,
            outbox_claim_bucket=claim_bucket,
            outbox_claim_prefix=claim_prefix,
            outbox_claim_minimum_age_days=claim_minimum_age_days,
        )
        if claims:
            swept = _run(_sweep_claims(settings, profile=profile), as_json=as_json)
            succeeded, lines = swept.succeeded, [describe_claim_sweep(swept)]
        else:
            report = _run(_sweep(settings, profile=profile, publish=publish), as_json=as_json)
            succeeded, lines = report.succeeded, [*describe_troubles(report), describe_sweep(report)]
    show = line_printer(as_json=as_json)
    for line in lines:
        show(line)
    if not succeeded:
        raise typer.Exit(1)


def _run(work: Coroutine[Any, Any, _T], *, as_json: bool) -> _T:
    with waiting(None if as_json else "Sweeping"):
        return asyncio.run(work)


async def _sweep_claims(settings: Settings, *, profile: str | None) -> ClaimSweepReport:
    async with open_relay(settings.to_configuration(), profile=profile) as opened:
        return await opened.sweep_claims()


async def _sweep(settings: Settings, *, profile: str | None, publish: bool) -> SweepReport:
    async with open_relay(settings.to_configuration(), profile=profile) as opened:
        return await opened.sweep(publish=publish)

"""`outbox redrive`, `outbox replay` and `outbox purge`: what is meant is shown first, and asked about."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from outbox_sdk.cli.carrying_out import carry_out
from outbox_sdk.cli.options import EndpointOption, JsonOption, ProfileOption, RegionOption, TableOption
from outbox_sdk.cli.output import errors_to_exit_codes
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
from outbox_sdk.core.when import parse_when

__all__ = ["purge", "redrive", "replay"]

_DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Count what is meant, and change nothing.")]
_YesOption = Annotated[bool, typer.Option("--yes", help="Do it without showing it first and asking.")]
_RateOption = Annotated[float | None, typer.Option("--rate", help="At most so many messages a second.")]


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
    now = datetime.now(UTC)
    with errors_to_exit_codes():
        selection = selection_of(
            message_ids=message_id, aggregate_ids=aggregate, topics=topic, message_types=message_type,
            reasons=reason, since=since, until=until, limit=limit, now=now,
        )  # fmt: skip
    carry_out(
        lambda admin, conduct: admin.redrive(selection, conduct),
        began_at=now, limit=limit, dry_run=dry_run, yes=yes, as_json=as_json, rate=rate, profile=profile,
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
    now = datetime.now(UTC)
    with errors_to_exit_codes():
        began = None if resume is None else parse_when(resume, now=now, variable="--resume")
        selection = selection_of(
            message_ids=message_id, aggregate_ids=aggregate, topics=topic, message_types=message_type,
            since=since, until=until, limit=limit,
            now=began or now,  # what was two days ago then is meant, and not what is two days ago by now
        )  # fmt: skip
        _check_named(selection, everything=everything)
    carry_out(
        lambda admin, conduct: admin.replay(selection, conduct, resume=began),
        began_at=began or now, limit=limit, dry_run=dry_run, yes=yes, as_json=as_json, rate=rate,
        profile=profile, dynamodb_outbox_table_name=table, aws_endpoint_url=endpoint_url, aws_region=region,
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
    now = datetime.now(UTC)
    with errors_to_exit_codes():
        selection = selection_of(
            message_ids=message_id, aggregate_ids=aggregate, topics=topic, message_types=message_type,
            reasons=reason, since=since, until=until, limit=limit, now=now,
        )  # fmt: skip
        known = _state_of(state)
        _check_named(selection, everything=everything)
        try:
            check_purge(known, force=force)
        except ConfigurationError as error:
            raise ConfigurationError("--force", error.problem) from error
    carry_out(
        lambda admin, conduct: admin.purge(selection, conduct, state=known, force=force),
        began_at=now, limit=limit, dry_run=dry_run, yes=yes, as_json=as_json, rate=rate, profile=profile,
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

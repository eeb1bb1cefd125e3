"""`outbox pending`, `outbox parked` and `outbox show`: the messages in an outbox, and one of them."""

from typing import Annotated

import typer

from outbox_sdk.cli.admin import age, plain, print_document, print_pairs, print_table, progress, run_admin
from outbox_sdk.cli.options import EndpointOption, JsonOption, ProfileOption, RegionOption, TableOption
from outbox_sdk.cli.output import errors_to_exit_codes, stderr
from outbox_sdk.cli.selecting import (
    AggregatesOption,
    MessageIdsOption,
    ReasonsOption,
    SinceOption,
    TopicsOption,
    TypesOption,
    UntilOption,
    selection_of,
)
from outbox_sdk.core.message_view import MessageLife, MessageView, describe_life
from outbox_sdk.core.selection import Selection

__all__ = ["PayloadOption", "parked", "pending", "show"]

PayloadOption = Annotated[bool, typer.Option("--payload", help="Show bodies and headers too.")]
_ListLimit = Annotated[int, typer.Option("--limit", min=1, help="At most so many, the oldest first.")]


def pending(
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
    limit: _ListLimit = 50,
    payload: PayloadOption = False,
    as_json: JsonOption = False,
) -> None:
    """List outstanding messages, the oldest first."""
    with errors_to_exit_codes():
        selection = selection_of(
            message_ids=message_id, aggregate_ids=aggregate, topics=topic, message_types=message_type,
            since=since, until=until, limit=limit,
        )  # fmt: skip
    found = run_admin(
        lambda admin: admin.pending(selection, payload=payload),
        doing=None if as_json else "Reading the index",
        profile=profile, dynamodb_outbox_table_name=table, aws_endpoint_url=endpoint_url, aws_region=region,
    )  # fmt: skip
    columns = {"age": "right", "topic": "", "type": "", "aggregate": "", "id": "", "touched": ""}
    rows: list[tuple[object, ...]] = [
        (
            age(each.age_seconds), each.topic, each.message_type, each.aggregate_id, each.message_id,
            each.touched_at,
        )
        for each in found
    ]  # fmt: skip
    _print_found("Outstanding messages", found, columns, rows, selection, as_json=as_json, payload=payload)


def parked(
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
    limit: _ListLimit = 50,
    payload: PayloadOption = False,
    as_json: JsonOption = False,
) -> None:
    """List parked messages, the oldest first, with the reason of each and what to do about it."""
    with errors_to_exit_codes():
        selection = selection_of(
            message_ids=message_id, aggregate_ids=aggregate, topics=topic, message_types=message_type,
            reasons=reason, since=since, until=until, limit=limit,
        )  # fmt: skip
    found = run_admin(
        lambda admin: admin.parked(selection, payload=payload),
        doing=None if as_json else "Reading the index",
        profile=profile, dynamodb_outbox_table_name=table, aws_endpoint_url=endpoint_url, aws_region=region,
    )  # fmt: skip
    columns = {"age": "right", "reason": "", "topic": "", "type": "", "aggregate": "", "id": ""}
    rows: list[tuple[object, ...]] = [
        (
            age(each.age_seconds), each.park_reason, each.topic, each.message_type, each.aggregate_id,
            each.message_id,
        )
        for each in found
    ]  # fmt: skip
    _print_found("Parked messages", found, columns, rows, selection, as_json=as_json, payload=payload)
    if not as_json:
        for advice in dict.fromkeys(each.advice for each in found if each.advice):
            typer.echo(f"To do: {plain(advice)}")


def _print_found(
    title: str,
    found: tuple[MessageView, ...],
    columns: dict[str, str],
    rows: list[tuple[object, ...]],
    selection: Selection,
    *,
    as_json: bool,
    payload: bool,
) -> None:
    if as_json:
        for view in found:
            print_document(view)
        return
    if not found:
        typer.echo(f"{title}: none.")
        return
    if payload:
        columns = {**columns, "body": ""}
        rows = [(*row, view.payload and view.payload.body) for row, view in zip(rows, found, strict=True)]
    print_table(title, columns, rows)
    if selection.limit is not None and len(found) >= selection.limit:
        stderr.print(
            f"The oldest {selection.limit}; there may be more: --limit shows them.",
            highlight=False,
            soft_wrap=True,
        )


def show(
    message_id: Annotated[str, typer.Argument(metavar="ID", help="The message's id.")],
    *,
    table: TableOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    aggregate: Annotated[
        str | None, typer.Option("--aggregate", help="Its aggregate: then it is one read.")
    ] = None,
    scan: Annotated[
        bool, typer.Option("--scan", help="Read the whole table, if it is not found otherwise.")
    ] = False,
    payload: PayloadOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show one message, whatever has become of it."""
    with progress("Scanning", shown=scan and not as_json) as advance:
        found = run_admin(
            lambda admin: admin.show(
                message_id, aggregate_id=aggregate, scan=scan, payload=payload, on_scanned=advance
            ),
            profile=profile, dynamodb_outbox_table_name=table, aws_endpoint_url=endpoint_url,
            aws_region=region,
        )  # fmt: skip
    for place, view in enumerate(found):
        life = MessageLife(view, describe_life(view))
        if as_json:
            print_document(life)
        else:
            typer.echo("\n" * bool(place), nl=False)
            _print_life(life)
    if not found:
        further = "" if scan else "; what is dispatched is found with --aggregate, or with --scan"
        stderr.print(
            f"outbox: no message {plain(message_id)} was found{further}",
            style="red",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        raise typer.Exit(1)


def _print_life(life: MessageLife) -> None:
    view = life.message
    print_pairs(
        {
            "message": view.message_id,
            "state": view.state,
            "key": " ".join(f"{name}={text}" for name, text in view.key.items()),
            "aggregate": view.aggregate_id,
            "topic": view.topic,
            "type": view.message_type,
            "version": view.schema_version,
            "content type": view.content_type,
            "correlation": view.correlation_id,
            "sequence": view.sequence,
            "hops": view.hops,
            "bytes": view.body_bytes,
            "headers": ", ".join(view.header_names),
            "age": age(view.age_seconds),
            "dispatches": view.dispatches,
            "redrives": view.redrives,
            "reason": view.park_reason,
            "to do": view.advice,
        }
    )
    typer.echo("")
    for event in life.life:
        typer.echo(f"{plain(event.at)}  {event.event}")
    if view.payload is not None:
        typer.echo("")
        print_pairs(view.payload.headers)
        typer.echo("\n".join(plain(line) for line in view.payload.body.split("\n")))

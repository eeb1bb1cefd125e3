"""`outbox status`: how an outbox stands, once or again and again."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console

from outbox_sdk.cli.admin import age, plain, print_document, print_table, run_admin, watch_admin
from outbox_sdk.cli.options import EndpointOption, JsonOption, ProfileOption, RegionOption, TableOption
from outbox_sdk.core.status import Group, OutboxStatus
from outbox_sdk.shell.admin import Admin

__all__ = ["status"]


def status(
    *,
    table: TableOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    sample: Annotated[
        int, typer.Option(min=0, max=100_000, help="Read so many of the oldest items for topics and types.")
    ] = 1_000,
    watch: Annotated[
        float | None, typer.Option(min=1, help="Look again every so many seconds, until stopped.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is outstanding and parked, since when, by topic and by type. Reads the index, never scans."""

    def print_status(found: OutboxStatus) -> None:
        if as_json:
            print_document(found)
        else:
            _print_status(found)

    async def look(admin: Admin, stop: asyncio.Event) -> None:
        while not stop.is_set():
            found = await admin.status(sample=sample)
            if not as_json:
                Console().clear()
            print_status(found)
            try:
                await asyncio.wait_for(stop.wait(), watch)
            except TimeoutError:
                continue

    options = {
        "dynamodb_outbox_table_name": table,
        "aws_endpoint_url": endpoint_url,
        "aws_region": region,
    }
    if watch is None:
        print_status(
            run_admin(
                lambda admin: admin.status(sample=sample),
                profile=profile,
                doing=None if as_json else "Reading the index",
                **options,
            )
        )
    else:
        watch_admin(look, profile=profile, **options)


def _print_status(found: OutboxStatus) -> None:
    typer.echo(f"{plain(found.table)} at {found.at}")
    print_table(
        "",
        {"": "", "messages": "right", "oldest": "right", "since": ""},
        [
            (name, group.count, age(group.oldest_age_seconds), group.oldest_created_at)
            for name, group in (("outstanding", found.outstanding), ("parked", found.parked))
        ],
    )
    for name, group in (("Outstanding", found.outstanding), ("Parked", found.parked)):
        _print_parts(name, group)


def _print_parts(name: str, group: Group) -> None:
    parts = {"topic": group.by_topic, "type": group.by_type, "reason": group.by_reason}
    rows: list[tuple[object, ...]] = [
        (what, text, count) for what, counts in parts.items() for text, count in counts.items()
    ]
    if rows:
        of = "" if group.looked_at >= group.count else f" (of the oldest {group.looked_at} of {group.count})"
        print_table(f"{name}{of}", {"by": "", "name": "", "messages": "right"}, rows)

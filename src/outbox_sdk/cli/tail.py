"""`outbox tail`: what happens to messages, as it happens."""

import asyncio

import typer

from outbox_sdk.cli.admin import plain, print_document, watch_admin
from outbox_sdk.cli.look import PayloadOption
from outbox_sdk.cli.options import EndpointOption, JsonOption, ProfileOption, RegionOption, TableOption
from outbox_sdk.cli.output import errors_to_exit_codes
from outbox_sdk.cli.selecting import (
    AggregatesOption,
    MessageIdsOption,
    TopicsOption,
    TypesOption,
    selection_of,
)
from outbox_sdk.core.passing import Passage
from outbox_sdk.shell.admin import Admin

__all__ = ["tail"]


def tail(
    *,
    table: TableOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    message_id: MessageIdsOption = None,
    aggregate: AggregatesOption = None,
    topic: TopicsOption = None,
    message_type: TypesOption = None,
    payload: PayloadOption = False,
    as_json: JsonOption = False,
) -> None:
    """Follow messages from now on, as they are written, dispatched, parked and sent again."""
    with errors_to_exit_codes():
        selection = selection_of(
            message_ids=message_id, aggregate_ids=aggregate, topics=topic, message_types=message_type
        )

    async def follow(admin: Admin, stop: asyncio.Event) -> None:
        on_passage = print_document if as_json else _print_passage
        await admin.tail(on_passage, selection=selection, payload=payload, stop=stop)

    watch_admin(
        follow, profile=profile, dynamodb_outbox_table_name=table, aws_endpoint_url=endpoint_url,
        aws_region=region,
    )  # fmt: skip


def _print_passage(passage: Passage) -> None:
    view = passage.message
    words = [
        passage.at,
        f"{passage.event:<10}",
        view.topic,
        view.message_type,
        view.aggregate_id,
        view.message_id,
    ]
    if passage.event == "parked":
        words.append(view.park_reason)
    if view.payload is not None:
        words.append(view.payload.body)
    typer.echo("  ".join(map(plain, words)))

"""One relay on an embedded stack, for as long as it takes to bring some messages to their topics."""

import asyncio
from collections.abc import Mapping
from typing import Any

from outbox_sdk import BatchReport, RelayConfiguration, open_relay
from outbox_sdk.core.envelope import EnvelopeKind
from outbox_sdk.core.identifiers import Region, TableName
from outbox_sdk.embedded_stack import EmbeddedStack

__all__ = ["relay_messages"]


async def relay_messages(
    stack: EmbeddedStack,
    table_name: str,
    *,
    prefix: str,
    count: int = 1,
    envelope: EnvelopeKind = "raw",
    options: Mapping[str, Any] | None = None,
) -> None:
    """Follow the table's stream until ``count`` messages are dispatched; ``options`` are for `open_relay`."""
    configuration = RelayConfiguration(
        dynamodb_outbox_table_name=TableName(table_name),
        aws_endpoint_url=stack.endpoint_url,
        aws_region=Region(stack.region),
        aws_sns_topic_prefix=prefix,
        outbox_envelope=envelope,
    )
    credentials = (stack.access_key_id, stack.secret_access_key)
    stop, dispatched = asyncio.Event(), 0

    def end(report: BatchReport) -> None:
        nonlocal dispatched
        dispatched += report.counts().get("dispatched", 0)
        if dispatched >= count:
            stop.set()

    async with (
        asyncio.timeout(60),
        open_relay(configuration, credentials=credentials, **(options or {})) as relay,
    ):
        await relay.follow(stop=stop, on_batch=end)

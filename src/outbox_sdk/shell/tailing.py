"""Watching messages as they pass: the stream read from now on, beside the relay and without a trace."""

import asyncio
from collections.abc import Callable
from typing import Any

from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.passing import Passage, decode_passages
from outbox_sdk.core.selection import Selection
from outbox_sdk.shell.admin import AdminContext
from outbox_sdk.shell.aws.access import AwsAccess
from outbox_sdk.shell.aws.session import open_client
from outbox_sdk.shell.streams import follow_stream

__all__ = ["tail"]


async def tail(
    context: AdminContext,
    access: AwsAccess,
    on_passage: Callable[[Passage], None],
    *,
    selection: Selection | None = None,
    payload: bool = False,
    stop: asyncio.Event | None = None,
    poll_seconds: float = 0.5,
) -> None:
    """Tell of each thing that happens to a message from now on, until ``stop`` is set.

    A shard lets two readers read at a time: the relay, and this. A third is throttled, and so is the relay
    then, which reads on a little later. What ``on_passage`` raises ends it, and is raised.

    Raises:
        ConfigurationError: the table has no stream.
        TableCallError: the table cannot be described.
        OutboxError: the stream cannot be read: the code says why.
    """
    answer = await context.calls.call("DescribeTable", {"TableName": str(context.table_name)})
    stream_arn = answer["Table"].get("LatestStreamArn")
    if not stream_arn:
        raise ConfigurationError(
            "DYNAMODB_OUTBOX_TABLE_NAME", f"table {str(context.table_name)!r} has no stream to watch"
        )

    failures: list[Exception] = []

    async def handle(event: dict[str, Any]) -> None:
        chosen = selection or Selection()
        try:
            passages = decode_passages(event, context.design, chosen, now=context.now(), payload=payload)
            for passage in passages:
                on_passage(passage)
        except Exception as error:
            # Brought again, as for a relay, it would be told again, and fail again.
            failures.append(error)
            following.cancel()

    async with open_client("dynamodbstreams", access) as streams:
        following = asyncio.create_task(
            follow_stream(streams, stream_arn, handle, stop=stop, poll_seconds=poll_seconds, begin="latest")
        )
        try:
            await following
        except asyncio.CancelledError:
            if failures:
                raise failures[0] from None
            raise

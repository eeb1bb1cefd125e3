"""The options that say which messages are meant, and the selection they make."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.selection import Selection
from outbox_sdk.core.when import parse_when

__all__ = [
    "AggregatesOption",
    "LimitOption",
    "MessageIdsOption",
    "ReasonsOption",
    "SinceOption",
    "TopicsOption",
    "TypesOption",
    "UntilOption",
    "selection_of",
]

MessageIdsOption = Annotated[
    list[str] | None,
    typer.Option("--id", help="Of this message id; may be given again, as the others below."),
]
AggregatesOption = Annotated[list[str] | None, typer.Option("--aggregate", help="Of this aggregate.")]
TopicsOption = Annotated[
    list[str] | None, typer.Option("--topic", help="To this topic, as the item names it.")
]
TypesOption = Annotated[list[str] | None, typer.Option("--type", help="Of this message type.")]
ReasonsOption = Annotated[
    list[str] | None, typer.Option("--reason", help="Parked for a reason that begins so, as held: or size.")
]
SinceOption = Annotated[
    str | None, typer.Option("--since", help="From then on: 2h ago, 7d, or an instant as 2026-11-23T09:00Z.")
]
UntilOption = Annotated[str | None, typer.Option("--until", help="Before then; written like --since.")]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")]


def selection_of(
    *,
    message_ids: Sequence[str] | None = None,
    aggregate_ids: Sequence[str] | None = None,
    topics: Sequence[str] | None = None,
    message_types: Sequence[str] | None = None,
    reasons: Sequence[str] | None = None,
    since: str | None = None,
    until: str | None = None,
    limit: int | None = None,
    now: datetime | None = None,
) -> Selection:
    """Make a selection of what the options say; what is so long ago is so before ``now``, if not before now.

    Raises:
        ConfigurationError: a value is wrong; it names the option.
    """
    now = now or datetime.now(UTC)
    try:
        return Selection(
            message_ids=tuple(message_ids or ()),
            aggregate_ids=tuple(aggregate_ids or ()),
            topics=tuple(topics or ()),
            message_types=tuple(message_types or ()),
            reasons=tuple(reasons or ()),
            since=None if since is None else parse_when(since, now=now, variable="--since"),
            until=None if until is None else parse_when(until, now=now, variable="--until"),
            limit=limit,
        )
    except ConfigurationError as error:
        raise ConfigurationError(_OPTIONS.get(error.variable, error.variable), error.problem) from error


_OPTIONS = {
    "message_ids": "--id",
    "aggregate_ids": "--aggregate",
    "topics": "--topic",
    "message_types": "--type",
    "reasons": "--reason",
    "since": "--since",
    "until": "--until",
    "limit": "--limit",
}

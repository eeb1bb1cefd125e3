"""A purge decided: which items may be deleted, and the request that deletes one as long as it is so."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from outbox_sdk.core.aggregate_order import age_order
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import TableName
from outbox_sdk.core.message_view import MessageState
from outbox_sdk.core.seen_item import SeenItem, condition_of, was_dispatched_before
from outbox_sdk.core.table import TableDesign

__all__ = ["check_purge", "plan_purge", "purge_request"]


def check_purge(state: MessageState, *, force: bool) -> None:
    """Refuse to delete what nobody has published, unless it is forced.

    Raises:
        ConfigurationError: ``state`` is ``outstanding`` and nobody forces it.

    >>> check_purge("dispatched", force=False)
    """
    if state == "outstanding" and not force:
        raise ConfigurationError(
            "force",
            "outstanding messages are published by nobody once they are deleted; force it to lose them",
        )


def plan_purge(items: Iterable[SeenItem], *, state: MessageState, began_at: datetime) -> list[SeenItem]:
    """Choose what a purge that began then deletes, the oldest first.

    Left out is what is in another state, and what was dispatched at ``began_at`` or later.
    """
    meant = (item for item in items if item.state == state)
    if state == "dispatched":
        meant = (item for item in meant if was_dispatched_before(item, began_at))
    return sorted(meant, key=age_order)


def purge_request(seen: SeenItem, design: TableDesign, table_name: TableName | str) -> dict[str, Any]:
    """Write the arguments of ``DeleteItem`` for one item, if it still is as it was seen."""
    condition = condition_of(seen, design)
    return {
        "TableName": str(table_name),
        "Key": seen.key.to_item(),
        "ConditionExpression": condition.expression,
        "ExpressionAttributeNames": dict(condition.names),
        "ExpressionAttributeValues": dict(condition.values),
    }

"""A purge decided: which items may be deleted, and the request that deletes one as long as it is so."""

from typing import Any

from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import TableName
from outbox_sdk.core.message_view import MessageState
from outbox_sdk.core.seen_item import SeenItem, condition_of
from outbox_sdk.core.table import TableDesign

__all__ = ["check_purge", "purge_request"]


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

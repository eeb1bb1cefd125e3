"""What each command of a person may do, as IAM actions: for the policy of whoever looks after an outbox."""

from collections.abc import Collection, Mapping
from typing import Any, Literal

import msgspec

from outbox_sdk.core.errors import ConfigurationError

__all__ = ["OPERATOR_RIGHTS", "Right", "operator_policy"]

_On = Literal["table", "index", "stream"]


class Right(msgspec.Struct, frozen=True):
    """An operation of DynamoDB that is made on the table, its index or its stream."""

    operation: str
    on: _On

    @property
    def action(self) -> str:
        """The IAM action that it needs."""
        return f"dynamodb:{self.operation}"


_LIST = Right("Query", "index")
_READ = Right("BatchGetItem", "table")
_SCAN = Right("Scan", "table")
_QUERY = Right("Query", "table")
_UPDATE = Right("UpdateItem", "table")
_FOLLOW = tuple(Right(name, "stream") for name in ("DescribeStream", "GetRecords", "GetShardIterator"))

OPERATOR_RIGHTS: Mapping[str, tuple[Right, ...]] = {
    "status": (_LIST, _READ),
    "pending": (_LIST, _READ),
    "parked": (_LIST, _READ),
    "show": (_LIST, _READ, _SCAN),
    "redrive": (_LIST, _READ, _UPDATE),
    "replay": (_SCAN, _QUERY, _UPDATE),
    "purge": (_LIST, _READ, _SCAN, _QUERY, Right("DeleteItem", "table")),
    "tail": (Right("DescribeTable", "table"), *_FOLLOW),
}
"""By command, all that it may call; ``show`` scans only if it is told to."""


def operator_policy(
    table_arn: str, index: str, commands: Collection[str] = tuple(OPERATOR_RIGHTS)
) -> dict[str, Any]:
    """Write the policy of somebody who uses these commands on one table.

    Raises:
        ConfigurationError: there is no such command that would need a right on the table.

    >>> policy = operator_policy(
    ...     "arn:aws:dynamodb:eu-west-1:123456789012:table/outbox", "NotDispatchedMessagesIndex", ["status"])
    >>> [statement["Action"] for statement in policy["Statement"]]
    [['dynamodb:Query'], ['dynamodb:BatchGetItem']]
    """
    resources = {"index": f"{table_arn}/index/{index}", "table": table_arn, "stream": f"{table_arn}/stream/*"}
    unknown = sorted(set(commands) - set(OPERATOR_RIGHTS))
    if unknown:
        raise ConfigurationError("commands", f"{unknown[0]!r} is not one of {', '.join(OPERATOR_RIGHTS)}")
    rights = {right for command in commands for right in OPERATOR_RIGHTS[command]}
    statements = []
    for on, resource in resources.items():
        actions = sorted(right.action for right in rights if right.on == on)
        if actions:
            statements.append({"Effect": "Allow", "Action": actions, "Resource": [resource]})
    return {"Version": "2012-10-17", "Statement": statements}

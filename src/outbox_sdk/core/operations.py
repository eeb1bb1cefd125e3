"""Every AWS operation that a role makes, as data: what a policy allows and what a package carries.

A role is who calls: the ``relay`` in Lambda, the ``follower`` (the same relay in a process of your own, which
reads the stream by itself), and the ``sweeper``, which touches what stayed behind.
"""

from collections.abc import Collection
from typing import Literal

import msgspec

from outbox_sdk.core.destinations import Service
from outbox_sdk.core.mark import MarkStrategy

__all__ = [
    "CLAIM_SWEEP",
    "DELETE_MARKS",
    "DESCRIBE_BUS",
    "DESCRIBE_TABLE",
    "GET_IDENTITY",
    "ITEM_UPDATE",
    "LIST_BUCKET",
    "LOOKUP",
    "MARK_OPERATIONS",
    "MARK_STATEMENTS",
    "PUBLISH",
    "PUBLISHES",
    "PUT_EVENTS",
    "PUT_RECORDS",
    "ROLES",
    "SEND_MESSAGES",
    "STREAM_READS",
    "Operation",
    "Role",
    "Scope",
    "list_operations",
]

Role = Literal["relay", "follower", "sweeper"]
ROLES: tuple[Role, ...] = ("relay", "follower", "sweeper")

Scope = Literal[
    "table",
    "index",
    "stream",
    "topics",
    "queues",
    "buses",
    "data streams",
    "account",
    "claim-bucket",
    "claim-notes",
    "claims",
]
"""What an operation is made on; ``account`` is nothing that a policy could name."""


class Operation(msgspec.Struct, frozen=True):
    """An operation by botocore's name of its service, and the IAM action that it needs.

    Names differ where AWS checks something else than the operation: ``PublishBatch`` needs ``sns:Publish``,
    and a PartiQL statement needs what the statement does. ``action`` is empty where nothing is checked.
    """

    service: str
    name: str
    action: str
    scope: Scope


PUBLISH = Operation("sns", "PublishBatch", "sns:Publish", "topics")
SEND_MESSAGES = Operation("sqs", "SendMessageBatch", "sqs:SendMessage", "queues")
PUT_EVENTS = Operation("events", "PutEvents", "events:PutEvents", "buses")
PUT_RECORDS = Operation("kinesis", "PutRecords", "kinesis:PutRecords", "data streams")
PUBLISHES: dict[Service, Operation] = {
    "sns": PUBLISH,
    "sqs": SEND_MESSAGES,
    "events": PUT_EVENTS,
    "kinesis": PUT_RECORDS,
}
"""How messages are published, by service."""

DESCRIBE_BUS = Operation("events", "DescribeEventBus", "events:DescribeEventBus", "buses")
"""``PutEvents`` does not say that there is no such bus."""

LOOKUP = Operation("dynamodb", "BatchGetItem", "dynamodb:BatchGetItem", "table")
ITEM_UPDATE = Operation("dynamodb", "UpdateItem", "dynamodb:UpdateItem", "table")
"""A single mark, a park, a touch."""

MARK_STATEMENTS = Operation("dynamodb", "BatchExecuteStatement", "dynamodb:PartiQLUpdate", "table")
DELETE_MARKS = Operation("dynamodb", "BatchWriteItem", "dynamodb:BatchWriteItem", "table")
LIST_BUCKET = Operation("dynamodb", "Query", "dynamodb:Query", "index")
DESCRIBE_TABLE = Operation("dynamodb", "DescribeTable", "dynamodb:DescribeTable", "table")
GET_IDENTITY = Operation("sts", "GetCallerIdentity", "", "account")
STREAM_READS: tuple[Operation, ...] = tuple(
    Operation("dynamodbstreams", name, f"dynamodb:{name}", "stream")
    for name in ("DescribeStream", "GetRecords", "GetShardIterator")
)

CLAIM_SWEEP: tuple[Operation, ...] = (
    Operation("s3", "ListObjectsV2", "s3:ListBucket", "claim-bucket"),
    Operation("s3", "PutObject", "s3:PutObject", "claim-notes"),
    Operation("s3", "DeleteObjects", "s3:DeleteObject", "claims"),
)
"""A sweep of claimed bodies, which it never reads."""

MARK_OPERATIONS: dict[MarkStrategy, Operation] = {
    "batch": MARK_STATEMENTS,
    "single": ITEM_UPDATE,
    "delete": DELETE_MARKS,
}


_TOPICS: tuple[Service, ...] = ("sns",)


def list_operations(
    role: Role,
    *,
    strategy: MarkStrategy,
    marks: bool = True,
    sweeps_publish: bool = False,
    sweeps_claims: bool = False,
    services: Collection[Service] = _TOPICS,
) -> tuple[Operation, ...]:
    """List the operations that a role makes, each once.

    ``marks`` is ``False`` where marking is skipped; parking is not. ``sweeps_publish`` lets the sweeper
    publish the backlog by itself, ``sweeps_claims`` lets it delete claimed bodies. ``services`` are those of
    the destinations.

    >>> [operation.name for operation in list_operations("sweeper", strategy="batch")]
    ['Query', 'BatchGetItem', 'UpdateItem']
    """
    publish = [operation for service, operation in PUBLISHES.items() if service in services]
    publish += [DESCRIBE_BUS] if "events" in services else []
    dispatch = [*publish, LOOKUP, ITEM_UPDATE, *([MARK_OPERATIONS[strategy]] if marks else [])]
    by_role = {
        "relay": dispatch,
        "follower": [*dispatch, DESCRIBE_TABLE, *STREAM_READS, GET_IDENTITY],
        "sweeper": [
            *(LIST_BUCKET, LOOKUP, ITEM_UPDATE),
            *(dispatch if sweeps_publish else ()),
            *(CLAIM_SWEEP if sweeps_claims else ()),
        ],
    }
    return tuple(dict.fromkeys(by_role[role]))

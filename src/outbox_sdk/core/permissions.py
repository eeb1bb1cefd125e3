"""IAM as data: who may take a role on, and the least that each role needs, from the operations it makes."""

from collections.abc import Iterable
from typing import Any

import msgspec

from outbox_sdk.core.configuration import RelayConfiguration
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import AccountId, Partition, Region
from outbox_sdk.core.operations import Operation, Role, Scope, list_operations
from outbox_sdk.core.table import TableDesign

__all__ = [
    "STREAM_ACTIONS",
    "Grants",
    "Place",
    "invoke_policy",
    "policy_document",
    "topic_arns",
    "trust_policy",
]

STREAM_ACTIONS: tuple[str, ...] = (
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
)
"""What Lambda itself does with the relay's role, to bring the stream's records."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything is: table, topics and functions share one account and one Region."""

    partition: Partition = Partition("aws")
    region: Region
    account_id: AccountId

    def arn(self, service: str, resource: str) -> str:
        """Name a resource of this place.

        >>> Place(region=Region("eu-west-1"), account_id=AccountId("123456789012")).arn("sns", "orders")
        'arn:aws:sns:eu-west-1:123456789012:orders'
        """
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"

    def role_arn(self, name: str) -> str:
        """Name a role of the account."""
        return f"arn:{self.partition}:iam::{self.account_id}:role/{name}"

    def endpoint(self, service: str) -> str:
        """Name a service as the conditions of a policy do."""
        suffix = "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"
        return f"{service}.{self.region}.{suffix}"


class Grants(msgspec.Struct, frozen=True, kw_only=True):
    """What a role gets beyond what the configuration says.

    ``function_name`` names its log group, and ``creates_log_group`` lets it make that. ``on_failure`` is
    the mapping's destination. ``kms_keys`` are the ARNs of the customer-managed keys of the table, of the
    topics and of the destination. ``sweeps_publish`` lets a sweeper publish. ``confine_attributes`` bounds
    updates to the attributes that a mark, a park and a touch write, so that the role cannot change a
    message.
    """

    function_name: str
    creates_log_group: bool = True
    on_failure: str | None = None
    kms_keys: tuple[str, ...] = ()
    sweeps_publish: bool = False
    confine_attributes: bool = False
    allow_any_topic: bool = False


def trust_policy(
    service: str = "lambda.amazonaws.com", *, account_id: AccountId | None = None
) -> dict[str, Any]:
    """Let one service, and nobody else, take a role on; for one account where the service says for whom."""
    principal = {"Service": service}
    statement: dict[str, Any] = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    if account_id is not None:
        statement["Condition"] = {"StringEquals": {"aws:SourceAccount": account_id}}
    return _document([statement])


def invoke_policy(place: Place, function_name: str) -> dict[str, Any]:
    """Let a schedule invoke one function."""
    resource = [place.arn("lambda", f"function:{function_name}")]
    return _document([_allow("Invoke", ["lambda:InvokeFunction"], resource)])


def policy_document(
    role: Role, configuration: RelayConfiguration, place: Place, grants: Grants
) -> dict[str, Any]:
    """Write the inline policy of a role: the operations it makes, on its own table and topics only.

    Raises:
        ConfigurationError: a role that publishes would reach every topic of the account, which
            ``allow_any_topic`` alone allows; or the destination is none that Lambda takes.
    """
    operations = list_operations(
        role,
        strategy=configuration.outbox_mark_strategy,
        marks=not configuration.outbox_skip_mark_messages_as_dispatched,
        sweeps_publish=grants.sweeps_publish,
    )
    statements = _operation_statements(operations, configuration, place, grants)
    if role == "relay":
        resource = _resources("stream", configuration, place, grants)
        statements.append(_allow("ReadStream", STREAM_ACTIONS, resource))
        if grants.on_failure is not None:
            statements.append(_destination_statement(grants.on_failure, place))
    if role != "follower":
        statements.append(_log_statement(place, grants))
    if grants.kms_keys:
        statements.append(_key_statement(place, grants.kms_keys))
    return _document(statements)


def topic_arns(configuration: RelayConfiguration, place: Place, *, allow_any_topic: bool) -> tuple[str, ...]:
    """Name the topics that a policy allows: those of the allow-list, else all under the prefix.

    Raises:
        ConfigurationError: there is neither, and any topic is not allowed.
    """
    prefix, allowed = configuration.aws_sns_topic_prefix, configuration.outbox_allowed_topics
    if allowed is not None:
        return tuple(place.arn("sns", f"{prefix}{name}") for name in sorted(allowed))
    if not prefix and not allow_any_topic:
        raise ConfigurationError(
            "OUTBOX_ALLOWED_TOPICS",
            "is not set, and AWS_SNS_TOPIC_PREFIX is empty: a producer could reach every topic of the "
            "account. Set one of them, or say allow_any_topic",
        )
    return (place.arn("sns", f"{prefix}*"),)


def _operation_statements(
    operations: Iterable[Operation], configuration: RelayConfiguration, place: Place, grants: Grants
) -> list[dict[str, Any]]:
    actions: dict[Scope, list[str]] = {}
    for operation in operations:
        if operation.action:
            actions.setdefault(operation.scope, []).append(operation.action)
    statements = []
    for scope, names in actions.items():
        resource = _resources(scope, configuration, place, grants)
        if scope == "table" and grants.confine_attributes:
            updates = [name for name in names if name in _UPDATES]
            condition = _attribute_condition(configuration.outbox_table_design)
            statements.append(_allow("UpdateItems", updates, resource, condition))
            names = [name for name in names if name not in updates]  # noqa: PLW2901 - what is left
        statements.append(_allow(_SIDS[scope], names, resource))
    return statements


_SIDS: dict[Scope, str] = {
    "table": "UseTable",
    "index": "ListBacklog",
    "stream": "FollowStream",
    "topics": "Publish",
}
_UPDATES = ("dynamodb:UpdateItem", "dynamodb:PartiQLUpdate")


def _resources(scope: Scope, configuration: RelayConfiguration, place: Place, grants: Grants) -> list[str]:
    table = place.arn("dynamodb", f"table/{configuration.dynamodb_outbox_table_name}")
    match scope:
        case "table":
            return [table]
        case "index":
            return [f"{table}/index/{configuration.outbox_table_design.outstanding_index}"]
        case "stream":
            # Switching a stream off and on makes a new one.
            return [f"{table}/stream/*"]
        case _:
            return list(topic_arns(configuration, place, allow_any_topic=grants.allow_any_topic))


def _attribute_condition(design: TableDesign) -> dict[str, Any]:
    names = (
        *(design.partition_key, design.sort_key, design.not_dispatched, design.redrive_count),
        *(design.is_dispatched, design.dispatch_count, design.last_dispatched_at, design.expires_at),
        *(design.parked_at, design.park_reason, design.created_at, design.touched_at),
    )
    return {"ForAllValues:StringEquals": {"dynamodb:Attributes": [name for name in names if name]}}


def _destination_statement(arn: str, place: Place) -> dict[str, Any]:
    service = arn.split(":")[2] if arn.count(":") >= 5 else ""
    match service:
        case "s3":
            owned = {"StringEquals": {"s3:ResourceAccount": place.account_id}}
            return _allow("KeepFailures", ["s3:ListBucket", "s3:PutObject"], [arn, f"{arn}/*"], owned)
        case "sqs":
            return _allow("KeepFailures", ["sqs:SendMessage"], [arn])
        case "sns":
            return _allow("KeepFailures", ["sns:Publish"], [arn])
        case _:
            raise ConfigurationError(
                "on_failure", f"{arn!r} is not the ARN of an S3 bucket, a queue or a topic"
            )


def _log_statement(place: Place, grants: Grants) -> dict[str, Any]:
    group = place.arn("logs", f"log-group:/aws/lambda/{grants.function_name}:*")
    create = ["logs:CreateLogGroup"] if grants.creates_log_group else []
    return _allow("WriteLog", [*create, "logs:CreateLogStream", "logs:PutLogEvents"], [group])


def _key_statement(place: Place, keys: Iterable[str]) -> dict[str, Any]:
    # Through these services only: the role cannot use the keys on anything else.
    via = [place.endpoint(service) for service in ("dynamodb", "s3", "sns", "sqs")]
    condition = {"StringEquals": {"kms:ViaService": via}}
    return _allow("UseKeys", ["kms:Decrypt", "kms:GenerateDataKey"], list(keys), condition)


def _allow(
    sid: str, actions: Iterable[str], resources: list[str], condition: dict[str, Any] | None = None
) -> dict[str, Any]:
    statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resources}
    return statement if condition is None else {**statement, "Condition": condition}


def _document(statements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}

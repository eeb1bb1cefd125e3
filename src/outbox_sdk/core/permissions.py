"""IAM as data: who may take a role on, and the least that each role needs, from the operations it makes."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from outbox_sdk.core.backlog import Touch, touch_request
from outbox_sdk.core.claim import ClaimPlace
from outbox_sdk.core.configuration import RelayConfiguration
from outbox_sdk.core.destinations import Service, parse_route, services_of
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import AccountId, ItemKey
from outbox_sdk.core.mark import Mark, Park, mark_request, park_request
from outbox_sdk.core.operations import (
    ITEM_UPDATE,
    LIST_BUCKET,
    MARK_STATEMENTS,
    PUBLISHES,
    Operation,
    Role,
    Scope,
    list_operations,
)
from outbox_sdk.core.place import Place

__all__ = [
    "MAX_POLICY_CHARACTERS",
    "STREAM_ACTIONS",
    "Grants",
    "destination_arns",
    "invoke_policy",
    "policy_document",
    "policy_length",
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

MAX_POLICY_CHARACTERS = 10_240
"""IAM takes inline policies of this length in all, blanks left out, on one role."""


class Grants(msgspec.Struct, frozen=True, kw_only=True):
    """What a role gets beyond what the configuration says.

    ``function_name`` names its log group, and ``creates_log_group`` lets it make that. ``on_failure`` is
    the mapping's destination. ``kms_keys`` are the ARNs of the customer-managed keys of the table, of the
    topics and other destinations of messages, and of the mapping's. ``sweeps_publish`` lets a sweeper
    publish. ``confine_attributes`` bounds updates to the attributes that a mark, a park and a touch write,
    so that the role cannot change a message.
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
    """Write the inline policy of a role: the operations it makes, on its own table and destinations only.

    Raises:
        ConfigurationError: a role that publishes would reach every topic of the account, which
            ``allow_any_topic`` alone allows; a name holds what IAM reads as a pattern; the destination is
            none that Lambda takes; or the policy would be longer than IAM takes.
    """
    _check_names(configuration, grants)
    operations = list_operations(
        role,
        strategy=configuration.outbox_mark_strategy,
        marks=not configuration.outbox_skip_mark_messages_as_dispatched,
        sweeps_publish=grants.sweeps_publish,
        sweeps_claims=configuration.outbox_claim_bucket is not None,
        # An empty list is refused below, with the topics.
        services=services_of(configuration.outbox_allowed_topics) or ("sns",),
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
        used = {"dynamodb", *(operation.service for operation in operations if _publishes(operation))}
        if role == "relay" and grants.on_failure is not None:
            used.add(_service_of(grants.on_failure))
        statements.append(_key_statement(place, grants.kms_keys, sorted(used)))
    _check_length(statements)
    return _document(statements)


def topic_arns(configuration: RelayConfiguration, place: Place, *, allow_any_topic: bool) -> tuple[str, ...]:
    """Name the topics that a policy allows: those of the allow-list, else all under the prefix.

    Raises:
        ConfigurationError: there is neither, and any topic is not allowed; or the list is empty.
    """
    prefix, allowed = configuration.aws_sns_topic_prefix, configuration.outbox_allowed_topics
    if allowed is not None:
        if not allowed:
            raise ConfigurationError("OUTBOX_ALLOWED_TOPICS", "is empty: a relay could publish nothing")
        topics = [name for name in sorted(allowed) if services_of([name]) == ("sns",)]
        return tuple(place.arn("sns", f"{prefix}{name}") for name in topics)
    if not prefix and not allow_any_topic:
        raise ConfigurationError(
            "OUTBOX_ALLOWED_TOPICS",
            "is not set, and AWS_SNS_TOPIC_PREFIX is empty: a producer could reach every topic of the "
            "account. Set one of them, or say allow_any_topic",
        )
    return (place.arn("sns", f"{prefix}*"),)


def destination_arns(configuration: RelayConfiguration, place: Place, service: Service) -> tuple[str, ...]:
    """Name the destinations of a service other than SNS that a policy allows: those of the allow-list."""
    routes = [
        parsed for name in sorted(configuration.outbox_allowed_topics or ()) if (parsed := parse_route(name))
    ]
    return tuple(
        place.arn(service, f"{kind.resource}{name}") for kind, name in routes if kind.service == service
    )


def _publishes(operation: Operation) -> bool:
    return operation in PUBLISHES.values()


_PATTERN = re.compile(r"[*?$\s]")


def _check_names(configuration: RelayConfiguration, grants: Grants) -> None:
    """Refuse names that would reach further than they say: IAM would read them as patterns or variables."""
    index = configuration.outbox_table_design.outstanding_index
    named = [
        ("DYNAMODB_OUTBOX_TABLE_NAME", configuration.dynamodb_outbox_table_name),
        ("AWS_SNS_TOPIC_PREFIX", configuration.aws_sns_topic_prefix),
        *(("OUTBOX_ALLOWED_TOPICS", name) for name in configuration.outbox_allowed_topics or ()),
        ("OUTBOX_TABLE_DESIGN", index),
        ("OUTBOX_CLAIM_BUCKET", configuration.outbox_claim_bucket or ""),
        ("OUTBOX_CLAIM_PREFIX", configuration.outbox_claim_prefix),
        ("function_name", grants.function_name),
        ("on_failure", grants.on_failure or ""),
        *(("kms_keys", key) for key in grants.kms_keys),
    ]
    for variable, name in named:
        if _PATTERN.search(name):
            raise ConfigurationError(variable, f"{name!r} would be read as a pattern in a policy")


def _check_length(statements: list[dict[str, Any]]) -> None:
    lengths = {statement["Sid"]: policy_length(statement) for statement in statements}
    length = policy_length(_document(statements))
    if length > MAX_POLICY_CHARACTERS:
        largest = max(lengths, key=lambda sid: lengths[sid])
        raise ConfigurationError(
            # Everything else is short.
            "OUTBOX_ALLOWED_TOPICS"
            if largest in _DESTINATION_SIDS
            else {"UseKeys": "kms_keys"}.get(largest, "OUTBOX_TABLE_DESIGN"),
            f"makes the policy {length} characters long, and IAM takes {MAX_POLICY_CHARACTERS} on a role. "
            "Name less; topics can share a prefix that no other topic has",
        )


def policy_length(document: object) -> int:
    """Count a policy's characters as IAM does: blanks between them are left out."""
    return len(json.dumps(document, separators=(",", ":")))


def _operation_statements(
    operations: Collection[Operation], configuration: RelayConfiguration, place: Place, grants: Grants
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
            condition = _attribute_condition(operations, configuration)
            statements.append(_allow("UpdateItems", updates, resource, condition))
            names = [name for name in names if name not in updates]  # noqa: PLW2901 - what is left
        statements.append(
            _allow(_SIDS[scope], names, resource, _scope_condition(scope, configuration, place))
        )
    return statements


_SIDS: dict[Scope, str] = {
    "table": "UseTable",
    "index": "ListBacklog",
    "stream": "FollowStream",
    "topics": "Publish",
    "queues": "SendToQueues",
    "buses": "PutEvents",
    "data streams": "PutRecords",
    "claim-bucket": "ListClaims",
    "claim-notes": "NoteClaims",
    "claims": "DeleteClaims",
}
_DESTINATION_SIDS = frozenset(_SIDS[operation.scope] for operation in PUBLISHES.values())
_SERVICES: dict[Scope, Service] = {
    operation.scope: service for service, operation in PUBLISHES.items() if service != "sns"
}
_UPDATES = (ITEM_UPDATE.action, MARK_STATEMENTS.action)


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
        case "claim-bucket" | "claim-notes" | "claims":
            return _claim_resources(scope, configuration, place)
        case "queues" | "buses" | "data streams":
            return list(destination_arns(configuration, place, _SERVICES[scope]))
        case _:
            return list(topic_arns(configuration, place, allow_any_topic=grants.allow_any_topic))


_CLAIM_SCOPES = ("claim-bucket", "claim-notes", "claims")


def _claim_resources(scope: Scope, configuration: RelayConfiguration, place: Place) -> list[str]:
    bucket, claims = f"arn:{place.partition}:s3:::{configuration.outbox_claim_bucket}", _claims(configuration)
    keys: Mapping[Scope, list[str]] = {
        "claim-notes": [f"{claims.notes}*", claims.swept],
        "claims": [f"{claims.bodies}*", f"{claims.notes}*"],
    }
    return [f"{bucket}/{key}" for key in keys[scope]] if scope in keys else [bucket]


def _scope_condition(scope: Scope, configuration: RelayConfiguration, place: Place) -> dict[str, Any] | None:
    """Bound what is done with claims to the account's own buckets, and a listing to the table's."""
    if scope not in _CLAIM_SCOPES:
        return None
    condition: dict[str, Any] = {"StringEquals": {"s3:ResourceAccount": place.account_id}}
    if scope == "claim-bucket":
        condition["StringLike"] = {"s3:prefix": [f"{_claims(configuration).root}*"]}
    return condition


def _claims(configuration: RelayConfiguration) -> ClaimPlace:
    return ClaimPlace(
        configuration.outbox_claim_bucket or "",
        configuration.outbox_claim_prefix,
        configuration.dynamodb_outbox_table_name,
    )


def _attribute_condition(
    operations: Collection[Operation], configuration: RelayConfiguration
) -> dict[str, Any]:
    """Bound updates to the attributes that the role's own requests name, keys and conditions included."""
    design = configuration.outbox_table_design
    keys = [name for name in (design.partition_key, design.sort_key) if name is not None]
    key = ItemKey.from_item({name: {"S": "-"} for name in keys})
    marker = {"S": "-"}
    requests: list[Mapping[str, Any]] = []
    if any(map(_publishes, operations)):
        requests.append(park_request(Park(key, marker, "-"), design, "-", now="-"))
        skips = configuration.outbox_skip_mark_messages_as_dispatched
        if not skips and configuration.outbox_mark_strategy != "delete":
            expires_at = None if configuration.outbox_dispatched_ttl_days is None else 0
            mark = Mark(key=key, marker=marker, dispatched_at="-", dispatch_count=0, expires_at=expires_at)
            # A statement names what the other form of a mark names.
            requests.append(mark_request(mark, design, "-"))
    if LIST_BUCKET in operations:
        requests.append(touch_request(Touch(key=key, marker=marker, now="-", unless_since="-"), design, "-"))
    names = {name for request in requests for name in request["ExpressionAttributeNames"].values()}
    names.update(keys)
    if any("${" in name for name in names):
        raise ConfigurationError("OUTBOX_TABLE_DESIGN", "has a name that a policy would read as a variable")
    return {"ForAllValues:StringEquals": {"dynamodb:Attributes": sorted(names)}}


def _destination_statement(arn: str, place: Place) -> dict[str, Any]:
    match _service_of(arn):
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


def _service_of(arn: str) -> str:
    return arn.split(":")[2] if arn.count(":") >= 5 else ""


def _log_statement(place: Place, grants: Grants) -> dict[str, Any]:
    group = place.arn("logs", f"log-group:/aws/lambda/{grants.function_name}:*")
    create = ["logs:CreateLogGroup"] if grants.creates_log_group else []
    return _allow("WriteLog", [*create, "logs:CreateLogStream", "logs:PutLogEvents"], [group])


def _key_statement(place: Place, keys: Iterable[str], services: Iterable[str]) -> dict[str, Any]:
    # Through these services only: the role cannot use the keys on anything else.
    via = [place.endpoint(service) for service in services]
    condition = {"StringEquals": {"kms:ViaService": via}}
    return _allow("UseKeys", ["kms:Decrypt", "kms:GenerateDataKey"], list(keys), condition)


def _allow(
    sid: str, actions: Iterable[str], resources: list[str], condition: dict[str, Any] | None = None
) -> dict[str, Any]:
    statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resources}
    return statement if condition is None else {**statement, "Condition": condition}


def _document(statements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}

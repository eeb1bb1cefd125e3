"""Resources of Terraform's AWS provider, 4 to 6, as facts: what is not written has AWS's own default."""

import json
from collections.abc import Mapping
from typing import Any

from outbox_sdk.core.doctor.facts import (
    FunctionFacts,
    IndexFacts,
    MappingFacts,
    RoleFacts,
    SubscriptionFacts,
    TableFacts,
    TopicFacts,
)
from outbox_sdk.core.doctor.plan_document import AFTER_APPLY, PlanDocument, Resource
from outbox_sdk.core.entry import DEFAULT_TOPIC_MAX_BYTES

__all__ = ["read_function", "read_mapping", "read_policies", "read_table", "read_topic"]

_LATER = {"*": AFTER_APPLY}


def _value(resource: Resource, argument: str, default: Any = None) -> Any:
    """Give an argument: planned, or AWS's default where nobody has written it, or ``None`` for not known."""
    value = resource.values.get(argument)
    if value is not None:
        return value
    if resource.is_pending(argument) and not resource.is_unset(argument):
        return None
    # Written as null is not written; what the configuration does not tell may be set anywhere.
    return default


def _block_value(resource: Resource, block: str, argument: str, default: Any) -> Any:
    found = resource.block(block)
    if found is None:
        return None if resource.is_pending(block) and not resource.is_unset(block) else default
    if found.get(argument) is not None:
        return found[argument]
    return None if resource.is_pending(block) else default


def read_table(resource: Resource) -> TableFacts:
    """Read an ``aws_dynamodb_table``, planned or looked up."""
    values = resource.values
    name = str(values["name"])
    stream = _value(resource, "stream_enabled", default=False)
    view = _value(resource, "stream_view_type", default="")
    ttl_on = _block_value(resource, "ttl", "enabled", False)
    ttl_attribute = _block_value(resource, "ttl", "attribute_name", "")
    encryption = _block_value(resource, "server_side_encryption", "kms_key_arn", "")
    return TableFacts(
        name=resource.address,
        table_name=name,
        exists=True,
        key=_names(values.get("hash_key"), values.get("range_key")),
        indexes=_indexes(resource),
        stream_view=None if stream is None else view if stream else "",
        stream_arn=_value(resource, "stream_arn") or None,
        ttl_attribute=None if ttl_on is None else ttl_attribute if ttl_on else "",
        recovery=_block_value(resource, "point_in_time_recovery", "enabled", False),
        encryption_key=encryption,
        unknown={
            "stream_arn": AFTER_APPLY,
            "constant_markers": "a plan has no items",
            "park_reasons": "a plan has no items",
            **_LATER,
        },
    )


def _names(*names: object) -> tuple[str, ...]:
    return tuple(str(name) for name in names if name)


def _indexes(resource: Resource) -> tuple[IndexFacts, ...] | None:
    if any(resource.is_pending(f"{kind}_secondary_index") for kind in ("global", "local")):
        return None
    read = []
    for kind in ("global", "local"):
        for each in resource.values.get(f"{kind}_secondary_index") or ():
            hash_key = each.get("hash_key") if kind == "global" else resource.values.get("hash_key")
            read.append(
                IndexFacts(
                    name=str(each.get("name")),
                    key=_names(hash_key, each.get("range_key")),
                    is_local=kind == "local",
                    projection=each.get("projection_type"),
                )
            )
    return tuple(read)


def read_mapping(resource: Resource, function_name: str | None, *, relays: bool | None) -> MappingFacts:
    """Read an ``aws_lambda_event_source_mapping``."""
    criteria = resource.block("filter_criteria") or {}
    filters = criteria.get("filter") or ()
    failures = _block_value(resource, "destination_config", "on_failure", [])
    destination = failures[0].get("destination_arn") if failures else ""
    pending = resource.is_pending("destination_config")
    return MappingFacts(
        name=resource.address,
        mapping_id=resource.values.get("uuid"),
        function_name=function_name,
        relays=relays,
        stream_arn=_value(resource, "event_source_arn"),
        enabled=_value(resource, "enabled", default=True),
        last_result=resource.values.get("last_processing_result"),
        starting_position=_value(resource, "starting_position", default=""),
        batch_size=_value(resource, "batch_size", default=100),
        parallelization_factor=_value(resource, "parallelization_factor", default=1),
        retry_attempts=_value(resource, "maximum_retry_attempts", default=-1),
        record_age_seconds=_value(resource, "maximum_record_age_in_seconds", default=-1),
        bisects=_value(resource, "bisect_batch_on_function_error", default=False),
        tumbling_window_seconds=_value(resource, "tumbling_window_in_seconds", default=0),
        response_types=_texts(_value(resource, "function_response_types", default=())),
        patterns=None
        if resource.is_pending("filter_criteria")
        else tuple(str(each.get("pattern")) for each in filters),
        on_failure=destination or (None if pending else ""),
        metrics=_texts(_block_value(resource, "metrics_config", "metrics", ())),
        unknown={"last_result": "a plan has no past", **_LATER},
    )


def _texts(values: Any) -> tuple[str, ...] | None:
    return None if values is None else tuple(map(str, values))


def read_function(resource: Resource) -> FunctionFacts:
    """Read an ``aws_lambda_function``."""
    return FunctionFacts(
        name=resource.address,
        function_name=str(resource.values.get("function_name", resource.address)),
        exists=True,
        handler=_value(resource, "handler", default=""),
        runtime=_value(resource, "runtime", default=""),
        timeout_seconds=_value(resource, "timeout", default=3),
        reserved_concurrency=_value(resource, "reserved_concurrent_executions", default=-1),
        code_sha256=_value(resource, "source_code_hash"),
        # With one variable left to come, nobody can say what the relay would read.
        variables=None
        if resource.is_pending("environment")
        else _block_value(resource, "environment", "variables", {}),
        unknown={
            "state": "a plan has no running function",
            "code_sha256": "source_code_hash is not in the plan",
            **_LATER,
        },
    )


def read_policies(document: PlanDocument, role: Resource) -> RoleFacts:
    """Read an ``aws_iam_role`` with what is attached to it."""
    name = str(role.values.get("name"))
    policies: dict[str, Mapping[str, Any]] = {}
    unknown: dict[str, str] = dict(_LATER)
    whole = True
    for each in document.of_type("aws_iam_role_policy"):
        if document.refers(each, "role", role) or each.values.get("role") == name:
            text = each.values.get("policy")
            whole = whole and isinstance(text, str)
            policies[each.address] = json.loads(text) if isinstance(text, str) else {}
    for each in document.of_type("aws_iam_role_policy_attachment"):
        if document.refers(each, "role", role) or each.values.get("role") == name:
            arn = str(each.values.get("policy_arn", ""))
            managed = _MANAGED.get(arn.rpartition("/")[2]) if ":iam::aws:policy/" in arn else None
            if managed is None:
                whole, unknown["policies"] = False, f"what {arn or each.address} allows is not in the plan"
            else:
                policies[arn.rpartition("/")[2]] = managed
    return RoleFacts(
        name=role.address,
        role_name=name,
        arn=role.values.get("arn"),
        policies=policies if whole else None,
        unknown=unknown,
    )


_LOGS = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
_READS = [f"dynamodb:{name}" for name in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")]


def _everywhere(actions: list[str]) -> dict[str, Any]:
    return {"Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}


_MANAGED = {
    "AWSLambdaBasicExecutionRole": _everywhere(_LOGS),
    "AWSLambdaDynamoDBExecutionRole": _everywhere([*_READS, *_LOGS]),
    "AWSXRayDaemonWriteAccess": _everywhere(["xray:PutTraceSegments", "xray:PutTelemetryRecords"]),
}
"""What AWS's own policies allow: AWS Managed Policy Reference, as of November 2026."""


def read_topic(document: PlanDocument, resource: Resource) -> TopicFacts:
    """Read an ``aws_sns_topic`` with its policy and subscriptions."""
    policy = _value(resource, "policy", default="{}")
    for each in document.of_type("aws_sns_topic_policy"):
        if document.refers(each, "arn", resource):
            policy = _value(each, "policy")
    return TopicFacts(
        name=resource.address,
        topic_name=str(resource.values.get("name")),
        arn=resource.values.get("arn"),
        exists=True,
        policy=json.loads(policy) if isinstance(policy, str) and policy else None,
        max_bytes=DEFAULT_TOPIC_MAX_BYTES,
        encryption_key=_value(resource, "kms_master_key_id", default=""),
        subscriptions=tuple(
            SubscriptionFacts(
                protocol=str(each.values.get("protocol", "")),
                endpoint=_endpoint(document, each),
            )
            for each in document.of_type("aws_sns_topic_subscription")
            if document.refers(each, "topic_arn", resource)
        ),
        unknown=_LATER,
    )


def _endpoint(document: PlanDocument, subscription: Resource) -> str:
    """Give the endpoint; of a queue that is not made yet, its name."""
    endpoint = subscription.values.get("endpoint")
    if isinstance(endpoint, str):
        return endpoint
    for queue in document.of_type("aws_sqs_queue"):
        if document.refers(subscription, "endpoint", queue):
            return str(queue.values.get("name", ""))
    return ""

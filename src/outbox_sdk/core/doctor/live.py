"""AWS's answers as facts. What an answer leaves out is AWS's default, unless the endpoint is a stand-in's."""

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from outbox_sdk.core.doctor.facts import (
    FunctionFacts,
    IndexFacts,
    KeyFacts,
    MappingFacts,
    SubscriptionFacts,
    TableFacts,
    TopicFacts,
)
from outbox_sdk.core.entry import DEFAULT_TOPIC_MAX_BYTES

__all__ = [
    "function_name_of",
    "read_document",
    "read_function",
    "read_key",
    "read_mapping",
    "read_table",
    "read_topic",
]

_Answer = Mapping[str, Any]


def read_table(
    table: _Answer, *, ttl: _Answer | None, backups: _Answer | None, unknown: Mapping[str, str]
) -> TableFacts:
    """Read ``DescribeTable``'s ``Table``, ``DescribeTimeToLive`` and ``DescribeContinuousBackups``."""
    name = str(table["TableName"])
    stream = table.get("StreamSpecification") or {}
    indexes = [
        IndexFacts(
            name=str(each["IndexName"]),
            key=_key(each),
            is_local=kind == "LocalSecondaryIndexes",
            projection=(each.get("Projection") or {}).get("ProjectionType"),
        )
        for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
        for each in table.get(kind) or ()
    ]
    return TableFacts(
        name=f"table {name}",
        table_name=name,
        exists=True,
        key=_key(table),
        indexes=tuple(indexes),
        stream_view=str(stream.get("StreamViewType", "")) if stream.get("StreamEnabled") else "",
        stream_arn=str(table.get("LatestStreamArn", "")) if stream.get("StreamEnabled") else "",
        ttl_attribute=None if ttl is None else _ttl_attribute(ttl),
        recovery=None if backups is None else _recovers(backups),
        # Of AWS's own keys the description has an ARN as well: whoever looks at the key tells them apart.
        encryption_key=str((table.get("SSEDescription") or {}).get("KMSMasterKeyArn", "")),
        unknown=unknown,
    )


def _key(schema: _Answer) -> tuple[str, ...]:
    by_type = {each["KeyType"]: str(each["AttributeName"]) for each in schema["KeySchema"]}
    return tuple(by_type[kind] for kind in ("HASH", "RANGE") if kind in by_type)


def _ttl_attribute(answer: _Answer) -> str:
    described = answer.get("TimeToLiveDescription") or {}
    on = described.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
    return str(described.get("AttributeName", "")) if on else ""


def _recovers(answer: _Answer) -> bool:
    described = (answer.get("ContinuousBackupsDescription") or {}).get("PointInTimeRecoveryDescription") or {}
    return bool(described.get("PointInTimeRecoveryStatus") == "ENABLED")


def function_name_of(arn: str) -> str:
    """Give the name in a function's ARN, which may have a version or an alias behind it."""
    return arn.rpartition(":function:")[2].partition(":")[0]


def read_function(answer: _Answer) -> FunctionFacts:
    """Read the answer of ``GetFunction``."""
    found = answer["Configuration"]
    name = str(found["FunctionName"])
    failed = found.get("LastUpdateStatus") == "Failed"
    state = found.get("StateReason") or found.get("State") if found.get("State") == "Failed" else ""
    if failed and not state:
        state = f"the last change failed: {found.get('LastUpdateStatusReason', 'no reason given')}"
    reserved = (answer.get("Concurrency") or {}).get("ReservedConcurrentExecutions")
    return FunctionFacts(
        name=f"function {name}",
        function_name=name,
        exists=True,
        handler=str(found.get("Handler", "")),
        runtime=str(found.get("Runtime", "")),
        timeout_seconds=found.get("Timeout"),
        state=str(state or ""),
        reserved_concurrency=-1 if reserved is None else int(reserved),
        code_sha256=found.get("CodeSha256"),
        role_arn=found.get("Role") or None,
        variables=dict((found.get("Environment") or {}).get("Variables") or {}),
        unknown={"*": "Lambda does not show it"},
    )


def read_mapping(found: _Answer, *, relays: bool | None, is_local: bool) -> MappingFacts:
    """Read one of ``ListEventSourceMappings``."""
    # What local stacks know nothing of is absent there, whatever was asked for.
    absent: Any = None if is_local else ()
    destination = (found.get("DestinationConfig") or {}).get("OnFailure") or {}
    metrics = (found.get("MetricsConfig") or {}).get("Metrics", absent)
    filters = (found.get("FilterCriteria") or {}).get("Filters") or ()
    window = found.get("TumblingWindowInSeconds")
    result = str(found.get("LastProcessingResult") or "")
    return MappingFacts(
        name=f"mapping {found['UUID']}",
        mapping_id=str(found["UUID"]),
        function_name=function_name_of(str(found.get("FunctionArn", ""))),
        relays=relays,
        stream_arn=str(found.get("EventSourceArn", "")),
        enabled=found.get("State", "Enabled") in ("Enabled", "Enabling", "Creating", "Updating"),
        last_result="" if result == "No records processed" else result,
        starting_position=str(found.get("StartingPosition", "")),
        batch_size=int(found.get("BatchSize") or 100),
        parallelization_factor=int(found.get("ParallelizationFactor") or 1),
        retry_attempts=int(found.get("MaximumRetryAttempts", -1)),
        record_age_seconds=int(found.get("MaximumRecordAgeInSeconds", -1)),
        bisects=bool(found.get("BisectBatchOnFunctionError")),
        tumbling_window_seconds=None if is_local and window is None else int(window or 0),
        response_types=tuple(map(str, found.get("FunctionResponseTypes") or ())),
        patterns=tuple(str(each.get("Pattern", "")) for each in filters),
        on_failure=str(destination.get("Destination") or ""),
        metrics=None if metrics is None else tuple(map(str, metrics)),
        unknown={"*": "this endpoint does not show it"},
    )


def read_topic(name: str, attributes: _Answer, subscriptions: Iterable[_Answer] | None) -> TopicFacts:
    """Read the attributes of ``GetTopicAttributes`` and the pages of ``ListSubscriptionsByTopic``."""
    policy = attributes.get("Policy")
    return TopicFacts(
        name=f"topic {name}",
        topic_name=name,
        arn=str(attributes.get("TopicArn", "")),
        exists=True,
        policy=read_document(policy) if policy else {},
        # It is there only where it was set.
        max_bytes=int(attributes.get("MaximumMessageSize", DEFAULT_TOPIC_MAX_BYTES)),
        encryption_key=str(attributes.get("KmsMasterKeyId", "")),
        subscriptions=None
        if subscriptions is None
        else tuple(
            SubscriptionFacts(protocol=str(each.get("Protocol")), endpoint=str(each.get("Endpoint")))
            for each in subscriptions
        ),
        unknown={"subscriptions": "sns:ListSubscriptionsByTopic is not allowed"},
    )


def read_key(used_by: str, metadata: _Answer, policy: object, unknown: Mapping[str, str]) -> KeyFacts | None:
    """Read ``DescribeKey``'s ``KeyMetadata`` and a policy; ``None`` for a key of AWS's own."""
    if metadata.get("KeyManager") == "AWS":
        return None
    arn = str(metadata["Arn"])
    return KeyFacts(
        name=f"key {arn}",
        arn=arn,
        used_by=used_by,
        state=str(metadata.get("KeyState", "")),
        policy=read_document(policy) if policy else None,
        unknown=unknown,
    )


def read_document(found: object) -> dict[str, Any]:
    """Read a policy as a client gives it: parsed, or as text in which signs may be escaped."""
    document = json.loads(unquote(found)) if isinstance(found, str) else found
    return dict(document) if isinstance(document, Mapping) else {}

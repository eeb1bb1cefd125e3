"""Stacks for the doctor as facts: one of which everything is known and nothing is wrong, and its faults."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from outbox_sdk import TableDesign
from outbox_sdk.core.configuration import RelayConfiguration, encode_environment, parse_environment
from outbox_sdk.core.doctor import (
    FunctionFacts,
    IndexFacts,
    KeyFacts,
    MappingFacts,
    RoleFacts,
    Stack,
    SubscriptionFacts,
    SweeperFacts,
    TableFacts,
    TopicFacts,
)
from outbox_sdk.core.event_source import filter_patterns
from outbox_sdk.core.function import DEFAULT_RUNTIME, HANDLERS
from outbox_sdk.core.identifiers import AccountId, Region, TableName, TopicName
from outbox_sdk.core.permissions import Grants, policy_document
from outbox_sdk.core.place import Place

__all__ = [
    "ALL",
    "CONFIGURATION",
    "CONSTANT",
    "DENIES",
    "KEY",
    "LISTING",
    "OPEN",
    "PLACE",
    "PLANTS",
    "ROOT_ARN",
    "TABLE_ARN",
    "TWO",
    "UNTYPED",
    "WIDE",
    "healthy",
    "key_policy",
    "policy",
    "replace",
    "topic",
    "variables",
    "with_function",
    "with_key",
    "with_mapping",
    "with_policies",
    "with_readers",
    "with_second_mapping",
    "with_settings",
    "with_table",
    "with_topic",
    "without",
]

_T = TypeVar("_T")

PLACE = Place(region=Region("eu-west-1"), account_id=AccountId("123456789012"))
TABLE_ARN = PLACE.arn("dynamodb", "table/orders")
KEY = PLACE.arn("kms", "key/1")
ROOT_ARN = "arn:aws:iam::123456789012:root"
CONFIGURATION = RelayConfiguration(
    dynamodb_outbox_table_name=TableName("orders"),
    aws_sns_topic_prefix="p-",
    outbox_allowed_topics=frozenset(map(TopicName, ("created.fifo", "viewed"))),
    outbox_dispatched_ttl_days=7,
)
LISTING = {"key.known", "topic.known"}
"""Checks that only say what was not looked at."""


def variables(**changes: Any) -> dict[str, str]:
    return encode_environment(msgspec.structs.replace(CONFIGURATION, **changes))


def policy() -> dict[str, Any]:
    grants = Grants(function_name="orders-relay", on_failure="arn:aws:s3:::kept", kms_keys=(KEY,))
    return policy_document("relay", CONFIGURATION, PLACE, grants)


def key_policy(principal: object, action: object = "kms:*", effect: str = "Allow") -> dict[str, Any]:
    return {"Statement": [{"Effect": effect, "Principal": principal, "Action": action, "Resource": "*"}]}


def topic(name: str) -> TopicFacts:
    return TopicFacts(
        name=f"topic {name}",
        topic_name=name,
        arn=PLACE.arn("sns", name),
        exists=True,
        policy={},
        max_bytes=262_144,
        encryption_key="",
        subscriptions=(),
    )


def healthy() -> Stack:
    """A stack of which everything is known, and nothing is wrong."""
    design = TableDesign.ordered
    table = TableFacts(
        name="table orders",
        table_name="orders",
        exists=True,
        key=("PK", "SK"),
        indexes=(
            IndexFacts(
                name=design.outstanding_index, key=("NotDispatched", "CreatedAt"), projection="KEYS_ONLY"
            ),
            IndexFacts(
                name="AggregateSequenceIndex", key=("PK", "Sequence"), is_local=True, projection="KEYS_ONLY"
            ),
        ),
        stream_view="NEW_AND_OLD_IMAGES",
        stream_arn=f"{TABLE_ARN}/stream/2",
        ttl_attribute="ExpiresAt",
        recovery=True,
        encryption_key=KEY,
        constant_markers=False,
        park_reasons=(),
    )
    function = FunctionFacts(
        name="function orders-relay",
        function_name="orders-relay",
        exists=True,
        handler=HANDLERS["relay"],
        runtime=DEFAULT_RUNTIME,
        timeout_seconds=60,
        state="",
        reserved_concurrency=-1,
        code_sha256="digest",
        variables=variables(),
    )
    mapping = MappingFacts(
        name="mapping 1",
        mapping_id="1",
        function_name="orders-relay",
        relays=True,
        stream_arn=f"{TABLE_ARN}/stream/2",
        enabled=True,
        last_result="",
        starting_position="TRIM_HORIZON",
        batch_size=100,
        parallelization_factor=1,
        retry_attempts=-1,
        record_age_seconds=82_800,
        bisects=True,
        tumbling_window_seconds=0,
        response_types=("ReportBatchItemFailures",),
        patterns=tuple(msgspec.json.encode(each).decode() for each in filter_patterns(design, "batch")),
        on_failure="arn:aws:s3:::kept",
        metrics=("EventCount",),
    )
    return Stack(
        name="table orders",
        source="live",
        taken_at=datetime(2026, 11, 28, tzinfo=UTC),
        table=table,
        function=function,
        mappings=(mapping,),
        role=RoleFacts(
            name="role r", role_name="r", arn=f"{ROOT_ARN[:-4]}role/r", policies={"outbox": policy()}
        ),
        topics=(topic("p-created.fifo"), topic("p-viewed")),
        keys=(KeyFacts(name="key", arn=KEY, used_by="table orders", state="Enabled",
                       policy=key_policy({"AWS": ROOT_ARN})),),
        sweeper=SweeperFacts(
            name="function orders-sweeper",
            function_name="orders-sweeper",
            exists=True,
            runs=True,
            variables=variables(),
        ),
        place=PLACE,
        expected_code=("digest",),
        clock_skew_seconds=0.4,
    )  # fmt: skip


def with_table(**changes: Any) -> Stack:
    stack = healthy()
    return replace(stack, table=replace(stack.table, **changes))


def with_function(**changes: Any) -> Stack:
    stack = healthy()
    return replace(stack, function=replace(stack.function, **changes))


def with_settings(**changes: Any) -> Stack:
    """Change what both functions are told."""
    stack, told = healthy(), variables(**changes)
    return replace(
        stack,
        function=replace(stack.function, variables=told),
        sweeper=replace(stack.sweeper, variables=told),
    )


def with_mapping(**changes: Any) -> Stack:
    stack = healthy()
    assert stack.mappings is not None
    return replace(stack, mappings=(replace(stack.mappings[0], **changes),))


def with_topic(**changes: Any) -> Stack:
    stack = healthy()
    assert stack.topics is not None
    return replace(stack, topics=(replace(stack.topics[0], **changes), stack.topics[1]))


def with_key(**changes: Any) -> Stack:
    stack = healthy()
    assert stack.keys is not None
    return replace(stack, keys=(replace(stack.keys[0], **changes),))


def with_policies(**policies: Any) -> Stack:
    stack = healthy()
    return replace(stack, role=replace(stack.role, policies=policies))


def with_second_mapping(**changes: Any) -> Stack:
    stack = healthy()
    assert stack.mappings is not None
    return replace(stack, mappings=(*stack.mappings, replace(stack.mappings[0], mapping_id="2", **changes)))


def with_readers(count: int) -> Stack:
    """Let other functions, which are no relays, read the stream as well."""
    stack = healthy()
    assert stack.mappings is not None
    others = [
        replace(stack.mappings[0], function_name=f"other-{number}", relays=False) for number in range(count)
    ]
    return replace(stack, mappings=(*stack.mappings, *others))


def replace(value: _T, **changes: Any) -> _T:
    struct: Any = value
    changed: _T = msgspec.structs.replace(struct, **changes)
    return changed


def without(action: str, instead: str = "s3:GetObject") -> dict[str, Any]:
    text = msgspec.json.encode(policy()).decode().replace(f'"{action}"', f'"{instead}"')
    return dict(msgspec.json.decode(text))


WIDE = {"Statement": {"Effect": "Allow", "Action": "sns:Publish", "Resource": "*"}}
DENIES = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "SNS:*", "Resource": "*"}
OPEN = {"Effect": "Allow", "Principal": "*", "Action": ["sns:Publish"], "Resource": "*"}
ALL = '{"dynamodb":{"NewImage":{"NotDispatched":{"S":[{"exists":true}]}}}}'
CONSTANT = '{"dynamodb":{"NewImage":{"NotDispatched":{"S":["x"]}}}}'
UNTYPED = '{"dynamodb":{"NewImage":{"NotDispatched":["x"]}}}'
TWO = (SubscriptionFacts(protocol="sqs", endpoint=PLACE.arn("sqs", "q")),)

PLANTS: list[tuple[str, str, Callable[[], Stack]]] = [
    ("table.exists", "error", lambda: with_table(exists=False)),
    ("table.schema", "error", lambda: with_table(key=("pk", "SK"))),
    ("table.schema", "error", lambda: with_table(indexes=healthy().table.indexes[:1])),  # type: ignore[union-attr,index] # healthy
    ("table.stream", "error", lambda: with_table(stream_view="KEYS_ONLY")),
    ("table.stream", "error", lambda: with_table(stream_view="")),
    ("table.index-projection", "warning", lambda: with_table(indexes=tuple(
        replace(each, projection="ALL") for each in healthy().table.indexes))),  # type: ignore[union-attr] # healthy
    ("table.index-key", "warning", lambda: with_settings(outbox_not_dispatched_buckets=1)),
    ("table.index-key", "info", lambda: with_table(constant_markers=True)),
    ("table.time-to-live", "error", lambda: with_table(ttl_attribute="CreatedAt")),
    ("table.time-to-live", "warning", lambda: with_table(ttl_attribute="")),
    ("table.expiry", "warning", lambda: with_settings(outbox_dispatched_ttl_days=None)),
    ("table.recovery", "info", lambda: with_table(recovery=False)),
    ("table.attributes", "warning", lambda: with_table(park_reasons=("held:NotFound", "attributes:12"))),
    ("function.exists", "error", lambda: with_function(exists=False)),
    ("function.exists", "error", lambda: with_function(state="Failed: no such role")),
    ("function.handler", "error", lambda: with_function(handler="app.handler")),
    ("function.environment", "error", lambda: with_function(
        variables={**variables(), "OUTBOX_ENVELOPE": "x"})),
    ("function.environment", "error", lambda: with_settings(dynamodb_outbox_table_name=TableName("other"))),
    ("function.endpoint", "error", lambda: with_function(
        variables={**variables(), "AWS_ENDPOINT_URL_SNS": "http://there"})),
    ("function.marks", "warning", lambda: with_settings(outbox_skip_mark_messages_as_dispatched=True)),
    ("function.topics", "warning", lambda: with_settings(
        aws_sns_topic_prefix="", outbox_allowed_topics=None)),
    ("function.timeout", "warning", lambda: with_function(timeout_seconds=11)),
    ("function.timeout", "warning", lambda: with_mapping(batch_size=10_000)),
    ("function.runtime", "error", lambda: with_function(runtime="python3.9")),
    ("function.runtime", "warning", lambda: replace(healthy(), taken_at=datetime(2029, 5, 1, tzinfo=UTC))),
    ("function.runtime", "error", lambda: replace(healthy(), taken_at=datetime(2029, 6, 30, tzinfo=UTC))),
    ("function.concurrency", "error", lambda: with_function(reserved_concurrency=0)),
    ("function.package", "info", lambda: with_function(code_sha256="other")),
    ("sweeper.schedule", "error", lambda: replace(healthy(), sweeper=replace(healthy().sweeper, runs=False))),
    ("sweeper.settings", "error", lambda: replace(
        healthy(), sweeper=replace(healthy().sweeper, variables=variables(aws_sns_topic_prefix="q-")))),
    ("clock.skew", "warning", lambda: replace(healthy(), clock_skew_seconds=-11.0)),
    ("clock.skew", "error", lambda: replace(healthy(), clock_skew_seconds=301.0)),
    ("mapping.exists", "error", lambda: replace(healthy(), mappings=())),
    ("mapping.readers", "error", lambda: with_second_mapping(function_name="old-relay")),
    ("mapping.readers", "error", with_second_mapping),
    ("mapping.readers", "warning", lambda: with_readers(2)),
    ("mapping.stream", "error", lambda: with_mapping(stream_arn=f"{TABLE_ARN}/stream/1")),
    ("mapping.state", "error", lambda: with_mapping(enabled=False)),
    ("mapping.state", "error", lambda: with_mapping(last_result="PROBLEM: Function call failed")),
    ("mapping.starting-position", "error", lambda: with_mapping(starting_position="LATEST")),
    ("mapping.partial-reports", "error", lambda: with_mapping(response_types=())),
    ("mapping.filter", "warning", lambda: with_mapping(patterns=())),
    ("mapping.filter", "error", lambda: with_mapping(patterns=(CONSTANT,))),
    ("mapping.filter", "error", lambda: with_mapping(patterns=(UNTYPED,))),
    ("mapping.filter", "warning", lambda: with_mapping(patterns=(ALL,))),
    ("mapping.retries", "error", lambda: with_mapping(retry_attempts=8)),
    ("mapping.record-age", "warning", lambda: with_mapping(record_age_seconds=-1)),
    ("mapping.record-age", "warning", lambda: with_mapping(record_age_seconds=86_400)),
    ("mapping.record-age", "warning", lambda: with_mapping(record_age_seconds=60)),
    ("mapping.on-failure", "info", lambda: with_mapping(on_failure=PLACE.arn("sqs", "dlq"))),
    ("mapping.on-failure", "warning", lambda: replace(
        with_mapping(on_failure=""), sweeper=replace(healthy().sweeper, exists=False))),
    ("mapping.parallelization", "error", lambda: with_mapping(parallelization_factor=4)),
    ("mapping.bisect", "warning", lambda: with_mapping(bisects=False)),
    ("mapping.tumbling-window", "warning", lambda: with_mapping(tumbling_window_seconds=30)),
    ("mapping.metrics", "info", lambda: with_mapping(metrics=())),
    ("role.rights", "error", lambda: with_policies(outbox=without("sns:Publish"))),
    ("role.rights", "error", lambda: with_policies(outbox=without("dynamodb:GetRecords"))),
    ("role.rights", "error", lambda: with_policies(outbox=without("kms:Decrypt"))),
    ("role.rights", "error", lambda: with_policies(outbox=policy(), boundary={
        "Statement": [{"Effect": "Deny", "Action": "dynamodb:*", "Resource": "*"}]})),
    ("role.wide", "warning", lambda: with_policies(outbox=policy(), more=WIDE)),
    ("key.use", "error", lambda: with_key(state="PendingDeletion")),
    ("key.use", "error", lambda: with_key(policy=key_policy({"AWS": "arn:aws:iam::999999999999:root"}))),
    ("topic.exists", "error", lambda: with_topic(exists=False)),
    ("topic.policy", "error", lambda: with_topic(policy={"Statement": [DENIES]})),
    ("topic.policy", "warning", lambda: with_topic(policy={"Statement": OPEN})),
    ("topic.size", "error", lambda: with_topic(max_bytes=65_536)),
    ("topic.fifo-queue", "warning", lambda: with_topic(subscriptions=TWO)),
    ("topic.fifo-table", "warning", lambda: with_settings(
        outbox_table_design=parse_environment({
            "DYNAMODB_OUTBOX_TABLE_NAME": "orders", "OUTBOX_TABLE_DESIGN": "ordered,sequence_index="
        }).outbox_table_design)),
]  # fmt: skip
"""By check: how bad, and a stack with that fault. What comes with it by nature is named in ``ALONG``."""

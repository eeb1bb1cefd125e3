"""Answers of AWS and resources of a plan as facts: every field, what is left out, and what is to come."""

from typing import Any

import pytest

from outbox_sdk import TableDesign
from outbox_sdk.core.doctor import (
    FunctionFacts,
    IndexFacts,
    KeyFacts,
    MappingFacts,
    RoleFacts,
    SubscriptionFacts,
    TableFacts,
    TopicFacts,
    live,
    plan_values,
)
from outbox_sdk.core.doctor.event_pattern import UnknownPatternError, matches_pattern, parse_pattern
from outbox_sdk.core.doctor.plan_document import PlanDocument, Resource
from outbox_sdk.core.doctor.policies import (
    covers,
    find_denied,
    find_missing,
    find_wide,
    lets_anyone,
    statements_of,
    texts_of,
)
from outbox_sdk.core.doctor.reads import doctor_policy
from outbox_sdk.core.identifiers import AccountId, Region
from outbox_sdk.core.place import Place

HASH = {"AttributeName": "PK", "KeyType": "HASH"}
RANGE = {"AttributeName": "SK", "KeyType": "RANGE"}
LATER = {"*": "known after apply"}


def read_table(table: dict[str, Any], ttl: Any = None, backups: Any = None) -> TableFacts:
    described = {"TableName": "orders", "KeySchema": [RANGE, HASH], **table}
    return live.read_table(described, ttl=ttl, backups=backups, unknown={"a": "b"})


def test_a_table_as_dynamodb_describes_it() -> None:
    table = {
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        "LatestStreamArn": "stream",
        "SSEDescription": {"KMSMasterKeyArn": "key"},
        "LocalSecondaryIndexes": [{"IndexName": "l", "KeySchema": [HASH]}],
        "GlobalSecondaryIndexes": [
            {"IndexName": "g", "KeySchema": [RANGE, HASH], "Projection": {"ProjectionType": "ALL"}}
        ],
    }
    ttl = {"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "ExpiresAt"}}
    recovery = {"PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED"}}

    assert read_table(table, ttl, {"ContinuousBackupsDescription": recovery}) == TableFacts(
        name="table orders",
        unknown={"a": "b"},
        table_name="orders",
        exists=True,
        key=("PK", "SK"),
        indexes=(
            IndexFacts(name="g", key=("PK", "SK"), projection="ALL"),
            IndexFacts(name="l", key=("PK",), is_local=True),
        ),
        stream_view="NEW_IMAGE",
        stream_arn="stream",
        ttl_attribute="ExpiresAt",
        recovery=True,
        encryption_key="key",
    )


def test_what_dynamodb_leaves_out_is_off() -> None:
    bare = TableFacts(
        name="table orders",
        unknown={"a": "b"},
        table_name="orders",
        exists=True,
        key=("PK", "SK"),
        indexes=(),
        stream_view="",
        stream_arn="",
        ttl_attribute="",
        recovery=False,
        encryption_key="",
    )
    # A stream that was switched off keeps its ARN for a day.
    off = {"StreamSpecification": {"StreamEnabled": False, "StreamViewType": "x"}, "LatestStreamArn": "x"}
    ttl_off = {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED", "AttributeName": "x"}}

    assert read_table({}, {}, {}) == bare
    assert read_table({"StreamSpecification": {"StreamEnabled": True}}, {}, {}) == bare
    assert read_table(off, ttl_off, {"ContinuousBackupsDescription": {}}) == bare
    assert (read_table({}).ttl_attribute, read_table({}).recovery) == (None, None)


@pytest.mark.parametrize(
    ("described", "attribute"),
    [
        ({"TimeToLiveStatus": "ENABLING", "AttributeName": "a"}, "a"),
        ({"TimeToLiveStatus": "DISABLING", "AttributeName": "a"}, ""),
        ({"TimeToLiveStatus": "ENABLED"}, ""),
    ],
)
def test_time_to_live_is_on_from_when_it_is_asked_for(described: Any, attribute: str) -> None:
    assert read_table({}, {"TimeToLiveDescription": described}).ttl_attribute == attribute


def test_a_function_as_lambda_describes_it() -> None:
    found = {
        "FunctionName": "relay",
        "Handler": "h",
        "Runtime": "r",
        "Timeout": 7,
        "State": "Active",
        "StateReason": "idle",
        "CodeSha256": "c",
        "Role": "role",
        "Environment": {"Variables": {"A": "b"}},
    }
    facts = FunctionFacts(
        name="function relay",
        unknown={"*": "Lambda does not show it"},
        function_name="relay",
        exists=True,
        handler="h",
        runtime="r",
        timeout_seconds=7,
        state="",
        reserved_concurrency=0,
        code_sha256="c",
        role_arn="role",
        variables={"A": "b"},
    )
    bare = FunctionFacts(
        name="function relay",
        unknown={"*": "Lambda does not show it"},
        function_name="relay",
        exists=True,
        handler="",
        runtime="",
        state="",
        reserved_concurrency=-1,
        variables={},
    )
    reserved = {"ReservedConcurrentExecutions": 0}

    assert live.read_function({"Configuration": found, "Concurrency": reserved}) == facts
    assert live.read_function({"Configuration": {"FunctionName": "relay"}}) == bare


@pytest.mark.parametrize(
    ("found", "state"),
    [
        ({"State": "Failed", "StateReason": "no role"}, "no role"),
        ({"State": "Failed"}, "Failed"),
        ({"State": "Pending", "StateReason": "being made"}, ""),
        ({"LastUpdateStatus": "Failed", "LastUpdateStatusReason": "too large"},
         "the last change failed: too large"),
        ({"LastUpdateStatus": "Failed"}, "the last change failed: no reason given"),
        ({"LastUpdateStatus": "Failed", "State": "Failed", "StateReason": "no role"}, "no role"),
        ({"LastUpdateStatus": "Successful", "LastUpdateStatusReason": "x"}, ""),
    ],
)  # fmt: skip
def test_a_function_that_does_not_work_says_why(found: dict[str, str], state: str) -> None:
    assert live.read_function({"Configuration": {"FunctionName": "relay", **found}}).state == state


def test_a_mapping_as_lambda_lists_it() -> None:
    found = {
        "UUID": "1",
        "FunctionArn": "arn:aws:lambda:e:1:function:relay:live",
        "EventSourceArn": "stream",
        "State": "Disabled",
        "LastProcessingResult": "OK",
        "StartingPosition": "LATEST",
        "BatchSize": 7,
        "ParallelizationFactor": 2,
        "MaximumRetryAttempts": 3,
        "MaximumRecordAgeInSeconds": 60,
        "BisectBatchOnFunctionError": True,
        "TumblingWindowInSeconds": 5,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "FilterCriteria": {"Filters": [{"Pattern": "{}"}, {}]},
        "DestinationConfig": {"OnFailure": {"Destination": "bucket"}},
        "MetricsConfig": {"Metrics": ["EventCount"]},
    }
    for is_local in (True, False):
        assert live.read_mapping(found, relays=True, is_local=is_local) == MappingFacts(
            name="mapping 1",
            unknown={"*": "this endpoint does not show it"},
            mapping_id="1",
            function_name="relay",
            relays=True,
            stream_arn="stream",
            enabled=False,
            last_result="OK",
            starting_position="LATEST",
            batch_size=7,
            parallelization_factor=2,
            retry_attempts=3,
            record_age_seconds=60,
            bisects=True,
            tumbling_window_seconds=5,
            response_types=("ReportBatchItemFailures",),
            patterns=("{}", ""),
            on_failure="bucket",
            metrics=("EventCount",),
        )


@pytest.mark.parametrize("is_local", [True, False])
def test_what_lambda_leaves_out_is_its_default(is_local: bool) -> None:
    assert live.read_mapping({"UUID": "1"}, relays=None, is_local=is_local) == MappingFacts(
        name="mapping 1",
        unknown={"*": "this endpoint does not show it"},
        mapping_id="1",
        function_name="",
        stream_arn="",
        enabled=True,
        last_result="",
        starting_position="",
        batch_size=100,
        parallelization_factor=1,
        retry_attempts=-1,
        record_age_seconds=-1,
        bisects=False,
        tumbling_window_seconds=None if is_local else 0,
        response_types=(),
        patterns=(),
        on_failure="",
        metrics=None if is_local else (),
    )


@pytest.mark.parametrize(
    ("state", "is_on"),
    [*((each, True) for each in ("Enabled", "Enabling", "Creating", "Updating")),
     *((each, False) for each in ("Disabled", "Disabling", "Deleting"))],
)  # fmt: skip
def test_a_mapping_is_on_where_it_is_or_is_about_to_be(state: str, is_on: bool) -> None:
    assert live.read_mapping({"UUID": "1", "State": state}, relays=None, is_local=False).enabled is is_on


def test_a_mapping_that_had_no_record_yet_has_no_result() -> None:
    found = {"UUID": "1", "LastProcessingResult": "No records processed"}

    assert live.read_mapping(found, relays=None, is_local=False).last_result == ""


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:lambda:e:1:function:f", "f"),
        ("arn:aws:lambda:e:1:function:f:live:x", "f"),
        ("f", "f"),
        ("a:function:b:function:c", "c"),
    ],
)
def test_a_function_is_named_in_its_arn(arn: str, name: str) -> None:
    assert live.function_name_of(arn) == name


def test_a_topic_as_sns_describes_it() -> None:
    attributes = {"TopicArn": "arn", "Policy": '{"Statement": []}', "MaximumMessageSize": "1048576",
                  "KmsMasterKeyId": "key"}  # fmt: skip
    why = {"subscriptions": "sns:ListSubscriptionsByTopic is not allowed"}

    assert live.read_topic("t", attributes, [{"Protocol": "sqs", "Endpoint": "q"}]) == TopicFacts(
        name="topic t",
        unknown=why,
        topic_name="t",
        arn="arn",
        exists=True,
        policy={"Statement": []},
        max_bytes=1_048_576,
        encryption_key="key",
        subscriptions=(SubscriptionFacts(protocol="sqs", endpoint="q"),),
    )
    assert live.read_topic("t", {}, None) == TopicFacts(
        name="topic t",
        unknown=why,
        topic_name="t",
        arn="",
        exists=True,
        policy={},
        max_bytes=262_144,
        encryption_key="",
    )


def test_a_key_as_kms_describes_it() -> None:
    metadata = {"Arn": "arn", "KeyManager": "CUSTOMER", "KeyState": "Enabled"}

    assert live.read_key("table", metadata, "%7B%7D", {"a": "b"}) == KeyFacts(
        name="key arn", unknown={"a": "b"}, arn="arn", used_by="table", state="Enabled", policy={}
    )
    assert live.read_key("table", {"Arn": "arn"}, None, {}) == KeyFacts(
        name="key arn", arn="arn", used_by="table", state=""
    )
    assert live.read_key("table", {**metadata, "KeyManager": "AWS"}, None, {}) is None


def test_a_policy_is_read_as_a_text_or_as_a_document() -> None:
    assert live.read_document({"a": 1}) == {"a": 1}
    assert live.read_document('{"a": 1}') == {"a": 1}
    assert live.read_document("%7B%22a%22%3A%201%7D") == {"a": 1}
    assert live.read_document("[]") == {}
    assert live.read_document(7) == {}


def resource(
    type_: str = "aws_x", *, pending: Any = None, written: Any = (), index: str = "", module: str = "",
    name: str = "n", **values: Any,
) -> Resource:  # fmt: skip
    """A resource; ``written`` are the arguments in the configuration, or ``None`` where nobody can tell."""
    expressions = written if isinstance(written, dict) or written is None else {key: {} for key in written}
    return Resource(address=f"{type_}.{name}", module=module, type=type_, name=name, index=index,
                    values=values, pending=pending or {}, expressions=expressions)  # fmt: skip


def document(*resources: Resource) -> PlanDocument:
    return PlanDocument(resources=resources)


PLAN_REASONS = {
    "stream_arn": "known after apply",
    "constant_markers": "a plan has no items",
    "park_reasons": "a plan has no items",
    **LATER,
}


def test_a_table_as_a_plan_has_it() -> None:
    planned = resource(
        "aws_dynamodb_table",
        name="t",
        hash_key="PK",
        range_key="SK",
        stream_enabled=True,
        stream_view_type="NEW_IMAGE",
        stream_arn="stream",
        ttl=[{"enabled": True, "attribute_name": "ExpiresAt"}],
        server_side_encryption=[{"enabled": True, "kms_key_arn": "key"}],
        point_in_time_recovery=[{"enabled": True}],
        global_secondary_index=[{"name": "g", "hash_key": "N", "range_key": "C", "projection_type": "ALL"}],
        local_secondary_index=[{"name": "l", "range_key": "S", "projection_type": "KEYS_ONLY"}],
    )
    planned.values["name"] = "orders"  # type: ignore[index] # a dict of ours

    assert plan_values.read_table(planned) == TableFacts(
        name="aws_dynamodb_table.t",
        unknown=PLAN_REASONS,
        table_name="orders",
        exists=True,
        key=("PK", "SK"),
        indexes=(
            IndexFacts(name="g", key=("N", "C"), projection="ALL"),
            IndexFacts(name="l", key=("PK", "S"), is_local=True, projection="KEYS_ONLY"),
        ),
        stream_view="NEW_IMAGE",
        stream_arn="stream",
        ttl_attribute="ExpiresAt",
        recovery=True,
        encryption_key="key",
    )


def table_of(*, pending: Any = None, written: Any = (), **values: Any) -> TableFacts:
    planned = resource("aws_dynamodb_table", pending=pending, written=written, hash_key="PK", **values)
    planned.values["name"] = "orders"  # type: ignore[index] # a dict of ours
    return plan_values.read_table(planned)


def test_what_a_table_of_a_plan_has_not_is_off() -> None:
    off = TableFacts(
        name="aws_dynamodb_table.n",
        unknown=PLAN_REASONS,
        table_name="orders",
        exists=True,
        key=("PK",),
        indexes=(),
        stream_view="",
        ttl_attribute="",
        recovery=False,
        encryption_key="",
    )

    assert table_of() == off
    assert table_of(stream_enabled=True, ttl=[{"enabled": True}]) == off
    assert table_of(ttl=[{"enabled": False, "attribute_name": "x"}], stream_view_type="x") == off


@pytest.mark.parametrize(
    ("argument", "field"),
    [
        ("stream_enabled", "stream_view"),
        ("ttl", "ttl_attribute"),
        ("point_in_time_recovery", "recovery"),
        ("server_side_encryption", "encryption_key"),
        ("global_secondary_index", "indexes"),
        ("local_secondary_index", "indexes"),
    ],
)
def test_what_is_written_and_to_come_is_not_known(argument: str, field: str) -> None:
    assert getattr(table_of(pending={argument: True}, written=[argument]), field) is None
    # Nobody can tell whether it is written.
    assert getattr(table_of(pending={argument: True}, written=None), field) is None


def test_a_block_of_which_something_is_to_come() -> None:
    some = {"pending": {"ttl": [{"attribute_name": True}]}, "written": ["ttl"]}

    assert table_of(**some, ttl=[{"enabled": True}]).ttl_attribute is None
    assert table_of(**some, ttl=[{"enabled": True, "attribute_name": "a"}]).ttl_attribute == "a"
    # What nobody has written is AWS's to fill in.
    assert table_of(pending={"ttl": True}, ttl=None).ttl_attribute == ""


MAPPING: dict[str, Any] = {
    "uuid": "1",
    "event_source_arn": "stream",
    "enabled": False,
    "last_processing_result": "OK",
    "starting_position": "LATEST",
    "batch_size": 7,
    "parallelization_factor": 2,
    "maximum_retry_attempts": 3,
    "maximum_record_age_in_seconds": 60,
    "bisect_batch_on_function_error": True,
    "tumbling_window_in_seconds": 5,
    "function_response_types": ["ReportBatchItemFailures"],
    "filter_criteria": [{"filter": [{"pattern": "{}"}]}],
    "destination_config": [{"on_failure": [{"destination_arn": "bucket"}]}],
    "metrics_config": [{"metrics": ["EventCount"]}],
}
NO_PAST = {"last_result": "a plan has no past", **LATER}


def test_a_mapping_as_a_plan_has_it() -> None:
    assert plan_values.read_mapping(resource(**MAPPING), "f", relays=True) == MappingFacts(
        name="aws_x.n",
        unknown=NO_PAST,
        mapping_id="1",
        function_name="f",
        relays=True,
        stream_arn="stream",
        enabled=False,
        last_result="OK",
        starting_position="LATEST",
        batch_size=7,
        parallelization_factor=2,
        retry_attempts=3,
        record_age_seconds=60,
        bisects=True,
        tumbling_window_seconds=5,
        response_types=("ReportBatchItemFailures",),
        patterns=("{}",),
        on_failure="bucket",
        metrics=("EventCount",),
    )


def test_a_mapping_of_which_nothing_is_written_has_awss_defaults() -> None:
    defaults = MappingFacts(
        name="aws_x.n",
        unknown=NO_PAST,
        enabled=True,
        starting_position="",
        batch_size=100,
        parallelization_factor=1,
        retry_attempts=-1,
        record_age_seconds=-1,
        bisects=False,
        tumbling_window_seconds=0,
        response_types=(),
        patterns=(),
        on_failure="",
        metrics=(),
    )

    assert plan_values.read_mapping(resource(), None, relays=None) == defaults
    empty: dict[str, Any] = {name: [] for name in ("filter_criteria", "destination_config", "metrics_config")}
    assert plan_values.read_mapping(resource(**empty), None, relays=None) == defaults
    hollow: dict[str, Any] = {name: [{}] for name in empty}
    assert plan_values.read_mapping(resource(**hollow), None, relays=None) == defaults


def test_a_mapping_of_which_all_is_to_come_is_not_known() -> None:
    planned = resource(pending=dict.fromkeys(MAPPING, True), written=list(MAPPING))

    assert plan_values.read_mapping(planned, None, relays=None) == MappingFacts(
        name="aws_x.n", unknown=NO_PAST
    )


def test_a_destination_that_is_to_come_is_not_known() -> None:
    planned = resource(pending={"destination_config": [{"on_failure": [{"destination_arn": True}]}]},
                       written=["destination_config"], destination_config=[{"on_failure": [{}]}])  # fmt: skip

    assert plan_values.read_mapping(planned, None, relays=None).on_failure is None


FUNCTION_REASONS = {
    "state": "a plan has no running function",
    "code_sha256": "source_code_hash is not in the plan",
    **LATER,
}


def test_a_function_as_a_plan_has_it() -> None:
    planned = resource(function_name="f", handler="h", runtime="r", timeout=7, source_code_hash="c",
                       reserved_concurrent_executions=0, environment=[{"variables": {"A": "b"}}])  # fmt: skip
    assert plan_values.read_function(planned) == FunctionFacts(
        name="aws_x.n",
        unknown=FUNCTION_REASONS,
        function_name="f",
        exists=True,
        handler="h",
        runtime="r",
        timeout_seconds=7,
        reserved_concurrency=0,
        code_sha256="c",
        variables={"A": "b"},
    )
    assert plan_values.read_function(resource()) == FunctionFacts(
        name="aws_x.n",
        unknown=FUNCTION_REASONS,
        function_name="aws_x.n",
        exists=True,
        handler="",
        runtime="",
        timeout_seconds=3,
        reserved_concurrency=-1,
        variables={},
    )


def test_an_environment_of_which_something_is_to_come_is_not_known() -> None:
    planned = resource(pending={"environment": [{"variables": {"A": True}}]}, written=["environment"],
                       environment=[{"variables": {"B": "b"}}])  # fmt: skip

    assert plan_values.read_function(planned).variables is None


ROLE = {"arn": "role-arn", "name": "r"}


def role_of(*attached: Resource) -> RoleFacts:
    role = Resource(address="aws_iam_role.r", module="", type="aws_iam_role", name="r", index="",
                    values=ROLE, pending={}, expressions={})  # fmt: skip
    return plan_values.read_policies(document(role, *attached), role)


TO_ROLE = {"role": {"references": ["aws_iam_role.r.name", "aws_iam_role.r"]}}
INLINE, ATTACHED = "aws_iam_role_policy", "aws_iam_role_policy_attachment"


def test_a_role_has_the_policies_that_refer_to_it_or_name_it() -> None:
    role = role_of(
        resource(INLINE, name="a", written=TO_ROLE, policy='{"a": 1}'),
        resource(INLINE, name="b", role="r", policy='{"b": 1}'),
        resource(INLINE, name="c", role="other", policy='{"c": 1}'),
        resource(ATTACHED, name="d", role="other", policy_arn="x"),
        resource(ATTACHED, name="e", role="r", policy_arn="arn:aws:iam::aws:policy/AWSXRayDaemonWriteAccess"),
    )

    xray = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
    assert role == RoleFacts(
        name="aws_iam_role.r",
        unknown=LATER,
        role_name="r",
        arn="role-arn",
        policies={
            "aws_iam_role_policy.a": {"a": 1},
            "aws_iam_role_policy.b": {"b": 1},
            "AWSXRayDaemonWriteAccess": {"Statement": [{"Effect": "Allow", "Action": xray, "Resource": "*"}]},
        },
    )


def test_a_role_of_which_a_policy_is_to_come_is_not_known() -> None:
    later = resource(INLINE, name="a", written=TO_ROLE)
    there = resource(INLINE, name="b", role="r", policy="{}")

    for attached in ((later,), (later, there), (there, later)):
        assert role_of(*attached) == RoleFacts(
            name="aws_iam_role.r", unknown=LATER, role_name="r", arn="role-arn"
        )


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"policy_arn": "arn:aws:iam::1:policy/AWSXRayDaemonWriteAccess"},
         "what arn:aws:iam::1:policy/AWSXRayDaemonWriteAccess allows is not in the plan"),
        ({"policy_arn": "arn:aws:iam::aws:policy/AdministratorAccess"},
         "what arn:aws:iam::aws:policy/AdministratorAccess allows is not in the plan"),
        ({}, "what aws_iam_role_policy_attachment.n allows is not in the plan"),
    ],
)  # fmt: skip
def test_a_policy_that_is_elsewhere_is_told(values: dict[str, str], told: str) -> None:
    role = role_of(resource(ATTACHED, written=TO_ROLE, **values))

    assert (role.policies, role.why("policies"), role.why("arn")) == (None, told, "known after apply")


def topic_of(*others: Resource, pending: Any = None, written: Any = (), **values: Any) -> TopicFacts:
    topic = Resource(address="aws_sns_topic.t", module="", type="aws_sns_topic", name="t", index="",
                     values={"name": "orders", **values}, pending=pending or {},
                     expressions={key: {} for key in written})  # fmt: skip
    return plan_values.read_topic(document(topic, *others), topic)


def test_a_topic_as_a_plan_has_it() -> None:
    to_topic = {"references": ["aws_sns_topic.t.arn", "aws_sns_topic.t"]}
    to_queue = {"references": ["aws_sqs_queue.q.arn", "aws_sqs_queue.q"]}
    queue = Resource(address="aws_sqs_queue.q", module="", type="aws_sqs_queue", name="q", index="",
                     values={"name": "billing"}, pending={}, expressions={})  # fmt: skip
    subscription = "aws_sns_topic_subscription"
    others = (
        queue,
        resource("aws_sns_topic_policy", written={"arn": to_topic}, policy='{"a": 1}'),
        resource("aws_sns_topic_policy", name="other", policy='{"b": 1}'),
        resource(subscription, written={"topic_arn": to_topic}, protocol="sqs", endpoint="q"),
        resource(subscription, written={"topic_arn": to_topic, "endpoint": to_queue}, protocol="sqs"),
        resource(subscription, written={"topic_arn": to_topic}),
        resource(subscription, protocol="email", endpoint="of another"),
    )

    assert topic_of(*others, arn="arn", policy='{"c": 1}', kms_master_key_id="key") == TopicFacts(
        name="aws_sns_topic.t",
        unknown=LATER,
        topic_name="orders",
        arn="arn",
        exists=True,
        policy={"a": 1},
        max_bytes=262_144,
        encryption_key="key",
        subscriptions=(
            SubscriptionFacts(protocol="sqs", endpoint="q"),
            SubscriptionFacts(protocol="sqs", endpoint="billing"),
            SubscriptionFacts(protocol="", endpoint=""),
        ),
    )


def test_a_topic_without_a_policy_has_awss_own_and_one_that_is_to_come_is_not_known() -> None:
    to_topic = {"arn": {"references": ["aws_sns_topic.t"]}, "policy": {}}
    later = resource("aws_sns_topic_policy", written=to_topic, pending={"policy": True})

    assert (topic_of().policy, topic_of().encryption_key) == ({}, "")
    assert topic_of(pending={"policy": True}).policy == {}
    assert topic_of(pending={"policy": True}, written=["policy"]).policy is None
    assert topic_of(policy="").policy is None
    assert topic_of(later, policy="{}").policy is None
    assert topic_of(pending={"kms_master_key_id": True}, written=["kms_master_key_id"]).encryption_key is None


@pytest.mark.parametrize(
    ("references", "source", "target", "refers"),
    [
        (["a.n"], "", "", True),
        (["a.n.arn"], "", "", True),
        (["a.n2.arn", "a.n2"], "", "", False),
        ([], "", "", False),
        (['a.n["k"].arn', 'a.n["k"]', "a.n"], "", '"k"', True),
        (['a.n["k"].arn', 'a.n["k"]', "a.n"], '"l"', '"l"', False),
        (["a.n[0]"], "", "0", True),
        (["a.n[1]"], "", "0", False),
        (["a.n"], '"k"', '"k"', True),
        (["a.n"], '"l"', '"k"', False),
        (["a.n[each.key].arn", "a.n"], '"k"', '"k"', True),
    ],
)
def test_a_reference_is_to_an_instance(references: list[str], source: str, target: str, refers: bool) -> None:
    one = resource("b", index=source, written={"x": {"references": references}})
    other = resource("a", index=target)

    assert document(one, other).refers(one, "x", other) is refers
    assert not document(one, other).refers(one, "y", other)
    elsewhere = resource("a", index=target, module="module.m")
    assert not document(one, elsewhere).refers(one, "x", elsewhere)


def test_an_expression_that_is_none_refers_to_nothing() -> None:
    target = resource("a")
    for written in (None, {"x": [{"references": ["a.n"]}]}, {"x": {"constant_value": "a.n"}}):
        assert not document().refers(resource("b", written=written), "x", target)


@pytest.mark.parametrize(
    ("pending", "is_pending"),
    [(True, True), (False, False), ([], False), ([False, {"b": [True]}], True), ({"b": False}, False),
     ({"b": {"c": True}}, True), ("true", False), (None, False)],
)  # fmt: skip
def test_what_is_to_come_may_be_a_part(pending: Any, is_pending: bool) -> None:
    assert resource(pending={"a": pending}).is_pending("a") is is_pending
    assert not resource(pending={"b": pending}).is_pending("a")


def test_a_block_is_one_of_a_list_or_itself() -> None:
    planned = resource(a=[{"x": 1}, {"x": 2}], b={"x": 3}, c=[], d="x", e=[7])

    assert [planned.block(name) for name in "abcdef"] == [{"x": 1}, {"x": 3}, None, None, None, None]


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "a pattern is no JSON"), ("[]", "a pattern is no JSON object"),
     ("7", "a pattern is no JSON object")],
)  # fmt: skip
def test_what_is_no_pattern_is_said(text: str, message: str) -> None:
    with pytest.raises(UnknownPatternError) as error:
        parse_pattern(text)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ({"a": "x"}, "a has neither rules in a list nor fields"),
        ({"a": [{"prefix": "x", "suffix": "y"}]}, "a rule has more than one word"),
        ({"a": [{}]}, "a rule has more than one word"),
        ({"a": [{"cidr": "10.0.0.0/8"}]}, "the rule 'cidr' is not known"),
        ({"a": [{"numeric": [">", 1]}]}, "the rule 'numeric' is not known"),
        ({"a": [{"prefix": 7}]}, "the rule 'prefix' is not known"),
    ],
)
def test_a_rule_that_is_not_known_is_said(pattern: Any, message: str) -> None:
    with pytest.raises(UnknownPatternError) as error:
        matches_pattern(pattern, {"a": "xy"})
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("rules", "record", "matches"),
    [
        ([{"exists": True}], {"a": {"b": 1}}, False),  # of leaves only
        ([{"exists": False}], {"a": {"b": 1}}, True),
        ([{"exists": True}], {"a": None}, True),
        ([None], {}, False),
        ([None], {"a": None}, True),
        ([1], {"a": True}, False),
        ([{"prefix": "x"}], {"a": {"b": "x"}}, False),
        ([{"anything-but": ["x"]}], {"a": {"b": "x"}}, False),
        ([{"anything-but": 7}], {"a": 7}, False),
        ([{"anything-but": 7}], {"a": 8}, True),
        ([{"anything-but": {"suffix": "x"}}], {"a": "yx"}, False),
        ([{"anything-but": {"suffix": "x"}}], {"a": "xy"}, True),
        ([{"suffix": "x"}], {"a": "yx"}, True),
        ([{"prefix": "x"}], {"a": "yx"}, False),
        ([{"equals-ignore-case": "straße"}], {"a": "STRASSE"}, True),
        ([{"equals-ignore-case": "x"}], {"a": "y"}, False),
        ([], {"a": "x"}, False),
        ({"b": ["x"]}, {"a": "x"}, False),
        ({"b": ["x"]}, {"a": {"b": "x"}}, True),
        ({"b": [{"exists": False}]}, {}, True),
    ],
)
def test_a_rule_is_tried_on_what_is_there(rules: Any, record: Any, matches: bool) -> None:
    assert matches_pattern({"a": rules}, record) is matches
    assert matches_pattern({"a": rules, "c": [{"exists": False}]}, record) is matches
    assert matches_pattern({"c": [{"exists": False}], "a": rules}, record) is matches
    assert not matches_pattern({"a": rules, "c": ["-"]}, record)


def test_one_of_several_patterns_suffices_and_all_else_has_to_match() -> None:
    either = {"$or": [{"a": ["x"]}, {"b": ["y"]}]}

    assert matches_pattern(either, {"a": "x"})
    assert matches_pattern(either, {"b": "y"})
    assert not matches_pattern(either, {"a": "y"})
    assert not matches_pattern({**either, "c": ["z"]}, {"a": "x"})
    assert matches_pattern({}, None)
    assert not matches_pattern({"a": ["x"]}, "x")


def test_statements_and_texts_stand_alone_or_in_lists() -> None:
    assert statements_of({}) == []
    assert statements_of({"Statement": {"a": 1}}) == [{"a": 1}]
    assert statements_of({"Statement": [{"a": 1}, "x"]}) == [{"a": 1}]
    assert [texts_of(each) for each in ("a", ["a", 7], ("a",), None, {"a": 1})] == [
        ["a"], ["a", "7"], ["a"], [], [],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "text", "is_covered"),
    [("a?c", "abc", True), ("a?c", "ac", False), ("a*", "a", True), ("a.c", "abc", False),
     ("a*c", "a\nc", True),
     ("b", "abc", False), ("a", "ab", False)],
)  # fmt: skip
def test_a_pattern_of_iam_covers_whole_texts(pattern: str, text: str, is_covered: bool) -> None:
    assert covers(pattern, text) is is_covered


def allow(**changes: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "SNS:Publish", "Resource": "arn:t", **changes}


WANTED = {"Statement": [allow(Action=["sns:Publish", "sqs:SendMessage"], Resource=["arn:t", "arn:u"])]}
ASKED = [(action, arn) for action in ("sns:Publish", "sqs:SendMessage") for arn in ("arn:t", "arn:u")]


@pytest.mark.parametrize(
    ("statements", "allowed"),
    [
        ([], []),
        ([allow()], ASKED[:1]),
        ([allow(Resource=["arn:u"])], ASKED[1:2]),
        ([allow(Action="*", Resource="arn:T")], []),
        ([allow(Action="*", Resource="*")], ASKED),
        ([allow(Effect="Deny")], []),
        ([allow(Action="*", Resource="*"), allow(Effect="Deny")], ASKED[1:]),
        ([allow(Action="*", Resource="*"), allow(Effect="Deny", Condition={})], ASKED),
        ([{"Effect": "Allow", "NotAction": "SNS:*", "Resource": "*"}], ASKED[2:]),
        ([{"Effect": "Allow", "Action": "*", "NotResource": "arn:t"}], [ASKED[1], ASKED[3]]),
        ([{"Effect": "Allow", "Action": "*"}], []),
        ([{"Effect": "Allow", "Resource": "*"}], []),
        ([{"Action": "*", "Resource": "*"}], []),
    ],
)
def test_what_the_policies_do_not_allow_together_is_missing(statements: Any, allowed: Any) -> None:
    missing = [each for each in ASKED if each not in allowed]

    assert list(find_missing([{"Statement": statements}], WANTED)) == missing
    assert list(find_missing([{"Statement": each} for each in statements], WANTED)) == missing


@pytest.mark.parametrize(
    ("statement", "wide"),
    [
        (allow(), []),
        (allow(Resource="*"), ["SNS:Publish"]),
        (allow(Resource=["arn:t", "*"], Action=["a:B", "c:D"]), ["a:B", "c:D"]),
        (allow(Action="*"), ["*"]),
        (allow(Action="sns:*"), ["sns:*"]),
        (allow(Action="sns:Pub*"), []),
        (allow(Resource="*", Effect="Deny"), []),
        (allow(Resource="*", Action=["Logs:PutLogEvents", "sns:Publish"]), ["sns:Publish"]),
        ({"Effect": "Allow", "Action": "sns:Publish", "NotResource": "arn:t"}, ["sns:Publish"]),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "arn:t"}, ["*"]),
    ],
)
def test_what_is_allowed_on_everything_is_wide(statement: Any, wide: list[str]) -> None:
    assert list(find_wide({"Statement": statement})) == wide
    assert list(find_wide({"Statement": [allow(Effect="Deny"), statement]})) == wide


@pytest.mark.parametrize(
    ("principal", "condition", "is_meant", "is_open"),
    [
        ("*", False, True, True),
        ("*", True, False, False),
        ({"AWS": "*"}, False, True, True),
        ({"AWS": ["b", "a"]}, False, True, False),
        ({"AWS": "b"}, False, False, False),
        ({"Service": "*"}, False, False, False),
        (None, False, False, False),
    ],
)
def test_a_principal_is_named_or_everyone(
    principal: object, condition: bool, is_meant: bool, is_open: bool
) -> None:
    rest = {"Action": ["x:Y", "SNS:Pub*"], "Principal": principal, **({"Condition": {}} if condition else {})}
    denying, allowing = {"Statement": {"Effect": "Deny", **rest}}, {"Statement": {"Effect": "Allow", **rest}}

    assert find_denied(denying, "sns:Publish", ["a"]) is is_meant
    assert not find_denied(allowing, "sns:Publish", ["a"])
    assert not find_denied(denying, "sns:Subscribe", ["a"])
    assert lets_anyone(allowing, "sns:Publish") is is_open
    assert lets_anyone(allowing, "sns:Publish", ["a"]) is (is_meant or condition)
    assert not lets_anyone(denying, "sns:Publish")
    assert not lets_anyone(allowing, "sns:Subscribe", ["a"])


def test_the_policy_of_the_doctor_in_full() -> None:
    place = Place(region=Region("eu-west-1"), account_id=AccountId("123456789012"))
    table = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders"
    others = [
        "iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies",
        "iam:ListRolePolicies", "kms:DescribeKey", "kms:GetKeyPolicy", "lambda:GetFunction",
        "lambda:ListEventSourceMappings", "scheduler:GetSchedule", "sns:GetTopicAttributes",
        "sns:ListSubscriptionsByTopic",
    ]  # fmt: skip
    described = ["DescribeTable", "DescribeTimeToLive", "DescribeContinuousBackups"]

    assert doctor_policy(place, "orders", TableDesign.ordered) == {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "LookAtTable", "Effect": "Allow", "Action": [f"dynamodb:{each}" for each in described],
             "Resource": [table]},
            {"Sid": "LookAtItems", "Effect": "Allow", "Action": ["dynamodb:Query", "dynamodb:BatchGetItem"],
             "Resource": [table, f"{table}/index/NotDispatchedMessagesIndex"]},
            {"Sid": "LookAtTheRest", "Effect": "Allow", "Action": others, "Resource": ["*"]},
        ],
    }  # fmt: skip

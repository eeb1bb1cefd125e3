"""The checks one by one: no finding where nothing is wrong, one for each fault, and nothing is guessed."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, TypeVar

import msgspec
import pytest

from outbox_sdk import TableDesign
from outbox_sdk.core.configuration import RelayConfiguration, encode_environment, parse_environment
from outbox_sdk.core.doctor import (
    CHECKS,
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
    diagnose,
)
from outbox_sdk.core.doctor.event_pattern import UnknownPatternError, matches_pattern, parse_pattern
from outbox_sdk.core.doctor.policies import find_denied, find_missing, find_wide, lets_anyone
from outbox_sdk.core.doctor.reads import READS, doctor_policy
from outbox_sdk.core.event_source import filter_patterns
from outbox_sdk.core.function import DEFAULT_RUNTIME, HANDLERS, RUNTIMES
from outbox_sdk.core.identifiers import AccountId, Region, TableName, TopicName
from outbox_sdk.core.permissions import Grants, policy_document
from outbox_sdk.core.place import Place
from tests.support.documents import ROOT, page_namespace

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

PLANT_NAMES = [f"{number}-{name}" for number, (name, _, _) in enumerate(PLANTS)]

ALONG = {
    "function.environment": {"sweeper.settings", "role.rights"},
    "function.topics": {"role.rights"},
    # Lambda writes to the destination with the function's role.
    "mapping.on-failure": {"role.rights"},
}


def test_a_healthy_stack_has_no_finding_and_nothing_is_left_out() -> None:
    diagnosis = diagnose(healthy())

    assert diagnosis.findings == ()
    assert diagnosis.unchecked == ()
    assert diagnosis.checked == len(CHECKS) + sum(check.about == "topic" for check in CHECKS)


@pytest.mark.parametrize(("check", "severity", "stack"), PLANTS, ids=PLANT_NAMES)
def test_each_fault_is_found(check: str, severity: str, stack: Callable[[], Stack]) -> None:
    diagnosis = diagnose(stack())

    found = [finding for finding in diagnosis.findings if finding.id == check]
    assert [finding.severity for finding in found][:1] == [severity]
    assert {finding.id for finding in diagnosis.findings} <= {check, *ALONG.get(check, ())}
    assert all(each.what and each.risk and each.remedy for each in found)
    assert diagnosis.has_errors == any(each.severity == "error" for each in diagnosis.findings)


def test_every_check_has_a_fault_that_it_finds() -> None:
    assert {name for name, _, _ in PLANTS} == {check.id for check in CHECKS} - LISTING


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_what_is_not_known_is_listed_and_never_fine(check: Any) -> None:
    """No fact at all, and then a stack whose parts are there and say nothing: no check is taken for made."""
    nothing = Stack(name="table orders", source="live", taken_at=healthy().taken_at, unknown={"*": "denied"})
    empty = replace(
        nothing,
        table=TableFacts(name="table", table_name="orders", unknown={"*": "denied"}),
        function=FunctionFacts(name="function", function_name="orders-relay", unknown={"*": "denied"}),
        mappings=(MappingFacts(name="mapping", unknown={"*": "denied"}),),
        role=RoleFacts(name="role", role_name="r", unknown={"*": "denied"}),
        topics=(TopicFacts(name="topic", topic_name="t.fifo", unknown={"*": "denied"}),),
        keys=(KeyFacts(name="key", arn=KEY, used_by="table", unknown={"*": "denied"}),),
        sweeper=SweeperFacts(name="sweeper", function_name="s", unknown={"*": "denied"}),
    )

    for stack in (nothing, empty):
        diagnosis = diagnose(stack)
        assert diagnosis.findings == ()
        if stack is empty and check.id == "mapping.exists":  # there is one
            continue
        assert {each.reason for each in diagnosis.unchecked if each.id == check.id} == {"denied"}


@pytest.mark.parametrize(
    "change",
    [
        lambda: replace(
            with_settings(outbox_allowed_topics=frozenset({TopicName("viewed")})),
            mappings=with_mapping(parallelization_factor=4).mappings,
            topics=(topic("p-viewed"),),
        ),
        lambda: with_mapping(on_failure=""),  # the sweeper takes it up
        lambda: with_table(stream_view="NEW_IMAGE"),
        lambda: replace(with_function(variables={**variables(), "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}),
                        is_local=True),
        lambda: with_topic(policy={"Statement": [
            {**DENIES, "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
            {**OPEN, "Condition": {"StringEquals": {"AWS:SourceOwner": "123456789012"}}},
        ]}),
        lambda: with_policies(outbox=policy(), tracing={
            "Statement": [{"Effect": "Allow", "Action": ["xray:PutTraceSegments"], "Resource": "*"}]}),
    ],
    ids=["no order", "a sweeper suffices", "new images", "a local stack", "conditions", "X-Ray"],
)  # fmt: skip
def test_what_is_right_for_a_reason_has_no_finding(change: Callable[[], Stack]) -> None:
    assert diagnose(change()).findings == ()


def test_marks_that_delete_need_no_expiry_and_another_filter() -> None:
    pattern = msgspec.json.encode(filter_patterns(TableDesign.ordered, "delete")[0]).decode()
    stack = with_settings(outbox_mark_strategy="delete", outbox_dispatched_ttl_days=None)
    deleting = replace(
        stack,
        mappings=with_mapping(patterns=(pattern,)).mappings,
        role=replace(
            stack.role, policies={"outbox": without("dynamodb:PartiQLUpdate", "dynamodb:BatchWriteItem")}
        ),
    )
    allowing = (
        msgspec.json.encode(policy()).decode().replace("dynamodb:PartiQLUpdate", "dynamodb:BatchWriteItem")
    )
    deleting = replace(deleting, role=replace(stack.role, policies={"outbox": msgspec.json.decode(allowing)}))

    assert diagnose(deleting).findings == ()
    back = replace(deleting, mappings=healthy().mappings)
    assert [each.id for each in diagnose(back).findings] == ["mapping.filter"]


def test_a_filter_that_cannot_be_worked_out_is_said_to_be_unchecked() -> None:
    for pattern in ('{"eventName":[{"cidr":"10.0.0.0/8"}]}', '{"eventName":"INSERT"}', "[]", "{"):
        diagnosis = diagnose(with_mapping(patterns=(pattern,)))
        assert diagnosis.findings == ()
        assert [each.id for each in diagnosis.unchecked] == ["mapping.filter"]


def test_findings_come_worst_first() -> None:
    stack = replace(with_mapping(metrics=(), retry_attempts=3), clock_skew_seconds=20.0)

    assert [each.severity for each in diagnose(stack).findings] == ["error", "warning", "info"]


def test_a_plan_is_mended_by_a_line_and_a_stack_by_a_command() -> None:
    live = with_mapping(starting_position="LATEST", bisects=False)
    (error, warning) = diagnose(replace(live, source="plan")).findings

    assert error.remedy == 'starting_position = "TRIM_HORIZON"'
    assert warning.remedy == "bisect_batch_on_function_error = true"
    assert "aws lambda" in diagnose(live).findings[0].remedy


@pytest.mark.parametrize(
    ("rule", "value", "expected"),
    [
        ([{"exists": True}], "x", True),
        ([{"exists": False}], None, True),
        ([{"exists": False}], "x", False),
        ([{"anything-but": ["a", "b"]}], "c", True),
        ([{"anything-but": "a"}], "a", False),
        ([{"anything-but": {"prefix": "par"}}], "parked", False),
        ([{"anything-but": "a"}], None, False),
        ([{"prefix": "0"}], "07", True),
        ([{"suffix": "7"}], "08", False),
        ([{"equals-ignore-case": "X"}], "x", True),
        (["x", "y"], "y", True),
        (["1"], 1, False),
    ],
)
def test_the_rules_of_a_pattern(rule: Any, value: Any, expected: bool) -> None:
    record = {} if value is None else {"field": value}
    assert matches_pattern({"field": rule}, record) is expected
    assert matches_pattern({"$or": [{"other": ["-"]}, {"field": rule}]}, record) is expected


def test_a_pattern_with_two_words_in_a_rule_is_not_guessed_at() -> None:
    with pytest.raises(UnknownPatternError):
        matches_pattern(parse_pattern('{"a": [{"prefix": "x", "suffix": "y"}]}'), {"a": "xy"})


def test_policies_are_read_in_all_their_forms() -> None:
    wanted = {
        "Statement": [{"Effect": "Allow", "Action": ["sns:Publish"], "Resource": ["arn:aws:sns:e:1:p-*"]}]
    }
    allowing = {"Effect": "Allow", "Action": "SNS:Pub*", "Resource": "arn:aws:sns:*:1:*"}
    all_but = {"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:s3:::*"}
    narrower = {"Effect": "Allow", "Action": "sns:Publish", "Resource": "arn:aws:sns:e:1:p-a"}

    assert list(find_missing([{"Statement": allowing}], wanted)) == []
    assert list(find_missing([{"Statement": all_but}], wanted)) == []
    assert list(find_missing([{"Statement": [narrower]}], wanted)) == [("sns:Publish", "arn:aws:sns:e:1:p-*")]
    assert list(find_wide({"Statement": all_but})) == ["*"]
    assert not find_denied({"Statement": [{**DENIES, "Principal": {"AWS": "a"}}]}, "sns:Publish", ["b"])
    assert lets_anyone(key_policy({"AWS": [ROOT_ARN]}), "kms:Decrypt", [ROOT_ARN])


def test_runtimes_have_dates_and_the_default_has_years() -> None:
    from outbox_sdk.core.doctor.runtimes import SUPPORTED_UNTIL

    assert set(RUNTIMES) <= set(SUPPORTED_UNTIL)
    assert SUPPORTED_UNTIL[DEFAULT_RUNTIME] > date(2028, 1, 1)


def test_the_page_runs() -> None:
    namespace = page_namespace(ROOT / "docs" / "how-to" / "doctor.md")

    assert namespace["problem"].startswith("--plan: has no relay")
    assert set(namespace["policy"]["Statement"][0]["Action"]) <= {each.action for each in READS}


def test_the_policy_of_the_doctor_allows_its_calls_and_changes_nothing() -> None:
    document = doctor_policy(PLACE, "orders", TableDesign.ordered)

    allowed = [action for statement in document["Statement"] for action in statement["Action"]]
    assert sorted(allowed) == sorted(each.action for each in READS)
    assert all(re.match(r"[a-z]+:(Get|List|Describe|Query|BatchGet)", action) for action in allowed)


def test_the_page_has_every_check_and_no_other() -> None:
    page = (ROOT / "docs" / "how-to" / "doctor.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+\.[a-z-]+)` \| (\w+)[^|]*\| (.+?) \|", page, re.MULTILINE)

    assert {name: (severity, title) for name, severity, title in rows} == {
        check.id: (check.severity, check.title) for check in CHECKS
    }


OUTSTANDING = {"NotDispatched": {"S": [{"anything-but": ["parked"]}]}}
NEW = {"dynamodb": {"NewImage": OUTSTANDING}}
CHANGED = {"eventName": ["MODIFY"], "dynamodb": {"NewImage": OUTSTANDING, "OldImage": OUTSTANDING}}
INSERTED = {"eventName": ["INSERT"], **NEW}


@pytest.mark.parametrize(
    ("patterns", "told"),
    [
        ([NEW], None),
        ([INSERTED], "holds back what a sweep touched, what was redriven"),
        ([INSERTED, CHANGED], "holds back what was redriven"),
        ([{"dynamodb": {"NewImage": {"NotDispatched": {"S": [{"anything-but": ["parked", "x"]}]}}}}],
         "holds back messages with the marker x"),
        ([{"eventName": ["MODIFY"], **NEW}], "holds back new messages, messages with the marker x"),
        ([NEW, {"eventName": ["REMOVE"]}], "brings expired items"),
        ([{"eventName": ["INSERT", "MODIFY"]}], "brings the relay's own marks, what the relay parked"),
    ],
)  # fmt: skip
def test_a_filter_is_tried_on_records_and_said_to_hold_back_or_bring(
    patterns: list[Any], told: str | None
) -> None:
    texts = tuple(msgspec.json.encode(each).decode() for each in patterns)

    found = diagnose(with_mapping(patterns=texts)).findings

    assert [each.what for each in found] == ([] if told is None else [f"the filter {told}"])


def test_what_is_not_there_has_one_finding_and_not_one_for_each_thing_it_lacks() -> None:
    assert [each.id for each in diagnose(with_table(exists=False, stream_view="")).findings] == [
        "table.exists"
    ]
    gone = with_function(exists=False, handler="other", reserved_concurrency=0)
    assert [each.id for each in diagnose(gone).findings] == ["function.exists"]

"""The checks one by one: no finding where nothing is wrong, one for each fault, and nothing is guessed."""

import re
from collections.abc import Callable
from datetime import date
from typing import Any

import msgspec
import pytest

from outbox_sdk import TableDesign
from outbox_sdk.core.doctor import (
    CHECKS,
    FunctionFacts,
    KeyFacts,
    MappingFacts,
    RoleFacts,
    Stack,
    SweeperFacts,
    TableFacts,
    TopicFacts,
    diagnose,
)
from outbox_sdk.core.doctor.event_pattern import UnknownPatternError, matches_pattern, parse_pattern
from outbox_sdk.core.doctor.policies import find_denied, find_missing, find_wide, lets_anyone
from outbox_sdk.core.doctor.reads import READS, doctor_policy
from outbox_sdk.core.event_source import filter_patterns
from outbox_sdk.core.function import DEFAULT_RUNTIME, RUNTIMES
from outbox_sdk.core.identifiers import TopicName
from tests.support.doctor_stacks import (
    DENIES,
    KEY,
    LISTING,
    OPEN,
    PLACE,
    PLANTS,
    ROOT_ARN,
    healthy,
    key_policy,
    policy,
    replace,
    topic,
    variables,
    with_function,
    with_mapping,
    with_policies,
    with_settings,
    with_table,
    with_topic,
    without,
)
from tests.support.documents import ROOT, page_namespace

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

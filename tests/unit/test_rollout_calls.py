"""The calls of a deployment, whole: their arguments, their order, and the reason that is shown for each."""

import json
from typing import Any

import msgspec
import pytest

from outbox_sdk.core.configuration import RelayConfiguration
from outbox_sdk.core.deployment import Call, Code, Deployment, check_owner, describe_call, role_name
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.event_source import EventSource, mapping_settings
from outbox_sdk.core.identifiers import AccountId, Region, TableName
from outbox_sdk.core.place import Place
from outbox_sdk.core.roles import RoleDesign, plan_narrowing, plan_role
from outbox_sdk.core.rollout import plan_function, plan_mapping, plan_removal, plan_schedule
from outbox_sdk.core.table import TableDesign

PLACE = Place(region=Region("eu-west-1"), account_id=AccountId("123456789012"))
STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/outbox/stream/2026-11-24T00:00:00.000"
FAILURES = "arn:aws:s3:::failures"
RELAY = Deployment(
    configuration=RelayConfiguration(
        dynamodb_outbox_table_name=TableName("outbox"), aws_sns_topic_prefix="p-"
    ),
    function_name="outbox-relay",
    architecture="arm64",
    memory_mb=256,
    timeout_seconds=30,
    environment={"TOKEN": "secret"},
    source=EventSource(
        batch_size=50,
        batch_window_seconds=2,
        parallelization_factor=3,
        maximum_record_age_seconds=7_200,
        on_failure=FAILURES,
    ),
)
SWEEPER = msgspec.structs.replace(RELAY, role="sweeper", function_name="outbox-sweeper")
BYTES = Code(sha256="one", zip_file=b"zip")
IN_S3 = Code(sha256="one", bucket="packages", key="relay.zip")

FUNCTION: dict[str, Any] = {
    "Role": "arn:aws:iam::123456789012:role/outbox-relay-eu-west-1",
    "Handler": "outbox_sdk.lambda_handler.handler",
    "Runtime": "python3.13",
    "MemorySize": 256,
    "Timeout": 30,
    "Environment": {
        "Variables": {
            "TOKEN": "secret",
            "DYNAMODB_OUTBOX_TABLE_NAME": "outbox",
            "AWS_SNS_TOPIC_PREFIX": "p-",
        }
    },
}
OURS = {"outbox-sdk:table": "outbox"}
OUTSTANDING = {"NotDispatched": {"S": [{"anything-but": ["parked"]}]}}
MAPPING: dict[str, Any] = {
    "BatchSize": 50,
    "MaximumBatchingWindowInSeconds": 2,
    "ParallelizationFactor": 3,
    "MaximumRecordAgeInSeconds": 7_200,
    "MaximumRetryAttempts": -1,
    "BisectBatchOnFunctionError": True,
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
    "FilterCriteria": {
        "Filters": [
            {"Pattern": json.dumps({"dynamodb": {"NewImage": OUTSTANDING}})},
            {"Pattern": json.dumps({"eventName": ["REMOVE"], "dynamodb": {"OldImage": OUTSTANDING}})},
        ]
    },
    "MetricsConfig": {"Metrics": ["EventCount"]},
    "DestinationConfig": {"OnFailure": {"Destination": FAILURES}},
}
SCHEDULE: dict[str, Any] = {
    "Name": "outbox-sweeper",
    "ScheduleExpression": "rate(5 minutes)",
    "FlexibleTimeWindow": {"Mode": "OFF"},
    "State": "ENABLED",
    "Target": {
        "Arn": "arn:aws:lambda:eu-west-1:123456789012:function:outbox-sweeper",
        "RoleArn": "arn:aws:iam::123456789012:role/outbox-sweeper-schedule-eu-west-1",
    },
}


# Functions


@pytest.mark.parametrize(
    ("code", "location"),
    [(BYTES, {"ZipFile": b"zip"}), (IN_S3, {"S3Bucket": "packages", "S3Key": "relay.zip"})],
)
def test_a_missing_function_is_created_whole(code: Code, location: dict[str, Any]) -> None:
    request = {
        "FunctionName": "outbox-relay",
        **FUNCTION,
        "Architectures": ["arm64"],
        "Code": location,
        "Description": "The outbox relay of the table outbox",
        "Tags": OURS,
    }

    assert plan_function(None, RELAY, PLACE, code) == (
        Call("lambda", "create_function", request, "the function is missing"),
    )


def test_a_sweeper_has_a_handler_of_its_own() -> None:
    (call,) = plan_function(None, SWEEPER, PLACE, BYTES)

    assert call.request["Handler"] == "outbox_sdk.sweeper_handler.handler"
    assert call.request["Description"] == "The outbox sweeper of the table outbox"


def test_what_differs_of_a_function_is_changed_and_named() -> None:
    shown = {**FUNCTION, "MemorySize": 128, "CodeSha256": "other", "Architectures": ["arm64"]}
    del shown["Timeout"]

    assert plan_function({"Configuration": shown, "Tags": OURS}, RELAY, PLACE, IN_S3) == (
        Call(
            "lambda",
            "update_function_configuration",
            {"FunctionName": "outbox-relay", "MemorySize": 256, "Timeout": 30},
            "the function differs in MemorySize, Timeout",
        ),
        Call(
            "lambda",
            "update_function_code",
            {
                "FunctionName": "outbox-relay",
                "Architectures": ["arm64"],
                "S3Bucket": "packages",
                "S3Key": "relay.zip",
            },
            "the function's package differs",
        ),
    )


def test_a_platform_that_is_not_shown_is_taken_to_fit() -> None:
    found = {"Configuration": {**FUNCTION, "CodeSha256": "one"}, "Tags": OURS}

    assert plan_function(found, RELAY, PLACE, BYTES) == ()


@pytest.mark.parametrize(
    ("found", "whose"),
    [
        ({}, "is not an outbox's"),
        ({"Tags": None}, "is not an outbox's"),
        ({"Tags": {"outbox-sdk:table": "other"}}, "belongs to the table other"),
    ],
)
def test_a_function_of_somebody_else_is_left_alone(found: dict[str, Any], whose: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        plan_function({"Configuration": FUNCTION, **found}, RELAY, PLACE, BYTES)

    assert str(caught.value) == (
        f"function_name: a function outbox-relay exists and {whose}; give the function another name"
    )


# Mappings


@pytest.mark.parametrize("paused", [False, True])
def test_a_missing_mapping_is_created_whole(*, paused: bool) -> None:
    request = {
        "EventSourceArn": STREAM,
        "FunctionName": "outbox-relay",
        "StartingPosition": "TRIM_HORIZON",
        "Enabled": not paused,
        **MAPPING,
    }

    assert plan_mapping(None, msgspec.structs.replace(RELAY, paused=paused), STREAM) == (
        Call("lambda", "create_event_source_mapping", request, "the mapping is missing"),
    )


def test_a_mapping_whose_marks_delete_hears_of_no_removals_and_may_have_no_destination() -> None:
    settings = mapping_settings(EventSource(), TableDesign.ordered, "delete")

    assert settings == {
        **{name: value for name, value in MAPPING.items() if name != "DestinationConfig"},
        "BatchSize": 100,
        "MaximumBatchingWindowInSeconds": 1,
        "ParallelizationFactor": 1,
        "MaximumRecordAgeInSeconds": 82_800,
        "FilterCriteria": {"Filters": MAPPING["FilterCriteria"]["Filters"][:1]},
    }


def changed_mapping(found: dict[str, Any], deployment: Deployment = RELAY) -> tuple[Call, ...]:
    return plan_mapping({"UUID": "1-2-3", "State": "Enabled", **found}, deployment, STREAM)


def update(reason: str, **changes: Any) -> tuple[Call, ...]:
    request = {"UUID": "1-2-3", "Enabled": True, **changes}
    return (Call("lambda", "update_event_source_mapping", request, reason),)


def test_what_differs_of_a_mapping_is_changed_and_named() -> None:
    shown = {**MAPPING, "BatchSize": 10, "ParallelizationFactor": 1}

    assert changed_mapping(MAPPING) == ()
    assert changed_mapping(shown) == update(
        "the mapping differs in BatchSize, ParallelizationFactor", BatchSize=50, ParallelizationFactor=3
    )


@pytest.mark.parametrize("name", MAPPING)
def test_what_aws_leaves_out_is_set_where_messages_hang_on_it(name: str) -> None:
    """Local stacks leave out more; at their address, what they do not show is taken to fit."""
    shown = {field: value for field, value in MAPPING.items() if field != name}
    local = msgspec.structs.replace(
        RELAY,
        configuration=msgspec.structs.replace(RELAY.configuration, aws_endpoint_url="http://localhost:4566"),
    )

    if name in ("FilterCriteria", "FunctionResponseTypes"):
        wanted = update(f"the mapping differs in {name}", **{name: MAPPING[name]})
        assert changed_mapping(shown) == wanted
    else:
        assert changed_mapping(shown) == ()
    assert changed_mapping(shown, local) == ()


@pytest.mark.parametrize("empty", [None, {}, {"OnFailure": None}, {"OnFailure": {}}])
def test_a_destination_is_taken_away_where_there_is_one(empty: Any) -> None:
    source = msgspec.structs.replace(RELAY.source, on_failure=None)
    without = msgspec.structs.replace(RELAY, source=source)

    assert changed_mapping({**MAPPING, "DestinationConfig": empty}, without) == ()
    assert changed_mapping(MAPPING, without) == update(
        "the mapping differs in DestinationConfig",
        DestinationConfig={"OnFailure": {"Destination": ""}},
    )


def test_a_mapping_that_is_off_is_switched_on_and_says_so() -> None:
    assert changed_mapping({**MAPPING, "State": "Disabled"}) == update("the mapping is switched off")


# Schedules


@pytest.mark.parametrize(("minutes", "rate"), [(1, "rate(1 minute)"), (2, "rate(2 minutes)")])
def test_a_missing_schedule_is_created_whole(minutes: int, rate: str) -> None:
    assert plan_schedule(None, SWEEPER, PLACE, minutes=minutes) == (
        Call(
            "scheduler",
            "create_schedule",
            {**SCHEDULE, "ScheduleExpression": rate},
            "the schedule is missing",
        ),
    )


def test_what_differs_of_a_schedule_is_named_and_the_whole_is_written() -> None:
    target = {**SCHEDULE["Target"], "RoleArn": "other"}
    shown = {**SCHEDULE, "State": "DISABLED", "ScheduleExpression": "rate(1 day)", "Target": target}

    assert plan_schedule(SCHEDULE, SWEEPER, PLACE, minutes=5) == ()
    assert plan_schedule(shown, SWEEPER, PLACE, minutes=5) == (
        Call(
            "scheduler",
            "update_schedule",
            SCHEDULE,
            "the schedule differs in ScheduleExpression, State, RoleArn",
        ),
    )


@pytest.mark.parametrize(
    ("target", "what"), [({"Arn": "arn:other"}, "arn:other"), ({}, "None"), (None, "None")]
)
def test_a_schedule_of_something_else_is_left_alone(target: Any, what: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        plan_schedule({**SCHEDULE, "Target": target}, SWEEPER, PLACE, minutes=5)

    assert str(caught.value) == (
        f"function_name: a schedule outbox-sweeper exists and invokes {what}; give the function another name"
    )


# Removals


def test_everything_is_taken_away_and_what_invokes_goes_first() -> None:
    calls = plan_removal(
        mappings=[{"UUID": "1", "State": "Enabled"}, {"UUID": "2"}],
        schedule="outbox-sweeper",
        function_name="outbox-sweeper",
        roles=[("one", True), ("two", False)],
    )

    assert {call.reason for call in calls} == {"it was asked for"}
    assert [(call.service, call.method, call.request) for call in calls] == [
        ("lambda", "delete_event_source_mapping", {"UUID": "1"}),
        ("lambda", "delete_event_source_mapping", {"UUID": "2"}),
        ("scheduler", "delete_schedule", {"Name": "outbox-sweeper"}),
        ("lambda", "delete_function", {"FunctionName": "outbox-sweeper"}),
        ("iam", "delete_role_policy", {"RoleName": "one", "PolicyName": "outbox"}),
        ("iam", "delete_role", {"RoleName": "one"}),
        ("iam", "delete_role", {"RoleName": "two"}),
    ]
    assert plan_removal() == ()


# Roles


def statement(sid: str, action: str) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": [action], "Resource": ["*"]}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [*statements]}


PUBLISH, READ = statement("Publish", "sns:Publish"), statement("Read", "dynamodb:GetItem")
WANTED = RoleDesign(name="r", description="what it is", trust={"a": ["b c"]}, policy=policy(PUBLISH))
ROLE = {
    "AssumeRolePolicyDocument": WANTED.trust,
    "Tags": [{"Key": "a", "Value": "b"}, {"Key": "outbox-sdk:table", "Value": "outbox"}],
}


def put(document: dict[str, Any], reason: str) -> Call:
    request = {"RoleName": "r", "PolicyName": "outbox", "PolicyDocument": json.dumps(document)}
    return Call("iam", "put_role_policy", request, reason)


def test_a_missing_role_is_created_with_its_policy() -> None:
    request = {
        "RoleName": "r",
        "AssumeRolePolicyDocument": '{"a": ["b c"]}',
        "Description": "what it is",
        "Tags": [{"Key": "outbox-sdk:table", "Value": "outbox"}],
    }

    assert plan_role(None, None, WANTED, "outbox") == (
        Call("iam", "create_role", request, "the role is missing"),
        put(policy(PUBLISH), "the role's policy is missing"),
    )


@pytest.mark.parametrize("as_text", [False, True])
def test_a_role_that_fits_is_left_as_it_is_however_it_is_shown(*, as_text: bool) -> None:
    trust: Any = "%7B%22a%22%3A%20%5B%22b%20c%22%5D%7D" if as_text else WANTED.trust
    held: Any = json.dumps(policy(PUBLISH)) if as_text else policy(PUBLISH)
    found, found_policy = {**ROLE, "AssumeRolePolicyDocument": trust}, {"PolicyDocument": held}

    assert plan_role(found, found_policy, WANTED, "outbox") == ()
    assert plan_narrowing(found_policy, WANTED) == ()


def test_who_may_take_a_role_on_is_put_right() -> None:
    found = {**ROLE, "AssumeRolePolicyDocument": {"a": []}}

    assert plan_role(found, {"PolicyDocument": policy(PUBLISH)}, WANTED, "outbox") == (
        Call(
            "iam",
            "update_assume_role_policy",
            {"RoleName": "r", "PolicyDocument": '{"a": ["b c"]}'},
            "who may take the role on differs",
        ),
    )


@pytest.mark.parametrize("tags", [{}, {"Tags": None}, {"Tags": [{"Key": "a", "Value": "b"}]}])
def test_a_role_of_somebody_else_is_left_alone(tags: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        plan_role(tags, None, WANTED, "outbox")

    assert str(caught.value) == (
        "function_name: a role r exists and is not an outbox's; give the function another name"
    )


@pytest.mark.parametrize("single", [False, True])
def test_a_policy_is_widened_first_and_narrowed_when_the_function_has_followed(*, single: bool) -> None:
    """A policy may have one statement without a list, and statements that both have are kept once."""
    held = {"Version": "2012-10-17", "Statement": READ} if single else policy(READ, PUBLISH)
    found = {"PolicyDocument": held}
    both = policy(PUBLISH, {name: part for name, part in READ.items() if name != "Sid"})

    widened = () if not single else (put(both, "the role's policy lacks something"),)
    assert plan_role(ROLE, found, WANTED, "outbox") == widened
    assert plan_narrowing(found, WANTED) == (
        put(policy(PUBLISH), "the role's policy allows more than is needed"),
    )


def test_of_what_is_held_that_is_kept_which_is_not_wanted_anyway() -> None:
    two = msgspec.structs.replace(WANTED, policy=policy(PUBLISH, statement("List", "sns:ListTopics")))
    found = {"PolicyDocument": policy(READ, PUBLISH)}
    nameless = {name: part for name, part in READ.items() if name != "Sid"}

    assert plan_role(ROLE, found, two, "outbox") == (
        put(policy(*two.policy["Statement"], nameless), "the role's policy lacks something"),
    )


@pytest.mark.parametrize("document", [{}, {"Statement": None}, {"Statement": []}])
def test_an_empty_policy_lacks_everything_and_allows_nothing_more(document: dict[str, Any]) -> None:
    found = {"PolicyDocument": document}

    assert plan_role(ROLE, found, WANTED, "outbox") == (
        put(policy(PUBLISH), "the role's policy lacks something"),
    )
    assert plan_narrowing(found, WANTED) == ()
    assert plan_narrowing(None, WANTED) == ()


@pytest.mark.parametrize("over", [0, 1])
def test_two_policies_that_are_too_long_together_are_not_held_together(over: int) -> None:
    """IAM takes 10,240 characters, without blanks."""
    old = {"Effect": "Allow", "Action": ["a"], "Resource": ["*"]}
    length = len(json.dumps(policy(PUBLISH, old), separators=(",", ":")))
    old["Action"] = ["a" * (10_240 - length + 1 + over)]
    needed = policy(PUBLISH) if over else policy(PUBLISH, old)

    assert plan_role(ROLE, {"PolicyDocument": policy(old)}, WANTED, "outbox") == (
        put(needed, "the role's policy lacks something"),
    )


# Calls and deployments as values


@pytest.mark.parametrize(
    ("request_", "subject"),
    [
        ({"FunctionName": "f", "UUID": "1"}, "f"),
        ({"RoleName": "r", "PolicyName": "p"}, "r"),
        ({"TableName": "t"}, "t"),
        ({"Name": "n"}, "n"),
        ({"Bucket": "b", "Key": "k"}, "k"),
        ({"UUID": 5}, "5"),
        ({"Other": "o"}, ""),
    ],
)
def test_a_call_is_about_what_its_arguments_name(request_: dict[str, Any], subject: str) -> None:
    assert Call("lambda", "any", request_, "why").subject == subject


def test_a_call_is_shown_without_packages_and_without_what_may_be_secret() -> None:
    request = {
        "Code": {"ZipFile": b"12345"},
        "Environment": {"Variables": {"TOKEN": "secret", "OUTBOX_ENVELOPE": "raw"}},
        "Tags": [{"Key": "k", "Value": b"1"}],
        "Pair": ("a", 1),
        "Enabled": True,
    }
    shown = {
        "Code": {"ZipFile": "<5 bytes>"},
        "Environment": {"Variables": {"TOKEN": "<given>", "OUTBOX_ENVELOPE": "raw"}},
        "Tags": [{"Key": "k", "Value": "<1 bytes>"}],
        "Pair": ["a", 1],
        "Enabled": True,
    }
    call = Call("lambda", "create_function", request, "why")

    assert describe_call(call) == {
        "service": "lambda",
        "operation": "create_function",
        "request": shown,
        "reason": "why",
    }
    assert repr(call) == f"Call(lambda.create_function, {shown!r}, 'why')"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"function_name": "a b"},
            "function_name: 'a b' is not the name of a function: up to 64 of A-Z a-z 0-9 - _",
        ),
        ({"memory_mb": 10_241}, "memory_mb: 10241 is not between 128 and 10240"),
        ({"timeout_seconds": 9}, "timeout_seconds: 9 is not between 10 and 900"),
        (
            {"runtime": "python3.10"},
            "runtime: 'python3.10' is not one of python3.11, python3.12, python3.13, python3.14",
        ),
        (
            {"kms_keys": ("arn:aws:kms:eu-west-1:1:key/1", "arn:aws:sns:eu-west-1:1:key/1")},
            "kms_keys: 'arn:aws:sns:eu-west-1:1:key/1' is not the ARN of a key (arn:…:kms:…:key/…)",
        ),
        (
            {"environment": {"OUTBOX_ENVELOPE": "raw"}},
            "OUTBOX_ENVELOPE: is set by the settings, not by environment",
        ),
        ({"environment": {"OUTBOX_X": "raw"}}, "OUTBOX_X: is no variable of the relay"),
        (
            {"environment": {"A": "ä" * 2_048}},
            "environment: has 4151 bytes with the settings, and Lambda takes 4096",
        ),
    ],
)
def test_what_lambda_would_refuse_is_told_in_full(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        msgspec.structs.replace(RELAY, **changes)

    assert str(caught.value) == said


@pytest.mark.parametrize(
    "changes",
    [
        {"function_name": "a-b_C9" + "f" * 58},
        {"memory_mb": 128},
        {"memory_mb": 10_240},
        {"timeout_seconds": 10},
        {"timeout_seconds": 900},
        {"kms_keys": ("arn:aws:kms:eu-west-1:1:key/1",)},
    ],
)
def test_what_lambda_takes_at_its_bounds_is_taken(changes: dict[str, Any]) -> None:
    changed = msgspec.structs.replace(RELAY, **changes)

    assert {name: getattr(changed, name) for name in changes} == changes


@pytest.mark.parametrize(
    ("field", "least", "most"),
    [
        ("batch_size", 1, 10_000),
        ("batch_window_seconds", 0, 300),
        ("parallelization_factor", 1, 10),
        ("maximum_record_age_seconds", 60, 86_400),
    ],
)
def test_a_mapping_keeps_to_lambdas_bounds(field: str, least: int, most: int) -> None:
    for value in (least, most):
        assert getattr(EventSource(**{field: value}), field) == value  # type: ignore[arg-type] # a field at a time
    for value in (least - 1, most + 1):
        with pytest.raises(ConfigurationError) as caught:
            EventSource(**{field: value})  # type: ignore[arg-type] # a field at a time
        assert str(caught.value) == f"{field}: {value} is not between {least} and {most}"


def test_a_name_that_is_too_long_for_a_role_says_how_long_it_may_be() -> None:
    with pytest.raises(ConfigurationError) as caught:
        role_name("f" * 55, "eu-west-1")

    assert str(caught.value) == f"function_name: '{'f' * 55}' has more than 54 characters"
    assert role_name("f" * 54, "eu-west-1") == f"{'f' * 54}-eu-west-1"


def test_what_was_deployed_for_the_table_is_ours() -> None:
    check_owner("role", "r", OURS, "outbox")

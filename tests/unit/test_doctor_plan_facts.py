"""What is read out of whole plans: which resources belong to a relay, where it is, and what is to come."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from outbox_sdk import ConfigurationError
from outbox_sdk.core.doctor import (
    KeyFacts,
    MappingFacts,
    RoleFacts,
    Stack,
    SweeperFacts,
    TableFacts,
    TopicFacts,
)
from outbox_sdk.core.doctor.plan import read_plan
from outbox_sdk.core.doctor.plan_document import read_document
from tests.support.plans import MODULE, PLACE, Plan, make_plan

NOW = datetime(2026, 11, 28, tzinfo=UTC)
TABLE = "aws_dynamodb_table.outbox[0]"
MAPPING = "aws_lambda_event_source_mapping.relay"
RELAY = 'aws_lambda_function.function["relay"]'
SWEEPER = 'aws_lambda_function.function["sweeper"]'
ROLE_POLICY = 'aws_iam_role_policy.function["relay"]'
FIFO = 'aws_sns_topic.created["created.fifo"]'
KEY_ARN = PLACE.arn("kms", "key/1")
STREAM = PLACE.arn("dynamodb", "table/orders-outbox/stream/1")
ELSEWHERE = {"*": "it is not in the plan"}


def read(plan: Plan, **arguments: Any) -> Stack:
    (stack,) = read_plan(plan.text(), taken_at=NOW, **arguments)
    return stack


def of(facts: Any) -> Any:
    assert facts is not None
    return facts


def test_a_stack_of_a_plan_is_named_and_says_what_a_plan_cannot_tell() -> None:
    stack = read(make_plan(existing_table=True), expected_code=("x",))

    assert (stack.name, stack.source, stack.taken_at) == (f"{MODULE}.{RELAY}", "plan", NOW)
    assert (stack.place, stack.expected_code, stack.keys, stack.is_local) == (PLACE, ("x",), (), False)
    assert stack.unknown == {
        "clock_skew_seconds": "a plan has no clock",
        "expected_code": "this library has no package at hand to compare with",
        "place": "account and Region are not in the plan",
        "role": "it is not in the plan",
        "table": "its name is not known",
        "topics": "OUTBOX_ALLOWED_TOPICS is not set, and no topic of the prefix is in the plan",
    }
    assert of(stack.table).name == "data.aws_dynamodb_table.outbox"
    assert of(stack.role).name == f'{MODULE}.aws_iam_role.function["relay"]'
    assert [(each.name, each.function_name, each.relays) for each in of(stack.mappings)] == [
        (f"{MODULE}.{MAPPING}", "orders-outbox-relay", True)
    ]
    assert [each.name for each in of(stack.topics)] == [
        f"{MODULE}.{FIFO}",
        f'{MODULE}.aws_sns_topic.created["viewed"]',
    ]
    assert stack.sweeper == SweeperFacts(
        name=f"{MODULE}.{SWEEPER}",
        function_name="orders-outbox-sweeper",
        exists=True,
        runs=True,
        variables=of(stack.function).variables,
        unknown={"runs": "its schedule is not in the plan", "*": "known after apply"},
    )


def test_settings_that_are_none_leave_table_and_topics_unknown() -> None:
    plan = make_plan()
    plan.values[RELAY]["environment"][0]["variables"]["OUTBOX_MARK_STRATEGY"] = "twice"

    stack = read(plan)

    assert (stack.table, stack.topics, stack.keys) == (None, None, ())


def test_what_the_plan_does_not_hold_is_named_all_the_same() -> None:
    plan = make_plan()
    for address in (TABLE, FIFO, MAPPING, 'aws_iam_role.function["relay"]'):
        plan.drop(address)

    stack = read(plan)

    assert stack.table == TableFacts(
        name="table orders-outbox", table_name="orders-outbox", unknown=ELSEWHERE
    )
    assert of(stack.topics)[0] == TopicFacts(
        name="topic orders-created.fifo", topic_name="orders-created.fifo", unknown=ELSEWHERE
    )
    assert (stack.mappings, stack.role) == ((), None)


def test_a_role_that_exists_is_named_by_its_arn() -> None:
    plan = make_plan()
    plan.expressions["aws_lambda_function.function"]["role"] = {}
    plan.values[RELAY]["role"] = "arn:aws:iam::1:role/path/orders-outbox-relay-eu-west-1"
    plan.values[SWEEPER]["role"] = "arn:aws:iam::1:role/another-orders-outbox-relay-eu-west-1"

    assert isinstance(read(plan).role, RoleFacts)
    plan.values[RELAY]["role"] = plan.values[SWEEPER]["role"]
    assert read(plan).role is None


def test_without_a_list_the_topics_are_those_of_the_prefix() -> None:
    plan = make_plan()
    variables = plan.values[RELAY]["environment"][0]["variables"]
    del variables["OUTBOX_ALLOWED_TOPICS"]
    plan.add("aws_sns_topic.other", {"name": "other"})
    plan.add("aws_sns_topic.nameless", {})

    assert [each.topic_name for each in of(read(plan).topics)] == ["orders-created.fifo", "orders-viewed"]
    variables["AWS_SNS_TOPIC_PREFIX"] = "none-"
    assert read(plan).topics is None
    del variables["AWS_SNS_TOPIC_PREFIX"]
    assert read(plan).topics is None


def test_of_other_destinations_nothing_is_read() -> None:
    plan = make_plan()
    allowed = "sqs:billing,viewed,kinesis:orders,created.fifo"
    plan.values[RELAY]["environment"][0]["variables"]["OUTBOX_ALLOWED_TOPICS"] = allowed

    assert [each.topic_name for each in of(read(plan).topics)] == ["orders-created.fifo", "orders-viewed"]


def encrypted(**key: Any) -> tuple[KeyFacts, ...]:
    plan = make_plan()
    plan.values[TABLE]["server_side_encryption"] = [{"enabled": True, "kms_key_arn": KEY_ARN}]
    plan.values[FIFO]["kms_master_key_id"] = KEY_ARN
    if key:
        plan.add("aws_kms_key.table", {"arn": KEY_ARN, **key})
    keys: tuple[KeyFacts, ...] = of(read(plan).keys)
    return keys


def test_a_key_is_told_once_and_by_what_uses_it_first() -> None:
    table = f"{MODULE}.{TABLE}"
    held: dict[str, Any] = {"name": f"{MODULE}.aws_kms_key.table", "arn": KEY_ARN, "used_by": table,
            "unknown": {"*": "known after apply"}}  # fmt: skip

    assert encrypted() == (KeyFacts(name=f"key {KEY_ARN}", arn=KEY_ARN, used_by=table, unknown=ELSEWHERE),)
    assert encrypted(is_enabled=True, policy='{"a": 1}') == (
        KeyFacts(**held, state="Enabled", policy={"a": 1}),
    )
    assert encrypted(is_enabled=False, policy="") == (KeyFacts(**held, state="Disabled"),)
    assert encrypted(is_enabled=None) == (KeyFacts(**held),)


def test_a_key_of_a_topic_is_told_by_the_topic() -> None:
    plan = make_plan()
    plan.values[FIFO]["kms_master_key_id"] = "alias/own"

    assert of(read(plan).keys) == (
        KeyFacts(name="key alias/own", arn="alias/own", used_by=f"{MODULE}.{FIFO}", unknown=ELSEWHERE),
    )


def shared(function: str | None, handler: str | None = None) -> MappingFacts:
    """Another mapping of the same stream, and whose it is."""
    plan = make_plan(existing_table=True)
    other = {**plan.values[MAPPING], "event_source_arn": STREAM, "function_name": function}
    plan.add("aws_lambda_event_source_mapping.other", other)
    plan.add("aws_lambda_event_source_mapping.elsewhere", {**other, "event_source_arn": "another"})
    if handler:
        plan.add(
            "aws_lambda_function.other", {**plan.values[RELAY], "function_name": "o", "handler": handler}
        )
    _, found = of(read(plan, function_name="orders-outbox-relay").mappings)
    facts: MappingFacts = found
    return facts


@pytest.mark.parametrize(
    ("function", "handler", "name", "relays"),
    [
        ("o", "outbox_sdk.lambda_handler.handler", "o", True),
        ("arn:aws:lambda:e:1:function:o:live", "app.handler", "o", False),
        ("unknown", None, f"{MODULE}.aws_lambda_event_source_mapping.other", None),
    ],
)
def test_who_else_reads_the_stream_is_told(
    function: str, handler: str | None, name: str, relays: bool | None
) -> None:
    found = shared(function, handler)

    assert (found.function_name, found.relays, found.stream_arn) == (name, relays, STREAM)


def test_the_sweeper_is_that_of_the_same_table_or_module() -> None:
    plan = make_plan()
    variables = plan.values[SWEEPER]["environment"][0]["variables"]
    variables["DYNAMODB_OUTBOX_TABLE_NAME"] = "another"
    assert of(read(plan).sweeper).function_name == "orders-outbox-sweeper"  # of the same module

    plan.values[SWEEPER]["handler"] = "app.handler"
    assert read(plan).sweeper == SweeperFacts(
        name=f"{MODULE}.{RELAY}'s sweeper", function_name="in the plan", exists=False
    )


@pytest.mark.parametrize("state", [None, "ENABLED", "DISABLED"])
@pytest.mark.parametrize(
    ("target", "is_it"),
    [({}, True), ({"arn": "a:function:orders-outbox-sweeper"}, True), ({"arn": "a:function:other"}, False)],
)
def test_a_schedule_is_of_the_function_that_it_names(
    target: dict[str, str], is_it: bool, state: str | None
) -> None:
    plan = make_plan()
    plan.values["aws_scheduler_schedule.sweep"] = {"target": [target], **({"state": state} if state else {})}

    assert of(read(plan).sweeper).runs is (is_it and state != "DISABLED")


def test_a_rule_of_events_may_be_the_schedule() -> None:
    plan = make_plan()
    plan.drop("aws_scheduler_schedule.sweep")
    plan.add("aws_cloudwatch_event_rule.sweep", {"name": "sweep"})

    assert of(read(plan).sweeper).runs is None


def test_the_place_is_read_off_any_arn_of_a_table() -> None:
    plan = make_plan()
    plan.values[ROLE_POLICY]["policy"] = "{}"
    plan.values['aws_iam_role_policy.function["sweeper"]']["policy"] = "{}"
    assert read(plan).place is None

    table = "arn:aws-cn:dynamodb:cn-north-1:210987654321:table/t"
    for argument in ("arn", "stream_arn", "event_source_arn", "policy"):
        other = make_plan()
        other.values = {
            **plan.values,
            "aws_x.n": {argument: table},
        }
        other.pending["aws_x.n"] = {}
        place = of(read(other).place)
        assert (place.partition, place.region, place.account_id) == ("aws-cn", "cn-north-1", "210987654321")


HANDLER = "no aws_lambda_function with the handler outbox_sdk.lambda_handler.handler"
WRITE = "write it with terraform show -json PLAN_FILE"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"function_name": "f"}, f"has no relay f: {HANDLER}"),
        ({"table_name": "t"}, f"has no relay of the table t: {HANDLER}"),
        ({"function_name": "f", "table_name": "t"}, f"has no relay f of the table t: {HANDLER}"),
    ],
)
def test_a_relay_that_is_not_there_is_told_by_what_was_asked_for(
    arguments: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError) as error:
        read_plan(make_plan().text(), taken_at=NOW, **arguments)  # type: ignore[arg-type] # texts, all of them
    assert str(error.value) == f"--plan: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", f"is not what Terraform shows of a plan; {WRITE}"),
        ('{"format_version": 1, "planned_values": {}}', f"is not what Terraform shows of a plan; {WRITE}"),
        ('{"planned_values": {}}', f"is not what Terraform shows of a plan; {WRITE}"),
        ('{"format_version": "1.0"}', f"is not what Terraform shows of a plan; {WRITE}"),
        ('{"format_version": "11.0", "planned_values": {}}',
         "has the format 11.0, and 1.x is the one that is known"),
        ('{"format_version": "1.0", "planned_values": 7}', f"has no resources; {WRITE}"),
        ('{"format_version": "1.0", "planned_values": {"root_module": {"resources": '
         '[{"address": "a", "type": "b", "name": "c", "values": 7}]}}}', f"has no resources; {WRITE}"),
    ],
)  # fmt: skip
def test_what_is_no_plan_is_told_with_how_to_write_one(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        read_document(text)
    assert str(error.value) == f"--plan: {message}"


def test_a_value_that_the_provider_does_not_write_is_told() -> None:
    plan = make_plan()
    plan.values[RELAY]["timeout"] = "soon"

    with pytest.raises(ConfigurationError) as error:
        read(plan)
    assert str(error.value) == "--plan: has a value that the AWS provider does not write"


def test_a_document_has_each_resource_with_its_place_and_expressions() -> None:
    """Of the state before, only what was read counts, and what is planned stands over it."""

    def written(type_: str, name: str, **more: Any) -> dict[str, Any]:
        return {"type": type_, "name": name, **more}

    inner = {"address": "module.m[0].a.n", "type": "a", "name": "n", "values": {"x": 1}}
    looked_up = {"address": "data.d.n", "type": "d", "name": "n", "mode": "data", "values": {"x": 2}}
    keyed = {"address": 'e.n["k"]', "type": "e", "name": "n"}
    calls = {"m": {"module": {"resources": [written("a", "o", expressions={"o": {}}),
                                            written("a", "n", expressions={"x": {}})]}}}  # fmt: skip
    content = {
        "format_version": "1.2",
        "planned_values": {
            "root_module": {
                "resources": [keyed],
                "child_modules": [{"address": "module.m[0]", "resources": [inner]}],
            }
        },
        "prior_state": {
            "values": {"root_module": {"resources": [
                {**keyed, "mode": "data", "values": {"x": 9}},
                {"address": "f.n", "type": "f", "name": "n", "mode": "managed"},
                looked_up,
            ]}}
        },
        "resource_changes": [
            {"address": "module.m[0].a.n", "change": {"after_unknown": {"y": True}}},
            {"address": 'e.n["k"]', "change": {}},
        ],
        "configuration": {
            "root_module": {
                "resources": [written("d", "n", expressions={"w": {}}),
                              written("d", "n", mode="data", expressions={"x": {}}),
                              written("e", "n", expressions=7)],
                "module_calls": calls,
            }
        },
    }  # fmt: skip

    one, two, three = read_document(json.dumps(content)).resources

    assert (one.address, one.module, one.type, one.name, one.index) == ('e.n["k"]', "", "e", "n", '"k"')
    assert (one.values, one.pending, one.expressions) == ({}, {}, None)
    assert (two.address, two.module, two.type, two.name) == ("module.m[0].a.n", "module.m[0]", "a", "n")
    assert (two.index, two.values, two.pending) == ("", {"x": 1}, {"y": True})
    assert two.expressions == {"x": {}}
    assert (three.address, three.values, three.expressions) == ("data.d.n", {"x": 2}, {"x": {}})

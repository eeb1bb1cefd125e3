"""The doctor offline: plans of the module have no finding, planted faults are found, and junk is refused."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox_sdk import ConfigurationError, TableDesign
from outbox_sdk.core.doctor import CHECKS, Diagnosis, diagnose
from outbox_sdk.core.doctor.plan import read_plan
from outbox_sdk.core.mark import MARK_STRATEGIES, MarkStrategy
from tests.support.plans import PLACE, Plan, make_plan

NOW = datetime(2026, 11, 28, tzinfo=UTC)
CODE = ("x" * 44,)

TABLE = "aws_dynamodb_table.outbox[0]"
MAPPING = "aws_lambda_event_source_mapping.relay"
RELAY = 'aws_lambda_function.function["relay"]'
SWEEPER = 'aws_lambda_function.function["sweeper"]'
ROLE_POLICY = 'aws_iam_role_policy.function["relay"]'
FIFO = 'aws_sns_topic.created["created.fifo"]'
KEY_ARN = PLACE.arn("kms", "key/1")
Change = Callable[[Plan], None]


def examine(plan: Plan, **arguments: Any) -> Diagnosis:
    (stack,) = read_plan(plan.text(), taken_at=NOW, expected_code=CODE, **arguments)
    return diagnose(stack)


@pytest.mark.parametrize("strategy", MARK_STRATEGIES)
@pytest.mark.parametrize("design", [TableDesign.ordered, TableDesign.message_keyed], ids=["ordered", "keyed"])
@pytest.mark.parametrize("existing", [False, True], ids=["new", "existing"])
def test_a_plan_of_the_module_has_no_finding(
    design: TableDesign, strategy: MarkStrategy, existing: bool
) -> None:
    topics = ("created.fifo", "viewed") if design is TableDesign.ordered else ()
    plan = make_plan(design=design, strategy=strategy, existing_table=existing, topics=topics)

    diagnosis = examine(plan)

    assert diagnosis.findings == ()
    unchecked = {each.id for each in diagnosis.unchecked}
    only_living = {"table.index-key", "table.attributes", "function.exists", "clock.skew", "mapping.state"}
    at_apply = set() if existing else {"mapping.stream"}
    unnamed = {"topic.known", "key.known"} | {check.id for check in CHECKS if check.about == "topic"}
    assert unchecked == only_living | at_apply | (set() if topics else unnamed)


def put(address: str, **values: Any) -> Change:
    """Plan other values."""
    return lambda plan: plan.values[address].update(values)


def unset(address: str, *arguments: str) -> Change:
    """Leave arguments out, as somebody does who does not know them: AWS's defaults are known after apply."""

    def change(plan: Plan) -> None:
        for name in arguments:
            del plan.values[address][name]
            del plan.expressions[address.partition("[")[0]][name]
            plan.pending[address][name] = True

    return change


def variable(name: str, value: str | None, *addresses: str) -> Change:
    def change(plan: Plan) -> None:
        for address in addresses or (RELAY, SWEEPER):
            variables = plan.values[address]["environment"][0]["variables"]
            if value is None:
                del variables[name]
            else:
                variables[name] = value

    return change


def policy(change: Callable[[str], str]) -> Change:
    def edit(plan: Plan) -> None:
        plan.values[ROLE_POLICY]["policy"] = change(plan.values[ROLE_POLICY]["policy"])

    return edit


def attach(arn: str) -> Change:
    def change(plan: Plan) -> None:
        plan.add(
            "aws_iam_role_policy_attachment.more",
            {"policy_arn": arn, "role": "orders-outbox-relay-eu-west-1"},
        )

    return change


def widen(plan: Plan) -> None:
    plan.values[TABLE]["global_secondary_index"][0]["projection_type"] = "ALL"


def second_relay(plan: Plan) -> None:
    """Another relay of the same stream, in a plan of a table that is there."""
    plan.values[MAPPING]["event_source_arn"] = "arn:of:the:stream"
    plan.add("aws_lambda_function.old", {**plan.values[RELAY], "function_name": "old"})
    mapping = {**plan.values[MAPPING], "function_name": "old"}
    plan.add("aws_lambda_event_source_mapping.old", mapping)


def standard_queue(plan: Plan) -> None:
    plan.add("aws_sqs_queue.orders", {"name": "orders", "fifo_queue": False}, "arn")
    plan.add(
        "aws_sns_topic_subscription.orders", {"protocol": "sqs", "raw_message_delivery": True},
        "endpoint", "topic_arn",
        endpoint="aws_sqs_queue.orders.arn", topic_arn='aws_sns_topic.created["created.fifo"].arn',
    )  # fmt: skip


def deny_topic(effect: str) -> Change:
    statement = {"Effect": effect, "Principal": "*", "Action": "sns:Publish", "Resource": "*"}

    def change(plan: Plan) -> None:
        plan.add(
            "aws_sns_topic_policy.orders", {"policy": json.dumps({"Statement": [statement]})}, "arn",
            arn='aws_sns_topic.created["created.fifo"].arn',
        )  # fmt: skip

    return change


def encrypt(plan: Plan) -> None:
    """A customer's key on the table, of which the role knows nothing, and which is off."""
    plan.values[TABLE]["server_side_encryption"] = [{"enabled": True, "kms_key_arn": KEY_ARN}]
    plan.add("aws_kms_key.table", {"arn": KEY_ARN, "is_enabled": False, "policy": ""})


def drop_sweeper(plan: Plan) -> None:
    plan.drop(SWEEPER)
    plan.values[MAPPING]["destination_config"] = []


def keyed(plan: Plan) -> None:
    variable("OUTBOX_TABLE_DESIGN", "message_keyed")(plan)


PLANTS: dict[str, tuple[Change, set[str]]] = {
    "another key": (put(TABLE, hash_key="pk"), {"table.schema"}),
    "no local index": (put(TABLE, local_secondary_index=[]), {"table.schema"}),
    "a design that is not the table's": (keyed, {"table.schema", "topic.fifo-table"}),
    "a stream of keys": (put(TABLE, stream_view_type="KEYS_ONLY"), {"table.stream"}),
    "no stream": (put(TABLE, stream_enabled=False), {"table.stream"}),
    "a wide index": (widen, {"table.index-projection"}),
    "one bucket": (variable("OUTBOX_NOT_DISPATCHED_BUCKETS", "1"), {"table.index-key"}),
    "another attribute to expire by": (
        put(TABLE, ttl=[{"attribute_name": "CreatedAt", "enabled": True}]), {"table.time-to-live"}),
    "no time to live": (put(TABLE, ttl=[]), {"table.time-to-live"}),
    "kept for ever": (variable("OUTBOX_DISPATCHED_TTL_DAYS", None), {"table.expiry"}),
    "no recovery": (put(TABLE, point_in_time_recovery=[{"enabled": False}]), {"table.recovery"}),
    "a setting that is none": (
        variable("OUTBOX_MARK_STRATEGY", "twice", RELAY), {"function.environment", "sweeper.settings"}),
    "an endpoint": (variable("AWS_ENDPOINT_URL", "http://there"), {"function.endpoint"}),
    "no marks": (variable("OUTBOX_SKIP_MARK_MESSAGES_AS_DISPATCHED", "true"), {"function.marks"}),
    "little time": (put(RELAY, timeout=11), {"function.timeout"}),
    "time that nobody gave": (unset(RELAY, "timeout"), {"function.timeout"}),
    "an old runtime": (put(RELAY, runtime="python3.9"), {"function.runtime"}),
    "no concurrency": (put(RELAY, reserved_concurrent_executions=0), {"function.concurrency"}),
    "another package": (put(RELAY, source_code_hash="other"), {"function.package"}),
    "a schedule that is off": (put("aws_scheduler_schedule.sweep", state="DISABLED"), {"sweeper.schedule"}),
    "no schedule": (lambda plan: plan.drop("aws_scheduler_schedule.sweep"), {"sweeper.schedule"}),
    "a sweeper of other topics": (variable("AWS_SNS_TOPIC_PREFIX", "q-", SWEEPER), {"sweeper.settings"}),
    "no mapping": (lambda plan: plan.drop(MAPPING), {"mapping.exists"}),
    "a second relay": (second_relay, {"mapping.readers"}),
    "a mapping that is off": (put(MAPPING, enabled=False), {"mapping.state"}),
    "a late beginning": (put(MAPPING, starting_position="LATEST"), {"mapping.starting-position"}),
    "no partial reports": (put(MAPPING, function_response_types=[]), {"mapping.partial-reports"}),
    "partial reports that nobody wrote": (
        unset(MAPPING, "function_response_types"), {"mapping.partial-reports"}),
    "no filter": (put(MAPPING, filter_criteria=[]), {"mapping.filter"}),
    "a filter of one marker": (
        put(MAPPING, filter_criteria=[{"filter": [
            {"pattern": '{"dynamodb":{"NewImage":{"NotDispatched":{"S":["x"]}}}}'}]}]),
        {"mapping.filter"}),
    "an end of retries": (put(MAPPING, maximum_retry_attempts=3), {"mapping.retries"}),
    "an age that nobody wrote": (unset(MAPPING, "maximum_record_age_in_seconds"), {"mapping.record-age"}),
    "a queue of failures": (
        put(MAPPING, destination_config=[{"on_failure": [{"destination_arn": PLACE.arn("sqs", "dlq")}]}]),
        {"mapping.on-failure", "role.rights"}),
    "neither destination nor sweeper": (drop_sweeper, {"mapping.on-failure"}),
    "batches side by side": (put(MAPPING, parallelization_factor=10), {"mapping.parallelization"}),
    "no halving": (unset(MAPPING, "bisect_batch_on_function_error"), {"mapping.bisect"}),
    "a tumbling window": (put(MAPPING, tumbling_window_in_seconds=60), {"mapping.tumbling-window"}),
    "no metrics": (put(MAPPING, metrics_config=[]), {"mapping.metrics"}),
    "no right to publish": (
        policy(lambda text: text.replace("sns:Publish", "sns:ListTopics")), {"role.rights"}),
    "rights on another table": (
        policy(lambda text: text.replace("table/orders-outbox", "table/o")), {"role.rights"}),
    "all topics": (
        policy(lambda text: text.replace(PLACE.arn("sns", "orders-created.fifo"), "*")), {"role.wide"}),
    "AWS's own wide policy": (
        attach("arn:aws:iam::aws:policy/service-role/AWSLambdaDynamoDBExecutionRole"), {"role.wide"}),
    "a key that is off": (encrypt, {"key.use", "role.rights"}),
    "a topic that denies": (deny_topic("Deny"), {"topic.policy"}),
    "a topic for everyone": (deny_topic("Allow"), {"topic.policy"}),
    "more bytes than a topic takes": (
        variable("OUTBOX_TOPIC_MAX_BYTES", "1048576"), {"topic.size"}),
    "a standard queue": (standard_queue, {"topic.fifo-queue"}),
}  # fmt: skip
"""By name, what is planned wrong, and which findings that makes."""


@pytest.mark.parametrize("name", PLANTS)
def test_each_planted_fault_is_found_in_the_plan(name: str) -> None:
    change, expected = PLANTS[name]
    plan = make_plan()
    change(plan)

    diagnosis = examine(plan, function_name="orders-outbox-relay")

    assert {each.id for each in diagnosis.findings} == expected
    assert all(each.resource.startswith("module.outbox.") for each in diagnosis.findings)


def test_fifteen_faults_at_once_are_all_found() -> None:
    plan = make_plan()
    planted = [
        "a stream of keys", "a wide index", "one bucket", "another attribute to expire by", "no recovery",
        "little time", "an old runtime", "a schedule that is off", "a late beginning", "no partial reports",
        "no filter",
        "an end of retries", "an age that nobody wrote", "batches side by side", "no metrics", "no halving",
        "no right to publish", "a topic that denies", "a standard queue",
    ]  # fmt: skip
    for name in planted:
        PLANTS[name][0](plan)

    found = {each.id for each in examine(plan).findings}

    assert len(planted) >= 15
    assert found >= set().union(*(PLANTS[name][1] for name in planted))


def test_a_stale_stream_of_a_table_that_is_there_is_found() -> None:
    plan = make_plan(existing_table=True)
    plan.values[MAPPING]["event_source_arn"] = PLACE.arn("dynamodb", "table/orders-outbox/stream/0")

    assert [each.id for each in examine(plan).findings] == ["mapping.stream"]


def test_what_is_known_after_apply_is_not_guessed_at() -> None:
    plan = make_plan()
    for address, argument in (
        (MAPPING, "starting_position"),
        (MAPPING, "filter_criteria"),
        (RELAY, "environment"),
    ):
        del plan.values[address][argument]
        plan.pending[address][argument] = True

    diagnosis = examine(plan)

    assert diagnosis.findings == ()
    reasons = {each.id: each.reason for each in diagnosis.unchecked}
    assert reasons["mapping.starting-position"] == "known after apply"
    assert reasons["mapping.filter"] == "known after apply"
    assert reasons["function.environment"] == "known after apply"


def test_a_table_that_is_elsewhere_is_said_to_be() -> None:
    plan = make_plan()
    plan.drop(TABLE)

    diagnosis = examine(plan)

    assert diagnosis.findings == ()
    assert {each.reason for each in diagnosis.unchecked if each.id.startswith("table.")} == {
        "it is not in the plan"
    }


def test_a_policy_that_the_plan_does_not_hold_is_said_to_be_unknown() -> None:
    plan = make_plan()
    attach("arn:aws:iam::123456789012:policy/own")(plan)

    diagnosis = examine(plan)

    assert diagnosis.findings == ()
    assert [each.reason for each in diagnosis.unchecked if each.id == "role.rights"] == [
        "what arn:aws:iam::123456789012:policy/own allows is not in the plan"
    ]


def test_a_policy_of_the_sweeper_is_no_business_of_the_relay() -> None:
    plan = make_plan()
    address = 'aws_iam_role_policy.function["sweeper"]'
    plan.values[address]["policy"] = json.dumps(
        {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    )

    assert examine(plan).findings == ()


def test_a_mapping_of_another_function_is_not_the_relays() -> None:
    plan = make_plan()
    sweeper = 'aws_lambda_function.function["sweeper"]'
    named = {"references": [f"{sweeper}.arn", sweeper, "aws_lambda_function.function"]}
    plan.expressions[MAPPING]["function_name"] = named

    assert [each.id for each in examine(plan).findings] == ["mapping.exists"]


def test_two_modules_in_one_plan_keep_their_roles_apart() -> None:
    good, bad = make_plan(), make_plan()
    bad.values[ROLE_POLICY]["policy"] = json.dumps({"Statement": []})
    document = good.document()
    other = json.loads(bad.text().replace("module.outbox", "module.other").replace('"outbox"', '"other"'))
    ours, theirs = document["planned_values"]["root_module"], other["planned_values"]["root_module"]
    ours["child_modules"] += theirs["child_modules"]
    document["resource_changes"] += other["resource_changes"]
    ours, theirs = (each["configuration"]["root_module"]["module_calls"] for each in (document, other))
    ours |= theirs

    stacks = read_plan(json.dumps(document), taken_at=NOW, expected_code=CODE)

    found = {each.name.split(".")[1]: [one.id for one in diagnose(each).findings] for each in stacks}
    assert found == {"outbox": [], "other": ["role.rights"]}


def test_with_one_variable_left_to_come_nothing_is_said_of_the_settings() -> None:
    plan = make_plan()
    del plan.values[RELAY]["environment"][0]["variables"]["DYNAMODB_OUTBOX_TABLE_NAME"]
    plan.pending[RELAY]["environment"] = [{"variables": {"DYNAMODB_OUTBOX_TABLE_NAME": True}}]

    diagnosis = examine(plan)

    assert diagnosis.findings == ()
    assert ("function.environment", "known after apply") in {
        (each.id, each.reason) for each in diagnosis.unchecked
    }


def test_a_relay_is_chosen_by_its_table_or_its_name() -> None:
    plan = make_plan()
    second_relay(plan)

    stacks = read_plan(plan.text(), taken_at=NOW)
    assert [each.function.function_name for each in stacks if each.function] == ["orders-outbox-relay", "old"]
    assert len(read_plan(plan.text(), taken_at=NOW, function_name="old")) == 1
    assert len(read_plan(plan.text(), taken_at=NOW, table_name="orders-outbox")) == 2
    with pytest.raises(ConfigurationError, match="has no relay of the table other"):
        read_plan(plan.text(), taken_at=NOW, table_name="other")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is no JSON"),
        ("[]", "is not what Terraform shows"),
        ('{"format_version": "1.2"}', "is not what Terraform shows"),
        ('{"format_version": "2.0", "planned_values": {}}', "has the format 2.0"),
        ('{"format_version": "1.0", "planned_values": {}}', "has no relay"),
        (
            '{"format_version": "1.0", "planned_values": {"root_module": {"resources": [1]}}}',
            "has no resources",
        ),
    ],
)
def test_what_is_no_plan_is_refused_with_a_sentence(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        read_plan(text, taken_at=NOW)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)
PLACES = [(address, name) for address, values in make_plan().values.items() for name in values]


@given(st.sampled_from(PLACES), JUNK)
def test_a_value_of_any_type_is_told_or_refused_and_never_fails(place: tuple[str, str], junk: Any) -> None:
    plan = make_plan()
    plan.values[place[0]][place[1]] = junk

    try:
        stacks = read_plan(plan.text(), taken_at=NOW, expected_code=CODE)
    except ConfigurationError:
        return
    for stack in stacks:
        diagnose(stack)

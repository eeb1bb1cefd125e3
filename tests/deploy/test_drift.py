"""What a deployment says in words of its own is what the SDK says, and a change on one side only is found."""

import copy
import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deploy.generate import DATA_FILE, SHIPPED_DESIGNS, deployment_data, encode_data, main
from outbox_sdk.core.configuration import VARIABLES
from outbox_sdk.core.mark import MARK_STRATEGIES
from outbox_sdk.core.table import TableDesign, parse_design
from tests.support.cloudformation import broken_rules, load_template, resolve
from tests.support.documents import ROOT
from tests.support.sam import Deployment, find_differences, find_misled

TEMPLATE = load_template(ROOT / "deploy" / "sam" / "template.yaml")
KEYS = tuple(f"arn:aws:kms:eu-west-1:123456789012:key/{name}" for name in ("table", "topics", "bucket"))
DEPLOYMENTS = [
    Deployment(
        design=design,
        strategy=strategy,
        existing=existing,
        allowed_topics=topics,
        kms_keys=keys,
        claims=claims,
    )
    for design, strategy, (existing, topics, keys, claims) in itertools.product(
        SHIPPED_DESIGNS,
        MARK_STRATEGIES,
        [
            (False, (), (), None),
            (True, ("orders", "orders.fifo"), KEYS, ("orders-claims", "a/b/", 30)),
            (False, ("orders",), KEYS[:1], ("orders-claims", "claims/", 14)),
            (
                False,
                ("eventbridge:default", "kinesis:orders", "orders", "sqs:a", "sqs:a.fifo"),
                KEYS[:1],
                None,
            ),
            (False, ("kinesis:orders", "sqs:billing"), KEYS[:1], ("orders-claims", "claims/", 14)),
        ],
    )
]

Change = Callable[[dict[str, Any]], None]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=str)
def test_the_sam_template_says_what_the_sdk_says(deployment: Deployment) -> None:
    assert find_differences(TEMPLATE, deployment) == []


def rename_key(template: dict[str, Any]) -> None:
    template["Resources"]["Table"]["Properties"]["KeySchema"][0]["AttributeName"] = "pk"


def rename_ttl(template: dict[str, Any]) -> None:
    template["Resources"]["Table"]["Properties"]["TimeToLiveSpecification"]["AttributeName"] = "Expires"


def change_filter(template: dict[str, Any]) -> None:
    first = template["Resources"]["RelayMapping"]["Properties"]["FilterCriteria"]["Filters"][0]
    first["Pattern"] = first["Pattern"].replace("NotDispatched", "Dispatched")


def rename_variable(template: dict[str, Any]) -> None:
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    variables["OUTBOX_STRATEGY"] = variables.pop("OUTBOX_MARK_STRATEGY")


def forget_variable(template: dict[str, Any]) -> None:
    del template["Globals"]["Function"]["Environment"]["Variables"]["OUTBOX_SWEEP_LIMIT"]


def bound_retries(template: dict[str, Any]) -> None:
    template["Resources"]["RelayMapping"]["Properties"]["MaximumRetryAttempts"] = 3


def forget_partial_responses(template: dict[str, Any]) -> None:
    del template["Resources"]["RelayMapping"]["Properties"]["FunctionResponseTypes"]


def begin_late(template: dict[str, Any]) -> None:
    template["Resources"]["RelayMapping"]["Properties"]["StartingPosition"] = "LATEST"


def change_handler(template: dict[str, Any]) -> None:
    template["Resources"]["RelayFunction"]["Properties"]["Handler"] = "outbox_sdk.handler"


def allow_more(template: dict[str, Any]) -> None:
    policy = template["Resources"]["SweeperRole"]["Properties"]["Policies"][0]["PolicyDocument"]
    policy["Statement"][0]["Action"].append("dynamodb:Scan")


def allow_every_queue(template: dict[str, Any]) -> None:
    statements = template["Resources"]["RelayRole"]["Properties"]["Policies"][0]["PolicyDocument"][
        "Statement"
    ]
    statements.append({"Sid": "Q", "Effect": "Allow", "Action": ["sqs:SendMessage"], "Resource": ["*"]})


def raise_threshold(template: dict[str, Any]) -> None:
    template["Resources"]["ParkedAlarm"]["Properties"]["Threshold"] = 10


def misread_log(template: dict[str, Any]) -> None:
    figure = template["Resources"]["RelayErrorLinesFigure"]["Properties"]
    figure["FilterPattern"] = '{ $.level = "WARNING" }'


def watch_another_function(template: dict[str, Any]) -> None:
    template["Resources"]["ParkedAlarm"]["Properties"]["Dimensions"][0]["Value"] = {"Ref": "SweeperFunction"}


def watch_the_average(template: dict[str, Any]) -> None:
    alarm = template["Resources"]["PublishLatencyAlarm"]["Properties"]
    del alarm["ExtendedStatistic"]
    alarm["Statistic"] = "Average"


def show_another_metric(template: dict[str, Any]) -> None:
    body = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    body[0] = body[0].replace('"BacklogParked"', '"ParkedBacklog"')


def change_runtime(template: dict[str, Any]) -> None:
    template["Parameters"]["Runtime"]["Default"] = "python3.11"


def lend_a_role(template: dict[str, Any]) -> None:
    target = template["Resources"]["SweepTimer"]["Properties"]["Target"]
    target["RoleArn"] = {"Fn::GetAtt": ["SweeperRole", "Arn"]}


def stop_the_schedule(template: dict[str, Any]) -> None:
    template["Resources"]["SweepTimer"]["Properties"]["State"] = "DISABLED"


def swap_roles(template: dict[str, Any]) -> None:
    template["Resources"]["RelayFunction"]["Properties"]["Role"] = {"Fn::GetAtt": ["SweeperRole", "Arn"]}


def map_the_sweeper(template: dict[str, Any]) -> None:
    template["Resources"]["RelayMapping"]["Properties"]["FunctionName"] = {"Ref": "SweeperFunction"}


def delete_the_table(template: dict[str, Any]) -> None:
    template["Resources"]["Table"]["DeletionPolicy"] = "Delete"


def replace_the_table(template: dict[str, Any]) -> None:
    del template["Resources"]["Table"]["UpdateReplacePolicy"]


def delete_the_bucket(template: dict[str, Any]) -> None:
    template["Resources"]["FailuresBucket"]["DeletionPolicy"] = "Delete"


def replace_the_bucket(template: dict[str, Any]) -> None:
    template["Resources"]["FailuresBucket"]["UpdateReplacePolicy"] = "Delete"


def unprotect_the_table(template: dict[str, Any]) -> None:
    template["Parameters"]["DeletionProtection"]["Default"] = "false"


def forget_recovery(template: dict[str, Any]) -> None:
    del template["Resources"]["Table"]["Properties"]["PointInTimeRecoverySpecification"]


def shrink_the_relay(template: dict[str, Any]) -> None:
    template["Parameters"]["RelayMemorySize"]["Default"] = 128


def hurry_the_sweeper(template: dict[str, Any]) -> None:
    template["Parameters"]["SweeperTimeout"]["Default"] = 60


def widen_the_claims(template: dict[str, Any]) -> None:
    statements = template["Resources"]["SweeperRole"]["Properties"]["Policies"][0]["PolicyDocument"][
        "Statement"
    ]
    for statement in statements:
        choice = statement.get("Fn::If", [None, {}])[1]
        if choice.get("Sid") == "DeleteClaims":
            choice["Resource"][0]["Fn::Sub"][0] = "arn:aws:s3:::${ClaimBucket}/*"


CHANGES: dict[Change, str] = {
    rename_key: "KeySchema",
    rename_ttl: "TimeToLiveSpecification",
    change_filter: "FilterCriteria",
    rename_variable: "environment variables",
    forget_variable: "environment variables",
    bound_retries: "MaximumRetryAttempts",
    forget_partial_responses: "FunctionResponseTypes",
    begin_late: "StartingPosition",
    change_handler: "handlers",
    allow_more: "sweeper's policy",
    widen_the_claims: "sweeper's policy",
    allow_every_queue: "relay's policy",
    raise_threshold: "alarm Parked",
    misread_log: "RelayErrorLines",
    watch_another_function: "alarm Parked",
    watch_the_average: "alarm PublishLatency",
    show_another_metric: "dashboard",
    change_runtime: "runtime",
    lend_a_role: "schedule's target",
    stop_the_schedule: "schedule's state",
    swap_roles: "relay's role",
    map_the_sweeper: "FunctionName",
    delete_the_table: "Table's DeletionPolicy",
    replace_the_table: "Table's UpdateReplacePolicy",
    delete_the_bucket: "FailuresBucket's DeletionPolicy",
    replace_the_bucket: "FailuresBucket's UpdateReplacePolicy",
    unprotect_the_table: "DeletionProtection",
    forget_recovery: "PointInTimeRecoverySpecification",
    shrink_the_relay: "RelayMemorySize",
    hurry_the_sweeper: "SweeperTimeout",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_template_that_says_something_else_is_found(change: Change) -> None:
    template = copy.deepcopy(TEMPLATE)
    change(template)

    differences = find_differences(template, Deployment(claims=("orders-claims", "claims/", 14)))

    assert any(each.startswith(f"{CHANGES[change]}: ") for each in differences), differences


def test_each_parameter_leads_where_its_name_says() -> None:
    assert find_misled(TEMPLATE) == []


def feed_the_limit(template: dict[str, Any]) -> None:
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    variables["OUTBOX_SWEEP_LIMIT"] = {"Ref": "MaxConcurrency"}


def feed_the_timeout(template: dict[str, Any]) -> None:
    template["Resources"]["SweeperFunction"]["Properties"]["Timeout"] = {"Ref": "RelayTimeout"}


def fix_the_batch(template: dict[str, Any]) -> None:
    template["Resources"]["RelayMapping"]["Properties"]["BatchSize"] = 100


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (feed_the_limit, "OUTBOX_SWEEP_LIMIT"),
        (feed_the_timeout, "SweeperFunction.Timeout"),
        (fix_the_batch, "RelayMapping.BatchSize"),
    ],
)
def test_what_is_fed_from_another_parameter_is_found(change: Change, where: str) -> None:
    template = copy.deepcopy(TEMPLATE)
    change(template)

    assert [each.partition(": ")[0] for each in find_misled(template)] == [where]


@pytest.mark.parametrize(
    ("given", "broken"),
    [
        ({}, ["TopicsBounded"]),
        ({"TopicPrefix": "p-"}, []),
        ({"AllowAnyTopic": "true"}, []),
        ({"AllowedTopics": "orders", "AllowedTopicArns": "an-arn"}, []),
        ({"AllowedTopics": "sqs:orders", "AllowedQueueArns": "an-arn"}, []),
        ({"AllowedTopics": "kinesis:orders", "AllowedStreamArns": "an-arn"}, []),
        ({"AllowedTopics": "eventbridge:orders", "AllowedBusArns": "an-arn"}, []),
        ({"TopicPrefix": "p-", "AllowedBusArns": "an-arn"}, ["AllowedTopicsHaveArns"]),
        ({"AllowedTopics": "orders"}, ["AllowedTopicsHaveArns"]),
        ({"TopicPrefix": "p-", "AllowedTopicArns": "an-arn"}, ["AllowedTopicsHaveArns"]),
        ({"TopicPrefix": "p-", "ExistingTableName": "legacy"}, ["ExistingTableHasStream"]),
        ({"TopicPrefix": "p-", "ExistingTableStreamArn": "an-arn"}, ["ExistingTableHasStream"]),
    ],
    ids=str,
)
def test_the_rules_refuse_what_contradicts_itself(given: dict[str, str], broken: list[str]) -> None:
    assert broken_rules(TEMPLATE, given) == broken


@pytest.mark.parametrize(("given", "days"), [("", "7"), ("0", ""), ("30", "30")])
def test_dispatched_items_expire_as_told(given: str, days: str) -> None:
    shared = resolve(TEMPLATE, {"DispatchedTtlDays": given}, {})["Globals"]["Function"]

    assert shared["Environment"]["Variables"]["OUTBOX_DISPATCHED_TTL_DAYS"] == days


def test_a_design_that_says_something_else_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    design = msgspec.structs.replace(TableDesign.ordered, not_dispatched="Outstanding")
    monkeypatch.setitem(SHIPPED_DESIGNS, "ordered", design)

    found = {each.partition(": ")[0] for each in find_differences(TEMPLATE, Deployment())}

    assert {"GlobalSecondaryIndexes", "AttributeDefinitions", "FilterCriteria"} <= found


def test_terraform_reads_what_the_sdk_says_today() -> None:
    """Written anew by ``nox -s deploy-data``."""
    assert DATA_FILE.read_text() == encode_data(deployment_data(SHIPPED_DESIGNS))


@pytest.mark.parametrize("field", ["partition_key", "not_dispatched", "expires_at", "outstanding_index"])
def test_each_name_of_a_design_reaches_terraform(field: str) -> None:
    design = msgspec.structs.replace(TableDesign.ordered, **{field: "Another"})

    assert encode_data(deployment_data({**SHIPPED_DESIGNS, "ordered": design})) != DATA_FILE.read_text()


def test_a_design_of_your_own_is_written_for_terraform(tmp_path: Path) -> None:
    main(["--design", "orders=ordered,partition_key=pk", "--output", str(tmp_path / "own.json")])

    designs = {**SHIPPED_DESIGNS, "orders": parse_design("ordered,partition_key=pk")}
    assert (tmp_path / "own.json").read_text() == encode_data(deployment_data(designs))


def test_terraform_begins_with_the_oldest_record_and_gives_each_function_its_own_policy() -> None:
    """What is written in HCL itself, and would lose messages or rights."""
    code = (DATA_FILE.parent / "functions.tf").read_text()

    assert re.findall(r"starting_position\s*=\s*(\S+)", code) == ['"TRIM_HORIZON"']
    assert re.findall(r"\bpolicy\s*=\s*(\S+)", code) == ["local.policies[each.key]"]
    assert "local.design.key.hash" in (DATA_FILE.parent / "table.tf").read_text()


def own_words(hcl: str) -> list[str]:
    """Names of attributes, indexes, variables and actions, which HCL is to read from the SDK's data."""
    design = TableDesign.ordered
    names = {getattr(design, field) for field in design.__struct_fields__ if field != "keyed_by"}
    variables = {name for variable in VARIABLES for name in variable.names}
    code = re.sub(r"(description|error_message)\s*=.*|#.*", "", hcl)
    quoted = re.findall(r'"([^"]*)"', code)
    actions = re.findall(r"\b(?:dynamodb|iam|kms|lambda|logs|s3|sns|sqs|sts):[A-Z]\w+", code)
    return sorted({*actions, *(word for word in quoted if word in names | variables)})


@pytest.mark.parametrize("path", sorted(DATA_FILE.parent.glob("*.tf")), ids=lambda path: path.name)
def test_terraform_has_no_name_of_its_own(path: Path) -> None:
    assert own_words(path.read_text()) == []


def test_a_name_of_its_own_is_found() -> None:
    hcl = 'hash_key = "PK"\nvariables = { "OUTBOX_MARK_STRATEGY" = "batch" }\nactions = ["sns:Publish"]'

    assert own_words(hcl) == ["OUTBOX_MARK_STRATEGY", "PK", "sns:Publish"]

"""Compares the SAM template with the SDK's own data: what differs, one sentence each."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from deploy.generate import (
    FUNCTION_ROLES,
    SCHEDULER,
    SHIPPED_DESIGNS,
    bucket_policy,
)
from deploy.monitoring import alarms, dashboard, log_metrics
from outbox_sdk.core import deployment as defaults
from outbox_sdk.core.configuration import VARIABLES, RelayConfiguration, parse_environment
from outbox_sdk.core.deployment import SWEEPER_TIMEOUT_SECONDS
from outbox_sdk.core.destinations import SNS, parse_route
from outbox_sdk.core.event_source import EventSource, mapping_settings
from outbox_sdk.core.function import ARCHITECTURES, DEFAULT_RUNTIME, HANDLERS, RUNTIMES
from outbox_sdk.core.identifiers import AccountId, Region, TableName, TopicName
from outbox_sdk.core.mark import MARK_STRATEGIES, MarkStrategy
from outbox_sdk.core.metrics import NAMESPACE
from outbox_sdk.core.permissions import Grants, invoke_policy, policy_document, trust_policy
from outbox_sdk.core.place import Place
from outbox_sdk.core.table import INDEXED_TTL_DAYS, create_table_request, time_to_live_request
from tests.support.cloudformation import PSEUDO_PARAMETERS, resolve

__all__ = ["FUNCTION_SIZES", "Deployment", "find_differences", "find_misled"]

_STACK = PSEUDO_PARAMETERS["AWS::StackName"]
_PLACE = Place(
    region=Region(PSEUDO_PARAMETERS["AWS::Region"]),
    account_id=AccountId(PSEUDO_PARAMETERS["AWS::AccountId"]),
)
_ATTRIBUTES = {
    "FailuresBucket.Arn": "arn:aws:s3:::failures",
    "RelayFunction": f"{_STACK}-relay",
    "RelayLogGroup": f"/aws/lambda/{_STACK}-relay",
    "RelayMapping": "a-mapping",
    "SweeperFunction": f"{_STACK}-sweeper",
    "SweeperLogGroup": f"/aws/lambda/{_STACK}-sweeper",
}
_PLACEHOLDERS = {
    "@mapping@": "a-mapping",
    "@metrics_namespace@": NAMESPACE,
    "@namespace@": f"Outbox/{_STACK}",
    "@region@": _PLACE.region,
    "@relay_function@": f"{_STACK}-relay",
    "@sweeper_function@": f"{_STACK}-sweeper",
}
_LEFT_TO_OTHERS = {
    *("aws_account_id", "aws_region"),  # the function's own
    *("aws_endpoint_url", "outbox_skip_mark_messages_as_dispatched"),  # for local stacks
    "outbox_not_dispatched_buckets",  # the producer's
}


_FIELDS = {field.name: field.default for field in msgspec.structs.fields(defaults.Deployment)}
FUNCTION_SIZES: Mapping[str, tuple[int, int]] = {
    "relay": (_FIELDS["memory_mb"], _FIELDS["timeout_seconds"]),
    "sweeper": (_FIELDS["memory_mb"], SWEEPER_TIMEOUT_SECONDS),
}
"""By role, the megabytes and the seconds that the SDK gives a function."""

_OTHERWISE_NAMED = {
    "AWS_SNS_TOPIC_PREFIX": "TopicPrefix",
    "DYNAMODB_OUTBOX_TABLE_NAME": "TableName",
    "OUTBOX_TABLE_DESIGN": "Design",
}
_ARN_LISTS = {
    "sns": "AllowedTopicArns",
    "sqs": "AllowedQueueArns",
    "events": "AllowedBusArns",
    "kinesis": "AllowedStreamArns",
}
_LEADS = {
    "RelayFunction": {
        "MemorySize": "RelayMemorySize", "Timeout": "RelayTimeout",
        "ReservedConcurrentExecutions": "RelayReservedConcurrency",
        "CodeSigningConfigArn": "CodeSigningConfigArn",
    },
    "SweeperFunction": {
        "MemorySize": "SweeperMemorySize", "Timeout": "SweeperTimeout",
        "ReservedConcurrentExecutions": "SweeperReservedConcurrency",
        "CodeSigningConfigArn": "CodeSigningConfigArn",
    },
    "RelayMapping": {
        "BatchSize": "BatchSize", "MaximumBatchingWindowInSeconds": "BatchWindow",
        "ParallelizationFactor": "ParallelizationFactor", "MaximumRecordAgeInSeconds": "MaximumRecordAge",
        "Enabled": "MappingEnabled",
    },
    "Table": {
        "TableName": "TableName", "DeletionProtectionEnabled": "DeletionProtection",
        "SSESpecification.KMSMasterKeyId": "TableKmsKeyArn",
    },
    "RelayLogGroup": {"RetentionInDays": "LogRetentionDays", "KmsKeyId": "LogsKmsKeyArn"},
    "SweeperLogGroup": {"RetentionInDays": "LogRetentionDays", "KmsKeyId": "LogsKmsKeyArn"},
    "SweepTimer": {"ScheduleExpression": "SweepSchedule"},
    "OldestOutstandingAlarm": {"Threshold": "OldestOutstandingThreshold"},
    "PublishLatencyAlarm": {"Threshold": "PublishLatencyThreshold"},
    "IteratorAgeAlarm": {"Threshold": "IteratorAgeThreshold"},
}  # fmt: skip
"""Where a parameter leads: by resource, the property that is to have its value."""


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """A choice of parameters: what decides on conditions in the template."""

    design: str = "ordered"
    strategy: MarkStrategy = "batch"
    existing: bool = False
    allowed_topics: tuple[str, ...] = ()
    kms_keys: tuple[str, ...] = ()
    claims: tuple[str, str, int] | None = None

    @property
    def table_name(self) -> TableName:
        """The outbox table."""
        return TableName("legacy" if self.existing else _STACK)

    @property
    def bucket_arn(self) -> str:
        """Where Lambda keeps what it gives up."""
        return "arn:aws:s3:::kept" if self.existing else "arn:aws:s3:::failures"

    def parameters(self) -> dict[str, str]:
        """Write the choice as the template's parameters."""
        names = ("TableKmsKeyArn", "TopicsKmsKeyArn", "FailuresKmsKeyArn")
        keys = dict(zip(names, self.kms_keys, strict=False))
        existing = {
            "ExistingTableName": "legacy",
            "ExistingTableStreamArn": "a-stream",
            "ExistingFailuresBucket": "kept",
        }
        allowed = {"AllowedTopics": ",".join(self.allowed_topics)}
        for service, name in _ARN_LISTS.items():
            routes = [parsed for text in self.allowed_topics if (parsed := parse_route(text))]
            allowed[name] = ",".join(
                _PLACE.arn(service, f"{'p-' if kind is SNS else kind.resource}{name}")
                for kind, name in routes
                if kind.service == service
            )
        names = ("ClaimBucket", "ClaimPrefix", "ClaimMinimumAgeDays")
        claims = dict(zip(names, map(str, self.claims or ()), strict=False))
        return {
            "Design": self.design,
            "MarkStrategy": self.strategy,
            "TopicPrefix": "p-",
            **keys,
            **claims,
            **(existing if self.existing else {}),
            **(allowed if self.allowed_topics else {}),
        }

    def configuration(self) -> RelayConfiguration:
        """Give what the functions have to read from their environment."""
        design = SHIPPED_DESIGNS[self.design]
        names = ("outbox_claim_bucket", "outbox_claim_prefix", "outbox_claim_minimum_age_days")
        claims: dict[str, Any] = dict(zip(names, self.claims or (), strict=False))
        return RelayConfiguration(
            dynamodb_outbox_table_name=self.table_name,
            aws_sns_topic_prefix="p-",
            outbox_allowed_topics=frozenset(map(TopicName, self.allowed_topics)) or None,
            outbox_mark_strategy=self.strategy,
            outbox_dispatched_ttl_days=INDEXED_TTL_DAYS if design.sequence_index else None,
            outbox_table_design=design,
            **claims,
        )


def find_differences(template: Mapping[str, Any], deployment: Deployment) -> list[str]:
    """Compare all that the template says in words of its own with what the SDK says."""
    stack = resolve(template, deployment.parameters(), _ATTRIBUTES)
    made = {name: each["Properties"] for name, each in stack["Resources"].items()}
    pairs = [
        *_choice_pairs(template),
        *_default_pairs(template),
        *_kept_pairs(stack["Resources"], deployment),
        *_table_pairs(made, deployment),
        *_function_pairs(stack["Globals"]["Function"], made, deployment),
        *_mapping_pairs(made["RelayMapping"], deployment),
        *_policy_pairs(made, deployment),
        *_monitoring_pairs(made, deployment),
    ]
    return _describe(pairs)


def find_misled(template: Mapping[str, Any]) -> list[str]:
    """Find what is fed from another parameter than that of its name: each has a value of its own here."""
    parameters = template["Parameters"]
    distinct = {
        name: str(number) if parameter["Type"] == "Number" else f"value-of-{name}"
        for number, (name, parameter) in enumerate(parameters.items(), start=1_000)
        if not name.startswith("Existing")  # none, so that the stack makes its own
    }
    stack = resolve(template, distinct, _ATTRIBUTES)
    shared = stack["Globals"]["Function"]
    pairs: list[tuple[str, Any, Any]] = [
        (name, value, distinct.get(_parameter_of(name)))
        for name, value in shared["Environment"]["Variables"].items()
    ]
    code = shared["CodeUri"]
    pairs += [
        ("Runtime", shared["Runtime"], distinct["Runtime"]),
        ("Architectures", shared["Architectures"], [distinct["Architecture"]]),
        ("CodeUri", code, {"Bucket": distinct["PackageBucket"], "Key": distinct["PackageKey"]}),
    ]
    for resource, leads in _LEADS.items():
        for path, parameter in leads.items():
            value = stack["Resources"][resource]["Properties"]
            for step in path.split("."):
                value = value.get(step, {})
            pairs.append((f"{resource}.{path}", str(value), distinct[parameter]))
    return _describe(pairs)


def _parameter_of(variable: str) -> str:
    words = variable.removeprefix("OUTBOX_").removeprefix("POWERTOOLS_").split("_")
    return _OTHERWISE_NAMED.get(variable, "".join(map(str.title, words)))


def _describe(pairs: Iterable[tuple[str, Any, Any]]) -> list[str]:
    return [
        f"{what}: the template says {said}, and the SDK {wanted}"
        for what, said, wanted in pairs
        if said != wanted
    ]


_Pairs = Iterator[tuple[str, Any, Any]]


def _choice_pairs(template: Mapping[str, Any]) -> _Pairs:
    parameters = template["Parameters"]
    wanted = {
        "Architecture": ARCHITECTURES, "Runtime": RUNTIMES,
        "Design": SHIPPED_DESIGNS, "MarkStrategy": MARK_STRATEGIES,
    }  # fmt: skip
    for name, values in wanted.items():
        yield name, parameters[name]["AllowedValues"], list(values)
    yield "runtime", parameters["Runtime"]["Default"], DEFAULT_RUNTIME
    defaults = RelayConfiguration(dynamodb_outbox_table_name=TableName(""))
    yield "strategy", parameters["MarkStrategy"]["Default"], defaults.outbox_mark_strategy


def _default_pairs(template: Mapping[str, Any]) -> _Pairs:
    for role, sizes in FUNCTION_SIZES.items():
        for name, wanted in zip(("MemorySize", "Timeout"), sizes, strict=True):
            parameter = f"{role.title()}{name}"
            yield parameter, template["Parameters"][parameter]["Default"], wanted
    yield "DeletionProtection", template["Parameters"]["DeletionProtection"]["Default"], "true"


def _kept_pairs(resources: Mapping[str, Any], deployment: Deployment) -> _Pairs:
    """What holds messages outlives the stack, and what takes its place."""
    for name in () if deployment.existing else ("Table", "FailuresBucket"):
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            yield f"{name}'s {policy}", resources[name].get(policy), "Retain"


def _table_pairs(made: Mapping[str, Any], deployment: Deployment) -> _Pairs:
    yield "table is made", "Table" in made, not deployment.existing
    if deployment.existing:
        return
    design, table = SHIPPED_DESIGNS[deployment.design], made["Table"]
    wanted = create_table_request(design, deployment.table_name)
    for name in ("TableName", "KeySchema", "BillingMode", "GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
        yield name, table.get(name), wanted.get(name)
    said, types = ({each["AttributeName"]: each["AttributeType"] for each in source["AttributeDefinitions"]}
                   for source in (table, wanted))  # fmt: skip
    yield "AttributeDefinitions", said, types
    stream = {"StreamEnabled": True, **table["StreamSpecification"]}
    yield "StreamSpecification", stream, wanted["StreamSpecification"]
    ttl = time_to_live_request(design, deployment.table_name)["TimeToLiveSpecification"]
    yield "TimeToLiveSpecification", table["TimeToLiveSpecification"], ttl
    backup = table.get("PointInTimeRecoverySpecification")
    yield "PointInTimeRecoverySpecification", backup, {"PointInTimeRecoveryEnabled": True}


def _function_pairs(shared: Mapping[str, Any], made: Mapping[str, Any], deployment: Deployment) -> _Pairs:
    functions = {role: made[f"{role.title()}Function"] for role in FUNCTION_ROLES}
    yield "handlers", {role: each["Handler"] for role, each in functions.items()}, dict(HANDLERS)
    for role, function in functions.items():
        yield f"{role}'s role", function["Role"], f"{role.title()}Role.Arn"
        yield (
            f"{role}'s environment",
            function.get("Environment", shared["Environment"]),
            shared["Environment"],
        )
    timer = made["SweepTimer"]
    target = {"Arn": "SweeperFunction.Arn", "RoleArn": "ScheduleRole.Arn", "Input": "{}"}
    yield "schedule's target", timer["Target"], target
    yield "schedule's state", timer.get("State", "ENABLED"), "ENABLED"
    variables = shared["Environment"]["Variables"]
    own = {name for name in variables if not name.startswith("POWERTOOLS_")}
    wanted = {each.names[0] for each in VARIABLES if each.field not in _LEFT_TO_OTHERS}
    yield "environment variables", sorted(own), sorted(wanted)
    if "DYNAMODB_OUTBOX_TABLE_NAME" in variables:
        yield "configuration", parse_environment(variables), deployment.configuration()


def _mapping_pairs(mapping: Mapping[str, Any], deployment: Deployment) -> _Pairs:
    source = EventSource(on_failure=deployment.bucket_arn)
    wanted = mapping_settings(source, SHIPPED_DESIGNS[deployment.design], deployment.strategy)
    for name, value in wanted.items():
        if name == "FilterCriteria":
            said, asked = ([json.loads(each["Pattern"]) for each in criteria["Filters"]]
                           for criteria in (mapping[name], value))  # fmt: skip
            yield name, said, asked
        else:
            yield name, mapping.get(name), value
    stream = "a-stream" if deployment.existing else "Table.StreamArn"
    yield "EventSourceArn", mapping["EventSourceArn"], stream
    yield "FunctionName", mapping["FunctionName"], _ATTRIBUTES["RelayFunction"]
    yield "StartingPosition", mapping.get("StartingPosition"), "TRIM_HORIZON"
    of_the_stack = {"EventSourceArn", "FunctionName", "Enabled", "StartingPosition"}
    yield "mapping settings", sorted(mapping), sorted({*wanted, *of_the_stack})


def _policy_pairs(made: Mapping[str, Any], deployment: Deployment) -> _Pairs:
    for role in FUNCTION_ROLES:
        name = f"{_STACK}-{role}"
        grants = Grants(
            function_name=name,
            creates_log_group=False,
            on_failure=deployment.bucket_arn,
            kms_keys=deployment.kms_keys,
        )
        yield f"{role}'s name", made[f"{role.title()}Function"]["FunctionName"], name
        yield f"{role}'s log", made[f"{role.title()}LogGroup"]["LogGroupName"], f"/aws/lambda/{name}"
        wanted = policy_document(role, deployment.configuration(), _PLACE, grants)
        yield from _role_pairs(role, made[f"{role.title()}Role"], wanted, trust_policy())
    invoker = invoke_policy(_PLACE, f"{_STACK}-sweeper")
    yield from _role_pairs(
        "schedule", made["ScheduleRole"], invoker, trust_policy(SCHEDULER, account_id=_PLACE.account_id)
    )
    if not deployment.existing:
        said = made["FailuresBucketPolicy"]["PolicyDocument"]
        yield "the bucket's policy", said, bucket_policy(deployment.bucket_arn)


def _role_pairs(name: str, role: Mapping[str, Any], policy: dict[str, Any], trust: dict[str, Any]) -> _Pairs:
    (inline,) = role["Policies"]
    yield f"{name}'s policy", inline["PolicyDocument"], policy
    yield f"{name}'s trust", role["AssumeRolePolicyDocument"], trust
    yield f"{name}'s other policies", role.get("ManagedPolicyArns"), None


def _monitoring_pairs(made: Mapping[str, Any], deployment: Deployment) -> _Pairs:
    placeholders = {**_PLACEHOLDERS, "@table@": deployment.table_name}
    for name, metric in log_metrics().items():
        said = made.get(f"{name}Figure")
        transformation = {
            "MetricName": name, "MetricNamespace": placeholders["@namespace@"],
            "MetricValue": metric["value"], "Unit": metric["unit"],
            **({} if metric["default"] is None else {"DefaultValue": metric["default"]}),
        }  # fmt: skip
        wanted = {
            "LogGroupName": f"/aws/lambda/{_STACK}-{metric['function']}",
            "FilterPattern": metric["pattern"], "MetricTransformations": [transformation],
        }  # fmt: skip
        yield name, said, wanted
    for name, alarm in alarms().items():
        dimensions = [
            {"Name": each, "Value": placeholders[value]} for each, value in alarm["Dimensions"].items()
        ]
        wanted = {
            **{field: value for field, value in alarm.items() if value is not None},
            "AlarmName": f"{_STACK}-{name}", "Dimensions": dimensions,
            "Namespace": placeholders.get(alarm["Namespace"], alarm["Namespace"]),
        }  # fmt: skip
        yield f"alarm {name}", {"Dimensions": [], **made.get(f"{name}Alarm", {})}, wanted
    body = json.dumps(dashboard())
    for placeholder, value in placeholders.items():
        body = body.replace(placeholder, value)
    yield "dashboard", json.loads(made["Dashboard"]["DashboardBody"]), json.loads(body)

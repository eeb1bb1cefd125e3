"""What `terraform show -json` writes of a plan of the module, from the SDK's own data.

No provider of AWS can be had where the tests run, so this is written by hand in the documented format: the
values that the module gives its resources, what is known after apply only, and the references as the module
writes them. `deploy/checks/test_doctor.py` lets Terraform evaluate the module itself.
"""

import copy
import json
from collections.abc import Mapping
from typing import Any

from outbox_sdk.core.configuration import RelayConfiguration, encode_environment
from outbox_sdk.core.event_source import EventSource, mapping_settings
from outbox_sdk.core.function import DEFAULT_RUNTIME, HANDLERS
from outbox_sdk.core.identifiers import AccountId, Region, TableName, TopicName
from outbox_sdk.core.mark import MarkStrategy
from outbox_sdk.core.permissions import Grants, policy_document
from outbox_sdk.core.place import Place
from outbox_sdk.core.table import INDEXED_TTL_DAYS, TableDesign, create_table_request

__all__ = ["MODULE", "PLACE", "Plan", "make_plan", "mapping_values", "table_values"]

MODULE = "module.outbox"
PLACE = Place(region=Region("eu-west-1"), account_id=AccountId("123456789012"))


class Plan:
    """A plan that can be changed: values by address, what is known after apply, and expressions."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, Any]] = {}
        self.pending: dict[str, dict[str, Any]] = {}
        self.expressions: dict[str, dict[str, Any]] = {}
        self.read: dict[str, dict[str, Any]] = {}
        """Data sources, which the state before has."""

    def add(self, address: str, values: Mapping[str, Any], *pending: str, **references: str) -> None:
        """Add a resource of the module. ``references`` are arguments that are written as references."""
        self.values[address] = copy.deepcopy(dict(values))
        self.pending[address] = dict.fromkeys(pending, True)
        written: dict[str, Any] = {name: {} for name, value in values.items() if value is not None}
        named = {name: {"references": [*_prefixes(each)]} for name, each in references.items()}
        self.expressions[address.partition("[")[0]] = {**written, **named}

    def drop(self, address: str) -> None:
        """Take a resource out."""
        for part in (self.values, self.pending):
            del part[address]

    def document(self) -> dict[str, Any]:
        """Write it as Terraform does."""
        resources = [_resource(address, values, "managed") for address, values in self.values.items()]
        changes = [
            {
                "address": f"{MODULE}.{address}",
                "change": {"actions": ["create"], "after": values, "after_unknown": self.pending[address]},
            }
            for address, values in self.values.items()
        ]
        written = [
            {"address": base, "mode": "managed", "type": base.split(".")[0], "name": base.split(".")[1],
             "expressions": expressions}
            for base, expressions in self.expressions.items()
        ]  # fmt: skip
        read = [_resource(address, values, "data") for address, values in self.read.items()]
        return {
            "format_version": "1.2",
            "terraform_version": "1.11.4",
            "planned_values": {
                "root_module": {"child_modules": [{"address": MODULE, "resources": resources}]}
            },
            "resource_changes": changes,
            "prior_state": {"format_version": "1.0", "values": {"root_module": {"resources": read}}},
            "configuration": {
                "root_module": {"module_calls": {"outbox": {"module": {"resources": written}}}}
            },
        }

    def text(self) -> str:
        """Write it as `terraform show -json` prints it."""
        return json.dumps(self.document())


def _prefixes(reference: str) -> list[str]:
    """Terraform names the attribute, the instance and the resource."""
    names = [reference]
    head = reference.rpartition(".")[0]
    if "." in head:
        names.append(head)
        if "[" in head:
            names.append(head.partition("[")[0])
    return names


def _resource(address: str, values: Mapping[str, Any], mode: str) -> dict[str, Any]:
    base, _, index = address.removeprefix("data.").partition("[")
    type_, _, name = base.partition(".")
    at = f"{MODULE}.{address}" if mode == "managed" else address
    resource = {"address": at, "mode": mode, "type": type_, "name": name, "values": dict(values)}
    return {**resource, "index": index[1:-2]} if index else resource


def make_plan(
    *,
    design: TableDesign = TableDesign.ordered,
    strategy: MarkStrategy = "batch",
    existing_table: bool = False,
    topics: tuple[str, ...] = ("created.fifo", "viewed"),
) -> Plan:
    """Write the plan of a new deployment of the module, as its examples have it."""
    configuration = RelayConfiguration(
        dynamodb_outbox_table_name=TableName("orders-outbox"),
        aws_sns_topic_prefix="orders-",
        outbox_allowed_topics=frozenset(map(TopicName, topics)) or None,
        outbox_mark_strategy=strategy,
        outbox_table_design=design,
        outbox_dispatched_ttl_days=INDEXED_TTL_DAYS if design.sequence_index else None,
    )
    bucket = f"orders-outbox-failures-{PLACE.account_id}-{PLACE.region}"
    plan = Plan()
    table = table_values(design, str(configuration.dynamodb_outbox_table_name))
    arn = PLACE.arn("dynamodb", "table/orders-outbox")
    if existing_table:
        plan.read["data.aws_dynamodb_table.outbox"] = {**table, "arn": arn, "stream_arn": f"{arn}/stream/1"}
    else:
        plan.add("aws_dynamodb_table.outbox[0]", table, "arn", "id", "stream_arn")
    for role in ("relay", "sweeper"):
        _add_function(plan, role, configuration, f"arn:aws:s3:::{bucket}")
    mapping = mapping_values(
        mapping_settings(EventSource(on_failure=f"arn:aws:s3:::{bucket}"), design, strategy)
    )
    known = {"event_source_arn": f"{arn}/stream/1"} if existing_table else {}
    plan.add(
        "aws_lambda_event_source_mapping.relay", {**mapping, **known},
        *("uuid", "function_name", "last_processing_result", "state"),
        *(() if existing_table else ("event_source_arn",)),
        function_name='aws_lambda_function.function["relay"].arn', event_source_arn="local.stream_arn",
    )  # fmt: skip
    target = [{"input": "{}"}]
    plan.add(
        "aws_scheduler_schedule.sweep",
        {"name": "orders-outbox-sweep", "state": None, "target": target},
        "arn",
    )
    del plan.values["aws_scheduler_schedule.sweep"]["state"]
    for topic in topics:
        values = {
            "name": f"orders-{topic}",
            "fifo_topic": topic.endswith(".fifo"),
            "kms_master_key_id": "alias/aws/sns",
        }
        plan.add(f'aws_sns_topic.created["{topic}"]', values, "arn", "id", "policy")
    return plan


def _add_function(plan: Plan, role: Any, configuration: RelayConfiguration, on_failure: str) -> None:
    name = f"orders-outbox-{role}"
    grants = Grants(function_name=name, creates_log_group=False, on_failure=on_failure)
    policy = policy_document(role, configuration, PLACE, grants)
    plan.add(f'aws_iam_role.function["{role}"]', {"name": f"{name}-{PLACE.region}"}, "arn", "id")
    plan.add(
        f'aws_iam_role_policy.function["{role}"]', {"name": role, "policy": json.dumps(policy)}, "id", "role",
        role="aws_iam_role.function",
    )  # fmt: skip
    values = {
        "function_name": name,
        "handler": HANDLERS[role],
        "runtime": DEFAULT_RUNTIME,
        "timeout": 60 if role == "relay" else 300,
        "reserved_concurrent_executions": -1,
        "source_code_hash": "x" * 44,
        "environment": [{"variables": encode_environment(configuration)}],
    }
    plan.add(
        f'aws_lambda_function.function["{role}"]', values, "arn", "id", "role", role="aws_iam_role.function"
    )


def table_values(design: TableDesign, name: str) -> dict[str, Any]:
    """Write a table of the design as the provider does."""
    request = create_table_request(design, name)
    return {
        "name": name,
        **_keys(request["KeySchema"]),
        "stream_enabled": True,
        "stream_view_type": request["StreamSpecification"]["StreamViewType"],
        "global_secondary_index": [_index(each) for each in request["GlobalSecondaryIndexes"]],
        "local_secondary_index": [_index(each) for each in request.get("LocalSecondaryIndexes", ())],
        "ttl": [{"attribute_name": design.expires_at, "enabled": True}],
        "point_in_time_recovery": [{"enabled": True}],
        "server_side_encryption": [{"enabled": True, "kms_key_arn": None}],
    }


def _keys(schema: list[dict[str, str]]) -> dict[str, str | None]:
    by_type = {each["KeyType"]: each["AttributeName"] for each in schema}
    return {"hash_key": by_type["HASH"], "range_key": by_type.get("RANGE")}


def _index(index: Mapping[str, Any]) -> dict[str, Any]:
    projection = index["Projection"]["ProjectionType"]
    return {"name": index["IndexName"], "projection_type": projection, **_keys(index["KeySchema"])}


def mapping_values(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Write the mapping that the SDK asks Lambda for as the provider does."""
    destination = settings["DestinationConfig"]["OnFailure"]["Destination"]
    patterns = [{"pattern": each["Pattern"]} for each in settings["FilterCriteria"]["Filters"]]
    return {
        "enabled": True,
        "starting_position": "TRIM_HORIZON",
        "batch_size": settings["BatchSize"],
        "maximum_batching_window_in_seconds": settings["MaximumBatchingWindowInSeconds"],
        "parallelization_factor": settings["ParallelizationFactor"],
        "maximum_record_age_in_seconds": settings["MaximumRecordAgeInSeconds"],
        "maximum_retry_attempts": settings["MaximumRetryAttempts"],
        "bisect_batch_on_function_error": settings["BisectBatchOnFunctionError"],
        "function_response_types": settings["FunctionResponseTypes"],
        "filter_criteria": [{"filter": patterns}],
        "destination_config": [{"on_failure": [{"destination_arn": destination}]}],
        "metrics_config": [{"metrics": settings["MetricsConfig"]["Metrics"]}],
    }

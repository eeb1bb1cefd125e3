"""What Terraform takes from the SDK, as one document; `python -m deploy.generate` writes it.

``@name@`` stands for what only a deployment knows. ``@topic@``, ``@queue@``, ``@bus@``, ``@stream@``,
``@key@`` and ``@claim_bucket@`` may stand for several or for none: an entry of a list that holds one is
repeated for each, and a statement of which no resource is left is dropped. ``destinations`` tells what routes
begin with that lead to each kind.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.monitoring import alarms, dashboard, log_metrics
from outbox_sdk.core.configuration import VARIABLES, RelayConfiguration
from outbox_sdk.core.destinations import EVENTBRIDGE, KINESIS, SNS, SQS
from outbox_sdk.core.event_source import EventSource, mapping_settings
from outbox_sdk.core.function import ARCHITECTURES, DEFAULT_RUNTIME, HANDLERS, RUNTIMES
from outbox_sdk.core.identifiers import AccountId, Partition, Region, TableName, TopicName
from outbox_sdk.core.mark import MARK_STRATEGIES, MarkStrategy
from outbox_sdk.core.metrics import NAMESPACE
from outbox_sdk.core.operations import Role
from outbox_sdk.core.permissions import Grants, invoke_policy, policy_document, trust_policy
from outbox_sdk.core.place import Place
from outbox_sdk.core.table import (
    INDEXED_TTL_DAYS,
    TableDesign,
    create_table_request,
    encode_design,
    parse_design,
    time_to_live_request,
)

__all__ = [
    "DATA_FILE",
    "FUNCTION_ROLES",
    "SCHEDULER",
    "SHIPPED_DESIGNS",
    "bucket_policy",
    "deployment_data",
    "encode_data",
    "main",
]

DATA_FILE = Path(__file__).parent / "terraform" / "outbox.json"

SHIPPED_DESIGNS = {"ordered": TableDesign.ordered, "message_keyed": TableDesign.message_keyed}
FUNCTION_ROLES: tuple[Role, ...] = ("relay", "sweeper")

_DESTINATIONS = {"@topic@": SNS, "@queue@": SQS, "@bus@": EVENTBRIDGE, "@stream@": KINESIS}

SCHEDULER = "scheduler.amazonaws.com"
"""Who invokes the sweeper."""

_PLACE = Place(
    partition=Partition("@partition@"), region=Region("@region@"), account_id=AccountId("@account@")
)


def deployment_data(designs: Mapping[str, TableDesign]) -> dict[str, Any]:
    """Collect what Terraform needs of the SDK, for each design by its name."""
    return {
        "alarms": alarms(),
        "bucket_policy": bucket_policy("@bucket@"),
        "dashboard": dashboard(),
        "destinations": {
            placeholder: {"scheme": f"{kind.scheme}:" if kind.scheme else "", "service": kind.service}
            for placeholder, kind in _DESTINATIONS.items()
        },
        "designs": {name: _design_data(design) for name, design in designs.items()},
        "function": {
            "architectures": list(ARCHITECTURES),
            "handlers": HANDLERS,
            "runtime": DEFAULT_RUNTIME,
            "runtimes": list(RUNTIMES),
        },
        "invoker_policy": invoke_policy(_PLACE, "@function@"),
        "invoker_trust": trust_policy(SCHEDULER, account_id=_PLACE.account_id),
        "log_metrics": log_metrics(),
        "mark_strategies": list(MARK_STRATEGIES),
        "metrics_namespace": NAMESPACE,
        "trust_policy": trust_policy(),
        "variables": {variable.field: variable.names[0] for variable in VARIABLES},
    }


def _design_data(design: TableDesign) -> dict[str, Any]:
    request = create_table_request(design, "")
    return {
        "attributes": {
            each["AttributeName"]: each["AttributeType"] for each in request["AttributeDefinitions"]
        },
        "billing_mode": request["BillingMode"],
        "dispatched_ttl_days": INDEXED_TTL_DAYS if design.sequence_index is not None else None,
        "global_secondary_indexes": [_index(each) for each in request.get("GlobalSecondaryIndexes", ())],
        "key": _keys(request["KeySchema"]),
        "local_secondary_indexes": [_index(each) for each in request.get("LocalSecondaryIndexes", ())],
        "mapping": {
            strategy: mapping_settings(EventSource(), design, strategy) for strategy in MARK_STRATEGIES
        },
        "policies": {
            role: {strategy: _policy(role, design, strategy) for strategy in MARK_STRATEGIES}
            for role in FUNCTION_ROLES
        },
        "stream_view_type": request["StreamSpecification"]["StreamViewType"],
        "text": encode_design(design),
        "ttl_attribute": time_to_live_request(design, "")["TimeToLiveSpecification"]["AttributeName"],
    }


def _keys(schema: Sequence[Mapping[str, str]]) -> dict[str, str | None]:
    by_type = {each["KeyType"]: each["AttributeName"] for each in schema}
    return {"hash": by_type["HASH"], "range": by_type.get("RANGE")}


def _index(index: Mapping[str, Any]) -> dict[str, Any]:
    projection = index["Projection"]["ProjectionType"]
    return {"name": index["IndexName"], "projection": projection, **_keys(index["KeySchema"])}


def _policy(role: Role, design: TableDesign, strategy: MarkStrategy) -> dict[str, Any]:
    # Names that the services would take, for a route is told by its name.
    names = {placeholder: f"PLACE-OF-{number}" for number, placeholder in enumerate(_DESTINATIONS)}
    routes = [
        f"{kind.scheme}:{names[placeholder]}" if kind.scheme else names[placeholder]
        for placeholder, kind in _DESTINATIONS.items()
    ]
    configuration = RelayConfiguration(
        dynamodb_outbox_table_name=TableName("@table@"),
        aws_sns_topic_prefix="@prefix@",
        outbox_allowed_topics=frozenset(map(TopicName, routes)),
        outbox_mark_strategy=strategy,
        outbox_table_design=design,
        outbox_claim_bucket="@claim_bucket@",
        outbox_claim_prefix="@claim_prefix@",
    )
    grants = Grants(
        function_name="@function@",
        creates_log_group=False,
        on_failure="arn:@partition@:s3:::@bucket@",
        kms_keys=("@key@",),
    )
    document = policy_document(role, configuration, _PLACE, grants)
    # Services have another domain in China, which the document decides by the name of the partition.
    text = json.dumps(document).replace("@region@.amazonaws.com", "@region@.@dns_suffix@")
    for placeholder, name in names.items():
        text = text.replace(name, placeholder)
    result: dict[str, Any] = json.loads(text)
    return result


def bucket_policy(bucket_arn: str) -> dict[str, Any]:
    """Refuse whoever comes to the bucket of failures without TLS."""
    statement = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:*"],
        "Resource": [bucket_arn, f"{bucket_arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def encode_data(data: Mapping[str, Any]) -> str:
    """Write the document as the repository keeps it."""
    return json.dumps(data, indent=2, sort_keys=True) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the document; with ``--design``, one more design in it, for a table with names of its own."""
    parser = argparse.ArgumentParser(prog="python -m deploy.generate", description=main.__doc__)
    parser.add_argument("--output", type=Path, default=DATA_FILE, help="where to; default: the module's own")
    parser.add_argument(
        "--design", action="append", default=[], metavar="NAME=DESIGN",
        help="for example: orders=ordered,partition_key=pk,sort_key=sk",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    designs = dict(SHIPPED_DESIGNS)
    for text in options.design:
        name, _, design = text.partition("=")
        designs[name] = parse_design(design)
    options.output.write_text(encode_data(deployment_data(designs)))


if __name__ == "__main__":
    main()

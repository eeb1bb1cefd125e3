"""Whole documents of the planning core, as `python -m tests.golden.planning` writes them beside this file.

What is written is to be read before it is kept: the tests only hold the code to it.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pydantic

from outbox_sdk.core.asyncapi import build_asyncapi
from outbox_sdk.core.batch_cost import Calls, batch_cost, expected_batch_cost
from outbox_sdk.core.capacity import plan_capacity
from outbox_sdk.core.catalog import Catalog
from outbox_sdk.core.configuration import RelayConfiguration
from outbox_sdk.core.cost import Billed
from outbox_sdk.core.cost_report import describe_cost
from outbox_sdk.core.deployment import Deployment
from outbox_sdk.core.event_source import EventSource
from outbox_sdk.core.identifiers import AccountId, Partition, Region, TableName, TopicName
from outbox_sdk.core.json_schema import build_json_schema
from outbox_sdk.core.message_type import message
from outbox_sdk.core.operations import Role
from outbox_sdk.core.permissions import Grants, policy_document
from outbox_sdk.core.place import Place
from outbox_sdk.core.poller import Poller, plan_turn
from outbox_sdk.core.quotas import SnsQuotas
from outbox_sdk.core.roles import function_role, schedule_role
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.workload import Workload

__all__ = ["DOCUMENTS", "kept", "written"]

PLACE = Place(region=Region("eu-west-1"), account_id=AccountId("123456789012"))
CHINA = Place(
    partition=Partition("aws-cn"), region=Region("cn-north-1"), account_id=AccountId("210987654321")
)
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"


def configuration(**fields: Any) -> RelayConfiguration:
    return RelayConfiguration(
        **{"dynamodb_outbox_table_name": TableName("outbox"), "aws_sns_topic_prefix": "p-", **fields}
    )


def routes(*names: str) -> frozenset[TopicName]:
    return frozenset(map(TopicName, names))


def policies() -> Iterator[tuple[str, Any]]:
    """Each role, each kind of destination, each strategy, with and without what may be granted."""
    plain = Grants(function_name="f")
    confined = Grants(function_name="f", confine_attributes=True)
    everything = Grants(
        function_name="f",
        creates_log_group=False,
        on_failure="arn:aws:s3:::failures",
        kms_keys=(KEY,),
        sweeps_publish=True,
        confine_attributes=True,
    )
    mixed = configuration(
        outbox_allowed_topics=routes("b", "a", "sqs:q", "sqs:r.fifo", "eventbridge:bus", "kinesis:stream"),
        outbox_claim_bucket="claims-bucket",
        outbox_claim_prefix="c/",
    )
    by_item = configuration(
        outbox_table_design=TableDesign.message_keyed,
        outbox_mark_strategy="single",
        outbox_dispatched_ttl_days=7,
    )
    deleting = configuration(outbox_mark_strategy="delete")
    skipping = configuration(outbox_skip_mark_messages_as_dispatched=True)
    cases: list[tuple[str, Role, RelayConfiguration, Place, Grants]] = [
        ("relay", "relay", configuration(), PLACE, plain),
        ("follower", "follower", configuration(), PLACE, plain),
        ("sweeper", "sweeper", configuration(), PLACE, plain),
        ("relay with everything", "relay", mixed, PLACE, everything),
        ("follower with everything", "follower", mixed, PLACE, everything),
        ("sweeper with everything", "sweeper", mixed, PLACE, everything),
        ("relay, confined", "relay", configuration(), PLACE, confined),
        ("relay, confined, single", "relay", by_item, PLACE, confined),
        ("relay, confined, delete", "relay", deleting, PLACE, confined),
        ("relay, confined, no marks", "relay", skipping, PLACE, confined),
        ("sweeper, confined", "sweeper", configuration(), PLACE, confined),
        (
            "relay, failures to a queue, in China",
            "relay",
            configuration(),
            CHINA,
            Grants(function_name="f", on_failure="arn:aws-cn:sqs:cn-north-1:210987654321:q", kms_keys=(KEY,)),
        ),
        (
            "relay, failures to a topic, any topic",
            "relay",
            configuration(aws_sns_topic_prefix=""),
            PLACE,
            Grants(
                function_name="f",
                on_failure="arn:aws:sns:eu-west-1:123456789012:failures",
                allow_any_topic=True,
            ),
        ),
        (
            "relay of queues alone",
            "relay",
            configuration(outbox_allowed_topics=routes("sqs:q")),
            PLACE,
            Grants(function_name="f", kms_keys=(KEY, f"{KEY}2")),
        ),
    ]
    for name, role, settings, place, grants in cases:
        yield name, policy_document(role, settings, place, grants)


def roles() -> Iterator[tuple[str, Any]]:
    """What a deployment makes of its options."""
    relay = Deployment(
        configuration=configuration(outbox_allowed_topics=routes("orders")),
        function_name="outbox-relay",
        architecture="arm64",
        source=EventSource(on_failure="arn:aws:s3:::failures"),
        kms_keys=(KEY,),
        confine_attributes=True,
    )
    sweeper = msgspec.structs.replace(relay, role="sweeper", function_name="outbox-sweeper")
    any_topic = Deployment(
        configuration=configuration(aws_sns_topic_prefix=""),
        function_name="any",
        architecture="arm64",
        allow_any_topic=True,
    )
    yield "relay", function_role(relay, PLACE)
    yield "sweeper", function_role(sweeper, PLACE)
    yield "relay to any topic", function_role(any_topic, CHINA)
    yield "schedule", schedule_role(sweeper, PLACE)


BY_MESSAGE = TableDesign.message_keyed
WORKLOADS: Mapping[str, Workload] = {
    "as it comes": Workload(rate=200, body_bytes=900),
    "slow": Workload(rate=0.5, body_bytes=3_000, ttl_days=None, in_transaction=False),
    "FIFO": Workload(
        rate=300, body_bytes=2_000, fifo=True, topics=3, aggregate_rate=2.5, sequenced=True, memory_mb=1_769
    ),
    "FIFO, one topic, hot aggregate": Workload(
        rate=9, body_bytes=30_000, fifo=True, aggregate_rate=7, strategy="single"
    ),
    "deleting": Workload(
        rate=23.1, body_bytes=100, strategy="delete", source=EventSource(batch_window_seconds=0)
    ),
    "by item, in parallel": Workload(
        rate=2_000,
        design=BY_MESSAGE,
        topics=4,
        shards=7,
        memory_mb=256,
        max_concurrency=5,
        strategy="single",
        source=EventSource(batch_size=400, parallelization_factor=3, batch_window_seconds=5),
    ),
    "more than the pollers carry": Workload(
        rate=3_000, shards=2, publish_seconds=0.2, mark_seconds=0.1, max_concurrency=2, poll_seconds=0.5
    ),
    "more than the quotas": Workload(
        rate=5_000,
        fifo=True,
        buckets=3,
        concurrent_executions=2,
        table_units_per_second=20_000,
        sns=SnsQuotas(standard=100, fifo=4_000, fifo_topic=2_000, fifo_topic_bytes=1e6, fifo_group=10),
    ),
}


def capacities() -> Iterator[tuple[str, Any]]:
    """Small and large, in each form of topic, mark and table, sustained and not."""
    for name, workload in WORKLOADS.items():
        yield name, plan_capacity(workload)


def costs() -> Iterator[tuple[str, Any]]:
    """All lines, options and prices of some of them."""
    yield "as it comes", describe_cost(WORKLOADS["as it comes"])
    yield (
        "FIFO",
        describe_cost(
            WORKLOADS["FIFO"],
            Billed(architecture="x86_64", subscriptions=3, metrics=False, monitoring=False, sweeper=False),
        ),
    )
    yield "slow", describe_cost(WORKLOADS["slow"], Billed(sweeper=False, monitoring=False))


QUICK = Calls(publish_seconds=0.02, mark_seconds=0.01)
NARROW = Calls(publish_seconds=0.03, mark_seconds=0.005, entries=4, marks=3, slots=3)
SLOW_MARKS = Calls(publish_seconds=0.01, mark_seconds=0.04, marks=1, slots=8)


def batches() -> Iterator[tuple[str, Any]]:
    """Exact batches, and those of an average."""
    lanes: dict[str, list[list[int]]] = {
        "one": [[1]],
        "thirteen": [[1] * 13],
        "two topics": [[1] * 11, [1] * 7],
        "lanes": [[5, 1, 1], [2] * 12],
        "long lanes": [[9, 8, 7, 1, 1, 1], [1]],
    }
    calls = {"quick": QUICK, "narrow": NARROW, "slow marks": SLOW_MARKS}
    for kind, each in calls.items():
        for name, by_topic in lanes.items():
            yield f"{kind}: {name}", batch_cost(by_topic, each)
        for mean in (1.0, 7.0, 42.5, 99.0, 100.0):
            for topics, aggregates in ((1, None), (3, None), (1, 6.0), (2, 40.0), (1, 1.0)):
                yield (
                    f"{kind}: {mean} on average, {topics} topics, {aggregates} aggregates",
                    expected_batch_cost(mean, each, topics=topics, aggregates=aggregates, limit=100),
                )


def turns() -> Iterator[tuple[str, Any]]:
    """Idle, open, full, and behind."""
    calls = Calls(publish_seconds=0.05, mark_seconds=0.02, slots=4)
    for arrivals in (0.01, 3.0, 70.0, 79.0, 81.0, 200.0, 390.0, 3_000.0):
        for window in (0.0, 1.0):
            for aggregates in (None, 20.0):
                poller = Poller(
                    arrivals=arrivals,
                    calls=calls,
                    topics=2,
                    aggregates=aggregates,
                    window_seconds=window,
                    bytes_per_message=30_000,
                    cpu_seconds_per_record=0.000_2,
                    cpu_seconds_per_request=0.001,
                )
                yield f"{arrivals} a second, {window} s, {aggregates} aggregates", plan_turn(poller)


class Address(msgspec.Struct):
    """Where it goes."""

    street: str
    lines: tuple[int, str] | None = None


class Card(msgspec.Struct, tag="card"):
    number: str


class Cash(msgspec.Struct, tag="cash"):
    received: int


@message("order.created", topic="orders", version=3)
class OrderCreated(msgspec.Struct):
    order_id: Annotated[str, msgspec.Meta(description="Of the order.", examples=["o-1"])]
    address: Address
    paid_by: Card | Cash
    billed_to: Annotated[Address, msgspec.Meta(title="Billed to")]


@message("order:gone", topic="orders")
class OrderGone(pydantic.BaseModel):
    reason: str


@message("order_gone", topic="sqs:orders")
class OrderLeft(msgspec.Struct):
    discriminator: dict[str, int]


def schemas() -> Iterator[tuple[str, Any]]:
    """Names that are no keys, parts of messages, tuples, tagged unions, and models."""
    catalog = Catalog(OrderCreated, OrderGone, OrderLeft)
    yield "AsyncAPI", build_asyncapi(catalog, title="Orders", version="2.1.0")
    yield "JSON Schema", build_json_schema(catalog, title="Orders")
    yield "AsyncAPI of one", build_asyncapi(Catalog(OrderGone), title="One")["info"]


DOCUMENTS: Mapping[str, Callable[[], Iterator[tuple[str, Any]]]] = {
    each.__name__: each for each in (policies, roles, capacities, costs, batches, turns, schemas)
}


def written(name: str) -> dict[str, Any]:
    """Write a document, as JSON takes it, to nine digits: the last ones differ between machines."""
    return {case: _rounded(msgspec.to_builtins(value)) for case, value in DOCUMENTS[name]()}


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return "infinite" if value == float("inf") else float(f"{value:.9g}")
        case dict():
            return {key: _rounded(each) for key, each in value.items()}
        case list() | tuple():
            return [_rounded(each) for each in value]
        case _:
            return value


def kept(name: str) -> dict[str, Any]:
    """Read a document as it is kept."""
    found: dict[str, Any] = json.loads(_path(name).read_text())
    return found


def _path(name: str) -> Path:
    return Path(__file__).with_name(f"planning_{name}.json")


if __name__ == "__main__":
    for name in DOCUMENTS:
        _path(name).write_text(json.dumps(written(name), indent=1, ensure_ascii=False) + "\n")
        sys.stderr.write(f"{_path(name)}\n")

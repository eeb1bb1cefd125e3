"""What the planning core refuses, in full: the argument or variable, what is wrong with it, and the limit."""

from typing import Any

import msgspec
import pytest

from outbox_sdk.core.batch_cost import Calls, expected_batch_cost
from outbox_sdk.core.capacity import plan_capacity
from outbox_sdk.core.catalog import Catalog
from outbox_sdk.core.configuration import RelayConfiguration
from outbox_sdk.core.cost import Billed
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import AccountId, Region, TableName, TopicName
from outbox_sdk.core.json_schema import Schema, build_json_schema, map_schema
from outbox_sdk.core.message_type import message
from outbox_sdk.core.permissions import Grants, destination_arns, policy_document, topic_arns
from outbox_sdk.core.place import Place
from outbox_sdk.core.prices import PRICE_SOURCES, US_EAST_1, decode_prices
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.workload import Workload, parse_rate

PLACE = Place(region=Region("eu-west-1"), account_id=AccountId("123456789012"))
PLAIN = RelayConfiguration(dynamodb_outbox_table_name=TableName("outbox"), aws_sns_topic_prefix="p-")
FUNCTION = Grants(function_name="f")


def refusal(call: Any, *arguments: Any, **options: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        call(*arguments, **options)
    return str(caught.value)


def routes(*names: str) -> frozenset[TopicName]:
    return frozenset(map(TopicName, names))


DESIGN = TableDesign.ordered


@pytest.mark.parametrize(
    ("settings", "grants", "variable", "name"),
    [
        ({"dynamodb_outbox_table_name": "a*"}, {}, "DYNAMODB_OUTBOX_TABLE_NAME", "'a*'"),
        ({"aws_sns_topic_prefix": "a?"}, {}, "AWS_SNS_TOPIC_PREFIX", "'a?'"),
        ({"outbox_allowed_topics": routes("a b")}, {}, "OUTBOX_ALLOWED_TOPICS", "'a b'"),
        (
            {"outbox_table_design": msgspec.structs.replace(DESIGN, outstanding_index="a$b")},
            {},
            "OUTBOX_TABLE_DESIGN",
            "'a$b'",
        ),
        ({"outbox_claim_bucket": "claims*bucket"}, {}, "OUTBOX_CLAIM_BUCKET", "'claims*bucket'"),
        ({"outbox_claim_prefix": "c*/"}, {}, "OUTBOX_CLAIM_PREFIX", "'c*/'"),
        ({}, {"function_name": "f*"}, "function_name", "'f*'"),
        ({}, {"on_failure": "arn:aws:s3:::a*"}, "on_failure", "'arn:aws:s3:::a*'"),
        ({}, {"kms_keys": ("a", "b*")}, "kms_keys", "'b*'"),
    ],
)
def test_a_name_that_would_be_a_pattern_is_told_by_its_variable(
    settings: dict[str, Any], grants: dict[str, Any], variable: str, name: str
) -> None:
    configuration = msgspec.structs.replace(PLAIN, **settings)
    given = msgspec.structs.replace(FUNCTION, **grants)

    assert refusal(policy_document, "relay", configuration, PLACE, given) == (
        f"{variable}: {name} would be read as a pattern in a policy"
    )


def test_names_with_signs_that_are_no_patterns_are_taken() -> None:
    configuration = msgspec.structs.replace(PLAIN, outbox_allowed_topics=routes("XX_a-b.fifo"))

    assert topic_arns(configuration, PLACE, allow_any_topic=False) == (
        "arn:aws:sns:eu-west-1:123456789012:p-XX_a-b.fifo",
    )


def test_a_relay_without_topics_is_told_what_to_set() -> None:
    nothing = msgspec.structs.replace(PLAIN, outbox_allowed_topics=frozenset())
    anything = msgspec.structs.replace(PLAIN, aws_sns_topic_prefix="")

    assert refusal(topic_arns, nothing, PLACE, allow_any_topic=True) == (
        "OUTBOX_ALLOWED_TOPICS: is empty: a relay could publish nothing"
    )
    assert refusal(policy_document, "relay", nothing, PLACE, FUNCTION) == (
        "OUTBOX_ALLOWED_TOPICS: is empty: a relay could publish nothing"
    )
    assert refusal(topic_arns, anything, PLACE, allow_any_topic=False) == (
        "OUTBOX_ALLOWED_TOPICS: is not set, and AWS_SNS_TOPIC_PREFIX is empty: a producer could reach every "
        "topic of the account. Set one of them, or say allow_any_topic"
    )
    assert topic_arns(anything, PLACE, allow_any_topic=True) == ("arn:aws:sns:eu-west-1:123456789012:*",)


def test_destinations_that_are_no_topics_are_reached_by_name_only() -> None:
    configuration = msgspec.structs.replace(PLAIN, outbox_allowed_topics=routes("t", "sqs:b", "sqs:a"))
    queues = tuple(f"arn:aws:sqs:eu-west-1:123456789012:{name}" for name in "ab")

    assert destination_arns(configuration, PLACE, "sqs") == queues
    assert destination_arns(configuration, PLACE, "kinesis") == ()
    assert destination_arns(PLAIN, PLACE, "sqs") == ()


@pytest.mark.parametrize("arn", ["bucket", "arn:aws:lambda:eu-west-1:1:function:f", "arn:aws:s3::"])
def test_a_destination_of_failures_that_is_none_is_told(arn: str) -> None:
    grants = msgspec.structs.replace(FUNCTION, on_failure=arn)

    assert refusal(policy_document, "relay", PLAIN, PLACE, grants) == (
        f"on_failure: {arn!r} is not the ARN of an S3 bucket, a queue or a topic"
    )


def test_a_name_that_would_be_a_variable_is_told() -> None:
    design = msgspec.structs.replace(DESIGN, park_reason="${aws:username}")
    configuration = msgspec.structs.replace(PLAIN, outbox_table_design=design)
    grants = msgspec.structs.replace(FUNCTION, confine_attributes=True)

    assert refusal(policy_document, "relay", configuration, PLACE, grants) == (
        "OUTBOX_TABLE_DESIGN: has a name that a policy would read as a variable"
    )


LONG = "and IAM takes 10240 on a role. Name less; topics can share a prefix that no other topic has"


@pytest.mark.parametrize(
    ("settings", "grants", "variable"),
    [
        ({"outbox_allowed_topics": routes(*(f"{number:0200}" for number in range(60)))}, {},
         "OUTBOX_ALLOWED_TOPICS"),
        ({"outbox_allowed_topics": routes(*(f"sqs:{number:080}" for number in range(120)))}, {},
         "OUTBOX_ALLOWED_TOPICS"),
        ({}, {"kms_keys": ("k" * 200,) * 60}, "kms_keys"),
        (
            {"outbox_table_design": msgspec.structs.replace(DESIGN, park_reason="r" * 11_000)},
            {"confine_attributes": True},
            "OUTBOX_TABLE_DESIGN",
        ),
    ],
)  # fmt: skip
def test_a_policy_that_is_too_long_names_what_makes_it_long(
    settings: dict[str, Any], grants: dict[str, Any], variable: str
) -> None:
    configuration = msgspec.structs.replace(PLAIN, **settings)
    given = msgspec.structs.replace(FUNCTION, **grants)

    said = refusal(policy_document, "relay", configuration, PLACE, given)

    head, _, tail = said.partition(" characters long, ")
    assert head.rpartition(" ")[0] == f"{variable}: makes the policy"
    assert int(head.rpartition(" ")[2]) > 10_240
    assert tail == LONG


# Workloads and prices


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rate": 0.0}, "rate: 0.0 is not between 0.001 and 1000000"),
        ({"body_bytes": 400_001}, "body_bytes: 400001 is not between 1 and 400000"),
        ({"shards": 0}, "shards: 0 is not between 1 and 1000000"),
        ({"memory_mb": 127}, "memory_mb: 127 is not between 128 and 10240"),
    ],
)
def test_a_workload_out_of_bounds_is_told_with_the_bounds(changes: dict[str, Any], said: str) -> None:
    assert refusal(lambda: Workload(**{"rate": 1.0, **changes})) == said


def test_a_workload_at_its_bounds_is_taken() -> None:
    assert Workload(rate=0.001, shards=1).rate == 0.001
    assert Workload(rate=1_000_000).shards is None


def test_a_body_that_no_topic_takes_is_told_with_the_size() -> None:
    assert refusal(plan_capacity, Workload(rate=1, body_bytes=262_144)).startswith(
        "body_bytes: no topic takes such a message: size:"
    )


@pytest.mark.parametrize("count", [-1, 12_500_001])
def test_subscriptions_are_told_with_their_bounds(count: int) -> None:
    assert refusal(lambda: Billed(subscriptions=count)) == (
        f"subscriptions: {count} is not between 0 and 12500000"
    )
    assert Billed(subscriptions=0).subscriptions == 0
    assert Billed(subscriptions=12_500_000).subscriptions == 12_500_000


def test_a_rate_that_is_none_is_told_with_examples() -> None:
    assert refusal(parse_rate, "2/fortnight", variable="--rate") == (
        "--rate: '2/fortnight' is no number of messages in a time, "
        "as 200/s, 5000/min, 30k/h, 2M/day, 1B/month"
    )


def test_a_price_out_of_bounds_is_told_and_those_at_the_bounds_are_taken() -> None:
    def prices(amount: float) -> bytes:
        return msgspec.json.encode({"region": "r", "as_of": "d", "alarm_month": amount})

    assert decode_prices(prices(0), variable="--prices").alarm_month == 0
    assert decode_prices(prices(1_000_000), variable="--prices").alarm_month == 1_000_000
    assert refusal(decode_prices, prices(1_000_001), variable="--prices") == (
        "--prices: alarm_month is 1000001.0, and not between 0 and 1000000"
    )
    assert refusal(decode_prices, b"\xff", variable="--prices").startswith("--prices: is no JSON of prices: ")
    assert {*PRICE_SOURCES} < {*msgspec.structs.asdict(US_EAST_1)}


def test_a_batch_of_one_topic_is_what_is_worked_out_by_default() -> None:
    calls = Calls(publish_seconds=0.02, mark_seconds=0.01)

    assert expected_batch_cost(100, calls, limit=100).publish_requests == 10


# Schemas


@message("opaque", topic="t")
class Opaque(msgspec.Struct):
    """A type that has no JSON Schema."""

    value: complex


def test_a_class_without_a_schema_is_told_by_its_name() -> None:
    assert refusal(build_json_schema, Catalog(Opaque), title="t").startswith(
        "catalog: Opaque has no JSON Schema: "
    )


def test_a_schema_is_changed_from_within_and_values_and_names_are_left_alone() -> None:
    visited: list[Schema] = []

    def visit(schema: Schema) -> Schema:
        visited.append(dict(schema))
        return {**schema, "seen": len(visited)}

    changed = map_schema(
        visit,
        {
            "properties": {"const": {"type": "string"}, "b": True},
            "patternProperties": {"^x": {}},
            "definitions": {"D": {"not": {"enum": [{"a": 1}]}}},
            "$defs": {},
            "anyOf": [{"const": {"type": "x"}}, False],
            "default": {"properties": {}},
            "examples": [{"e": {}}],
            "required": ["a"],
            "title": "t",
        },
    )

    assert changed == {
        "properties": {"const": {"type": "string", "seen": 1}, "b": True},
        "patternProperties": {"^x": {"seen": 2}},
        "definitions": {"D": {"not": {"enum": [{"a": 1}], "seen": 3}, "seen": 4}},
        "$defs": {},
        "anyOf": [{"const": {"type": "x"}, "seen": 5}, False],
        "default": {"properties": {}},
        "examples": [{"e": {}}],
        "required": ["a"],
        "title": "t",
        "seen": 6,
    }

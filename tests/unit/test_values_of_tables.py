"""Tables and configuration as whole values: requests, differences, and every variable written and read."""

from typing import Any

import msgspec
import pytest

from outbox_sdk.core.configuration import (
    VARIABLES,
    RelayConfiguration,
    encode_environment,
    parse_environment,
    parse_field,
    parse_variables,
)
from outbox_sdk.core.entry import TopicLimits
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import AccountId, Region, TableName, TopicName
from outbox_sdk.core.inbox import find_inbox_differences, inbox_table_request, inbox_time_to_live_request
from outbox_sdk.core.operations import list_operations
from outbox_sdk.core.table import (
    TableDesign,
    create_table_request,
    encode_design,
    find_table_differences,
    parse_design,
    time_to_live_request,
)

ORDERED = TableDesign.ordered


def key_schema(partition: str, sort: str | None = None) -> list[dict[str, str]]:
    both = [(partition, "HASH"), (sort, "RANGE")]
    return [{"AttributeName": name, "KeyType": kind} for name, kind in both if name is not None]


REQUEST: dict[str, Any] = {
    "TableName": "outbox",
    "KeySchema": key_schema("PK", "SK"),
    "BillingMode": "PAY_PER_REQUEST",
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "NotDispatchedMessagesIndex",
            "KeySchema": key_schema("NotDispatched", "CreatedAt"),
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
    "LocalSecondaryIndexes": [
        {
            "IndexName": "AggregateSequenceIndex",
            "KeySchema": key_schema("PK", "Sequence"),
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
    "AttributeDefinitions": [
        {"AttributeName": "PK", "AttributeType": "S"},
        {"AttributeName": "NotDispatched", "AttributeType": "S"},
        {"AttributeName": "CreatedAt", "AttributeType": "S"},
        {"AttributeName": "SK", "AttributeType": "S"},
        {"AttributeName": "Sequence", "AttributeType": "N"},
    ],
}


def test_the_table_of_either_design() -> None:
    assert create_table_request(ORDERED, "outbox") == REQUEST
    plain = create_table_request(TableDesign.message_keyed, "outbox")
    without_local = {name: value for name, value in REQUEST.items() if name != "LocalSecondaryIndexes"}
    assert plain == {
        **without_local,
        "KeySchema": key_schema("PK"),
        "AttributeDefinitions": REQUEST["AttributeDefinitions"][:3],
    }
    assert time_to_live_request(ORDERED, "outbox") == {
        "TableName": "outbox",
        "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "ExpiresAt"},
    }


INDEX = "NotDispatchedMessagesIndex"


@pytest.mark.parametrize(
    ("changes", "differences"),
    [
        ({}, []),
        ({"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}}, []),
        ({"KeySchema": list(reversed(key_schema("PK", "SK")))}, []),
        ({"KeySchema": key_schema("PK")}, ["its key is ['PK'], not ['PK', 'SK']"]),
        (
            {"GlobalSecondaryIndexes": None},
            [f"its index {INDEX} is absent, not ['NotDispatched', 'CreatedAt']"],
        ),
        (
            {
                "LocalSecondaryIndexes": [
                    {"IndexName": "AggregateSequenceIndex", "KeySchema": key_schema("PK")}
                ]
            },
            ["its index AggregateSequenceIndex is ['PK'], not ['PK', 'Sequence']"],
        ),
        (
            {"StreamSpecification": None},
            ["its stream view is absent, not NEW_AND_OLD_IMAGES"],
        ),
        (
            {"StreamSpecification": {"StreamEnabled": False, "StreamViewType": "NEW_IMAGE"}},
            ["its stream view is absent, not NEW_AND_OLD_IMAGES"],
        ),
        (
            {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}},
            ["its stream view is KEYS_ONLY, not NEW_AND_OLD_IMAGES"],
        ),
    ],
)
def test_what_a_table_has_otherwise(changes: dict[str, Any], differences: list[str]) -> None:
    assert find_table_differences(ORDERED, "outbox", {**REQUEST, **changes}) == differences


def test_a_design_is_refused_by_the_field_that_cannot_be_a_name() -> None:
    for name in ("", "#a", ":a"):
        with pytest.raises(ConfigurationError) as refused:
            msgspec.structs.replace(ORDERED, topic=name)
        assert str(refused.value) == f"topic: {name!r} cannot name an attribute or an index"
    with pytest.raises(ValueError, match=r"^a design keyed by aggregate needs a sort key$"):
        TableDesign(keyed_by="aggregate").item_key_values("7", "m-1")
    assert TableDesign.message_keyed.item_key_values("7", "m-1") == {"PK": "MESSAGE#m-1"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("none", "'none' is not one of ordered, message_keyed"),
        ("ordered,topic", "'topic' is not FIELD=NAME with a field of TableDesign"),
        ("ordered,keyed_by=x", "'keyed_by=x' is not FIELD=NAME with a field of TableDesign"),
        ("ordered,topic=", "topic needs a name"),
        ("ordered,topic=#x", "topic: '#x' cannot name an attribute or an index"),
    ],
)
def test_a_design_that_is_no_text_of_one(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as refused:
        parse_design(text)
    assert str(refused.value) == problem


def test_a_design_is_written_as_it_is_read() -> None:
    for text, design in (
        ("ordered", ORDERED),
        ("message_keyed", TableDesign.message_keyed),
        (
            "ordered,sort_key=,sequence_index=",
            msgspec.structs.replace(ORDERED, sort_key=None, sequence_index=None),
        ),
        (
            "message_keyed,topic=Channel,hops=Far",
            msgspec.structs.replace(TableDesign.message_keyed, topic="Channel", hops="Far"),
        ),
    ):
        assert encode_design(design) == text
        assert parse_design(text) == design
    assert parse_design(" ordered , topic = Channel ").topic == "Channel"
    for name in ("a,b", " a", "a "):
        with pytest.raises(ConfigurationError) as refused:
            encode_design(msgspec.structs.replace(ORDERED, topic=name))
        assert str(refused.value) == f"topic: {name!r} cannot be written into a variable"


def test_the_table_of_an_inbox() -> None:
    definitions = [{"AttributeName": name, "AttributeType": "S"} for name in ("PK", "SK")]
    request = inbox_table_request("inbox")
    assert request == {
        "TableName": "inbox",
        "KeySchema": key_schema("PK", "SK"),
        "AttributeDefinitions": definitions,
        "BillingMode": "PAY_PER_REQUEST",
    }
    assert inbox_time_to_live_request("inbox") == {
        "TableName": "inbox",
        "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "ExpiresAt"},
    }
    assert find_inbox_differences(request) == []
    assert find_inbox_differences({**request, "KeySchema": key_schema("PK")}) == [
        "its key is {'HASH': 'PK'}, not {'HASH': 'PK', 'RANGE': 'SK'}"
    ]
    numbers = [definitions[0], {"AttributeName": "SK", "AttributeType": "N"}]
    assert find_inbox_differences({**request, "AttributeDefinitions": numbers}) == [
        "its key attribute SK is of type N, not S"
    ]


# Configuration

CONFIGURATION = RelayConfiguration(
    dynamodb_outbox_table_name=TableName("orders-outbox"),
    aws_endpoint_url="http://localhost:4566",
    aws_region=Region("eu-west-1"),
    aws_account_id=AccountId("123456789012"),
    aws_sns_topic_prefix="dev-",
    outbox_skip_mark_messages_as_dispatched=True,
    outbox_mark_strategy="single",
    outbox_envelope="tomodachi",
    outbox_allowed_topics=frozenset(map(TopicName, ("b", "a.fifo", "sqs:q"))),
    outbox_topic_max_bytes=TopicLimits(2_048, {TopicName("sqs:q"): 1_024, TopicName("b"): 1_048_576}),
    outbox_dispatched_ttl_days=7,
    outbox_recheck_after_seconds=0.000001,
    outbox_max_concurrency=8,
    outbox_not_dispatched_buckets=4,
    outbox_park_held_after_seconds=60.0,
    outbox_park_older_than_seconds=2_592_000.0,
    outbox_sweep_after_seconds=1.5,
    outbox_sweep_limit=10,
    outbox_table_design=msgspec.structs.replace(ORDERED, sort_key="sk"),
    outbox_claim_bucket="orders-claims",
    outbox_claim_prefix="orders/claims/",
    outbox_claim_minimum_age_days=4,
)
ENVIRONMENT = {
    "DYNAMODB_OUTBOX_TABLE_NAME": "orders-outbox",
    "AWS_ENDPOINT_URL": "http://localhost:4566",
    "AWS_SNS_TOPIC_PREFIX": "dev-",
    "OUTBOX_SKIP_MARK_MESSAGES_AS_DISPATCHED": "true",
    "OUTBOX_MARK_STRATEGY": "single",
    "OUTBOX_ENVELOPE": "tomodachi",
    "OUTBOX_ALLOWED_TOPICS": "a.fifo,b,sqs:q",
    "OUTBOX_TOPIC_MAX_BYTES": "2048,sqs:q=1024,b=1048576",
    "OUTBOX_DISPATCHED_TTL_DAYS": "7",
    "OUTBOX_RECHECK_AFTER_SECONDS": "0.000001",
    "OUTBOX_MAX_CONCURRENCY": "8",
    "OUTBOX_NOT_DISPATCHED_BUCKETS": "4",
    "OUTBOX_PARK_HELD_AFTER_SECONDS": "60",
    "OUTBOX_PARK_OLDER_THAN_SECONDS": "2592000",
    "OUTBOX_SWEEP_AFTER_SECONDS": "1.5",
    "OUTBOX_SWEEP_LIMIT": "10",
    "OUTBOX_TABLE_DESIGN": "ordered,sort_key=sk",
    "OUTBOX_CLAIM_BUCKET": "orders-claims",
    "OUTBOX_CLAIM_PREFIX": "orders/claims/",
    "OUTBOX_CLAIM_MINIMUM_AGE_DAYS": "4",
}


def test_every_variable_is_written_and_read() -> None:
    assert encode_environment(CONFIGURATION) == ENVIRONMENT
    place = {"AWS_REGION": "eu-west-1", "AWS_ACCOUNT_ID": "123456789012"}
    assert parse_environment({**ENVIRONMENT, **place}) == CONFIGURATION
    assert [name for variable in VARIABLES for name in variable.names if name in ENVIRONMENT] == [
        *ENVIRONMENT
    ]


def test_what_no_variable_can_say_is_refused() -> None:
    with pytest.raises(ConfigurationError) as refused:
        encode_environment(msgspec.structs.replace(CONFIGURATION, outbox_allowed_topics=frozenset()))
    assert str(refused.value) == "OUTBOX_ALLOWED_TOPICS: is empty: a relay could publish nothing"


def test_a_variable_is_read_under_the_first_of_its_names_and_not_where_it_is_given() -> None:
    both = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1"}
    assert parse_variables(both) == {"aws_region": "eu-west-1"}
    assert parse_variables({**both, "AWS_REGION": ""}) == {"aws_region": "us-east-1"}
    assert parse_variables({**both, "OUTBOX_SWEEP_LIMIT": "x"}, given=["outbox_sweep_limit"]) == {
        "aws_region": "eu-west-1"
    }
    for name, given in (("AWS_REGION", None), ("AWS_DEFAULT_REGION", "AWS_DEFAULT_REGION")):
        with pytest.raises(ConfigurationError) as refused:
            parse_field("aws_region", "Here", name=given)
        assert str(refused.value) == f"{name}: 'Here' is not a Region"
        assert isinstance(refused.value.__cause__, ValueError)


@pytest.mark.parametrize(
    ("field", "text", "problem"),
    [
        ("outbox_claim_bucket", "Orders", "'Orders' is not the name of an S3 bucket"),
        (
            "outbox_claim_prefix",
            "x",
            "'x' is not made of parts of letters, digits, _ and -, each with a /",
        ),
        (
            "outbox_allowed_topics",
            "arn:x",
            "'arn:x' is not a topic name; write it without the prefix, and other destinations as sqs:NAME, "
            "eventbridge:BUS or kinesis:STREAM",
        ),
        ("dynamodb_outbox_table_name", "", "is not set; give the name of the outbox table"),
        (
            "dynamodb_outbox_table_name",
            "ab",
            "'ab' is not a table name (3 to 255 of A-Z a-z 0-9 _ . -)",
        ),
        (
            "aws_sns_topic_prefix",
            "a.b",
            "'a.b' is not the start of a topic name (letters, digits, _ and -)",
        ),
        ("outbox_sweep_limit", "0", "0 is not between 1 and 1000000"),
        ("outbox_sweep_limit", "1.5", "'1.5' is not a whole number"),
        ("outbox_sweep_after_seconds", "1.", "'1.' is not a number"),
        ("outbox_sweep_after_seconds", "1" * 10, "'1111111111' is not a number"),
        ("outbox_sweep_after_seconds", "864000.1", "864000.1 is not between 0 and 864000"),
        ("outbox_mark_strategy", "x", "'x' is not one of batch, single, delete"),
        ("outbox_skip_mark_messages_as_dispatched", "x", "'x' is not a boolean; write true or false"),
    ],
)
def test_a_text_that_breaks_a_rule(field: str, text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_field(field, text)
    assert refused.value.problem == problem


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("outbox_sweep_limit", "1", 1),
        ("outbox_sweep_limit", "1000000", 1_000_000),
        ("outbox_sweep_after_seconds", "864000", 864_000.0),
        ("outbox_sweep_after_seconds", "0.000000001", 1e-9),
        ("outbox_topic_max_bytes", "1024", TopicLimits(1_024)),
        *[("outbox_skip_mark_messages_as_dispatched", text, True) for text in ("true", "1", "yes", "ON")],
        *[("outbox_skip_mark_messages_as_dispatched", text, False) for text in ("false", "0", "no", "OFF")],
    ],
)
def test_a_text_at_the_edge_of_a_rule(field: str, text: str, value: object) -> None:
    found = parse_field(field, text)
    assert (found, type(found)) == (value, type(value))


# Operations


@pytest.mark.parametrize(
    ("role", "arguments", "names"),
    [
        ("relay", {}, "PublishBatch BatchGetItem UpdateItem BatchExecuteStatement"),
        ("relay", {"marks": False}, "PublishBatch BatchGetItem UpdateItem"),
        ("relay", {"strategy": "single"}, "PublishBatch BatchGetItem UpdateItem"),
        ("relay", {"strategy": "delete"}, "PublishBatch BatchGetItem UpdateItem BatchWriteItem"),
        (
            "relay",
            {"services": ("kinesis", "events", "sqs")},
            "SendMessageBatch PutEvents PutRecords DescribeEventBus BatchGetItem UpdateItem "
            "BatchExecuteStatement",
        ),
        (
            "follower",
            {},
            "PublishBatch BatchGetItem UpdateItem BatchExecuteStatement DescribeTable DescribeStream "
            "GetRecords GetShardIterator GetCallerIdentity",
        ),
        ("sweeper", {}, "Query BatchGetItem UpdateItem"),
        (
            "sweeper",
            {"sweeps_publish": True},
            "Query BatchGetItem UpdateItem PublishBatch BatchExecuteStatement",
        ),
        (
            "sweeper",
            {"sweeps_claims": True},
            "Query BatchGetItem UpdateItem ListObjectsV2 PutObject DeleteObjects",
        ),
    ],
)
def test_the_operations_of_a_role(role: Any, arguments: dict[str, Any], names: str) -> None:
    operations = list_operations(role, **{"strategy": "batch", **arguments})
    assert [operation.name for operation in operations] == names.split()

"""Every variable by example: what is taken, what is refused, and in which words."""

from typing import Any

import pytest

from outbox_sdk.core.configuration import RelayConfiguration, parse_environment
from outbox_sdk.core.entry import TopicLimits
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import TableName, TopicName
from outbox_sdk.shell.settings import Settings

TABLE = {"DYNAMODB_OUTBOX_TABLE_NAME": "outbox"}


def test_only_the_table_name_is_required() -> None:
    assert parse_environment(TABLE) == RelayConfiguration(dynamodb_outbox_table_name=TableName("outbox"))


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("AWS_ENDPOINT_URL", "http://localhost:4566", "aws_endpoint_url", "http://localhost:4566"),
        ("AWS_REGION", " eu-west-1 ", "aws_region", "eu-west-1"),
        ("AWS_DEFAULT_REGION", "eu-west-1", "aws_region", "eu-west-1"),
        ("AWS_ACCOUNT_ID", "012345678901", "aws_account_id", "012345678901"),
        ("AWS_SNS_TOPIC_PREFIX", "dev-", "aws_sns_topic_prefix", "dev-"),
        (
            "OUTBOX_SKIP_MARK_MESSAGES_AS_DISPATCHED",
            "False",
            "outbox_skip_mark_messages_as_dispatched",
            False,
        ),
        ("OUTBOX_SKIP_MARK_MESSAGES_AS_DISPATCHED", "0", "outbox_skip_mark_messages_as_dispatched", False),
        ("OUTBOX_SKIP_MARK_MESSAGES_AS_DISPATCHED", "TRUE", "outbox_skip_mark_messages_as_dispatched", True),
        ("OUTBOX_MARK_STRATEGY", "Single", "outbox_mark_strategy", "single"),
        ("OUTBOX_ENVELOPE", "CloudEvents", "outbox_envelope", "cloudevents"),
        ("OUTBOX_ALLOWED_TOPICS", "a, b.fifo,a", "outbox_allowed_topics", frozenset({"a", "b.fifo"})),
        ("OUTBOX_TOPIC_MAX_BYTES", "1048576", "outbox_topic_max_bytes", TopicLimits(1_048_576)),
        (
            "OUTBOX_TOPIC_MAX_BYTES",
            "big = 1048576, 2048",
            "outbox_topic_max_bytes",
            TopicLimits(2_048, {TopicName("big"): 1_048_576}),
        ),
        ("OUTBOX_DISPATCHED_TTL_DAYS", "7", "outbox_dispatched_ttl_days", 7),
        ("OUTBOX_RECHECK_AFTER_SECONDS", "0", "outbox_recheck_after_seconds", 0.0),
        ("OUTBOX_RECHECK_AFTER_SECONDS", "2.5", "outbox_recheck_after_seconds", 2.5),
        ("OUTBOX_MAX_CONCURRENCY", "1", "outbox_max_concurrency", 1),
        ("OUTBOX_NOT_DISPATCHED_BUCKETS", "100", "outbox_not_dispatched_buckets", 100),
        ("OUTBOX_PARK_HELD_AFTER_SECONDS", "60", "outbox_park_held_after_seconds", 60.0),
        ("OUTBOX_PARK_OLDER_THAN_SECONDS", "2592000", "outbox_park_older_than_seconds", 2_592_000.0),
        ("OUTBOX_SWEEP_AFTER_SECONDS", "864000", "outbox_sweep_after_seconds", 864_000.0),
    ],
)
def test_a_variable_that_is_right(name: str, text: str, field: str, value: object) -> None:
    assert getattr(parse_environment({**TABLE, name: text}), field) == value


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("DYNAMODB_OUTBOX_TABLE_NAME", " ", "is not set; give the name of the outbox table"),
        ("DYNAMODB_OUTBOX_TABLE_NAME", "ab", "'ab' is not a table name"),
        ("AWS_ENDPOINT_URL", "localhost:4566", "is not an http(s) URL"),
        ("AWS_ACCOUNT_ID", "١٢٣٤٥٦٧٨٩٠١٢", "is not an account id (12 digits)"),
        ("AWS_SNS_TOPIC_PREFIX", "arn:aws:sns:", "is not the start of a topic name"),
        ("OUTBOX_SKIP_MARK_MESSAGES_AS_DISPATCHED", "maybe", "is not a boolean; write true or false"),
        ("OUTBOX_MARK_STRATEGY", "transact", "'transact' is not one of batch, single, delete"),
        ("OUTBOX_ENVELOPE", "xml", "'xml' is not one of raw, cloudevents, tomodachi"),
        ("OUTBOX_ALLOWED_TOPICS", "a,,b", "'' is not a topic name"),
        ("OUTBOX_TOPIC_MAX_BYTES", "1023", "1023 is not between 1024 and 1048576"),
        ("OUTBOX_TOPIC_MAX_BYTES", "a=b", "'b' is not a whole number"),
        ("OUTBOX_DISPATCHED_TTL_DAYS", "0", "0 is not between 1 and 36500"),
        ("OUTBOX_DISPATCHED_TTL_DAYS", "1.5", "'1.5' is not a whole number"),
        ("OUTBOX_DISPATCHED_TTL_DAYS", "٣", "'٣' is not a whole number"),
        ("OUTBOX_MAX_CONCURRENCY", "1_0", "'1_0' is not a whole number"),
        ("OUTBOX_NOT_DISPATCHED_BUCKETS", "101", "101 is not between 1 and 100"),
        ("OUTBOX_RECHECK_AFTER_SECONDS", "nan", "'nan' is not a number"),
        ("OUTBOX_RECHECK_AFTER_SECONDS", "٣", "'٣' is not a number"),
        ("OUTBOX_PARK_OLDER_THAN_SECONDS", "0", "0 is not between 1 and 315360000"),
        ("OUTBOX_SWEEP_AFTER_SECONDS", "-1", "'-1' is not a number"),
    ],
)
def test_a_variable_that_is_wrong(name: str, text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_environment({**TABLE, name: text})
    assert raised.value.variable == name
    assert problem in str(raised.value)


def test_settings_from_arguments_go_by_the_same_rules() -> None:
    arguments: dict[str, Any] = {
        "dynamodb_outbox_table_name": "outbox",
        "outbox_allowed_topics": {"a", "b"},
        "outbox_topic_max_bytes": 2048,
        "outbox_dispatched_ttl_days": 7,
    }
    configuration = Settings(**arguments).to_configuration()
    assert configuration.outbox_allowed_topics == frozenset(map(TopicName, "ab"))
    assert configuration.outbox_topic_max_bytes == TopicLimits(2048)
    for field, value in (("outbox_dispatched_ttl_days", 0), ("outbox_envelope", "xml")):
        with pytest.raises(ConfigurationError) as raised:
            Settings(**{**arguments, field: value})
        assert raised.value.variable == field.upper()

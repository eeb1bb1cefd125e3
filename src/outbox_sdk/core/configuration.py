"""The relay's configuration: every variable, its default and its rule, in one table.

The handler reads the environment by this table alone; :class:`outbox_sdk.Settings` gives the same rules to
pydantic. The environment is an argument: nothing in here looks at the process.
"""

import re
from collections.abc import Callable, Container, Mapping
from typing import Any, TypeVar

import msgspec

from outbox_sdk.core.destinations import is_route
from outbox_sdk.core.entry import DEFAULT_TOPIC_MAX_BYTES, TopicLimits
from outbox_sdk.core.envelope import ENVELOPE_KINDS, EnvelopeKind
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import (
    DEFAULT_CLAIM_PREFIX,
    AccountId,
    Region,
    TableName,
    TopicName,
    is_bucket_name,
    is_claim_prefix,
)
from outbox_sdk.core.mark import MARK_STRATEGIES, MarkStrategy
from outbox_sdk.core.table import TableDesign, encode_design, parse_design

__all__ = [
    "MAX_SWEEP_LIMIT",
    "VARIABLES",
    "RelayConfiguration",
    "Variable",
    "encode_environment",
    "parse_environment",
    "parse_field",
    "parse_variables",
]

MAX_SWEEP_LIMIT = 1_000_000
"""The most items of one sweep: what is known of each of them is held in memory."""

_T = TypeVar("_T")


class RelayConfiguration(msgspec.Struct, frozen=True, kw_only=True):
    """What a relay has to know; one value, made once at start.

    Units are in the names. ``aws_region`` and ``aws_account_id`` are where the topics live; in Lambda both
    come from the function's own ARN instead.
    """

    dynamodb_outbox_table_name: TableName
    aws_endpoint_url: str | None = None
    aws_region: Region | None = None
    aws_account_id: AccountId | None = None
    aws_sns_topic_prefix: str = ""
    outbox_skip_mark_messages_as_dispatched: bool = False
    outbox_mark_strategy: MarkStrategy = "batch"
    outbox_envelope: EnvelopeKind = "raw"
    outbox_allowed_topics: frozenset[TopicName] | None = None
    outbox_topic_max_bytes: TopicLimits = TopicLimits()
    outbox_dispatched_ttl_days: int | None = None
    outbox_recheck_after_seconds: float = 5.0
    outbox_max_concurrency: int = 32
    outbox_not_dispatched_buckets: int = 16
    outbox_park_held_after_seconds: float = 3600.0
    outbox_park_older_than_seconds: float | None = None
    outbox_sweep_after_seconds: float = 3600.0
    outbox_sweep_limit: int = 1_000
    outbox_table_design: TableDesign = TableDesign.ordered
    outbox_claim_bucket: str | None = None
    outbox_claim_prefix: str = DEFAULT_CLAIM_PREFIX
    outbox_claim_minimum_age_days: int = 14


class Variable(msgspec.Struct, frozen=True):
    """A field of :class:`RelayConfiguration` and the environment variables that set it, first one first.

    ``parse`` reads the text of the variable and raises :class:`ValueError` with a sentence for people.
    """

    field: str
    names: tuple[str, ...]
    parse: Callable[[str], Any]


def _one_of(options: tuple[_T, ...]) -> Callable[[str], _T]:
    def parse(text: str) -> _T:
        for option in options:
            if option == text.lower():
                return option
        raise ValueError(f"{text!r} is not one of {', '.join(map(str, options))}")

    return parse


def _number(minimum: float, maximum: float, convert: Callable[[str], _T]) -> Callable[[str], _T]:
    kind = "a whole number" if convert is int else "a number"

    def parse(text: str) -> _T:
        # Plain digits only: `float` alone would take `nan`, `1_0` and digits of other scripts.
        if re.fullmatch(r"[0-9]{1,9}" if convert is int else r"[0-9]{1,9}(\.[0-9]{1,9})?", text) is None:
            raise ValueError(f"{text!r} is not {kind}")
        if not minimum <= float(text) <= maximum:
            raise ValueError(f"{text} is not between {minimum:.15g} and {maximum:.15g}")
        return convert(text)

    return parse


def _boolean(text: str) -> bool:
    value = {"true": True, "1": True, "yes": True, "on": True}.get(text.lower())
    if value is None and text.lower() not in ("false", "0", "no", "off"):
        raise ValueError(f"{text!r} is not a boolean; write true or false")
    return bool(value)


def _matching(pattern: str, what: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def parse(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise ValueError(f"{text!r} is not {what}")
        return text

    return parse


_any_table_name = _matching(r"[A-Za-z0-9_.-]{3,255}", "a table name (3 to 255 of A-Z a-z 0-9 _ . -)")


def _table_name(text: str) -> str:
    if not text:
        raise ValueError("is not set; give the name of the outbox table")
    return _any_table_name(text)


_prefix = _matching(r"[A-Za-z0-9_-]{0,255}", "the start of a topic name (letters, digits, _ and -)")
_seconds = _number(0, 864_000, float)
_byte_count = _number(1_024, 1_048_576, int)


def _topic(text: str) -> str:
    if not is_route(text):
        raise ValueError(
            f"{text!r} is not a topic name; write it without the prefix, and other destinations as sqs:NAME, "
            "eventbridge:BUS or kinesis:STREAM"
        )
    return text


def _claim_bucket(text: str) -> str:
    if not is_bucket_name(text):
        raise ValueError(f"{text!r} is not the name of an S3 bucket")
    return text


def _claim_prefix(text: str) -> str:
    if not is_claim_prefix(text):
        raise ValueError(f"{text!r} is not made of parts of letters, digits, _ and -, each with a /")
    return text


def _topics(text: str) -> frozenset[TopicName]:
    return frozenset(TopicName(_topic(name.strip())) for name in text.split(","))


def _topic_limits(text: str) -> TopicLimits:
    default = DEFAULT_TOPIC_MAX_BYTES
    by_topic: dict[TopicName, int] = {}
    for part in text.split(","):
        name, equals, size = part.rpartition("=")
        if equals:
            by_topic[TopicName(_topic(name.strip()))] = _byte_count(size.strip())
        else:
            default = _byte_count(size.strip())
    return TopicLimits(default, by_topic)


VARIABLES: tuple[Variable, ...] = (
    Variable("dynamodb_outbox_table_name", ("DYNAMODB_OUTBOX_TABLE_NAME",), _table_name),
    Variable("aws_endpoint_url", ("AWS_ENDPOINT_URL",), _matching(r"https?://[^\s/]+\S*", "an http(s) URL")),
    Variable("aws_region", ("AWS_REGION", "AWS_DEFAULT_REGION"), _matching(r"[a-z0-9-]{1,63}", "a Region")),
    Variable("aws_account_id", ("AWS_ACCOUNT_ID",), _matching(r"[0-9]{12}", "an account id (12 digits)")),
    Variable("aws_sns_topic_prefix", ("AWS_SNS_TOPIC_PREFIX",), _prefix),
    Variable(
        "outbox_skip_mark_messages_as_dispatched", ("OUTBOX_SKIP_MARK_MESSAGES_AS_DISPATCHED",), _boolean
    ),
    Variable("outbox_mark_strategy", ("OUTBOX_MARK_STRATEGY",), _one_of(MARK_STRATEGIES)),
    Variable("outbox_envelope", ("OUTBOX_ENVELOPE",), _one_of(ENVELOPE_KINDS)),
    Variable("outbox_allowed_topics", ("OUTBOX_ALLOWED_TOPICS",), _topics),
    Variable("outbox_topic_max_bytes", ("OUTBOX_TOPIC_MAX_BYTES",), _topic_limits),
    Variable("outbox_dispatched_ttl_days", ("OUTBOX_DISPATCHED_TTL_DAYS",), _number(1, 36_500, int)),
    Variable("outbox_recheck_after_seconds", ("OUTBOX_RECHECK_AFTER_SECONDS",), _seconds),
    Variable("outbox_max_concurrency", ("OUTBOX_MAX_CONCURRENCY",), _number(1, 1_000, int)),
    Variable("outbox_not_dispatched_buckets", ("OUTBOX_NOT_DISPATCHED_BUCKETS",), _number(1, 100, int)),
    Variable("outbox_park_held_after_seconds", ("OUTBOX_PARK_HELD_AFTER_SECONDS",), _seconds),
    Variable(
        "outbox_park_older_than_seconds",
        ("OUTBOX_PARK_OLDER_THAN_SECONDS",),
        # Up to ten years: a backup may be as old as that, and 0 would park everything.
        _number(1, 315_360_000, float),
    ),
    Variable("outbox_sweep_after_seconds", ("OUTBOX_SWEEP_AFTER_SECONDS",), _seconds),
    Variable("outbox_sweep_limit", ("OUTBOX_SWEEP_LIMIT",), _number(1, MAX_SWEEP_LIMIT, int)),
    Variable("outbox_table_design", ("OUTBOX_TABLE_DESIGN",), parse_design),
    Variable("outbox_claim_bucket", ("OUTBOX_CLAIM_BUCKET",), _claim_bucket),
    Variable("outbox_claim_prefix", ("OUTBOX_CLAIM_PREFIX",), _claim_prefix),
    Variable("outbox_claim_minimum_age_days", ("OUTBOX_CLAIM_MINIMUM_AGE_DAYS",), _number(1, 3_650, int)),
)
"""Every variable, once. An empty variable is the same as none; blanks around a value do not count."""

_BY_FIELD = {variable.field: variable for variable in VARIABLES}


def parse_environment(environment: Mapping[str, str]) -> RelayConfiguration:
    """Read the configuration from environment variables.

    Raises:
        ConfigurationError: naming the first variable that is missing or wrong.

    >>> parse_environment({"DYNAMODB_OUTBOX_TABLE_NAME": "outbox"}).outbox_mark_strategy
    'batch'
    """
    values = parse_variables(environment)
    if "dynamodb_outbox_table_name" not in values:
        parse_field("dynamodb_outbox_table_name", "")  # raises: the one variable without a default
    return RelayConfiguration(**values)


def encode_environment(configuration: RelayConfiguration) -> dict[str, str]:
    """Write a configuration as the variables of a Lambda function: what differs from the defaults.

    Region and account are left out: in Lambda they are the function's own.

    Raises:
        ConfigurationError: a value that a variable cannot say: an empty allow-list, which would allow every
            topic, or a name with a comma.

    >>> encode_environment(RelayConfiguration(dynamodb_outbox_table_name="outbox", outbox_max_concurrency=8))
    {'DYNAMODB_OUTBOX_TABLE_NAME': 'outbox', 'OUTBOX_MAX_CONCURRENCY': '8'}
    """
    defaults = {field.name: field.default for field in msgspec.structs.fields(configuration)}
    return {
        variable.names[0]: _encode(value)
        for variable in VARIABLES
        if variable.field not in ("aws_region", "aws_account_id")
        and (value := getattr(configuration, variable.field)) != defaults[variable.field]
    }


def _encode(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            # The shortest text of a small or a large float has an exponent, which no rule takes.
            return f"{value:.9f}".rstrip("0").rstrip(".")
        case frozenset():
            if not value:
                raise ConfigurationError("OUTBOX_ALLOWED_TOPICS", "is empty: a relay could publish nothing")
            return ",".join(sorted(value))
        case TopicLimits():
            return ",".join(
                [str(value.default), *(f"{name}={size}" for name, size in value.by_topic.items())]
            )
        case TableDesign():
            return encode_design(value)
        case _:
            return str(value)


def parse_variables(environment: Mapping[str, str], *, given: Container[str] = ()) -> dict[str, Any]:
    """Read the fields that the environment sets, but for those that are ``given`` otherwise.

    Raises:
        ConfigurationError: naming the first variable that is wrong.
    """
    values: dict[str, Any] = {}
    for variable in VARIABLES:
        name = next((name for name in variable.names if environment.get(name)), None)
        if name is not None and variable.field not in given:
            values[variable.field] = parse_field(variable.field, environment[name], name=name)
    return values


def parse_field(field: str, text: str, *, name: str | None = None) -> Any:
    """Read the text of one field by its rule.

    Raises:
        ConfigurationError: naming ``name``, by default the field's first variable.
    """
    variable = _BY_FIELD[field]
    try:
        return variable.parse(text.strip())
    except ValueError as error:
        raise ConfigurationError(name or variable.names[0], str(error)) from error

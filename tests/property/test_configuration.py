"""Configuration: the handler and programs read the same variables by the same rules."""

import os
import re
from collections.abc import Callable, Mapping
from unittest import mock

import msgspec
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from outbox_sdk.core.configuration import (
    VARIABLES,
    RelayConfiguration,
    encode_environment,
    parse_environment,
)
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import TableName
from outbox_sdk.core.table import TableDesign, encode_design, parse_design
from outbox_sdk.shell.settings import Settings
from tests.property import strategies as our

# Strategies: what stands in each variable, right or wrong

JUNK = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8
) | st.sampled_from(
    [
        "",
        " ",
        "٣",
        "\uff11\uff12",
        "٣" * 12,
        "1_0",
        "+5",
        "-1",
        "1e3",
        "nan",
        "inf",
        "0x10",
        "None",
        "[]",
        '["a"]',
    ]
)
EDGES = [
    0,
    1,
    100,
    101,
    1000,
    1001,
    1023,
    1024,
    1_000_000,
    1_000_001,
    1048576,
    1048577,
    36500,
    36501,
    864000,
    864000.1,
    5.5,
    0.5,
]
NUMBERS = (st.integers(-2, 2_000_000) | st.sampled_from(EDGES)).map(str) | st.sampled_from(["05", ".5", "5."])
NAMES = our.topic_names() | st.sampled_from(["", "a b", "arn:aws:sns:eu-west-1:1:t", "é"])
LISTS = st.lists(NAMES, max_size=3).map(",".join) | st.lists(NAMES, max_size=3).map(" , ".join)
SIZES = st.builds("{}{}{}".format, NAMES, st.sampled_from(["=", " = ", ""]), NUMBERS) | NUMBERS
CASES: list[Callable[[str], str]] = [str.lower, str.upper, str.title, str.swapcase]


def any_case(words: str) -> st.SearchStrategy[str]:
    return st.builds(lambda word, case: case(word), st.sampled_from(words.split()), st.sampled_from(CASES))


VALUES: Mapping[str, st.SearchStrategy[str]] = {
    "DYNAMODB_OUTBOX_TABLE_NAME": st.sampled_from(
        ["outbox", "a.b-c_D", "ab", "a" * 255, "a" * 256, "a b", "é"]
    ),
    "AWS_ENDPOINT_URL": st.sampled_from(
        ["http://localhost:4566", "https://x/y?z", "ftp://x", "http://", "HTTP://x", "http://a b"]
    ),
    "AWS_REGION": st.sampled_from(["eu-west-1", "EU-WEST-1", "x", "é"]),
    "AWS_DEFAULT_REGION": st.sampled_from(["us-east-1", "us east"]),
    "AWS_ACCOUNT_ID": st.sampled_from(["123456789012", "12345678901", "1234567890123", "١٢٣٤٥٦٧٨٩٠١٢"]),
    "AWS_SNS_TOPIC_PREFIX": st.sampled_from(["dev-", "", "a.b", "p" * 255, "p" * 256]),
    "OUTBOX_SKIP_MARK_MESSAGES_AS_DISPATCHED": any_case("true false yes no on off 0 1 maybe"),
    "OUTBOX_MARK_STRATEGY": any_case("batch single delete transact"),
    "OUTBOX_ENVELOPE": any_case("raw cloudevents tomodachi xml"),
    "OUTBOX_ALLOWED_TOPICS": LISTS,
    "OUTBOX_TOPIC_MAX_BYTES": st.lists(SIZES, max_size=3).map(",".join),
    "OUTBOX_DISPATCHED_TTL_DAYS": NUMBERS,
    "OUTBOX_RECHECK_AFTER_SECONDS": NUMBERS,
    "OUTBOX_MAX_CONCURRENCY": NUMBERS,
    "OUTBOX_NOT_DISPATCHED_BUCKETS": NUMBERS,
    "OUTBOX_PARK_HELD_AFTER_SECONDS": NUMBERS,
    "OUTBOX_PARK_OLDER_THAN_SECONDS": NUMBERS,
    "OUTBOX_SWEEP_AFTER_SECONDS": NUMBERS,
    "OUTBOX_SWEEP_LIMIT": NUMBERS,
    "OUTBOX_TABLE_DESIGN": st.sampled_from(
        [
            "ordered",
            "message_keyed",
            "Ordered",
            "ordered , partition_key = pk, sort_key=sk",
            "message_keyed,sort_key=sk",
            "ordered,sequence_index=",
            "ordered,topic=",
            "ordered,topic=#t",
            "ordered,nothing=x",
            "ordered,keyed_by=message",
            "ordered,topic",
        ]
    ),
    "OUTBOX_CLAIM_BUCKET": st.sampled_from(["orders-claims", "a.b", "ab", "Orders", "a..b", "a/b", "é" * 3]),
    "OUTBOX_CLAIM_PREFIX": st.sampled_from(["claims/", "a/b/", "a", "/", "a//", "../a/", "a*/", "é/"]),
    "OUTBOX_CLAIM_MINIMUM_AGE_DAYS": NUMBERS,
}
BLANKS = st.sampled_from(["", "", "", " ", "\t", "\n", "\u00a0", "\u2003"])


@st.composite
def environments(draw: st.DrawFn, *, table_name: str | None) -> dict[str, str]:
    """Some of the documented variables, right or wrong, and some that are nobody's."""
    chosen = draw(st.lists(st.sampled_from(list(VALUES)), max_size=4, unique=True))
    environment = {}
    for name in chosen:
        junk = draw(st.integers(0, 5)) == 0
        environment[name] = draw(BLANKS) + draw(JUNK if junk else VALUES[name]) + draw(BLANKS)
    if draw(st.booleans()):
        environment |= {
            "OUTBOX_": "1",
            "PATH": "/bin",
            "outbox_envelope": "xml",
            "outbox_max_concurrency": "7",
        }
    return environment if table_name is None else {**environment, "DYNAMODB_OUTBOX_TABLE_NAME": table_name}


Result = RelayConfiguration | tuple[str, str]


def read(make: Callable[[], RelayConfiguration]) -> Result:
    try:
        return make()
    except ConfigurationError as error:
        return error.variable, str(error)


def by_both(environment: Mapping[str, str]) -> tuple[Result, Result]:
    with mock.patch.dict(os.environ, environment, clear=True):
        by_settings = read(lambda: Settings().to_configuration())
    return read(lambda: parse_environment(environment)), by_settings


def test_every_documented_variable_is_drawn() -> None:
    """The strategies above know all of them."""
    assert [name for variable in VARIABLES for name in variable.names] == list(VALUES)


@settings(max_examples=settings().max_examples * 4)
@given(environments(table_name="outbox") | environments(table_name=None))
def test_the_handler_and_programs_agree(environment: dict[str, str]) -> None:
    """Both accept an environment with one result, or both refuse it with one sentence."""
    by_handler, by_settings = by_both(environment)
    assert by_handler == by_settings
    if isinstance(by_handler, tuple):
        # The error names a variable that is there to be mended, or the one without a default.
        assert by_handler[0] in {*environment, "DYNAMODB_OUTBOX_TABLE_NAME"}


def test_a_variable_is_in_capitals() -> None:
    """A variable that is called like a field is nobody's: it changes what neither of them sees."""
    environment = {"DYNAMODB_OUTBOX_TABLE_NAME": "outbox", "outbox_envelope": "xml"}
    by_handler, by_settings = by_both(environment)
    assert by_handler == by_settings == RelayConfiguration(dynamodb_outbox_table_name=TableName("outbox"))


@given(environments(table_name=None))
def test_without_a_table_name_neither_starts(environment: dict[str, str]) -> None:
    """A missing table name is an error at start, never at the first record."""
    environment.pop("DYNAMODB_OUTBOX_TABLE_NAME", None)
    by_handler, by_settings = by_both(environment)
    assert isinstance(by_handler, tuple)
    assert isinstance(by_settings, tuple)


@given(environments(table_name="outbox"))
def test_an_empty_variable_is_the_same_as_none(environment: dict[str, str]) -> None:
    """A template that leaves a variable empty means the default."""
    empty = {name: "" for name in VALUES if name not in environment}
    assert read(lambda: parse_environment({**empty, **environment})) == read(
        lambda: parse_environment(environment)
    )


@given(st.sampled_from(list(VALUES)), st.data())
def test_what_is_accepted_is_within_its_rule(name: str, data: st.DataObject) -> None:
    """No value is taken that a person would not expect: no other digits, no nan, no truth out of junk."""
    value = data.draw(JUNK | VALUES[name])
    configuration = read(lambda: parse_environment({"DYNAMODB_OUTBOX_TABLE_NAME": "outbox", name: value}))
    if isinstance(configuration, tuple):
        assert configuration[0] == name
        assert configuration[1].startswith(f"{name}: ")
        return
    assert 1 <= configuration.outbox_max_concurrency <= 1000
    assert 1 <= configuration.outbox_not_dispatched_buckets <= 100
    assert 1 <= configuration.outbox_sweep_limit <= 1_000_000
    assert configuration.outbox_dispatched_ttl_days is None or configuration.outbox_dispatched_ttl_days >= 1
    assert 1 <= configuration.outbox_claim_minimum_age_days <= 3_650
    assert re.fullmatch(r"[a-z0-9.-]{3,63}", configuration.outbox_claim_bucket or "none")
    assert re.fullmatch(r"([A-Za-z0-9_-]+/)+", configuration.outbox_claim_prefix)
    older_than = configuration.outbox_park_older_than_seconds
    assert older_than is None or 1 <= older_than <= 315_360_000
    for seconds in (
        configuration.outbox_recheck_after_seconds,
        configuration.outbox_park_held_after_seconds,
        configuration.outbox_sweep_after_seconds,
    ):
        assert 0 <= seconds <= 864_000
    sizes = configuration.outbox_topic_max_bytes
    assert all(1024 <= size <= 1_048_576 for size in (sizes.default, *sizes.by_topic.values()))
    if name == "OUTBOX_SKIP_MARK_MESSAGES_AS_DISPATCHED" and value.strip():
        assert configuration.outbox_skip_mark_messages_as_dispatched == (
            value.strip().lower() in ("true", "yes", "on", "1")
        )
    if (
        value.strip()
        and name.startswith("OUTBOX_")
        and name.endswith(("DAYS", "SECONDS", "CONCURRENCY", "BUCKETS", "LIMIT"))
    ):
        assert value.strip().isascii()


@settings(max_examples=settings().max_examples * 4)
@given(environments(table_name="outbox"))
def test_what_a_function_is_given_is_what_was_configured(environment: dict[str, str]) -> None:
    """A deployment writes the configuration as variables; the function in Lambda reads the same from them."""
    configuration = read(lambda: parse_environment(environment))
    assume(isinstance(configuration, RelayConfiguration))
    assert isinstance(configuration, RelayConfiguration)

    written = encode_environment(configuration)

    # Lambda sets the Region itself, and refuses to have it set.
    assert not {"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCOUNT_ID"} & set(written)
    region, account_id = configuration.aws_region, configuration.aws_account_id
    assert (
        msgspec.structs.replace(parse_environment(written), aws_region=region, aws_account_id=account_id)
        == configuration
    )


NAMES_OF_ATTRIBUTES = st.text(st.characters(exclude_categories=["Cs", "Zs", "Cc"]), min_size=1, max_size=4)
FIELDS = [name for name in TableDesign.__struct_fields__ if name != "keyed_by"]


@given(
    st.sampled_from([TableDesign.ordered, TableDesign.message_keyed]),
    st.dictionaries(st.sampled_from(FIELDS), NAMES_OF_ATTRIBUTES | st.just("a b")),
    st.sets(st.sampled_from(["sort_key", "sequence_index"])),
)
def test_a_design_is_read_as_it_was_written(
    base: TableDesign, names: dict[str, str], without: set[str]
) -> None:
    changes = {**names, **dict.fromkeys(without)}
    try:
        design = msgspec.structs.replace(base, **changes)
        text = encode_design(design)
    except ConfigurationError:
        assert any(name[0] in "#:" or "," in name for name in names.values())
        return

    assert parse_design(text) == design

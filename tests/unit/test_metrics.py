"""What an invocation says in figures: each outcome counted once, in one line, and never at a batch's cost."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit

from outbox_sdk import lambda_handler, sweeper_handler
from outbox_sdk.core import metrics
from outbox_sdk.core.backlog import BucketPage
from outbox_sdk.core.effort import Effort
from outbox_sdk.core.identifiers import Item, ItemKey, MessageId, SequenceNumber
from outbox_sdk.core.lookup import Unreadable
from outbox_sdk.core.metrics import (
    MAX_VALUES,
    RELAY_METRICS,
    SWEEPER_METRICS,
    BacklogSize,
    Figure,
    Metric,
    measure_batch,
    measure_sweep,
)
from outbox_sdk.core.outcome import (
    IN_FLIGHT,
    BatchReport,
    Dispatched,
    Held,
    MarkRefused,
    Outcome,
    Parked,
    PublishedOnly,
    RecordReport,
    Settled,
    Unmarked,
    Unparked,
)
from outbox_sdk.core.sweep_report import SweepReport, Trouble
from outbox_sdk.core.table import TableDesign
from outbox_sdk.lambda_handler import RelayHandler
from outbox_sdk.shell import emf
from outbox_sdk.shell.aws.access import AwsAccess
from outbox_sdk.shell.backlog_size import read_backlog_size
from outbox_sdk.shell.emf import emit_figures
from outbox_sdk.shell.producer import Outbox
from outbox_sdk.shell.relay import Relay, relay_batch
from outbox_sdk.sweeper_handler import SweeperHandler
from outbox_sdk.testing import InMemoryStack, InMemoryTable, InMemoryTopics
from tests.support.events import FakeContext, insert_record, insert_records, write_event
from tests.support.outbox_tables import item_of

OUTBOX = Outbox("outbox")
CANARY = "canary-91b2"


def key(number: int) -> ItemKey:
    return ItemKey((("PK", "S", f"AGGREGATE#{number}"),))


def record(number: int, outcome: Outcome, *, message: bool = True, creation: float = 100.0) -> RecordReport:
    identifier = MessageId(f"m-{number}") if message else None
    return RecordReport(SequenceNumber(str(number)), key(number), outcome, identifier, creation=creation)


def named(figures: Iterable[Figure]) -> dict[str, Any]:
    """Give one value as itself, several as a list."""
    return {
        figure.metric.name: figure.values[0] if len(figure.values) == 1 else list(figure.values)
        for figure in figures
    }


def measured(*outcomes: Outcome, **report: Any) -> dict[str, Any]:
    records = tuple(record(number, outcome) for number, outcome in enumerate(outcomes))
    return named(measure_batch(BatchReport(records, **report), now=160.0))


def test_a_batch_without_trouble_says_three_things() -> None:
    said = measured(Dispatched(), Dispatched(), published=2, latencies=(0.25, 1.5))

    assert said == {"Published": 2, "Marked": 2, "CommitToPublishLatency": [250, 1500]}


@pytest.mark.parametrize(
    ("outcome", "metric"),
    [
        (Dispatched(), "Marked"),
        (Dispatched(gone=True), "Marked"),
        (PublishedOnly(), None),
        (Parked("missing:Topic"), "Parked"),
        (MarkRefused("ItemCollectionSizeLimitExceededException"), "FailedMessage"),
        (Unmarked("ThrottlingException"), "FailedRetry"),
        (Unmarked("AccessDeniedException"), "FailedConfiguration"),
        (Unparked("missing:Topic", "ValidationException"), "FailedMessage"),
        (Held("Deadline"), "FailedRetry"),
        (Held("NotFound"), "FailedConfiguration"),
        (Held("NotFound", behind=True), "HeldBehind"),
        (Held(IN_FLIGHT), None),
        (Settled("dispatched"), "DuplicatesAvoided"),
        (Settled("deleted"), "DuplicatesAvoided"),
        (Settled("redriven"), "DuplicatesAvoided"),
        (Settled("marked"), "DuplicatesAvoided"),
        (Settled("settled elsewhere"), None),
    ],
    ids=str,
)
def test_an_outcome_counts_in_one_metric(outcome: Outcome, metric: str | None) -> None:
    said = measured(outcome)

    reported = isinstance(outcome, Held | Unmarked | Unparked)
    wanted = {metric: 1} if metric is not None else {}
    wanted |= {"Reported": 1, "OldestReportedAge": 60} if reported else {}
    assert said == {"Published": 0, "Marked": 0, **wanted}


def test_a_message_of_two_records_is_one_message_and_comes_again_as_two() -> None:
    twice = (record(1, Held("Timeout"), creation=90.0), record(1, Held("Timeout"), creation=130.0))

    said = named(measure_batch(BatchReport(twice), now=160.0))

    assert (said["FailedRetry"], said["Reported"], said["OldestReportedAge"]) == (1, 2, 70)


def test_the_relays_own_marks_are_told_from_messages_and_from_others_records() -> None:
    own = record(1, Settled("marked"), message=False)
    others = [record(2, Settled("foreign"), message=False), record(3, Settled("removed"), message=False)]

    said = named(measure_batch(BatchReport((own, *others)), now=0.0))

    assert said == {"Published": 0, "Marked": 0, "SelfEcho": 1}


def test_what_the_process_remembers_is_a_duplicate_avoided() -> None:
    said = measured(Dispatched(), Settled("dispatched"), effort=Effort(memo_hits=1))

    assert said == {"Published": 0, "Marked": 1, "DuplicatesAvoided": 2}


def test_a_full_event_says_no_more_values_than_a_line_takes() -> None:
    latencies = tuple(float(number) for number in range(10_000))

    values = measured(published=10_000, latencies=latencies)["CommitToPublishLatency"]

    assert len(values) == MAX_VALUES
    assert (min(values), max(values)) == (0, 9_999_000)


def test_a_sweep_says_what_it_did_and_how_large_the_backlog_is() -> None:
    report = SweepReport(
        touched=4,
        outcomes={"dispatched": 5, "unmarked": 2, "mark_refused": 1, "parked": 3, "held": 6},
        troubles=(
            Trouble(event="publish_failed", code="NotFound", count=6, first=key(1)),
            Trouble(event="mark_failed", code="Throttling", count=2, first=key(2)),
            Trouble(event="mark_refused", code="Odd", count=1, first=key(3)),
            Trouble(event="message_parked", code="missing:Topic", count=3, first=key(4)),
        ),
        unread={"07": "Timeout"},
        oldest_age_seconds=10.0,
    )

    said = named(measure_sweep(report, BacklogSize(outstanding=9, parked=2, oldest_age_seconds=7_300.4)))

    assert said == {
        "Published": 8, "Marked": 5, "Parked": 3, "FailedRetry": 2, "FailedConfiguration": 6,
        "FailedMessage": 1, "Touched": 4, "UnreadBuckets": 1, "BacklogOutstanding": 9, "BacklogParked": 2,
        "OldestOutstandingAge": 7_300,
    }  # fmt: skip


def test_a_sweep_of_nothing_says_so_and_gives_no_age() -> None:
    said = named(measure_sweep(SweepReport(), BacklogSize(outstanding=0, parked=0)))

    assert said == {"UnreadBuckets": 0, "BacklogOutstanding": 0, "BacklogParked": 0}


def test_an_unread_backlog_has_no_size_and_the_age_that_the_sweep_saw() -> None:
    said = named(measure_sweep(SweepReport(oldest_age_seconds=50.0), None))

    assert said == {"UnreadBuckets": 0, "OldestOutstandingAge": 50}


def test_every_metric_is_one_that_cloudwatch_takes() -> None:
    declared = {each for each in vars(metrics).values() if isinstance(each, Metric)}

    assert declared | set(metrics.FAILED.values()) == {*RELAY_METRICS, *SWEEPER_METRICS}
    for metric in (*RELAY_METRICS, *SWEEPER_METRICS):
        assert metric.unit in {unit.value for unit in MetricUnit}
        assert metric.name.isascii()
        assert metric.name.isalnum()
    units = {(metric.name, metric.unit) for metric in (*RELAY_METRICS, *SWEEPER_METRICS)}
    assert len(units) == len(dict(units))  # one name, one unit


# The relay's own part: when was a message accepted, and which of them tell a latency.


async def test_a_message_waits_from_its_record_to_its_acceptance() -> None:
    stack = InMemoryStack()
    stack.write(OUTBOX.put("{}", aggregate_id="a", topic="t"))
    event = {"Records": list(stack.table.records)}
    committed = event["Records"][0]["dynamodb"]["ApproximateCreationDateTime"] = 1_000.0

    report = await relay_batch(replace(stack.context, now=lambda: committed + 1.25), event)

    assert (report.published, report.latencies) == (1, (1.25,))


async def test_a_clock_that_is_behind_the_streams_makes_no_latency_below_zero() -> None:
    event = write_event(insert_records(1, Topic={"S": "t"}))
    event["Records"][0]["dynamodb"]["ApproximateCreationDateTime"] = 1_000.0

    report = await relay_batch(replace(InMemoryStack().context, now=lambda: 999.0), event)

    assert report.latencies == (0.0,)


async def test_what_a_touch_brings_is_published_without_a_latency() -> None:
    """The record tells when it was touched, and not when it was committed."""
    stack = InMemoryStack()
    entry: Any = OUTBOX.put("{}", aggregate_id="a", topic="t")
    stack.write(entry)
    item = entry["Put"]["Item"]
    event = write_event([insert_record(dict(item), 1, event_name="MODIFY", old=dict(item))])

    report = await relay_batch(stack.context, event)

    assert (report.published, report.latencies) == (1, ())


async def test_what_is_only_marked_again_was_published_before() -> None:
    stack = InMemoryStack()
    event = write_event(insert_records(3, Topic={"S": "t"}))
    first = await relay_batch(stack.context, event)
    again = await relay_batch(stack.context, event)

    assert (first.published, len(first.latencies)) == (3, 3)
    assert (again.published, again.latencies) == (0, ())
    assert named(measure_batch(again, now=0.0))["DuplicatesAvoided"] == 3


# What the handlers write.


def documents(text: str) -> list[dict[str, Any]]:
    """Read the lines of figures; the log has lines of its own."""
    return [line for line in map(json.loads, text.splitlines()) if "_aws" in line]


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> InMemoryStack:
    """Let both handlers open a stack in memory in place of clients."""
    stack = InMemoryStack()

    @asynccontextmanager
    async def open_relay(*_: Any, **__: Any) -> AsyncIterator[Relay]:
        clients: Any = None
        relay = Relay(stack.context, clients, AwsAccess(region="us-east-1"))

        async def read_backlog_size(*, remaining_seconds: float | None = None) -> BacklogSize:
            return BacklogSize(outstanding=7, parked=1, oldest_age_seconds=90.0)

        async def sweep(**_: object) -> SweepReport:
            return SweepReport(touched=2)

        relay.sweep, relay.read_backlog_size = sweep, read_backlog_size  # type: ignore[method-assign] # doubles
        yield relay

    for module in (lambda_handler, sweeper_handler):
        monkeypatch.setattr(module, "open_relay", open_relay)
    monkeypatch.setenv("DYNAMODB_OUTBOX_TABLE_NAME", "outbox")
    for name in [name for name in os.environ if name.startswith("POWERTOOLS_")]:
        monkeypatch.delenv(name)
    return stack


@pytest.fixture
def relay(stack: InMemoryStack) -> Iterator[RelayHandler]:
    with closing(RelayHandler()) as handler:
        yield handler


@pytest.fixture
def sweeper(stack: InMemoryStack) -> Iterator[SweeperHandler]:
    with closing(SweeperHandler()) as handler:
        yield handler


def event_of(count: int) -> dict[str, Any]:
    return write_event(insert_records(count, Topic={"S": "t"}, Message={"S": CANARY}))


@pytest.mark.parametrize("count", [1, 99, 100, 101, 250])
def test_the_relay_writes_one_line_an_invocation(
    relay: RelayHandler, capsys: pytest.CaptureFixture[str], count: int
) -> None:
    for _ in range(2):
        relay(event_of(count), FakeContext())

        (document,) = documents(capsys.readouterr().out)
        assert document["Published"] == document["Marked"] == [count]
        assert len(document["CommitToPublishLatency"]) == min(count, MAX_VALUES)


def test_a_line_holds_names_figures_and_two_dimensions_and_nothing_else(
    relay: RelayHandler, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "orders")  # no third dimension
    poison = insert_record(
        item_of("secret-order", "secret-message", TableDesign.ordered, Topic={"N": "1"}), 1
    )

    relay({"Records": [*event_of(2)["Records"], poison]}, FakeContext())

    (document,) = documents(capsys.readouterr().out)
    (declared,) = document.pop("_aws")["CloudWatchMetrics"]
    assert declared["Namespace"] == "Outbox"
    assert declared["Dimensions"] == [["FunctionName", "TableName"]]
    assert (document.pop("FunctionName"), document.pop("TableName")) == ("relay", "outbox")
    assert set(document) == {each["Name"] for each in declared["Metrics"]}
    assert set(document) <= {metric.name for metric in RELAY_METRICS}
    values = [value for values in document.values() for value in values]
    assert all(type(value) in (int, float) for value in values)


def test_the_sweeper_writes_one_line_an_invocation(
    sweeper: SweeperHandler, capsys: pytest.CaptureFixture[str]
) -> None:
    sweeper({}, FakeContext())

    (document,) = documents(capsys.readouterr().out)
    assert document.pop("_aws")["CloudWatchMetrics"][0]["Dimensions"] == [["FunctionName", "TableName"]]
    assert document == {
        "FunctionName": "relay", "TableName": "outbox", "Touched": [2], "UnreadBuckets": [0],
        "BacklogOutstanding": [7], "BacklogParked": [1], "OldestOutstandingAge": [90],
    }  # fmt: skip


def test_the_namespace_and_the_switch_are_powertools_own(
    relay: RelayHandler, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Orders/Outbox")
    relay(event_of(1), FakeContext())
    (document,) = documents(capsys.readouterr().out)
    assert document["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Orders/Outbox"

    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
    relay(event_of(1), FakeContext())
    assert documents(capsys.readouterr().out) == []


def errors(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Give the lines at `ERROR`, which hold no text of an error."""
    assert CANARY not in "".join(str(vars(line)) for line in caplog.records)
    found = [line for line in caplog.records if line.levelname == "ERROR"]
    return [(line.getMessage(), vars(line)["error"]) for line in found]


class Broken:
    """Standard output that cannot be written to."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(CANARY)

    def flush(self) -> None:
        raise BrokenPipeError(CANARY)


def test_output_that_is_broken_fails_no_batch(
    relay: RelayHandler, stack: InMemoryStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay(event_of(1), FakeContext())  # the log is opened on what is whole
    monkeypatch.setattr(sys, "stdout", Broken())

    assert relay(event_of(2), FakeContext()) == {"batchItemFailures": []}
    assert len(stack.published) == 3


@pytest.mark.parametrize("broken", ["measure_batch", "provider"])
def test_trouble_with_metrics_fails_no_batch_and_is_an_error_in_the_log(
    relay: RelayHandler,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise ZeroDivisionError(CANARY)

    if broken == "provider":
        monkeypatch.setattr(emf, "AmazonCloudWatchEMFProvider", fail)
    else:
        monkeypatch.setattr(lambda_handler, broken, fail)

    assert relay(event_of(1), FakeContext()) == {"batchItemFailures": []}

    assert errors(caplog) == [("metrics_failed", "ZeroDivisionError")]
    assert documents(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("met", "line"),
    [
        (ZeroDivisionError(CANARY), ("ERROR", "ZeroDivisionError")),
        (Unreadable("AccessDeniedException"), ("ERROR", "AccessDeniedException")),
        (Unreadable("ThrottlingException"), ("WARNING", "ThrottlingException")),
        (Unreadable("Deadline"), ("WARNING", "Deadline")),
    ],
    ids=["unexpected", "denied", "throttled", "late"],
)
def test_a_backlog_that_cannot_be_read_fails_no_sweep(
    sweeper: SweeperHandler,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    met: Exception | Unreadable,
    line: tuple[str, str],
) -> None:
    async def fail(*_: object, **__: object) -> Any:
        if isinstance(met, Exception):
            raise met
        return met

    sweeper({}, FakeContext())
    assert sweeper._relay is not None
    sweeper._relay.read_backlog_size = fail  # type: ignore[method-assign] # a double
    capsys.readouterr()

    assert sweeper({}, FakeContext())["touched"] == 2

    (document,) = documents(capsys.readouterr().out)
    assert document["Touched"] == [2]
    assert "BacklogOutstanding" not in document
    said = [vars(each) for each in caplog.records if each.getMessage() == "backlog_unread"]
    assert [(each["levelname"], each["code"]) for each in said] == [line]
    assert CANARY not in str(said)


class Index(InMemoryTable):
    """An index that answers as it is told, bucket by bucket."""

    def __init__(self, **answers: Unreadable | None) -> None:
        super().__init__()
        self.answers = answers

    async def list_bucket(self, bucket: str, *, cursor: Item | None, limit: int) -> BucketPage | Unreadable:
        if bucket in self.answers:
            answer = self.answers[bucket]
            if answer is None:
                await asyncio.Event().wait()
                raise AssertionError
            return answer
        return await super().list_bucket(bucket, cursor=cursor, limit=min(limit, 2))  # several pages

    def add(self, number: int, marker: str, created: str) -> None:
        attributes = {"CreatedAt": {"S": created}}
        self.put(item_of("a", f"m-{number}", TableDesign.ordered, marker=marker, **attributes))


async def test_a_backlog_is_counted_in_all_buckets_and_its_age_is_that_of_the_oldest_instant() -> None:
    index = Index()
    for number, marker in enumerate(("00", "00", "00", "07", "99", "x", "parked", "parked", "parked")):
        index.add(number, marker, "2026-11-28T09:00:00.000000Z")
    index.add(10, "07", "2026-11-28T10:30:00+02:00")  # behind the others as text, and the oldest
    index.add(11, "07", "yesterday")
    index.add(12, "parked", "2026-11-27T09:00:00.000000Z")
    now = datetime(2026, 11, 28, 9, 30, tzinfo=UTC).timestamp()

    size = await read_backlog_size(replace(InMemoryStack().context, now=lambda: now), index)

    assert size == BacklogSize(outstanding=8, parked=4, oldest_age_seconds=3_600.0)


async def test_a_backlog_that_is_read_in_part_has_no_size() -> None:
    index = Index(x=Unreadable("AccessDeniedException"))

    assert await read_backlog_size(InMemoryStack().context, index) == Unreadable("AccessDeniedException")


async def test_a_backlog_is_read_within_the_functions_time() -> None:
    index = Index(x=None)

    size = await read_backlog_size(InMemoryStack().context, index, remaining_seconds=2.0)

    assert size == Unreadable("Deadline")


def test_every_metric_is_written_by_the_function_that_declares_it(capsys: pytest.CaptureFixture[str]) -> None:
    """By name and unit, in as many lines as it takes; a metric that no case here makes says nothing."""
    outcomes: tuple[Outcome, ...] = (
        *(Dispatched(), Parked("r"), Unmarked("Throttling"), Held("NotFound"), MarkRefused("c")),
        *(Held("c", behind=True), Settled("dispatched")),
    )
    records = [record(number, outcome) for number, outcome in enumerate(outcomes)]
    batch = BatchReport(
        (*records, record(99, Settled("marked"), message=False)), published=1, latencies=(0.5,)
    )
    troubles = tuple(
        Trouble(event=event, code=code, count=1, first=key(1))
        for event, code in (
            ("touch_failed", "Timeout"),
            ("publish_failed", "NotFound"),
            ("mark_refused", "c"),
        )
    )
    sweep = SweepReport(
        touched=1, outcomes={"dispatched": 1, "parked": 1}, troubles=troubles, unread={"x": "Timeout"}
    )
    size = BacklogSize(outstanding=1, parked=1, oldest_age_seconds=1.0)

    for figures, wanted in (
        (measure_batch(batch, now=200.0), RELAY_METRICS),
        (measure_sweep(sweep, size), SWEEPER_METRICS),
    ):
        emit_figures(
            lambda figures=figures: figures,  # type: ignore[misc] # a default is no argument here
            table_name="outbox",
            function_name="f",
            logger=Logger(service="unused"),
        )
        (document,) = documents(capsys.readouterr().out)
        (declared,) = document["_aws"]["CloudWatchMetrics"]
        assert [(each["Name"], each["Unit"]) for each in declared["Metrics"]] == [
            (metric.name, metric.unit) for metric in wanted
        ]


async def test_a_message_that_is_not_accepted_counts_as_none(stack: InMemoryStack) -> None:
    topics = InMemoryTopics()
    for number in range(2):
        topics.fail(f"m-{number}", "AuthorizationError")
    report = await relay_batch(replace(stack.context, publisher=topics), event_of(2))

    assert (report.published, report.latencies) == (0, ())
    assert named(measure_batch(report, now=0.0))["FailedConfiguration"] == 2

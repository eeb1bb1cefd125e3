"""What an invocation says of itself in figures: names, units and values, and nothing else.

Every name stands here once; handlers, alarms, the dashboard and the page of metrics take it from here.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, assert_never

import msgspec

from outbox_sdk.core.classification import ErrorClass, known_class
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
    is_reported,
    outcome_name,
)

if TYPE_CHECKING:
    from outbox_sdk.core.sweep_report import SweepReport

__all__ = [
    "BACKLOG_OUTSTANDING",
    "BACKLOG_PARKED",
    "COMMIT_TO_PUBLISH_LATENCY",
    "DUPLICATES_AVOIDED",
    "FAILED",
    "FUNCTION_DIMENSION",
    "HELD_BEHIND",
    "MARKED",
    "MAX_VALUES",
    "NAMESPACE",
    "OLDEST_OUTSTANDING_AGE",
    "OLDEST_REPORTED_AGE",
    "PARKED",
    "PUBLISHED",
    "RELAY_METRICS",
    "REPORTED",
    "SELF_ECHO",
    "SWEEPER_METRICS",
    "TABLE_DIMENSION",
    "TOUCHED",
    "UNREAD_BUCKETS",
    "BacklogSize",
    "Figure",
    "Metric",
    "Unit",
    "measure_batch",
    "measure_sweep",
    "sample",
]

Unit = Literal["Count", "Milliseconds", "Seconds"]
"""As CloudWatch writes them."""

MAX_VALUES = 100
"""The embedded metric format takes so many values of a metric in one line."""

NAMESPACE = "Outbox"
"""Of all metrics, unless ``POWERTOOLS_METRICS_NAMESPACE`` names another."""

TABLE_DIMENSION, FUNCTION_DIMENSION = "TableName", "FunctionName"
"""The two names that every figure carries; more of them would be a metric of its own for each value."""


class Metric(msgspec.Struct, frozen=True):
    """The name of a metric, and its unit."""

    name: str
    unit: Unit


class Figure(msgspec.Struct, frozen=True):
    """The values of one metric in one invocation."""

    metric: Metric
    values: tuple[float, ...]


PUBLISHED = Metric("Published", "Count")
MARKED = Metric("Marked", "Count")
PARKED = Metric("Parked", "Count")
FAILED = {
    ErrorClass.RETRY: Metric("FailedRetry", "Count"),
    ErrorClass.CONFIGURATION: Metric("FailedConfiguration", "Count"),
    ErrorClass.MESSAGE: Metric("FailedMessage", "Count"),
}
HELD_BEHIND = Metric("HeldBehind", "Count")
REPORTED = Metric("Reported", "Count")
DUPLICATES_AVOIDED = Metric("DuplicatesAvoided", "Count")
SELF_ECHO = Metric("SelfEcho", "Count")
COMMIT_TO_PUBLISH_LATENCY = Metric("CommitToPublishLatency", "Milliseconds")
OLDEST_REPORTED_AGE = Metric("OldestReportedAge", "Seconds")
TOUCHED = Metric("Touched", "Count")
UNREAD_BUCKETS = Metric("UnreadBuckets", "Count")
BACKLOG_OUTSTANDING = Metric("BacklogOutstanding", "Count")
BACKLOG_PARKED = Metric("BacklogParked", "Count")
OLDEST_OUTSTANDING_AGE = Metric("OldestOutstandingAge", "Seconds")

RELAY_METRICS = (
    *(PUBLISHED, MARKED, PARKED, *FAILED.values(), HELD_BEHIND, REPORTED, DUPLICATES_AVOIDED, SELF_ECHO),
    *(COMMIT_TO_PUBLISH_LATENCY, OLDEST_REPORTED_AGE),
)
"""All that the relay may say, in the order in which it does."""

SWEEPER_METRICS = (
    *(PUBLISHED, MARKED, PARKED, *FAILED.values(), TOUCHED, UNREAD_BUCKETS),
    *(BACKLOG_OUTSTANDING, BACKLOG_PARKED, OLDEST_OUTSTANDING_AGE),
)
"""All that the sweeper may say."""


class BacklogSize(msgspec.Struct, frozen=True, kw_only=True):
    """How much is outstanding and how much is parked, as the whole index shows it after a sweep.

    ``oldest_age_seconds`` is that of the oldest outstanding item, ``None`` where there is none with a time.
    """

    outstanding: int
    parked: int
    oldest_age_seconds: float | None = None


_ACCEPTED: tuple[Outcome, ...] = (Dispatched(), PublishedOnly(), MarkRefused(""), Unmarked(""))
_OUT = tuple([outcome_name(outcome) for outcome in _ACCEPTED])
# Why a message was not published that had been, or that somebody else is to publish.
_AVOIDED = frozenset({"marked", "dispatched", "deleted", "redriven"})


def measure_batch(report: BatchReport, *, now: float) -> tuple[Figure, ...]:
    """Tell a batch in figures; ``now`` is in epoch seconds.

    Messages are counted once, however many records of theirs the batch held. ``Published`` and ``Marked`` are
    always there, and anything else where it is not 0.

    >>> [(figure.metric.name, figure.values) for figure in measure_batch(BatchReport(()), now=0.0)]
    [('Published', (0,)), ('Marked', (0,))]
    """
    # Nearly all are dispatched: those are counted without being looked at one by one.
    marked = {record.key for record in report.records if type(record.outcome) is Dispatched}
    others = [record for record in report.records if type(record.outcome) is not Dispatched]
    skipped = [(record, record.outcome.reason) for record in others if isinstance(record.outcome, Settled)]
    avoided = {each.key for each, reason in skipped if each.message_id is not None and reason in _AVOIDED}
    # A record without a message that says "marked" is a mark itself.
    echoes = sum(each.message_id is None and reason == "marked" for each, reason in skipped)
    reported = [record for record in others if is_reported(record.outcome)]
    outcomes = {record.key: record.outcome for record in others if not isinstance(record.outcome, Settled)}
    counts = Counter(filter(None, map(_count_for, outcomes.values())))
    counts[PUBLISHED], counts[MARKED] = report.published, len(marked)
    counts[DUPLICATES_AVOIDED] = report.effort.memo_hits + len(avoided)
    counts[REPORTED], counts[SELF_ECHO] = len(reported), echoes
    values: dict[Metric, Sequence[float]] = {
        metric: (count,) for metric, count in counts.items() if count or metric in (PUBLISHED, MARKED)
    }
    milliseconds = [int(seconds * 1_000) for seconds in report.latencies]
    values[COMMIT_TO_PUBLISH_LATENCY] = sample(milliseconds)
    values[OLDEST_REPORTED_AGE] = _oldest_age(reported, now)
    return tuple(_figures(RELAY_METRICS, values))


def _count_for(outcome: Outcome) -> Metric | None:
    """Give the metric in which an outcome of a message counts, beside that of what is published."""
    metric: Metric | None = None
    match outcome:
        case Dispatched():
            metric = MARKED
        case Parked():
            metric = PARKED
        case MarkRefused():
            metric = FAILED[ErrorClass.MESSAGE]
        case Held(_, behind=True):
            metric = HELD_BEHIND
        case Held(code) if code == IN_FLIGHT:
            pass  # another invocation is at work on it
        case Held(code) | Unmarked(code) | Unparked(_, code):
            metric = FAILED[_class_of(code)]
        case PublishedOnly() | Settled():
            pass
        case _:
            assert_never(outcome)
    return metric


def _class_of(code: str) -> ErrorClass:
    return known_class(code) or ErrorClass.RETRY


def _oldest_age(records: Iterable[RecordReport], now: float) -> tuple[float, ...]:
    times = [record.creation for record in records if record.creation is not None]
    return (max(0, round(now - min(times))),) if times else ()


def measure_sweep(report: "SweepReport", size: BacklogSize | None) -> tuple[Figure, ...]:
    """Tell a sweep in figures, and how large the backlog is; ``None`` where that could not be read.

    What is outstanding, what is parked and the buckets that could not be read are there when they are 0, too.
    An age is there where something is outstanding: no age is 0.
    """
    counts: Counter[Metric] = Counter({TOUCHED: report.touched})
    counts[PUBLISHED] = sum(report.outcomes.get(name, 0) for name in _OUT)
    counts[MARKED] = report.outcomes.get(outcome_name(Dispatched()), 0)
    counts[PARKED] = report.outcomes.get(outcome_name(Parked("")), 0)
    for trouble in report.troubles:
        if trouble.event == "mark_refused":
            counts[FAILED[ErrorClass.MESSAGE]] += trouble.count
        elif trouble.failed:
            counts[FAILED[_class_of(trouble.code)]] += trouble.count
    values: dict[Metric, Sequence[float]] = {metric: (count,) for metric, count in counts.items() if count}
    values[UNREAD_BUCKETS] = (len(report.unread),)
    age = report.oldest_age_seconds
    if size is not None:
        values[BACKLOG_OUTSTANDING] = (size.outstanding,)
        values[BACKLOG_PARKED] = (size.parked,)
        age = size.oldest_age_seconds
    if age is not None:
        values[OLDEST_OUTSTANDING_AGE] = (max(0, round(age)),)
    return tuple(_figures(SWEEPER_METRICS, values))


def _figures(order: Iterable[Metric], values: dict[Metric, Sequence[float]]) -> Iterator[Figure]:
    for metric in order:
        if found := values.get(metric):
            yield Figure(metric, tuple(found))


def sample(values: Sequence[float], limit: int = MAX_VALUES) -> tuple[float, ...]:
    """Give values that stand for all of them: all, if they are few enough, else as many at even ranks.

    The least and the greatest are among them, and no percentile is off by more than one rank in ``limit``.

    >>> sample([5, 1, 3, 2, 4], limit=3)
    (1, 3, 5)
    """
    if len(values) <= limit:
        return tuple(values)
    ordered, last = sorted(values), len(values) - 1
    return tuple([ordered[round(rank * last / (limit - 1))] for rank in range(limit)])

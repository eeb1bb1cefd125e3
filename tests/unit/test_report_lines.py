"""What a batch says in its log and in figures, whole: every field of every line, every value."""

from typing import Any

import pytest

from outbox_sdk.core.effort import Effort
from outbox_sdk.core.identifiers import ItemKey, MessageId, SequenceNumber, TopicArn, TopicName
from outbox_sdk.core.metrics import BacklogSize, Figure, measure_batch, measure_sweep, sample
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
from outbox_sdk.core.report import LogLine, describe_batch, describe_records
from outbox_sdk.core.sweep_report import SweepReport, Trouble

ARN = TopicArn("arn:aws:sns:eu-west-1:123456789012:orders")
KEY = ItemKey((("PK", "S", "A#1"),))
NAMES = {"count": 1, "message_id": "m-1", "topic": "orders", "key": "PK=A#1", "sequence_number": "1"}
MESSAGE_SHAPE = (
    "DynamoDB refuses the request: compare the table's keys and indexes with the relay's TableDesign"
)
PASSES = "AWS did not answer in time: nothing to do while it passes by itself; if it lasts, check the route"


def record(outcome: Outcome, *, number: int = 1, arn: TopicArn | None = None, **fields: Any) -> RecordReport:
    named: dict[str, Any] = {
        "key": ItemKey((("PK", "S", f"A#{number}"),)),
        "message_id": MessageId(f"m-{number}"),
        "topic": TopicName("orders"),
        **fields,
    }
    return RecordReport(SequenceNumber(str(number)), outcome=outcome, topic_arn=arn, **named)


@pytest.mark.parametrize(
    ("outcome", "arn", "event", "level", "fields"),
    [
        (
            Parked("size:300>200"),
            ARN,
            "message_parked",
            "WARNING",
            {
                "reason": "size:300>200",
                "keys": ["PK=A#1"],
                "advice": "larger than its destination takes: send less, or raise its limit and "
                "OUTBOX_TOPIC_MAX_BYTES",
            },
        ),
        (Parked("missing:Topic"), None, "message_parked", "WARNING",
         {"reason": "missing:Topic", "keys": ["PK=A#1"]}),
        (
            Parked("held:NotFound"),
            ARN,
            "message_parked",
            "WARNING",
            {
                "topic_arn": ARN,
                "reason": "held:NotFound",
                "keys": ["PK=A#1"],
                "advice": f"create topic {ARN}, or correct the message's topic name, AWS_SNS_TOPIC_PREFIX or "
                "the Region; then redrive by this reason",
            },
        ),
        (Unparked("json", "Timeout"), ARN, "park_failed", "WARNING", {"code": "Timeout", "advice": PASSES}),
        (Unmarked("Timeout"), ARN, "mark_failed", "WARNING", {"code": "Timeout", "advice": PASSES}),
        (
            Unmarked("ValidationException"),
            ARN,
            "mark_failed",
            "ERROR",
            {"code": "ValidationException",
             "advice": f"{MESSAGE_SHAPE}; the message is out, and its item stays outstanding"},
        ),
        (MarkRefused("Timeout"), ARN, "mark_refused", "ERROR", {"code": "Timeout", "advice": PASSES}),
        (
            Held(IN_FLIGHT),
            ARN,
            "held_in_flight",
            "INFO",
            {"code": IN_FLIGHT,
             "advice": "another invocation in this process is at work on them: nothing to do"},
        ),
        (Held("Timeout"), None, "lookup_failed", "WARNING", {"code": "Timeout", "advice": PASSES}),
        (Held("Timeout"), ARN, "publish_failed", "WARNING",
         {"code": "Timeout", "topic_arn": ARN, "advice": PASSES}),
        (
            Held("NeverHeardOf"),
            ARN,
            "publish_failed",
            "WARNING",
            {
                "code": "NeverHeardOf",
                "topic_arn": ARN,
                "advice": "nothing is known about this code: look it up in AWS's documentation of the call",
            },
        ),
        (
            Settled("expired_undispatched"),
            None,
            "expired_undispatched",
            "ERROR",
            {"advice": "a message was lost by the time to live, which took its item while it was "
             "outstanding: let no producer write the TTL attribute, the mark alone does"},
        ),
        (
            Settled("removed_undispatched"),
            None,
            "removed_undispatched",
            "ERROR",
            {"advice": "a message may be lost by a delete, which took its item while it was outstanding: "
             "delete only items without NotDispatched"},
        ),
    ],
    ids=str,
)  # fmt: skip
def test_a_trouble_is_a_line_with_all_that_helps(
    outcome: Outcome, arn: TopicArn | None, event: str, level: Any, fields: dict[str, Any]
) -> None:
    lines = list(describe_records(BatchReport((record(outcome, arn=arn),))))

    assert lines == [LogLine(event, {**NAMES, **fields}, level)]


@pytest.mark.parametrize(
    "outcome",
    [Dispatched(), PublishedOnly(), Settled("marked"), Held("Timeout", behind=True),
     Held(IN_FLIGHT, behind=True)],
    ids=str,
)  # fmt: skip
def test_what_is_no_trouble_is_no_line(outcome: Outcome) -> None:
    assert list(describe_records(BatchReport((record(outcome, arn=ARN),)))) == []


def test_classes_of_trouble_are_told_in_the_order_of_the_event() -> None:
    records = (record(Dispatched()), record(Unmarked("Timeout"), number=2), record(Parked("json"), number=3))

    assert [line.event for line in describe_records(BatchReport(records))] == [
        "mark_failed",
        "message_parked",
    ]


def test_a_key_that_is_parked_twice_is_named_once() -> None:
    records = tuple(record(Parked("json"), number=number) for number in (1, 1, *range(2, 15)))

    (line,) = describe_records(BatchReport(records))

    assert line.fields["count"] == 15
    assert line.fields["keys"] == [f"PK=A#{number}" for number in range(1, 11)]


def test_message_ids_that_two_items_share_are_told_with_the_first_of_them() -> None:
    records = tuple(record(Dispatched(), number=number, message_id=MessageId("m-1")) for number in (1, 2))

    assert list(describe_records(BatchReport(records))) == [
        LogLine(
            "message_id_collision",
            {
                **NAMES,
                "key": "PK=A#2",
                "sequence_number": "2",
                "advice": "two items share a message id, and consumers take the second for a repetition: "
                "give each message its own",
            },
            "WARNING",
        )
    ]


def test_a_batch_is_summed_up_in_one_line() -> None:
    records = (record(Dispatched()), record(Held("Timeout"), number=2), record(Settled("marked"), number=3))

    assert describe_batch(BatchReport(records, Effort(publish_requests=2))) == LogLine(
        "batch_relayed",
        {
            "records": 3,
            "reported": 1,
            "dispatched": 1,
            "held": 1,
            "settled": 1,
            "self_echo": 1,
            "publish_requests": 2,
        },
        "INFO",
    )


# Figures


def told(figures: tuple[Figure, ...]) -> list[tuple[str, str, tuple[float, ...]]]:
    return [(figure.metric.name, figure.metric.unit, figure.values) for figure in figures]


def test_a_batch_with_everything_has_every_figure_in_order() -> None:
    outcomes: list[Outcome] = [
        Dispatched(), Dispatched(), PublishedOnly(), Parked("json"), MarkRefused("x"), Unmarked("Timeout"),
        Held("NotFound"), Held("NotFound", behind=True), Held(IN_FLIGHT), Settled("dispatched"),
        Settled("foreign"), Unparked("json", "NeverHeardOf"),
    ]  # fmt: skip
    records = [record(each, number=number, creation=100.0 + number) for number, each in enumerate(outcomes)]
    echo = record(Settled("marked"), number=50, message_id=None)
    other = record(Settled("dispatched"), number=51, message_id=None)
    report = BatchReport((*records, echo, other), Effort(memo_hits=3), published=7, latencies=(0.0015, 2.0))

    assert told(measure_batch(report, now=200.4)) == [
        ("Published", "Count", (7,)),
        ("Marked", "Count", (2,)),
        ("Parked", "Count", (1,)),
        ("FailedRetry", "Count", (2,)),
        ("FailedConfiguration", "Count", (1,)),
        ("FailedMessage", "Count", (1,)),
        ("HeldBehind", "Count", (1,)),
        ("Reported", "Count", (5,)),
        ("DuplicatesAvoided", "Count", (4,)),
        ("SelfEcho", "Count", (1,)),
        ("CommitToPublishLatency", "Milliseconds", (1, 2_000)),
        ("OldestReportedAge", "Seconds", (95,)),
    ]


def test_a_clock_that_is_behind_makes_an_age_of_nothing_and_no_time_makes_none() -> None:
    ahead = (record(Held("Timeout"), creation=300.0), record(Held("Timeout"), number=2, creation=None))

    figures = {each.metric.name: each.values for each in measure_batch(BatchReport(ahead), now=100.0)}
    timeless = {each.metric.name for each in measure_batch(BatchReport(ahead[1:]), now=100.0)}

    assert [*figures["OldestReportedAge"]] == [0]
    assert "OldestReportedAge" not in timeless


TROUBLES = tuple(
    Trouble(event=event, code=code, count=count, first=KEY)
    for event, code, count in (
        ("mark_refused", "Timeout", 2),
        ("mark_refused", "Timeout", 1),
        ("publish_failed", "NotFound", 4),
        ("publish_failed", "NotFound", 1),
        ("touch_failed", "NeverHeardOf", 6),
        ("mark_failed", "ValidationException", 10),
        ("message_parked", "json", 99),
    )
)


def test_a_sweep_with_everything_has_every_figure_in_order() -> None:
    report = SweepReport(
        touched=3,
        outcomes={"dispatched": 5, "published_only": 1, "mark_refused": 2, "unmarked": 4, "parked": 8,
                  "held": 16},
        troubles=TROUBLES,
        unread={"1": "Timeout", "2": "Timeout"},
        oldest_age_seconds=7.0,
    )  # fmt: skip
    size = BacklogSize(outstanding=20, parked=30, oldest_age_seconds=40.6)

    assert told(measure_sweep(report, size)) == [
        ("Published", "Count", (12,)),
        ("Marked", "Count", (5,)),
        ("Parked", "Count", (8,)),
        ("FailedRetry", "Count", (6,)),
        ("FailedConfiguration", "Count", (5,)),
        ("FailedMessage", "Count", (13,)),
        ("Touched", "Count", (3,)),
        ("UnreadBuckets", "Count", (2,)),
        ("BacklogOutstanding", "Count", (20,)),
        ("BacklogParked", "Count", (30,)),
        ("OldestOutstandingAge", "Seconds", (41,)),
    ]


@pytest.mark.parametrize(
    ("found", "size", "age"),
    [
        (7.0, None, (7,)),
        (-7.0, None, (0,)),
        (0.0, None, (0,)),
        (None, None, None),
        (7.0, BacklogSize(outstanding=0, parked=0), None),
        (None, BacklogSize(outstanding=1, parked=0, oldest_age_seconds=0.2), (0,)),
    ],
)
def test_the_oldest_age_is_that_of_the_whole_index_if_it_could_be_read(
    found: float | None, size: BacklogSize | None, age: tuple[float, ...] | None
) -> None:
    figures = {
        each.metric.name: each.values for each in measure_sweep(SweepReport(oldest_age_seconds=found), size)
    }

    assert figures.get("OldestOutstandingAge") == age
    assert [*figures["UnreadBuckets"]] == [0]
    assert ("BacklogOutstanding" in figures) == ("BacklogParked" in figures) == (size is not None)


def test_a_sample_keeps_both_ends_and_even_ranks() -> None:
    assert sample(range(100)) == tuple(range(100))
    assert sample([3, 1, 2], limit=3) == (3, 1, 2)
    assert sample(list(range(100, -1, -1)), limit=5) == (0, 25, 50, 75, 100)
    assert sample(range(101))[:3] == (0, 1, 2)
    assert len(sample(range(101))) == 100

"""What a log may say of a batch: event names, ids, counts, codes and advice, and never a payload."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, assert_never

import msgspec

from outbox_sdk.core.classification import ErrorClass, known_class
from outbox_sdk.core.outcome import (
    IN_FLIGHT,
    BatchReport,
    Dispatched,
    Held,
    MarkRefused,
    Parked,
    PublishedOnly,
    RecordReport,
    Settled,
    Unmarked,
    Unparked,
)
from outbox_sdk.core.remedies import find_park_remedy, find_remedy

__all__ = ["MAX_KEYS_SHOWN", "Level", "LogLine", "describe_batch", "describe_records"]

MAX_KEYS_SHOWN = 10
"""A line that stands for many parked items names so many; the table has them all."""

Level = Literal["INFO", "WARNING", "ERROR"]
"""``ERROR`` is for what waits for a person, ``WARNING`` for what may pass by itself or is settled."""

_COLLISION = (
    "two items share a message id, and consumers take the second for a repetition: give each message its own"
)
_LOST: Mapping[str, str] = {
    "expired_undispatched": "a message was lost by the time to live, which took its item while it was "
    "outstanding: let no producer write the TTL attribute, the mark alone does",
    "removed_undispatched": "a message may be lost by a delete, which took its item while it was "
    "outstanding: delete only items without NotDispatched",
}
_IN_FLIGHT_ADVICE = "another invocation in this process is at work on them: nothing to do"


class LogLine(msgspec.Struct, frozen=True):
    """One line for a log: an event name in snake case, its fields, and how much it matters."""

    event: str
    fields: Mapping[str, Any]
    level: Level = "INFO"


def describe_batch(report: BatchReport) -> LogLine:
    """Sum a batch up: how many records, how each of them ended, how many come again, and what it took.

    Counts of skips and of effort are there where they are not 0.
    """
    return LogLine(
        "batch_relayed",
        {
            "records": len(report.records),
            "reported": len(report.response["batchItemFailures"]),
            **report.counts(),
            **report.skips(),
            **report.effort.counted(),
        },
    )


def describe_records(report: BatchReport) -> Iterator[LogLine]:
    """Describe what a person should know of: one line for each class of trouble, and what to do about it.

    A class is told once a batch, however many records it met, with a count and the first of them.
    """
    classes: dict[tuple[str, str, str | None], list[RecordReport]] = {}
    for record in report.records:
        named = _classify(record)
        if named is not None:
            classes.setdefault(named, []).append(record)
    for (event, code, topic_arn), records in classes.items():
        yield _describe(event, code, topic_arn, records)
    if collisions := report.collisions():
        fields = {"count": len(collisions), "advice": _COLLISION, **_names(collisions[0])}
        yield LogLine("message_id_collision", fields, "WARNING")


def _classify(record: RecordReport) -> tuple[str, str, str | None] | None:
    """Name the class of trouble that a record is in: event, code or reason, and topic where it matters."""
    named: tuple[str, str, str | None] | None = None
    match record.outcome:
        case Parked(reason):
            # Sizes are figures of single messages: told apart, they would make a line for each.
            kind = "size" if reason.startswith("size:") else reason
            named = "message_parked", kind, record.topic_arn if reason.startswith("held:") else None
        case Unparked(_, code):
            named = "park_failed", code, None
        case Unmarked(code):
            named = "mark_failed", code, None
        case MarkRefused(code):
            named = "mark_refused", code, None
        case Held(code, behind=False) if code == IN_FLIGHT:
            named = "held_in_flight", code, None
        case Held(code, behind=False):
            # Without a topic it has not got as far as publishing: the table did not answer.
            event = "lookup_failed" if record.topic_arn is None else "publish_failed"
            named = event, code, record.topic_arn
        case Settled(reason) if reason in _LOST:
            named = reason, reason, None
        case Held() | Dispatched() | PublishedOnly() | Settled():
            pass
        case _:
            assert_never(record.outcome)
    return named


def _describe(event: str, code: str, topic_arn: str | None, records: list[RecordReport]) -> LogLine:
    fields: dict[str, Any] = {"count": len(records), **_names(records[0])}
    if topic_arn is not None:
        fields["topic_arn"] = topic_arn
    if event == "message_parked":
        reason = records[0].outcome.reason if isinstance(records[0].outcome, Parked) else code
        fields |= {"reason": reason, "keys": _keys(records)}
        if advice := find_park_remedy(reason, topic_arn=topic_arn):
            fields["advice"] = advice
        return LogLine(event, fields, "WARNING")
    if event in _LOST:
        return LogLine(event, {**fields, "advice": _LOST[event]}, "ERROR")
    if event == "held_in_flight":
        return LogLine(event, {**fields, "code": code, "advice": _IN_FLIGHT_ADVICE})
    advice = find_remedy(event, code, topic_arn=topic_arn)
    return LogLine(event, {**fields, "code": code, "advice": advice}, _level(event, code))


def _level(event: str, code: str) -> Level:
    # What is a fault of one message holds nothing, unless it turned out to be everybody's.
    waits = event == "mark_refused" or known_class(code) in (ErrorClass.CONFIGURATION, ErrorClass.MESSAGE)
    return "ERROR" if waits else "WARNING"


def _keys(records: Iterable[RecordReport]) -> list[str]:
    return [key.describe() for key in dict.fromkeys(record.key for record in records)][:MAX_KEYS_SHOWN]


def _names(record: RecordReport) -> dict[str, Any]:
    return {
        "message_id": record.message_id,
        "topic": record.topic,
        "key": record.key.describe(),
        "sequence_number": record.sequence_number,
    }

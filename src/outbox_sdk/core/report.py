"""What a log may say of a batch: event names, ids, counts and codes, and never a payload."""

from collections.abc import Iterator, Mapping
from typing import Any, assert_never

import msgspec

from outbox_sdk.core.outcome import (
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

__all__ = ["LogLine", "describe_batch", "describe_records"]


class LogLine(msgspec.Struct, frozen=True):
    """One line for a log: an event name in snake case, and its fields."""

    event: str
    fields: Mapping[str, Any]


def describe_batch(report: BatchReport) -> LogLine:
    """Sum a batch up: how many records, how each of them ended, and how many come again."""
    return LogLine(
        "batch_relayed",
        {
            "records": len(report.records),
            "reported": len(report.response["batchItemFailures"]),
            **report.counts(),
        },
    )


def describe_records(report: BatchReport) -> Iterator[LogLine]:
    """Describe what a person should know of: one line for each parked item, one for each class of failure.

    A failure is told once a batch however many records it met, with a count and the first of them.
    """
    failures: dict[tuple[str, str], list[RecordReport]] = {}
    for record in report.records:
        match record.outcome:
            case Parked(reason):
                yield LogLine("message_parked", {**_names(record), "reason": reason})
            case Unparked(_, code):
                failures.setdefault(("park_failed", code), []).append(record)
            case Unmarked(code):
                failures.setdefault(("mark_failed", code), []).append(record)
            case MarkRefused(code):
                failures.setdefault(("mark_refused", code), []).append(record)
            case Held(code, behind=False):
                failures.setdefault(("publish_failed", code), []).append(record)
            case Held() | Dispatched() | PublishedOnly() | Settled():
                pass
            case _:
                assert_never(record.outcome)
    for (event, code), records in failures.items():
        yield LogLine(event, {"code": code, "count": len(records), **_names(records[0])})


def _names(record: RecordReport) -> dict[str, Any]:
    return {
        "message_id": record.message_id,
        "topic": record.topic,
        "key": record.key.describe(),
        "sequence_number": record.sequence_number,
    }

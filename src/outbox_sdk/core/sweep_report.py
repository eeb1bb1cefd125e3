"""What a sweep is told to do, and what a log may say of it: counts, codes and keys, and never a payload."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from outbox_sdk.core.backlog import BUCKETS
from outbox_sdk.core.classification import ErrorClass, known_class
from outbox_sdk.core.configuration import MAX_SWEEP_LIMIT
from outbox_sdk.core.errors import InvalidEventError
from outbox_sdk.core.identifiers import ItemKey, TopicArn
from outbox_sdk.core.remedies import find_remedy
from outbox_sdk.core.report import Level, LogLine

__all__ = [
    "SweepOrder",
    "SweepReport",
    "Trouble",
    "describe_sweep",
    "describe_troubles",
    "encode_sweep",
    "parse_sweep_event",
]


class SweepOrder(msgspec.Struct, frozen=True):
    """What an event asks for; ``None`` leaves the limit to the configuration."""

    publish: bool = False
    limit: int | None = None


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """One class of trouble, however many items it met: an event name, a code, and the first of them.

    ``message_parked`` is told as trouble and is no failure: it waits for a person.
    """

    event: str
    code: str
    count: int
    first: ItemKey
    topic_arn: TopicArn | None = None

    @property
    def failed(self) -> bool:
        """Whether something is left undone."""
        return self.event != "message_parked"


class SweepReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep found and did.

    ``found`` counts what the index showed, as far as it was read. ``touched`` counts touches, ``outcomes``
    how published items ended, by the names of :meth:`~outbox_sdk.BatchReport.counts`; one of the two is
    empty. ``skipped`` counts what was left alone, by reason: ``young``, ``touched`` lately, ``settled``
    meanwhile, or ``behind`` another of its aggregate. ``unread`` gives a code for each bucket that could not
    be read to where it was needed.

    ``oldest_age_seconds`` is the age of the oldest item that the table itself showed as outstanding;
    ``None`` where there was none with a time. To be touched, only items that are old enough are read.
    """

    found: int = 0
    touched: int = 0
    outcomes: Mapping[str, int] = {}
    skipped: Mapping[str, int] = {}
    troubles: tuple[Trouble, ...] = ()
    unread: Mapping[str, str] = {}
    oldest_age_seconds: float | None = None

    @property
    def failures(self) -> Mapping[str, int]:
        """How many items could not be read, touched, published, marked or parked, by code."""
        codes: dict[str, int] = {}
        for trouble in self.troubles:
            if trouble.failed:
                codes[trouble.code] = codes.get(trouble.code, 0) + trouble.count
        return codes

    @property
    def succeeded(self) -> bool:
        """Whether all that was to be read was read, and all that was to be done was done."""
        return not self.unread and not self.failures


def describe_sweep(report: SweepReport) -> LogLine:
    """Sum a sweep up. Of unread buckets it gives the number only: there may be a hundred."""
    return LogLine("backlog_swept", {**encode_sweep(report), "unread": len(report.unread)})


def describe_troubles(report: SweepReport) -> Iterator[LogLine]:
    """Describe what a person should know of: one line for each class of trouble, and of unread buckets."""
    for trouble in report.troubles:
        name = "code" if trouble.failed else "reason"
        fields = {name: trouble.code, "count": trouble.count, "key": trouble.first.describe()}
        if trouble.topic_arn is not None:
            fields["topic_arn"] = trouble.topic_arn
        if trouble.failed:
            fields["advice"] = find_remedy(trouble.event, trouble.code, topic_arn=trouble.topic_arn)
        yield LogLine(trouble.event, fields, _level(trouble.code) if trouble.failed else "WARNING")
    by_code: dict[str, list[str]] = {}
    for bucket, code in report.unread.items():
        by_code.setdefault(code, []).append(bucket)
    for code, buckets in by_code.items():
        # All of them at once are the table's trouble, and a list of a hundred buries the advice.
        names = {"buckets": sorted(buckets)} if len(buckets) < len(BUCKETS) else {}
        fields = {"code": code, "count": len(buckets), **names}
        advice = find_remedy("buckets_unread", code)
        yield LogLine("buckets_unread", {**fields, "advice": advice}, _level(code))


def _level(code: str) -> Level:
    """``ERROR`` is for what waits for a person."""
    return "WARNING" if known_class(code) is ErrorClass.RETRY else "ERROR"


def encode_sweep(report: SweepReport) -> dict[str, Any]:
    """Write a report as JSON takes it.

    >>> encode_sweep(SweepReport(found=1, skipped={"young": 1}))["skipped"]
    {'young': 1}
    """
    return {
        "found": report.found,
        "touched": report.touched,
        "outcomes": dict(report.outcomes),
        "skipped": dict(report.skipped),
        "failures": dict(report.failures),
        "unread": dict(report.unread),
        "oldest_age_seconds": report.oldest_age_seconds,
    }


def parse_sweep_event(event: object) -> SweepOrder:
    """Read what a schedule sends: ``publish`` and ``limit`` if they are there, and nothing else.

    Raises:
        InvalidEventError: one of the two is of another type, or the limit out of bounds.

    >>> parse_sweep_event({"publish": True, "limit": 500})
    SweepOrder(publish=True, limit=500)
    >>> parse_sweep_event({"detail-type": "Scheduled Event"})
    SweepOrder(publish=False, limit=None)
    """
    if not isinstance(event, Mapping):
        return SweepOrder()
    publish, limit = event.get("publish", False), event.get("limit")
    if not isinstance(publish, bool):
        raise InvalidEventError("'publish' is neither true nor false")
    if limit is not None and (type(limit) is not int or not 1 <= limit <= MAX_SWEEP_LIMIT):
        raise InvalidEventError(f"'limit' is not a whole number between 1 and {MAX_SWEEP_LIMIT}")
    return SweepOrder(publish, limit)

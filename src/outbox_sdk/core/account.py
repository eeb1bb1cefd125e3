"""A batch accounted for: what became of each record, and what it took."""

from collections.abc import Iterable, Mapping

from outbox_sdk.core.effort import Effort
from outbox_sdk.core.identifiers import ItemKey, TopicArn
from outbox_sdk.core.lookup import LookupResult, Missing
from outbox_sdk.core.message import OutboxMessage, Skipped
from outbox_sdk.core.outcome import (
    BatchReport,
    Dispatched,
    MarkRefused,
    Outcome,
    PublishedOnly,
    RecordReport,
    Settled,
    Unmarked,
)
from outbox_sdk.core.plan import BatchPlan
from outbox_sdk.core.stream import Record

__all__ = ["account_for"]


def account_for(
    records: Iterable[Record],
    *,
    plan: BatchPlan,
    lookups: Mapping[ItemKey, LookupResult],
    outcomes: Mapping[ItemKey, Outcome],
    effort: Effort,
    marks: bool = True,
    deletes: bool = False,
) -> BatchReport:
    """Report on a batch whose plan has been carried out with these ``outcomes``.

    ``marks`` tells that published messages are marked at all, ``deletes`` that marking removes the item.
    """
    topics = {record.key: record.entry.topic for lane in plan.lanes for record in lane}
    reports = tuple(
        _report(record, outcomes, topics.get(record.key), marks=marks, deletes=deletes) for record in records
    )
    out = (Dispatched, PublishedOnly, MarkRefused, Unmarked)
    report = BatchReport(reports)
    counted = effort.plus(
        memo_hits=len(plan.marks),
        published_from_image=sum(
            lookups.get(key) == Missing() and isinstance(outcomes[key], out) for key in topics
        ),
        gone=sum(outcome == Dispatched(gone=True) for outcome in outcomes.values()),
        message_id_collisions=len(report.collisions()),
    )
    return BatchReport(reports, counted)


def _report(
    record: Record,
    outcomes: Mapping[ItemKey, Outcome],
    topic_arn: TopicArn | None,
    *,
    marks: bool,
    deletes: bool,
) -> RecordReport:
    content = record.content
    # What has nothing to do needs no outcome of its item, which may be settled for another record's sake.
    outcome = (
        Settled(_skip_reason(record, content, outcomes, marks=marks, deletes=deletes))
        if isinstance(content, Skipped)
        else outcomes[record.key]
    )
    return RecordReport(
        sequence_number=record.sequence_number,
        key=record.key,
        outcome=outcome,
        message_id=None if isinstance(content, Skipped) else content.message_id,
        topic=content.topic if isinstance(content, OutboxMessage) else None,
        topic_arn=topic_arn,
    )


def _skip_reason(
    record: Record, content: Skipped, outcomes: Mapping[ItemKey, Outcome], *, marks: bool, deletes: bool
) -> str:
    """Tell a removal that took an outstanding item along from all others.

    It is none where nothing is ever marked, where the mark itself deletes, and where the same batch brought
    the message too.
    """
    lost = marks and record.removal is not None and outcomes.get(record.key) == Settled(content.reason)
    if not lost or (record.removal == "removed" and deletes):
        return content.reason
    return f"{record.removal}_undispatched"

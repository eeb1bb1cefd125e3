"""A batch accounted for: what became of each record, and what it took."""

from collections.abc import Iterable, Mapping, Sequence

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
    records: Sequence[Record],
    *,
    plan: BatchPlan,
    lookups: Mapping[ItemKey, LookupResult],
    outcomes: Mapping[ItemKey, Outcome],
    effort: Effort,
    accepted: Mapping[ItemKey, float] | None = None,
    marks: bool = True,
    deletes: bool = False,
) -> BatchReport:
    """Report on a batch whose plan has been carried out with these ``outcomes``.

    ``accepted`` gives the time, in epoch seconds, of each message that was accepted meanwhile. ``marks``
    tells that published messages are marked at all, ``deletes`` that marking removes the item.
    """
    topics = {record.entry.message.key: record.entry.topic for lane in plan.lanes for record in lane}
    reports = tuple([_report(record, outcomes, topics, marks=marks, deletes=deletes) for record in records])
    out = (Dispatched, PublishedOnly, MarkRefused, Unmarked)
    report = BatchReport(reports)
    counted = effort.plus(
        memo_hits=len(plan.marks),
        published_from_image=sum(
            isinstance(result, Missing) and key in topics and isinstance(outcomes[key], out)
            for key, result in lookups.items()
        ),
        gone=sum([isinstance(outcome, Dispatched) and outcome.gone for outcome in outcomes.values()]),
        message_id_collisions=len(report.collisions()),
    )
    times = accepted or {}
    return BatchReport(reports, counted, len(times), _latencies(records, times))


def _latencies(records: Iterable[Record], accepted: Mapping[ItemKey, float]) -> tuple[float, ...]:
    """Tell how long each message waited that came by the record that wrote it.

    A record of a change is no commit of a message: a touch or a redrive comes long after it. The stream's
    times are whole seconds of another clock, which may be ahead.
    """
    return tuple(
        [
            waited if (waited := time - record.creation) > 0.0 else 0.0
            for record in records
            if not record.modified
            and record.creation is not None
            and (time := accepted.get(record.key)) is not None
        ]
    )


def _report(
    record: Record,
    outcomes: Mapping[ItemKey, Outcome],
    topics: Mapping[ItemKey, TopicArn],
    *,
    marks: bool,
    deletes: bool,
) -> RecordReport:
    number, key, content = record.sequence_number, record.key, record.content
    if isinstance(content, Skipped):
        # What has nothing to do needs no outcome of its item, which may be settled for another record's sake.
        settled = _settle_skipped(record, content, outcomes, marks=marks, deletes=deletes)
        return RecordReport(number, key, settled, None, None, topics.get(key), record.creation)
    topic = content.topic if isinstance(content, OutboxMessage) else None
    arn = topics.get(key)
    return RecordReport(number, key, outcomes[key], content.message_id, topic, arn, record.creation)


def _settle_skipped(
    record: Record, content: Skipped, outcomes: Mapping[ItemKey, Outcome], *, marks: bool, deletes: bool
) -> Settled:
    """Tell a removal that took an outstanding item along from all others.

    It is none where nothing is ever marked, where the mark itself deletes, and where the same batch brought
    the message too.
    """
    settled = Settled(content.reason)
    lost = marks and record.removal is not None and outcomes.get(record.key) == settled
    if not lost or (record.removal == "removed" and deletes):
        return settled
    return Settled(f"{record.removal}_undispatched")

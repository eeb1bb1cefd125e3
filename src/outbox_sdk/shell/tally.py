"""What a sweep has come to so far: counts, and the first item of each class of trouble."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import assert_never

from outbox_sdk.core.identifiers import ItemKey, TopicArn
from outbox_sdk.core.outcome import (
    Dispatched,
    Held,
    MarkRefused,
    Outcome,
    Parked,
    PublishedOnly,
    Settled,
    Unmarked,
    Unparked,
    outcome_name,
)
from outbox_sdk.core.sweep_report import SweepReport, Trouble

__all__ = ["Tally"]


class Tally:
    """Counts as the sweep goes on, so that its memory does not grow with the backlog."""

    def __init__(self) -> None:
        self.touched = 0
        self._outcomes: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._counts: Counter[tuple[str, str, TopicArn | None]] = Counter()
        self._first: dict[tuple[str, str, TopicArn | None], ItemKey] = {}
        self._oldest: datetime | None = None

    def skip(self, reason: str, count: int = 1) -> None:
        """Count items that are left alone."""
        self._skipped[reason] += count

    def see(self, created: datetime | None) -> None:
        """Note when an item was created that is outstanding in the table itself."""
        if created is not None and (self._oldest is None or created < self._oldest):
            self._oldest = created

    def trouble(self, event: str, code: str, key: ItemKey, topic: TopicArn | None = None) -> None:
        """Count an item that met trouble, at a topic if it was one's."""
        self._counts[event, code, topic] += 1
        self._first.setdefault((event, code, topic), key)

    def outcome(self, key: ItemKey, outcome: Outcome, topic: TopicArn | None) -> None:
        """Count how a published item ended, and the trouble in it; ``topic`` is where it was to go."""
        self._outcomes[outcome_name(outcome)] += 1
        match outcome:
            case Parked(reason):
                self.trouble("message_parked", reason, key)
            case Unparked(_, code):
                self.trouble("park_failed", code, key)
            case Unmarked(code):
                self.trouble("mark_failed", code, key)
            case MarkRefused(code):
                self.trouble("mark_refused", code, key)
            case Held(code, behind=False):
                self.trouble("publish_failed", code, key, topic)
            case Held() | Dispatched() | PublishedOnly() | Settled():
                pass
            case _:
                assert_never(outcome)

    def report(self, *, found: int, unread: Mapping[str, str], now: float) -> SweepReport:
        """Give the report; ``now`` is in epoch seconds."""
        age = None if self._oldest is None else max(0.0, now - self._oldest.timestamp())
        return SweepReport(
            found=found,
            touched=self.touched,
            outcomes=dict(sorted(self._outcomes.items())),
            skipped={reason: count for reason, count in sorted(self._skipped.items()) if count},
            troubles=tuple(
                Trouble(
                    event=event,
                    code=code,
                    count=count,
                    first=self._first[event, code, topic],
                    topic_arn=topic,
                )
                for (event, code, topic), count in self._counts.items()
            ),
            unread=dict(sorted(unread.items())),
            oldest_age_seconds=age,
        )

"""What became of each record, and the answer that tells Lambda which of them to bring again."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypedDict, assert_never, get_args

import msgspec

from outbox_sdk.core.effort import Effort
from outbox_sdk.core.identifiers import ItemKey, MessageId, SequenceNumber, TopicArn, TopicName

__all__ = [
    "IN_FLIGHT",
    "BatchReport",
    "BatchResponse",
    "Dispatched",
    "Held",
    "MarkRefused",
    "Outcome",
    "Parked",
    "PublishedOnly",
    "RecordReport",
    "Settled",
    "Unmarked",
    "Unparked",
    "encode_response",
    "is_reported",
    "outcome_name",
]


IN_FLIGHT = "InFlight"
"""Held with this code is what another batch of the same process is at work on."""


class Dispatched(msgspec.Struct, frozen=True, gc=False):
    """Published and marked. ``gone`` tells that the mark found the item deleted or already marked."""

    gone: bool = False


class PublishedOnly(msgspec.Struct, frozen=True, gc=False):
    """Published, and not marked because marking is switched off."""


class MarkRefused(msgspec.Struct, frozen=True, gc=False):
    """Published, but DynamoDB refuses the mark for the item's own sake. Not reported: the message is out."""

    code: str


class Unmarked(msgspec.Struct, frozen=True, gc=False):
    """Published, but the mark failed. Reported, so that nothing is lost: it may be published twice."""

    code: str


class Parked(msgspec.Struct, frozen=True, gc=False):
    """Set aside for a person, with the reason in the item."""

    reason: str


class Unparked(msgspec.Struct, frozen=True, gc=False):
    """Was to be parked for ``reason``, and the write failed. Reported, never dropped."""

    reason: str
    code: str


class Settled(msgspec.Struct, frozen=True, gc=False):
    """Nothing to do: skipped as it came, or the table says that somebody has dealt with it."""

    reason: str


class Held(msgspec.Struct, frozen=True, gc=False):
    """Not published, and reported. ``behind`` tells that only an earlier message of its lane failed."""

    code: str
    behind: bool = False


Outcome = Dispatched | PublishedOnly | MarkRefused | Unmarked | Parked | Unparked | Settled | Held
"""How a record ended; matched to the end wherever it is used."""


def is_reported(outcome: Outcome) -> bool:
    """Tell whether Lambda has to bring the record again."""
    match outcome:
        case Dispatched() | Settled() | PublishedOnly() | MarkRefused() | Parked():
            return False
        case Unmarked() | Unparked() | Held():
            return True
        case _:
            assert_never(outcome)


class _ItemFailure(TypedDict):
    itemIdentifier: str


class BatchResponse(TypedDict):
    """Lambda's partial batch response."""

    batchItemFailures: list[_ItemFailure]


class RecordReport(msgspec.Struct, frozen=True, gc=False):
    """One record and its outcome, with the names a log may show.

    ``topic_arn`` is where the message was to be published; a message that did not get so far has none.
    ``creation`` is the stream's approximate time of the change, in epoch seconds.
    """

    sequence_number: SequenceNumber
    key: ItemKey
    outcome: Outcome
    message_id: MessageId | None = None
    topic: TopicName | None = None
    topic_arn: TopicArn | None = None
    creation: float | None = None


class BatchReport(msgspec.Struct, frozen=True):
    """What became of a batch, record by record, in the order of the event, and what it took.

    ``published`` counts the messages that were accepted while this batch was relayed. ``latencies`` are the
    seconds from commit to acceptance, by the stream's clock and the relay's, of those that came by the record
    that wrote them; a message that was touched or redriven is in the count alone.
    """

    records: tuple[RecordReport, ...]
    effort: Effort = Effort()
    published: int = 0
    latencies: tuple[float, ...] = ()

    @property
    def response(self) -> BatchResponse:
        """The answer for Lambda."""
        return encode_response((report.sequence_number, report.outcome) for report in self.records)

    def counts(self) -> dict[str, int]:
        """Count outcomes by name, in snake case: ``{"dispatched": 97, "parked": 3}``."""
        kinds = Counter([type(report.outcome) for report in self.records])
        return dict(sorted([(_NAMES[kind], count) for kind, count in kinds.items()]))

    def skips(self) -> dict[str, int]:
        """Count the records with nothing to do by why: ``{"self_echo": 97}`` for the relay's own marks."""
        outcomes = [report.outcome for report in self.records]
        reasons = Counter([outcome.reason for outcome in outcomes if isinstance(outcome, Settled)])
        return {_SKIPS.get(reason, f"skipped_{reason}"): count for reason, count in sorted(reasons.items())}

    def reasons(self) -> dict[str, int]:
        """Count the parked messages by why: ``{"destination-not-allowed": 1}``."""
        outcomes = [report.outcome for report in self.records]
        reasons = Counter([outcome.reason for outcome in outcomes if isinstance(outcome, Parked)])
        return dict(sorted(reasons.items()))

    def codes(self) -> frozenset[str]:
        """Give the codes of all failures in the batch, of those too that messages are parked for."""
        codes = set()
        for report in self.records:
            match report.outcome:
                case Dispatched() | Settled():
                    pass  # nearly every record, told first
                case Unmarked(code) | Unparked(_, code) | Held(code):
                    codes.add(code)
                case Parked(reason) if reason.startswith("held:"):
                    codes.add(reason.removeprefix("held:"))
                case _:
                    pass
        return frozenset(codes)

    def collisions(self) -> tuple[RecordReport, ...]:
        """Give one record for each message id that two items of the batch share.

        Consumers deduplicate by that id, and take the second message for a repetition of the first.
        """
        first: dict[MessageId, ItemKey] = {}
        collided: dict[MessageId, RecordReport] = {}
        for report in self.records:
            identifier, key = report.message_id, report.key
            if identifier is None:
                continue
            known = first.setdefault(identifier, key)
            if known is not key and known != key:
                collided.setdefault(identifier, report)
        return tuple(collided.values())


# Why a record had nothing to do, in words that stand beside the names of outcomes.
_SKIPS = {
    "marked": "self_echo",
    "parked": "park_echo",
    "foreign": "foreign",
    "removed": "removed",
    "expired_undispatched": "expired_undispatched",
    "removed_undispatched": "removed_undispatched",
    "dispatched": "already_dispatched",
    "deleted": "already_deleted",
    "redriven": "redriven_since",
    "settled elsewhere": "settled_elsewhere",
}


def encode_response(outcomes: Iterable[tuple[SequenceNumber, Outcome]]) -> BatchResponse:
    """Name every record to bring again: verbatim, once each, the lowest first.

    Lambda takes the lowest as its checkpoint and brings it and all behind it. An id that is not in the
    batch would fail the batch as a whole, a misspelt key would lose it in silence; so both are written
    here and nowhere else.

    >>> encode_response([(SequenceNumber("100"), Held("Timeout")), (SequenceNumber("99"), Held("Timeout"))])
    {'batchItemFailures': [{'itemIdentifier': '99'}, {'itemIdentifier': '100'}]}
    """
    reported = {number for number, outcome in outcomes if is_reported(outcome)}
    return {"batchItemFailures": [{"itemIdentifier": number} for number in sorted(reported, key=int)]}


def outcome_name(outcome: Outcome) -> str:
    """Name an outcome in snake case.

    >>> outcome_name(PublishedOnly())
    'published_only'
    """
    return _NAMES[type(outcome)]


_NAMES: Mapping[type[Outcome], str] = {
    kind: re.sub("(?<!^)(?=[A-Z])", "_", kind.__name__).lower() for kind in get_args(Outcome)
}

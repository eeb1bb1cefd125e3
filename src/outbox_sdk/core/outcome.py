"""What became of each record, and the answer that tells Lambda which of them to bring again."""

from collections import Counter
from collections.abc import Iterable
from typing import TypedDict, assert_never

import msgspec

from outbox_sdk.core.identifiers import ItemKey, MessageId, SequenceNumber, TopicName

__all__ = [
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


class Dispatched(msgspec.Struct, frozen=True):
    """Published and marked. ``gone`` tells that the mark found the item deleted or already marked."""

    gone: bool = False


class PublishedOnly(msgspec.Struct, frozen=True):
    """Published, and not marked because marking is switched off."""


class MarkRefused(msgspec.Struct, frozen=True):
    """Published, but DynamoDB refuses the mark for the item's own sake. Not reported: the message is out."""

    code: str


class Unmarked(msgspec.Struct, frozen=True):
    """Published, but the mark failed. Reported, so that nothing is lost: it may be published twice."""

    code: str


class Parked(msgspec.Struct, frozen=True):
    """Set aside for a person, with the reason in the item."""

    reason: str


class Unparked(msgspec.Struct, frozen=True):
    """Was to be parked for ``reason``, and the write failed. Reported, never dropped."""

    reason: str
    code: str


class Settled(msgspec.Struct, frozen=True):
    """Nothing to do: skipped as it came, or the table says that somebody has dealt with it."""

    reason: str


class Held(msgspec.Struct, frozen=True):
    """Not published, and reported. ``behind`` tells that only an earlier message of its lane failed."""

    code: str
    behind: bool = False


Outcome = Dispatched | PublishedOnly | MarkRefused | Unmarked | Parked | Unparked | Settled | Held
"""How a record ended; matched to the end wherever it is used."""


def is_reported(outcome: Outcome) -> bool:
    """Tell whether Lambda has to bring the record again."""
    match outcome:
        case Unmarked() | Unparked() | Held():
            return True
        case Dispatched() | PublishedOnly() | MarkRefused() | Parked() | Settled():
            return False
        case _:
            assert_never(outcome)


class _ItemFailure(TypedDict):
    itemIdentifier: str


class BatchResponse(TypedDict):
    """Lambda's partial batch response."""

    batchItemFailures: list[_ItemFailure]


class RecordReport(msgspec.Struct, frozen=True, kw_only=True):
    """One record and its outcome, with the names a log may show."""

    sequence_number: SequenceNumber
    key: ItemKey
    outcome: Outcome
    message_id: MessageId | None = None
    topic: TopicName | None = None


class BatchReport(msgspec.Struct, frozen=True):
    """What became of a batch, record by record, in the order of the event."""

    records: tuple[RecordReport, ...]

    @property
    def response(self) -> BatchResponse:
        """The answer for Lambda."""
        return encode_response((report.sequence_number, report.outcome) for report in self.records)

    def counts(self) -> dict[str, int]:
        """Count outcomes by name, in snake case: ``{"dispatched": 97, "parked": 3}``."""
        names = Counter(outcome_name(report.outcome) for report in self.records)
        return dict(sorted(names.items()))


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
    name = type(outcome).__name__
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")

"""Which claimed bodies are orphans: decided from what the bucket lists and what the table says.

A body may be needed by its item, or by a copy of its message in a queue. So it goes when its item has been
gone for as long as a queue keeps a message. When an item went nobody can tell later, so a sweep that misses
one leaves a note, and it is the age of the note that counts. A body whose item is there is never deleted.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, assert_never

import msgspec

from outbox_sdk.core.claim import ClaimPlace
from outbox_sdk.core.classification import ErrorClass, known_class
from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.core.lookup import Found, LookupResult, Missing, Unreadable
from outbox_sdk.core.report import LogLine
from outbox_sdk.core.table import TableDesign

__all__ = [
    "STREAM_SECONDS",
    "YOUNG_SECONDS",
    "ClaimSweepReport",
    "Judgement",
    "StoredBody",
    "describe_claim_sweep",
    "encode_claim_sweep",
    "is_young",
    "judge_body",
    "pair_notes",
]

YOUNG_SECONDS = 86_400.0
"""A body is written before its item; whoever wrote it a day ago has committed or given up."""

STREAM_SECONDS = 86_400.0
"""The stream keeps the image of an item that is gone for so long, and the relay may publish from it."""

Judgement = Literal["young", "needed", "unread", "waiting", "missed", "back", "orphaned"]
"""What a sweep makes of a body.

``young``, ``needed`` (its item is there), ``unread`` (nobody knows) and ``waiting`` (its item has been gone,
not for long enough) are left alone. ``missed`` gets a note, ``back`` loses it, and ``orphaned`` is deleted.
"""


class StoredBody(msgspec.Struct, frozen=True):
    """A body as the bucket lists it.

    ``item_key`` is ``None`` where the key is not one of ours. ``written`` and ``noted`` are in epoch seconds
    by S3's clock; the second is when a sweep first found its item gone.
    """

    key: str
    item_key: ItemKey | None
    written: float
    noted: float | None = None


def judge_body(body: StoredBody, lookup: LookupResult | None, *, now: float, minimum_age: float) -> Judgement:
    """Decide about one body. ``minimum_age`` is in seconds; ``lookup`` is ``None`` where nobody has looked.

    >>> body = StoredBody("k", ItemKey.from_item({"PK": {"S": "MESSAGE#1"}}), written=0.0, noted=90_000.0)
    >>> [judge_body(body, Missing(), now=day * 86_400.0, minimum_age=14 * 86_400.0) for day in (14, 17)]
    ['waiting', 'orphaned']
    >>> judge_body(body, Found(outstanding=False), now=40 * 86_400.0, minimum_age=14 * 86_400.0)
    'back'
    """
    if is_young(body, now):
        return "young"
    match lookup:
        case None | Unreadable():
            return "unread"
        case Found():
            return "needed" if body.noted is None else "back"
        case Missing():
            if body.noted is None or body.noted < body.written:
                return "missed"
            gone_for = now - body.noted
            return "orphaned" if gone_for >= max(minimum_age, 0.0) + STREAM_SECONDS else "waiting"
        case _:
            assert_never(lookup)


def is_young(body: StoredBody, now: float) -> bool:
    """Tell whether the transaction of a body may still be under way."""
    return now - body.written < YOUNG_SECONDS


def pair_notes(
    bodies: Iterable[tuple[str, float]],
    notes: Mapping[str, float],
    place: ClaimPlace,
    design: TableDesign,
) -> Iterator[StoredBody]:
    """Bring a page of bodies, by key, together with their notes: when each was written, in epoch seconds."""
    for key, written in bodies:
        note = place.notes + key.removeprefix(place.bodies)
        yield StoredBody(key, place.decode_key(key, design), written, notes.get(note))


class ClaimSweepReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep of claimed bodies found and did.

    ``found`` counts the objects that were listed, ``deleted`` the bodies that went. ``kept`` counts the
    others by :data:`Judgement`, and by ``foreign``: objects among them that no outbox has written, which are
    left alone. ``failures`` counts calls that failed, by code; what they were for is left to the next sweep.
    ``complete`` tells whether all was listed, and ``due`` whether it was time for a sweep at all.
    """

    found: int = 0
    deleted: int = 0
    kept: Mapping[str, int] = {}
    failures: Mapping[str, int] = {}
    complete: bool = True
    due: bool = True

    @property
    def succeeded(self) -> bool:
        """Whether all was listed and nothing failed."""
        return self.complete and not self.failures


def encode_claim_sweep(report: ClaimSweepReport) -> dict[str, Any]:
    """Write a report as JSON takes it.

    >>> encode_claim_sweep(ClaimSweepReport(found=3, deleted=1, kept={"needed": 2}))["kept"]
    {'needed': 2}
    """
    return {
        "found": report.found,
        "deleted": report.deleted,
        "kept": dict(report.kept),
        "failures": dict(report.failures),
        "complete": report.complete,
        "due": report.due,
    }


def describe_claim_sweep(report: ClaimSweepReport) -> LogLine:
    """Sum a sweep up: ``ERROR`` where a person is needed, ``WARNING`` where it may pass by itself."""
    codes: Counter[str] = Counter(report.failures)
    if not codes:
        return LogLine("claims_swept", encode_claim_sweep(report), "INFO" if report.complete else "WARNING")
    passing = all(known_class(code) is ErrorClass.RETRY for code in codes)
    advice = (
        "The next sweep takes up what is left."
        if passing
        else "See that the bucket of OUTBOX_CLAIM_BUCKET is there and that the sweeper may list it, write "
        "notes and delete in it, and that it may read the table."
    )
    fields = {**encode_claim_sweep(report), "advice": advice}
    return LogLine("claims_swept", fields, "WARNING" if passing else "ERROR")

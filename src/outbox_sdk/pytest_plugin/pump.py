"""Brings the records of a stream to a relay until nothing is left, as Lambda would, without its clock."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from outbox_sdk.core.checkpoint import count_settled
from outbox_sdk.core.outcome import (
    Dispatched,
    Held,
    MarkRefused,
    PublishedOnly,
    RecordReport,
    Unmarked,
    Unparked,
    is_reported,
)
from outbox_sdk.core.retry import RetryPolicy
from outbox_sdk.pytest_plugin.faults import FaultPlay, RelayKilled
from outbox_sdk.shell.context import HoldMemo, InFlight, PublishedMemo, RelayContext
from outbox_sdk.shell.relay import relay_batch

__all__ = ["DrainReport", "Pump"]

_Record = Mapping[str, Any]
"""Any: a record as Lambda hands it over, which nests without a bound."""

# A test waits for nothing: a pause that protects AWS protects no stack of its own.
_IMPATIENT = RetryPolicy(base=0.001, cap=0.004)
_DELIVERIES = 8
_PUBLISHED = (Dispatched, PublishedOnly, MarkRefused, Unmarked)


class DrainReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the stream: batches brought, relays killed, and how often each outcome.

    ``counts`` has the names of :meth:`~outbox_sdk.BatchReport.counts`; a record that was brought twice counts
    twice. ``waiting`` describes the records that are not settled: topic and code, by message id.
    """

    batches: int
    kills: int
    counts: Mapping[str, int]
    waiting: Mapping[str, str] = {}


class Pump:
    """Brings batches to relays, a new one after each that was killed, and remembers what did not settle.

    ``published`` gives the topic of each message that a relay says it has published.
    """

    def __init__(self, context: RelayContext) -> None:
        self._context = context
        self._relay = _fresh(context)
        self._counts: Counter[str] = Counter()
        self._batches = self._kills = 0
        self._reported: Sequence[RecordReport] = ()
        self.published: dict[str, str | None] = {}
        self.unsettled: Sequence[_Record] = ()

    async def bring(self, records: Sequence[_Record], play: FaultPlay | None) -> None:
        """Bring a batch until it is settled, or until it settles no more: the rest is ``unsettled``."""
        self.unsettled = records  # whatever comes out of the relay, they have been read
        self.unsettled = await self._settle(records, play)
        if play is not None and play.faults.deliver_twice and not self.unsettled:
            # A reader that has died behind its checkpoint: the next one begins before it.
            play.note_second_delivery()
            self._relay = _fresh(self._context)
            self.unsettled = await self._settle(records, play)

    async def _settle(self, records: Sequence[_Record], play: FaultPlay | None) -> Sequence[_Record]:
        fruitless = 0
        self._reported = ()
        while records and fruitless < _DELIVERIES:
            self._batches += 1
            happened = 0 if play is None else play.happened
            relay = self._relay if play is None else play.around(self._relay)
            try:
                report = await relay_batch(relay, {"Records": records})
            except BaseException as error:
                if not _is_kill(error):
                    raise
                self._kills += 1
                self._relay = _fresh(self._context)
                continue
            self._counts.update(report.counts())
            self._reported = [record for record in report.records if is_reported(record.outcome)]
            self.published |= {
                str(record.message_id): record.topic
                for record in report.records
                if isinstance(record.outcome, _PUBLISHED)
            }
            settled = count_settled(records, report.response)
            records = records[settled:]
            counted_down = play is not None and play.happened != happened
            fruitless = 0 if settled or counted_down else fruitless + 1
        if not records:
            self._reported = ()
        return records

    @property
    def waiting(self) -> dict[str, str]:
        """Describe what is not settled: topic and code, by message id."""
        return _described(self._reported)

    def unexcused(self, unavailable: Collection[str]) -> dict[str, str]:
        """Describe what is not settled though its topic is available."""
        return _described([record for record in self._reported if record.topic not in unavailable])

    def report(self) -> DrainReport:
        """Tell what has become of the batches since the last report."""
        counts, batches, kills = dict(sorted(self._counts.items())), self._batches, self._kills
        self._counts, self._batches, self._kills = Counter(), 0, 0
        return DrainReport(batches=batches, kills=kills, counts=counts, waiting=self.waiting)


def _fresh(context: RelayContext) -> RelayContext:
    """Give the relay as a process has it that has just been started: it remembers nothing."""
    return replace(
        context,
        retry=_IMPATIENT,
        memo=PublishedMemo(),
        done=PublishedMemo(),
        holds=HoldMemo(),
        in_flight=InFlight(),
    )


def _is_kill(error: BaseException) -> bool:
    """Tell a kill, or several of calls that ran side by side; an error beside it is an error still."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_kill, error.exceptions))
    return isinstance(error, RelayKilled)


def _described(records: Iterable[RecordReport]) -> dict[str, str]:
    return {
        str(record.message_id or record.key): f"{record.topic or 'no topic'}: {_code_of(record.outcome)}"
        for record in records
    }


def _code_of(outcome: object) -> str:
    match outcome:
        case Held(code, behind=True):
            return f"behind an earlier message of its aggregate ({code})"
        case Held(code):
            return f"not published ({code})"
        case Unmarked(code):
            return f"published, and not marked ({code})"
        case Unparked(reason, code):
            return f"to be parked for {reason}, and the write fails ({code})"
        case _:
            return type(outcome).__name__

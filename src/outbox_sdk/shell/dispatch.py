"""A batch plan carried out: lanes published, messages marked as they come, the rest parked."""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from outbox_sdk.core.classification import ErrorClass, classify_table_error
from outbox_sdk.core.entry import Entry
from outbox_sdk.core.identifiers import ItemKey, SequenceNumber, TopicArn
from outbox_sdk.core.lanes import Lane, MessageRecord, plan_held_lane
from outbox_sdk.core.mark import Mark, Marked, MarkResult, Park, Unwritten, plan_mark, plan_park
from outbox_sdk.core.message import OutboxMessage
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
)
from outbox_sdk.core.plan import BatchPlan, Remembered
from outbox_sdk.core.publish import (
    EntryResult,
    Failed,
    Published,
    PublishRequest,
    Refused,
    failure_codes,
    pack_requests,
    settle_publish,
)
from outbox_sdk.core.retry import Deadline
from outbox_sdk.core.text import format_instant
from outbox_sdk.shell.context import RelayContext
from outbox_sdk.shell.pace import Pace

__all__ = ["Dispatch"]

_DEADLINE = "Deadline"
_LINGER_SECONDS = 1.0


class Dispatch:
    """One batch being carried out. Used once: ``await Dispatch(context, deadline).run(plan)``.

    A call is begun only before the deadline's stop; at its cut, all that is still under way is cancelled.
    Nothing it started is left running when :meth:`run` returns or raises. ``pace`` is that of the invocation,
    where more than the dispatch has a part in it.
    """

    def __init__(self, context: RelayContext, deadline: Deadline, pace: Pace | None = None) -> None:
        self._context = context
        self._deadline = deadline
        self._clock = asyncio.get_running_loop().time
        self._pace = pace or Pace(context, deadline)
        self._group = asyncio.TaskGroup()
        self._outcomes: dict[ItemKey, Outcome] = {}
        self._lanes: dict[ItemKey, deque[MessageRecord]] = {}
        self._records: dict[ItemKey, MessageRecord] = {}
        self._numbers: dict[ItemKey, SequenceNumber | None] = {}
        self._unmarked: list[OutboxMessage] = []
        self._accepted: dict[ItemKey, float] = {}
        self._publishing = 0
        self._linger: asyncio.Task[None] | None = None

    async def run(self, plan: BatchPlan) -> Mapping[ItemKey, Outcome]:
        """Carry out a plan; give an outcome for every item in it."""
        self._outcomes.update(plan.decided)
        cut = self._deadline.cut
        try:
            async with asyncio.timeout_at(None if cut == float("inf") else cut), self._group:
                for park in plan.parks:
                    self._begin_park(park)
                self._remember(plan.marks)
                self._begin_lanes(plan.lanes)
                self._begin_marks()
        except TimeoutError:
            pass  # the cut: what has no outcome by now gets one below
        self._give_up(plan)
        return self._outcomes

    @property
    def accepted(self) -> Mapping[ItemKey, float]:
        """When each message was accepted that was published here, in epoch seconds."""
        return self._accepted

    def _give_up(self, plan: BatchPlan) -> None:
        """Report whatever the deadline left unsettled."""
        left = [record for record in self._numbers.items() if record[0] not in self._outcomes]
        out = self._context.memo.known(left)
        for record in left:
            self._outcomes[record[0]] = Unmarked(_DEADLINE) if record in out else Held(_DEADLINE)
        for park in plan.parks:
            self._outcomes.setdefault(park.key, Unparked(park.reason, _DEADLINE))

    def _remember(self, marks: Iterable[Remembered]) -> None:
        for remembered in marks:
            self._numbers[remembered.message.key] = remembered.sequence_number
            self._unmarked.append(remembered.message)

    # Publishing

    def _begin_lanes(self, lanes: Iterable[Lane]) -> None:
        heads = []
        for lane in lanes:
            rest = deque(lane)
            heads.append(rest.popleft())
            for record in lane:
                key = record.key
                self._records[key] = record
                self._numbers[key] = record.sequence_number
                self._lanes[key] = rest
        self._begin_publishing(heads)

    def _begin_publishing(self, records: Iterable[MessageRecord]) -> None:
        for request in pack_requests(record.entry for record in records):
            self._begin_request(request, attempt=1, delay=0.0)

    def _begin_request(self, request: PublishRequest, *, attempt: int, delay: float) -> None:
        self._publishing += 1
        self._group.create_task(self._publish(request, attempt=attempt, delay=delay))

    async def _publish(self, request: PublishRequest, *, attempt: int, delay: float) -> None:
        if delay:
            await asyncio.sleep(delay)
        async with self._pace.slot():
            if self._clock() >= self._deadline.stop:
                late = Failed(_DEADLINE, ErrorClass.RETRY)
                results: list[tuple[Entry, EntryResult]] = [(entry, late) for entry in request.entries]
            else:
                response = await self._context.publisher.publish(request)
                self._pace.note("publish_requests", failure_codes(response))
                settlement = settle_publish(request, response)
                for part in settlement.isolated:
                    self._begin_request(part, attempt=attempt, delay=0.0)
                results = [*settlement.results, *self._retry_entries(settlement.retryable, attempt)]
        self._publishing -= 1
        ready: list[MessageRecord] = []
        published: list[MessageRecord] = []
        for entry, result in results:
            record = self._records[entry.message.key]
            if isinstance(result, Published):
                published.append(record)
            else:
                self._settle_failure(record, result)
            lane = self._lanes[record.key]
            if lane:
                ready.append(lane.popleft())
        if published:
            self._settle_published(request.topic, published)
        self._begin_publishing(ready)
        self._begin_marks()

    def _retry_entries(
        self, retryable: Sequence[tuple[Entry, Failed]], attempt: int
    ) -> Sequence[tuple[Entry, Failed]]:
        """Begin another attempt and return nothing, or return what has had its last."""
        if not retryable:
            return ()
        delay = self._pace.retry_delay(retryable[0][1].code, attempt)
        if delay is None:
            return retryable
        for request in pack_requests(entry for entry, _ in retryable):
            self._begin_request(request, attempt=attempt + 1, delay=delay)
        return ()

    def _settle_failure(self, record: MessageRecord, result: Refused | Failed) -> None:
        if isinstance(result, Refused):
            self._begin_park(plan_park(record.entry.message, result.code))
            return
        lane = self._lanes[record.key]
        self._hold_lane((record, *lane), result)
        lane.clear()

    def _settle_published(self, topic: TopicArn, records: Sequence[MessageRecord]) -> None:
        self._context.holds.release(topic)
        keys = [record.key for record in records]
        self._accepted.update(dict.fromkeys(keys, self._context.now()))
        if self._context.marker is None:
            self._outcomes.update(dict.fromkeys(keys, PublishedOnly()))
            return
        self._context.memo.add([(record.key, record.sequence_number) for record in records])
        self._unmarked.extend([record.entry.message for record in records])

    def _hold_lane(self, lane: Sequence[MessageRecord], failure: Failed) -> None:
        """Hold a lane whose head failed: nothing behind it may overtake it."""
        context = self._context
        if failure.error_class is ErrorClass.CONFIGURATION:
            now = context.now()
            parks = plan_held_lane(
                lane,
                code=failure.code,
                now=now,
                held_since=context.holds.hold(
                    lane[0].entry.topic, failure.code, now, pause=context.park_held_after / 2
                ),
                park_after=context.park_held_after,
            )
            if parks:
                for park in parks:
                    self._begin_park(park)
                return
        for position, record in enumerate(lane):
            self._outcomes[record.key] = Held(failure.code, behind=position > 0)

    # Marking

    def _begin_marks(self, *, flush: bool = False) -> None:
        """Send full requests at once, and the rest as soon as no publish may add to it.

        A publish that hangs must not keep the others unmarked until the end: the rest waits a moment only.
        """
        marker = self._context.marker
        if marker is None:
            return
        size = marker.request_size
        while len(self._unmarked) >= size or (self._unmarked and (flush or not self._publishing)):
            messages, self._unmarked = self._unmarked[:size], self._unmarked[size:]
            seconds = self._context.now()
            now = format_instant(datetime.fromtimestamp(seconds, UTC))
            marks = [
                plan_mark(message, now=now, now_seconds=seconds, ttl_days=self._context.ttl_days)
                for message in messages
            ]
            self._group.create_task(self._mark(marks, attempt=1, delay=0.0))
        if self._unmarked and self._linger is None:
            self._linger = self._group.create_task(self._flush_marks())
        elif not self._unmarked and self._linger is not None:
            self._linger.cancel()
            self._linger = None

    async def _flush_marks(self) -> None:
        await asyncio.sleep(max(0.0, min(_LINGER_SECONDS, (self._deadline.stop - self._clock()) / 2)))
        self._linger = None
        self._begin_marks(flush=True)

    async def _mark(self, marks: Sequence[Mark], *, attempt: int, delay: float) -> None:
        marker = self._context.marker
        assert marker is not None  # noqa: S101 - _begin_marks begins none without
        if delay:
            await asyncio.sleep(delay)
        async with self._pace.slot():
            if self._clock() >= self._deadline.stop:
                return  # given up below, as what the deadline left
            results = await marker.mark(marks)
            self._pace.note("mark_requests", _codes(results))
        retryable: list[tuple[Mark, str]] = []
        settled: dict[ItemKey, Outcome] = {}
        for mark, result in zip(marks, results, strict=True):
            match result:
                case Marked(gone):
                    settled[mark.key] = Dispatched(gone)
                case Unwritten(code):
                    match classify_table_error(code):
                        case ErrorClass.MESSAGE if len(marks) > 1:
                            # A request that is refused as a whole may be so for one mark's sake: find it.
                            self._group.create_task(self._mark([mark], attempt=attempt, delay=0.0))
                        case ErrorClass.MESSAGE:
                            settled[mark.key] = MarkRefused(code)
                        case ErrorClass.CONFIGURATION:
                            self._outcomes[mark.key] = Unmarked(code)
                        case ErrorClass.RETRY:
                            retryable.append((mark, code))
        self._settle_marks(settled)
        self._retry_marks(retryable, attempt)

    def _settle_marks(self, settled: Mapping[ItemKey, Outcome]) -> None:
        self._outcomes.update(settled)
        records = [(key, self._numbers[key]) for key in settled]
        self._context.memo.discard(records)
        self._context.done.add(records)

    def _retry_marks(self, retryable: Sequence[tuple[Mark, str]], attempt: int) -> None:
        if not retryable:
            return
        delay = self._pace.retry_delay(retryable[0][1], attempt)
        if delay is None:
            self._outcomes.update((mark.key, Unmarked(code)) for mark, code in retryable)
            return
        marks = [mark for mark, _ in retryable]
        self._group.create_task(self._mark(marks, attempt=attempt + 1, delay=delay))

    # Parking

    def _begin_park(self, park: Park) -> None:
        self._outcomes[park.key] = Unparked(park.reason, _DEADLINE)  # until it is written
        self._group.create_task(self._park(park))

    async def _park(self, park: Park) -> None:
        now = format_instant(datetime.fromtimestamp(self._context.now(), UTC))
        attempt, delay = 1, 0.0
        while True:
            await asyncio.sleep(delay)
            async with self._pace.slot():
                if self._clock() >= self._deadline.stop:
                    return
                result = await self._context.table.park(park, now=now)
                self._pace.note("park_writes", _codes((result,)))
            match result:
                case Marked(gone):
                    self._outcomes[park.key] = Settled("settled elsewhere") if gone else Parked(park.reason)
                    return
                case Unwritten(code):
                    self._outcomes[park.key] = Unparked(park.reason, code)
                    retry = classify_table_error(code) is ErrorClass.RETRY
                    pause = self._pace.retry_delay(code, attempt) if retry else None
                    if pause is None:
                        return
                    attempt, delay = attempt + 1, pause


def _codes(results: Iterable[MarkResult]) -> Iterable[str]:
    return (result.code for result in results if isinstance(result, Unwritten))

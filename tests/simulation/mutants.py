"""Deliberate mistakes, each applied by a flag: a harness that misses one proves nothing.

A mutant replaces one decision or one step of the real code with what a hurried person might have written.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import msgspec

from outbox_sdk.core import entry, lanes, mark, outcome, plan, stream, sweep
from outbox_sdk.core.aggregate_order import age_order
from outbox_sdk.core.backlog import BUCKETS, BucketPage
from outbox_sdk.core.classification import ErrorClass
from outbox_sdk.core.lanes import MessageRecord
from outbox_sdk.core.lookup import Found, Unreadable
from outbox_sdk.core.mark import Marked
from outbox_sdk.core.message import Poison, Skipped
from outbox_sdk.core.outcome import BatchReport, Held, Parked
from outbox_sdk.core.publish import EntryFailed, Failed, Published, Refused, RequestFailed, Settlement
from outbox_sdk.core.retry import Deadline
from outbox_sdk.shell import context, dispatch, listing, relay, sweeper
from outbox_sdk.shell.producer import Outbox
from outbox_sdk.testing.simulation.services import SimulatedPorts
from outbox_sdk.testing.table import InMemoryTable

__all__ = ["MUTANTS", "apply_mutant"]

Mutant = Callable[[ExitStack], None]

MUTANTS: dict[str, Mutant] = {}


def mutant(function: Mutant) -> Mutant:
    MUTANTS[function.__name__.replace("_", "-")] = function
    return function


@contextmanager
def apply_mutant(name: str | None) -> Iterator[None]:
    """Run with one mistake in the code; with ``None``, with the code as it is."""
    with ExitStack() as stack:
        if name is not None:
            MUTANTS[name](stack)
        yield


def replace(stack: ExitStack, owner: Any, name: str, value: Any) -> Any:
    """Put something else in a name's place; give what was there."""
    original = getattr(owner, name)
    stack.enter_context(mock.patch.object(owner, name, value))
    return original


# Publishing


@mutant
def stream_without_lanes(stack: ExitStack) -> None:
    """The records of one aggregate go to a stream side by side."""

    def wrap(*arguments: Any, **keywords: Any) -> Any:
        wrapped = original(*arguments, **keywords)
        if isinstance(wrapped, entry.Entry) and ":kinesis:" in wrapped.topic:
            return msgspec.structs.replace(wrapped, group_id=None)
        return wrapped

    original = replace(stack, entry, "_wrap", wrap)


@mutant
def queue_taken_for_a_standard_one(stack: ExitStack) -> None:
    """Nobody looks for .fifo at the end of a route."""

    def wrap(*arguments: Any, **keywords: Any) -> Any:
        wrapped = original(*arguments, **keywords)
        if isinstance(wrapped, entry.Entry) and ":sqs:" in wrapped.topic:
            return msgspec.structs.replace(wrapped, group_id=None, deduplication_id=None)
        return wrapped

    original = replace(stack, entry, "_wrap", wrap)


@mutant
def mark_before_publish(stack: ExitStack) -> None:
    """All that is about to be published is marked at once."""

    def begin_lanes(self: Any, lanes_: Any) -> None:
        lanes_ = list(lanes_)
        original(self, lanes_)
        if self._context.marker is not None:
            self._unmarked.extend(record.entry.message for lane in lanes_ for record in lane)
            self._begin_marks(flush=True)

    original = replace(stack, dispatch.Dispatch, "_begin_lanes", begin_lanes)


@mutant
def ignore_failed(stack: ExitStack) -> None:
    """A 200 is a success, whatever its list of failures says."""

    def settle(request: Any, response: Any) -> Settlement:
        if not isinstance(response, RequestFailed):
            response = tuple(Published("sns") if isinstance(r, EntryFailed) else r for r in response)
        return original(request, response)  # type: ignore[no-any-return]

    original = replace(stack, dispatch, "settle_publish", settle)


@mutant
def lost_answer_counted_as_done(stack: ExitStack) -> None:
    """No answer is taken for a yes."""

    def settle(request: Any, response: Any) -> Settlement:
        if isinstance(response, RequestFailed) and response.code in ("Timeout", "ConnectionClosed"):
            return Settlement(results=tuple((e, Published("sns")) for e in request.entries))
        return original(request, response)  # type: ignore[no-any-return]

    original = replace(stack, dispatch, "settle_publish", settle)


@mutant
def missing_from_response_counted_as_done(stack: ExitStack) -> None:
    """An entry in neither list of the answer is taken for published, or thrown away."""

    def settle(request: Any, response: Any) -> Settlement:
        if not isinstance(response, RequestFailed):
            # InternalFailure stands for those that were not accepted at all.
            done = ("MissingFromResponse", "InternalFailure")
            response = tuple(
                Published("sns") if isinstance(r, EntryFailed) and r.code in done else r for r in response
            )
        return original(request, response)  # type: ignore[no-any-return]

    original = replace(stack, dispatch, "settle_publish", settle)


@mutant
def no_isolation(stack: ExitStack) -> None:
    """A request that is refused as a whole is the fault of all its entries."""

    def settle(request: Any, response: Any) -> Settlement:
        if isinstance(response, RequestFailed) and response.code == "InvalidParameter":
            return Settlement(results=tuple((e, Refused(response.code)) for e in request.entries))
        return original(request, response)  # type: ignore[no-any-return]

    original = replace(stack, dispatch, "settle_publish", settle)


@mutant
def configuration_faults_park(stack: ExitStack) -> None:
    """A denial parks the message that happened to be on its way."""

    def settle(request: Any, response: Any) -> Settlement:
        settlement: Settlement = original(request, response)
        results = tuple(
            (e, Refused(result.code))
            if isinstance(result, Failed) and result.error_class is ErrorClass.CONFIGURATION
            else (e, result)
            for e, result in settlement.results
        )
        return msgspec.structs.replace(settlement, results=results)

    original = replace(stack, dispatch, "settle_publish", settle)


@mutant
def pack_by_count_only(stack: ExitStack) -> None:
    """Ten entries a request, whatever their bytes."""

    def pack(entries: Any) -> Any:
        return original([msgspec.structs.replace(e, limit=10**9) for e in entries])

    original = replace(stack, dispatch, "pack_requests", pack)


@mutant
def fresh_deduplication_id(stack: ExitStack) -> None:
    """The FIFO deduplication id is a new one for each attempt."""
    numbers = iter(range(10**9))
    replace(stack, entry, "deduplication_id", lambda key, redrive_count: str(next(numbers)))


# Order


@mutant
def no_lane_hold(stack: ExitStack) -> None:
    """A failed head is reported, and its lane goes on without it."""

    def hold(self: Any, lane: Sequence[MessageRecord], failure: Failed) -> None:
        original(self, lane[:1], failure)
        self._begin_publishing(lane[1:2])
        for record in lane[1:]:
            self._lanes[record.key].extend(lane[2:] if record is lane[1] else ())

    original = replace(stack, dispatch.Dispatch, "_hold_lane", hold)


@mutant
def no_lanes(stack: ExitStack) -> None:
    """Every message of a FIFO topic goes by itself, ten to a request."""
    replace(
        stack, plan, "plan_lanes", lambda ready: tuple((r,) for r in sorted(ready, key=lambda r: r.position))
    )


@mutant
def order_by_text(stack: ExitStack) -> None:
    """Sequence numbers are compared as the text that they come as."""
    as_text = property(lambda self: int.from_bytes(self.sequence_number.ljust(64, "\0").encode(), "big"))
    replace(stack, stream.Record, "position", as_text)


@mutant
def unreadable_is_skipped_in_its_lane(stack: ExitStack) -> None:
    """What could not be read is held, and what is behind it goes on."""

    def hold(lanes_: Any, unreadable: Any) -> Any:
        kept = [tuple(r for r in lane if r.key not in unreadable) for lane in lanes_]
        held = {r.key: Held(unreadable[r.key]) for lane in lanes_ for r in lane if r.key in unreadable}
        return tuple(lane for lane in kept if lane), held

    replace(stack, plan, "hold_unreadable", hold)


# Marks, looking up, remembering


@mutant
def recheck_dropped(stack: ExitStack) -> None:
    """Nothing is looked up before it is published."""
    replace(stack, relay, "plan_lookup", lambda *arguments, **options: ())


def guess_unread(stack: ExitStack, guess: Found) -> None:
    async def lookup_all(*arguments: Any) -> Any:
        results = await original(*arguments)
        return {key: guess if isinstance(result, Unreadable) else result for key, result in results.items()}

    original = replace(stack, relay, "lookup_all", lookup_all)


@mutant
def unreadable_means_dispatched(stack: ExitStack) -> None:
    """An item that could not be read is taken for settled."""
    guess_unread(stack, Found(outstanding=False))


@mutant
def unreadable_means_outstanding(stack: ExitStack) -> None:
    """An item that could not be read is taken for outstanding."""
    guess_unread(stack, Found(outstanding=True))


@mutant
def memo_by_item(stack: ExitStack) -> None:
    """The memory of what was published goes by item, and is never cleared: a redrive is swallowed."""
    anything: Any = "any record"
    memo = context.PublishedMemo
    add = memo.__dict__["add"]
    known = memo.__dict__["known"]

    def by_item(self: Any, records: Any) -> Any:
        items = {key for key, _ in known(self, [(key, anything) for key, _ in records])}
        return frozenset(record for record in records if record[0] in items)

    replace(stack, memo, "add", lambda self, records: add(self, [(key, anything) for key, _ in records]))
    replace(stack, memo, "known", by_item)
    replace(stack, memo, "discard", lambda self, records: None)


@mutant
def failed_marks_count_as_done(stack: ExitStack) -> None:
    """A mark that failed is left to itself, and its record is let go."""
    replace(stack, outcome, "is_reported", lambda o: isinstance(o, Held | outcome.Unparked))


@mutant
def mark_whatever_stands(stack: ExitStack) -> None:
    """The mark has no condition: it brings back an item that somebody has deleted."""

    def mark_item(self: Any, mark_: mark.Mark) -> Any:
        if not self.deletes and mark_.key not in self.items:
            self._write(mark_.key, {**mark_.key.to_item(), self.design.not_dispatched: {"S": "00"}})
            return Marked()
        return original(self, mark_)

    original = replace(stack, InMemoryTable, "_mark", mark_item)


@mutant
def retried_marks_forgotten(stack: ExitStack) -> None:
    """Marks that DynamoDB left over in a 200 are not sent again."""
    replace(stack, dispatch.Dispatch, "_retry_marks", lambda self, retryable, attempt:
        self._settle_marks({mark_.key: outcome.Dispatched() for mark_, _ in retryable})
    )  # fmt: skip


@mutant
def time_to_live_at_insert(stack: ExitStack) -> None:
    """The producer writes when the item may be deleted."""

    def put(self: Any, *arguments: Any, **options: Any) -> Any:
        entry = original(self, *arguments, **options)
        entry["Put"]["Item"][self.design.expires_at] = {"N": "1900000000"}
        return entry

    original = replace(stack, Outbox, "put", put)


# Parking


@mutant
def park_unchecked(stack: ExitStack) -> None:
    """Parking is asked for, and taken for done."""

    async def park(self: Any, park_: Any) -> None:
        await self._context.table.park(park_, now="2026-01-01T00:00:00.000000Z")
        self._outcomes[park_.key] = Parked(park_.reason)

    replace(stack, dispatch.Dispatch, "_park", park)


@mutant
def poison_dropped(stack: ExitStack) -> None:
    """What cannot be decoded is logged and let go."""

    def decode(*arguments: Any) -> Any:
        content = original(*arguments)
        return Skipped("foreign") if isinstance(content, Poison) else content

    original = replace(stack, stream, "decode_item", decode)


@mutant
def poison_reported(stack: ExitStack) -> None:
    """What cannot be published is left for Lambda to bring again, for ever."""

    def begin_park(self: Any, park_: Any) -> None:
        self._outcomes[park_.key] = outcome.Unparked(park_.reason, "Later")

    replace(stack, dispatch.Dispatch, "_begin_park", begin_park)


@mutant
def poison_raises(stack: ExitStack) -> None:
    """One record that cannot be decoded is an error of the function."""

    def decode(*arguments: Any) -> Any:
        content = original(*arguments)
        if isinstance(content, Poison):
            raise ValueError(content.reason)
        return content

    original = replace(stack, stream, "decode_item", decode)


@mutant
def held_parks_at_once(stack: ExitStack) -> None:
    """A wrong configuration parks at first sight."""

    def held(lane: Any, **options: Any) -> Any:
        return original(lane, **{**options, "park_after": 0.0})

    original = replace(stack, dispatch, "plan_held_lane", held)


# Answers


@mutant
def report_highest(stack: ExitStack) -> None:
    """Only the last failure is named, so that all before it count as settled."""

    def response(self: BatchReport) -> Any:
        failures = original.fget(self)["batchItemFailures"]
        return {"batchItemFailures": failures[-1:]}

    original = replace(stack, BatchReport, "response", property(response))


@mutant
def report_unknown_id(stack: ExitStack) -> None:
    """Failures are named by something that is no sequence number of the batch."""

    def response(self: BatchReport) -> Any:
        failures = original.fget(self)["batchItemFailures"]
        return {"batchItemFailures": [{"itemIdentifier": f"0{f['itemIdentifier']}"} for f in failures]}

    original = replace(stack, BatchReport, "response", property(response))


@mutant
def misspelt_answer(stack: ExitStack) -> None:
    """The answer's key has a typo, which Lambda takes for success."""

    def response(self: BatchReport) -> Any:
        return {"batchItemFailure": original.fget(self)["batchItemFailures"]}

    original = replace(stack, BatchReport, "response", property(response))


@mutant
def swallow_errors(stack: ExitStack) -> None:
    """Whatever happens, the answer says that all is well."""
    replace(stack, BatchReport, "response", property(lambda self: {"batchItemFailures": []}))


@mutant
def payload_in_log(stack: ExitStack) -> None:
    """A park reason quotes the message."""
    original = dispatch.Dispatch.__dict__["_begin_park"]

    def begin_park(self: Any, park_: Any) -> None:
        record = self._records.get(park_.key)
        body = "" if record is None else record.entry.envelope.body
        original(self, msgspec.structs.replace(park_, reason=f"{park_.reason}: {body}"))

    replace(stack, dispatch.Dispatch, "_begin_park", begin_park)


# Time


@mutant
def no_deadline(stack: ExitStack) -> None:
    """The time that is left is nobody's concern."""
    replace(stack, relay, "plan_deadline", lambda *arguments, **options: Deadline())


@mutant
def tasks_left_behind(stack: ExitStack) -> None:
    """Parks go on after the handler has answered."""
    original = dispatch.Dispatch.__dict__["_park"]
    kept: set[Any] = set()

    def begin_park(self: Any, park_: Any) -> None:
        self._outcomes[park_.key] = Parked(park_.reason)
        task = asyncio.get_running_loop().create_task(original(self, park_))
        kept.add(task)
        task.add_done_callback(kept.discard)

    replace(stack, dispatch.Dispatch, "_begin_park", begin_park)


@mutant
def park_forgets_redrives(stack: ExitStack) -> None:
    """A park has the marker for its only condition: it sets aside what a person has just mended."""

    async def park(self: Any, park_: mark.Park, *, now: str) -> Any:
        return await original(self, msgspec.structs.replace(park_, redrive_count=10**6), now=now)

    original = replace(stack, InMemoryTable, "park", park)


@mutant
def mark_forgets_redrives(stack: ExitStack) -> None:
    """A mark has the marker for its only condition: it settles what somebody has just sent again."""

    def mark_item(self: Any, mark_: mark.Mark) -> Any:
        return original(self, msgspec.structs.replace(mark_, redrive_count=10**6))

    original = replace(stack, InMemoryTable, "_mark", mark_item)


@mutant
def missing_means_dispatched(stack: ExitStack) -> None:
    """An item that is not there any more has been dispatched, whatever the strategy."""

    def plan_batch(intake: Any, **options: Any) -> Any:
        return original(intake, **{**options, "deletes": True})

    original = replace(stack, relay, "plan_batch", plan_batch)


@mutant
def removal_settles(stack: ExitStack) -> None:
    """A message whose item is deleted in the same batch needs no publishing."""

    def plan_intake(records: Any) -> Any:
        intake = original(records)
        gone = {key for key, arrival in intake.messages.items() if arrival.removed}
        return msgspec.structs.replace(
            intake,
            messages={key: arrival for key, arrival in intake.messages.items() if key not in gone},
            settled={**intake.settled, **dict.fromkeys(gone, outcome.Settled("removed"))},
        )

    original = replace(stack, relay, "plan_intake", plan_intake)


@mutant
def held_since_the_message_is_old(stack: ExitStack) -> None:
    """How old a message is stands for how long it has been held."""

    def held(lane: Any, **options: Any) -> Any:
        return original(lane, **{**options, "held_since": 0.0})

    original = replace(stack, dispatch, "plan_held_lane", held)


@mutant
def latest_record_gives_the_place(stack: ExitStack) -> None:
    """A message takes its place in the lane from the last change of its item, not from the first."""

    def plan_intake(records: Any) -> Any:
        intake = original(records)
        moved = {
            key: msgspec.structs.replace(arrival, position=arrival.record.position)
            for key, arrival in intake.messages.items()
        }
        return msgspec.structs.replace(intake, messages=moved)

    original = replace(stack, relay, "plan_intake", plan_intake)


@mutant
def sequence_ignored(stack: ExitStack) -> None:
    """The producer's own numbers are passed on and not looked at."""
    replace(stack, lanes, "_lane_order", lambda lane: lambda record: (record.position, 0))


@mutant
def changed_items_are_not_looked_up(stack: ExitStack) -> None:
    """Only the age of a record decides whether its item is looked up."""

    def needs_lookup(record: Any, now: float, recheck_after: float) -> bool:
        return record.creation is None or now - record.creation >= recheck_after

    replace(stack, plan, "_needs_lookup", needs_lookup)


# Sweeping


@mutant
def sweep_publishes_past_unread_items(stack: ExitStack) -> None:
    """An item whose body could not be read is held, and what is behind it is published."""

    def plan_republish(items: Any, fetched: Any, **options: Any) -> Any:
        held = {i.key: Held(fetched[i.key].code) for i in items if isinstance(fetched[i.key], Unreadable)}
        planned = original([item for item in items if item.key not in held], fetched, **options)
        return msgspec.structs.replace(planned, decided={**planned.decided, **held})

    original = replace(stack, sweeper, "plan_republish", plan_republish)


@mutant
def sweep_forgets_holds_between_chunks(stack: ExitStack) -> None:
    """What one chunk holds, the next one passes by."""

    def plan_republish(items: Any, fetched: Any, **options: Any) -> Any:
        return original(items, fetched, **{**options, "blocked": {}})

    original = replace(stack, sweeper, "plan_republish", plan_republish)


@mutant
def sweep_goes_by_the_clock_alone(stack: ExitStack) -> None:
    """A backlog is put in order by the producers' clocks, whatever numbers it carries."""
    replace(stack, sweep, "in_order", lambda aggregate: sorted(aggregate, key=age_order))


@mutant
def touches_again_and_again(stack: ExitStack) -> None:
    """A sweep touches what the one before has touched."""
    replace(stack, sweeper, "_TOUCH_AGAIN_AFTER_SECONDS", 0)


@mutant
def touches_past_unread_items(stack: ExitStack) -> None:
    """What could not be read is left for the next sweep, and what is behind it is touched."""
    replace(stack, sweeper, "find_stopped", lambda items, unread, design: set())


@mutant
def touches_go_on_after_a_failure(stack: ExitStack) -> None:
    """What is behind an item that could not be touched is touched all the same."""

    async def touch_aggregate(self: Any, items: Any, stopped: Any) -> None:
        for item in items:
            await original(self, (item,), set())

    original = replace(stack, sweeper._Run, "_touch_aggregate", touch_aggregate)


@mutant
def sweep_reads_one_page(stack: ExitStack) -> None:
    """A bucket of the index has one page."""

    async def list_bucket(self: Any, bucket: str, **options: Any) -> Any:
        page = await original(self, bucket, **options)
        return msgspec.structs.replace(page, cursor=None) if isinstance(page, BucketPage) else page

    original = replace(stack, SimulatedPorts, "list_bucket", list_bucket)


@mutant
def sweep_reads_configured_buckets(stack: ExitStack) -> None:
    """Only the buckets that the configuration names are read: not those of other producers."""
    replace(stack, listing, "BUCKETS", BUCKETS[:16])


@mutant
def sweep_publishes_past_unread_buckets(stack: ExitStack) -> None:
    """What could not be listed is left for the next time, and all else is published."""
    original = listing.Listing.__dict__["_read_page"]

    async def read_page(self: Any, bucket: Any) -> None:
        await original(self, bucket)
        self.unread.clear()

    replace(stack, listing.Listing, "_read_page", read_page)


@mutant
def touches_in_any_order(stack: ExitStack) -> None:
    """An aggregate's items are touched side by side, each by itself."""
    by_itself = property(lambda self: tuple((item,) for item in reversed(self.items)))
    replace(stack, sweep.SweepPlan, "aggregates", by_itself)

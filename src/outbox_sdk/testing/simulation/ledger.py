"""What must hold at every step, checked by the one who sees all: table, stream, function and topics."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from outbox_sdk.core.destinations import SNS, is_ordered_route, route_of
from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.core.items import is_outstanding
from outbox_sdk.core.publish import PublishRequest
from outbox_sdk.core.table import PARKED, TableDesign
from outbox_sdk.testing.simulation.scenario import Commit, Scenario
from outbox_sdk.testing.simulation.tracked import (
    CANARY,
    EPOCH,
    INVARIANTS,
    Acceptance,
    Invocation,
    Tracked,
    Violation,
)

__all__ = ["Ledger"]

_FIVE_MINUTES = 300.0
_SIX_HOURS = 6 * 3_600.0


class Ledger:
    """Follows every message through a run. A violation is noted, not raised: it may be seen in a callback."""

    def __init__(
        self, scenario: Scenario, design: TableDesign, *, clock: Callable[[], float], tracing: bool = False
    ) -> None:
        self.scenario = scenario
        self.design = design
        self._clock = clock
        self.violations: list[Violation] = []
        self.messages: dict[ItemKey, Tracked] = {}
        self.items: Mapping[ItemKey, Mapping[str, Any]] = {}
        self.steps: list[int] = []
        self.refusals: dict[tuple[str, str], float] = {}
        self.trace: list[str] | None = [] if tracing else None
        self._lanes: dict[tuple[str, str], list[Tracked]] = defaultdict(list)
        self._keeps_order = scenario.mapping.parallelization_factor == 1 and design.keyed_by == "aggregate"

    @property
    def now(self) -> float:
        """The virtual time, in seconds from the start of the run."""
        return self._clock()

    def note(self, text: str, *parts: object) -> None:
        """Write a line into the trace, if there is one."""
        if self.trace is not None:
            self.trace.append(f"{self.now:10.3f}  {text % parts if parts else text}")

    def violate(self, invariant: str, text: str) -> None:
        """Note that an invariant does not hold."""
        assert invariant in INVARIANTS  # noqa: S101 - a slip of ours
        self.violations.append(Violation(invariant, self.now, text))
        self.note("VIOLATION %s: %s", invariant, text)

    def name(self, key: ItemKey) -> str:
        """Give a message's short name."""
        tracked = self.messages.get(key)
        return key.describe() if tracked is None else tracked.name

    # The producer and other people

    def commit(self, key: ItemKey, commit: Commit) -> Tracked:
        """A message is committed."""
        name = f"m{len(self.messages)}({commit.aggregate} {commit.topic} t{commit.transaction})"
        tracked = self.messages[key] = Tracked(name, key, commit)
        self._lanes[commit.topic, commit.aggregate].append(tracked)
        return tracked

    # The table

    def written(self, key: ItemKey, new: Mapping[str, Any] | None) -> None:
        """An item changed."""
        if new is not None and is_outstanding(new, self.design) and self.design.expires_at in new:
            self.violate("time to live", f"{self.name(key)} would be deleted before it is published")

    def marking(self, key: ItemKey, redrive: int) -> None:
        """A mark of the message as it was after so many redrives is about to be written."""
        tracked = self.messages.get(key)
        if tracked is None:
            self.violate("illegal request", f"a mark of {key.describe()}, which nobody committed")
        elif not self._accepted(tracked, redrive):
            self.violate("marked first", tracked.name)

    def mended(self, key: ItemKey) -> Commit:
        """A person mends what could not be published; give the commit that it is from now on."""
        tracked = self.messages[key]
        tracked.commit = msgspec.structs.replace(tracked.commit, kind="good")
        self.note("%s mended", tracked.name)
        return tracked.commit

    def parking(self, key: ItemKey, reason: str) -> None:
        """An item is about to be parked."""
        tracked = self.messages[key]
        tracked.parks.append(reason)
        if not tracked.good:
            return
        code = reason.removeprefix("held:")
        since = self.refusals.get((tracked.commit.topic, code))
        after = self.scenario.relaying.park_held_after
        if code == reason or since is None or self.now - since < after:
            self.violate("innocent", f"{tracked.name} is parked with {reason}")

    def touched(self, key: ItemKey, invocation: Invocation, before: Mapping[str, Any]) -> None:
        """The sweeper touched an item: an aggregate's in their order, and none again too soon."""
        tracked = self.messages[key]
        self.note("%s touched", tracked.name)
        invocation.touched.add(key)
        if self.design.touched_at in before:
            since = self.now - tracked.touched_at
            if since < _SIX_HOURS:
                self.violate("illegal request", f"{tracked.name} is touched again after {since:.0f} s")
        tracked.touched_at = self.now
        if invocation.blind or self.design.keyed_by == "message":
            return  # what it could not see it could not touch; and where there is no order, there is none
        for other in self.messages.values():
            commit = other.commit
            older = commit.aggregate == tracked.commit.aggregate and (
                commit.transaction < tracked.commit.transaction
            )
            if older and self._is_due(other) and other.key not in invocation.touched:
                self.violate("overtaken", f"{tracked.name} is touched before {other.name}")

    def _is_due(self, tracked: Tracked) -> bool:
        """Whether a sweep had to touch a message: outstanding for long, seen by the index, and not lately."""
        item = self.items.get(tracked.key)
        if not is_outstanding(item, self.design) or item is None or self.design.touched_at in item:
            return False
        margin = self.scenario.index_lag + self.scenario.clock_skew + self.scenario.relaying.timeout
        return self.now - tracked.commit.at > self.scenario.relaying.sweep_after + margin

    def refused(self, topic: str, code: str) -> None:
        """A topic answered a whole request, or some of its entries, with a code."""
        self.refusals.setdefault((topic, code), self.now)

    # The topics

    def publishing(self, request: PublishRequest, limit: int) -> None:
        """A request arrives at a topic."""
        count = len(request.entries)
        size = sum(
            len(entry.envelope.body.encode())
            + sum(len(f"{a.name}{a.kind}{a.value}".encode()) for a in entry.envelope.attributes)
            for entry in request.entries
        )
        groups = [entry.group_id for entry in request.entries if entry.group_id is not None]
        keys = {entry.message.key for entry in request.entries}
        takes, _ = route_of(request.topic)
        room = limit if takes is SNS else takes.request_bytes
        if not (1 <= count <= takes.max_entries and size <= room and len(keys) == count):
            self.violate("illegal request", f"{count} entries of {size} bytes")
        if len(set(groups)) != len(groups):
            self.violate("illegal request", "two entries of one group: a failure of one may be overtaken")

    def accept(self, key: ItemKey, acceptance: Acceptance) -> None:
        """A topic accepts a message."""
        tracked, invocation = self.messages[key], acceptance.invocation
        # What was refused before has been mended: whoever is refused now has waited for no time.
        for place in [place for place in self.refusals if place[0] == tracked.commit.topic]:
            del self.refusals[place]
        before = [a for a in tracked.acceptances if a.redrive == acceptance.redrive]
        tracked.acceptances.append(acceptance)
        invocation.accepted.add(key)
        self.note("%s accepted%s", tracked.name, "" if acceptance.delivered else ", as a repetition")
        if len(tracked.acceptances) == 1 and not tracked.parks:
            self._check_order(tracked, invocation)
        tracked.excuses += self._count_excuses(key, acceptance, before)
        if len(before) > tracked.excuses:
            self.violate("duplicate", f"{tracked.name}, {len(before) + 1} times")
        if acceptance.delivered and tracked.commit.topic.endswith(".fifo"):
            last = max((a.at for a in before if a.delivered), default=-_FIVE_MINUTES)
            if self.now - last < _FIVE_MINUTES:
                self.violate("delivered twice", tracked.name)

    def _count_excuses(self, key: ItemKey, acceptance: Acceptance, before: Sequence[Acceptance]) -> int:
        """Count what allows a repetition of an acceptance, as far as it is seen by now."""
        invocation = acceptance.invocation
        overlap = any(a.invocation.ended is None or a.invocation.ended > invocation.started for a in before)
        return sum(
            (
                # Two at the same time, or one again in one invocation: only without an answer to the first.
                overlap and (before[-1].invocation is not invocation or not before[-1].answered),
                # It was on its way when its process died.
                invocation.ended is not None,
                # Deleted by somebody, so that nothing tells of the first time.
                key not in self.items,
            )
        )

    def _check_order(self, tracked: Tracked, invocation: Invocation) -> None:
        commit = tracked.commit
        # What has left the stream keeps its order only where it is published from the table.
        touching = not self.scenario.relaying.sweep_publishes
        if not is_ordered_route(commit.topic) or not self._keeps_order or (tracked.left_stream and touching):
            return
        for other in self._lanes[commit.topic, commit.aggregate]:
            waits = other.good and not (other.acceptances or other.parks or other.removed)
            if not waits or (other.left_stream and touching):
                continue
            numbers = (other.commit.sequence, commit.sequence)
            # One transaction's own order is kept inside a batch, and by the producer's numbers only.
            together = other.commit.transaction == commit.transaction and other.key in invocation.keys
            if other.commit.transaction < commit.transaction or (
                together and None not in numbers and numbers[0] < numbers[1]  # type: ignore[operator]
            ):
                self.violate("overtaken", f"{other.name} by {tracked.name}")

    # The function

    def begin(self, invocation: Invocation, records: Iterable[Mapping[str, Any]]) -> None:
        """The relay gets records. One that is fresh is published without a look at the table, by design."""
        recheck_after = self.scenario.relaying.recheck_after
        for record in records:
            change = record["dynamodb"]
            image = change.get("NewImage")
            if not is_outstanding(image, self.design):
                continue
            key = ItemKey.from_item(change["Keys"])
            invocation.keys.add(key)
            tracked = self.messages[key]
            fresh = EPOCH + self.now - change["ApproximateCreationDateTime"] < recheck_after
            again = self._accepted(tracked, self._redrive(image))
            if again and fresh and record["eventName"] == "INSERT":
                tracked.excuses += 1

    def end(self, invocation: Invocation) -> None:
        """An invocation is over. What it leaves published and not marked may be published again."""
        invocation.ended = self.now
        for key in invocation.accepted:
            if is_outstanding(self.items.get(key), self.design):
                self.messages[key].excuses += 1

    def answered(self, batch: Sequence[Mapping[str, Any]], response: Any) -> None:
        """The handler answers a batch."""
        numbers = [record["dynamodb"]["SequenceNumber"] for record in batch]
        failures = response.get("batchItemFailures") if isinstance(response, dict) else None
        if not isinstance(failures, list) or len(response) != 1:
            self.violate("illegal answer", repr(response))
            return
        named = [failure.get("itemIdentifier") for failure in failures if len(failure) == 1]
        if len(named) != len(failures) or len(set(named)) != len(named) or not set(named) <= set(numbers):
            self.violate("illegal answer", repr(failures))

    def let_go(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Lambda will not bring these records again: the relay has said that they are settled."""
        for tracked in self._unsettled(records):
            self.violate("lost", f"{tracked.name} is neither accepted nor parked, and its record is let go")

    def discarded(self, records: Iterable[Mapping[str, Any]], why: str, *, by_design: bool) -> None:
        """Records are given up unsettled: by Lambda for retries or age, or by the stream for their age."""
        for tracked in self._unsettled(records):
            tracked.left_stream = True
            self.note("%s: %s", tracked.name, why)
            if not by_design:
                self.violate("innocent", f"{tracked.name}: {why}")

    def _unsettled(self, records: Iterable[Mapping[str, Any]]) -> Iterator[Tracked]:
        for record in records:
            image = record["dynamodb"].get("NewImage")
            key = ItemKey.from_item(record["dynamodb"]["Keys"])
            item = self.items.get(key)
            if not is_outstanding(image, self.design):
                continue
            tracked, redrive = self.messages[key], self._redrive(image)
            if item is None:
                # Deleted by somebody before it was published: the image is all that is left, and enough, but
                # it cannot be parked where its topic has been out of reach for too long.
                held = any(topic == tracked.commit.topic for topic, _ in self.refusals)
                kept = self.scenario.relaying.strategy != "delete"
                waits = tracked.good and kept and not tracked.parks and not held
            else:
                waits = is_outstanding(item, self.design) and redrive == self._redrive(item)
            if waits and not self._accepted(tracked, redrive):
                yield tracked

    def logged(self, text: str) -> None:
        """A line is written to the log."""
        if CANARY in text:
            self.violate("leaked", text.replace(CANARY, "(payload)")[:200])

    # The end

    def finish(self) -> None:
        """The run is over, and everything should be where it belongs."""
        for tracked in self.messages.values():
            item = self.items.get(tracked.key)
            marker = None if item is None else item.get(self.design.not_dispatched)
            accepted = self._accepted(tracked, self._redrive(item))
            if marker not in (None, {"S": PARKED}) and self.scenario.relaying.strategy is not None:
                self.violate("stuck", f"{tracked.name} is outstanding")
            if tracked.good and not accepted and not tracked.removed:
                self.violate("lost", f"{tracked.name} was never accepted")
            if not tracked.good and not tracked.parks and not tracked.removed:
                self.violate("lost", f"{tracked.name} is not parked")

    def _accepted(self, tracked: Tracked, redrive: int) -> bool:
        return any(acceptance.redrive >= redrive for acceptance in tracked.acceptances)

    def _redrive(self, item: Mapping[str, Any] | None) -> int:
        return 0 if item is None else int(item.get(self.design.redrive_count, {"N": "0"})["N"])

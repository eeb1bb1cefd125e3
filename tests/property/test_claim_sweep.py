"""No body is deleted that an item or a queue may need; all others are, in the end.

A history is drawn for each message: when its body was written, when the transaction committed if it did,
when the relay published it, when its item went; and when sweeps ran, some with a table that does not answer.
The oracle knows what a sweep cannot: what is still under way, and what is in the queues.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from outbox_sdk import ConfigurationError, TableDesign
from outbox_sdk.core.claim import ClaimPlace
from outbox_sdk.core.claim_sweep import ClaimSweepReport
from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.core.lookup import LookupResult, Unreadable
from outbox_sdk.shell import claim_sweeper
from outbox_sdk.shell.claim_sweeper import sweep_claims
from outbox_sdk.testing import InMemoryBucket, InMemoryStack, InMemoryTable

HOUR = 3_600.0
DAY = 24 * HOUR
MINIMUM_AGE_DAYS = 4
PLACE = ClaimPlace("orders-claims", "claims/", "outbox")
DESIGN = TableDesign.ordered


@dataclass(frozen=True)
class Life:
    """A message's life in hours from the beginning; ``committed`` and ``gone`` are ``None`` for never.

    ``published`` lists when copies came into queues, which keep each for ``kept`` hours.
    """

    written: int
    committed: int | None
    gone: int | None
    published: tuple[int, ...]
    kept: int

    def in_table(self, hour: float) -> bool:
        return (
            self.committed is not None and self.committed <= hour and (self.gone is None or hour < self.gone)
        )

    def is_needed(self, hour: float) -> bool:
        """Whether whoever knows everything would keep the body."""
        ahead = self.committed is not None and hour < self.committed
        queued = any(hour < each + self.kept for each in self.published)
        return ahead or self.in_table(hour) or queued


@st.composite
def lives(draw: st.DrawFn) -> Life:
    written = draw(st.integers(0, 400))
    if draw(st.booleans()) and draw(st.booleans()):
        return Life(written, None, None, (), 0)
    committed = written + draw(st.integers(0, 23))
    gone = draw(st.none() | st.integers(0, 900).map(lambda hours: committed + hours))
    # From the table while the item is there, or from its image in the stream, which is there a day longer.
    last = (committed + 900 if gone is None else gone) + 23
    published = draw(st.lists(st.integers(committed, last), max_size=3))
    return Life(written, committed, gone, tuple(published), draw(st.integers(0, MINIMUM_AGE_DAYS * 24)))


class FlakyTable(InMemoryTable):
    """Does not answer while it is told so, for a reason that no retry helps against."""

    unreadable = False

    async def lookup(self, keys: Sequence[ItemKey]) -> Mapping[ItemKey, LookupResult]:
        if self.unreadable:
            return dict.fromkeys(keys, Unreadable("AccessDeniedException"))
        return await super().lookup(keys)


class World:
    """A bucket, a table and a clock that goes by hours."""

    def __init__(self, histories: Sequence[Life]) -> None:
        self.hour = 0.0
        self.lives = {
            PLACE.encode_key(self.item_key(number), DESIGN, digest="0" * 64, nonce=f"{number:016x}"): life
            for number, life in enumerate(histories)
        }
        self.keys = {key: self.item_key(number) for number, key in enumerate(self.lives)}
        self.s3 = InMemoryBucket("orders-claims", now=self.now)
        self.table = FlakyTable(DESIGN)
        self.context = replace(InMemoryStack().context, table=self.table, now=self.now)
        self.written: set[str] = set()

    @staticmethod
    def item_key(number: int) -> ItemKey:
        return ItemKey.from_item({"PK": {"S": f"AGGREGATE#{number % 3}"}, "SK": {"S": f"MESSAGE#{number}"}})

    def now(self) -> float:
        return 1_000_000.0 + self.hour * HOUR

    async def go_on(self, hour: float) -> None:
        """Let what happens until then happen."""
        for key in sorted(self.lives.keys() - self.written, key=lambda key: self.lives[key].written):
            if self.lives[key].written <= hour:
                self.hour = self.lives[key].written
                await self.s3.put_object(Bucket="orders-claims", Key=key, Body=b"")
                self.written.add(key)
        self.hour = hour
        self.table.items = {self.keys[key]: {} for key, life in self.lives.items() if life.in_table(hour)}

    async def sweep(
        self, *, minimum_age_days: float = MINIMUM_AGE_DAYS, pause: float = 0.0
    ) -> ClaimSweepReport:
        return await sweep_claims(
            self.context, self.s3, PLACE, minimum_age_days=minimum_age_days, pause_seconds=pause
        )

    def left(self) -> set[str]:
        return {key for _, key in self.s3.objects if key.startswith(PLACE.bodies)}

    def notes(self) -> set[str]:
        return {key for _, key in self.s3.objects if key.startswith(PLACE.notes)}


@settings(max_examples=300, deadline=None)
@given(
    histories=st.lists(lives(), min_size=1, max_size=12),
    sweeps=st.lists(st.tuples(st.integers(0, 1_600), st.sampled_from([False, False, True])), max_size=25),
    page=st.sampled_from([1, 2, 1_000]),
)
# An item that waited for a person for longer than any queue keeps a message, and then went at once.
@example(
    histories=[Life(0, 0, 801, (800,), 96)], sweeps=[(700, False), (802, False), (830, False)], page=1_000
)
# The relay published from the stream's image when the item had been gone for nearly a day.
@example(histories=[Life(0, 0, 100, (123,), 96)], sweeps=[(100, False), (200, False)], page=1_000)
# The table did not answer while the item was there: nothing may be noted then.
@example(histories=[Life(0, 0, 200, (199,), 96)], sweeps=[(30, True), (201, False)], page=1_000)
# The table does not answer when it matters.
@pytest.mark.once
@example(histories=[Life(0, 0, None, (), 0)], sweeps=[(30, True), (300, True), (301, True)], page=1_000)
def test_a_body_goes_only_when_nobody_can_need_it(
    histories: list[Life], sweeps: list[tuple[int, bool]], page: int
) -> None:
    async def play() -> None:
        world = World(histories)
        for hour, unreadable in sorted(sweeps):
            await world.go_on(hour)
            world.table.unreadable = unreadable
            report = await world.sweep()
            gone = world.written - world.left()
            needed = {key for key in gone if world.lives[key].is_needed(hour)}
            assert not needed, [world.lives[key] for key in needed]
            assert report.found == report.deleted + sum(report.kept.values())
            assert {PLACE.bodies + note.removeprefix(PLACE.notes) for note in world.notes()} <= world.left()

        # Everything comes to its end, but for what is in the table for ever.
        world.table.unreadable = False
        for hour in range(2_000, 2_000 + 24 * (MINIMUM_AGE_DAYS + 4), 24):
            await world.go_on(hour)
            await world.sweep()
        assert world.left() == {key for key, life in world.lives.items() if life.in_table(world.hour)}
        assert world.notes() == set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claim_sweeper, "_PAGE_SIZE", page)
        asyncio.run(play())


async def test_a_note_is_forgotten_when_the_item_is_back() -> None:
    """Somebody restores the item, sends it again, and deletes it: the time begins anew."""
    world = World([Life(0, 1, 2, (), 0)])
    await world.go_on(30)
    assert (await world.sweep()).kept == {"missed": 1}
    (key,) = world.left()
    world.hour = 200
    world.table.items = {world.keys[key]: {}}
    assert (await world.sweep()).kept == {"back": 1}
    assert world.notes() == set()
    world.table.items = {}
    world.hour = 201
    assert (await world.sweep()).kept == {"missed": 1}
    assert world.left() == {key}


async def test_what_no_outbox_has_written_is_left_alone() -> None:
    world = World([Life(0, None, None, (), 0)])
    await world.go_on(0)
    foreign = [PLACE.bodies + "report.csv", "claims/outbox-2/body/x", "elsewhere"]
    for key in foreign:
        await world.s3.put_object(Bucket="orders-claims", Key=key, Body=b"")
    for day in range(2, 20):
        await world.go_on(24 * day)
        await world.sweep()
    report = await world.sweep()
    assert report.kept == {"foreign": 1}
    assert {key for _, key in world.s3.objects} == {*foreign, PLACE.swept}


async def test_attempts_of_one_message_are_looked_up_once_and_kept_while_its_item_is_there() -> None:
    world = World([Life(0, 1, None, (), 0)])
    await world.go_on(0)
    (first,) = world.left()
    second = first[:-1] + "f"
    await world.s3.put_object(Bucket="orders-claims", Key=second, Body=b"")
    await world.go_on(2_000)
    assert (await world.sweep()).kept == {"needed": 2}


async def test_a_sweep_that_was_complete_is_not_due_again_at_once() -> None:
    world = World([Life(0, None, None, (), 0)])
    await world.go_on(30)
    assert (await world.sweep(pause=20 * HOUR)).due
    world.hour += 19
    again = await world.sweep(pause=20 * HOUR)
    assert (again.due, again.found, again.succeeded) == (False, 0, True)
    world.hour += 2
    assert (await world.sweep(pause=20 * HOUR)).found == 1


async def test_a_sweep_without_time_says_so() -> None:
    world = World([Life(0, None, None, (), 0)])
    await world.go_on(30)
    report = await sweep_claims(world.context, world.s3, PLACE, minimum_age_days=14, remaining_seconds=0.0)
    assert not report.complete
    assert not report.succeeded
    assert PLACE.swept not in {key for _, key in world.s3.objects}


async def test_a_body_in_its_first_day_costs_neither_a_look_nor_a_note() -> None:
    """Its transaction may be under way; and most items are there as long as that."""
    world = World([Life(0, 23, 900, (), 0)])
    world.table.unreadable = True
    await world.go_on(22)
    report = await world.sweep()
    assert (report.kept, report.failures, world.notes()) == ({"young": 1}, {}, set())
    await world.go_on(24)
    report = await world.sweep()
    assert (report.kept, report.failures, world.notes()) == (
        {"unread": 1},
        {"AccessDeniedException": 1},
        set(),
    )


async def test_less_than_a_day_is_refused() -> None:
    world = World([])
    with pytest.raises(ConfigurationError, match="minimum_age_days"):
        await world.sweep(minimum_age_days=0.5)

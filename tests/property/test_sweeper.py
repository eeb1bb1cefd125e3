"""The whole sweeper in a world of faults, run again until quiet: nothing is lost, and order is kept."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from outbox_sdk.core.backlog import BucketPage, Fetched, FetchResult, Sighting
from outbox_sdk.core.identifiers import Item, ItemKey
from outbox_sdk.core.lookup import Missing, Unreadable
from outbox_sdk.core.sweep_report import SweepReport
from outbox_sdk.core.text import format_instant
from outbox_sdk.shell import listing, sweeper
from outbox_sdk.shell.sweeper import sweep
from tests.property.test_relay import COMMITS, FAULTS, Commit, check_nothing_is_lost, check_order, key_of
from tests.property.world import BAD, DESIGN, Fault, World

EXAMPLES = settings().max_examples


@dataclass
class Backlog(World):
    """The world's table as a sweep sees it; the stream has lost everything."""

    async def list_bucket(self, bucket: str, *, cursor: Item | None, limit: int) -> BucketPage | Unreadable:
        """A page of the index, or trouble."""
        fault = self._fault("list") if bucket in ("00", "03", "x") else Fault("none")
        await asyncio.sleep(0)
        if fault.kind != "none":
            return Unreadable("Throttled" if fault.kind == "throttled" else "AccessDeniedException")
        held = sorted(
            (item[DESIGN.created_at]["S"], key.parts)
            for key, item in self.items.items()
            if self.marker_of(key) == bucket
        )
        start = 0 if cursor is None else int(cursor["place"]["N"])
        page = tuple(Sighting(ItemKey(parts), text) for text, parts in held[start : start + limit])
        end = start + limit
        return BucketPage(page, {"place": {"N": f"{end}"}} if end <= len(held) else None)

    async def fetch(self, keys: Sequence[ItemKey], *, whole: bool) -> Mapping[ItemKey, FetchResult]:
        """A consistent read, of all or some."""
        assert 1 <= len(set(keys)) == len(keys) <= 100
        fault = self._fault("fetch")
        await asyncio.sleep(0)
        return {
            key: Unreadable("Throttled")
            if fault.kind != "none" and fault.hits(place)
            else Fetched(self.items[key])
            if key in self.items
            else Missing()
            for place, key in enumerate(keys)
        }

    async def touch(self, touch: Any) -> Any:
        """Publishing touches nothing."""
        raise AssertionError


_READS = st.lists(
    st.builds(Fault, st.sampled_from(["none", "throttled", "denied"]), st.integers(1, 15)), max_size=9
)
READS = st.fixed_dictionaries({"list": _READS, "fetch": _READS})


def write(world: World, commits: list[Commit], order: Sequence[int]) -> dict[ItemKey, Commit]:
    """Write what was committed second by second; the index holds it in any bucket, the table in any order."""
    written = {key_of(number, commit): commit for number, commit in enumerate(commits)}
    for number in order:
        key, commit = list(written.items())[number]
        item: dict[str, Any] = {
            **key.to_item(),
            DESIGN.message_id: {"S": f"m{number}"},
            DESIGN.aggregate_id: {"S": commit.aggregate},
            DESIGN.topic: {"S": commit.topic},
            DESIGN.body: {"S": BAD if commit.kind == "bad" else f"body {number}"},
            DESIGN.created_at: {"S": format_instant(datetime.fromtimestamp(900_000 + number, UTC))},
            DESIGN.not_dispatched: {"S": ("x", "00", "03")[number * 2 % 3]},
        }
        if commit.kind == "poison":
            del item[DESIGN.body]
        world.write(key, item)
    return written


@settings(max_examples=EXAMPLES * 2)
@given(st.data(), st.lists(COMMITS, min_size=1, max_size=10), FAULTS, READS, st.integers(1, 12))
def test_through_any_faults_a_backlog_is_published_in_order_and_nothing_is_lost(
    data: st.DataObject,
    commits: list[Commit],
    faults: dict[str, list[Fault]],
    reads: dict[str, list[Fault]],
    limit: int,
) -> None:
    """What is held or unread is so for its aggregate, in later chunks too, and the next run goes on there."""
    world = Backlog(faults={**faults, **reads})
    written = write(world, commits, data.draw(st.permutations(range(len(commits)))))

    async def run_until_quiet() -> SweepReport:
        for _ in range(100):
            world.now += 1.0
            report = await sweep(world.context, world, sweep_after=60.0, limit=limit, publish=True)
            assert asyncio.all_tasks() == {asyncio.current_task()}, "a task was left running"
            check_order(world, written)
            if report.succeeded and not report.found:
                return report
        raise AssertionError("it never comes to rest")

    with mock.patch.object(sweeper, "_CHUNK", 3), mock.patch.object(listing, "_PAGE_SIZE", 2):
        asyncio.run(run_until_quiet())
    check_nothing_is_lost(world, written)
    assert {world.marker_of(key) for key in world.items} <= {None, "parked"}

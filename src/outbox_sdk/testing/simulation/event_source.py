"""Lambda's event source mapping: batches, partial answers, retries, bisecting, age, and what is given up.

The behaviour is the one recorded from AWS: :func:`~outbox_sdk.core.checkpoint.count_settled` reads the
answers, and the settings have the meaning that AWS documents. Where AWS documents nothing, the harsher
reading is taken: when retries are used up, all that is left of the batch is given up.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import Any
from zlib import crc32

from outbox_sdk.core.checkpoint import count_settled
from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.core.items import is_outstanding
from outbox_sdk.core.table import TableDesign
from outbox_sdk.testing.simulation.ledger import Ledger
from outbox_sdk.testing.simulation.scenario import FaultPlan
from outbox_sdk.testing.simulation.scenario import Mapping as MappingSettings
from outbox_sdk.testing.simulation.stream import RETENTION_SECONDS, SimulatedShard, SimulatedStream
from outbox_sdk.testing.simulation.tracked import EPOCH

__all__ = ["SimulatedMapping"]

_Batch = Sequence[Mapping[str, Any]]

_POLL_SECONDS = 0.25
_BACKOFF_SECONDS = 60.0


class SimulatedMapping:
    """Reads all shards side by side, a parent to its end before its children, and invokes the function."""

    def __init__(
        self,
        stream: SimulatedStream,
        invoke: Callable[[_Batch], Awaitable[Any]],
        *,
        settings: MappingSettings,
        design: TableDesign,
        plan: FaultPlan,
        ledger: Ledger,
        changed: asyncio.Event,
    ) -> None:
        self._stream = stream
        self._invoke = invoke
        self._settings = settings
        self._design = design
        self._plan = plan
        self._ledger = ledger
        self._changed = changed
        self._positions: dict[tuple[str, int], int] = {}
        self._finished: set[str] = set()
        self._pollers: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._busy = 0
        self.rested: asyncio.Event = asyncio.Event()
        self.given_up: list[Mapping[str, Any]] = []

    async def run(self) -> None:
        """Poll until cancelled."""
        async with asyncio.TaskGroup() as group:
            while not self._ledger.violations:
                self._changed.clear()
                for shard in self._stream.shards:
                    self._poll(shard, group)
                if not self._busy and self._consumed:
                    self.rested.set()
                await self._changed.wait()
        self.rested.set()  # one violation is enough: what follows from it says nothing more

    def _poll(self, shard: SimulatedShard, group: asyncio.TaskGroup) -> None:
        """Read what a shard has, one batch after the other in each of its lanes."""
        if shard.parent is not None and shard.parent.name not in self._finished:
            return
        lanes = range(self._settings.parallelization_factor)
        for lane in lanes:
            place = (shard.name, lane)
            running = self._pollers.get(place)
            if self._positions.get(place, 0) < shard.end and (running is None or running.done()):
                self.rested.clear()
                self._busy += 1
                self._pollers[place] = group.create_task(self._read(shard, lane))
        read = all(self._positions.get((shard.name, lane), 0) >= shard.end for lane in lanes)
        if read and not shard.open and shard.name not in self._finished:
            self._finished.add(shard.name)
            self._changed.set()  # its children may begin

    @property
    def _consumed(self) -> bool:
        return all(
            self._positions.get((shard.name, lane), 0) >= shard.end
            for shard in self._stream.shards
            for lane in range(self._settings.parallelization_factor)
        )

    async def _read(self, shard: SimulatedShard, lane: int) -> None:
        place = (shard.name, lane)
        try:
            while self._positions.get(place, 0) < shard.end and not self._ledger.violations:
                await asyncio.sleep(_POLL_SECONDS)
                await self._enabled()
                batch, position = self._next_batch(shard, lane, self._positions.get(place, 0))
                await self._deliver(batch)
                self._positions[place] = position
        finally:
            self._busy -= 1
            self._changed.set()

    async def _enabled(self) -> None:
        for start, end in self._settings.disabled:
            if start <= self._ledger.now < end:
                await asyncio.sleep(end - self._ledger.now)

    def _next_batch(self, shard: SimulatedShard, lane: int, position: int) -> tuple[_Batch, int]:
        self._ledger.discarded(
            shard.trim(EPOCH + self._ledger.now),
            "trimmed by the stream",
            by_design=bool(self._settings.disabled),
        )
        position = max(position, shard.trimmed)
        batch: list[Mapping[str, Any]] = []
        for _, record in islice(shard.read(position), 1_000):
            if len(batch) == self._settings.batch_size:
                break
            position += 1
            key = ItemKey.from_item(record["dynamodb"]["Keys"])
            mine = crc32(key.describe().encode()) % self._settings.parallelization_factor == lane
            if mine and (not self._settings.filtered or self._passes(record)):
                batch.append(record)
        return batch, position

    def _passes(self, record: Mapping[str, Any]) -> bool:
        """The filter of the deployment: outstanding images, and removals of what was outstanding."""
        change = record["dynamodb"]
        image = change.get("OldImage" if record["eventName"] == "REMOVE" else "NewImage")
        return is_outstanding(image, self._design)

    async def _deliver(self, batch: _Batch) -> None:
        """Bring a batch until all of it is settled or given up."""
        pending = deque([batch])
        failures = 0
        while pending and not self._ledger.violations:
            await self._enabled()
            records = self._drop_old(pending.popleft())
            if not records:
                continue
            response = await self._invoke(records)
            failed = response is None
            settled = 0 if failed else count_settled(records, response)
            self._ledger.let_go(records[:settled])
            rest = records[settled:]
            if not rest:
                if self._plan.redelivers(self._ledger.now):
                    self._ledger.note("a settled batch is delivered again")
                    pending.appendleft(records)
                failures = 0
                continue
            failures += 1
            limit = self._settings.max_retry_attempts
            if 0 <= limit < failures:
                self._give_up(rest, "retries are used up")
                failures = 0
                continue
            if failed and self._settings.bisect and len(rest) > 1:
                middle = len(rest) // 2
                pending.extendleft([rest[middle:], rest[:middle]])
            else:
                pending.appendleft(rest)
            await asyncio.sleep(min(_BACKOFF_SECONDS, 0.1 * 2.0 ** min(failures, 20)))

    def _drop_old(self, records: _Batch) -> _Batch:
        age_limit = self._settings.max_record_age
        now = EPOCH + self._ledger.now
        if age_limit >= 0:
            old = [record for record in records if _age(record, now) > age_limit]
            if old:
                self._give_up(old, "too old for the mapping")
                records = [record for record in records if _age(record, now) <= age_limit]
        trimmed = [record for record in records if _age(record, now) > RETENTION_SECONDS]
        if trimmed:
            self._ledger.discarded(trimmed, "trimmed while it was retried", by_design=False)
            records = [record for record in records if _age(record, now) <= RETENTION_SECONDS]
        return records

    def _give_up(self, records: _Batch, why: str) -> None:
        """Write records to the on-failure destination, whose objects hold all of them."""
        finite = self._settings.max_retry_attempts >= 0 or self._settings.max_record_age >= 0
        self.given_up.extend(records)
        self._ledger.discarded(records, why, by_design=finite)


def _age(record: Mapping[str, Any], now: float) -> float:
    created: float = record["dynamodb"]["ApproximateCreationDateTime"]
    return now - created

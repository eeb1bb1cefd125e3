"""The stream of a simulated table: shards by partition, sequence numbers, splits, trimming."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any
from zlib import crc32

from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.testing.table import stream_record

__all__ = ["RETENTION_SECONDS", "SimulatedShard", "SimulatedStream"]

RETENTION_SECONDS = 86_400.0
"""The stream keeps a record for a day, and then it is gone without a trace."""

_HASHES = 2**32


class SimulatedShard:
    """A part of the stream: the records of one range of partition keys, in order, until it is closed."""

    def __init__(self, low: int, high: int, *, parent: "SimulatedShard | None" = None) -> None:
        self.low = low
        self.high = high
        self.parent = parent
        self.open: bool = True
        self.records: list[tuple[float, dict[str, Any]]] = []
        self.trimmed: int = 0

    @property
    def name(self) -> str:
        """Its range, for a trace."""
        return f"shard-{self.low >> 24:02x}-{(self.high - 1) >> 24:02x}"

    @property
    def end(self) -> int:
        """The position behind its last record; positions count from its first, trimmed ones included."""
        return self.trimmed + len(self.records)

    def read(self, position: int) -> Iterator[tuple[float, dict[str, Any]]]:
        """Give the records from a position on, each with the time of its change; trimmed ones are gone."""
        return iter(self.records[max(0, position - self.trimmed) :])

    def trim(self, now: float) -> list[dict[str, Any]]:
        """Drop what is older than a day; give what was dropped."""
        count = 0
        while count < len(self.records) and self.records[count][0] < now - RETENTION_SECONDS:
            count += 1
        dropped = [record for _, record in self.records[:count]]
        del self.records[:count]
        self.trimmed += count
        return dropped


class SimulatedStream:
    """All shards of a table's stream. Every write appends one record to the open shard of its partition."""

    def __init__(self, shards: int, *, longer_from: int = 3) -> None:
        edges = [_HASHES * number // shards for number in range(shards + 1)]
        self.shards: list[SimulatedShard] = [SimulatedShard(low, high) for low, high in pairwise(edges)]
        self._number = 0
        self._longer_from = longer_from

    def append(
        self,
        key: ItemKey,
        *,
        new: Mapping[str, Any] | None,
        old: Mapping[str, Any] | None,
        now: float,
        by_time_to_live: bool = False,
    ) -> None:
        """Write the record of one change."""
        record = stream_record(
            self._number, key, new=new, old=old, now=float(int(now)), longer_from=self._longer_from
        )
        if by_time_to_live:
            record["userIdentity"] = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
        self._number += 1
        place = crc32(key.parts[0][2].encode())
        shard = next(shard for shard in self.shards if shard.open and shard.low <= place < shard.high)
        shard.records.append((now, record))

    def split(self, number: int) -> None:
        """Close one of the open shards and go on in two children."""
        candidates = [shard for shard in self.shards if shard.open]
        parent = candidates[number % len(candidates)]
        parent.open = False
        middle = (parent.low + parent.high) // 2
        self.shards.append(SimulatedShard(parent.low, middle, parent=parent))
        self.shards.append(SimulatedShard(middle, parent.high, parent=parent))

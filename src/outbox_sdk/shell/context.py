"""What a relay holds for its whole life: its ports, its rules, its clocks, and what it remembers.

The memories may be shared by relays on several event loops and threads.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import SystemRandom
from threading import Lock
from time import time

from outbox_sdk.core.identifiers import ItemKey, SequenceNumber, TableName, TopicArn
from outbox_sdk.core.plan import Wrapping
from outbox_sdk.core.retry import RetryPolicy
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell.ports import Marker, Publisher, Table

__all__ = ["HoldMemo", "InFlight", "PublishedMemo", "RecordKey", "RelayContext"]

# From the operating system: processes that were restored from one snapshot have the state of Python's own
# generator in common, and would all come back at the same time.
_jitter = SystemRandom().random


RecordKey = tuple[ItemKey, SequenceNumber | None]
"""A record of an item; without a number where a sweep has read the item from the table."""


class PublishedMemo:
    """A bounded memory of records whose messages this process has published.

    Only an optimisation: a fresh process has none, and publishes once more what it cannot know of. What a
    sweep publishes has no record, so each sweep has a memory of its own.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._records: OrderedDict[RecordKey, None] = OrderedDict()
        self._lock = Lock()

    def add(self, records: Iterable[RecordKey]) -> None:
        """Remember records; the oldest are forgotten when the memory is full."""
        with self._lock:
            self._records.update(dict.fromkeys(records))
            while len(self._records) > self._capacity:
                self._records.popitem(last=False)

    def discard(self, records: Iterable[RecordKey]) -> None:
        """Forget records, known or not."""
        with self._lock:
            for record in records:
                self._records.pop(record, None)

    def known(self, records: Iterable[RecordKey]) -> frozenset[RecordKey]:
        """Give those of the records that are remembered."""
        with self._lock:
            return frozenset(filter(self._records.__contains__, records))


class InFlight:
    """The items that some batch in this process is at work on, so that no other publishes them meanwhile.

    A local stack may call the handler again while a batch is under way, with records of that very batch.
    """

    def __init__(self) -> None:
        self._keys: set[ItemKey] = set()
        self._lock = Lock()

    @contextmanager
    def hold(self, keys: Iterable[ItemKey]) -> Iterator[frozenset[ItemKey]]:
        """Take items up for the length of the block; give those that nobody else had."""
        with self._lock:
            mine = frozenset(keys) - self._keys
            self._keys |= mine
        try:
            yield mine
        finally:
            with self._lock:
                self._keys -= mine


class HoldMemo:
    """Since when each topic has been held by each code, as far as this process knows; in epoch seconds."""

    def __init__(self) -> None:
        self._spans: dict[TopicArn, dict[str, tuple[float, float]]] = {}
        self._lock = Lock()

    def hold(self, topic: TopicArn, code: str, now: float, *, pause: float) -> float:
        """Note that a topic is held; give the time since which it has been.

        After ``pause`` seconds without a word of it the time begins anew: the topic may have been mended in
        between, and this process would not know.
        """
        with self._lock:
            spans = self._spans.setdefault(topic, {})
            since, last = spans.get(code, (now, now))
            spans[code] = (since if now - last <= pause else now, now)
            return spans[code][0]

    def release(self, topic: TopicArn) -> None:
        """Forget a topic's holds: something has been published there."""
        with self._lock:
            self._spans.pop(topic, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayContext:
    """The ports and rules of a relay. ``marker`` is ``None`` where marking is switched off.

    ``now`` gives epoch seconds, ``jitter`` a random number in [0, 1). Times are in seconds. ``memo`` holds
    what is published and not yet marked, ``done`` what is marked as well.
    """

    publisher: Publisher
    table: Table
    marker: Marker | None
    table_name: TableName
    design: TableDesign
    wrapping: Wrapping
    max_concurrency: int = 32
    ttl_days: int | None = None
    recheck_after: float = 5.0
    park_held_after: float = 3600.0
    park_older_than: float | None = None
    sweep_after: float = 3600.0
    sweep_limit: int = 1_000
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    now: Callable[[], float] = time
    jitter: Callable[[], float] = _jitter
    memo: PublishedMemo = field(default_factory=PublishedMemo)
    done: PublishedMemo = field(default_factory=PublishedMemo)
    holds: HoldMemo = field(default_factory=HoldMemo)
    in_flight: InFlight = field(default_factory=InFlight)

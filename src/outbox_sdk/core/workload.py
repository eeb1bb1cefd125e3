"""What is asked of an outbox, as one value."""

import re

import msgspec

from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.event_source import EventSource
from outbox_sdk.core.mark import MarkStrategy
from outbox_sdk.core.quotas import CONCURRENT_EXECUTIONS, POLL_SECONDS, TABLE_UNITS_PER_SECOND, SnsQuotas
from outbox_sdk.core.table import TableDesign

__all__ = ["SECONDS_A_MONTH", "Workload", "parse_rate"]

SECONDS_A_MONTH = 2_628_000
"""730 hours, as AWS counts a month in its examples."""


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of an outbox, how it is set, and what surrounds it. Times in seconds, rates a second.

    Asked: ``rate`` messages with bodies of ``body_bytes``, to ``topics`` topics, ``fifo`` or not.
    ``aggregate_rate`` is what one aggregate brings of it: on a FIFO topic its messages in a batch go one
    after the other, and in the design ``ordered`` they share a partition.

    Set: the table, the ``buckets`` of its index, whether messages are put ``in_transaction`` and with a
    ``sequence``; the mark and ``ttl_days``; the mapping (``source``), ``max_concurrency`` calls at a time
    in an invocation, and the function's ``memory_mb``. ``shards`` is how many the stream has, where that is
    known; else as many as the writes need partitions.

    Around: how long a ``PublishBatch`` and a request of marks take, ``poll_seconds`` between two reads of a
    shard, CPU on a whole core, and quotas. Latencies and CPU are assumptions, to be replaced by what your
    function shows; the CPU of a record is what ``benchmarks/decode_and_plan.py`` gave on one machine.

    Raises:
        ConfigurationError: a figure is out of bounds.
    """

    rate: float
    body_bytes: int = 1_024
    fifo: bool = False
    topics: int = 1
    aggregate_rate: float = 1.0

    design: TableDesign = TableDesign.ordered
    buckets: int = 16
    in_transaction: bool = True
    sequenced: bool = False
    strategy: MarkStrategy = "batch"
    ttl_days: int | None = 7
    source: EventSource = EventSource()
    max_concurrency: int = 32
    memory_mb: int = 512
    shards: int | None = None

    publish_seconds: float = 0.02
    mark_seconds: float = 0.01
    poll_seconds: float = POLL_SECONDS
    cpu_seconds_per_record: float = 0.000_05
    cpu_seconds_per_request: float = 0.000_5
    sns: SnsQuotas = SnsQuotas()
    concurrent_executions: int = CONCURRENT_EXECUTIONS
    table_units_per_second: float = TABLE_UNITS_PER_SECOND

    def __post_init__(self) -> None:
        for field, (minimum, maximum) in _BOUNDS.items():
            value = getattr(self, field)
            if value is not None and not minimum <= value <= maximum:
                raise ConfigurationError(field, f"{value} is not between {minimum} and {maximum}")


_BOUNDS: dict[str, tuple[float, float]] = {
    "rate": (0.001, 1_000_000),
    # What an item holds, less what the other attributes take.
    "body_bytes": (1, 400_000),
    "topics": (1, 100_000),
    "aggregate_rate": (0.000_001, 1_000_000),
    "buckets": (1, 100),
    "max_concurrency": (1, 1_000),
    "memory_mb": (128, 10_240),
    "shards": (1, 1_000_000),
    "publish_seconds": (0.0, 60.0),
    "mark_seconds": (0.0, 60.0),
    # With none, an idle poller would read without end.
    "poll_seconds": (0.001, 60.0),
    "cpu_seconds_per_record": (0.0, 1.0),
    "cpu_seconds_per_request": (0.0, 1.0),
    "concurrent_executions": (1, 1_000_000),
    "table_units_per_second": (1, 100_000_000),
}


_SECONDS = {
    **dict.fromkeys(("s", "sec", "second"), 1),
    **dict.fromkeys(("m", "min", "minute"), 60),
    **dict.fromkeys(("h", "hour"), 3_600),
    **dict.fromkeys(("d", "day"), 86_400),
    **dict.fromkeys(("month",), SECONDS_A_MONTH),
}
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([kKMGB]?)\s*/\s*([a-z]+)")
_FACTORS = {"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9}


def parse_rate(text: str, *, variable: str) -> float:
    """Read messages a second from ``200/s``, ``5000/min``, ``1.5k/h``, ``2M/day`` or ``1B/month``.

    ``variable`` is what the text was given as.

    Raises:
        ConfigurationError: it is no such text.

    >>> parse_rate("200/s", variable="--rate"), parse_rate("6k/min", variable="--rate")
    (200.0, 100.0)
    """
    match = _RATE.fullmatch(text.strip())
    if match is None or match[3] not in _SECONDS:
        problem = f"{text!r} is no number of messages in a time, as 200/s, 5000/min, 30k/h, 2M/day, 1B/month"
        raise ConfigurationError(variable, problem)
    return float(match[1]) * _FACTORS[match[2]] / _SECONDS[match[3]]

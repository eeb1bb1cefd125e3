"""How much an outbox carries: from a workload to calls, concurrency, lag, and what is used up first.

A model of the steady state without faults, in AWS's documented limits (:mod:`outbox_sdk.core.quotas`).
Messages come at random (a Poisson stream), spread evenly over partitions, topics and aggregates. All
follows from one poller of the stream (:mod:`outbox_sdk.core.poller`) and one batch
(:mod:`outbox_sdk.core.batch_cost`); both are compared with the relay itself in the tests.
"""

import math
from collections.abc import Iterator
from typing import Any

import msgspec

from outbox_sdk.core.batch_cost import BatchCost, Calls
from outbox_sdk.core.entry import DEFAULT_TOPIC_MAX_BYTES, TopicLimits, encode_entry
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import AccountId, Region
from outbox_sdk.core.items import encode_item, item_size
from outbox_sdk.core.mark import MAX_BATCH_MARKS
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.poller import Poller, Turn, plan_turn
from outbox_sdk.core.publish import MAX_ENTRIES
from outbox_sdk.core.quotas import (
    EVENT_BYTES,
    MB_PER_CORE,
    PARTITION_UNITS_PER_SECOND,
    READ_BYTES,
    READ_RECORDS,
    SNS_CHUNK_BYTES,
)
from outbox_sdk.core.routing import Refusal, Routing
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.workload import Workload
from outbox_sdk.core.write_units import WriteUnits, example_message, kept_bytes, write_units

__all__ = ["Capacity", "Resource", "plan_capacity"]


class Resource(msgspec.Struct, frozen=True):
    """Something that can be used up. ``utilisation`` is 1 at its limit; ``advice`` says what to raise."""

    name: str
    utilisation: float
    advice: str


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """What a workload comes to, in the steady state. Rates are a second, times in seconds.

    The lag is from a message's commit until SNS has accepted it: the mean, and for the bound what a message
    waits at most if all come evenly. Both are infinite where the workload is not sustainable.
    ``concurrency`` is how many invocations run on average, ``pollers`` how many may at most.

    ``records_per_second`` is all that the stream carries. The relay's own marks and what the time to live
    deletes are of it, and are ``filtered_per_second`` before they reach the function. ``reads_per_second`` is
    Lambda's polling. ``sns_chunks_per_second`` are publishes as SNS bills them, in chunks of 64 KB.

    Bytes are of one message: its item, what of it is kept and billed as storage once it is marked (0 under
    ``delete``), its entry in a ``PublishBatch``, and its record in the function's event.

    ``resources`` come with the most used first. ``sustainable_rate`` is the rate that was asked for, or
    else the highest that these settings sustain with this many shards; 0 where none is.
    """

    units: WriteUnits
    item_bytes: int
    kept_bytes: int
    entry_bytes: int
    event_record_bytes: int
    shards: int
    pollers: int

    records_per_invocation: float
    batch: BatchCost
    invocation_seconds: float
    invocations_per_second: float
    concurrency: float
    gb_seconds_per_second: float

    publish_calls_per_second: float
    mark_calls_per_second: float
    calls_per_message: float
    sns_chunks_per_second: float

    producer_units_per_second: float
    relay_units_per_second: float
    table_units_per_second: float
    index_units_per_second: float
    records_per_second: float
    filtered_per_second: float
    reads_per_second: float

    lag_seconds: float
    lag_bound_seconds: float
    resources: tuple[Resource, ...]
    sustainable: bool
    sustainable_rate: float

    @property
    def bottleneck(self) -> Resource:
        """What is used up first."""
        return self.resources[0]


def plan_capacity(workload: Workload) -> Capacity:
    """Work out what a workload comes to.

    Raises:
        ConfigurationError: no topic takes a message of that size.

    >>> from outbox_sdk.core.workload import Workload
    >>> capacity = plan_capacity(Workload(rate=1_000))
    >>> capacity.shards, round(capacity.records_per_invocation), capacity.sustainable
    (6, 100, True)
    >>> round(capacity.publish_calls_per_second), round(capacity.mark_calls_per_second)
    (100, 40)
    >>> plan_capacity(Workload(rate=100_000)).bottleneck.name
    'table throughput'
    """
    model = _Model(workload)
    capacity = model.at(workload.rate)
    if capacity.sustainable:
        return capacity
    # Less of a rate uses less of everything, as the shards stay: halve to where it is sustainable.
    low, high = 0.0, workload.rate
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if model.at(middle).sustainable else (low, middle)
    return msgspec.structs.replace(capacity, sustainable_rate=low)


class _Model:
    """A workload, and what does not depend on its rate; the shards are those that its own rate needs."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        source, strategy = workload.source, workload.strategy
        message = example_message(
            body_bytes=workload.body_bytes,
            design=workload.design,
            topic="order--created.fifo" if workload.fifo else "order--created",
            sequence=1 if workload.sequenced else None,
        )
        self._entry_bytes = _entry_bytes(message)
        self._event_record_bytes = _event_record_bytes(message, workload.design)
        self._item_bytes = item_size(encode_item(message, workload.design))
        self._kept_bytes = (
            0 if strategy == "delete" else kept_bytes(message, workload.design, ttl_days=workload.ttl_days)
        )
        self._units = write_units(
            message,
            workload.design,
            strategy=strategy,
            in_transaction=workload.in_transaction,
            ttl_days=workload.ttl_days,
        )
        needed = math.ceil(workload.rate * self._units.table / PARTITION_UNITS_PER_SECOND)
        self._shards = workload.shards or max(1, needed)
        self._pollers = self._shards * source.parallelization_factor
        expires = workload.ttl_days is not None and strategy != "delete"
        # The put, the mark, and what the time to live deletes; an update shows two images, the others one.
        self._records = 3 if expires else 2
        images = 2 if strategy == "delete" else 4 if expires else 3
        self._stream_bytes = images * self._item_bytes
        core = min(1.0, workload.memory_mb / MB_PER_CORE)  # of several cores, the relay uses one
        self._poller = Poller(
            arrivals=0.0,
            calls=Calls(
                publish_seconds=workload.publish_seconds,
                mark_seconds=workload.mark_seconds,
                entries=min(MAX_ENTRIES, DEFAULT_TOPIC_MAX_BYTES // self._entry_bytes),
                marks=1 if strategy == "single" else MAX_BATCH_MARKS,
                slots=workload.max_concurrency,
            ),
            topics=workload.topics,
            batch_size=min(source.batch_size, EVENT_BYTES // self._event_record_bytes),
            window_seconds=source.batch_window_seconds,
            poll_seconds=workload.poll_seconds,
            records_per_message=self._records,
            bytes_per_message=self._stream_bytes,
            cpu_seconds_per_record=workload.cpu_seconds_per_record / core,
            cpu_seconds_per_request=workload.cpu_seconds_per_request / core,
        )

    def at(self, rate: float) -> Capacity:
        """Work everything out at a rate."""
        workload, units = self._workload, self._units
        turn = self._busiest_turn(rate)
        invocations = rate / turn.messages
        concurrency = invocations * turn.invocation_seconds
        publishes = invocations * turn.batch.publish_requests
        marks = invocations * turn.batch.mark_requests
        # A begun chunk of a request counts as a whole; as if requests were all of the same size.
        chunks = math.ceil(rate / publishes * self._entry_bytes / SNS_CHUNK_BYTES)
        records = rate * self._records
        resources = sorted(self._resources(rate, turn, concurrency), key=lambda each: -each.utilisation)
        # A queue whose server is never idle grows without end; all else may be used to the last.
        sustainable = resources[0].utilisation <= 1 and turn.utilisation < 1
        return Capacity(
            units=units,
            item_bytes=self._item_bytes,
            kept_bytes=self._kept_bytes,
            entry_bytes=self._entry_bytes,
            event_record_bytes=self._event_record_bytes,
            shards=self._shards,
            pollers=self._pollers,
            records_per_invocation=turn.messages,
            batch=turn.batch,
            invocation_seconds=turn.invocation_seconds,
            invocations_per_second=invocations,
            concurrency=concurrency,
            gb_seconds_per_second=concurrency * workload.memory_mb / 1_024,
            publish_calls_per_second=publishes,
            mark_calls_per_second=marks,
            calls_per_message=(publishes + marks) / rate,
            sns_chunks_per_second=publishes * chunks,
            producer_units_per_second=rate * units.producer,
            relay_units_per_second=rate * units.relay,
            table_units_per_second=rate * units.table,
            index_units_per_second=rate * units.index,
            records_per_second=records,
            filtered_per_second=records - rate,
            reads_per_second=self._shards / workload.poll_seconds,
            lag_seconds=turn.lag if sustainable else math.inf,
            lag_bound_seconds=turn.lag_bound if sustainable else math.inf,
            resources=tuple(resources),
            sustainable=sustainable,
            sustainable_rate=rate if sustainable else 0.0,
        )

    def _busiest_turn(self, rate: float) -> Turn:
        """Work out the poller to which the most comes; with an even spread that is any of them."""
        workload = self._workload
        aggregate_rate = min(workload.aggregate_rate, rate)
        arrivals = rate / self._pollers
        if workload.design.keyed_by == "aggregate":
            # All of an aggregate is in one shard, whose pollers share its items.
            arrivals = max(arrivals, aggregate_rate / workload.source.parallelization_factor)
        aggregates = max(1.0, arrivals / aggregate_rate) if workload.fifo else None
        return plan_turn(msgspec.structs.replace(self._poller, arrivals=arrivals, aggregates=aggregates))

    def _resources(self, rate: float, turn: Turn, concurrency: float) -> Iterator[Resource]:
        workload, units = self._workload, self._units
        yield Resource(
            "stream pollers",
            turn.utilisation,
            "raise the mapping's batch size, or its parallelization factor where no order is promised",
        )
        reads = max(self._records / READ_RECORDS, self._stream_bytes / READ_BYTES)
        yield Resource(
            "stream reads",
            rate / self._shards * reads * workload.poll_seconds,
            "make the messages smaller, or mark by deleting, which puts less into the stream",
        )
        yield Resource(
            "Lambda concurrency",
            concurrency / workload.concurrent_executions,
            "ask for a higher quota of concurrent executions, or raise the mapping's batch size",
        )
        yield Resource(
            "table throughput",
            rate * units.total / workload.table_units_per_second,
            "ask for a higher quota of the table's throughput, or spread the messages over several outboxes",
        )
        if workload.shards is not None:  # else there are as many as it takes, and never much more
            yield Resource(
                "table partitions",
                rate * units.table / (self._shards * PARTITION_UNITS_PER_SECOND),
                "raise the table's warm throughput, so that it has more partitions",
            )
        yield Resource(
            "index buckets",
            rate * units.index / (workload.buckets * PARTITION_UNITS_PER_SECOND),
            "raise OUTBOX_NOT_DISPATCHED_BUCKETS, up to 100, or spread the messages over several outboxes",
        )
        aggregate_rate = min(rate, workload.aggregate_rate)
        if workload.design.keyed_by == "aggregate":
            yield Resource(
                "partition of an aggregate",
                aggregate_rate * units.table / PARTITION_UNITS_PER_SECOND,
                "split the aggregate, or key the table by message where no order is promised",
            )
        if not workload.fifo:
            yield Resource("SNS standard topics", rate / workload.sns.standard, _ASK_SNS)
            return
        yield Resource("SNS FIFO topics", rate / workload.sns.fifo, _ASK_SNS)
        per_message = max(1 / workload.sns.fifo_topic, self._entry_bytes / workload.sns.fifo_topic_bytes)
        yield Resource(
            "SNS FIFO topic",
            rate / workload.topics * per_message,
            "set the topic's FifoThroughputScope to MessageGroup, or use more topics",
        )
        yield Resource(
            "SNS message group",
            aggregate_rate / workload.sns.fifo_group,
            "split the aggregate, for a message group takes no more",
        )


_ASK_SNS = "ask for a higher quota of messages published a second"


def _entry_bytes(message: OutboxMessage) -> int:
    """Bytes of a message in a ``PublishBatch``, as packing counts them."""
    routing = Routing(region=Region("us-east-1"), account_id=AccountId("000000000000"))
    entry = encode_entry(message, routing, kind="raw", limits=TopicLimits(), source="/outbox/outbox")
    if isinstance(entry, Refusal):
        raise ConfigurationError("body_bytes", f"no topic takes such a message: {entry.reason}")
    return min(entry.size, entry.limit)  # whatever the ids add, an entry fits into a request


def _event_record_bytes(message: OutboxMessage, design: TableDesign) -> int:
    """Bytes of a record in the function's event: JSON, with the new image alone, as of an insert."""
    stream = "arn:aws:dynamodb:us-east-1:000000000000:table/outbox/stream/2026-11-23T09:00:00.000"
    record: dict[str, Any] = {
        "eventID": "0" * 32,
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_795_424_400,
            "Keys": message.key.to_item(),
            "NewImage": encode_item(message, design),
            "SequenceNumber": "1" * 26,
            "SizeBytes": 10_000,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": stream,
    }
    return len(msgspec.json.encode(record)) + 1  # and a comma

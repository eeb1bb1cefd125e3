"""The capacity model against the relay itself, on virtual time; and its laws."""

import doctest
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox_sdk.core.batch_cost import Calls, batch_cost
from outbox_sdk.core.capacity import Capacity, plan_capacity
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.event_source import EventSource
from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.core.items import encode_item
from outbox_sdk.core.poller import Poller, plan_turn
from outbox_sdk.core.quotas import SnsQuotas, sns_quotas
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.workload import Workload
from outbox_sdk.core.write_units import example_message
from outbox_sdk.testing.table import stream_record
from tests.support.documents import ROOT, code_blocks
from tests.support.simulated_load import observe_batch, observe_stream

CALLS = Calls(publish_seconds=0.02, mark_seconds=0.01)
ONE_BY_ONE = Calls(publish_seconds=0.02, mark_seconds=0.01, marks=1)

BATCHES = {
    "one": (False, [[1]]),
    "ten": (False, [[1] * 10]),
    "eleven": (False, [[1] * 11]),
    "a hundred": (False, [[1] * 100]),
    "three topics": (False, [[1] * 13, [1] * 14, [1] * 15]),
    "a request more than slots": (False, [[1] * 330]),
    "a thousand": (False, [[1] * 1_000]),
    "lanes of one": (True, [[1] * 100]),
    "even lanes": (True, [[5] * 20]),
    "uneven lanes": (True, [[3, 1, 9, 4, 4, 4, 4] * 5]),
    "one aggregate": (True, [[100]]),
    "two FIFO topics": (True, [[2] * 30, [7] * 5]),
}


@pytest.mark.parametrize("calls", [CALLS, ONE_BY_ONE], ids=["batch", "single"])
@pytest.mark.parametrize("latencies", [(0.02, 0.01), (0.005, 0.005), (0.02, 0.005)], ids=str)
@pytest.mark.parametrize(("fifo", "topics"), BATCHES.values(), ids=BATCHES)
def test_a_batch_takes_the_calls_and_the_time_that_the_model_says(
    fifo: bool, topics: list[list[int]], latencies: tuple[float, float], calls: Calls
) -> None:
    """To the call, and to a tenth of the time, a mark taking no longer than a publish."""
    publish_seconds, mark_seconds = latencies
    calls = msgspec.structs.replace(calls, publish_seconds=publish_seconds, mark_seconds=mark_seconds)

    expected = batch_cost(topics, calls)
    observed = observe_batch(topics, calls, fifo=fifo)

    # One by one, marks keep slots from the next of a lane: what the model does not see of it is bounded.
    crowded = fifo and calls.marks == 1
    assert (observed.publish_requests, observed.seconds > 0) == (expected.publish_requests, True)
    lingered = int(observed.publish_seconds)
    assert 0 <= observed.mark_requests - expected.mark_requests <= lingered
    assert observed.seconds == pytest.approx(expected.seconds, rel=0.2 if crowded else 0.1)
    assert observed.publish_seconds == pytest.approx(expected.publish_seconds, rel=0.2 if crowded else 1e-6)
    assert observed.mean_publish_seconds == pytest.approx(
        expected.mean_publish_seconds, rel=0.2 if crowded else 0.05
    )


@given(
    topics=st.lists(st.lists(st.integers(1, 8), min_size=1, max_size=40), min_size=1, max_size=3),
    publish_seconds=st.floats(0.001, 0.05),
    mark_seconds=st.floats(0.001, 0.05),
    marks=st.sampled_from([1, 25]),
    slots=st.integers(1, 40),
)
def test_any_batch_takes_the_calls_that_the_model_says_and_no_less_than_it_must(
    topics: list[list[int]], publish_seconds: float, mark_seconds: float, marks: int, slots: int
) -> None:
    calls = Calls(publish_seconds=publish_seconds, mark_seconds=mark_seconds, marks=marks, slots=slots)

    expected = batch_cost(topics, calls)
    observed = observe_batch(topics, calls, fifo=True)

    assert observed.publish_requests == expected.publish_requests
    assert 0 <= observed.mark_requests - expected.mark_requests <= observed.publish_seconds
    # Whatever the order of the calls is, slots that stand idle only where a lane must wait take no longer.
    work = expected.publish_requests * publish_seconds + observed.mark_requests * mark_seconds
    longest = max(map(max, topics)) * publish_seconds + mark_seconds
    assert max(work / slots, longest) <= observed.seconds * (1 + 1e-9)
    assert max(observed.seconds, expected.seconds) <= work / slots + longest + 1 + 1e-9


STREAMS: dict[str, dict[str, Any]] = {
    "hardly anything": {"arrivals": 1},
    "a part of a batch": {"arrivals": 40},
    "no window": {"arrivals": 40, "window_seconds": 0},
    "several topics": {"arrivals": 40, "topics": 5},
    "marked one by one": {"arrivals": 40, "calls": ONE_BY_ONE},
    "full batches": {"arrivals": 150},
    "near the limit": {"arrivals": 300},
    "FIFO": {"arrivals": 40, "aggregates": 40.0},
    "FIFO, few aggregates": {"arrivals": 40, "aggregates": 4.0},
    "FIFO, one aggregate": {"arrivals": 20, "aggregates": 1.0},
    "FIFO, full batches": {"arrivals": 150, "aggregates": 150.0, "topics": 3},
}


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_pollers_come_to_what_the_model_says(stream: dict[str, Any]) -> None:
    poller = Poller(**{"calls": CALLS, **stream})

    turn = plan_turn(poller)
    observed = observe_stream(poller, seconds=min(400.0, 1_500 / poller.arrivals), pollers=2)

    assert turn.utilisation < 1
    assert observed.messages == pytest.approx(turn.messages, rel=0.05)
    # Of FIFO topics the model expects more calls than there are, by its own account.
    publishes = turn.batch.publish_requests / turn.messages
    assert publishes * (0.85 if poller.aggregates else 0.96) <= observed.publish_calls <= publishes * 1.04
    assert observed.mark_calls == pytest.approx(turn.batch.mark_requests / turn.messages, rel=0.05)
    assert observed.invocation_seconds == pytest.approx(turn.invocation_seconds, rel=0.05)
    assert observed.lag == pytest.approx(turn.lag, rel=0.1)
    assert observed.lag_99 <= turn.lag_bound
    assert observed.lag == pytest.approx(observed.lag_before, rel=0.15)  # it is steady


@pytest.mark.once
@pytest.mark.parametrize(
    "limits",
    [
        {"calls": CALLS},
        {"calls": CALLS, "batch_size": 10, "window_seconds": 0},
        {"calls": ONE_BY_ONE, "batch_size": 200},
        {"calls": CALLS, "aggregates": 4.0},
        {"calls": CALLS, "batch_size": 300, "bytes_per_message": 16_384},
        {"calls": CALLS, "batch_size": 300, "records_per_message": 10},
    ],
    ids=["default", "small batches", "marked one by one", "FIFO", "large records", "many records"],
)
def test_the_lag_stays_below_the_limit_and_grows_above_it(limits: dict[str, Any]) -> None:
    """The knee of the real relay behind a stream is where the model says: within a tenth of the rate."""
    limit = 1.0
    for _ in range(30):  # a poller's utilisation depends on its arrivals where aggregates share them
        limit /= plan_turn(Poller(arrivals=limit, **limits)).utilisation
    below = Poller(arrivals=limit * 0.9, **limits)
    above = Poller(arrivals=limit * 1.1, **limits)
    seconds = max(3_000, 20 * below.batch_size) / limit

    assert plan_turn(below).utilisation < 1 < plan_turn(above).utilisation
    steady = observe_stream(below, seconds=seconds)
    assert steady.lag == pytest.approx(plan_turn(below).lag, rel=0.25)
    behind = observe_stream(above, seconds=seconds)
    # A tenth too much comes: the lag grows by a tenth of the time between the two parts that are looked at.
    expected = 0.1 * 0.2 * seconds
    assert behind.lag - behind.lag_before == pytest.approx(expected, rel=0.4)
    assert steady.lag - steady.lag_before < expected / 2


def test_the_page_shows_what_the_model_gives() -> None:
    page = ROOT / "docs" / "explanation" / "capacity.md"
    examples = "\n".join("\n".join(block) + "\n" for block in code_blocks(page, "python"))
    test = doctest.DocTestParser().get_doctest(examples, {}, page.name, str(page), 0)

    assert len(test.examples) >= 15
    assert doctest.DocTestRunner().run(test).failed == 0


def plan(**changes: Any) -> Capacity:
    return plan_capacity(Workload(**{"rate": 1_000.0, **changes}))


def utilisation(capacity: Capacity, name: str) -> float:
    return next(each.utilisation for each in capacity.resources if each.name == name)


def test_rates_follow_from_the_units_of_a_message() -> None:
    capacity = plan()

    assert (capacity.units.producer, capacity.units.relay) == (5, 3)
    assert capacity.producer_units_per_second == 5_000
    assert capacity.relay_units_per_second == 3_000
    assert (capacity.table_units_per_second, capacity.index_units_per_second) == (6_000, 2_000)
    assert (capacity.shards, capacity.pollers) == (6, 6)
    assert (capacity.records_per_second, capacity.filtered_per_second) == (3_000, 2_000)
    assert capacity.reads_per_second == 24
    assert capacity.invocations_per_second == pytest.approx(10)
    assert capacity.calls_per_message == pytest.approx(0.14)
    assert capacity.concurrency == pytest.approx(10 * capacity.invocation_seconds)
    assert capacity.gb_seconds_per_second == pytest.approx(capacity.concurrency / 2)


def test_cpu_is_that_of_the_share_of_a_core() -> None:
    def seconds(memory_mb: int) -> float:
        return plan(memory_mb=memory_mb).invocation_seconds

    calls_alone = plan(cpu_seconds_per_record=0.0, cpu_seconds_per_request=0.0).invocation_seconds
    assert calls_alone == pytest.approx(0.03)
    # 100 records and 14 requests.
    assert seconds(1_769) - calls_alone == pytest.approx(0.012)
    assert seconds(512) - calls_alone == pytest.approx(0.012 * 1_769 / 512)
    assert seconds(10_240) == seconds(1_769)


def test_marks_one_by_one_are_a_call_for_each_message() -> None:
    assert plan(strategy="single").mark_calls_per_second == pytest.approx(1_000)


def test_large_messages_share_a_request_with_fewer() -> None:
    large = plan(body_bytes=50_000, shards=5, source=EventSource(batch_size=10))

    # Five of fifty kilobytes and their attributes are what a request takes.
    assert large.publish_calls_per_second == pytest.approx(1_000 / 5)


def test_pollers_share_what_comes_to_their_shard() -> None:
    one, four = plan(), plan(source=EventSource(parallelization_factor=4))

    assert (one.pollers, four.pollers) == (6, 24)
    assert utilisation(four, "stream pollers") == pytest.approx(utilisation(one, "stream pollers") / 4)


def test_the_poller_of_a_busy_aggregate_is_the_busiest() -> None:
    """In the design ``ordered`` all of it is in one shard, on whatever topic; other designs spread it."""
    calm, busy = plan(), plan(aggregate_rate=300.0)
    spread = plan(aggregate_rate=300.0, design=TableDesign.message_keyed)

    ratio = 300 / (1_000 / 6)
    assert utilisation(busy, "stream pollers") == pytest.approx(utilisation(calm, "stream pollers") * ratio)
    assert utilisation(spread, "stream pollers") == pytest.approx(utilisation(calm, "stream pollers"))


def test_the_filter_and_the_time_to_live_decide_what_the_stream_carries() -> None:
    assert plan(ttl_days=None).records_per_second == 2_000
    assert plan(strategy="delete").records_per_second == 2_000


def test_requests_are_billed_by_chunks_of_64_kilobytes() -> None:
    assert plan().sns_chunks_per_second == pytest.approx(plan().publish_calls_per_second)
    large = plan(body_bytes=20_000, shards=10, source=EventSource(batch_size=10))
    # Ten of them are 200 KB and a little: four chunks.
    assert large.sns_chunks_per_second == pytest.approx(4 * large.publish_calls_per_second)


def test_a_batch_holds_what_an_invocation_takes() -> None:
    """Batches of large messages are cut by bytes, as many as a record of the stream has in an event."""
    message = example_message(body_bytes=50_000, design=TableDesign.ordered)
    keys = [TableDesign.ordered.partition_key, TableDesign.ordered.sort_key or ""]
    item = encode_item(message, TableDesign.ordered)
    record = stream_record(
        1, ItemKey.from_item({name: item[name] for name in keys}), new=item, old=None, now=1_795_424_400.0
    )
    capacity = plan(rate=10_000.0, body_bytes=50_000, shards=20, source=EventSource(batch_size=10_000))

    assert capacity.event_record_bytes == pytest.approx(len(msgspec.json.encode(record)), rel=0.01)
    assert capacity.event_record_bytes > 56_000  # quotes are escaped
    assert capacity.records_per_invocation == 6_291_456 // capacity.event_record_bytes


@pytest.mark.parametrize(
    ("changes", "name", "expected"),
    [
        ({"shards": 6}, "table partitions", 1.0),
        ({"shards": 2}, "table partitions", 3.0),
        ({}, "table throughput", 8_000 / 40_000),
        ({"buckets": 1}, "index buckets", 2.0),
        ({"buckets": 100}, "index buckets", 0.02),
        ({"aggregate_rate": 100.0}, "partition of an aggregate", 0.6),
        ({"sns": sns_quotas("eu-north-1")}, "SNS standard topics", 1_000 / 300),
        ({"sns": sns_quotas("us-west-2")}, "SNS standard topics", 1 / 9),
        ({"fifo": True}, "SNS FIFO topic", 1 / 3),
        ({"fifo": True, "topics": 2}, "SNS FIFO topic", 1 / 6),
        ({"fifo": True, "sns": sns_quotas("eu-central-1")}, "SNS FIFO topics", 1 / 3),
        ({"fifo": True, "aggregate_rate": 30.0}, "SNS message group", 0.1),
        ({"concurrent_executions": 1}, "Lambda concurrency", 10 * 0.0715),
    ],
)
def test_what_is_used_of_each_limit(changes: dict[str, Any], name: str, expected: float) -> None:
    assert utilisation(plan(**changes), name) == pytest.approx(expected, rel=0.01)


def test_a_fifo_topic_is_also_limited_by_bytes() -> None:
    capacity = plan(fifo=True, body_bytes=20_000)

    assert utilisation(capacity, "SNS FIFO topic") == pytest.approx(1_000 * 20_000 / 20e6, rel=0.05)


def test_reads_of_a_shard_are_limited_by_records_and_by_bytes() -> None:
    large, small = plan(shards=1), plan(shards=1, body_bytes=100)

    # Four reads a second; the put, the mark and the expiry show four images in three records.
    assert utilisation(large, "stream reads") == pytest.approx(4_000 * large.item_bytes / 4_194_304)
    assert utilisation(small, "stream reads") == pytest.approx(3_000 / 4_000)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"rate": 100_000.0}, "table throughput"),
        ({"rate": 100_000.0, "table_units_per_second": 1e8, "sns": SnsQuotas(standard=1e9)}, "index buckets"),
        ({"sns": sns_quotas("eu-north-1")}, "SNS standard topics"),
        (
            {"shards": 1, "body_bytes": 100, "source": EventSource(batch_size=1_000)},
            "table partitions",
        ),
        ({"source": EventSource(batch_size=1)}, "stream pollers"),
        ({"aggregate_rate": 1_000.0}, "partition of an aggregate"),
        ({"concurrent_executions": 1, "publish_seconds": 0.3}, "Lambda concurrency"),
        ({"fifo": True, "rate": 4_000.0}, "SNS FIFO topic"),
    ],
)
def test_the_bottleneck_is_named_and_the_rate_given_that_is_sustained(
    changes: dict[str, Any], name: str
) -> None:
    capacity = plan(**changes)

    assert (capacity.bottleneck.name, capacity.sustainable) == (name, False)
    assert capacity.lag_seconds == capacity.lag_bound_seconds == float("inf")
    assert 0 < capacity.sustainable_rate < Workload(**{"rate": 1_000.0, **changes}).rate
    # It is: with the shards that were there, and hardly more is not.
    within = plan(**{**changes, "rate": capacity.sustainable_rate, "shards": capacity.shards})
    beyond = plan(**{**changes, "rate": capacity.sustainable_rate * 1.001, "shards": capacity.shards})
    assert (within.sustainable, beyond.sustainable) == (True, False)


def test_one_hot_aggregate_limits_what_its_poller_does() -> None:
    """On a FIFO topic its messages go one after the other, whatever else there is room for."""
    calm, hot = plan(fifo=True), plan(fifo=True, aggregate_rate=60.0, publish_seconds=0.02)

    assert calm.sustainable
    assert utilisation(hot, "stream pollers") > 1  # 60 a second take 1.2 s a second
    assert hot.bottleneck.name == "stream pollers"


def test_a_sustained_workload_has_its_own_rate_as_the_sustained_one() -> None:
    assert plan().sustainable_rate == 1_000


@given(
    rate=st.floats(1, 100_000),
    body_bytes=st.integers(1, 200_000),
    fifo=st.booleans(),
    topics=st.integers(1, 50),
    aggregate_rate=st.floats(0.001, 200),
    strategy=st.sampled_from(["batch", "single", "delete"]),
    source=st.builds(
        EventSource,
        batch_size=st.integers(1, 10_000),
        batch_window_seconds=st.integers(0, 300),
        parallelization_factor=st.integers(1, 10),
    ),
    shards=st.none() | st.integers(1, 1_000),
)
def test_figures_hold_together(rate: float, **changes: Any) -> None:
    capacity = plan(rate=rate, **changes)
    source = changes["source"]

    assert 1 <= capacity.records_per_invocation <= source.batch_size
    assert capacity.invocations_per_second * capacity.records_per_invocation == pytest.approx(rate)
    # No call carries more than it may, and no message goes without.
    assert rate / 10 <= capacity.publish_calls_per_second * (1 + 1e-9)
    assert capacity.publish_calls_per_second <= rate * (1 + 1e-9)
    assert rate / 25 <= capacity.mark_calls_per_second * (1 + 1e-9)
    assert capacity.batch.publish_seconds <= capacity.batch.seconds <= capacity.invocation_seconds
    assert capacity.resources == tuple(sorted(capacity.resources, key=lambda each: -each.utilisation))
    assert capacity.sustainable == (capacity.sustainable_rate == rate)
    if capacity.sustainable:
        assert capacity.batch.mean_publish_seconds <= capacity.lag_seconds < float("inf")


@pytest.mark.parametrize(
    "changes",
    [{"rate": 0.0}, {"body_bytes": 0}, {"buckets": 101}, {"poll_seconds": 0.0}, {"shards": 0}, {"topics": 0}],
)
def test_figures_out_of_bounds_are_refused(changes: dict[str, Any]) -> None:
    ((field, _),) = changes.items()
    with pytest.raises(ConfigurationError, match=f"^{field}: "):
        plan(**changes)


def test_a_message_that_no_topic_takes_is_refused() -> None:
    with pytest.raises(
        ConfigurationError, match=r"^body_bytes: no topic takes such a message: size:300\d+>262144"
    ):
        plan(body_bytes=300_000)

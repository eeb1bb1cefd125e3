"""Reading a stream without Lambda: everything, in order, and again what a handler did not settle."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from outbox_sdk import ConfigurationError, OutboxError, follow_stream
from outbox_sdk.shell.streams import lambda_event
from tests.support.fake_streams import FakeStreams, client_error
from tests.support.fixtures import endpoint_of
from tests.support.outbox_tables import OutboxTable, item_of, open_outbox_table, read_stream

Events = list[dict[str, Any]]
Response = Mapping[str, Any] | None
SUCCESS: dict[str, Any] = {"batchItemFailures": []}


class Reader:
    """A handler that writes down what it gets and stops the reading after so many settled records.

    ``respond`` gives the response for a batch, or raises; by default all is settled.
    """

    def __init__(self, *, until: int, respond: Callable[[int, list[str]], Response] | None = None) -> None:
        self.events: Events = []
        self.began, self.stop = asyncio.Event(), asyncio.Event()
        self._until = until
        self._respond = respond

    @property
    def batches(self) -> list[list[str]]:
        """The sequence numbers of each batch."""
        return [_numbers(event) for event in self.events]

    @property
    def names(self) -> list[str]:
        """The partition keys of all records in the order of their arrival."""
        return [record["dynamodb"]["Keys"]["PK"]["S"] for event in self.events for record in event["Records"]]

    async def handle(self, event: dict[str, Any]) -> Response:
        """Take a batch."""
        self.events.append(event)
        self.began.set()
        await asyncio.sleep(0)
        response = SUCCESS
        if self._respond is not None:
            answer = self._respond(len(self.events) - 1, _numbers(event))
            response = SUCCESS if answer is None else dict(answer)
        distinct = {number for batch in self.batches for number in batch}
        if not response["batchItemFailures"] and len(distinct) >= self._until:
            self.stop.set()
        return response

    async def follow(self, streams: Any, stream_arn: str, *, batch_size: int = 100) -> None:
        """Read until stopped."""
        await asyncio.wait_for(
            follow_stream(
                streams, stream_arn, self.handle, stop=self.stop, batch_size=batch_size, poll_seconds=0.01
            ),
            timeout=20,
        )


def _numbers(event: dict[str, Any]) -> list[str]:
    return [record["dynamodb"]["SequenceNumber"] for record in event["Records"]]


def _failures(*numbers: str) -> Response:
    return {"batchItemFailures": [{"itemIdentifier": number} for number in numbers]}


# On real streams


@pytest.fixture(params=["dynamodb_local", "ministack"])
async def table(request: pytest.FixtureRequest) -> AsyncIterator[OutboxTable]:
    async with open_outbox_table(endpoint_of(request, request.param)) as opened:
        yield opened


async def _write(table: OutboxTable, count: int) -> None:
    for number in range(count):
        await table.put(item_of(f"order-{number % 3}", f"m-{number}", table.design, Blob={"B": b"\x00\xff"}))


@pytest.mark.integration
async def test_every_record_comes_in_order_and_in_the_shape_of_lambdas_events(table: OutboxTable) -> None:
    await _write(table, 25)
    reader = Reader(until=25)

    await reader.follow(table.streams, table.stream_arn, batch_size=10)

    expected = await read_stream(table.streams, table.stream_arn)
    assert [number for batch in reader.batches for number in batch] == _numbers({"Records": expected})
    assert all(len(batch) <= 10 for batch in reader.batches)
    for event in reader.events:
        assert json.loads(json.dumps(event)) == event  # JSON, as Lambda's events are
        for record in event["Records"]:
            assert record["eventName"] == "INSERT"
            assert record["eventSource"] == "aws:dynamodb"
            assert record["eventSourceARN"] == table.stream_arn
            assert type(record["dynamodb"]["ApproximateCreationDateTime"]) is float
            assert record["dynamodb"]["NewImage"]["Blob"] == {"B": "AP8="}


@pytest.mark.integration
async def test_records_that_come_while_it_reads_are_read_as_well(table: OutboxTable) -> None:
    reader = Reader(until=6)
    await _write(table, 1)
    following = asyncio.create_task(reader.follow(table.streams, table.stream_arn))
    await reader.began.wait()

    await _write(table, 6)  # the first of them changes nothing
    await following

    expected = await read_stream(table.streams, table.stream_arn)
    assert [number for batch in reader.batches for number in batch] == _numbers({"Records": expected})


@pytest.mark.integration
async def test_a_partial_response_brings_the_checkpoint_and_all_behind_it_again(table: OutboxTable) -> None:
    await _write(table, 8)
    # Two of eight are reported, the higher one first: the lowest is the checkpoint.
    reader = Reader(until=8, respond=lambda n, batch: _failures(batch[6], batch[3]) if n == 0 else None)

    await reader.follow(table.streams, table.stream_arn)

    first, second = reader.batches
    assert len(first) == 8
    assert second == first[3:]


# On a stream in memory


def _streams(*names: str, page: int = 1_000) -> FakeStreams:
    streams = FakeStreams(page=page)
    streams.add_shard("shard-0")
    streams.add_records("shard-0", names)
    return streams


async def test_a_response_may_settle_nothing_again_and_again() -> None:
    streams = _streams("a", "b", "c")
    reader = Reader(until=3, respond=lambda n, batch: _failures(batch[0]) if n < 3 else None)

    await reader.follow(streams, streams.stream_arn)

    assert reader.names == ["a", "b", "c"] * 4


async def test_progress_within_a_batch_is_kept() -> None:
    streams = _streams("a", "b", "c", "d")
    reader = Reader(until=4, respond=lambda n, batch: _failures(batch[1]) if len(batch) > 1 else None)

    await reader.follow(streams, streams.stream_arn)

    assert reader.names == ["a", "b", "c", "d", "b", "c", "d", "c", "d", "d"]


@pytest.mark.parametrize(
    "response", [{"batchItemFailures": [{"itemIdentifier": ""}]}, {"batchItemFailures": [{"item": "1"}]}]
)
async def test_a_response_that_lambda_would_refuse_brings_the_whole_batch_again(
    response: dict[str, Any],
) -> None:
    streams = _streams("a", "b")
    reader = Reader(until=2, respond=lambda n, batch: response if n == 0 else None)

    await reader.follow(streams, streams.stream_arn)

    assert reader.names == ["a", "b", "a", "b"]


async def test_an_exception_of_the_handler_brings_the_whole_batch_again() -> None:
    streams = _streams("a", "b")

    def respond(number: int, batch: list[str]) -> Response:
        if number < 2:
            raise RuntimeError("no luck")
        return None

    reader = Reader(until=2, respond=respond)

    await reader.follow(streams, streams.stream_arn)

    assert reader.names == ["a", "b"] * 3


async def test_an_error_of_configuration_ends_the_reading() -> None:
    streams = _streams("a")

    def respond(number: int, batch: list[str]) -> Response:
        raise ConfigurationError("DYNAMODB_OUTBOX_TABLE_NAME", "is another table's")

    before = asyncio.all_tasks()
    with pytest.raises(ConfigurationError, match="another table's"):
        await Reader(until=1, respond=respond).follow(streams, streams.stream_arn)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_stopping_finishes_the_batch_under_way_and_begins_no_other() -> None:
    streams = _streams("a", "b", "c")
    stop, handled = asyncio.Event(), []

    async def handle(event: dict[str, Any]) -> None:
        stop.set()
        await asyncio.sleep(0.05)
        handled.append(_numbers(event))

    before = asyncio.all_tasks()
    await asyncio.wait_for(
        follow_stream(streams, streams.stream_arn, handle, stop=stop, batch_size=1),  # type: ignore[arg-type]  # a double
        timeout=5,
    )
    await asyncio.sleep(0)

    assert len(handled) == 1
    assert asyncio.all_tasks() == before


async def test_an_idle_reader_stops_at_once() -> None:
    streams = _streams()
    reader = Reader(until=1)
    before = asyncio.all_tasks()
    following = asyncio.create_task(
        follow_stream(streams, streams.stream_arn, reader.handle, stop=reader.stop, poll_seconds=60)  # type: ignore[arg-type]  # a double
    )
    await asyncio.sleep(0.05)

    reader.stop.set()
    await asyncio.wait_for(following, timeout=1)
    await asyncio.sleep(0)

    assert asyncio.all_tasks() == before


async def test_a_cancelled_reader_leaves_no_task_behind() -> None:
    streams = _streams("a")
    streams.add_shard("shard-1")
    before = asyncio.all_tasks()
    reader = Reader(until=99)
    following = asyncio.create_task(reader.follow(streams, streams.stream_arn))
    await reader.began.wait()

    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    await asyncio.sleep(0)

    assert asyncio.all_tasks() == before


async def test_a_parent_is_read_to_its_end_before_its_children() -> None:
    streams = FakeStreams(page=2)
    for shard, parent in (("root", None), ("left", "root"), ("right", "root"), ("leaf", "left")):
        streams.add_shard(shard, parent=parent)
    for shard in ("leaf", "left", "right", "root"):
        streams.add_records(shard, [f"{shard}-{number}" for number in range(5)])
        streams.close_shard(shard)
    reader = Reader(until=20)

    await reader.follow(streams, streams.stream_arn, batch_size=2)

    assert len(reader.names) == 20
    for shard in ("root", "left", "right", "leaf"):
        own = [name for name in reader.names if name.startswith(shard)]
        assert own == [f"{shard}-{number}" for number in range(5)]
    for parent, child in (("root", "left"), ("root", "right"), ("left", "leaf")):
        assert reader.names.index(f"{parent}-4") < reader.names.index(f"{child}-0")


async def test_children_wait_while_the_parent_comes_again() -> None:
    streams = _streams("a", "b")
    streams.add_shard("shard-1", parent="shard-0")
    streams.add_records("shard-1", ["c"])
    streams.close_shard("shard-0")
    reader = Reader(until=3, respond=lambda n, batch: _failures(batch[-1]) if n < 2 else None)

    await reader.follow(streams, streams.stream_arn)

    assert reader.names == ["a", "b", "b", "b", "c"]


async def test_a_shard_that_splits_while_it_is_read_goes_on_in_its_children() -> None:
    streams = _streams("a", "b")

    def respond(number: int, batch: list[str]) -> Response:
        if number == 0:
            streams.add_records("shard-0", ["c"])
            streams.close_shard("shard-0")
            for child in ("shard-1", "shard-2"):
                streams.add_shard(child, parent="shard-0")
                streams.add_records(child, [f"{child}-d"])
        return None

    reader = Reader(until=5, respond=respond)

    await reader.follow(streams, streams.stream_arn)

    assert reader.names[:3] == ["a", "b", "c"]
    assert sorted(reader.names[3:]) == ["shard-1-d", "shard-2-d"]


async def test_a_child_whose_parent_has_left_the_stream_is_read() -> None:
    streams = FakeStreams()
    streams.add_shard("child", parent="long-gone")
    streams.add_records("child", ["a"])
    reader = Reader(until=1)

    await reader.follow(streams, streams.stream_arn)

    assert reader.names == ["a"]


async def test_a_shard_that_makes_no_progress_holds_up_no_other() -> None:
    streams = _streams("stuck")
    streams.add_shard("shard-1")
    streams.add_records("shard-1", [f"free-{number}" for number in range(5)])
    reader = Reader(until=6)

    async def handle(event: dict[str, Any]) -> Response:
        if event["Records"][0]["dynamodb"]["Keys"]["PK"]["S"] == "stuck":
            if "free-4" in reader.names:
                reader.stop.set()
            return _failures(*_numbers(event))
        return await reader.handle(event)

    await asyncio.wait_for(
        follow_stream(streams, streams.stream_arn, handle, stop=reader.stop, batch_size=1),  # type: ignore[arg-type]  # a double
        timeout=10,
    )

    assert reader.names == [f"free-{number}" for number in range(5)]


async def test_an_expired_iterator_is_opened_again_behind_the_last_record_handled() -> None:
    streams = _streams("a", "b", "c", "d", page=2)

    def respond(number: int, batch: list[str]) -> Response:
        if number == 0:
            streams.expire_iterators()
        return None

    reader = Reader(until=4, respond=respond)

    await reader.follow(streams, streams.stream_arn)

    assert reader.names == ["a", "b", "c", "d"]
    first, second = streams.calls_of("GetShardIterator")
    assert first["SequenceNumber"] is None
    assert second["SequenceNumber"] == reader.batches[0][-1]


async def test_an_iterator_that_expires_before_anything_was_read_is_opened_again() -> None:
    streams = _streams("a")
    streams.fail("GetRecords", client_error("ExpiredIteratorException"))
    reader = Reader(until=1)

    await reader.follow(streams, streams.stream_arn)

    assert reader.names == ["a"]


@pytest.mark.parametrize("expired", [False, True], ids=["iterator kept", "iterator expired"])
async def test_reading_goes_on_with_the_oldest_record_left_when_others_are_trimmed(expired: bool) -> None:
    streams = _streams("a", "b", "c", "d", "e", page=2)

    def respond(number: int, batch: list[str]) -> Response:
        if number == 0:
            streams.trim("shard-0", 4)
            if expired:
                streams.expire_iterators()
        return None

    reader = Reader(until=3, respond=respond)

    await reader.follow(streams, streams.stream_arn)

    assert reader.names == ["a", "b", "e"]


@pytest.mark.parametrize("operation", ["DescribeStream", "GetShardIterator", "GetRecords"])
@pytest.mark.parametrize(
    "fault",
    [
        client_error("ThrottlingException"),
        client_error("LimitExceededException"),
        client_error("InternalServerError", status=500),
        EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
    ],
    ids=["throttled", "limited", "trouble", "unreachable"],
)
async def test_a_call_that_may_pass_is_made_again(operation: str, fault: Exception) -> None:
    streams = _streams("a", "b")
    streams.fail(operation, fault, fault)
    reader = Reader(until=2)

    await reader.follow(streams, streams.stream_arn)

    assert reader.names == ["a", "b"]


async def test_a_stream_that_does_not_exist_is_named() -> None:
    streams = _streams()

    with pytest.raises(ConfigurationError, match=r"^stream_arn: there is no stream arn:aws:other$"):
        await Reader(until=1).follow(streams, "arn:aws:other")


@pytest.mark.parametrize("operation", ["DescribeStream", "GetShardIterator", "GetRecords"])
async def test_an_error_that_will_not_pass_ends_the_reading_with_its_code(operation: str) -> None:
    streams = _streams("a")
    streams.fail(operation, client_error("AccessDeniedException"))
    before = asyncio.all_tasks()

    with pytest.raises(OutboxError, match="AccessDeniedException"):
        await Reader(until=1).follow(streams, streams.stream_arn)
    await asyncio.sleep(0)

    assert asyncio.all_tasks() == before


# The shape of an event


def test_an_event_has_floats_for_times_text_for_binary_and_the_name_of_its_stream() -> None:
    record: dict[str, Any] = {
        "eventID": "1",
        "eventName": "MODIFY",
        "dynamodb": {
            "ApproximateCreationDateTime": datetime(2026, 11, 23, 9, 0, 0, 250_000, tzinfo=UTC),
            "Keys": {"PK": {"B": b"\x00\xff"}},
            "NewImage": {
                "PK": {"B": b"\x00\xff"},
                "Set": {"BS": [b"a", b"b"]},
                "Deep": {"M": {"list": {"L": [{"B": b"c"}, {"NULL": True}, {"N": "1.50"}]}}},
                "Flag": {"BOOL": False},
            },
            "SequenceNumber": "111",
            "SizeBytes": 26,
        },
    }

    event = lambda_event([record], "arn:stream")

    assert event == {
        "Records": [
            {
                "eventID": "1",
                "eventName": "MODIFY",
                "dynamodb": {
                    "ApproximateCreationDateTime": 1795424400.25,
                    "Keys": {"PK": {"B": "AP8="}},
                    "NewImage": {
                        "PK": {"B": "AP8="},
                        "Set": {"BS": ["YQ==", "Yg=="]},
                        "Deep": {"M": {"list": {"L": [{"B": "Yw=="}, {"NULL": True}, {"N": "1.50"}]}}},
                        "Flag": {"BOOL": False},
                    },
                    "SequenceNumber": "111",
                    "SizeBytes": 26,
                },
                "eventSourceARN": "arn:stream",
            }
        ]
    }
    assert type(event["Records"][0]["dynamodb"]["ApproximateCreationDateTime"]) is float
    assert record["dynamodb"]["Keys"] == {"PK": {"B": b"\x00\xff"}}  # the client's own record is untouched

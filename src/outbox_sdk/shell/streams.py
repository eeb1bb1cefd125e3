"""Reading a table's stream without Lambda: all shards, in order, with Lambda's events and retries."""

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from random import random
from typing import TYPE_CHECKING, Any, Literal

from outbox_sdk.core.checkpoint import count_settled
from outbox_sdk.core.classification import ErrorClass, classify_request_error
from outbox_sdk.core.errors import ConfigurationError, InvalidEventError, OutboxError
from outbox_sdk.core.retry import RetryPolicy, retry_delay
from outbox_sdk.core.shards import Shard, readable_shards
from outbox_sdk.shell.aws.errors import translate_error

if TYPE_CHECKING:
    from types_aiobotocore_dynamodbstreams import DynamoDBStreamsClient

__all__ = ["BatchHandler", "Beginning", "follow_stream", "lambda_event"]

_log = logging.getLogger("outbox_sdk")

BatchHandler = Callable[[dict[str, Any]], Awaitable[Mapping[str, Any] | None]]
"""Takes an event of Lambda's shape; gives Lambda's response, or raises to get the whole batch again."""

# Patient without end: Lambda's default is to bring a batch again until its records leave the stream, and an
# outage passes.
_PATIENT = RetryPolicy(attempts=1_000_000_000, base=0.1, cap=10.0)


Beginning = Literal["oldest", "latest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    streams: "DynamoDBStreamsClient"
    stream_arn: str
    handle: BatchHandler
    batch_size: int
    poll_seconds: float
    stop: asyncio.Event


async def follow_stream(
    streams_client: "DynamoDBStreamsClient",
    stream_arn: str,
    handle: BatchHandler,
    *,
    stop: asyncio.Event | None = None,
    batch_size: int = 100,
    poll_seconds: float = 0.25,
    begin: Beginning = "oldest",
) -> None:
    """Feed a handler with every record of a stream, from the oldest on, until ``stop`` is set.

    Shards are read side by side, each in order, a parent to its end before its children, new ones as they
    appear. ``handle`` gets events of Lambda's shape with at most ``batch_size`` records; what its response
    names, and all behind it in the shard, comes again after a pause. After ``stop`` no further batch is
    begun, and the batches under way are finished. With ``begin="latest"`` what the stream holds already is
    passed over, which is for watching and never for relaying.

    Not promised: exactly one delivery, nor a memory beyond this call. A reader started anew begins with the
    oldest record that the stream holds (24 hours), so the relay behind it must look before it publishes
    again, which it does for old records.

    Raises:
        ConfigurationError: the stream does not exist.
        OutboxError: the stream cannot be read: the code says why.
    """
    reader = _Reader(
        streams=streams_client,
        stream_arn=stream_arn,
        handle=handle,
        batch_size=batch_size,
        poll_seconds=poll_seconds,
        stop=stop if stop is not None else asyncio.Event(),
    )
    finished: set[str] = set()
    reading: dict[str, asyncio.Task[None]] = {}
    older: set[str] | None = set() if begin == "oldest" else None
    try:
        while not reader.stop.is_set():
            shards = await _list_shards(reader)
            if older is None:
                # What is there now is begun at its end; what appears later is read from its beginning.
                older = {shard.shard_id for shard in shards}
            for shard in readable_shards(shards, finished=finished, reading=reading):
                late = shard.shard_id in older
                reading[shard.shard_id] = asyncio.create_task(_read_shard(reader, shard, late=late))
            await _pause(reader, max(1.0, reader.poll_seconds), *reading.values())
            for shard_id in [shard_id for shard_id, task in reading.items() if task.done()]:
                reading.pop(shard_id).result()  # raises what ended the reading
                if not reader.stop.is_set():
                    finished.add(shard_id)
        for task in reading.values():
            await task
    finally:
        for task in reading.values():
            task.cancel()
        await asyncio.gather(*reading.values(), return_exceptions=True)


def lambda_event(records: Sequence[Mapping[str, Any]], stream_arn: str) -> dict[str, Any]:
    """Write records of ``GetRecords`` as the event that Lambda hands over.

    Lambda's records are JSON: a time is epoch seconds, binary is base64 text, and each names its stream.
    """
    return {
        "Records": [{**_as_json(record), "eventSourceARN": stream_arn} for record in records],
    }


def _as_json(value: Any) -> Any:
    match value:
        case Mapping():
            return {name: _as_json(part) for name, part in value.items()}
        case list():
            return [_as_json(part) for part in value]
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case datetime():
            return value.timestamp()
        case _:
            return value


async def _list_shards(reader: _Reader) -> list[Shard]:
    shards: list[Shard] = []
    start: dict[str, Any] = {}
    while True:
        describe = partial(reader.streams.describe_stream, StreamArn=reader.stream_arn, **start)
        answer = await _call(reader, describe)
        if answer is None:
            return []
        description = answer["StreamDescription"]
        shards.extend(
            Shard(shard["ShardId"], shard.get("ParentShardId")) for shard in description.get("Shards", ())
        )
        last = description.get("LastEvaluatedShardId")
        if not last:
            return shards
        start = {"ExclusiveStartShardId": last}


async def _read_shard(reader: _Reader, shard: Shard, *, late: bool) -> None:
    """Read one shard to its end, which comes when it is closed, or until the reader stops.

    ``late`` begins behind what is in it, as long as nothing of it has been read.
    """
    position: str | None = None
    iterator: str | None = await _open_iterator(reader, shard, position, late=late)
    while iterator is not None and not reader.stop.is_set():
        read = partial(reader.streams.get_records, ShardIterator=iterator, Limit=1_000)
        try:
            answer = await _call(reader, read, of_shard=True)
        except _IteratorLostError as lost:
            # Expired between two reads, or trimmed before they were read: go on behind the last record
            # handled, or with the oldest that is left.
            place = None if lost.trimmed else position
            iterator = await _open_iterator(reader, shard, place, late=late and position is None)
            continue
        if answer is None:
            return
        records = answer.get("Records", [])
        for start in range(0, len(records), reader.batch_size):
            batch = records[start : start + reader.batch_size]
            if reader.stop.is_set() or not await _handle_until_settled(reader, batch):
                return
            position = batch[-1]["dynamodb"]["SequenceNumber"]
        iterator = answer.get("NextShardIterator")
        if not records and iterator is not None:
            await _pause(reader, reader.poll_seconds)


async def _handle_until_settled(reader: _Reader, records: Sequence[Mapping[str, Any]]) -> bool:
    """Bring a batch until all of it is settled, from its checkpoint on; tell whether it was."""
    attempt = 0
    while records:
        if attempt and reader.stop.is_set():
            return False
        try:
            response = await reader.handle(lambda_event(records, reader.stream_arn))
            settled = count_settled(records, response)
        except (ConfigurationError, InvalidEventError):
            raise  # the same answer each time: tell the person who can mend it
        except Exception as error:
            # As Lambda does: an error of the function brings the whole batch again.
            _log.warning("batch_failed", extra={"error": type(error).__name__, "records": len(records)})
            settled = 0
        records = records[settled:]
        if records:
            attempt = 1 if settled else attempt + 1
            delay = retry_delay(_PATIENT, attempt=attempt, code="", jitter=0.5 + random() / 2)
            await _pause(reader, delay or 0.0)
    return True


class _IteratorLostError(Exception):
    def __init__(self, *, trimmed: bool) -> None:
        super().__init__()
        self.trimmed = trimmed


async def _open_iterator(
    reader: _Reader, shard: Shard, position: str | None, *, late: bool = False
) -> str | None:
    where: dict[str, Any] = (
        {"ShardIteratorType": "LATEST" if late else "TRIM_HORIZON"}
        if position is None
        else {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": position}
    )
    try:
        answer = await _call(
            reader,
            lambda: reader.streams.get_shard_iterator(
                StreamArn=reader.stream_arn,
                ShardId=shard.shard_id,
                **where,
            ),
            of_shard=True,
        )
    except _IteratorLostError:
        # The place behind the last record has left the stream as well.
        return None if position is None else await _open_iterator(reader, shard, None)
    return None if answer is None else answer["ShardIterator"]


async def _call(reader: _Reader, call: Callable[[], Awaitable[Any]], *, of_shard: bool = False) -> Any:
    """Make a call, again and again while it may pass.

    Gives ``None`` when the reader stops in between, and when a call ``of_shard`` finds the shard gone.
    """
    attempt = 0
    while not reader.stop.is_set():
        attempt += 1
        try:
            return await call()
        except Exception as error:
            fault = translate_error(error)
            if fault.code in ("ExpiredIteratorException", "TrimmedDataAccessException"):
                raise _IteratorLostError(trimmed=fault.code.startswith("Trimmed")) from error
            if fault.code == "ResourceNotFoundException":
                if of_shard:
                    return None  # it has left the stream with all its records
                raise ConfigurationError("stream_arn", f"there is no stream {reader.stream_arn}") from error
            if classify_request_error(fault.code, status=fault.status) is not ErrorClass.RETRY:
                raise OutboxError(f"reading {reader.stream_arn} failed with {fault.code}") from error
            _log.warning("stream_unreadable", extra={"code": fault.code, "attempt": attempt})
            delay = retry_delay(_PATIENT, attempt=attempt, code=fault.code, jitter=random())
            await _pause(reader, delay or 0.0)
    return None


async def _pause(reader: _Reader, seconds: float, *tasks: asyncio.Task[None]) -> None:
    """Wait, but no longer than until the reader is stopped or one of the tasks ends."""
    stopped = asyncio.ensure_future(reader.stop.wait())
    try:
        await asyncio.wait((stopped, *tasks), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()

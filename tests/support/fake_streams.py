"""A client of DynamoDB Streams in memory, for what no local server has: splits, expiry, trimming."""

# ruff: noqa: N803 - AWS's own names

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

__all__ = ["ARN", "FakeStreams", "client_error"]

ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/outbox/stream/2026-11-23T09:00:00.000"


def client_error(code: str, *, status: int = 400, operation: str = "GetRecords") -> ClientError:
    """Make the error that a client raises for an answer of the service."""
    response: Any = {
        "Error": {"Code": code, "Message": code},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, operation)


@dataclass(slots=True)
class _Shard:
    parent: str | None
    records: list[dict[str, Any]] = field(default_factory=list)
    trimmed: int = 0
    closed: bool = False


class FakeStreams:
    """A stream and the client for it. ``page`` is how many records or shards one answer holds.

    Sequence numbers grow over the whole stream and pass from 20 to 21 digits with the third record.
    """

    def __init__(self, *, page: int = 1_000) -> None:
        self.stream_arn = ARN
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._page = page
        self._shards: dict[str, _Shard] = {}
        self._faults: dict[str, deque[Exception]] = defaultdict(deque)
        self._next_number = 10**20 - 2
        self._generation = 0

    # What happens to the stream

    def add_shard(self, shard_id: str, *, parent: str | None = None) -> None:
        """Open a shard."""
        self._shards[shard_id] = _Shard(parent)

    def add_records(self, shard_id: str, names: Iterable[str]) -> None:
        """Write the inserts of items, by the values of their keys."""
        for name in names:
            self._shards[shard_id].records.append(_record(name, self._next_number))
            self._next_number += 1

    def add_images(self, shard_id: str, *images: dict[str, Any]) -> None:
        """Write the inserts of items as they are."""
        for image in images:
            self.add_records(shard_id, ["image"])
            self._shards[shard_id].records[-1]["dynamodb"]["NewImage"] = image

    def close_shard(self, shard_id: str) -> None:
        """Close a shard: it takes no more records, and a reader comes to its end."""
        self._shards[shard_id].closed = True

    def drop_shard(self, shard_id: str) -> None:
        """Take a shard away, as its last record leaves the stream."""
        del self._shards[shard_id]

    def trim(self, shard_id: str, count: int) -> None:
        """Let the first records of a shard leave the stream."""
        self._shards[shard_id].trimmed = count

    def expire_iterators(self) -> None:
        """Let every iterator that was given out so far expire, as after fifteen minutes."""
        self._generation += 1

    def fail(self, operation: str, *errors: Exception) -> None:
        """Let the next calls of an operation fail."""
        self._faults[operation].extend(errors)

    def calls_of(self, operation: str) -> list[dict[str, Any]]:
        """List the arguments of all calls of an operation."""
        return [arguments for name, arguments in self.calls if name == operation]

    # What a reader calls

    async def describe_stream(
        self,
        *,
        StreamArn: str,
        ExclusiveStartShardId: str | None = None,
    ) -> dict[str, Any]:
        """List shards, the newest first: the order is nobody's promise."""
        self._begin("DescribeStream", {"ExclusiveStartShardId": ExclusiveStartShardId})
        if StreamArn != self.stream_arn:
            raise client_error("ResourceNotFoundException", operation="DescribeStream")
        names = list(reversed(self._shards))
        start = 0 if ExclusiveStartShardId is None else names.index(ExclusiveStartShardId) + 1
        page = names[start : start + self._page]
        description: dict[str, Any] = {
            "StreamArn": StreamArn,
            "Shards": [
                {"ShardId": name}
                | ({} if (parent := self._shards[name].parent) is None else {"ParentShardId": parent})
                for name in page
            ],
        }
        if start + len(page) < len(names):
            description["LastEvaluatedShardId"] = page[-1]
        return {"StreamDescription": description}

    async def get_shard_iterator(
        self,
        *,
        StreamArn: str,
        ShardId: str,
        ShardIteratorType: str,
        SequenceNumber: str | None = None,
    ) -> dict[str, Any]:
        """Give an iterator: a shard, a position, and the generation that it expires with."""
        self._begin("GetShardIterator", {"ShardId": ShardId, "SequenceNumber": SequenceNumber})
        shard = self._shards[ShardId]
        if ShardIteratorType == "TRIM_HORIZON":
            position = shard.trimmed
        elif ShardIteratorType == "LATEST":
            position = len(shard.records)
        else:
            assert ShardIteratorType == "AFTER_SEQUENCE_NUMBER"
            numbers = [record["dynamodb"]["SequenceNumber"] for record in shard.records]
            position = numbers.index(SequenceNumber) + 1
            if position < shard.trimmed:
                raise client_error("TrimmedDataAccessException", operation="GetShardIterator")
        return {"ShardIterator": f"{self._generation}|{ShardId}|{position}"}

    async def get_records(self, *, ShardIterator: str, Limit: int) -> dict[str, Any]:
        """Read on from an iterator."""
        self._begin("GetRecords", {"ShardIterator": ShardIterator})
        generation, shard_id, text = ShardIterator.split("|")
        if int(generation) != self._generation:
            raise client_error("ExpiredIteratorException")
        shard, position = self._shards[shard_id], int(text)
        if position < shard.trimmed:
            raise client_error("TrimmedDataAccessException")
        records = shard.records[position : position + min(self._page, Limit)]
        position += len(records)
        answer: dict[str, Any] = {"Records": records}
        if not (shard.closed and position == len(shard.records)):
            answer["NextShardIterator"] = f"{self._generation}|{shard_id}|{position}"
        return answer

    def _begin(self, operation: str, arguments: dict[str, Any]) -> None:
        self.calls.append((operation, arguments))
        if self._faults[operation]:
            raise self._faults[operation].popleft()


def _record(name: str, number: int) -> dict[str, Any]:
    return {
        "eventID": f"{number:032x}",
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": datetime(2026, 11, 23, 9, tzinfo=UTC),
            "Keys": {"PK": {"S": name}},
            "NewImage": {"PK": {"S": name}},
            "SequenceNumber": str(number),
            "SizeBytes": 10,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    }

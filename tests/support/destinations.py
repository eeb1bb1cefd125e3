"""A destination that is no topic, and what comes out of it: on a local server, or in memory."""

import base64
import json
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

from outbox_sdk.testing import InMemoryTopics
from tests.support.aws import open_client

__all__ = ["Destination", "MemoryDestination", "PartlyFailing", "Received", "open_destination"]


@dataclass(frozen=True, slots=True)
class Received:
    """A message as its consumer gets it: a queue's with attributes, an event's fields, or a record's data."""

    body: str
    attributes: Mapping[str, Any]
    group_id: str | None = None


class Destination(Protocol):
    """A destination as its consumer sees it. ``route`` is what a producer writes."""

    @property
    def route(self) -> str: ...

    async def drain(self, *, expected: int) -> list[Received]: ...


@dataclass(slots=True)
class MemoryDestination:
    """A destination of the double that users test with."""

    topics: InMemoryTopics
    route: str
    _drained: int = 0

    async def drain(self, *, expected: int) -> list[Received]:
        """Take out what has come since the last time."""
        published = [message for message in self.topics.published if message.topic == self.route]
        fresh, self._drained = published[self._drained :], len(published)
        return [Received(message.body, message.attributes, message.group_id) for message in fresh]


@dataclass(slots=True)
class _Queue:
    sqs: Any
    route: str
    url: str

    async def drain(self, *, expected: int) -> list[Received]:
        return [
            Received(
                message["Body"],
                {name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()},
                message.get("Attributes", {}).get("MessageGroupId"),
            )
            for message in await _receive_all(self.sqs, self.url, expected)
        ]


@dataclass(slots=True)
class _Bus:
    """A bus with one rule, which brings every event of ours to a queue."""

    sqs: Any
    route: str
    url: str

    async def drain(self, *, expected: int) -> list[Received]:
        events = [json.loads(message["Body"]) for message in await _receive_all(self.sqs, self.url, expected)]
        return [
            Received(
                json.dumps(event["detail"]),
                {"Source": event["source"], "DetailType": event["detail-type"], "Time": event["time"]},
            )
            for event in events
        ]


@dataclass(slots=True)
class _Stream:
    kinesis: Any
    route: str
    _iterators: dict[str, str] = field(default_factory=dict)

    async def drain(self, *, expected: int) -> list[Received]:
        name = self.route.partition(":")[2]
        received = []
        for shard in (await self.kinesis.list_shards(StreamName=name))["Shards"]:
            shard_id = shard["ShardId"]
            iterator = self._iterators.get(shard_id)
            if iterator is None:
                start = {"StreamName": name, "ShardId": shard_id, "ShardIteratorType": "TRIM_HORIZON"}
                iterator = (await self.kinesis.get_shard_iterator(**start))["ShardIterator"]
            answer = await self.kinesis.get_records(ShardIterator=iterator)
            self._iterators[shard_id] = answer["NextShardIterator"]
            received += [
                Received(record["Data"].decode(), {}, record["PartitionKey"]) for record in answer["Records"]
            ]
        return received


async def _receive_all(sqs: Any, url: str, expected: int) -> list[dict[str, Any]]:
    """Take out all messages until there are as many as expected; then look once more for one too many."""
    received: list[dict[str, Any]] = []
    empty = 0
    while empty < 2:
        wait = 0 if len(received) >= expected else 1
        answer = await sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=wait,
            MessageAttributeNames=["All"],
            AttributeNames=["All"],
        )
        messages = answer.get("Messages", [])
        if not messages:
            empty += 2 if wait == 0 else 1
            continue
        empty = 0
        received.extend(messages)
        for message in messages:
            await sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return received


@asynccontextmanager
async def open_destination(
    endpoint_url: str, scheme: str, *, fifo: bool = False
) -> AsyncIterator[Destination]:
    """Create a destination with a name of its own, and a consumer behind it."""
    name = f"d-{uuid4().hex[:12]}{'.fifo' if fifo else ''}"
    async with AsyncExitStack() as stack:
        if scheme == "kinesis":
            kinesis = await stack.enter_async_context(open_client("kinesis", endpoint_url))
            await kinesis.create_stream(StreamName=name, ShardCount=2)
            await kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
            yield _Stream(kinesis, f"kinesis:{name}")
            return
        sqs = await stack.enter_async_context(open_client("sqs", endpoint_url))
        kind = {"FifoQueue": "true"} if fifo else {}
        url = (await sqs.create_queue(QueueName=name, Attributes=kind))["QueueUrl"]
        if scheme == "sqs":
            yield _Queue(sqs, f"sqs:{name}", url)
            return
        attributes = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        events = await stack.enter_async_context(open_client("events", endpoint_url))
        await events.create_event_bus(Name=name)
        pattern = json.dumps({"source": [{"prefix": "outbox."}]})
        await events.put_rule(Name=name, EventBusName=name, EventPattern=pattern)
        target = {"Id": "queue", "Arn": attributes["Attributes"]["QueueArn"]}
        await events.put_targets(Rule=name, EventBusName=name, Targets=[target])
        yield _Bus(sqs, f"eventbridge:{name}", url)


class PartlyFailing:
    """A service that fails some entries of a request and does the rest, in front of one that does all.

    ``marks`` are texts in the entries that are to fail, each once, with ``code``.
    """

    _LISTS: Mapping[str, str] = {"sqs": "Entries", "events": "Entries", "kinesis": "Records"}

    def __init__(self, service: Any, marks: Collection[str], code: str) -> None:
        self.requests: list[list[Any]] = []
        self.endpoint_url: str = service.endpoint_url
        self._service = service
        self._marks = list(marks)
        self._code = code

    async def post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Send on what is not to fail, and put the failures into the answer where they belong."""
        document = json.loads(body)
        name = self._LISTS[self._service.name]
        entries = document[name]
        self.requests.append(entries)
        failing = [position for position, entry in enumerate(entries) if self._is_to_fail(entry)]
        kept = [entry for position, entry in enumerate(entries) if position not in failing]
        answer: dict[str, Any] = {}
        if kept:
            status, text = await self._service.post(json.dumps({**document, name: kept}).encode(), headers)
            assert status == 200, text
            answer = json.loads(text)
        if self._service.name == "sqs":
            failed = [{"Id": entries[p]["Id"], "Code": self._code, "SenderFault": False} for p in failing]
            return 200, json.dumps({**answer, "Failed": failed}).encode()
        results = iter(answer.get(name, ()))
        positional = [
            {"ErrorCode": self._code, "ErrorMessage": "told to"} if position in failing else next(results)
            for position in range(len(entries))
        ]
        return 200, json.dumps({**answer, name: positional}).encode()

    def _is_to_fail(self, entry: Any) -> bool:
        text = _text_of(entry)
        mark = next((mark for mark in self._marks if mark in text), None)
        if mark is not None:
            self._marks.remove(mark)
        return mark is not None


def _text_of(entry: Any) -> str:
    data = entry.get("Data")
    return base64.b64decode(data).decode() if data is not None else json.dumps(entry)

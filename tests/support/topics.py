"""A topic and what comes out of it: on a local server with a queue behind it, or in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import uuid4

from outbox_sdk.testing import InMemoryTopics
from tests.support.aws import open_client

__all__ = ["MemoryTopic", "Received", "Topic", "TopicView", "open_topic", "subscribe_queue"]


@dataclass(frozen=True, slots=True)
class Received:
    """A message as it came out of the queue; ``attributes`` by name, each a type and a value."""

    body: str
    attributes: dict[str, tuple[str, str]]
    group_id: str | None

    @property
    def message_id(self) -> str:
        """The producer's id."""
        return self.attributes["MessageId"][1]


class TopicView(Protocol):
    """A topic as its consumer sees it."""

    @property
    def name(self) -> str: ...
    @property
    def arn(self) -> str: ...

    async def drain(self, *, expected: int | None = None) -> list[Received]: ...


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic with one subscriber, a queue with raw delivery."""

    sns: Any
    sqs: Any
    name: str
    arn: str
    queue_url: str

    async def drain(self, *, expected: int | None = None) -> list[Received]:
        """Take out all messages, in the order of their arrival, until the queue has been empty twice.

        With ``expected``, end as soon as there are as many; then look once more for one too many.
        """
        received: list[Received] = []
        empty = 0
        while empty < 2:
            # A wait, not a poll: a queue that has nothing yet may get something.
            wait = 0 if expected is not None and len(received) >= expected else 1
            answer = await self.sqs.receive_message(
                QueueUrl=self.queue_url,
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
            received.extend(_received(message) for message in messages)
            await self.sqs.delete_message_batch(
                QueueUrl=self.queue_url,
                Entries=[
                    {"Id": str(position), "ReceiptHandle": message["ReceiptHandle"]}
                    for position, message in enumerate(messages)
                ],
            )
        return received


@dataclass(slots=True)
class MemoryTopic:
    """A topic of the double that users test with. It does not tell the types of attributes."""

    topics: InMemoryTopics
    name: str
    _drained: int = 0

    @property
    def arn(self) -> str:
        """The topic's ARN."""
        return f"arn:aws:sns:us-east-1:000000000000:{self.name}"

    async def drain(self, *, expected: int | None = None) -> list[Received]:
        """Take out what has come since the last time."""
        published = [message for message in self.topics.published if message.topic == self.name]
        fresh, self._drained = published[self._drained :], len(published)
        return [
            Received(
                body=message.body,
                attributes={name: ("String", value) for name, value in message.attributes.items()},
                group_id=message.group_id,
            )
            for message in fresh
        ]


def _received(message: dict[str, Any]) -> Received:
    return Received(
        body=message["Body"],
        attributes={
            name: (value["DataType"], value["StringValue"])
            for name, value in message.get("MessageAttributes", {}).items()
        },
        group_id=message.get("Attributes", {}).get("MessageGroupId"),
    )


@asynccontextmanager
async def open_topic(
    endpoint_url: str,
    *,
    fifo: bool = False,
    name: str | None = None,
    region: str = "us-east-1",
    access_key: str = "local",
) -> AsyncIterator[Topic]:
    """Create a topic, with a name of its own unless given one, and its queue; open clients for both."""
    suffix = ".fifo" if fifo else ""
    name = f"topic-{uuid4().hex[:12]}{suffix}" if name is None else name
    kind = {"FifoTopic": "true"} if fifo else {}
    queue_kind = {"FifoQueue": "true"} if fifo else {}
    credentials = (access_key, "local", None)
    async with (
        open_client("sns", endpoint_url, region=region, credentials=credentials) as sns,
        open_client("sqs", endpoint_url, region=region, credentials=credentials) as sqs,
    ):
        arn = (await sns.create_topic(Name=name, Attributes=kind))["TopicArn"]
        queue = f"queue-{uuid4().hex[:12]}{suffix}"
        url = (await sqs.create_queue(QueueName=queue, Attributes=queue_kind))["QueueUrl"]
        attributes = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        await sns.subscribe(
            TopicArn=arn,
            Protocol="sqs",
            Endpoint=attributes["Attributes"]["QueueArn"],
            Attributes={"RawMessageDelivery": "true"},
        )
        yield Topic(sns, sqs, name, arn, url)


async def subscribe_queue(topic: Topic, *, raw: bool) -> str:
    """Put another queue behind a topic, with raw message delivery or without; give its URL."""
    base, dot, fifo = topic.name.partition(".")
    name = f"{base}-{'raw' if raw else 'enveloped'}{dot}{fifo}"
    kind = {"FifoQueue": "true"} if fifo else {}
    url = (await topic.sqs.create_queue(QueueName=name, Attributes=kind))["QueueUrl"]
    attributes = await topic.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    await topic.sns.subscribe(
        TopicArn=topic.arn,
        Protocol="sqs",
        Endpoint=attributes["Attributes"]["QueueArn"],
        Attributes={"RawMessageDelivery": "true" if raw else "false"},
    )
    return str(url)

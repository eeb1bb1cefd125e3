"""A queue behind each topic, and what it has received: a message as its consumers get it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from outbox_sdk.core.routing import is_fifo
from outbox_sdk.shell.aws.errors import translate_error
from outbox_sdk.testing.topics import PublishedMessage

if TYPE_CHECKING:
    from types_aiobotocore_sns import SNSClient
    from types_aiobotocore_sqs import SQSClient

__all__ = ["Subscription", "receive_all", "remove", "subscribe"]

_GONE = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",
        "NotFound",
        "NotFoundException",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
    }
)


@dataclass(frozen=True, slots=True)
class Subscription:
    """A topic, and the queue that gets its messages raw."""

    topic: str
    queue_url: str


async def remove(delete: Callable[..., Awaitable[object]], **name: str) -> None:
    """Delete what was made for a test, unless the test has done so itself."""
    try:
        await delete(**name)
    except Exception as error:
        if translate_error(error).code not in _GONE:
            raise


async def subscribe(
    sns: "SNSClient", sqs: "SQSClient", topic: str, name: str, exits: AsyncExitStack
) -> Subscription:
    """Create a topic and a queue behind it; ``exits`` deletes both.

    ``name`` is the queue's, which may be shorter than a topic's. It is of one test: a queue that a killed
    test has left behind would bring its messages to the next one.
    """
    fifo = is_fifo(topic)
    attributes: Any = {"FifoTopic": "true"} if fifo else {}
    topic_arn = (await sns.create_topic(Name=topic, Attributes=attributes))["TopicArn"]
    exits.push_async_callback(remove, sns.delete_topic, TopicArn=topic_arn)
    queue_name = f"{name}.fifo" if fifo else name
    kind: Any = {"FifoQueue": "true"} if fifo else {}
    queue_url = (await sqs.create_queue(QueueName=queue_name, Attributes=kind))["QueueUrl"]
    exits.push_async_callback(remove, sqs.delete_queue, QueueUrl=queue_url)
    described = await sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
    await sns.subscribe(
        TopicArn=topic_arn,
        Protocol="sqs",
        Endpoint=described["Attributes"]["QueueArn"],
        Attributes={"RawMessageDelivery": "true"},
    )
    return Subscription(topic, queue_url)


async def receive_all(sqs: "SQSClient", subscriptions: Sequence[Subscription]) -> list[PublishedMessage]:
    """Take everything out of the queues: of one topic in the order of arrival, topic by topic."""
    return [message for each in subscriptions for message in await _receive(sqs, each)]


async def _receive(sqs: "SQSClient", subscription: Subscription) -> list[PublishedMessage]:
    received: list[PublishedMessage] = []
    while True:
        answer = await sqs.receive_message(
            QueueUrl=subscription.queue_url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=0,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )
        messages: Sequence[Mapping[str, Any]] = answer.get("Messages", [])
        if not messages:
            return received
        received += [_message(message, subscription.topic) for message in messages]
        await sqs.delete_message_batch(
            QueueUrl=subscription.queue_url,
            Entries=[
                {"Id": str(place), "ReceiptHandle": message["ReceiptHandle"]}
                for place, message in enumerate(messages)
            ],
        )


def _message(message: Mapping[str, Any], topic: str) -> PublishedMessage:
    attributes: Mapping[str, Mapping[str, str]] = message.get("MessageAttributes") or {}
    return PublishedMessage(
        topic=topic,
        body=message["Body"],
        attributes={name: value.get("StringValue", "") for name, value in attributes.items()},
        group_id=(message.get("Attributes") or {}).get("MessageGroupId"),
        number_attributes=frozenset(
            [name for name, value in attributes.items() if value.get("DataType") == "Number"]
        ),
    )

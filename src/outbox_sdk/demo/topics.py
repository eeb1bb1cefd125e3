"""Topics with a queue behind each, and reading the queues to their end."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from outbox_sdk.core.routing import is_fifo
from outbox_sdk.demo.report import Received

if TYPE_CHECKING:
    from types_aiobotocore_sns import SNSClient
    from types_aiobotocore_sqs import SQSClient
    from types_aiobotocore_sqs.type_defs import MessageTypeDef

__all__ = ["create_topics", "read_queue"]


async def create_topics(sns: "SNSClient", sqs: "SQSClient", topics: Iterable[str]) -> dict[str, str]:
    """Create topics, each with a queue that gets its messages raw; give the queues' URLs by topic."""
    return {topic: await _create_topic(sns, sqs, topic, number) for number, topic in enumerate(topics)}


async def _create_topic(sns: "SNSClient", sqs: "SQSClient", topic: str, number: int) -> str:
    fifo = is_fifo(topic)
    topic_arn = (await sns.create_topic(Name=topic, Attributes={"FifoTopic": "true"} if fifo else {}))[
        "TopicArn"
    ]
    # Numbered, because a queue's name may be 80 characters long and a topic's 256.
    queue_name = f"demo-{number}.fifo" if fifo else f"demo-{number}"
    queue_url = (
        await sqs.create_queue(QueueName=queue_name, Attributes={"FifoQueue": "true"} if fifo else {})
    )["QueueUrl"]
    attributes = await sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
    await sns.subscribe(
        TopicArn=topic_arn,
        Protocol="sqs",
        Endpoint=attributes["Attributes"]["QueueArn"],
        Attributes={"RawMessageDelivery": "true"},
    )
    return queue_url


async def read_queue(
    sqs: "SQSClient",
    queue_url: str,
    topic: str,
    on_received: Callable[[Received], None],
    *,
    complete: asyncio.Event,
) -> None:
    """Read a queue until ``complete`` is set and the queue has been empty twice.

    Reading on behind the last message that was expected is how a duplicate would be seen.
    """
    empty_answers = 0
    while empty_answers < 2:
        answer = await sqs.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=0 if complete.is_set() else 1,
            MessageAttributeNames=["All"],
        )
        messages = answer.get("Messages", [])
        for message in messages:
            on_received(_decode(message, topic))
        if messages:
            empty_answers = 0
            await sqs.delete_message_batch(
                QueueUrl=queue_url,
                Entries=[
                    {"Id": str(position), "ReceiptHandle": message["ReceiptHandle"]}
                    for position, message in enumerate(messages)
                ],
            )
        elif complete.is_set():
            empty_answers += 1
            await asyncio.sleep(0.1)


def _decode(message: "MessageTypeDef", topic: str) -> Received:
    attributes = message.get("MessageAttributes") or {}
    texts = {name: attribute.get("StringValue", "") for name, attribute in attributes.items()}
    return Received(
        message_id=texts.get("MessageId", ""),
        aggregate_id=texts.get("AggregateId", ""),
        topic=topic,
        body=message.get("Body", ""),
    )

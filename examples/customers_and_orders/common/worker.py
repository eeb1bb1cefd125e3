"""Reads a queue as an event source mapping of Lambda would, for a service that runs by itself."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient
    from types_aiobotocore_sqs.type_defs import MessageTypeDef

__all__ = ["Handler", "work_queue"]

Handler = Callable[[object], Awaitable[object]]
"""Handles a record, or raises to have it brought again: the ``handle`` of what ``@consumer`` makes."""


async def work_queue(sqs: "SQSClient", queue_url: str, handle: Handler, *, stop: asyncio.Event) -> None:
    """Hand each message of a queue to ``handle`` and delete what is handled, until ``stop`` is set.

    Messages of a group are handled one after the other, and none behind one that failed; groups side by side,
    as are all messages of a queue without groups. What fails comes again when its time out of sight is over,
    until the queue gives it to its dead-letter queue. Nothing is logged here: ``@consumer`` does it.
    """
    while not stop.is_set():
        answer = await sqs.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=1,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )
        lanes: defaultdict[str, list[MessageTypeDef]] = defaultdict(list)
        for message in answer.get("Messages", []):
            lanes[message.get("Attributes", {}).get("MessageGroupId", message["MessageId"])].append(message)
        async with asyncio.TaskGroup() as group:
            for lane in lanes.values():
                group.create_task(_work_lane(sqs, queue_url, lane, handle))


async def _work_lane(sqs: "SQSClient", queue_url: str, lane: "list[MessageTypeDef]", handle: Handler) -> None:
    for message in lane:
        try:
            await handle(message)
        except Exception:  # whatever it is, one message must not stop the others; the handler has logged it
            return
        await sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])

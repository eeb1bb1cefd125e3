"""The example's worker does with a queue what an event source mapping does."""

import asyncio
from typing import Any

from examples.customers_and_orders.common.worker import work_queue


class Queue:
    """Hands out its messages once, and then sets the event that ends the worker."""

    def __init__(self, messages: list[dict[str, Any]], stop: asyncio.Event) -> None:
        self.messages = messages
        self.deleted: list[str] = []
        self._stop = stop

    async def receive_message(self, **asked: Any) -> dict[str, Any]:
        assert asked["QueueUrl"] == "http://queue"
        assert asked["MessageAttributeNames"] == asked["MessageSystemAttributeNames"] == ["All"]
        messages, self.messages = self.messages, []
        if not messages:
            self._stop.set()
            return {}
        return {"Messages": messages}

    async def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:  # noqa: N803 - AWS's names
        assert QueueUrl == "http://queue"
        self.deleted.append(ReceiptHandle)


def received(name: str, group: str | None = None) -> dict[str, Any]:
    attributes = {} if group is None else {"MessageGroupId": group}
    return {"MessageId": name, "ReceiptHandle": f"handle of {name}", "Attributes": attributes}


async def work(messages: list[dict[str, Any]], *, failing: str = "") -> tuple[list[str], list[str]]:
    """Give which messages were begun and which deleted, each in order."""
    stop, begun = asyncio.Event(), list[str]()
    queue: Any = Queue(messages, stop)

    async def handle(message: Any) -> None:
        begun.append(message["MessageId"])
        await asyncio.sleep(0)
        if message["MessageId"] == failing:
            raise LookupError

    await work_queue(queue, "http://queue", handle, stop=stop)
    return begun, [handle.removeprefix("handle of ") for handle in queue.deleted]


async def test_what_is_handled_is_deleted() -> None:
    assert await work([received("a"), received("b")]) == (["a", "b"], ["a", "b"])


async def test_what_fails_stays_in_the_queue_and_stops_nobody() -> None:
    begun, deleted = await work([received("a"), received("b"), received("c")], failing="b")

    assert begun == ["a", "b", "c"]
    assert deleted == ["a", "c"]


async def test_a_group_is_handled_in_order_and_waits_behind_what_failed() -> None:
    messages = [received("a1", "a"), received("a2", "a"), received("b1", "b"), received("b2", "b")]

    begun, deleted = await work(messages, failing="a1")

    assert begun == ["a1", "b1", "b2"]  # groups side by side, a2 not at all
    assert deleted == ["b1", "b2"]

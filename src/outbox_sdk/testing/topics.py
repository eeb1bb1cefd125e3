"""The double of all destinations: accepts everything, and drops repetitions where AWS does."""

import math
from collections.abc import Callable, Iterable, Mapping
from time import time
from typing import Any
from uuid import uuid4

import msgspec

from outbox_sdk.core.destinations import Service, route_of
from outbox_sdk.core.entry import Entry
from outbox_sdk.core.publish import EntryFailed, Published, PublishRequest, PublishResponse, RequestFailed

__all__ = ["InMemoryTopics", "PublishedMessage", "name_of"]

_DEDUPLICATION_SECONDS = 300.0

_MISSING: dict[Service, RequestFailed] = {
    "sns": RequestFailed("NotFound", 404, "Topic does not exist"),
    "sqs": RequestFailed("QueueDoesNotExist", 400, "The specified queue does not exist."),
    "events": RequestFailed("ResourceNotFoundException", 400, "The event bus does not exist."),
    "kinesis": RequestFailed("ResourceNotFoundException", 400, "The stream was not found."),
}


class PublishedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as a consumer of its destination gets it.

    ``topic`` is the topic's name as in its ARN, or the route of another destination. ``attributes`` are those
    of a topic's or a queue's message, and the other fields of an event; a record of a stream has none.
    ``group_id`` is the group in a FIFO topic or queue, or the partition key of a stream.
    """

    topic: str
    body: str
    attributes: Mapping[str, str]
    group_id: str | None = None

    @property
    def message_id(self) -> str:
        """The producer's id, by which consumers deduplicate."""
        if "MessageId" in self.attributes:
            return self.attributes["MessageId"]
        document: dict[str, Any] = msgspec.json.decode(self.body)
        carried = document.get("attributes") or {"MessageId": document.get("id")}
        return str(carried["MessageId"])

    def to_sqs_record(self) -> dict[str, Any]:
        """Give the record that Lambda hands to a consumer's function.

        Of a queue that is subscribed with raw message delivery, or that the message was sent to. Each call is
        one delivery more, under an id of its own.
        """
        return {
            "messageId": str(uuid4()),
            "receiptHandle": "in-memory",
            "body": self.body,
            "attributes": {"ApproximateReceiveCount": "1"}
            | ({} if self.group_id is None else {"MessageGroupId": self.group_id}),
            "messageAttributes": {
                name: {"stringValue": value, "dataType": "String"} for name, value in self.attributes.items()
            },
            "eventSource": "aws:sqs",
        }


class InMemoryTopics:
    """A publisher that keeps what it accepts, in order, and drops repetitions where AWS does.

    Every destination exists, unless ``topics`` names those that do, others than topics by their routes.
    ``now`` gives seconds: five minutes after the first acceptance SNS and SQS have forgotten a deduplication
    id.

    >>> topics = InMemoryTopics(["order--created", "sqs:billing"])
    """

    def __init__(self, topics: Iterable[str] | None = None, *, now: Callable[[], float] = time) -> None:
        self.published: list[PublishedMessage] = []
        self._topics = None if topics is None else frozenset(topics)
        self._now = now
        self._accepted: dict[tuple[str, str], tuple[float, str]] = {}
        self._failures: dict[str, list[EntryFailed]] = {}

    def fail(self, message_id: str, code: str, *, times: int = 1, sender_fault: bool = False) -> None:
        """Let the next attempts at one message fail with a code, and nothing else of their requests."""
        failure = EntryFailed(code, sender_fault)
        self._failures.setdefault(message_id, []).extend([failure] * times)

    async def publish(self, request: PublishRequest) -> PublishResponse:
        """Accept the entries of one request, but for those that are to fail."""
        topic = name_of(request.topic)
        if self._topics is not None and topic not in self._topics:
            return _MISSING[route_of(request.topic)[0].service]
        return tuple(self._settle(topic, entry) for entry in request.entries)

    def _settle(self, topic: str, entry: Entry) -> Published | EntryFailed:
        failures = self._failures.get(entry.message.message_id)
        return failures.pop(0) if failures else Published(self.accept(topic, entry))

    def accept(self, topic: str, entry: Entry) -> str:
        """Accept one entry at a destination; give the id that AWS would give it."""
        accepted_at, known = self._accepted.get((topic, entry.deduplication_id or ""), (-math.inf, ""))
        if self._now() - accepted_at < _DEDUPLICATION_SECONDS:
            return known
        self.published.append(
            PublishedMessage(
                topic=topic,
                body=entry.envelope.body,
                attributes={attribute.name: attribute.value for attribute in entry.envelope.attributes},
                group_id=entry.group_id,
            )
        )
        sns_message_id = f"sns-{len(self.published)}"
        if entry.deduplication_id is not None:
            self._accepted[topic, entry.deduplication_id] = (self._now(), sns_message_id)
        return sns_message_id


def name_of(arn: str) -> str:
    """Give a topic's name as it is in its ARN, or the route of another destination.

    >>> name_of("arn:aws:sns:us-east-1:000000000000:orders")
    'orders'
    >>> name_of("arn:aws:events:us-east-1:000000000000:event-bus/orders")
    'eventbridge:orders'
    """
    kind, name = route_of(arn)
    return f"{kind.scheme}:{name}" if kind.scheme else name

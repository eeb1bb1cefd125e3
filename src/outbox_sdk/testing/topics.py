"""The double of all destinations: accepts everything, and drops repetitions where AWS does."""

import math
from collections.abc import Callable, Iterable, Mapping
from time import time
from typing import Any
from uuid import uuid4

import msgspec

from outbox_sdk.core.destinations import Service, route_of
from outbox_sdk.core.entry import Entry
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.publish import EntryFailed, Published, PublishRequest, PublishResponse, RequestFailed
from outbox_sdk.testing.table import ROUTING

__all__ = ["InMemoryTopics", "PublishedMessage", "name_of"]

_DEDUPLICATION_SECONDS = 300.0
_PLACE = f"{ROUTING.region}:{ROUTING.account_id}"

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
    ``number_attributes`` names those whose type is Number, the others are of type String.
    ``group_id`` is the group in a FIFO topic or queue, or the partition key of a stream.
    """

    topic: str
    body: str
    attributes: Mapping[str, str]
    group_id: str | None = None
    number_attributes: frozenset[str] = frozenset()

    @property
    def message_id(self) -> str:
        """The producer's id, by which consumers deduplicate."""
        if "MessageId" in self.attributes:
            return self.attributes["MessageId"]
        document: dict[str, Any] = msgspec.json.decode(self.body)
        carried = document.get("attributes") or {"MessageId": document.get("id")}
        return str(carried["MessageId"])

    def to_sqs_record(self, *, raw: bool = True, queue: str | None = None) -> dict[str, Any]:
        """Give the record that Lambda hands to a consumer's function.

        Of a queue that is subscribed with raw message delivery, or that the message was sent to; with
        ``raw=False``, of one that is subscribed without. ``queue`` names it, by default as the queue that the
        message was sent to, or as the topic. Each call is one delivery more, under an id of its own.

        Raises:
            ConfigurationError: ``raw=False`` of a message that did not go through a topic.

        >>> message = PublishedMessage(topic="orders", body="{}", attributes={"MessageId": "m-1"})
        >>> message.to_sqs_record(queue="billing")["eventSourceARN"]
        'arn:aws:sqs:us-east-1:000000000000:billing'
        """
        scheme, _, name = self.topic.rpartition(":")
        if scheme and not raw:
            raise ConfigurationError("raw", f"SNS wraps nothing that goes to {self.topic}; leave raw=True")
        typed = [(key, self._type_of(key), value) for key, value in self.attributes.items()]
        attributes = {
            key: {"stringValue": value, "stringListValues": [], "binaryListValues": [], "dataType": kind}
            for key, kind, value in typed
        }
        return {
            "messageId": str(uuid4()),
            "receiptHandle": "in-memory",
            "body": self.body if raw else self._notification(typed),
            "attributes": {"ApproximateReceiveCount": "1"}
            | ({} if self.group_id is None else {"MessageGroupId": self.group_id}),
            "messageAttributes": attributes if raw else {},
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:{_PLACE}:{queue or name}",
            "awsRegion": str(ROUTING.region),
        }

    def _type_of(self, attribute: str) -> str:
        return "Number" if attribute in self.number_attributes else "String"

    def _notification(self, typed: Iterable[tuple[str, str, str]]) -> str:
        """Write what SNS makes of a message for a queue without raw message delivery."""
        document = {
            "Type": "Notification",
            "MessageId": str(uuid4()),
            "TopicArn": f"arn:aws:sns:{_PLACE}:{self.topic}",
            "Message": self.body,
            "Timestamp": "2026-01-01T00:00:00.000Z",
            "MessageAttributes": {name: {"Type": kind, "Value": value} for name, kind, value in typed},
        }
        return msgspec.json.encode(document).decode()


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
                number_attributes=frozenset(
                    [attribute.name for attribute in entry.envelope.attributes if attribute.kind == "Number"]
                ),
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

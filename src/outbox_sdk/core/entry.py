"""One element of a request to a destination: a message resolved, wrapped, measured and ready to send."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from outbox_sdk.core.destinations import EVENTBRIDGE, KINESIS, SNS, DestinationKind, parse_route
from outbox_sdk.core.embedding import encode_document, encode_event
from outbox_sdk.core.envelope import Envelope, EnvelopeKind, encode_envelope
from outbox_sdk.core.identifiers import ItemKey, TopicArn, TopicName
from outbox_sdk.core.message import MAX_HOPS, OutboxMessage
from outbox_sdk.core.routing import Refusal, Routing, is_fifo, resolve_route, resolve_topic
from outbox_sdk.core.text import utf8_size

__all__ = [
    "DEFAULT_TOPIC_MAX_BYTES",
    "Entry",
    "TopicLimits",
    "deduplication_id",
    "encode_entry",
    "entry_request",
    "find_publish_fault",
    "find_size_fault",
    "message_group_id",
]

DEFAULT_TOPIC_MAX_BYTES = SNS.entry_bytes
"""What SNS allows a message, and all messages of one request together, unless a topic says otherwise."""

# Letters, digits and punctuation of ASCII, as SNS documents for both ids.
_FIFO_ID = re.compile(r"[!-~]{1,128}")

_TIME_BYTES = 14
_PARTITION_KEY = 256
"""Kinesis API Reference, PutRecordsRequestEntry: so many characters."""


class TopicLimits(msgspec.Struct, frozen=True):
    """The message size limit of each destination in bytes, by route; ``default`` for all other topics.

    Other destinations that are not named have the limit of their kind.
    """

    default: int = DEFAULT_TOPIC_MAX_BYTES
    by_topic: Mapping[TopicName, int] = {}

    def of(self, topic: TopicName) -> int:
        """Give a topic's limit in bytes."""
        return self.by_topic.get(topic, self.default)

    def of_route(self, route: TopicName, kind: DestinationKind) -> int:
        """Give the limit in bytes of another destination."""
        return self.by_topic.get(route, kind.entry_bytes)


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A message ready to be sent. A request that holds it takes ``limit`` bytes and ``max_entries`` entries.

    ``size`` is what to reserve in a request, in bytes, measured once. Whether SNS counts group and
    deduplication id is not documented, so packing reserves them, while no message is refused for their sake.
    ``topic`` is the ARN of the topic or of another destination. Entries of one ``group_id`` are a lane: it is
    the group of a FIFO topic or queue, and the partition key of a stream.
    """

    message: OutboxMessage
    topic: TopicArn
    envelope: Envelope
    size: int
    limit: int
    group_id: str | None = None
    deduplication_id: str | None = None
    max_entries: int = SNS.max_entries


def encode_entry(
    message: OutboxMessage, routing: Routing, *, kind: EnvelopeKind, limits: TopicLimits, source: str
) -> Entry | Refusal:
    """Resolve, wrap and measure a message; refuse what SNS would refuse, and what goes round in a circle."""
    if message.hops >= MAX_HOPS:
        return Refusal(f"hops:{MAX_HOPS}")
    topic = resolve_topic(message.topic, routing)
    if isinstance(topic, Refusal):
        # What no topic can be called may be the route to something else.
        other = ":" in message.topic
        return _encode_other(message, routing, kind=kind, limits=limits, source=source) if other else topic
    envelope = encode_envelope(message, kind, source=source)
    if isinstance(envelope, Refusal):
        return envelope
    limit = limits.of(message.topic)
    size = envelope.size
    if size > limit:
        return _too_large(size, limit)
    if not is_fifo(topic):
        return Entry(message, topic, envelope, size, limit)
    group = message_group_id(message.aggregate_id)
    deduplication = deduplication_id(message.key, message.redrive_count)
    return Entry(
        message, topic, envelope, size + len(group) + len(deduplication), limit, group, deduplication
    )


def _encode_other(
    message: OutboxMessage, routing: Routing, *, kind: EnvelopeKind, limits: TopicLimits, source: str
) -> Entry | Refusal:
    parsed = parse_route(message.topic)
    if parsed is None:
        return Refusal("topic-name")
    destination = resolve_route(message.topic, routing)
    if isinstance(destination, Refusal):
        return destination
    return _wrap(message, destination, parsed[0], kind=kind, limits=limits, source=source)


def _wrap(
    message: OutboxMessage,
    destination: TopicArn,
    takes: DestinationKind,
    *,
    kind: EnvelopeKind,
    limits: TopicLimits,
    source: str,
) -> Entry | Refusal:
    """Wrap and measure a message for a destination that is no topic, as its service counts."""
    group = deduplication = None
    envelope: Envelope | Refusal
    if takes is KINESIS:
        document = encode_document(message, kind, source=source)
        envelope = document if isinstance(document, Refusal) else Envelope(document, ())
        group = _partition_key(message.aggregate_id)
    elif takes is EVENTBRIDGE:
        envelope = encode_event(message, kind, source=source)
    else:
        envelope = encode_envelope(message, kind, source=source)
        if is_fifo(message.topic):
            group = message_group_id(message.aggregate_id)
            deduplication = deduplication_id(message.key, message.redrive_count)
    if isinstance(envelope, Refusal):
        return envelope
    size = _event_size(envelope) if takes is EVENTBRIDGE else envelope.size
    if takes is KINESIS:
        size += utf8_size(group or "")
    limit = limits.of_route(message.topic, takes)
    if size > limit:
        return _too_large(size, limit)
    if deduplication is not None:
        size += len(group or "") + len(deduplication)
    return Entry(
        message, destination, envelope, size, takes.request_bytes, group, deduplication, takes.max_entries
    )


def _partition_key(aggregate_id: str) -> str:
    # Nobody says whether its characters are counted in UTF-16, where some are two.
    if len(aggregate_id) <= _PARTITION_KEY // 2:
        return aggregate_id
    return hashlib.sha256(aggregate_id.encode()).hexdigest()


def _event_size(event: Envelope) -> int:
    """Count an event as the EventBridge User Guide does: values only, and 14 bytes for a time."""
    texts = [field.value for field in event.attributes if field.name != "Time"]
    timed = len(texts) < len(event.attributes)
    return utf8_size(event.body) + utf8_size("".join(texts)) + (_TIME_BYTES if timed else 0)


def find_publish_fault(
    message: OutboxMessage, *, kind: EnvelopeKind, limits: TopicLimits, source: str
) -> Refusal | None:
    """Say why the relay could not publish a message whose route it may reach, or ``None``."""
    parsed = parse_route(message.topic)
    if parsed is not None and parsed[0] is not SNS:
        entry = _wrap(message, TopicArn(message.topic), parsed[0], kind=kind, limits=limits, source=source)
        return entry if isinstance(entry, Refusal) else None
    envelope = encode_envelope(message, kind, source=source)
    if isinstance(envelope, Refusal):
        return envelope
    return find_size_fault(envelope, limits.of(message.topic))


def find_size_fault(envelope: Envelope, limit: int) -> Refusal | None:
    """Refuse an envelope over ``limit`` bytes, naming both figures; exactly the limit passes."""
    size = envelope.size
    return _too_large(size, limit) if size > limit else None


def _too_large(size: int, limit: int) -> Refusal:
    return Refusal(f"size:{size}>{limit}")


def message_group_id(aggregate_id: str) -> str:
    """Give the FIFO group of an aggregate: its id, or a hash where SNS would not take the id.

    >>> message_group_id("order-7")
    'order-7'
    >>> len(message_group_id("kundin ä"))
    64
    """
    if _FIFO_ID.fullmatch(aggregate_id):
        return aggregate_id
    return hashlib.sha256(aggregate_id.encode()).hexdigest()


def deduplication_id(key: ItemKey, redrive_count: int) -> str:
    """Give the FIFO deduplication id: stable for an item, fresh for a redrive, so that one is delivered."""
    return hashlib.sha256(msgspec.json.encode((key.parts, redrive_count))).hexdigest()


def entry_request(entry: Entry, entry_id: str) -> dict[str, Any]:
    """Write an entry as ``PublishBatch`` takes it. ``entry_id`` is only the request's own."""
    envelope = entry.envelope
    request: dict[str, Any] = {
        "Id": entry_id,
        "Message": envelope.body,
        "MessageAttributes": {
            attribute.name: {"DataType": attribute.kind, "StringValue": attribute.value}
            for attribute in envelope.attributes
        },
    }
    if entry.group_id is not None and entry.deduplication_id is not None:
        request["MessageGroupId"] = entry.group_id
        request["MessageDeduplicationId"] = entry.deduplication_id
    return request

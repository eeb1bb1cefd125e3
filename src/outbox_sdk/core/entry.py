"""One element of a ``PublishBatch`` request: a message resolved, wrapped, measured and ready to send."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from outbox_sdk.core.envelope import Envelope, EnvelopeKind, encode_envelope
from outbox_sdk.core.identifiers import ItemKey, TopicArn, TopicName
from outbox_sdk.core.message import MAX_HOPS, OutboxMessage
from outbox_sdk.core.routing import Refusal, Routing, is_fifo, resolve_topic

__all__ = [
    "DEFAULT_TOPIC_MAX_BYTES",
    "Entry",
    "TopicLimits",
    "deduplication_id",
    "encode_entry",
    "entry_request",
    "find_size_fault",
    "message_group_id",
]

DEFAULT_TOPIC_MAX_BYTES = 262_144
"""What SNS allows a message, and all messages of one request together, unless a topic says otherwise."""

# Letters, digits and punctuation of ASCII, as SNS documents for both ids.
_FIFO_ID = re.compile(r"[!-~]{1,128}")


class TopicLimits(msgspec.Struct, frozen=True):
    """The message size limit of each topic in bytes, by logical name; ``default`` for all others."""

    default: int = DEFAULT_TOPIC_MAX_BYTES
    by_topic: Mapping[TopicName, int] = {}

    def of(self, topic: TopicName) -> int:
        """Give a topic's limit in bytes."""
        return self.by_topic.get(topic, self.default)


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A message ready to be sent. ``limit`` is its topic's, in bytes.

    ``size`` is what to reserve in a request, in bytes, measured once. Whether SNS counts group and
    deduplication id is not documented, so packing reserves them, while no message is refused for their sake.
    """

    message: OutboxMessage
    topic: TopicArn
    envelope: Envelope
    size: int
    limit: int
    group_id: str | None = None
    deduplication_id: str | None = None


def encode_entry(
    message: OutboxMessage, routing: Routing, *, kind: EnvelopeKind, limits: TopicLimits, source: str
) -> Entry | Refusal:
    """Resolve, wrap and measure a message; refuse what SNS would refuse, and what goes round in a circle."""
    if message.hops >= MAX_HOPS:
        return Refusal(f"hops:{MAX_HOPS}")
    topic = resolve_topic(message.topic, routing)
    if isinstance(topic, Refusal):
        return topic
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

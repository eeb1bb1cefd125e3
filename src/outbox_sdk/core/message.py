"""What one image of the stream can be: a message to publish, something to skip, or poison."""

from collections.abc import Mapping

import msgspec

from outbox_sdk.core.identifiers import (
    AggregateId,
    AttributeValue,
    CorrelationId,
    ItemKey,
    MessageId,
    TopicName,
)

__all__ = ["MAX_HOPS", "Content", "OutboxMessage", "Poison", "Skipped"]

MAX_HOPS = 16
"""A message that has come so far goes round in a circle of consumers, and is parked."""


class OutboxMessage(msgspec.Struct, frozen=True, gc=False):
    """An outstanding message, typed, as one image of its item showed it.

    ``body`` is the text the producer stored, unchanged. ``marker`` is the ``NotDispatched`` attribute that
    the image carried: whoever settles the message does so on the condition that it still stands.
    ``created_at`` is ISO 8601 text as stored, of any offset. ``hops`` counts the messages that led to this
    one, each written by a consumer of the one before. It, ``dispatch_count`` and ``redrive_count`` are 0
    where the item has none.
    """

    key: ItemKey
    marker: AttributeValue
    message_id: MessageId
    aggregate_id: AggregateId
    topic: TopicName
    body: str
    correlation_id: CorrelationId | None = None
    created_at: str | None = None
    message_type: str | None = None
    schema_version: int | None = None
    content_type: str | None = None
    headers: Mapping[str, str] = {}
    sequence: int | None = None
    dispatch_count: int = 0
    redrive_count: int = 0
    hops: int = 0


class Skipped(msgspec.Struct, frozen=True, gc=False):
    """A record with nothing to publish.

    ``reason`` is ``removed``, ``parked``, ``marked`` (the relay's own mark) or ``foreign`` (not an
    outstanding outbox item).
    """

    reason: str


class Poison(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An image that carries the outbox marker and cannot be published as it is.

    ``reason`` names the attribute and the fault, never a value of the message: ``missing:Topic``,
    ``type:Topic:N``, ``empty``, ``charset:U+0000``. ``message_id`` is there where the image gave one that a
    log can show.
    """

    key: ItemKey
    marker: AttributeValue
    reason: str
    message_id: MessageId | None = None
    redrive_count: int = 0


Content = OutboxMessage | Skipped | Poison
"""What a record holds; matched to the end wherever it is used."""

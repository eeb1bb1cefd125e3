"""The producer's side: a message as one entry of the caller's own transaction."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from outbox_sdk.core.entry import TopicLimits, find_size_fault
from outbox_sdk.core.envelope import EnvelopeKind, encode_envelope
from outbox_sdk.core.errors import ConfigurationError, InvalidMessageError
from outbox_sdk.core.identifiers import AggregateId, CorrelationId, ItemKey, MessageId, TopicName
from outbox_sdk.core.items import bucket_of, decode_item, encode_item, item_size
from outbox_sdk.core.message import MAX_HOPS, OutboxMessage, Poison
from outbox_sdk.core.routing import Refusal, is_topic_name
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.text import find_text_fault, format_instant

if TYPE_CHECKING:
    # The clients' own type, so that the entry goes into `TransactItems` without a cast.
    from types_aiobotocore_dynamodb.type_defs import TransactWriteItemTypeDef

__all__ = ["MAX_ITEM_BYTES", "Outbox"]

MAX_ITEM_BYTES = 409_600 - 1_024
"""DynamoDB's limit for an item, names included, less the room that marking or parking it may need."""


class Outbox:
    """Writes messages into an outbox table, inside transactions that stay the caller's.

    ``topics`` names the topic of each message type. ``topic_max_bytes`` and ``envelope`` are what the relay
    is configured with, so that a message which could not be published is refused before it is written.
    ``buckets`` spreads the index of outstanding messages (1 to 100).

    It holds no client, and does no I/O: :meth:`put` only builds a value.

    >>> class OrderCreated(msgspec.Struct):
    ...     order_id: str
    >>> outbox = Outbox("outbox", topics={OrderCreated: "order--created"})
    >>> entry = outbox.put(OrderCreated("7"), aggregate_id="order-7", message_id="m-1")
    >>> entry["Put"]["Item"]["PK"], entry["Put"]["Item"]["Message"]
    ({'S': 'AGGREGATE#order-7'}, {'S': '{"order_id":"7"}'})
    """

    def __init__(
        self,
        table_name: str,
        *,
        topics: Mapping[type, str] | None = None,
        design: TableDesign = TableDesign.ordered,
        topic_max_bytes: int | TopicLimits = TopicLimits(),  # noqa: B008 - a frozen value
        envelope: EnvelopeKind = "raw",
        buckets: int = 16,
    ) -> None:
        if not 1 <= buckets <= 100:
            raise ConfigurationError("buckets", f"{buckets} is not between 1 and 100")
        for topic in (topics or {}).values():
            if not is_topic_name(topic):
                raise ConfigurationError("topics", f"{topic!r} is not a topic name")
        self.table_name = table_name
        self.design = design
        self._topics = {kind: TopicName(topic) for kind, topic in (topics or {}).items()}
        self._limits = TopicLimits(topic_max_bytes) if isinstance(topic_max_bytes, int) else topic_max_bytes
        self._envelope: EnvelopeKind = envelope
        self._buckets = buckets

    def put(
        self,
        message: object,
        *,
        aggregate_id: str,
        correlation_id: str | None = None,
        message_id: str | None = None,
        topic: str | None = None,
        sequence: int | None = None,
        headers: Mapping[str, str] | None = None,
        created_at: datetime | None = None,
        hops: int = 0,
    ) -> "TransactWriteItemTypeDef":
        """Build the entry of ``TransactWriteItems`` that writes one message.

        ``message`` is anything that msgspec encodes as JSON, or the body itself as a string with ``topic``.
        ``aggregate_id`` is what the message is about: order is kept within it. ``message_id`` is what
        consumers deduplicate by, a random one by default. ``sequence`` is the aggregate's own version: two
        messages of one aggregate in one transaction keep their order only with it. ``headers`` become SNS
        attributes. A consumer that writes because of a message passes that message's ``Hops`` (0 where it has
        none) plus 1, so that consumers who write to each other come to an end. The write fails while an item
        of the same message is in the table.

        Not promised: that the message is written. It is written when your transaction commits.

        Raises:
            InvalidMessageError: naming the argument that breaks a limit or a rule.
        """
        body = _encode_body(message)
        identifier = MessageId(message_id if message_id is not None else str(uuid4()))
        _check_text("message_id", identifier)
        _check_text("aggregate_id", aggregate_id)
        if correlation_id:  # an empty one says the same as none
            _check_text("correlation_id", correlation_id)
        for value in (headers or {}).values():
            _check_text("headers", value)
        if sequence is not None and not 0 <= sequence < 10**38:
            raise InvalidMessageError("sequence", f"{sequence} is not between 0 and 10^38")
        _check_hops(hops)
        keys = self.design.item_key_values(aggregate_id, identifier)
        outgoing = OutboxMessage(
            key=ItemKey.from_item({name: {"S": value} for name, value in keys.items()}),
            marker={"S": bucket_of(identifier, self._buckets)},
            message_id=identifier,
            aggregate_id=AggregateId(aggregate_id),
            topic=self._resolve_topic(message, topic),
            body=body,
            correlation_id=None if correlation_id is None else CorrelationId(correlation_id),
            created_at=_format_created_at(created_at),
            message_type=type(message).__name__ if type(message) in self._topics else None,
            content_type=None if isinstance(message, str) else "application/json",
            headers=dict(headers or {}),
            sequence=sequence,
            hops=hops,
        )
        item = encode_item(outgoing, self.design)
        self._check(outgoing, item)
        return {
            "Put": {
                "TableName": self.table_name,
                "Item": item,
                "ConditionExpression": "attribute_not_exists(#key)",
                "ExpressionAttributeNames": {"#key": self.design.partition_key},
            }
        }

    def _resolve_topic(self, message: object, topic: str | None) -> TopicName:
        if topic is None:
            named = self._topics.get(type(message))
            if named is None:
                raise InvalidMessageError(
                    "topic",
                    f"none is registered for {type(message).__name__}; give topic= or add it to topics",
                )
            return named
        if not is_topic_name(topic):
            raise InvalidMessageError("topic", f"{topic!r} is not a topic name")
        return TopicName(topic)

    def _check(self, message: OutboxMessage, item: dict[str, Any]) -> None:
        """Refuse what the relay could not publish, by the relay's own rules, and what DynamoDB refuses."""
        decoded = decode_item(item, message.key, self.design)
        if isinstance(decoded, Poison):
            raise InvalidMessageError("message", f"message {message.message_id} is refused: {decoded.reason}")
        envelope = encode_envelope(message, self._envelope, source=f"/outbox/{self.table_name}")
        fault = (
            envelope
            if isinstance(envelope, Refusal)
            else find_size_fault(envelope, self._limits.of(message.topic))
        )
        if fault is not None:
            field = "headers" if fault.reason.startswith("attribute") else "message"
            raise InvalidMessageError(field, f"message {message.message_id} is refused: {fault.reason}")
        self._check_keys(item)
        size = item_size(item)
        if size > MAX_ITEM_BYTES:
            raise InvalidMessageError(
                "message", f"message {message.message_id} makes an item of {size} of {MAX_ITEM_BYTES} bytes"
            )

    def _check_keys(self, item: dict[str, Any]) -> None:
        by_aggregate = self.design.keyed_by == "aggregate"
        for name, limit, field in (
            (self.design.partition_key, 2_048, "aggregate_id" if by_aggregate else "message_id"),
            (self.design.sort_key, 1_024, "message_id"),
        ):
            size = 0 if name is None else len(item[name]["S"].encode())
            if size > limit:
                raise InvalidMessageError(field, f"{name} has {size} of {limit} bytes")


def _encode_body(message: object) -> str:
    if isinstance(message, str):
        return message
    try:
        return msgspec.json.encode(message).decode()
    except (TypeError, ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise InvalidMessageError(
            "message", f"a {type(message).__name__} is not encoded as JSON by msgspec; pass its JSON text"
        ) from error


def _check_text(field: str, text: str) -> None:
    fault = find_text_fault(text) if text else "empty"
    if fault is not None:
        raise InvalidMessageError(field, f"is refused: {fault}")


def _check_hops(hops: object) -> None:
    if isinstance(hops, bool) or not isinstance(hops, int) or hops < 0:
        raise InvalidMessageError("hops", "is not a whole number from 0 on")
    if hops >= MAX_HOPS:
        raise InvalidMessageError(
            "hops", f"{hops} messages have led to this one: consumers write to each other without end"
        )


def _format_created_at(created_at: datetime | None) -> str:
    if created_at is None:
        return format_instant(datetime.now(UTC))
    try:
        return format_instant(created_at)
    except (ValueError, OverflowError) as error:
        raise InvalidMessageError("created_at", str(error)) from error

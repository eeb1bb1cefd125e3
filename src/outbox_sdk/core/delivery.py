"""What a consumer receives, typed: the message as its producer wrote it, out of whatever it travelled in.

A message of the relay reaches a consumer in two layers: what SNS, SQS and Lambda put around it (with raw
message delivery or without), and the envelope that the relay is configured to write. Both are taken off here.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from outbox_sdk.core.attributes import read_attributes
from outbox_sdk.core.envelope import PAYLOAD_SIZE, REPLAYED, RESERVED_ATTRIBUTES, EnvelopeKind
from outbox_sdk.core.errors import UndecodableDeliveryError
from outbox_sdk.core.identifiers import AggregateId, CorrelationId, MessageId, TopicArn
from outbox_sdk.core.trace import CAUSATION_ID, TRACEPARENT, TRACESTATE, TraceContext, read_trace
from outbox_sdk.core.unwrap import unwrap

__all__ = ["Delivery", "decode_sns_record", "decode_sqs_record"]

_OWN_FIELD = RESERVED_ATTRIBUTES | {CAUSATION_ID, TRACEPARENT, TRACESTATE, REPLAYED}
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,38}")


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One message as it was delivered, without what it travelled in.

    ``message_id`` is the producer's own id, by which consumers deduplicate: the same in every delivery of
    the message. ``body`` is the text that the producer stored. What the message does not carry is ``None``,
    ``hops`` 0 and ``headers`` empty. ``headers`` are those of the producer, without what has a field of its
    own here: ``causation_id``, ``trace`` and ``replayed_at``, which is when a replay began that has sent the
    message again, and ``None`` otherwise: an inbox takes a replay for the repetition that it is, unless its
    consumer looks at this. ``created_at`` and ``source``, the outbox it comes from, travel
    only in the envelopes ``cloudevents`` and ``tomodachi``.

    The rest tells of this delivery and not of the message. ``transport_message_id`` is the id that SQS or SNS
    gave it, which changes with every publish; ``transport_sequence_number`` and ``group_id`` are there on
    FIFO topics and queues; ``receive_count`` is how often the queue has handed it out, this time included.
    """

    message_id: MessageId
    aggregate_id: AggregateId
    body: str
    message_type: str | None = None
    schema_version: int | None = None
    content_type: str | None = None
    correlation_id: CorrelationId | None = None
    causation_id: MessageId | None = None
    sequence: int | None = None
    hops: int = 0
    headers: Mapping[str, str] = {}
    trace: TraceContext | None = None
    replayed_at: str | None = None
    created_at: str | None = None
    source: str | None = None
    topic: str | None = None
    topic_arn: TopicArn | None = None
    queue_arn: str | None = None
    transport_message_id: str | None = None
    transport_sequence_number: str | None = None
    group_id: str | None = None
    receive_count: int | None = None

    @property
    def attributes(self) -> dict[str, str]:
        """What a catalog asks of the attributes to decode the body: type, version and content type."""
        named = {
            "MessageId": self.message_id,
            "AggregateId": self.aggregate_id,
            "MessageType": self.message_type,
            "SchemaVersion": None if self.schema_version is None else str(self.schema_version),
            "ContentType": self.content_type,
        }
        return {name: value for name, value in named.items() if value is not None}


class _Notification(msgspec.Struct):
    """What SNS writes into a queue without raw message delivery, and hands to a function."""

    Type: str
    MessageId: str
    TopicArn: str
    Message: str
    MessageAttributes: dict[str, Any] = {}
    SequenceNumber: str | None = None


class _Transport(msgspec.Struct):
    """What is known of the way that a message took."""

    message_id: str
    topic_arn: TopicArn | None = None
    queue_arn: str | None = None
    sequence_number: str | None = None
    group_id: str | None = None
    receive_count: int | None = None


_read_notification = msgspec.json.Decoder(_Notification).decode


def decode_sqs_record(record: object, envelope: EnvelopeKind = "raw") -> Delivery:
    """Read one message of a queue that is subscribed to a topic of the relay, or that the relay sends to.

    ``record`` is a record of the event that Lambda hands over, as a dict or as Powertools' ``SQSRecord``, or
    a message of ``receive_message`` (ask for it with ``MessageAttributeNames=["All"]`` and
    ``MessageSystemAttributeNames=["All"]``). ``envelope`` is what the relay is configured with. Whether the
    subscription has raw message delivery is seen from the record.

    Raises:
        UndecodableDeliveryError: naming what is missing or wrong, never a value.

    >>> delivery = decode_sqs_record({
    ...     "messageId": "c80e8021",
    ...     "body": '{"order_id":"7"}',
    ...     "messageAttributes": {
    ...         "MessageId": {"stringValue": "m-1", "dataType": "String"},
    ...         "AggregateId": {"stringValue": "order-7", "dataType": "String"},
    ...     },
    ... })
    >>> delivery.message_id, delivery.body
    ('m-1', '{"order_id":"7"}')
    """
    fields = _mapping(record)
    body, message_id = _either(fields, "body", "Body"), _either(fields, "messageId", "MessageId")
    if not (isinstance(body, str) and isinstance(message_id, str)):
        raise UndecodableDeliveryError("record")
    system = _mapping(_either(fields, "attributes", "Attributes") or {})
    transport = _Transport(
        message_id,
        queue_arn=_text(fields.get("eventSourceARN")),
        sequence_number=_text(system.get("SequenceNumber")),
        group_id=_text(system.get("MessageGroupId")),
        receive_count=_count(system.get("ApproximateReceiveCount")),
    )
    attributes = read_attributes(_mapping(_either(fields, "messageAttributes", "MessageAttributes") or {}))
    # With raw delivery, everything of the relay has this attribute; without, a queue's message has none.
    notification = None if "MessageId" in attributes else _find_notification(body)
    if notification is None:
        return _deliver(body, attributes, envelope, transport)
    transport.topic_arn = TopicArn(notification.TopicArn)
    return _deliver(
        notification.Message, read_attributes(notification.MessageAttributes), envelope, transport
    )


def decode_sns_record(record: object, envelope: EnvelopeKind = "raw") -> Delivery:
    """Read one message that SNS hands to a function or an endpoint without a queue between.

    ``record`` is a record of the event that Lambda hands over, as a dict or as Powertools'
    ``SNSEventRecord``, or the notification itself as an HTTP endpoint gets it. ``envelope`` is what the relay
    is configured with.

    Raises:
        UndecodableDeliveryError: naming what is missing or wrong, never a value.

    >>> decode_sns_record({
    ...     "Type": "Notification",
    ...     "MessageId": "22b80b92",
    ...     "TopicArn": "arn:aws:sns:eu-west-1:123456789012:order--created",
    ...     "Message": "{}",
    ...     "MessageAttributes": {
    ...         "MessageId": {"Type": "String", "Value": "m-1"},
    ...         "AggregateId": {"Type": "String", "Value": "order-7"},
    ...     },
    ... }).topic
    'order--created'
    """
    fields = _mapping(record)
    try:
        notification = msgspec.convert(dict(_mapping(fields.get("Sns", fields))), _Notification)
    except (msgspec.ValidationError, RecursionError, UnicodeEncodeError):  # the last of half a surrogate pair
        raise UndecodableDeliveryError("record") from None
    transport = _Transport(
        notification.MessageId,
        topic_arn=TopicArn(notification.TopicArn),
        sequence_number=notification.SequenceNumber,
    )
    return _deliver(
        notification.Message, read_attributes(notification.MessageAttributes), envelope, transport
    )


def _deliver(text: str, found: Mapping[str, str], envelope: EnvelopeKind, transport: _Transport) -> Delivery:
    content = unwrap(text, envelope, content_type=found.get("ContentType"))
    if content is None:
        raise UndecodableDeliveryError("envelope", envelope)
    # Where the attributes have come along they say it all; what the envelope says stands in for them.
    named = found if "MessageId" in found else {**content.attributes, **found}
    if PAYLOAD_SIZE in content.attributes:  # an event that refers to its data has no attribute for it
        named = {**named, PAYLOAD_SIZE: content.attributes[PAYLOAD_SIZE]}
    topic = content.topic or (transport.topic_arn or "").rpartition(":")[2] or None
    return Delivery(
        message_id=MessageId(_required(named, "MessageId")),
        aggregate_id=AggregateId(_required(named, "AggregateId")),
        body=content.body,
        message_type=named.get("MessageType"),
        schema_version=_number(named, "SchemaVersion"),
        content_type=named.get("ContentType") or content.attributes.get("ContentType"),
        correlation_id=CorrelationId(named["CorrelationId"]) if named.get("CorrelationId") else None,
        causation_id=MessageId(named[CAUSATION_ID]) if named.get(CAUSATION_ID) else None,
        sequence=_number(named, "Sequence"),
        hops=_number(named, "Hops") or 0,
        headers={name: value for name, value in named.items() if name not in _OWN_FIELD},
        trace=read_trace(named),
        replayed_at=named.get(REPLAYED),
        created_at=content.created_at,
        source=content.source,
        topic=topic,
        topic_arn=transport.topic_arn,
        queue_arn=transport.queue_arn,
        transport_message_id=transport.message_id,
        transport_sequence_number=transport.sequence_number,
        group_id=transport.group_id,
        receive_count=transport.receive_count,
    )


def _find_notification(body: str) -> _Notification | None:
    try:
        notification = _read_notification(body)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
    return notification if notification.Type == "Notification" else None


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UndecodableDeliveryError("record")
    return value


def _either(fields: Mapping[str, Any], *names: str) -> object:
    return next((fields[name] for name in names if name in fields), None)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: object) -> int | None:
    return int(value) if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value) else None


def _required(named: Mapping[str, str], name: str) -> str:
    value = named.get(name)
    if not value:
        raise UndecodableDeliveryError("missing", name)
    return value


def _number(named: Mapping[str, str], name: str) -> int | None:
    value = named.get(name)
    if value is None:
        return None
    if _WHOLE_NUMBER.fullmatch(value) is None:
        raise UndecodableDeliveryError("number", name)
    return int(value)

"""What travels to a topic: the body and the attributes of one message, in one of three envelopes."""

import re
from collections.abc import Mapping
from typing import Any, Literal, assert_never

import msgspec

from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.routing import Refusal
from outbox_sdk.core.text import find_text_fault, format_instant, parse_instant, utf8_size

__all__ = [
    "ENVELOPE_KINDS",
    "HEADER_EXTENSIONS",
    "MAX_ATTRIBUTES",
    "PAYLOAD_SIZE",
    "REPLAYED",
    "RESERVED_ATTRIBUTES",
    "TOMODACHI_PROTOCOL_VERSION",
    "Attribute",
    "Envelope",
    "EnvelopeKind",
    "embed_body",
    "encode_envelope",
    "is_attribute_name",
]

EnvelopeKind = Literal["raw", "cloudevents", "tomodachi"]
ENVELOPE_KINDS: tuple[EnvelopeKind, ...] = ("raw", "cloudevents", "tomodachi")

MAX_ATTRIBUTES = 10
"""SQS takes ten with raw delivery; with more, SNS accepts the message and then discards it unseen."""

TOMODACHI_PROTOCOL_VERSION = "tomodachi-json-base--1.0.0"

PAYLOAD_SIZE = "ExtendedPayloadSize"
"""The header of a message whose body is a pointer to S3: the size of what is there, in bytes.

The name is that of AWS's Extended Client Libraries for SQS and SNS, which take a body for a pointer by it.
"""

RESERVED_ATTRIBUTES = frozenset(
    {
        "MessageId",
        "AggregateId",
        "CorrelationId",
        "MessageType",
        "SchemaVersion",
        "ContentType",
        "Sequence",
        "Hops",
    }
)
"""The attribute names the relay writes; a header may use none of them."""

REPLAYED = "replayed"
"""The header that a replay gives a message: the instant at which the replay began, fixed-width UTC."""

HEADER_EXTENSIONS: Mapping[str, str] = {
    "CausationId": "causationid",
    "traceparent": "traceparent",
    "tracestate": "tracestate",
    REPLAYED: "replayed",
}
"""Headers that tell where a message comes from, and the CloudEvents extension attributes that repeat them."""

_ATTRIBUTE_NAME = re.compile(r"(?!(?i:aws|amazon)\.)(?!\.)(?!.*\.\.)[A-Za-z0-9_.-]{1,256}(?<!\.)")


class Attribute(msgspec.Struct, frozen=True, gc=False):
    """One SNS message attribute; ``kind`` is its ``DataType``."""

    name: str
    value: str
    kind: Literal["String", "Number"] = "String"

    @property
    def size(self) -> int:
        """Bytes it counts towards the topic's limit: name, type and value in UTF-8."""
        return utf8_size(self.name + self.kind + self.value)


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """Body and attributes as SNS will carry them."""

    body: str
    attributes: tuple[Attribute, ...]

    @property
    def size(self) -> int:
        """Bytes that count towards the topic's message size limit."""
        attributes = "".join([f"{each.name}{each.kind}{each.value}" for each in self.attributes])
        return utf8_size(self.body) + utf8_size(attributes)


def encode_envelope(message: OutboxMessage, kind: EnvelopeKind, *, source: str) -> Envelope | Refusal:
    """Wrap a message for its topic. Every envelope carries the message's own id, in an attribute too.

    ``raw`` leaves the body unchanged to the byte. ``cloudevents`` is CloudEvents 1.0 in structured JSON;
    ``tomodachi`` the ``JsonBase`` envelope of the tomodachi framework. Both carry a JSON body as the text
    it is (no number passes through a float), any other body as a JSON string. ``source`` names this
    outbox to consumers.

    Refused are a body that is declared JSON and is not, where the envelope needs it, and attributes that
    SNS or SQS would not carry.
    """
    attributes = _attributes(message)
    if isinstance(attributes, Refusal):
        return attributes
    match kind:
        case "raw":
            return Envelope(message.body, attributes)
        case "cloudevents":
            if PAYLOAD_SIZE in message.headers:
                return _referring_cloudevent(message, attributes, source)
            document = _cloudevent(message, source)
        case "tomodachi":
            document = _tomodachi(message, source)
        case _:
            assert_never(kind)
    if isinstance(document, Refusal):
        return document
    return Envelope(msgspec.json.encode(document).decode(), attributes)


def _attributes(message: OutboxMessage) -> tuple[Attribute, ...] | Refusal:
    attributes = [
        Attribute("MessageId", message.message_id),
        Attribute("AggregateId", message.aggregate_id),
    ]
    # SNS refuses an empty value, and an absent one says the same.
    if message.correlation_id:
        attributes.append(Attribute("CorrelationId", message.correlation_id))
    if message.message_type:
        attributes.append(Attribute("MessageType", message.message_type))
    if message.content_type:
        attributes.append(Attribute("ContentType", message.content_type))
    if message.schema_version is not None:
        attributes.append(Attribute("SchemaVersion", str(message.schema_version), "Number"))
    if message.sequence is not None:
        attributes.append(Attribute("Sequence", str(message.sequence), "Number"))
    if message.hops > 0:
        attributes.append(Attribute("Hops", str(message.hops), "Number"))
    if message.headers:
        if fault := _header_fault(message.headers):
            return Refusal(fault)
        attributes.extend(_header_attributes(message.headers))
    if len(attributes) > MAX_ATTRIBUTES:
        return Refusal(f"attributes:{len(attributes)}")
    # All values in one look, which for plain text is a glance; what fails is then looked at one by one.
    values = "".join([attribute.value for attribute in attributes])
    if not (values.isascii() and values.isprintable()) and find_text_fault(values):
        for attribute in attributes:
            if fault := find_text_fault(attribute.value):
                return Refusal(f"{fault}:{attribute.name}")
    return tuple(attributes)


def _header_attributes(headers: Mapping[str, str]) -> list[Attribute]:
    attributes = [Attribute(name, value) for name, value in headers.items()]
    size = headers.get(PAYLOAD_SIZE)
    if size is not None and size.isascii() and size.isdigit():
        position = list(headers).index(PAYLOAD_SIZE)
        attributes[position] = Attribute(PAYLOAD_SIZE, size, "Number")
    return attributes


def _header_fault(headers: Mapping[str, str]) -> str | None:
    for name, value in headers.items():
        if name in RESERVED_ATTRIBUTES or _ATTRIBUTE_NAME.fullmatch(name) is None:
            return "attribute-name"
        if not value:
            return f"attribute-empty:{name}"
    return None


def is_attribute_name(name: str) -> bool:
    """Tell whether SNS and SQS take a name for an attribute; the reserved ones are names too."""
    return _ATTRIBUTE_NAME.fullmatch(name) is not None


def _cloudevent(message: OutboxMessage, source: str) -> dict[str, Any] | Refusal:
    data = embed_body(message)
    if isinstance(data, Refusal):
        return data
    created_at = _instant(message)
    optional = {
        "time": None if created_at is None else format_instant(created_at),
        # Without it, whoever has only the event would take every version for the first.
        "schemaversion": None if message.schema_version is None else str(message.schema_version),
        "correlationid": message.correlation_id,
        "sequence": None if message.sequence is None else str(message.sequence),
        "hops": str(message.hops) if message.hops > 0 else None,
    }
    if message.headers:
        optional |= {extension: message.headers.get(name) for name, extension in HEADER_EXTENSIONS.items()}
    return {
        "specversion": "1.0",
        "id": message.message_id,
        "source": source,
        "type": message.message_type or message.topic,
        "subject": message.aggregate_id,
        "partitionkey": message.aggregate_id,
        "datacontenttype": message.content_type
        or ("application/json" if isinstance(data, msgspec.Raw) else "text/plain"),
        **{name: value for name, value in optional.items() if value},
        "data": data,
    }


def _referring_cloudevent(
    message: OutboxMessage, attributes: tuple[Attribute, ...], source: str
) -> Envelope | Refusal:
    """Refer to data elsewhere, as the extension ``dataref`` says, where the body is a pointer to it.

    The size goes into the event: by the attribute, AWS's libraries would take the event for a pointer.
    """
    from outbox_sdk.core.pointer import encode_data_reference  # for claims only, and no relay has to have any

    document = _cloudevent(message, source)
    if isinstance(document, Refusal):
        return document
    reference = encode_data_reference(message.body, message.headers)
    if reference is not None:
        del document["data"]
        if message.content_type is None:
            del document["datacontenttype"]  # it is the pointer's
        document["dataref"], document["datasize"] = reference[0], str(reference[1])
        attributes = tuple(each for each in attributes if each.name != PAYLOAD_SIZE)
    return Envelope(msgspec.json.encode(document).decode(), attributes)


def _tomodachi(message: OutboxMessage, source: str) -> dict[str, Any] | Refusal:
    data = embed_body(message)
    if isinstance(data, Refusal):
        return data
    created_at = _instant(message)
    return {
        "service": {"name": source, "uuid": None},
        "metadata": {
            "message_uuid": message.message_id,
            "protocol_version": TOMODACHI_PROTOCOL_VERSION,
            "compatible_protocol_versions": ["json_base-wip"],
            "timestamp": None if created_at is None else created_at.timestamp(),
            "topic": message.topic,
            "data_encoding": "raw",
        },
        "data": data,
    }


def _instant(message: OutboxMessage) -> Any:
    return None if message.created_at is None else parse_instant(message.created_at)


def embed_body(message: OutboxMessage) -> msgspec.Raw | str | Refusal:
    """Give the body for embedding: JSON as the text it is, anything else as a string."""
    media_type = (message.content_type or "").partition(";")[0].strip().lower()
    declared = media_type == "application/json" or media_type.endswith("+json")
    if media_type and not declared:
        return message.body
    raw = message.body.encode()
    try:
        msgspec.json.decode(raw, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):  # nested too deep for msgspec is too deep for consumers
        return Refusal("json") if declared else message.body
    return msgspec.Raw(raw)

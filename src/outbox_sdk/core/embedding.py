"""What travels where a message has no attributes: one JSON object that says all of it.

``raw`` becomes an object of two members, ``attributes`` and ``data``. The other envelopes are objects
already, and get as further members what they would have left to attributes.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from outbox_sdk.core.envelope import (
    HEADER_EXTENSIONS,
    Attribute,
    Envelope,
    EnvelopeKind,
    embed_body,
    encode_envelope,
)
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.routing import Refusal
from outbox_sdk.core.text import parse_instant

__all__ = ["MAX_DETAIL_TYPE", "encode_document", "encode_event"]

MAX_DETAIL_TYPE = 128
"""EventBridge API Reference, PutEventsRequestEntry: so many characters."""

# What a CloudEvent says by members of its own.
_SAID = frozenset(
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
# What an event of ours or of CloudEvents 1.0 may say by its own members: where it does not, no header may.
_OWN = frozenset(
    {
        *("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data"),
        *("partitionkey", "correlationid", "sequence", "hops", "dataref", "datasize"),
        *HEADER_EXTENSIONS.values(),
    }
)
_EXTENSION_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")


def encode_document(message: OutboxMessage, kind: EnvelopeKind, *, source: str) -> str | Refusal:
    """Write a message as one JSON object, attributes included.

    A JSON body is embedded as the text it is, any other as a JSON string. Attributes are text. A CloudEvent
    carries them as extensions, named in lower case; a header that cannot be one refuses the message, for
    nothing is dropped.
    """
    envelope = encode_envelope(message, kind, source=source)
    if isinstance(envelope, Refusal):
        return envelope
    if kind == "raw":
        data = embed_body(message)
        if isinstance(data, Refusal):
            return data
        return _encode({"attributes": _texts(envelope.attributes), "data": data})
    document = msgspec.json.decode(envelope.body, type=dict[str, msgspec.Raw])
    if kind == "tomodachi":
        return _encode({**document, "attributes": _texts(envelope.attributes)})
    extensions: dict[str, str] = {}
    for attribute in envelope.attributes:
        if attribute.name in _SAID:
            continue
        name = attribute.name.lower()
        if name in document and bytes(document[name]) == msgspec.json.encode(attribute.value):
            continue
        if (
            name in document
            or name in _OWN
            or name in extensions
            or not _EXTENSION_NAME_CHARACTERS.issuperset(name)
        ):
            return Refusal(f"extension-name:{attribute.name}")
        extensions[name] = attribute.value
    # At the end, where there is any: the data of a claim is elsewhere.
    at_last = {"data": document.pop("data")} if "data" in document else {}
    return _encode({**document, **extensions, **at_last})


def encode_event(message: OutboxMessage, kind: EnvelopeKind, *, source: str) -> Envelope | Refusal:
    """Write a message as an event of EventBridge: its detail, and its other fields as attributes.

    The detail's type is the message's, or else its route. The source is this outbox's name with dots for
    slashes, as names of services are written there. The time is when the message was created, if that is
    known, in whole epoch seconds.
    """
    detail = encode_document(message, kind, source=source)
    if isinstance(detail, Refusal):
        return detail
    detail_type = message.message_type or message.topic
    if len(detail_type) > MAX_DETAIL_TYPE:
        return Refusal(f"detail-type:{len(detail_type)}>{MAX_DETAIL_TYPE}")
    fields = [
        Attribute("Source", source.strip("/").replace("/", ".")),
        Attribute("DetailType", detail_type),
    ]
    created = None if message.created_at is None else parse_instant(message.created_at)
    if created is not None and created.timestamp() >= 0:
        fields.append(Attribute("Time", str(int(created.timestamp())), "Number"))
    return Envelope(detail, tuple(fields))


def _texts(attributes: tuple[Attribute, ...]) -> dict[str, str]:
    return {attribute.name: attribute.value for attribute in attributes}


def _encode(document: Mapping[str, Any]) -> str:
    return msgspec.json.encode(document).decode()

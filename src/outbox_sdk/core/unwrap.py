"""The envelopes taken off again: the inverse of :mod:`outbox_sdk.core.envelope`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import assert_never

import msgspec

from outbox_sdk.core.envelope import HEADER_EXTENSIONS, PAYLOAD_SIZE, EnvelopeKind
from outbox_sdk.core.pointer import decode_data_reference
from outbox_sdk.core.text import format_instant

__all__ = ["Content", "is_json_type", "unwrap"]


class Content(msgspec.Struct, frozen=True):
    """What was in an envelope: the producer's body, and what the envelope says beside it.

    ``attributes`` holds, under the names of the SNS attributes, what the envelope repeats of them.
    """

    body: str
    attributes: Mapping[str, str] = {}
    created_at: str | None = None
    source: str | None = None
    topic: str | None = None


class _CloudEvent(msgspec.Struct):
    """The attributes that are read of a CloudEvents 1.0 event in structured JSON, extensions included."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str | None = None
    partitionkey: str | None = None
    datacontenttype: str | None = None
    time: str | None = None
    correlationid: str | None = None
    causationid: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    replayed: str | None = None
    schemaversion: str | int | None = None
    sequence: str | int | None = None
    hops: str | int | None = None
    data: msgspec.Raw = msgspec.Raw(b"")
    data_base64: str | None = None
    dataref: str | None = None
    datasize: str | int | None = None


class _Service(msgspec.Struct, frozen=True):
    name: str | None = None


class _Metadata(msgspec.Struct):
    message_uuid: str
    protocol_version: str
    topic: str | None = None
    timestamp: float | None = None
    data_encoding: str = "raw"


class _JsonBase(msgspec.Struct):
    """What is read of tomodachi's ``JsonBase`` envelope."""

    metadata: _Metadata
    data: msgspec.Raw
    service: _Service = _Service()


_decode_cloudevent = msgspec.json.Decoder(_CloudEvent).decode
_decode_json_base = msgspec.json.Decoder(_JsonBase).decode
_decode_text = msgspec.json.Decoder(str).decode


def unwrap(text: str, kind: EnvelopeKind, *, content_type: str | None) -> Content | None:
    """Take the body of a message out of its envelope; ``None`` where ``text`` is not such an envelope.

    ``content_type`` is the message's own, where it is known: by it, a body that is a JSON string is told from
    text that was carried as one. Where nobody knows, a string is taken as text. Any other JSON comes back
    as the text it is, but for blanks around it.
    """
    try:
        match kind:
            case "raw":
                return Content(text)
            case "cloudevents":
                return _unwrap_cloudevent(_decode_cloudevent(text), content_type)
            case "tomodachi":
                return _unwrap_json_base(_decode_json_base(text), content_type)
            case _:
                assert_never(kind)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None


def is_json_type(content_type: str | None) -> bool:
    """Tell whether a content type declares JSON.

    >>> is_json_type("application/vnd.order+json; charset=utf-8"), is_json_type("text/plain")
    (True, False)
    """
    media_type = (content_type or "").partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


def _unwrap_cloudevent(event: _CloudEvent, content_type: str | None) -> Content | None:
    if event.specversion != "1.0" or event.data_base64 is not None:
        return None
    # Data elsewhere is what a pointer leads to, and a pointer is what the body was.
    elsewhere = event.dataref if not bytes(event.data) else None
    pointer = None if elsewhere is None else decode_data_reference(elsewhere)
    named = {
        "MessageId": event.id,
        "AggregateId": event.partitionkey or event.subject,
        "MessageType": event.type,
        "ContentType": event.datacontenttype,
        "CorrelationId": event.correlationid,
        "SchemaVersion": event.schemaversion,
        "Sequence": event.sequence,
        "Hops": event.hops,
        PAYLOAD_SIZE: None if pointer is None else event.datasize,
        **{name: getattr(event, extension) for name, extension in HEADER_EXTENSIONS.items()},
    }
    return Content(
        pointer or _read_data(event.data, content_type or event.datacontenttype),
        {name: str(value) for name, value in named.items() if value is not None},
        created_at=event.time,
        source=event.source,
    )


def _unwrap_json_base(envelope: _JsonBase, content_type: str | None) -> Content | None:
    metadata = envelope.metadata
    if metadata.data_encoding != "raw":
        return None
    return Content(
        _read_data(envelope.data, content_type),
        {"MessageId": metadata.message_uuid},
        created_at=_format_timestamp(metadata.timestamp),
        source=envelope.service.name,
        topic=metadata.topic,
    )


def _read_data(data: msgspec.Raw, content_type: str | None) -> str:
    raw = bytes(data)
    if raw.startswith(b'"') and not is_json_type(content_type):
        try:
            return _decode_text(raw)
        except msgspec.DecodeError:  # half a surrogate pair, escaped: JSON that is no text
            pass
    return raw.decode()


def _format_timestamp(timestamp: float | None) -> str | None:
    try:
        return None if timestamp is None else format_instant(datetime.fromtimestamp(timestamp, UTC))
    except (ValueError, OverflowError, OSError):
        return None  # bookkeeping, which must never stop a message

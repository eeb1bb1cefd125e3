"""The event that Lambda hands over, decoded: wire structs in, typed records out."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

import msgspec

from outbox_sdk.core.errors import ConfigurationError, InvalidEventError
from outbox_sdk.core.identifiers import ItemKey, SequenceNumber, TableName
from outbox_sdk.core.items import decode_item, is_outstanding
from outbox_sdk.core.message import Content, Skipped
from outbox_sdk.core.table import PARKED, TableDesign

__all__ = [
    "Record",
    "Removal",
    "WireChange",
    "WireRecord",
    "decode_event",
    "decode_event_json",
    "decode_record",
]


Removal = Literal["expired", "removed"]
"""How an outstanding item left the table: by the time to live, or by somebody's delete."""


_PARKED = {"S": PARKED}
_DISPATCHED = {"BOOL": True}
# Most records of a busy table have nothing to publish: they share what says so.
_SKIPPED_REMOVED, _SKIPPED_PARKED = Skipped("removed"), Skipped("parked")
_SKIPPED_MARKED, _SKIPPED_FOREIGN = Skipped("marked"), Skipped("foreign")


class WireChange(msgspec.Struct, frozen=True, gc=False, rename="pascal"):
    """The ``dynamodb`` part of a record. Images stay as they came: their faults are their own.

    Keys and images are JSON objects. They are not typed so, because msgspec would copy each of them:
    :func:`decode_record` looks for itself.
    """

    keys: Any
    sequence_number: SequenceNumber
    new_image: Any = None
    old_image: Any = None
    # Epoch seconds; left untyped, because a record must not fail for a time it can do without.
    creation: Any = msgspec.field(default=None, name="ApproximateCreationDateTime")


class WireRecord(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One entry of ``Records``; only what the relay reads."""

    event_name: str
    change: WireChange = msgspec.field(name="dynamodb")
    event_source: str = "aws:dynamodb"
    event_source_arn: str | None = msgspec.field(default=None, name="eventSourceARN")
    # Untyped for the same reason.
    user_identity: Any = None


class _WireEvent(msgspec.Struct, frozen=True):
    records: list[WireRecord] = msgspec.field(name="Records")


class _StrictChange(WireChange, frozen=True, kw_only=True, rename="pascal"):
    keys: dict[str, dict[str, Any]]
    sequence_number: SequenceNumber
    new_image: dict[str, Any] | None = None
    old_image: dict[str, Any] | None = None


class _StrictRecord(WireRecord, frozen=True, kw_only=True, rename="camel"):
    change: _StrictChange = msgspec.field(name="dynamodb")


class _StrictEvent(msgspec.Struct, frozen=True):
    """The same with every type: slower, and able to say which part of which record is wrong."""

    records: list[_StrictRecord] = msgspec.field(name="Records")


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record of the stream, named by its sequence number and its item's key.

    ``creation`` is the stream's approximate time of the change, in epoch seconds. ``modified`` tells that
    the item existed before, so that somebody may have dealt with the message already. ``removal`` is there
    where the record takes an outstanding item away, as far as its old image tells.
    """

    sequence_number: SequenceNumber
    key: ItemKey
    content: Content
    modified: bool = False
    creation: float | None = None
    removal: Removal | None = None

    @property
    def position(self) -> int:
        """The sequence number as a number: the only form that orders."""
        return int(self.sequence_number)


def decode_event(
    event: object, design: TableDesign, *, table_name: TableName | str | None = None
) -> tuple[Record, ...]:
    """Type an event as the Lambda runtime hands it over: a dict with ``Records``.

    A record whose image cannot be decoded becomes :class:`~outbox_sdk.core.message.Poison` and leaves its
    neighbours alone. ``{}`` and an empty list are an empty batch.

    Raises:
        InvalidEventError: the event is not one of a DynamoDB stream, or a record cannot be named by a
            sequence number and a key, so that nothing could be reported about it.
        ConfigurationError: a record comes from another table than ``table_name``, or without images.
    """
    try:
        wire = msgspec.convert(event, _WireEvent)
        return tuple([decode_record(record, design, table_name=table_name) for record in wire.records])
    except (msgspec.ValidationError, InvalidEventError, ConfigurationError):
        if event in ({}, {"Records": None}):
            return ()
        _check_shape(event)
        raise


def _check_shape(event: object) -> None:
    try:
        msgspec.convert(event, _StrictEvent)
    except msgspec.ValidationError as error:
        raise InvalidEventError(f"not a DynamoDB stream event: {error}") from error


def decode_event_json(
    event: bytes | str, design: TableDesign, *, table_name: TableName | str | None = None
) -> tuple[Record, ...]:
    """Type an event from JSON text; as :func:`decode_event` in everything else."""
    try:
        document = msgspec.json.decode(event)
    except (msgspec.DecodeError, UnicodeError):
        # One half of a surrogate pair, escaped, in one image: the strict decoder gives up the whole
        # event for it. The runtime's own decoder reads it, and then it is one record's fault.
        try:
            document = json.loads(event)
        except ValueError as error:
            raise InvalidEventError(f"not JSON: {error}") from error
    return decode_event(document, design, table_name=table_name)


def decode_record(
    wire: WireRecord, design: TableDesign, *, table_name: TableName | str | None = None
) -> Record:
    """Type one record.

    Raises:
        InvalidEventError: the record cannot be named.
        ConfigurationError: it comes from another table, or its stream has no images.
    """
    change = wire.change
    number = change.sequence_number
    # DynamoDB writes 21 to 40 digits; far longer text is nobody's sequence number, and slow to compare.
    if not (number.isascii() and number.isdigit() and len(number) <= 128):
        raise InvalidEventError("not a DynamoDB stream event: SequenceNumber must be digits")
    if wire.event_source != "aws:dynamodb":
        raise InvalidEventError(f"not a DynamoDB stream event: eventSource is {wire.event_source!r}")
    arn = wire.event_source_arn
    if table_name is not None and arn is not None and _table_of(arn) != table_name:
        raise ConfigurationError(
            "DYNAMODB_OUTBOX_TABLE_NAME",
            f"the event comes from {arn!r}, but the relay is configured for table {str(table_name)!r}",
        )
    new, old = change.new_image, change.old_image
    if not ((type(new) is dict or _is_image(new)) and (old is None or _is_image(old))):
        raise InvalidEventError(f"record {number}: an image must be an object")
    try:
        key = ItemKey.from_item(change.keys)
    except (AttributeError, TypeError) as error:
        raise InvalidEventError(f"record {number}: the keys must be an object of attributes") from error
    except ValueError as error:
        raise InvalidEventError(f"record {number}: {error}") from error
    # By position, in the order of the fields: by name, each argument would cost as much as the struct.
    return Record(
        number,
        key,
        _decode_content(wire, key, design),
        wire.event_name != "INSERT",
        _epoch_seconds(change.creation),
        _removal(wire, design) if wire.event_name == "REMOVE" else None,
    )


def _is_image(value: object) -> bool:
    # A dict is told at a glance; whether anything else is a mapping takes as long as half a record.
    return type(value) is dict or value is None or isinstance(value, Mapping)


def _removal(wire: WireRecord, design: TableDesign) -> Removal | None:
    if not is_outstanding(wire.change.old_image, design):
        return None
    who = wire.user_identity if isinstance(wire.user_identity, Mapping) else {}
    # Lambda begins these names with a small letter, the stream's own API with a capital.
    service = {str(name).lower(): value for name, value in who.items()}
    by_ttl = service.get("type") == "Service" and service.get("principalid") == "dynamodb.amazonaws.com"
    return "expired" if by_ttl else "removed"


def _epoch_seconds(value: object) -> float | None:
    """Read a time; one that is none, or beyond any calendar, is as good as absent."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return float(value) if 0 <= value < 1e11 else None


def _decode_content(wire: WireRecord, key: ItemKey, design: TableDesign) -> Content:
    if wire.event_name == "REMOVE":
        return _SKIPPED_REMOVED
    new = wire.change.new_image
    if new is None:
        raise ConfigurationError(
            "StreamViewType",
            "the records carry no new image; the table's stream must be NEW_AND_OLD_IMAGES or NEW_IMAGE",
        )
    if is_outstanding(new, design):
        return decode_item(new, key, design)
    if new.get(design.not_dispatched) == _PARKED:
        return _SKIPPED_PARKED
    if new.get(design.is_dispatched) == _DISPATCHED or is_outstanding(wire.change.old_image, design):
        return _SKIPPED_MARKED
    return _SKIPPED_FOREIGN


@lru_cache(maxsize=16)
def _table_of(arn: str) -> str | None:
    # arn:aws:dynamodb:eu-west-1:123456789012:table/outbox/stream/2026-11-23T09:00:00.000
    parts = arn.split("/")
    return parts[1] if len(parts) > 1 else None

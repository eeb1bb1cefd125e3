"""The event that Lambda hands over, decoded: wire structs in, typed records out."""

import json
from collections.abc import Mapping
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


class WireChange(msgspec.Struct, frozen=True, rename="pascal"):
    """The ``dynamodb`` part of a record. Images stay as they came: their faults are their own."""

    keys: dict[str, dict[str, Any]]
    sequence_number: str
    new_image: dict[str, Any] | None = None
    old_image: dict[str, Any] | None = None
    # Epoch seconds; left untyped, because a record must not fail for a time it can do without.
    creation: Any = msgspec.field(default=None, name="ApproximateCreationDateTime")


class WireRecord(msgspec.Struct, frozen=True, rename="camel"):
    """One entry of ``Records``; only what the relay reads."""

    event_name: str
    change: WireChange = msgspec.field(name="dynamodb")
    event_source: str = "aws:dynamodb"
    event_source_arn: str | None = msgspec.field(default=None, name="eventSourceARN")
    # Untyped for the same reason.
    user_identity: Any = None


class _WireEvent(msgspec.Struct, frozen=True):
    records: list[WireRecord] = msgspec.field(name="Records")


class Record(msgspec.Struct, frozen=True, kw_only=True):
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
    except msgspec.ValidationError as error:
        if event in ({}, {"Records": None}):
            return ()
        raise InvalidEventError(f"not a DynamoDB stream event: {error}") from error
    return tuple(decode_record(record, design, table_name=table_name) for record in wire.records)


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
    if table_name is not None and wire.event_source_arn is not None:
        _check_table(wire.event_source_arn, table_name)
    try:
        key = ItemKey.from_item(change.keys)
    except ValueError as error:
        raise InvalidEventError(f"record {number}: {error}") from error
    return Record(
        sequence_number=SequenceNumber(number),
        key=key,
        content=_decode_content(wire, key, design),
        modified=wire.event_name != "INSERT",
        creation=_epoch_seconds(change.creation),
        removal=_removal(wire, design),
    )


def _removal(wire: WireRecord, design: TableDesign) -> Removal | None:
    if wire.event_name != "REMOVE" or not is_outstanding(wire.change.old_image, design):
        return None
    who = wire.user_identity if isinstance(wire.user_identity, Mapping) else {}
    # Lambda begins these names with a small letter, the stream's own API with a capital.
    service = {str(name).lower(): value for name, value in who.items()}
    by_ttl = service.get("type") == "Service" and service.get("principalid") == "dynamodb.amazonaws.com"
    return "expired" if by_ttl else "removed"


def _epoch_seconds(value: object) -> float | None:
    """Read a time; one that is none, or beyond any calendar, is as good as absent."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 1e11 else None


def _decode_content(wire: WireRecord, key: ItemKey, design: TableDesign) -> Content:
    if wire.event_name == "REMOVE":
        return Skipped("removed")
    new, old = wire.change.new_image, wire.change.old_image
    if new is None:
        raise ConfigurationError(
            "StreamViewType",
            "the records carry no new image; the table's stream must be NEW_AND_OLD_IMAGES or NEW_IMAGE",
        )
    if is_outstanding(new, design):
        return decode_item(new, key, design)
    if new.get(design.not_dispatched) == {"S": PARKED}:
        return Skipped("parked")
    dispatched = new.get(design.is_dispatched) == {"BOOL": True}
    return Skipped("marked" if dispatched or is_outstanding(old, design) else "foreign")


def _check_table(arn: str, table_name: TableName | str) -> None:
    # arn:aws:dynamodb:eu-west-1:123456789012:table/outbox/stream/2026-11-23T09:00:00.000
    parts = arn.split("/")
    if len(parts) < 2 or parts[1] != table_name:
        raise ConfigurationError(
            "DYNAMODB_OUTBOX_TABLE_NAME",
            f"the event comes from {arn!r}, but the relay is configured for table {str(table_name)!r}",
        )

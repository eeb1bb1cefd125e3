"""A message as an item, and an item as a message."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast
from zlib import crc32

import msgspec

from outbox_sdk.core.identifiers import (
    AggregateId,
    AttributeValue,
    CorrelationId,
    Item,
    ItemKey,
    MessageId,
    TopicName,
)
from outbox_sdk.core.message import OutboxMessage, Poison
from outbox_sdk.core.table import PARKED, TableDesign
from outbox_sdk.core.text import find_text_fault

__all__ = ["bucket_of", "decode_item", "encode_item", "is_outstanding", "item_size", "redrive_count_of"]


_TextT = TypeVar("_TextT", bound=str)


class _Text(msgspec.Struct, Generic[_TextT], frozen=True, forbid_unknown_fields=True, gc=False):
    S: _TextT


class _OptionalText(msgspec.Struct, Generic[_TextT], frozen=True, forbid_unknown_fields=True, gc=False):
    S: _TextT | None = None
    NULL: bool = False


class _OptionalNumber(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    N: str | None = None
    NULL: bool = False


class _OptionalTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    M: dict[str, _Text[str]] | None = None
    NULL: bool = False


class _Image(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The attributes of an item that the relay reads.

    Strict where a wrong type would publish something wrong; what is only bookkeeping (``created_at``,
    ``dispatch_count``) is read leniently, for it must never stop a message.
    """

    not_dispatched: _Text[str]
    message_id: _Text[MessageId]
    aggregate_id: _Text[AggregateId]
    topic: _Text[TopicName]
    body: _Text[str]
    correlation_id: _OptionalText[CorrelationId] = _OptionalText()
    message_type: _OptionalText[str] = _OptionalText()
    content_type: _OptionalText[str] = _OptionalText()
    schema_version: _OptionalNumber = _OptionalNumber()
    sequence: _OptionalNumber = _OptionalNumber()
    redrive_count: _OptionalNumber = _OptionalNumber()
    hops: _OptionalNumber = _OptionalNumber()
    headers: _OptionalTexts = _OptionalTexts()
    created_at: Any = None
    dispatch_count: Any = None


_TYPES: Mapping[object, type | tuple[type, ...]] = {
    "S": str,
    "N": str,
    "B": (str, bytes),
    "BOOL": bool,
    "NULL": bool,
    "M": dict,
    "L": list,
}
_REQUIRED = ("message_id", "aggregate_id", "topic", "body")
_PARKED = {"S": PARKED}


@lru_cache(maxsize=32)
def _image_type(design: TableDesign) -> type[_Image]:
    """The view of an image under a design's attribute names; built once a design."""
    # Inherited fields keep their names in msgspec, so the fields are declared anew rather than derived.
    fields: list[Any] = [
        (field.name, field.type) if field.required else (field.name, field.type, field.default)
        for field in msgspec.structs.fields(_Image)
    ]
    rename = {name: getattr(design, name) for name in _Image.__struct_fields__}
    return cast(
        "type[_Image]", msgspec.defstruct("Image", fields, frozen=True, kw_only=True, gc=False, rename=rename)
    )


def bucket_of(message_id: MessageId | str, buckets: int) -> str:
    """Give the index bucket of a message: two digits, spread evenly over ``buckets`` (1 to 100).

    >>> bucket_of("m-1", 16)
    '04'
    """
    return f"{crc32(message_id.encode()) % buckets:02d}"


def is_outstanding(item: Item | None, design: TableDesign) -> bool:
    """Tell whether an item awaits publishing: its marker is there and is not ``parked``."""
    return item is not None and design.not_dispatched in item and item[design.not_dispatched] != _PARKED


def redrive_count_of(item: Item, design: TableDesign) -> int:
    """Give how often an item was sent again by somebody; 0 where it does not say."""
    return _lenient_count(item.get(design.redrive_count))


def decode_item(item: Item, key: ItemKey, design: TableDesign) -> OutboxMessage | Poison:
    """Type an outstanding item; never raises, whatever the attributes hold.

    ``item`` must carry the marker (:func:`is_outstanding`).
    """
    try:
        image = msgspec.convert(item, _image_type(design))
        schema_version, sequence = image.schema_version.N, image.sequence.N
        redrives, hops = image.redrive_count.N, image.hops.N
        message_id, aggregate_id = image.message_id.S, image.aggregate_id.S
        topic, body = image.topic.S, image.body.S
        # By position, in the order of the fields: by name, the arguments would cost more than the struct.
        message = OutboxMessage(
            key,
            item[design.not_dispatched],
            message_id,
            aggregate_id,
            topic,
            body,
            image.correlation_id.S,
            _lenient(image.created_at, "S"),
            image.message_type.S,
            None if schema_version is None else int(schema_version),
            image.content_type.S,
            {name: text.S for name, text in image.headers.M.items()} if image.headers.M else {},
            None if sequence is None else int(sequence),
            _lenient_count(image.dispatch_count),
            0 if redrives is None else max(0, int(redrives)),
            0 if hops is None else int(hops),
        )
    except (msgspec.ValidationError, ValueError):
        return _poison(item, key, design, _explain(item, design))
    # All that must be there and must travel, in one look; what fails is then looked at one by one.
    complete = body and message_id and aggregate_id and topic
    if complete and find_text_fault(f"{body}{message_id}{aggregate_id}{topic}") is None:
        return message
    fault = _find_fault(message, design)
    return message if fault is None else _poison(item, key, design, fault)


def _find_fault(message: OutboxMessage, design: TableDesign) -> str | None:
    body = message.body
    if not body:
        return "empty"
    if fault := find_text_fault(body):
        return fault
    for name in ("message_id", "aggregate_id", "topic"):
        text: str = getattr(message, name)
        if not text:
            return f"missing:{getattr(design, name)}"
        if fault := find_text_fault(text):
            return f"{fault}:{getattr(design, name)}"
    return None


def _poison(item: Item, key: ItemKey, design: TableDesign, reason: str) -> Poison:
    message_id = _lenient(item.get(design.message_id), "S")
    if message_id is not None and find_text_fault(message_id):
        message_id = None  # no log could show it
    return Poison(
        key=key,
        marker=_marker(item[design.not_dispatched]),
        reason=reason,
        message_id=None if message_id is None else MessageId(message_id),
        redrive_count=redrive_count_of(item, design),
    )


def _marker(value: object) -> AttributeValue:
    """Give a marker as an attribute, even where it is none: poison is parked whatever marks it."""
    well_formed = isinstance(value, Mapping) and len(value) == 1 and _type_of(value) != "?"
    return cast("AttributeValue", value) if well_formed else {"NULL": True}


def _explain(item: Item, design: TableDesign) -> str:
    """Find the attribute that kept an item from being a message. Slow, and only for poison."""
    for field in _Image.__struct_fields__:
        name = getattr(design, field)
        if name not in item:
            if field in _REQUIRED:
                return f"missing:{name}"
            continue
        single = {design.not_dispatched: {"S": "x"}, **{getattr(design, f): {"S": "x"} for f in _REQUIRED}}
        single[name] = cast("Any", item[name])
        try:
            image = msgspec.convert(single, _image_type(design))
        except (msgspec.ValidationError, ValueError):
            if field in _REQUIRED and item[name] == {"NULL": True}:
                return f"missing:{name}"
            return f"type:{name}:{_type_of(item[name])}"
        number = getattr(image, field)
        if isinstance(number, _OptionalNumber) and number.N is not None:
            try:
                int(number.N)
            except ValueError:
                return f"integer:{name}"
    return "undecodable"


def _type_of(value: object) -> str:
    """Name the DynamoDB type of an attribute; ``?`` where it has none or is not well formed."""
    if not isinstance(value, Mapping) or len(value) != 1:
        return "?"
    ((kind, content),) = value.items()
    if kind in ("SS", "NS", "BS"):
        return str(kind)
    expected = _TYPES.get(kind)
    return str(kind) if expected and isinstance(content, expected) else "?"


def _lenient(value: object, kind: str) -> str | None:
    # A dict is told at a glance; whether something else is a mapping takes as long as the rest of an item.
    content = value.get(kind) if type(value) is dict or isinstance(value, Mapping) else None
    return content if isinstance(content, str) else None


def _lenient_count(value: object) -> int:
    if value is None:
        return 0
    digits = _lenient(value, "N")
    return int(digits) if digits and digits.isascii() and digits.isdigit() else 0


def encode_item(message: OutboxMessage, design: TableDesign) -> dict[str, dict[str, Any]]:
    """Write a message as the item that a producer puts; the inverse of :func:`decode_item`."""
    item: dict[str, dict[str, Any]] = {
        **message.key.to_item(),
        design.message_id: {"S": message.message_id},
        design.aggregate_id: {"S": message.aggregate_id},
        design.topic: {"S": message.topic},
        design.body: {"S": message.body},
        design.is_dispatched: {"BOOL": False},
        design.dispatch_count: {"N": str(message.dispatch_count)},
        design.not_dispatched: dict(message.marker),
    }
    for name, text in (
        (design.correlation_id, message.correlation_id),
        (design.created_at, message.created_at),
        (design.message_type, message.message_type),
        (design.content_type, message.content_type),
    ):
        if text is not None:
            item[name] = {"S": text}
    for name, number in (
        (design.schema_version, message.schema_version),
        (design.sequence, message.sequence),
        (design.redrive_count, message.redrive_count or None),
        (design.hops, message.hops or None),
    ):
        if number is not None:
            item[name] = {"N": str(number)}
    if message.headers:
        item[design.headers] = {"M": {name: {"S": text} for name, text in message.headers.items()}}
    return item


def item_size(item: Item) -> int:
    """Give an item's size in bytes, as DynamoDB counts towards its limit of 400 KB.

    Names and strings count their UTF-8 bytes, binary values their raw ones, lists and maps 3 bytes and 1 an
    element. The guide says of numbers that they take "approximately" a byte for two digits and one more;
    counted here is what DynamoDB Local counts, which is a byte for each pair of digits on one side of the
    decimal point, zeros at both ends left out, one more, and one for a minus.

    >>> item_size({"PK": {"S": "größe"}, "Total": {"N": "-1234.5"}})
    19
    """
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: AttributeValue) -> int:
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "N":
        return _number_size(content)
    if kind == "M":
        return 3 + len(content) + item_size(content)
    return _rare_size(kind, content)


def _rare_size(kind: str, content: Any) -> int:
    """Size what messages never hold, and other items of a transaction may. Any: DynamoDB's own nesting."""
    match kind:
        case "B":
            return len(content.encode() if isinstance(content, str) else content)
        case "L":
            return 3 + sum(1 + _value_size(element) for element in content)
        case "SS" | "NS" | "BS":
            return sum(_value_size({kind[0]: element}) for element in content)
        case _:  # BOOL and NULL
            return 1


def _number_size(text: str) -> int:
    try:
        sign, digits, exponent = Decimal(text).as_tuple()
    except InvalidOperation:
        return min(21, len(text) + 1)  # no number: DynamoDB will say so
    significant = "".join(map(str, digits)).strip("0")
    if not significant or not isinstance(exponent, int):
        return 1
    last = exponent + len(digits) - len("".join(map(str, digits)).rstrip("0"))
    pairs = -(-(last + len(significant)) // 2) - last // 2
    return pairs + 1 + sign

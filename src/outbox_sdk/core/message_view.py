"""An item as a person wants to see it: where its message stands, what has become of it, and no payload."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from outbox_sdk.core.identifiers import AttributeValue, Item, ItemKey
from outbox_sdk.core.remedies import find_park_remedy
from outbox_sdk.core.table import PARKED, TableDesign
from outbox_sdk.core.text import format_instant, parse_instant, utf8_size

__all__ = [
    "LifeEvent",
    "MessageLife",
    "MessageState",
    "MessageView",
    "Payload",
    "age_of",
    "decode_view",
    "describe_life",
    "key_of_item",
]

MessageState = Literal["outstanding", "parked", "dispatched"]


class LifeEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that befell a message, as far as its item still tells; ``at`` is fixed-width UTC."""

    at: str
    event: Literal["created", "touched", "dispatched", "parked", "expires"]


class Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a message says: its body, and its headers. Shown to those only who ask for it."""

    body: str
    headers: dict[str, str]


class MessageView(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message as its item shows it. What the item lacks, or holds in another type, is ``None`` or 0.

    ``key`` names the item. Instants are text as the item has it; ``age_seconds`` is since ``created_at``.
    ``dispatches`` is how often it was dispatched, at least; ``redrives`` how often somebody sent it again.
    ``advice`` says what to do about a parked message, where its reason does not say it by itself.
    ``header_names`` names the headers; what they and the body say is in ``payload``, if it was asked for.
    """

    key: dict[str, str]
    state: MessageState
    message_id: str | None = None
    aggregate_id: str | None = None
    topic: str | None = None
    message_type: str | None = None
    schema_version: int | None = None
    content_type: str | None = None
    correlation_id: str | None = None
    sequence: int | None = None
    hops: int = 0
    body_bytes: int | None = None
    header_names: tuple[str, ...] = ()
    created_at: str | None = None
    age_seconds: float | None = None
    touched_at: str | None = None
    last_dispatched_at: str | None = None
    dispatches: int = 0
    redrives: int = 0
    parked_at: str | None = None
    park_reason: str | None = None
    advice: str | None = None
    expires_at: str | None = None
    payload: Payload | None = None


class MessageLife(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message, and what has befallen it."""

    message: MessageView
    life: tuple[LifeEvent, ...]


def key_of_item(item: Item, design: TableDesign) -> ItemKey:
    """Give the key of an item as the table or its index shows it."""
    names = (design.partition_key, design.sort_key)
    return ItemKey.from_item({name: item[name] for name in names if name is not None})


def decode_view(
    item: Item, design: TableDesign, *, now: datetime, payload: bool = False
) -> MessageView | None:
    """Read an item; ``None`` where it is no message of the outbox. Never raises, whatever it holds.

    >>> item = {"PK": {"S": "AGGREGATE#7"}, "SK": {"S": "MESSAGE#m"}, "NotDispatched": {"S": "parked"},
    ...         "Message": {"S": "secret"}, "ParkReason": {"S": "size:300000"}}
    >>> view = decode_view(item, TableDesign.ordered, now=datetime(2026, 11, 23, tzinfo=UTC))
    >>> view.state, view.park_reason, view.body_bytes, view.payload
    ('parked', 'size:300000', 6, None)
    """
    state = _state_of(item, design)
    if state is None:
        return None
    body = _text(item, design.body)
    headers = _headers(item, design)
    created_at = _text(item, design.created_at)
    reason = _text(item, design.park_reason) if state == "parked" else None
    return MessageView(
        key=_key(item, design),
        state=state,
        message_id=_text(item, design.message_id),
        aggregate_id=_text(item, design.aggregate_id),
        topic=_text(item, design.topic),
        message_type=_text(item, design.message_type),
        schema_version=_number(item, design.schema_version),
        content_type=_text(item, design.content_type),
        correlation_id=_text(item, design.correlation_id),
        sequence=_number(item, design.sequence),
        hops=_number(item, design.hops) or 0,
        body_bytes=None if body is None else _size(body),
        header_names=tuple(sorted(headers)),
        created_at=created_at,
        age_seconds=age_of(created_at, now),
        touched_at=_text(item, design.touched_at),
        last_dispatched_at=_text(item, design.last_dispatched_at),
        dispatches=_number(item, design.dispatch_count) or 0,
        redrives=_number(item, design.redrive_count) or 0,
        parked_at=_text(item, design.parked_at) if state == "parked" else None,
        park_reason=reason,
        advice=None if reason is None else find_park_remedy(reason),
        expires_at=_expiry(item, design),
        payload=Payload(body, headers) if payload and body is not None else None,
    )


def age_of(created_at: str | None, now: datetime) -> float | None:
    """Give the seconds since an instant as text; never less than 0, and ``None`` where it is none.

    >>> age_of("2026-11-23T09:00:00Z", datetime(2026, 11, 23, 10, tzinfo=UTC))
    3600.0
    """
    created = parse_instant(created_at or "")
    return None if created is None else max(0.0, (now - created).total_seconds())


def describe_life(view: MessageView) -> tuple[LifeEvent, ...]:
    """Give what befell a message in the order of time, as far as its item still tells.

    An item keeps the last of each: an earlier dispatch, or a park before a redrive, is not in it.
    """
    return tuple(sorted(_life(view), key=lambda event: (parse_instant(event.at) or _NO_TIME, event.event)))


_NO_TIME = datetime.min.replace(tzinfo=UTC)


def _life(view: MessageView) -> Iterator[LifeEvent]:
    if view.created_at is not None:
        yield LifeEvent(view.created_at, "created")
    if view.touched_at is not None:
        yield LifeEvent(view.touched_at, "touched")
    if view.last_dispatched_at is not None:
        yield LifeEvent(view.last_dispatched_at, "dispatched")
    if view.parked_at is not None:
        yield LifeEvent(view.parked_at, "parked")
    if view.expires_at is not None:
        yield LifeEvent(view.expires_at, "expires")


def _state_of(item: Item, design: TableDesign) -> MessageState | None:
    if design.not_dispatched in item:
        return "parked" if item[design.not_dispatched] == {"S": PARKED} else "outstanding"
    # Another item of a table that holds more than the outbox has none of what a mark leaves.
    dispatched = item.get(design.is_dispatched) == {"BOOL": True} or design.last_dispatched_at in item
    return "dispatched" if dispatched and design.message_id in item else None


def _key(item: Item, design: TableDesign) -> dict[str, str]:
    try:
        return {name: text for name, _, text in key_of_item(item, design).parts}
    except (KeyError, ValueError, AttributeError, TypeError):  # no table gives such a one
        return {}


def _text(item: Item, name: str) -> str | None:
    return _content(item.get(name), "S")


def _content(value: AttributeValue | None, kind: str) -> str | None:
    content = value.get(kind) if isinstance(value, dict) else None
    return content if isinstance(content, str) else None


def _number(item: Item, name: str) -> int | None:
    digits = _content(item.get(name), "N")
    try:
        return None if digits is None else int(digits)
    except ValueError:  # `1.5`, or more digits than Python reads
        return None


def _size(text: str) -> int:
    try:
        return utf8_size(text)
    except UnicodeEncodeError:  # half a surrogate pair
        return len(text.encode(errors="surrogatepass"))


def _headers(item: Item, design: TableDesign) -> dict[str, str]:
    value: Any = item.get(design.headers)
    content = value.get("M") if isinstance(value, dict) else None
    if not isinstance(content, dict):
        return {}
    texts = {name: _content(each, "S") for name, each in content.items()}
    return {name: text for name, text in texts.items() if text is not None}


def _expiry(item: Item, design: TableDesign) -> str | None:
    seconds = _number(item, design.expires_at)
    try:
        return None if seconds is None else format_instant(datetime.fromtimestamp(seconds, UTC))
    except (OverflowError, OSError, ValueError):
        return None

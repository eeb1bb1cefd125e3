"""What happens to messages as the stream tells it, for people who watch."""

from datetime import UTC, datetime
from typing import Literal

import msgspec

from outbox_sdk.core.identifiers import Item
from outbox_sdk.core.message_view import MessageView, decode_view
from outbox_sdk.core.selection import Selection, matches
from outbox_sdk.core.stream import WireRecord
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.text import format_instant

__all__ = ["Passage", "PassageEvent", "decode_passage", "decode_passages"]

PassageEvent = Literal[
    "created", "dispatched", "parked", "redriven", "replayed", "touched", "changed", "expired", "removed"
]


class Passage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that happened to a message. ``at`` is the stream's approximate time, fixed-width UTC."""

    event: PassageEvent
    at: str | None
    message: MessageView


class _Records(msgspec.Struct, frozen=True):
    records: list[WireRecord] = msgspec.field(name="Records")


def decode_passages(
    event: object, design: TableDesign, selection: Selection, *, now: datetime, payload: bool = False
) -> tuple[Passage, ...]:
    """Read an event of Lambda's shape; what is of no message, or not meant, is left out."""
    records = msgspec.convert(event, _Records).records
    passages = (decode_passage(each, design, selection, now=now, payload=payload) for each in records)
    return tuple(passage for passage in passages if passage is not None)


def decode_passage(
    record: WireRecord, design: TableDesign, selection: Selection, *, now: datetime, payload: bool = False
) -> Passage | None:
    """Read a record. Without old images, as of a ``NEW_IMAGE`` stream, it tells less apart and no removal."""
    new, old = _image(record.change.new_image), _image(record.change.old_image)
    image = old if record.event_name == "REMOVE" else new
    if image is None or not matches(selection, image, design):
        return None
    view = decode_view(image, design, now=now, payload=payload)
    if view is None:
        return None
    before = None if old is None else decode_view(old, design, now=now)
    return Passage(_name(record, view, before), _instant(record.change.creation), view)


def _name(record: WireRecord, view: MessageView, before: MessageView | None) -> PassageEvent:
    if record.event_name == "REMOVE":
        who = record.user_identity if isinstance(record.user_identity, dict) else {}
        by = {str(name).lower(): value for name, value in who.items()}
        return "expired" if by.get("principalid") == "dynamodb.amazonaws.com" else "removed"
    if record.event_name == "INSERT":
        return "created"
    was = None if before is None else before.state
    if was == view.state or (before is None and view.state == "outstanding"):
        touched = before is not None and view.touched_at != before.touched_at
        return "touched" if touched else "changed"
    if view.state == "outstanding":
        return "redriven" if was == "parked" else "replayed"
    return view.state


def _image(value: object) -> Item | None:
    return value if isinstance(value, dict) else None


def _instant(seconds: object) -> str | None:
    if not isinstance(seconds, int | float):
        return None
    try:
        return format_instant(datetime.fromtimestamp(seconds, UTC))
    except (OverflowError, OSError, ValueError):
        return None

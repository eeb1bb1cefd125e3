"""Which text can travel: the characters that SNS and SQS accept, and instants as text."""

import re
from datetime import UTC, datetime

__all__ = ["find_text_fault", "format_instant", "parse_instant"]

# SQS accepts #x9 #xA #xD #x20-#xD7FF #xE000-#xFFFD #x10000-#x10FFFF and refuses the rest, after SNS has
# accepted it: too late for anyone to see.
_OUTSIDE_CHARSET = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def find_text_fault(text: str) -> str | None:
    r"""Name what keeps ``text`` from travelling, or ``None``.

    >>> find_text_fault("plain")
    >>> find_text_fault("nul\x00")
    'charset:U+0000'
    >>> find_text_fault("half a pair: \ud800")
    'unicode'
    """
    # No printable character is outside the set, and this check runs at the speed of C.
    if text.isprintable():
        return None
    found = _OUTSIDE_CHARSET.search(text)
    if found is None:
        return None
    code = ord(found.group())
    return "unicode" if 0xD800 <= code <= 0xDFFF else f"charset:U+{code:04X}"


def format_instant(instant: datetime) -> str:
    """Write an instant as fixed-width UTC with microseconds, so that text order is time order.

    Raises:
        ValueError: ``instant`` has no time zone.
        OverflowError: in UTC it is in a year that no datetime has.

    >>> format_instant(datetime(2026, 11, 23, 9, tzinfo=UTC))
    '2026-11-23T09:00:00.000000Z'
    """
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def parse_instant(text: str) -> datetime | None:
    """Read ISO 8601 text with any offset as an instant; ``None`` where it is not one.

    Text without an offset, as other producers write it, is taken as UTC.

    >>> parse_instant("2026-11-23T10:00:00+01:00") == parse_instant("2026-11-23T09:00:00Z")
    True
    """
    try:
        instant = datetime.fromisoformat(text)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):  # the first and the last hours of the calendar have no UTC
        return None

"""Which text can travel: the characters that SNS and SQS accept, and instants as text."""

import re
from datetime import UTC, datetime

__all__ = ["find_text_fault", "format_instant", "parse_instant", "utf8_size"]

# SQS accepts #x9 #xA #xD #x20-#xD7FF #xE000-#xFFFD #x10000-#x10FFFF and refuses the rest, after SNS has
# accepted it: too late for anyone to see.
_OUTSIDE_CHARSET = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Every byte as itself, but the control characters of the set as question marks.
_WITHOUT_CONTROLS = bytes(ord("?") if code < 0x20 and code not in b"\t\n\r" else code for code in range(256))


def find_text_fault(text: str) -> str | None:
    r"""Name what keeps ``text`` from travelling, or ``None``.

    >>> find_text_fault("plain")
    >>> find_text_fault("nul\x00")
    'charset:U+0000'
    >>> find_text_fault("half a pair: \ud800")
    'unicode'
    """
    # The same as the expression tells, in a fifth of its time; only what fails is searched.
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        pass  # half a surrogate pair, and perhaps something else before it
    else:
        if encoded.translate(_WITHOUT_CONTROLS) == encoded and "\ufffe" not in text and "\uffff" not in text:
            return None
    found = _OUTSIDE_CHARSET.search(text)
    assert found is not None  # noqa: S101 - it was just told
    code = ord(found.group())
    return "unicode" if 0xD800 <= code <= 0xDFFF else f"charset:U+{code:04X}"


def utf8_size(text: str) -> int:
    """Count the bytes of text in UTF-8, as SNS does; a Python string knows whether it is ASCII.

    >>> utf8_size("größe")
    7
    """
    return len(text) if text.isascii() else len(text.encode())


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

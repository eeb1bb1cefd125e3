"""Instants as people write them: ISO 8601 text, or how long ago."""

import re
from datetime import UTC, datetime, timedelta

from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.text import parse_instant

__all__ = ["parse_when"]

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def parse_when(text: str, *, now: datetime, variable: str) -> datetime:
    """Read an instant, or a duration before ``now``: ``90s``, ``30m``, ``2h``, ``7d``, ``1w``.

    An instant without an offset is UTC, and a date is its midnight. ``variable`` is what the text was
    given as.

    Raises:
        ConfigurationError: the text is neither, or lies outside the calendar.

    >>> now = datetime(2026, 11, 23, 9, tzinfo=UTC)
    >>> parse_when("90m", now=now, variable="--since").isoformat()
    '2026-11-23T07:30:00+00:00'
    >>> parse_when("2026-11-22T10:00:00+01:00", now=now, variable="--since").isoformat()
    '2026-11-22T09:00:00+00:00'
    """
    ago = _AGO.fullmatch(text.strip())
    try:
        instant = (
            parse_instant(text.strip())
            if ago is None
            else now.astimezone(UTC) - timedelta(seconds=float(ago[1]) * _SECONDS[ago[2]])
        )
    except OverflowError:
        instant = None
    if instant is None:
        problem = f"{text!r} is neither an instant as 2026-11-23T09:00:00Z nor a time ago as 90s, 30m, 2h, 7d"
        raise ConfigurationError(variable, problem)
    return instant

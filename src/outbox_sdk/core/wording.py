"""Values in words, for terminals and for pages."""

__all__ = ["describe_duration", "escape_unprintable"]

_DAY, _HOUR, _MINUTE = 86_400, 3_600, 60


def describe_duration(seconds: float | None) -> str:
    """Write a duration in its two largest units.

    >>> describe_duration(None), describe_duration(4.21), describe_duration(75)
    ('-', '4.2 s', '1 min 15 s')
    >>> describe_duration(7_260), describe_duration(200_000)
    ('2 h 1 min', '2 d 7 h')
    """
    if seconds is None:
        return "-"
    whole = int(seconds)
    if whole < _MINUTE:
        return f"{seconds:.1f} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def escape_unprintable(text: str, *, keep: str = "") -> str:
    r"""Escape what is no printable character, but for those of ``keep``: what turns text round, too.

    Ids and topics are whatever a producer has written.

    >>> escape_unprintable("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    if text.isprintable():
        return text
    return "".join(
        each
        if each.isprintable() or each in keep
        else each.encode("unicode_escape", "surrogatepass").decode()
        for each in text
    )

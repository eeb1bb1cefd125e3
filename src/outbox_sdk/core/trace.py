"""W3C Trace Context: the two texts by which a message stays in the trace of whoever wrote it.

Read as strictly as the specification asks, because a wrong context is worse than none: what is not valid is
as if it were not there, and never keeps a message from anywhere.
"""

import re
from collections.abc import Iterator, Mapping

import msgspec

__all__ = [
    "CAUSATION_ID",
    "MAX_TRACESTATE_LENGTH",
    "MAX_TRACESTATE_MEMBERS",
    "TRACEPARENT",
    "TRACESTATE",
    "TraceContext",
    "format_traceparent",
    "parse_traceparent",
    "parse_tracestate",
    "read_trace",
    "shorten_tracestate",
    "trace_headers",
]

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"

CAUSATION_ID = "CausationId"
"""The header that names the message because of which another one was written."""

MAX_TRACESTATE_LENGTH = 512
"""Characters of a ``tracestate`` that everybody forwards; more is shortened by whole members."""

MAX_TRACESTATE_MEMBERS = 32

_LONG_MEMBER = 128
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
# The key of level 2 of the specification, which takes every key of level 1.
_MEMBER = re.compile(
    r"([a-z0-9][a-z0-9_\-*/@]{0,255})"
    r"=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])"
)


class TraceContext(msgspec.Struct, frozen=True, gc=False):
    """The place in a trace that a message was written at.

    ``trace_id`` has 32 and ``span_id`` 16 lower-case hexadecimal digits, neither all zeros. ``flags`` is a
    byte whose lowest bit says that the trace is sampled. ``state`` is a valid ``tracestate``, or empty.

    >>> context = parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    >>> context.trace_id, context.span_id, context.is_sampled
    ('4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7', True)
    """

    trace_id: str
    span_id: str
    flags: int = 0
    state: str = ""

    @property
    def is_sampled(self) -> bool:
        """Whether the one who wrote it may have recorded its part of the trace."""
        return bool(self.flags & 1)


def parse_traceparent(text: str) -> TraceContext | None:
    """Read a ``traceparent``; ``None`` where it is not one. Never raises.

    Version ``ff``, upper case and ids of zeros only are invalid. Of a version to come, the first four fields
    are read and whatever follows them after a dash is passed over; version ``00`` ends after the flags.

    >>> parse_traceparent("00-00000000000000000000000000000000-00f067aa0ba902b7-01")
    """
    found = _TRACEPARENT.fullmatch(text)
    if found is None:
        return None
    version, trace_id, span_id, flags, rest = found.groups()
    if version == "ff" or (version == "00" and rest is not None):
        return None
    if not (trace_id.strip("0") and span_id.strip("0")):
        return None
    return TraceContext(trace_id, span_id, int(flags, 16))


def format_traceparent(context: TraceContext) -> str:
    """Write the ``traceparent`` of a context, in version ``00``.

    >>> format_traceparent(TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1))
    '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    """
    return f"00-{context.trace_id}-{context.span_id}-{context.flags:02x}"


def parse_tracestate(text: str) -> str | None:
    """Read a ``tracestate`` into its plain form, without blanks and empty members; ``None`` if it is invalid.

    One member that is not ``key=value``, a key that comes twice or more than 32 members make the whole of it
    invalid. It is not shortened here: see :func:`shorten_tracestate`.

    >>> parse_tracestate("congo=t61rcWkgMzE , rojo=00f067aa0ba902b7,")
    'congo=t61rcWkgMzE,rojo=00f067aa0ba902b7'
    """
    members = [member for part in text.split(",") if (member := part.strip(" \t"))]
    keys = set()
    for member in members:
        found = _MEMBER.fullmatch(member)
        if found is None or found[1] in keys:
            return None
        keys.add(found[1])
    return None if len(members) > MAX_TRACESTATE_MEMBERS else ",".join(members)


def shorten_tracestate(state: str) -> str:
    """Leave members out until 512 characters remain: first the long ones, over 128, then from the right.

    ``state`` is in the plain form of :func:`parse_tracestate`. A member is never cut in two.

    >>> state = ",".join(["long=" + "x" * 200, *(f"key{number}=" + "x" * 90 for number in range(4))])
    >>> [member[:4] for member in shorten_tracestate(state).split(",")]
    ['key0', 'key1', 'key2', 'key3']
    """
    members = state.split(",")
    for long_first in (True, False):
        for position in range(len(members) - 1, -1, -1):
            if len(",".join(members)) <= MAX_TRACESTATE_LENGTH:
                return ",".join(members)
            if not long_first or len(members[position]) > _LONG_MEMBER:
                del members[position]
    return ",".join(members)


def read_trace(headers: Mapping[str, str]) -> TraceContext | None:
    """Read the context from headers or attributes; without a valid ``traceparent`` there is none.

    A ``tracestate`` that is invalid is left out, and the context stays.
    """
    context = parse_traceparent(headers.get(TRACEPARENT, ""))
    if context is None:
        return None
    state = parse_tracestate(headers.get(TRACESTATE, ""))
    return msgspec.structs.replace(context, state=state) if state else context


def trace_headers(context: TraceContext) -> dict[str, str]:
    """Write a context as the headers of a message, ``tracestate`` only where there is one."""
    return dict(_headers(context))


def _headers(context: TraceContext) -> Iterator[tuple[str, str]]:
    yield TRACEPARENT, format_traceparent(context)
    if state := shorten_tracestate(context.state):
        yield TRACESTATE, state

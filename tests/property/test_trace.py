"""Trace contexts: written and read again, and everything refused that the specification refuses."""

import re
import string
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from outbox_sdk.core.trace import (
    TraceContext,
    format_traceparent,
    parse_traceparent,
    parse_tracestate,
    read_trace,
    shorten_tracestate,
    trace_headers,
)
from tests.property import strategies as our

_HEX = "0123456789abcdef"


def _ids(length: int) -> st.SearchStrategy[str]:
    digits = st.text(_HEX, min_size=length, max_size=length)
    few = st.integers(1, 15).map(lambda digit: f"{digit:x}".zfill(length))
    return (digits | few).filter(lambda text: set(text) != {"0"})


_KEY_REST = string.ascii_lowercase + string.digits + "_-*/"
_VALUES = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in ",=")
_simple_keys = st.builds(
    "{}{}".format, st.sampled_from(string.ascii_lowercase), st.text(_KEY_REST, max_size=12)
)
_tenants = st.builds(
    "{}{}@{}".format, st.sampled_from(string.digits), st.text(_KEY_REST, max_size=9), st.just("vendor")
)
_keys = _simple_keys | _tenants | st.sampled_from(["a" * 256, "0" * 241 + "@" + "v" * 14])
_values = (
    st.text(_VALUES, min_size=1, max_size=12)
    | st.builds("{} {}".format, st.text(_VALUES, max_size=3), st.text(_VALUES, min_size=1, max_size=3))
    | st.builds(str.__mul__, st.sampled_from(_VALUES), st.integers(120, 256))
)
_member = st.tuples(_keys, _values)
_members = st.one_of(
    [st.lists(_member, max_size=size, unique_by=lambda each: each[0]) for size in (3, 6, 32)]
)
contexts = st.builds(
    TraceContext,
    _ids(32),
    _ids(16),
    st.integers(0, 255),
    _members.map(lambda pairs: ",".join(map("=".join, pairs))),
)


@given(contexts)
def test_a_context_that_is_written_is_read(context: TraceContext) -> None:
    """All of it comes back, but for the members by which a state is too long to be forwarded."""
    seen = read_trace(trace_headers(context))

    assert seen is not None
    assert (seen.trace_id, seen.span_id, seen.flags) == (context.trace_id, context.span_id, context.flags)
    assert seen.state == shorten_tracestate(context.state)


@given(
    _ids(32),
    _ids(16),
    st.text(_HEX, min_size=2, max_size=2),
    our.awkward_text(),
    st.sampled_from(["00", "01", "cc", "fe", "ff"]),
)
def test_later_versions_are_read_as_far_as_they_are_known(
    trace_id: str, span_id: str, flags: str, rest: str, version: str
) -> None:
    """A version to come may add fields after a dash; version 00 may not, and ff there is not."""
    plain = f"{version}-{trace_id}-{span_id}-{flags}"
    known = TraceContext(trace_id, span_id, int(flags, 16))

    assert parse_traceparent(plain) == (None if version == "ff" else known)
    assert parse_traceparent(f"{plain}-{rest}") == (None if version in ("00", "ff") else known)
    assert parse_traceparent(f"{plain}.{rest}") is None


def is_traceparent(text: str) -> bool:
    """The grammar of version 00 once more, by position instead of by pattern."""
    fields = text.split("-")
    return (
        len(text) == 55
        and [len(field) for field in fields] == [2, 32, 16, 2]
        and set(text) <= set(_HEX + "-")
        and text.startswith("00-")
        and set(fields[1]) != {"0"}
        and set(fields[2]) != {"0"}
    )


@given(contexts, st.integers(0, 54), st.sampled_from([*_HEX, "-", "A", "F", " ", "g", "ü", "\n", ""]))
def test_one_character_decides(context: TraceContext, position: int, character: str) -> None:
    """A version 00 with one character changed or taken out is read exactly where it is still valid."""
    text = format_traceparent(context)
    changed = text[:position] + character + text[position + 1 :]
    if changed[:2] == "00" or position > 1:
        assert (parse_traceparent(changed) is not None) == is_traceparent(changed)


@given(st.sampled_from([0, 16, 32]), contexts)
def test_ids_of_zeros_are_none(zeros: int, context: TraceContext) -> None:
    trace_id = "0" * 32 if zeros == 32 else context.trace_id
    span_id = "0" * 16 if zeros == 16 else context.span_id

    read = parse_traceparent(f"00-{trace_id}-{span_id}-01")

    assert (read is None) == (zeros > 0)


@given(_members, st.data())
def test_blanks_and_empty_members_do_not_count(pairs: list[tuple[str, str]], data: st.DataObject) -> None:
    blanks = st.sampled_from(["", " ", "\t", " \t "])
    parts: list[str] = []
    for pair in pairs:
        parts += [""] * data.draw(st.integers(0, 1))
        parts.append(data.draw(blanks) + "=".join(pair) + data.draw(blanks))

    assert parse_tracestate(",".join(parts)) == ",".join(map("=".join, pairs))


@given(_members.filter(bool), st.data())
def test_one_bad_member_spoils_a_state(pairs: list[tuple[str, str]], data: st.DataObject) -> None:
    bad = data.draw(
        st.sampled_from(
            ["Upper=1", "_a=1", "a", "=1", "a=", "a=1=2", "ü=1", "a=\x7f", f"{pairs[0][0]}=again"]
        )
        | st.just("b" * 257 + "=1")
        | st.just("b=" + "1" * 257)
    )
    members = list(map("=".join, pairs))
    members.insert(data.draw(st.integers(0, len(members))), bad)

    assert parse_tracestate(",".join(members)) is None


def test_the_number_of_members_is_met_exactly() -> None:
    members = [f"k{number}=v" for number in range(33)]
    assert parse_tracestate(",".join(members[:32])) == ",".join(members[:32])
    assert parse_tracestate(",".join(members)) is None


@given(contexts)
def test_a_state_is_shortened_by_whole_members(context: TraceContext) -> None:
    """Long members go first, then those on the right; nothing goes that could have stayed."""
    state, short = context.state, shorten_tracestate(context.state)
    members, kept = state.split(","), short.split(",") if short else []
    gone = [member for member in members if member not in kept] if state else []

    assert len(short) <= 512
    assert kept == [member for member in members if member in kept]
    if len(state) <= 512:
        assert short == state
    if any(len(member) <= 128 for member in gone):
        assert not any(len(member) > 128 for member in kept)
    else:
        # The first to stay of the long ones is further left than any that went.
        lengths = [position for position, member in enumerate(members) if member in gone]
        stayed = [position for position, member in enumerate(members) if member in kept and len(member) > 128]
        assert not lengths or not stayed or max(stayed) < min(lengths)


def test_five_hundred_and_twelve_characters_stay() -> None:
    state = ",".join(["a=" + "x" * 254, "b=" + "y" * 253])
    assert len(state) == 512
    assert shorten_tracestate(state) == state
    assert shorten_tracestate(state + "y") == "a=" + "x" * 254


@given(st.dictionaries(st.sampled_from(["traceparent", "tracestate", "Traceparent"]), our.awkward_text()))
def test_whatever_stands_there_is_read_or_passed_over(headers: Mapping[str, str]) -> None:
    seen = read_trace(headers)
    assert seen is None or re.fullmatch("[0-9a-f]{32}", seen.trace_id)


@given(contexts, our.awkward_text())
def test_a_bad_state_leaves_the_context(context: TraceContext, state: str) -> None:
    seen = read_trace({"traceparent": format_traceparent(context), "tracestate": "=" + state})
    assert seen is not None
    assert seen.state == ""

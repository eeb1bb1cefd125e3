"""Text and time: what can travel, and instants whose order as text is their order in time."""

import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox_sdk.core.text import find_text_fault, format_instant, parse_instant
from tests.property import strategies as our
from tests.property.oracles import find_untravelling


def expected_fault(text: str) -> str | None:
    character = find_untravelling(text)
    if character is None:
        return None
    code = ord(character)
    return "unicode" if 0xD800 <= code <= 0xDFFF else f"charset:U+{code:04X}"


@given(our.awkward_text() | our.travelling_text())
def test_the_first_character_that_cannot_travel_is_named(text: str) -> None:
    """SQS discards what it does not take after SNS has accepted it, so it must be seen before."""
    assert find_text_fault(text) == expected_fault(text)


def test_every_single_character_is_judged_as_documented() -> None:
    """All 1,114,112 code points; printable ones take a short cut, which must not let any through."""
    wrong = [
        code
        for code in range(sys.maxunicode + 1)
        if (find_text_fault(chr(code)) is None) != (find_untravelling(chr(code)) is None)
    ]
    assert wrong == []


@given(our.instants())
def test_an_instant_survives_being_written(instant: datetime) -> None:
    """Nothing below a microsecond exists, and nothing above it is lost."""
    text = format_instant(instant)
    assert len(text) == 27
    assert text.endswith("Z")
    assert parse_instant(text) == instant


@given(our.instants(), our.instants() | st.timedeltas(timedelta(0), timedelta(seconds=2)))
def test_text_order_is_time_order(one: datetime, other: datetime | timedelta) -> None:
    """The index sorts `CreatedAt` as text: the oldest outstanding message must come first."""
    if isinstance(other, timedelta):
        other = one + other
    assert (format_instant(one) < format_instant(other)) == (one < other)


@given(our.created_at_texts() | our.awkward_text())
def test_foreign_times_are_read_with_their_offset_or_not_at_all(text: str) -> None:
    """Any offset is the same instant, none is UTC, and what is no time is no fault of the message."""
    try:
        found = datetime.fromisoformat(text)
        expected = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        assert parse_instant(text) is None
    else:
        assert parse_instant(text) == expected


def test_an_instant_needs_a_time_zone() -> None:
    """Local time would depend on the machine that wrote it."""
    with pytest.raises(ValueError, match="time zone"):
        format_instant(datetime(2026, 11, 23))  # noqa: DTZ001 - the point of the test

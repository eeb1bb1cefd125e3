"""What a guard says, what an inbox refuses, and how a sequence is read."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox_sdk import ConfigurationError, Gap, Inbox, InvalidMessageError, Next, Stale, step_of
from outbox_sdk.core.inbox import find_inbox_differences, inbox_table_request
from outbox_sdk.core.text import format_instant

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


def test_a_guard_puts_once_and_is_forgotten_in_time() -> None:
    entry: Any = Inbox("inbox", consumer="mail", ttl_days=2).guard("m-1", now=NOW)
    assert entry == {
        "Put": {
            "TableName": "inbox",
            "Item": {
                "PK": {"S": "MESSAGE#m-1"},
                "SK": {"S": "CONSUMER#mail"},
                "ProcessedAt": {"S": format_instant(NOW)},
                "ExpiresAt": {"N": str(int((NOW + timedelta(days=2)).timestamp()))},
            },
            "ConditionExpression": "attribute_not_exists(#guard_pk) AND attribute_not_exists(#guard_sk)",
            "ExpressionAttributeNames": {"#guard_pk": "PK", "#guard_sk": "SK"},
        }
    }


def test_the_clock_is_asked_where_no_time_is_given() -> None:
    before = datetime.now(UTC).timestamp()
    entry: Any = Inbox("inbox", consumer="mail").guard("m-1")
    days = (int(entry["Put"]["Item"]["ExpiresAt"]["N"]) - before) / 86_400
    assert days == pytest.approx(14, abs=0.01)


@pytest.mark.parametrize("message_id", ["", "nul\x00", "\ud800", "x" * 2_041])
def test_an_id_that_cannot_be_a_key_is_refused(message_id: str) -> None:
    with pytest.raises(InvalidMessageError, match="message_id"):
        Inbox("inbox", consumer="mail").guard(message_id)


def test_the_longest_id_and_consumer_are_taken() -> None:
    entry: Any = Inbox("inbox", consumer="x" * 1_015).guard("x" * 2_040)
    assert len(entry["Put"]["Item"]["PK"]["S"]) == 2_048
    assert len(entry["Put"]["Item"]["SK"]["S"]) == 1_024


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("consumer", {"consumer": ""}),
        ("consumer", {"consumer": "nul\x00"}),
        ("consumer", {"consumer": "x" * 1_016}),
        ("ttl_days", {"consumer": "mail", "ttl_days": 0}),
        ("ttl_days", {"consumer": "mail", "ttl_days": float("nan")}),
        ("ttl_days", {"consumer": "mail", "ttl_days": float("inf")}),
        ("ttl_days", {"consumer": "mail", "ttl_days": 36_501}),
    ],
)
def test_an_inbox_that_could_not_work_is_refused(field: str, arguments: Any) -> None:
    with pytest.raises(ConfigurationError, match=field):
        Inbox("inbox", **arguments)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Inbox("inbox", consumer="mail").guard("m-1", now=datetime(2026, 11, 23))  # noqa: DTZ001


def test_a_table_is_compared() -> None:
    description = inbox_table_request("inbox")
    assert find_inbox_differences(description) == []
    binary = [{**part, "AttributeType": "B"} for part in description["AttributeDefinitions"]]
    assert len(find_inbox_differences({**description, "AttributeDefinitions": binary})) == 2
    assert len(find_inbox_differences({**description, "KeySchema": description["KeySchema"][:1]})) == 1


@given(st.lists(st.integers(1, 30), max_size=60), st.booleans())
def test_steps_add_up_to_what_was_seen(sequences: list[int], counts_from_one: bool) -> None:
    """Whoever notes the gaps and applies what is not stale knows exactly which messages have not come."""
    seen, missing = None, set[int]()
    for sequence in sequences:
        match step_of(sequence, seen=seen, start=1 if counts_from_one else None):
            case Next():
                seen = sequence
            case Gap(first=first, last=last):
                assert first <= last < sequence
                missing |= set(range(first, last + 1))
                seen = sequence
            case Stale():
                missing.discard(sequence)
    if sequences:
        assert seen is not None
        first_known = 1 if counts_from_one else sequences[0]
        assert missing == set(range(first_known, seen + 1)) - set(sequences)

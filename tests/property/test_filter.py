"""The mapping's filter: what it holds back, the relay would have skipped, and nothing else."""

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from outbox_sdk.core.event_source import EventSource, mapping_settings
from outbox_sdk.core.mark import MARK_STRATEGIES, MarkStrategy
from outbox_sdk.core.message import Skipped
from outbox_sdk.core.stream import decode_event
from tests.property import strategies as our


def matches(pattern: Mapping[str, Any], value: Any) -> bool:
    """Tell as Lambda's documentation says: every key of the pattern, and one of the rules of each leaf.

    A rule other than ``anything-but``, or a list of texts, is an error in here rather than a guess.
    """
    for name, rules in pattern.items():
        part = value.get(name) if isinstance(value, Mapping) else None
        if isinstance(rules, Mapping):
            if not matches(rules, part):
                return False
        elif part is None or not any(accepts(rule, part) for rule in rules):
            return False
    return True


def accepts(rule: Any, value: Any) -> bool:
    if isinstance(rule, str):
        return bool(value == rule)
    ((kind, banned),) = rule.items()
    assert kind == "anything-but"
    return value not in banned


def is_brought(record: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    return any(matches(json.loads(each["Pattern"]), record) for each in settings["FilterCriteria"]["Filters"])


@given(our.events(), st.sampled_from(MARK_STRATEGIES))
def test_the_filter_brings_what_the_relay_acts_on_and_nothing_else(
    event: our.DrawnEvent, strategy: MarkStrategy
) -> None:
    """Nothing outstanding is lost to the filter, poison and redrives included, and own writes wake nobody."""
    settings = mapping_settings(EventSource(), event.design, strategy)
    records = decode_event(event.wire, event.design, table_name="outbox")

    for record, drawn in zip(records, event.records, strict=True):
        # What takes an outstanding item away is warned about; under `delete` the relay's own marks do.
        tells = record.removal is not None and strategy != "delete"
        acts = tells or not isinstance(record.content, Skipped)
        assert is_brought(drawn.wire, settings) == acts


@given(our.events(), st.sampled_from(MARK_STRATEGIES))
def test_without_old_images_the_filter_brings_the_same_messages(
    event: our.DrawnEvent, strategy: MarkStrategy
) -> None:
    """A stream of new images only is accepted, and shows no removals."""
    settings = mapping_settings(EventSource(), event.design, strategy)
    for drawn in event.records:
        drawn.wire["dynamodb"].pop("OldImage", None)
    records = decode_event(event.wire, event.design, table_name="outbox")

    for record, drawn in zip(records, event.records, strict=True):
        assert is_brought(drawn.wire, settings) == (not isinstance(record.content, Skipped))

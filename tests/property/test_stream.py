"""Events: every record is typed and named, and none takes its neighbours along."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox_sdk.core.errors import ConfigurationError, InvalidEventError
from outbox_sdk.core.message import OutboxMessage, Poison, Skipped
from outbox_sdk.core.stream import decode_event, decode_event_json
from outbox_sdk.core.table import TableDesign
from tests.property import strategies as our


@given(our.events())
def test_every_record_is_decoded_to_what_it_is(event: our.DrawnEvent) -> None:
    """Outstanding images are messages or poison; own marks, parks, removes and foreign items are skipped."""
    records = decode_event(event.wire, event.design, table_name="outbox")
    assert [record.sequence_number for record in records] == [drawn.number for drawn in event.records]
    for record, drawn in zip(records, event.records, strict=True):
        assert record.key == drawn.key
        assert record.position == int(drawn.number)
        assert record.modified == (drawn.wire["eventName"] != "INSERT")
        assert record.creation == drawn.creation
        match record.content:
            case OutboxMessage():
                assert (drawn.kind, drawn.message) == ("message", record.content)
            case Poison(reason=reason):
                assert (drawn.kind, drawn.reason) == ("poison", reason)
            case Skipped("marked"):
                assert drawn.kind == "marked"
            case Skipped("parked" | "removed" | "foreign" as reason):
                assert drawn.kind == reason
            case _:
                pytest.fail(f"{record.content} is none of these")


@given(our.events())
def test_json_text_and_a_dict_are_the_same_event(event: our.DrawnEvent) -> None:
    """The runtime's dict and the bytes that a program reads decode to one result."""
    text = json.dumps(event.wire)
    assert decode_event_json(text, event.design) == decode_event(json.loads(text), event.design)
    assert decode_event_json(text.encode(), event.design) == decode_event_json(text, event.design)


@given(st.data())
def test_half_a_surrogate_pair_is_one_records_fault(data: st.DataObject) -> None:
    """Text that is no Unicode, escaped in one image, leaves the other records readable."""
    event = data.draw(our.events(kinds=("message",), repeats=False).filter(lambda event: event.records))
    chosen = data.draw(st.integers(0, len(event.records) - 1))
    expected = list(decode_event(event.wire, event.design))
    wire = copy.deepcopy(event.wire)
    image = wire["Records"][chosen]["dynamodb"]["NewImage"]
    image[event.design.body] = {"S": "half \ud83d"}
    text = json.dumps(wire)
    assert "\\ud83d" in text
    for records in (decode_event_json(text, event.design), decode_event(wire, event.design)):
        content = records[chosen].content
        assert isinstance(content, Poison)
        assert content.reason == "unicode"
        assert [*records[:chosen], *records[chosen + 1 :]] == expected[:chosen] + expected[chosen + 1 :]


@given(st.data())
def test_neighbours_do_not_feel_a_bad_image(data: st.DataObject) -> None:
    """Decoding never raises for what one image holds, and never decodes another record differently."""
    event = data.draw(our.events().filter(lambda event: event.records))
    expected = decode_event(event.wire, event.design)
    chosen = data.draw(st.integers(0, len(event.records) - 1))
    wire = copy.deepcopy(event.wire)
    wire["Records"][chosen]["eventName"] = data.draw(st.sampled_from(["INSERT", "MODIFY", "REMOVE"]))
    for image in ("NewImage", "OldImage"):
        wire["Records"][chosen]["dynamodb"][image] = data.draw(our.arbitrary_images(event.design))
    records = decode_event(wire, event.design)
    assert len(records) == len(expected)
    for position, (record, before) in enumerate(zip(records, expected, strict=True)):
        if position == chosen:
            assert (record.key, record.sequence_number) == (before.key, before.sequence_number)
        else:
            assert record == before


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 2**40)
    | st.floats(allow_nan=False)
    | our.travelling_text(min_size=0),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(our.travelling_text(min_size=0), inner, max_size=3)
    ),
    max_leaves=8,
)
PARTS = st.sampled_from(
    [
        "Records",
        "eventName",
        "eventSource",
        "eventSourceARN",
        "dynamodb",
        "Keys",
        "SequenceNumber",
        "NewImage",
        "PK",
    ]
)


@given(st.data(), our.designs())
def test_an_event_that_cannot_be_named_is_one_clear_error(data: st.DataObject, design: TableDesign) -> None:
    """Nothing can be reported about a record without a name, so Lambda has to bring the batch again."""
    event: Any = data.draw(JSON | our.events(design).map(lambda drawn: drawn.wire))
    if isinstance(event, dict) and event.get("Records"):
        # Replace some part of a good event, at any depth down to the record's own fields.
        event = copy.deepcopy(event)
        part: Any = event
        name = data.draw(PARTS)
        for step in ("Records", 0, "dynamodb", "Keys", design.partition_key):
            if isinstance(part, dict) and (name in part or step not in part):
                break
            if not isinstance(part, dict | list) or (isinstance(part, list) and not part):
                break
            part = part[step]  # type: ignore[index]
        if isinstance(part, dict):
            part[name] = data.draw(JSON)
    try:
        records = decode_event(event, design, table_name="outbox")
    except (InvalidEventError, ConfigurationError) as error:
        assert str(error)  # noqa: PT017 - either is allowed, and nothing else
    else:
        for record in records:
            assert record.sequence_number.isdigit()
            assert record.key.parts


@given(st.binary(max_size=20) | our.awkward_text())
def test_what_is_no_json_is_an_invalid_event(text: bytes | str) -> None:
    """Bytes that are no event raise one error of this package, before anything is published."""
    try:
        records = decode_event_json(text, TableDesign.ordered)
    except (InvalidEventError, ConfigurationError):
        return
    assert records == ()


@given(our.events(max_size=4), st.sampled_from(["outbox2", "outbo", "", "OUTBOX"]))
def test_records_of_another_table_are_refused(event: our.DrawnEvent, table_name: str) -> None:
    """A relay wired to the wrong stream says so, rather than mark items in a table that has none of them."""
    if event.records:
        with pytest.raises(ConfigurationError) as raised:
            decode_event(event.wire, event.design, table_name=table_name)
        assert raised.value.variable == "DYNAMODB_OUTBOX_TABLE_NAME"

"""Laws of looking at an outbox: any item can be shown, no payload unasked, and the oldest is the oldest."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from outbox_sdk.cli.admin import plain
from outbox_sdk.core.backlog import Sighting
from outbox_sdk.core.identifiers import ItemKey, SequenceNumber
from outbox_sdk.core.message_view import MessageView, decode_view, describe_life
from outbox_sdk.core.passing import decode_passage
from outbox_sdk.core.selection import Selection, matches
from outbox_sdk.core.status import Seen, describe_status, see
from outbox_sdk.core.stream import WireChange, WireRecord
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.text import format_instant, parse_instant
from outbox_sdk.core.when import parse_when
from tests.property.strategies import arbitrary_images, designs, messages, write_item

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
SECRET = "s3cr3t-7d1f"


@st.composite
def any_item(draw: st.DrawFn) -> tuple[dict[str, Any], TableDesign]:
    design = draw(designs())
    return draw(arbitrary_images(design)), design


def selections() -> st.SearchStrategy[Selection]:
    texts = st.lists(st.text(min_size=1, max_size=4), max_size=2).map(tuple)
    return st.builds(Selection, message_ids=texts, topics=texts, message_types=texts, reasons=texts)


@given(case=any_item(), selection=selections())
def test_whatever_an_item_holds_it_can_be_looked_at(
    case: tuple[dict[str, Any], TableDesign], selection: Selection
) -> None:
    item, design = case
    view = decode_view(item, design, now=NOW, payload=True)
    matches(selection, item, design)
    if view is not None:
        describe_life(view)
        # It is a document that its own schema takes.
        assert msgspec.json.decode(msgspec.json.encode(view), type=MessageView) == view


@given(data=st.data(), design=designs())
def test_a_message_is_shown_as_it_was_written_and_without_its_payload(
    data: st.DataObject, design: TableDesign
) -> None:
    message = data.draw(messages(design))
    secret = msgspec.structs.replace(
        message, body=SECRET, content_type=None, headers=dict.fromkeys(message.headers, SECRET)
    )
    item = data.draw(write_item(secret, design))
    view = decode_view(item, design, now=NOW)

    assert view is not None
    assert (view.message_id, view.aggregate_id, view.topic) == (
        message.message_id,
        message.aggregate_id,
        message.topic,
    )
    assert SECRET not in msgspec.json.encode(view).decode()
    asked = decode_view(item, design, now=NOW, payload=True)
    assert asked is not None
    assert asked.payload is not None
    assert asked.payload.body == SECRET
    assert msgspec.structs.replace(asked, payload=None) == view


@given(pages=st.lists(st.lists(st.integers(0, 10_000), max_size=5), max_size=6), keep=st.integers(0, 4))
def test_all_are_counted_and_the_oldest_are_kept(pages: Sequence[Sequence[int]], keep: int) -> None:
    seen, place = Seen(), 0
    for page in pages:
        sightings = []
        for seconds in page:
            # Offsets make text order another than time order.
            zone = timedelta(hours=(seconds % 23) - 11)
            created = (NOW + timedelta(seconds=seconds)).astimezone(UTC) + zone
            sign, hours = ("+", zone) if zone >= timedelta() else ("-", -zone)
            text = f"{created:%Y-%m-%dT%H:%M:%S}{sign}{hours.seconds // 3600:02d}:00"
            sightings.append(Sighting(ItemKey((("PK", "S", str(place)),)), text))
            place += 1
        seen = see(seen, sightings, keep=keep)
    every = sorted(NOW + timedelta(seconds=seconds) for page in pages for seconds in page)

    assert seen.count == len(every)
    assert [parse_instant(each.created_at) for each in seen.oldest] == every[: max(1, keep)]


@given(items=st.lists(st.sampled_from(["outstanding", "parked", "dispatched", "foreign"]), max_size=20))
def test_what_is_looked_at_is_counted_once_and_by_its_own_state(items: list[str]) -> None:
    design = TableDesign.ordered
    shapes: dict[str, dict[str, Any]] = {
        "outstanding": {"NotDispatched": {"S": "x"}, "Topic": {"S": "t"}},
        "parked": {
            "NotDispatched": {"S": "parked"},
            "ParkReason": {"S": "size:7"},
            "MessageType": {"N": "1"},
        },
        "dispatched": {"IsDispatched": {"BOOL": True}, "MessageId": {"S": "m"}},
        "foreign": {"Total": {"N": "1"}},
    }
    status = describe_status("outbox", {}, [shapes[name] for name in items], design, now=NOW)

    outstanding, parked = items.count("outstanding"), items.count("parked")
    assert (status.outstanding.looked_at, status.parked.looked_at) == (outstanding, parked)
    assert status.outstanding.by_topic == ({"t": outstanding} if outstanding else {})
    assert status.parked.by_type == ({"(none)": parked} if parked else {})
    assert status.parked.by_reason == ({"size": parked} if parked else {})


@given(text=st.text())
def test_nothing_that_a_producer_wrote_does_anything_to_a_terminal(text: str) -> None:
    shown = plain(text)
    assert shown.isprintable()
    if text.isprintable():
        assert shown == text


@given(seconds=st.integers(0, 10**9))
def test_a_time_ago_is_that_long_before_now(seconds: int) -> None:
    assert (NOW - parse_when(f"{seconds}s", now=NOW, variable="--since")).total_seconds() == seconds
    text = format_instant(NOW - timedelta(seconds=seconds))
    assert parse_when(text, now=NOW, variable="--since") == parse_instant(text)


@given(
    new=st.none() | any_item(),
    old=st.none() | any_item(),
    name=st.sampled_from(["INSERT", "MODIFY", "REMOVE"]),
)
def test_whatever_the_stream_brings_can_be_watched(
    new: tuple[dict[str, Any], TableDesign] | None, old: tuple[dict[str, Any], TableDesign] | None, name: str
) -> None:
    design = TableDesign.ordered
    change = WireChange(
        {},
        SequenceNumber("1"),
        None if new is None else new[0],
        None if old is None else old[0],
        creation=1e9,
    )
    passage = decode_passage(WireRecord(name, change), design, Selection(), now=NOW)
    if passage is not None:
        assert passage.message.payload is None
        assert (passage.event == "created") == (name == "INSERT")
        assert (passage.event in ("expired", "removed")) == (name == "REMOVE")

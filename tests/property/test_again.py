"""Laws of sending again: nothing left out or added, aggregates in order, and a limit cuts an end."""

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from outbox_sdk.core.aggregate_order import in_order
from outbox_sdk.core.identifiers import AggregateId, ItemKey
from outbox_sdk.core.items import decode_item, is_outstanding
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.redrive import plan_redrive
from outbox_sdk.core.replay import plan_replay, replay_request
from outbox_sdk.core.seen_item import SeenItem, decode_seen
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.text import format_instant
from outbox_sdk.testing.conditions import holds
from outbox_sdk.testing.updates import updated
from tests.property.strategies import arbitrary_images, designs, messages, write_item

BEGIN = datetime(2026, 11, 23, 9, tzinfo=UTC)
MARK = format_instant(BEGIN)


@st.composite
def seen_items(draw: st.DrawFn) -> list[SeenItem]:
    """Items of a few aggregates in all states, some without a number or a time."""
    items = []
    for number in range(draw(st.integers(0, 14))):
        seconds = draw(st.none() | st.integers(-50, 50))
        dispatched = BEGIN + timedelta(seconds=draw(st.integers(-2, 2)))
        replayed = draw(st.sampled_from([None, MARK, "2026-11-01T00:00:00.000000Z"]))
        items.append(
            SeenItem(
                key=ItemKey((("PK", "S", f"m-{number}"),)),
                state=draw(st.sampled_from(["parked", "dispatched", "outstanding"])),
                group=AggregateId(draw(st.sampled_from(["a", "b", "c"]))),
                created=None if seconds is None else BEGIN + timedelta(seconds=seconds),
                sequence=draw(st.none() | st.integers(0, 5)),
                last_dispatched_at={"S": format_instant(dispatched)},
                headers=None if replayed is None else {"M": {"replayed": {"S": replayed}}},
            )
        )
    return items


@given(items=seen_items(), limit=st.none() | st.integers(1, 20))
def test_a_redrive_takes_what_is_parked_in_order_and_a_limit_cuts_an_end(
    items: list[SeenItem], limit: int | None
) -> None:
    groups = plan_redrive(items, limit=limit)
    parked = [item for item in items if item.state == "parked"]
    chosen = [item for group in groups for item in group]

    assert len(chosen) == (len(parked) if limit is None else min(limit, len(parked)))
    assert len({item.key for item in chosen}) == len(chosen)
    assert {item.state for item in chosen} <= {"parked"}
    for group in groups:
        (name,) = {item.group for item in group}
        whole = in_order([item for item in parked if item.group == name])
        assert list(group) == whole[: len(group)]
    assert len({group[0].group for group in groups}) == len(groups)


@given(items=seen_items())
def test_a_replay_leaves_out_what_it_has_sent_and_what_came_after_it_began(items: list[SeenItem]) -> None:
    chosen = {item.key for group in plan_replay(items, began_at=BEGIN) for item in group}
    for item in items:
        at = (item.last_dispatched_at or {})["S"]
        sent = item.headers == {"M": {"replayed": {"S": MARK}}}
        assert (item.key in chosen) == (item.state == "dispatched" and at < MARK and not sent)


@given(data=st.data(), design=designs())
def test_a_replayed_item_is_the_message_that_it_was_and_one_more(
    data: st.DataObject, design: TableDesign
) -> None:
    message = data.draw(messages(design))
    item = data.draw(write_item(message, design))
    del item[design.not_dispatched]
    item |= {
        design.message_id: {"S": message.message_id},
        design.is_dispatched: {"BOOL": True},
        design.last_dispatched_at: {"S": "2026-11-20T09:00:00.000000Z"},
        design.expires_at: {"N": "1800000000"},
    }
    seen = decode_seen(item, design)
    assert seen is not None
    request = replay_request(seen, design, "outbox", buckets=16, began_at=MARK, now=MARK)

    assert holds(item, request)
    changed = updated(item, request)
    assert is_outstanding(changed, design)
    assert design.expires_at not in changed
    again = decode_item(changed, message.key, design)
    assert isinstance(again, OutboxMessage)
    assert again.headers == {**message.headers, "replayed": MARK}
    assert again.redrive_count == message.redrive_count + 1
    assert msgspec.structs.replace(
        again,
        marker=message.marker,
        headers=message.headers,
        redrive_count=message.redrive_count,
        created_at=message.created_at,
    ) == msgspec.structs.replace(message, dispatch_count=again.dispatch_count)
    if message.created_at is not None:
        assert again.created_at == message.created_at
    assert not holds(changed, request), "it is not sent twice"


@given(data=st.data(), design=designs())
def test_whatever_an_item_holds_it_can_be_judged(data: st.DataObject, design: TableDesign) -> None:
    image = data.draw(arbitrary_images(design))
    names = (design.partition_key, design.sort_key)
    item = {**image, **{name: {"S": "x"} for name in names if name is not None}}
    seen = decode_seen(item, design)
    if seen is not None:
        plan_redrive([seen])
        plan_replay([seen], began_at=BEGIN)

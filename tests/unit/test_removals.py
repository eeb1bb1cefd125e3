"""Items that leave the table while they are outstanding: counted, told of once, and never by mistake."""

import dataclasses
from typing import Any

import pytest

from outbox_sdk.core.outcome import BatchReport, Settled
from outbox_sdk.core.report import describe_records
from outbox_sdk.core.stream import decode_event
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell.producer import Outbox
from outbox_sdk.shell.relay import relay_batch
from outbox_sdk.testing import InMemoryStack, InMemoryTable

OUTBOX = Outbox("outbox")
TTL = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


def removal(identity: Any = None, **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The insert of an item and its removal while it is outstanding."""
    table = InMemoryTable()
    item: Any = OUTBOX.put("{}", aggregate_id="a", topic="t", message_id="m")["Put"]["Item"]
    key = table.put({**item, **changes})
    table._write(key, None)
    insert, remove = table.records
    return insert, remove if identity is None else {**remove, "userIdentity": identity}


async def relay(*records: dict[str, Any], deletes: bool = False, marks: bool = True) -> BatchReport:
    table = InMemoryTable(deletes=deletes)
    context = dataclasses.replace(InMemoryStack().context, table=table, marker=table if marks else None)
    return await relay_batch(context, {"Records": list(records)})


@pytest.mark.parametrize(
    ("identity", "reason"),
    [
        (None, "removed_undispatched"),
        (TTL, "expired_undispatched"),
        # The stream's own API writes the names with capitals.
        ({"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}, "expired_undispatched"),
        ({"type": "Service", "principalId": "somebody else"}, "removed_undispatched"),
        ("no map", "removed_undispatched"),
    ],
)
async def test_an_outstanding_item_that_is_removed_is_counted_and_told_of(identity: Any, reason: str) -> None:
    _, remove = removal(identity)

    report = await relay(remove)

    assert report.response == {"batchItemFailures": []}
    assert report.skips() == {reason: 1}
    assert [line.event for line in describe_records(report)] == [reason]


@pytest.mark.parametrize("identity", [None, TTL])
async def test_a_removal_that_takes_no_message_along_is_only_skipped(identity: Any) -> None:
    marked = removal(identity, NotDispatched={"S": "parked"})[1]
    foreign = removal(identity)[1]
    del foreign["dynamodb"]["OldImage"]["NotDispatched"]
    unseen = removal(identity)[1]
    del unseen["dynamodb"]["OldImage"]  # a stream of new images only

    for record in (marked, foreign, unseen):
        report = await relay(record)
        assert report.skips() == {"removed": 1}
        assert list(describe_records(report)) == []


@pytest.mark.parametrize("identity", [None, TTL])
async def test_what_the_same_batch_publishes_is_not_lost(identity: Any) -> None:
    report = await relay(*removal(identity))

    assert report.skips() == {"removed": 1}
    assert report.effort.published_from_image == 1
    assert report.counts() == {"dispatched": 1, "settled": 1}


async def test_a_mark_that_deletes_loses_nothing_but_a_time_to_live_does() -> None:
    own = await relay(removal()[1], deletes=True)
    expired = await relay(removal(TTL)[1], deletes=True)

    assert own.skips() == {"removed": 1}
    assert expired.skips() == {"expired_undispatched": 1}


async def test_where_nothing_is_marked_a_removal_says_nothing() -> None:
    assert (await relay(removal(TTL)[1], marks=False)).skips() == {"removed": 1}


async def test_the_relays_own_marks_are_counted_as_such() -> None:
    stack = InMemoryStack()
    stack.write(OUTBOX.put("{}", aggregate_id="a", topic="t"))
    await stack.relay()

    report = await stack.relay()

    assert [record.outcome for record in report.records] == [Settled("marked")]
    assert report.skips() == {"self_echo": 1}


def test_a_removal_is_told_from_the_image_and_from_who_did_it() -> None:
    _, record = removal(TTL)

    (decoded,) = decode_event({"Records": [record]}, TableDesign.ordered)

    assert decoded.removal == "expired"

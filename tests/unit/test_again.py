"""Redrive, replay and purge in memory: who is meant, in which order, and what happens in between."""

import asyncio
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from outbox_sdk import Outbox, Selection, TableCallError, TableDesign, decode_sqs_record
from outbox_sdk.core.envelope import EnvelopeKind
from outbox_sdk.core.errors import ConfigurationError, InvalidMessageError
from outbox_sdk.core.identifiers import ItemKey, TableName
from outbox_sdk.core.mark import Mark
from outbox_sdk.core.operator_rights import OPERATOR_RIGHTS
from outbox_sdk.core.outcome import BatchReport
from outbox_sdk.core.redrive import redrive_request
from outbox_sdk.core.replay import replay_request
from outbox_sdk.core.retry import RetryPolicy
from outbox_sdk.core.seen_item import decode_seen
from outbox_sdk.core.text import format_instant
from outbox_sdk.shell.admin import AdminContext
from outbox_sdk.shell.aws.errors import AwsError
from outbox_sdk.shell.purge import purge
from outbox_sdk.shell.redrive import redrive
from outbox_sdk.shell.replay import replay
from outbox_sdk.shell.table_calls import RetryingCalls
from outbox_sdk.shell.task import Conduct
from outbox_sdk.testing import InMemoryCalls, InMemoryStack

FOREIGN = {"PK": {"S": "ORDER#7"}, "SK": {"S": "ORDER#7"}, "Total": {"N": "12"}}


class Calls(InMemoryCalls):
    """Answers, and lets a test step in before each call."""

    before: Callable[[str, Any], None] = staticmethod(lambda operation, arguments: None)

    async def call(self, operation: str, arguments: Any) -> Any:
        self.before(operation, arguments)
        return await super().call(operation, arguments)


class Desk:
    """An outbox in memory, with a clock that a test sets, and whoever looks after it."""

    def __init__(self, design: TableDesign = TableDesign.ordered, **options: Any) -> None:
        self.stack = InMemoryStack(design=design, topics=["orders.fifo", "orders"], **options)
        self.outbox = Outbox("outbox", design=design)
        self.calls = Calls(self.stack.table)
        self.now = datetime.now(UTC)
        self.context = AdminContext(
            calls=RetryingCalls(self.calls, policy=RetryPolicy(attempts=2, base=0.0)),
            table_name=self.stack.admin().context.table_name,
            design=design,
            now=lambda: self.now,
        )

    def write(self, name: str, aggregate: str = "o-1", *, topic: str = "orders.fifo", **more: Any) -> None:
        """Commit a message."""
        entry: Any = self.outbox.put("{}", aggregate_id=aggregate, topic="orders", message_id=name, **more)
        entry["Put"]["Item"]["Topic"] = {"S": topic}
        self.stack.write(entry)

    def key(self, name: str) -> ItemKey:
        """Find a message's key."""
        items = self.stack.table.items
        (key,) = [key for key, item in items.items() if item.get("MessageId") == {"S": name}]
        return key

    def item(self, name: str) -> Any:
        """Read a message's item."""
        return self.stack.table.items[self.key(name)]

    def change(self, name: str, **attributes: Any) -> None:
        """Change a message's item; ``None`` takes an attribute away."""
        changed = {**self.item(name), **attributes}
        kept = {attribute: value for attribute, value in changed.items() if value is not None}
        self.stack.table.write(self.key(name), kept)

    def park(self, name: str, reason: str = "size:7") -> None:
        """Set a message aside."""
        at = {"S": "2026-11-23T09:00:00.000000Z"}
        self.change(name, NotDispatched={"S": "parked"}, ParkedAt=at, ParkReason={"S": reason})

    async def relay(self) -> BatchReport:
        """Relay what has come."""
        return await self.stack.relay()

    @property
    def sent(self) -> list[str]:
        """The ids that subscribers have got, in order."""
        return [message.attributes["MessageId"] for message in self.stack.published]


@pytest.fixture(params=[TableDesign.ordered, TableDesign.message_keyed], ids=["ordered", "message_keyed"])
def desk(request: pytest.FixtureRequest) -> Desk:
    made = Desk(request.param)
    if request.param.sort_key is not None:
        made.stack.table.put(FOREIGN)
    return made


# Redrive


async def test_what_is_parked_is_sent_again_and_nothing_else(desk: Desk) -> None:
    for name in ("m-1", "m-2", "m-3"):
        desk.write(name)
    desk.park("m-2")
    await desk.relay()
    assert desk.sent == ["m-1", "m-3"]
    before = {name: desk.item(name) for name in ("m-1", "m-3")}
    created = desk.item("m-2")["CreatedAt"]
    desk.change("m-2", ExpiresAt={"N": "1800000000"})

    report = await redrive(desk.context, Selection(), Conduct())
    assert (report.meant, report.done, report.succeeded) == (1, 1, True)
    assert {name: desk.item(name) for name in before} == before
    item = desk.item("m-2")
    assert (item["RedriveCount"], item["CreatedAt"]) == ({"N": "1"}, created)
    assert not {"ParkedAt", "ParkReason", "ExpiresAt"} & set(item)
    await desk.relay()
    assert desk.sent == ["m-1", "m-3", "m-2"]
    assert (await redrive(desk.context, Selection(), Conduct())).meant == 0


async def test_a_dry_run_counts_and_writes_nothing(desk: Desk) -> None:
    desk.write("m-1", topic="orders")
    desk.park("m-1", "held:NotFound")
    before = dict(desk.stack.table.items)

    report = await redrive(desk.context, Selection(), Conduct(dry_run=True))
    assert (report.meant, report.done, report.dry_run) == (1, 0, True)
    assert (report.by_topic, report.by_reason) == ({"orders": 1}, {"held:NotFound": 1})
    assert desk.stack.table.items == before


async def test_a_selection_is_kept_to(desk: Desk) -> None:
    for number, reason in enumerate(["size:1", "held:NotFound", "held:KMSDisabled", "topic-name"]):
        desk.write(f"m-{number}")
        desk.park(f"m-{number}", reason)

    report = await redrive(desk.context, Selection(reasons=("held:",)), Conduct())
    assert report.done == 2
    report = await redrive(desk.context, Selection(message_ids=("m-0", "m-1", "nobody")), Conduct())
    assert (report.done, report.not_found) == (1, ("m-1", "nobody"))
    assert not report.succeeded
    assert desk.item("m-3")["NotDispatched"] == {"S": "parked"}


async def test_an_aggregate_is_redriven_in_its_order() -> None:
    desk = Desk()
    begin = datetime(2026, 11, 23, 9, tzinfo=UTC)
    for number in (3, 1, 4, 2, 0):
        desk.write(f"m-{number}")
        desk.change(f"m-{number}", CreatedAt={"S": (begin + timedelta(seconds=number)).isoformat()})
        desk.park(f"m-{number}")
    desk.write("other", "o-2")
    desk.park("other")

    await redrive(desk.context, Selection(), Conduct())
    await desk.relay()
    assert [name for name in desk.sent if name != "other"] == [f"m-{number}" for number in range(5)]


async def test_numbers_go_before_times() -> None:
    desk = Desk()
    for number in (2, 0, 1):  # written in this order
        desk.write(f"m-{number}", sequence=number)
        desk.park(f"m-{number}")

    await redrive(desk.context, Selection(limit=2), Conduct())
    await desk.relay()
    assert desk.sent == ["m-0", "m-1"]


async def test_two_who_redrive_at_once_send_each_message_once(desk: Desk) -> None:
    for number in range(20):
        desk.write(f"m-{number}", f"o-{number % 3}")
        desk.park(f"m-{number}")

    reports = await asyncio.gather(*(redrive(desk.context, Selection(), Conduct()) for _ in range(2)))
    assert sum(report.done for report in reports) == 20
    assert all(report.succeeded for report in reports), "what somebody else has done is done"
    assert {item["RedriveCount"]["N"] for item in _messages(desk)} == {"1"}
    await desk.relay()
    assert sorted(desk.sent) == sorted(f"m-{number}" for number in range(20))


@pytest.mark.parametrize(
    "meanwhile",
    [
        {"NotDispatched": {"S": "03"}, "RedriveCount": {"N": "1"}},  # somebody has redriven it
        {"NotDispatched": None, "IsDispatched": {"BOOL": True}},  # and it was dispatched
        {"NotDispatched": {"S": "parked"}, "RedriveCount": {"N": "1"}},  # and it was parked again
    ],
)
async def test_what_has_changed_since_it_was_read_is_left_alone(
    desk: Desk, meanwhile: dict[str, Any]
) -> None:
    desk.write("m-1")
    desk.park("m-1")

    def change(operation: str, _: Any) -> None:
        if operation == "UpdateItem":
            desk.change("m-1", **meanwhile)

    desk.calls.before = change
    report = await redrive(desk.context, Selection(), Conduct())
    assert (report.done, report.changed, report.succeeded) == (0, 1, True)
    for attribute, value in meanwhile.items():
        assert desk.item("m-1").get(attribute) == value


async def test_what_was_sent_again_and_parked_again_in_between_is_left_alone(desk: Desk) -> None:
    """It looks as it did, but for the count."""
    desk.write("m-1")
    desk.park("m-1")
    desk.change("m-1", RedriveCount={"N": "1"})

    def change(operation: str, _: Any) -> None:
        if operation == "UpdateItem":
            desk.change("m-1", RedriveCount={"N": "2"})

    desk.calls.before = change
    assert (await redrive(desk.context, Selection(), Conduct())).changed == 1
    assert desk.item("m-1")["NotDispatched"] == {"S": "parked"}


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"MessageId": {"S": "m"}},
        {"MessageId": {"S": "m"}, "IsDispatched": {"BOOL": True}},
        {"MessageId": {"S": "m"}, "LastDispatchedAt": {"S": "2026-11-23T09:00:00Z"}},
        {"IsDispatched": {"BOOL": True}, "LastDispatchedAt": {"S": "2026-11-23T09:00:00Z"}},
        {
            "MessageId": {"S": "m"},
            "IsDispatched": {"S": "yes"},
            "LastDispatchedAt": {"S": "2026-11-23T09:00:00Z"},
        },
    ],
    ids=lambda attributes: "-".join(attributes) or "none",
)
def test_what_has_not_all_that_a_mark_leaves_is_no_message_to_delete(attributes: dict[str, Any]) -> None:
    """Tables may hold other items, with names of their own."""
    assert decode_seen({**FOREIGN, **attributes}, TableDesign.ordered) is None


def test_every_attribute_that_travels_is_counted() -> None:
    entry: Any = Outbox("outbox").put(
        "{}",
        aggregate_id="o",
        topic="t",
        correlation_id="c",
        sequence=1,
        hops=2,
        headers={"a": "1", "b": "2"},
    )
    more = {"MessageType": {"S": "x"}, "SchemaVersion": {"N": "1"}, "ContentType": {"S": "text/plain"}}
    item = {**entry["Put"]["Item"], **more}
    seen = decode_seen(item, TableDesign.ordered)
    assert seen is not None
    assert seen.attribute_count == 10


async def test_what_is_gone_is_not_made_anew(desk: Desk) -> None:
    desk.write("m-1")
    desk.park("m-1")
    key = desk.key("m-1")

    def expire(operation: str, _: Any) -> None:
        if operation == "UpdateItem":
            desk.stack.table.write(key, None)

    desk.calls.before = expire
    assert (await redrive(desk.context, Selection(), Conduct())).changed == 1
    assert key not in desk.stack.table.items


async def test_an_aggregate_waits_behind_a_write_that_failed() -> None:
    desk = Desk()
    for number in range(3):
        desk.write(f"m-{number}", sequence=number)
        desk.park(f"m-{number}")
    desk.write("other", "o-2")
    desk.park("other")
    fails = desk.key("m-1").to_item()

    def throttle(operation: str, arguments: Any) -> None:
        if operation == "UpdateItem" and arguments["Key"] == fails:
            raise AwsError("ThrottlingException", 400)

    desk.calls.before = throttle
    report = await redrive(desk.context, Selection(), Conduct())
    assert (report.done, report.failed, report.behind) == (2, {"ThrottlingException": 1}, 1)
    assert not report.succeeded
    assert report.troubles[0].key == desk.key("m-1").describe()
    desk.calls.before = lambda operation, arguments: None
    assert (await redrive(desk.context, Selection(), Conduct())).done == 2


async def test_without_the_right_it_ends_at_once() -> None:
    desk = Desk()
    for number in range(200):
        desk.write(f"m-{number}", f"o-{number}")
        desk.park(f"m-{number}")

    def deny(operation: str, _: Any) -> None:
        if operation == "UpdateItem":
            raise AwsError("AccessDeniedException", 400)

    desk.calls.before = deny
    with pytest.raises(TableCallError, match="dynamodb:UpdateItem"):
        await redrive(desk.context, Selection(), Conduct())
    assert desk.calls.made.count("UpdateItem") == 0


async def test_it_stops_when_it_is_told_to_and_the_rest_is_done_by_the_same_again(desk: Desk) -> None:
    for number in range(300):
        desk.write(f"m-{number}", f"o-{number % 100}")
        desk.park(f"m-{number}")
    stop = asyncio.Event()

    def on_progress(report: Any) -> None:
        if report.done >= 100:
            stop.set()

    first = await redrive(desk.context, Selection(), Conduct(stop=stop, on_progress=on_progress))
    assert first.interrupted
    assert not first.succeeded
    assert 100 <= first.done < 300
    second = await redrive(desk.context, Selection(), Conduct())
    assert first.done + second.done == 300
    await desk.relay()
    assert sorted(desk.sent) == sorted(f"m-{number}" for number in range(300))


async def test_a_rate_is_kept_to() -> None:
    desk = Desk()
    for number in range(5):
        desk.write(f"m-{number}", f"o-{number}")
        desk.park(f"m-{number}")
    slept: list[float] = []
    clock = asyncio.get_running_loop().time

    async def sleep(seconds: float) -> None:
        slept.append(clock())
        await asyncio.sleep(seconds)

    began = clock()
    context = AdminContext(
        calls=desk.context.calls, table_name=desk.context.table_name, design=desk.context.design, sleep=sleep
    )
    await redrive(context, Selection(), Conduct(rate=100))
    assert clock() - began >= 0.04
    assert len(slept) >= 4
    with pytest.raises(ConfigurationError, match="rate"):
        Conduct(rate=0)


async def test_an_item_without_a_time_gets_one_so_that_an_index_has_it(desk: Desk) -> None:
    desk.write("m-1")
    desk.park("m-1")
    seen = decode_seen({**desk.item("m-1"), "CreatedAt": {"NULL": True}}, desk.context.design)
    assert seen is not None
    desk.change("m-1", CreatedAt=None)
    # No index shows it: whoever knows its key has read it.
    now = "2026-11-28T04:00:00.000000Z"
    request = redrive_request(seen, desk.context.design, "outbox", buckets=16, now=now)
    await desk.calls.call("UpdateItem", request)
    assert desk.item("m-1")["CreatedAt"] == {"S": now}


# Replay


async def test_what_was_dispatched_is_sent_once_more_with_its_id_and_a_mark(desk: Desk) -> None:
    desk.write("m-1")
    desk.write("m-2", headers={"tenant": "7"})
    desk.write("m-3")
    desk.park("m-3")
    await desk.relay()
    desk.change("m-1", ExpiresAt={"N": "1800000000"})
    desk.now += timedelta(seconds=5)

    report = await replay(desk.context, Selection(), Conduct())
    assert (report.meant, report.done) == (2, 2)
    assert "ExpiresAt" not in desk.item("m-1"), "it would be lost by it"
    assert desk.item("m-3")["NotDispatched"] == {"S": "parked"}
    await desk.relay()
    again = desk.stack.published[2:]
    assert sorted(message.attributes["MessageId"] for message in again) == ["m-1", "m-2"]
    assert {message.attributes["replayed"] for message in again} == {report.began_at}
    assert [message.attributes.get("tenant") for message in again if "tenant" in message.attributes] == ["7"]
    assert "replayed" not in desk.stack.published[0].attributes


async def test_a_replay_has_a_deduplication_id_of_its_own() -> None:
    """The double drops, as SNS does for five minutes, what has been there under the same one."""
    desk = Desk()
    desk.write("m-1")
    await desk.relay()
    for _ in range(3):
        desk.now = datetime.now(UTC) + timedelta(seconds=1)
        await replay(desk.context, Selection(), Conduct())
        await desk.relay()

    assert desk.sent == ["m-1"] * 4


async def test_a_replay_keeps_the_order_of_an_aggregate() -> None:
    """Which is not that of its keys."""
    desk = Desk()
    for number in range(6):
        desk.write(f"m-{5 - number}", f"o-{number % 2}", sequence=number)
    await desk.relay()
    desk.now += timedelta(seconds=5)
    await replay(desk.context, Selection(), Conduct())
    await desk.relay()

    for aggregate in (0, 1):
        mine = [name for name in desk.sent[6:] if int(name[2:]) % 2 != aggregate]
        assert mine == [f"m-{5 - number}" for number in range(aggregate, 6, 2)]


async def test_a_limit_cuts_the_end_of_an_aggregate() -> None:
    desk = Desk()
    for number in range(5):
        desk.write(f"m-{5 - number}", sequence=number)
    await desk.relay()
    desk.now += timedelta(seconds=5)
    report = await replay(desk.context, Selection(limit=3), Conduct())
    await desk.relay()

    assert report.meant == 3
    assert desk.sent[5:] == ["m-5", "m-4", "m-3"]


async def test_what_is_meant_is_told_by_time_topic_type_and_aggregate(desk: Desk) -> None:
    begin = datetime(2026, 11, 23, 9, tzinfo=UTC)
    for number in range(4):
        topic = "orders" if number % 2 else "orders.fifo"
        desk.write(f"m-{number}", f"o-{number}", topic=topic)
    await desk.relay()
    for number in range(4):
        at = {"S": format_instant(begin + timedelta(hours=number))}
        desk.change(f"m-{number}", LastDispatchedAt=at, MessageType={"S": f"type.{number // 2}"})

    async def meant(**what: Any) -> int:
        return (await replay(desk.context, Selection(**what), Conduct(dry_run=True))).meant

    assert await meant() == 4
    assert await meant(since=begin + timedelta(hours=1), until=begin + timedelta(hours=3)) == 2
    assert await meant(topics=("orders",)) == 2
    assert await meant(message_types=("type.0",), topics=("orders",)) == 1
    assert await meant(aggregate_ids=("o-1", "o-3", "nobody")) == 2
    assert await meant(message_ids=("m-2",)) == 1
    assert await meant(limit=3) == 3
    with pytest.raises(ConfigurationError, match="reasons"):
        await meant(reasons=("size",))


async def test_one_aggregate_is_queried_and_not_scanned() -> None:
    desk = Desk()
    desk.write("m-1")
    await desk.relay()
    desk.now += timedelta(seconds=5)
    await replay(desk.context, Selection(aggregate_ids=("o-1",)), Conduct())

    assert desk.calls.made == ["Query", "UpdateItem"]


async def test_an_interrupted_replay_is_taken_up_again_and_sends_nothing_twice(desk: Desk) -> None:
    for number in range(300):
        desk.write(f"m-{number}", f"o-{number % 100}")
    await desk.relay()
    desk.now = datetime.now(UTC) + timedelta(seconds=1)
    stop = asyncio.Event()

    def on_progress(report: Any) -> None:
        if report.done >= 120:
            stop.set()

    first = await replay(desk.context, Selection(), Conduct(stop=stop, on_progress=on_progress))
    assert first.interrupted
    assert 120 <= first.done < 300
    await desk.relay()  # part of it is dispatched again before the rest is taken up
    desk.now += timedelta(minutes=5)
    resume = datetime.fromisoformat(first.began_at)
    second = await replay(desk.context, Selection(), Conduct(), resume=resume)
    assert first.done + second.done == 300
    await desk.relay()
    assert sorted(desk.sent[300:]) == sorted(f"m-{number}" for number in range(300))
    third = await replay(desk.context, Selection(), Conduct(), resume=resume)
    assert third.meant == 0


async def test_what_is_dispatched_after_the_beginning_is_not_replayed() -> None:
    desk = Desk()
    desk.now = datetime.now(UTC) - timedelta(hours=1)
    desk.write("m-1")
    await desk.relay()

    assert (await replay(desk.context, Selection(), Conduct())).meant == 0


async def test_a_message_without_room_for_the_attribute_is_refused_and_no_other(desk: Desk) -> None:
    desk.write("full", headers={f"h{number}": "1" for number in range(8)})
    desk.write("nearly", headers={f"h{number}": "1" for number in range(7)})
    await desk.relay()
    desk.now += timedelta(seconds=5)

    report = await replay(desk.context, Selection(), Conduct())
    assert (report.done, report.refused, report.succeeded) == (1, {"attributes:10": 1}, False)
    assert report.troubles[0].key == desk.key("full").describe()
    assert "NotDispatched" not in desk.item("full")
    await desk.relay()
    assert desk.sent[2:] == ["nearly"]
    # What has the attribute already has no need of room.
    desk.now += timedelta(minutes=1)
    assert (await replay(desk.context, Selection(message_ids=("nearly",)), Conduct())).done == 1


@pytest.mark.parametrize(
    "headers", [None, {"M": {}}, {"M": {"tenant": {"S": "7"}}}, {"NULL": True}], ids=repr
)
async def test_headers_of_any_form_get_the_mark(headers: Any) -> None:
    desk = Desk()
    desk.write("m-1")
    await desk.relay()
    desk.change("m-1", Headers=headers)
    desk.now += timedelta(seconds=5)
    report = await replay(desk.context, Selection(), Conduct())

    assert report.done == 1
    named = desk.item("m-1")["Headers"]["M"]
    assert named["replayed"] == {"S": report.began_at}
    assert set(named) - {"replayed"} == set((headers or {}).get("M", {}))


async def test_a_replay_does_not_overtake_a_mark_on_its_way() -> None:
    """A mark of the first dispatch that comes late leaves the replayed item outstanding."""
    desk = Desk()
    desk.write("m-1")
    await desk.relay()
    desk.now += timedelta(seconds=5)
    await replay(desk.context, Selection(), Conduct())
    item = desk.item("m-1")
    late = Mark(key=desk.key("m-1"), marker=item["NotDispatched"], dispatched_at="-", dispatch_count=1)
    await desk.stack.table.mark([late])

    assert "NotDispatched" in desk.item("m-1")


@pytest.mark.parametrize("kind", ["raw", "cloudevents", "tomodachi"])
async def test_consumers_see_a_replay_in_every_envelope(kind: EnvelopeKind) -> None:
    desk = Desk(envelope=kind)
    desk.write("m-1", headers={"tenant": "7"})
    await desk.relay()
    desk.now += timedelta(seconds=5)
    report = await replay(desk.context, Selection(), Conduct())
    await desk.relay()

    deliveries = []
    for message in desk.stack.published:
        attributes = {name: {"stringValue": text} for name, text in message.attributes.items()}
        record = {"messageId": "t-1", "body": message.body, "messageAttributes": attributes}
        deliveries.append(decode_sqs_record(record, kind))
    assert [delivery.replayed_at for delivery in deliveries] == [None, report.began_at]
    assert [delivery.headers for delivery in deliveries] == [{"tenant": "7"}] * 2
    assert {delivery.message_id for delivery in deliveries} == {"m-1"}


async def test_a_cloudevent_says_so_without_attributes() -> None:
    desk = Desk(envelope="cloudevents")
    desk.write("m-1")
    await desk.relay()
    desk.now += timedelta(seconds=5)
    report = await replay(desk.context, Selection(), Conduct())
    await desk.relay()

    event = msgspec.json.decode(desk.stack.published[-1].body)
    assert event["replayed"] == report.began_at


def test_producers_cannot_say_so() -> None:
    with pytest.raises(InvalidMessageError, match="replayed"):
        Outbox("outbox").put("{}", aggregate_id="o-1", topic="orders", headers={"replayed": "now"})


def test_the_condition_of_a_replay_names_the_dispatch_that_was_seen() -> None:
    design = TableDesign.ordered
    item: Any = {
        "PK": {"S": "AGGREGATE#o"},
        "SK": {"S": "MESSAGE#m"},
        "MessageId": {"S": "m"},
        "IsDispatched": {"BOOL": True},
        "LastDispatchedAt": {"S": "2026-11-23T09:00:00.000000Z"},
    }
    seen = decode_seen(item, design)
    assert seen is not None
    request = replay_request(seen, design, "outbox", buckets=16, began_at="b", now="n")
    assert request["ExpressionAttributeValues"][":dispatched"] == item["LastDispatchedAt"]
    assert "attribute_not_exists(#marker) AND #dispatched = :dispatched" in request["ConditionExpression"]


# Purge


async def test_dispatched_messages_are_deleted_and_nothing_else(desk: Desk) -> None:
    for name in ("m-1", "m-2", "m-3"):
        desk.write(name)
    desk.park("m-2")
    desk.change("m-3", Topic={"S": "missing"})
    await desk.relay()
    others = len(desk.stack.table.items) - 1
    assert (await purge(desk.context, Selection(), Conduct())).meant == 0, "dispatched after it began"

    desk.now += timedelta(seconds=5)
    report = await purge(desk.context, Selection(), Conduct())
    assert (report.meant, report.done, report.succeeded) == (1, 1, True)
    assert len(desk.stack.table.items) == others
    assert {item["MessageId"]["S"] for item in _messages(desk)} == {"m-2", "m-3"}


async def test_parked_ones_are_deleted_when_told_to(desk: Desk) -> None:
    desk.write("m-1")
    desk.write("m-2")
    desk.park("m-2", "age")

    report = await purge(desk.context, Selection(reasons=("age",)), Conduct(), state="parked")
    assert report.done == 1
    assert {item["MessageId"]["S"] for item in _messages(desk)} == {"m-1"}


async def test_outstanding_ones_are_refused_unless_forced(desk: Desk) -> None:
    desk.write("m-1")
    with pytest.raises(ConfigurationError, match="published by nobody"):
        await purge(desk.context, Selection(), Conduct(), state="outstanding")
    assert not desk.calls.made

    assert (await purge(desk.context, Selection(), Conduct(), state="outstanding", force=True)).done == 1
    assert _messages(desk) == []


async def test_what_was_replayed_in_between_is_not_deleted(desk: Desk) -> None:
    desk.write("m-1")
    await desk.relay()
    desk.now += timedelta(seconds=5)

    def send_again(operation: str, _: Any) -> None:
        if operation == "DeleteItem":
            desk.change("m-1", NotDispatched={"S": "03"}, RedriveCount={"N": "1"})

    desk.calls.before = send_again
    report = await purge(desk.context, Selection(), Conduct())
    assert (report.done, report.changed) == (0, 1)
    await desk.relay()
    assert desk.sent == ["m-1", "m-1"]


async def test_a_purge_is_bounded_by_age_and_number(desk: Desk) -> None:
    begin = datetime(2026, 11, 23, 9, tzinfo=UTC)
    for number in range(6):
        desk.write(f"m-{number}")
    await desk.relay()
    for number in range(6):
        at = {"S": format_instant(begin + timedelta(days=number))}
        desk.change(f"m-{number}", LastDispatchedAt=at)

    selection = Selection(until=begin + timedelta(days=4), limit=3)
    assert (await purge(desk.context, selection, Conduct(dry_run=True))).meant == 3
    assert (await purge(desk.context, selection, Conduct())).done == 3
    assert (await purge(desk.context, Selection(until=begin + timedelta(days=4)), Conduct())).done == 1
    assert {item["MessageId"]["S"] for item in _messages(desk)} == {"m-4", "m-5"}
    with pytest.raises(ConfigurationError, match="reasons"):
        await purge(desk.context, Selection(reasons=("age",)), Conduct())


def _messages(desk: Desk) -> list[Any]:
    return [item for item in desk.stack.table.items.values() if "MessageId" in item]


async def test_what_was_parked_in_between_is_not_deleted_as_outstanding(desk: Desk) -> None:
    desk.write("m-1")

    def park(operation: str, _: Any) -> None:
        if operation == "DeleteItem":
            desk.park("m-1")

    desk.calls.before = park
    report = await purge(desk.context, Selection(), Conduct(), state="outstanding", force=True)
    assert (report.done, report.changed) == (0, 1)
    assert desk.item("m-1")["NotDispatched"] == {"S": "parked"}


async def test_a_table_that_cannot_be_read_to_its_end_is_an_error_and_no_success(desk: Desk) -> None:
    for number in range(30):
        desk.write(f"m-{number}", f"o-{number}")
    await desk.relay()
    desk.now += timedelta(seconds=5)

    def deny(operation: str, arguments: Any) -> None:
        if operation == "Scan" and arguments["Segment"] == 3:
            raise AwsError("AccessDeniedException", 400)

    desk.calls.before = deny
    for task in (replay, purge):
        with pytest.raises(TableCallError, match="dynamodb:Scan"):
            await task(desk.context, Selection(), Conduct(dry_run=True))


async def test_it_stops_within_an_aggregate_too() -> None:
    desk = Desk()
    for number in range(50):
        desk.write(f"m-{number}", sequence=number)
        desk.park(f"m-{number}")
    stop = asyncio.Event()

    def on_progress(report: Any) -> None:
        if report.done == 20:
            stop.set()

    first = await redrive(desk.context, Selection(), Conduct(stop=stop, on_progress=on_progress))
    assert (first.done, first.interrupted) == (20, True)
    await redrive(desk.context, Selection(), Conduct())
    await desk.relay()
    assert desk.sent == [f"m-{number}" for number in range(50)]


async def test_nothing_goes_on_reading_when_it_has_been_stopped() -> None:
    desk = Desk()
    for number in range(600):
        desk.write(f"m-{number}", f"o-{number}")
    await desk.relay()
    desk.now = datetime.now(UTC) + timedelta(seconds=1)
    stop = asyncio.Event()

    def on_progress(report: Any) -> None:
        if report.done >= 10:
            stop.set()

    before = asyncio.all_tasks()
    await replay(desk.context, Selection(), Conduct(stop=stop, on_progress=on_progress))
    assert asyncio.all_tasks() == before


class LongHistory:
    """Answers scans with pages of dispatched messages, each with a long id, made as they are asked for."""

    pages = 10
    page_size = 25

    def __init__(self) -> None:
        self.given = 0

    async def call(self, operation: str, arguments: Any) -> Any:
        assert operation == "Scan"
        page = int(arguments.get("ExclusiveStartKey", {"page": 0})["page"])
        self.given += self.page_size
        items = [self.item(f"{arguments['Segment']}-{page}-{number}") for number in range(self.page_size)]
        more = {"LastEvaluatedKey": {"page": page + 1}} if page + 1 < self.pages else {}
        return {"Items": items, "ScannedCount": len(items), **more}

    @staticmethod
    def item(name: str) -> dict[str, Any]:
        message_id = f"{name}-{'x' * 20_000}"
        return {
            "PK": {"S": f"MESSAGE#{name}"},
            "MessageId": {"S": message_id},
            "IsDispatched": {"BOOL": True},
            "LastDispatchedAt": {"S": "2026-11-23T09:00:00.000000Z"},
        }


@pytest.mark.parametrize("carry_out", [purge, replay], ids=["purge", "replay"])
async def test_what_was_read_is_not_kept_until_the_end(carry_out: Callable[..., Any]) -> None:
    """A history is as long as a table; ids are kept of those only that were asked for by them."""
    history = LongHistory()
    context = AdminContext(
        calls=RetryingCalls(history), table_name=TableName("outbox"), design=TableDesign.message_keyed
    )
    selection = Selection(since=datetime(2026, 11, 23, tzinfo=UTC))
    tracemalloc.start()
    try:
        report = await carry_out(context, selection, Conduct(dry_run=True))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert report.meant == history.given == 8 * history.pages * history.page_size
    assert peak < history.given * 20_000 / 2, "less than half of what was read"


@pytest.mark.parametrize("selection", [Selection(), Selection(aggregate_ids=("o-1",))], ids=["all", "one"])
async def test_the_policy_of_an_operator_allows_all_that_is_called(selection: Selection) -> None:
    desk, made = Desk(), set[tuple[str, str]]()
    desk.calls.before = lambda operation, arguments: made.add(
        (operation, "index" if "IndexName" in arguments else "table")
    )
    needed: dict[str, set[tuple[str, str]]] = {}

    def note(command: str) -> None:
        needed.setdefault(command, set()).update(made)
        made.clear()

    for number in range(4):
        desk.write(f"m-{number}")
    desk.park("m-3")
    await desk.relay()
    desk.now += timedelta(seconds=5)
    await redrive(desk.context, selection, Conduct())
    note("redrive")
    await replay(desk.context, selection, Conduct())
    note("replay")
    await purge(desk.context, selection, Conduct(), state="outstanding", force=True)
    note("purge")
    for number in range(4):
        desk.write(f"m-{number}")
    await desk.relay()
    desk.now += timedelta(seconds=5)
    assert (await purge(desk.context, selection, Conduct())).done == 4
    note("purge")

    allowed = {
        command: {(right.operation, right.on) for right in OPERATOR_RIGHTS[command]} for command in needed
    }
    assert not [
        (command, calls - allowed[command]) for command, calls in needed.items() if calls - allowed[command]
    ]

"""The stacks that a user's tests get behave alike, in memory and on each server."""

from collections.abc import AsyncIterator
from typing import Any, TypedDict

import attrs
import pytest

from outbox_sdk import Catalog, Outbox, message
from outbox_sdk.pytest_plugin import OutboxStack
from outbox_sdk.pytest_plugin.endpoint import Endpoint, open_endpoint
from outbox_sdk.pytest_plugin.memory import open_memory_stack
from outbox_sdk.pytest_plugin.server import open_server_stack
from tests.support.plugin_events import CATALOG, OUTBOX, OrderCreated, OrderShipped

TOPICS = [CATALOG.type_of(each).topic for each in CATALOG]


@pytest.fixture(params=["memory", "embedded", pytest.param("moto", marks=pytest.mark.once)])
async def stack(request: pytest.FixtureRequest) -> AsyncIterator[OutboxStack]:
    if request.param == "memory":
        yield open_memory_stack(topics=TOPICS)
        return
    endpoint: Endpoint = request.getfixturevalue(f"{request.param}_endpoint")
    async with open_server_stack(endpoint, topics=TOPICS) as opened:
        yield opened


@pytest.fixture(scope="session")
def embedded_endpoint() -> object:
    with open_endpoint("embedded") as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def moto_endpoint() -> object:
    with open_endpoint("moto") as endpoint:
        yield endpoint


async def create(stack: OutboxStack, *orders: str, total: int = 5) -> None:
    for order in orders:
        async with OUTBOX.transaction(stack.dynamodb) as tx:
            tx.publish(OrderCreated(order, total), aggregate_id=order)


async def ship(stack: OutboxStack, *orders: str, aggregate: str = "truck") -> None:
    for order in orders:
        async with OUTBOX.transaction(stack.dynamodb) as tx:
            tx.publish(OrderShipped(order), aggregate_id=aggregate)


async def test_what_was_committed_is_published_and_nothing_is_left(stack: OutboxStack) -> None:
    await create(stack, "7", "8")
    await ship(stack, "7")

    report = await stack.drain()

    assert report.counts["dispatched"] == 3
    assert stack.assert_published(OrderCreated, order_id="8") == OrderCreated("8", 5)
    assert stack.published(OrderShipped) == [OrderShipped("7")]
    assert sorted(event.order_id for event in stack.published(OrderCreated)) == ["7", "8"]
    assert len(stack.published()) == 3
    stack.assert_nothing_outstanding()


async def test_the_order_of_an_aggregate_is_kept_on_a_fifo_topic(stack: OutboxStack) -> None:
    await ship(stack, *map(str, range(25)))

    with stack.faults(fail_entries=3, throttle=1, crash_after_publish=2):
        report = await stack.drain()

    assert report.kills == 2
    assert [event.order_id for event in stack.published(OrderShipped)] == list(map(str, range(25)))
    stack.assert_nothing_outstanding()


@pytest.mark.parametrize(
    ("faults", "kills", "copies"),
    [
        ({"crash_before_publish": True}, 1, 1),
        ({"crash_after_publish": True}, 1, 2),
        ({"lose_answers": 2}, 0, 3),
        ({"throttle": 3}, 0, 1),
        ({"fail_entries": 1}, 0, 1),
        ({"fail_marks": 9}, 0, 1),
        ({"deliver_twice": True}, 0, 2),
    ],
)
async def test_a_fault_happens_and_the_relay_recovers(
    stack: OutboxStack, faults: dict[str, int], kills: int, copies: int
) -> None:
    await create(stack, "7")

    with stack.faults(**faults):  # type: ignore[arg-type] # one of them at a time
        report = await stack.drain()

    assert report.kills == kills
    assert stack.published(OrderCreated) == [OrderCreated("7", 5)] * copies
    assert len({message.message_id for message in stack.published()}) == 1
    stack.assert_nothing_outstanding()


async def test_an_unavailable_topic_holds_what_goes_there_and_nothing_else(stack: OutboxStack) -> None:
    await create(stack, "7")
    await ship(stack, "7")

    with stack.faults(unavailable=["order--created"]):
        report = await stack.drain()
        assert list(report.waiting.values()) == ["order--created: not published (ServiceUnavailable)"]
        assert stack.published(OrderCreated) == []
        assert stack.published(OrderShipped) == [OrderShipped("7")]
        assert [each.message_type for each in stack.outstanding()] == ["order.created"]
    await stack.drain()

    assert stack.published(OrderCreated) == [OrderCreated("7", 5)]
    stack.assert_nothing_outstanding()


async def test_poison_is_parked_and_told(stack: OutboxStack) -> None:
    put: Any = OUTBOX.put(OrderCreated("7", 5), aggregate_id="7", message_id="m-7")
    put["Put"]["Item"]["Topic"] = {"S": "not a topic name"}
    await stack.dynamodb.transact_write_items(TransactItems=[put])
    await create(stack, "8")

    await stack.drain()

    assert [event.order_id for event in stack.published(OrderCreated)] == ["8"]
    assert [(each.message_id, each.message_type) for each in stack.outstanding()] == [
        ("m-7", "order.created")
    ]
    with pytest.raises(AssertionError, match=r"order.created m-7: parked, "):
        stack.assert_nothing_outstanding()


async def test_a_topic_that_does_not_exist_is_told_with_what_makes_one(stack: OutboxStack) -> None:
    async with OUTBOX.transaction(stack.dynamodb) as tx:
        tx.publish(OrderCreated("7", 5), aggregate_id="7", topic="elsewhere")

    with pytest.raises(AssertionError, match=r"elsewhere: not published \(NotFound.*\)\n.*outbox_topics"):
        await stack.drain()


async def test_a_table_of_the_services_own_is_made(stack: OutboxStack) -> None:
    await stack.create_table("orders", "PK", "SK")
    key = {"PK": {"S": "7"}, "SK": {"S": "-"}}
    async with OUTBOX.transaction(stack.dynamodb) as tx:
        tx.put(TableName="orders", Item={**key, "Total": {"N": "5"}})
        tx.publish(OrderCreated("7", 5), aggregate_id="7")

    assert (await stack.dynamodb.get_item(TableName="orders", Key=key))["Item"]["Total"] == {"N": "5"}


async def test_a_second_drain_finds_nothing_new(stack: OutboxStack) -> None:
    await create(stack, "7")
    await stack.drain()

    assert (await stack.drain()).counts.get("dispatched") is None
    assert len(stack.published()) == 1


async def test_an_assertion_tells_of_what_was_published_what_was_asked(
    stack: OutboxStack,
) -> None:
    await create(stack, "7", total=4_711)
    await ship(stack, "8")
    await stack.drain()

    with pytest.raises(AssertionError) as wrong:
        stack.assert_published(OrderCreated, order_id="9")
    assert str(wrong.value).startswith("no order.created with order_id='9' was published:\n  ")
    assert str(wrong.value).endswith(": order_id='7'")
    with pytest.raises(AssertionError, match=r"total=1 was published:\n.*: total=4711$"):
        stack.assert_published(OrderCreated, total=1)
    with pytest.raises(AssertionError, match=r"no colour$"):
        stack.assert_published(OrderCreated, colour="red")
    with pytest.raises(AssertionError, match=r"published were 1 × order.created, 1 × order.shipped"):
        stack.assert_nothing_published()


async def test_nothing_is_said_of_what_was_not_relayed(stack: OutboxStack) -> None:
    await create(stack, "7")

    for ask in (
        stack.assert_nothing_outstanding,
        stack.assert_nothing_published,
        stack.outstanding,
        lambda: stack.assert_published(OrderCreated),
        lambda: stack.published(OrderCreated),
        stack.published,
    ):
        with pytest.raises(AssertionError, match=r"await outbox_stack.drain\(\) first"):
            ask()


async def test_a_fault_that_did_not_happen_fails_the_test(stack: OutboxStack) -> None:
    unplayed = r"throttle \(2 of 2 left\); was there something to drain"
    with pytest.raises(AssertionError, match=unplayed), stack.faults(throttle=2):
        await stack.drain()
    first, second = stack.faults(deliver_twice=True), stack.faults(throttle=1)
    with pytest.raises(AssertionError, match="planted already"), first, second:
        pass


def test_faults_are_counted_from_nought_on() -> None:
    with pytest.raises(ValueError, match="throttle: -1"), open_memory_stack().faults(throttle=-1):
        pass


@attrs.define
class Announced:
    order_id: str


@message("order.refunded", topic="refunds")
@attrs.define
class OrderRefunded(Announced):
    amount: int


@message("order.returned", topic="returns")
class OrderReturned(TypedDict):
    order_id: str


async def test_events_of_any_kind_are_asked_for_by_their_fields() -> None:
    stack = open_memory_stack(envelope="cloudevents")
    outbox = Outbox("outbox", catalog=Catalog(OrderRefunded, OrderReturned))
    async with outbox.transaction(stack.dynamodb) as tx:
        tx.publish(OrderRefunded("7", 5), aggregate_id="7")
        tx.publish({"order_id": "8"}, of=OrderReturned, aggregate_id="8")
    await stack.drain()

    assert stack.assert_published(OrderRefunded, order_id="7", amount=5) == OrderRefunded("7", 5)
    assert stack.assert_published(OrderReturned, order_id="8") == {"order_id": "8"}
    with pytest.raises(AssertionError, match=r"no order.returned with order_id='7' was published"):
        stack.assert_published(OrderReturned, order_id="7")

"""A fault does what it says, or the test that has planted it fails."""

from typing import Any, cast

import pytest

from outbox_sdk.core.lookup import Unreadable
from outbox_sdk.core.mark import Unwritten
from outbox_sdk.pytest_plugin import OutboxStack
from outbox_sdk.pytest_plugin.endpoint import open_endpoint
from outbox_sdk.pytest_plugin.faults import FaultPlay, Faults
from outbox_sdk.pytest_plugin.memory import open_memory_stack
from outbox_sdk.pytest_plugin.pump import Pump
from outbox_sdk.testing import InMemoryStack, InMemoryTopics
from tests.support.plugin_events import OUTBOX, OrderCreated, OrderShipped


async def create(stack: OutboxStack, *orders: str, topic: str = "order--created") -> None:
    for order in orders:
        async with OUTBOX.transaction(stack.dynamodb) as tx:
            tx.publish(OrderCreated(order, 5), aggregate_id=order, topic=topic)


async def test_a_name_in_the_place_of_a_list_is_refused() -> None:
    """As a list it would be one of letters, and no topic would be unavailable."""
    with (
        pytest.raises(ValueError, match=r"unavailable: .* \['order--created'\]"),
        open_memory_stack().faults(unavailable="order--created"),
    ):
        pass


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        ({"unavailable": ["order--created", "order-created"]}, "unavailable (order-created)"),
        ({"crash_after_publish": 1, "unavailable": ["order--created"]}, "crash_after_publish (1 of 1 left)"),
        ({"lose_answers": 1, "unavailable": ["order--created"]}, "lose_answers (1 of 1 left)"),
        ({"deliver_twice": True, "unavailable": ["order--created"]}, "deliver_twice"),
    ],
)
async def test_what_has_not_happened_is_told(faults: dict[str, Any], told: str) -> None:
    stack = open_memory_stack()
    await create(stack, "7")

    with pytest.raises(AssertionError) as unplayed, stack.faults(**faults):
        await stack.drain()

    assert str(unplayed.value).startswith(f"faults that never happened: {told}; ")


async def test_a_relay_dies_after_an_acceptance_and_not_after_a_refusal() -> None:
    stack = open_memory_stack()
    await create(stack, "7")

    with stack.faults(fail_entries=1, crash_after_publish=1):
        report = await stack.drain()

    assert report.kills == 1
    assert len(stack.published()) == 2


@pytest.mark.parametrize("fault", ["throttle", "lose_answers", "fail_entries", "fail_marks"])
async def test_a_fault_may_last_longer_than_a_relay_tries(fault: str) -> None:
    stack = open_memory_stack()
    await create(stack, "7")

    with stack.faults(**{fault: 60}):  # type: ignore[arg-type] # one of them at a time
        await stack.drain()

    stack.assert_nothing_outstanding()


async def test_beside_a_kill_another_error_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    publish, errors = InMemoryTopics.publish, [ZeroDivisionError]

    async def broken_once(self: InMemoryTopics, request: Any) -> Any:
        if errors:
            raise errors.pop()
        return await publish(self, request)

    stack = open_memory_stack()
    await create(stack, "7")
    await create(stack, "8", topic="elsewhere")
    monkeypatch.setattr(InMemoryTopics, "publish", broken_once)

    with pytest.raises((ZeroDivisionError, BaseExceptionGroup)), stack.faults(crash_before_publish=1):
        await stack.drain()
    await stack.drain()  # what was read is not lost with the error
    stack.assert_nothing_outstanding()


async def test_what_comes_after_a_message_that_waits_is_relayed() -> None:
    stack = open_memory_stack()
    await create(stack, "7")

    with stack.faults(unavailable=["order--created"]):
        await stack.drain()
        async with OUTBOX.transaction(stack.dynamodb) as tx:
            tx.publish(OrderShipped("7"), aggregate_id="truck")
        await create(stack, *map(str, range(150)), topic="elsewhere")
        report = await stack.drain()

    assert stack.published(OrderShipped) == [OrderShipped("7")]
    assert len(stack.published()) == 151
    assert list(report.waiting.values()) == ["order--created: not published (ServiceUnavailable)"]


async def test_a_topic_that_is_unavailable_excuses_no_other() -> None:
    stack = open_memory_stack(topics=["order--created"])
    await create(stack, "7")
    await create(stack, "8", topic="elsewhere")

    with (
        pytest.raises(AssertionError, match=r"settle:\n  \S+: elsewhere: not published \(NotFound\)\n"),
        stack.faults(unavailable=["order--created"]),
    ):
        await stack.drain()


@pytest.mark.parametrize(
    "host",
    [
        "dynamodb.us-east-1.amazonaws.com.",
        "DYNAMODB.us-east-1.AMAZONAWS.com",
        "sns.eusc-de-east-1.amazonaws.eu",
    ],
)
def test_aws_is_refused_however_it_is_written(host: str) -> None:
    with pytest.raises(Exception, match="AWS itself"), open_endpoint(f"https://{host}"):
        pass


async def test_what_the_table_is_asked_is_throttled_too() -> None:
    stack, play = InMemoryStack(), FaultPlay(Faults(throttle=2))
    entry: Any = OUTBOX.put(OrderCreated("7", 5), aggregate_id="7")
    stack.write(entry)
    (key,) = stack.table.items
    table = play.around(stack.context).table

    assert await table.lookup([key]) == {key: Unreadable("ThrottlingException")}
    assert await table.park(cast("Any", None), now="") == Unwritten("ThrottlingException")
    assert not isinstance((await table.lookup([key]))[key], Unreadable)


async def test_the_relay_after_a_kill_remembers_nothing() -> None:
    stack = InMemoryStack()
    stack.write(OUTBOX.put(OrderCreated("7", 5), aggregate_id="7"))
    pump = Pump(stack.context)
    killed = pump._relay  # what it has published before could not be asked for otherwise
    await pump.bring(stack.read_records(), FaultPlay(Faults(crash_after_publish=1)))

    assert pump._relay.memo is not killed.memo
    assert pump._relay.done is not killed.done

"""The law of the inbox: of all deliveries of a message to a consumer one has its effect, whatever fails."""

import asyncio
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox_sdk import AlreadyProcessed, Inbox, Outbox
from outbox_sdk.core.retry import RetryPolicy
from outbox_sdk.shell.aws.errors import AwsError
from outbox_sdk.testing import InMemoryStack

AT_ONCE = RetryPolicy(attempts=5, base=0.0, cap=0.0)
OUTBOX = Outbox("outbox")


class Unreliable:
    """A client of which some calls do not arrive, and some answers get lost."""

    def __init__(self, client: Any, faults: list[str]) -> None:
        self._client, self._faults = client, list(faults)

    async def transact_write_items(self, **request: Any) -> Any:
        fault = self._faults.pop() if self._faults else "none"
        if fault == "not sent":
            raise AwsError("ConnectionFailed", 0)
        answer = await self._client.transact_write_items(**request)
        if fault == "answer lost":
            raise AwsError("ConnectionClosed", 0)
        return answer


async def deliver(client: Any, consumer: str, message_id: str) -> bool:
    """Handle a delivery: an effect, an answer and the memory of it; tell whether it was the first."""
    try:
        async with OUTBOX.transaction(client, retries=AT_ONCE) as tx:
            tx.guard(Inbox("inbox", consumer=consumer), message_id)
            tx.update(
                TableName="effects",
                Key={"PK": {"S": f"{consumer}/{message_id}"}},
                UpdateExpression="ADD Tally :one",
                ExpressionAttributeValues={":one": {"N": "1"}},
            )
            tx.publish("{}", aggregate_id=f"{consumer}/{message_id}", topic="answered")
    except AlreadyProcessed:
        return False
    return True


def new_stack() -> InMemoryStack:
    stack = InMemoryStack()
    stack.client().create_table("inbox", "PK", "SK")
    stack.client().create_table("effects", "PK")
    return stack


def effects(stack: InMemoryStack) -> dict[str, str]:
    return {item["PK"]["S"]: item["Tally"]["N"] for item in stack.client().items("effects")}


@given(
    st.lists(
        st.tuples(st.sampled_from(["mail", "stock"]), st.sampled_from(["m-1", "m-2", "m-3"])), max_size=20
    ),
    st.lists(st.sampled_from(["none", "not sent", "answer lost"]), max_size=4),
)
def test_each_consumer_handles_each_message_once(
    deliveries: list[tuple[str, str]], faults: list[str]
) -> None:
    stack = new_stack()

    async def play() -> list[bool]:
        client = Unreliable(stack.client(), faults)
        return list(await asyncio.gather(*(deliver(client, *delivery) for delivery in deliveries)))

    firsts = asyncio.run(play())
    wanted = {f"{consumer}/{message_id}" for consumer, message_id in deliveries}
    assert effects(stack) == dict.fromkeys(wanted, "1")
    assert sum(firsts) == len(wanted)
    asyncio.run(stack.relay())
    answers = Counter(message.attributes["AggregateId"] for message in stack.published)
    assert answers == Counter(wanted)


@pytest.mark.once
def test_ten_thousand_redeliveries_in_memory() -> None:
    """The same as on servers in tests/integration/test_inbox.py, within a few seconds."""
    stack = new_stack()
    deliveries = [f"m-{number}" for number in range(1_000) for _ in range(10)]
    random.Random(11).shuffle(deliveries)

    async def play() -> int:
        client = stack.client()
        return sum([await deliver(client, "mail", message_id) for message_id in deliveries])

    assert asyncio.run(play()) == 1_000
    assert effects(stack) == {f"mail/{message_id}": "1" for message_id in deliveries}

"""The inbox on real servers: each effect once, however often and in whatever order a message comes."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from outbox_sdk import (
    AlreadyProcessed,
    ConfigurationError,
    Inbox,
    Outbox,
    create_inbox_table,
    create_outbox_table,
    explain_cancellation,
    open_transaction,
)
from outbox_sdk.core.retry import RetryPolicy
from tests.support.fixtures import endpoint_of
from tests.support.plain_client import open_plain_client

pytestmark = [pytest.mark.integration, pytest.mark.once]

Client = Callable[..., AbstractAsyncContextManager[Any]]


@pytest.fixture(params=["dynamodb_local", "moto", "ministack"])
def endpoint(request: pytest.FixtureRequest) -> str:
    return endpoint_of(request, request.param)


async def create_table(dynamodb: Any, name: str) -> None:
    await dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


async def tallies(dynamodb: Any, table_name: str) -> dict[str, int]:
    found: dict[str, int] = {}
    start: dict[str, Any] = {}
    while True:
        answer = await dynamodb.scan(TableName=table_name, ConsistentRead=True, **start)
        found |= {item["PK"]["S"]: int(item["Tally"]["N"]) for item in answer["Items"]}
        if "LastEvaluatedKey" not in answer:
            return found
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def add_one(table_name: str, key: str) -> Any:
    return {
        "Update": {
            "TableName": table_name,
            "Key": {"PK": {"S": key}},
            "UpdateExpression": "ADD Tally :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }
    }


@pytest.mark.parametrize(("part", "messages"), [("ministack", 300), ("dynamodb_local", 20)])
async def test_ten_thousand_redeliveries_have_each_effect_once(
    request: pytest.FixtureRequest, aws_client: Client, unique: str, part: str, messages: int
) -> None:
    """A thousand messages, ten times each, shuffled, twenty at a time.

    Fewer of them where transactions are found to be in each other's way, which takes as long.
    """
    times, workers = 10, 20
    inbox, effects = Inbox(f"{unique}-inbox", consumer="tally"), f"{unique}-effects"
    deliveries = [number for number in range(messages) for _ in range(times)]
    random.Random(7).shuffle(deliveries)
    outcomes: Counter[str] = Counter()

    async def work(dynamodb: Any) -> None:
        while deliveries:
            number = deliveries.pop()
            try:
                async with open_transaction(dynamodb) as tx:
                    tx.guard(inbox, f"m-{number}")
                    tx.add(add_one(effects, f"message-{number}"))
            except AlreadyProcessed as error:
                outcomes["again" if error.message_id == f"m-{number}" else "confused"] += 1
            else:
                outcomes["first"] += 1

    endpoint = endpoint_of(request, part)
    async with aws_client("dynamodb", endpoint) as dynamodb:
        await create_inbox_table(dynamodb, inbox.table_name)
        await create_table(dynamodb, effects)
        async with open_plain_client(endpoint, connections=workers) as plain, asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(work(plain))

        assert outcomes == {"first": messages, "again": messages * (times - 1)}
        assert await tallies(dynamodb, effects) == {f"message-{number}": 1 for number in range(messages)}


async def test_redeliveries_at_the_same_moment_have_one_effect(
    endpoint: str, aws_client: Client, unique: str
) -> None:
    """On servers that find conflicts, and on those that take one request after the other."""
    outbox, inbox = Outbox(unique), Inbox(f"{unique}-inbox", consumer="tally")
    effects = f"{unique}-effects"

    async def handle(dynamodb: Any, message_id: str) -> str:
        try:
            async with outbox.transaction(dynamodb, retries=RetryPolicy(attempts=30, cap=0.1)) as tx:
                tx.guard(inbox, message_id)
                tx.add(add_one(effects, message_id))
                tx.publish("{}", aggregate_id=message_id, topic="answered")
        except AlreadyProcessed:
            return "again"
        return "first"

    async with aws_client("dynamodb", endpoint) as dynamodb:
        await create_outbox_table(dynamodb, unique)
        await create_inbox_table(dynamodb, inbox.table_name)
        await create_table(dynamodb, effects)
        outcomes = await asyncio.gather(*(handle(dynamodb, f"m-{number % 5}") for number in range(50)))

        assert Counter(outcomes) == {"first": 5, "again": 45}
        assert await tallies(dynamodb, effects) == {f"m-{number}": 1 for number in range(5)}
        answers = await dynamodb.scan(TableName=unique, ConsistentRead=True)
        assert sorted(item["AggregateId"]["S"] for item in answers["Items"]) == [f"m-{n}" for n in range(5)]


async def test_consumers_share_a_table(endpoint: str, aws_client: Client, unique: str) -> None:
    async with aws_client("dynamodb", endpoint) as dynamodb:
        await create_inbox_table(dynamodb, unique)
        for consumer in ("mail", "stock"):
            async with open_transaction(dynamodb) as tx:
                tx.guard(Inbox(unique, consumer=consumer), "m-1")

        async def again() -> None:
            async with open_transaction(dynamodb) as tx:
                tx.guard(Inbox(unique, consumer="mail"), "m-1")

        with pytest.raises(AlreadyProcessed):
            await again()


async def test_a_guard_in_a_transaction_of_ones_own_is_explained(
    endpoint: str, aws_client: Client, unique: str
) -> None:
    inbox = Inbox(unique, consumer="mail")
    async with aws_client("dynamodb", endpoint) as dynamodb:
        await create_inbox_table(dynamodb, unique)
        entries = [inbox.guard("m-1")]
        await dynamodb.transact_write_items(TransactItems=entries)
        with pytest.raises(dynamodb.exceptions.TransactionCanceledException) as cancelled:
            await dynamodb.transact_write_items(TransactItems=entries)

    error = explain_cancellation(entries, cancelled.value.response["CancellationReasons"])
    assert isinstance(error, AlreadyProcessed)
    assert error.message_id == "m-1"


async def test_the_table_is_made_once_with_its_time_to_live(
    endpoint: str, aws_client: Client, unique: str
) -> None:
    async with aws_client("dynamodb", endpoint) as dynamodb:
        await asyncio.gather(*(create_inbox_table(dynamodb, unique) for _ in range(3)))
        await create_inbox_table(dynamodb, unique)
        answer = await dynamodb.describe_time_to_live(TableName=unique)

        assert answer["TimeToLiveDescription"]["AttributeName"] == "ExpiresAt"
        assert answer["TimeToLiveDescription"]["TimeToLiveStatus"] in ("ENABLED", "ENABLING")


async def test_a_table_of_another_key_is_refused(endpoint: str, aws_client: Client, unique: str) -> None:
    async with aws_client("dynamodb", endpoint) as dynamodb:
        await create_table(dynamodb, unique)
        with pytest.raises(ConfigurationError, match="its key is"):
            await create_inbox_table(dynamodb, unique)

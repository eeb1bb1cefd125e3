"""Transactions on real servers: limits met exactly, conditions as errors, and answers that get lost."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from aiobotocore.config import AioConfig
from botocore.exceptions import ClientError

from outbox_sdk import (
    ConditionFailed,
    InvalidMessageError,
    MessageAlreadyPublished,
    Outbox,
    TransactionRefused,
    create_outbox_table,
    open_transaction,
)
from outbox_sdk.core.actions import MAX_ITEM_BYTES, read_action
from outbox_sdk.core.items import item_size
from outbox_sdk.core.retry import RetryPolicy
from outbox_sdk.core.transaction import MAX_ACTIONS, MAX_TRANSACTION_BYTES
from tests.support.cutting_proxy import open_cutting_proxy
from tests.support.fixtures import endpoint_of

pytestmark = [
    pytest.mark.integration,
    # What aiohttp thinks of a request of 4 MB. A client of its own would only be warned.
    pytest.mark.filterwarnings("ignore:Sending a large body directly"),
]

Client = Callable[..., AbstractAsyncContextManager[Any]]
AT_ONCE = RetryPolicy(attempts=4, base=0.001, cap=0.001)


@pytest.fixture(params=["dynamodb_local", "moto", "ministack"])
def endpoint(request: pytest.FixtureRequest) -> str:
    return endpoint_of(request, request.param)


@pytest.fixture
async def local(dynamodb_local: str, aws_client: Client, unique: str) -> AsyncIterator[Any]:
    """A client at DynamoDB Local, with a table of orders and an outbox named after the test."""
    async with aws_client("dynamodb", dynamodb_local) as dynamodb:
        await create_tables(dynamodb, unique)
        yield dynamodb


async def create_tables(dynamodb: Any, name: str) -> None:
    await create_outbox_table(dynamodb, name)
    await dynamodb.create_table(
        TableName=f"{name}-orders",
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


async def count_items(dynamodb: Any, table_name: str) -> int:
    found = 0
    start: dict[str, Any] = {}
    while True:
        answer = await dynamodb.scan(TableName=table_name, Select="COUNT", ConsistentRead=True, **start)
        found += int(answer["Count"])
        if "LastEvaluatedKey" not in answer:
            return found
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def order(table_name: str, key: str, size: int, **attributes: Any) -> dict[str, Any]:
    """The Put of an item of exactly so many bytes."""
    item: dict[str, Any] = {"PK": {"S": key}, **attributes}
    item["Pad"] = {"S": "x" * (size - item_size(item) - len("Pad"))}
    assert item_size(item) == size
    return {"TableName": table_name, "Item": item}


class Counted:
    """A client that counts what is sent."""

    def __init__(self, client: Any) -> None:
        self.client, self.calls = client, 0

    async def transact_write_items(self, **request: Any) -> Any:
        self.calls += 1
        return await self.client.transact_write_items(**request)


# Limits (exactly so much passes, more is refused before any call)


async def test_a_hundred_actions_pass_and_one_more_is_refused_by_name(local: Any, unique: str) -> None:
    outbox, client = Outbox(unique), Counted(local)

    async def publish(messages: int, prefix: str) -> None:
        async with outbox.transaction(client) as tx:
            tx.put(**order(f"{unique}-orders", prefix, 100))
            for number in range(messages):
                tx.publish("{}", aggregate_id="7", topic="t", message_id=f"{prefix}-{number}")

    await publish(MAX_ACTIONS - 1, "a")
    assert client.calls == 1
    assert await count_items(local, unique) == MAX_ACTIONS - 1
    with pytest.raises(TransactionRefused, match=r"TooManyActions: message b-99 \(action 100\)"):
        await publish(MAX_ACTIONS, "b")
    assert client.calls == 1


async def test_four_megabytes_pass_and_one_byte_more_is_refused_by_name(local: Any, unique: str) -> None:
    """With messages, numbers, a delete, an update and a check among the actions; all of them count."""
    outbox, client = Outbox(unique, topic_max_bytes=262_144), Counted(local)
    orders = f"{unique}-orders"

    entries: list[Any] = []

    async def write(bytes_over: int, prefix: str) -> None:
        async with outbox.transaction(client) as tx:
            for number in range(9):
                tx.put(**order(orders, f"{prefix}{number}", MAX_ITEM_BYTES, Total={"N": f"-{number}01.25"}))
            tx.delete(TableName=orders, Key={"PK": {"S": "gone"}})
            tx.update(
                TableName=orders,
                Key={"PK": {"S": "counter"}},
                UpdateExpression="SET #count = if_not_exists(#count, :none) + :one, #tags = :tags",
                ExpressionAttributeNames={"#count": "Count", "#tags": "Größe"},
                ExpressionAttributeValues={
                    ":none": {"N": "0"},
                    ":one": {"N": "1"},
                    ":tags": {"L": [{"SS": ["a", "bc"]}, {"M": {"deep": {"B": b"\x00\x01"}}}]},
                },
            )
            tx.check(
                TableName=orders,
                Key={"PK": {"S": "absent"}},
                ConditionExpression="attribute_not_exists(PK)",
            )
            tx.publish("x" * 250_000, aggregate_id="7", topic="t", message_id=f"{prefix}-1")
            used = sum(action.size for action in tx._actions)
            last = outbox.put("x", aggregate_id="7", topic="t", message_id=f"{prefix}-2")
            rest = MAX_TRANSACTION_BYTES - used - read_action(last, 0).size + bytes_over
            tx.publish("x" * (1 + rest), aggregate_id="7", topic="t", message_id=f"{prefix}-2")
            entries[:] = [action.entry for action in tx._actions]

    await write(0, "a")
    assert client.calls == 1
    assert await count_items(local, unique) == 2
    with pytest.raises(TransactionRefused, match=r"TransactionTooLarge: with message b-2 \(action 13\)"):
        await write(1, "b")
    assert client.calls == 1
    with pytest.raises(ClientError, match="Payload Size: 4194305"):
        await local.transact_write_items(TransactItems=entries)


@pytest.mark.once
@pytest.mark.parametrize(
    "value",
    [
        *(
            {"N": text}
            for text in ("0", "-0", "7", "10", "12", "-12", "123", "100000", "1.5", "0.001", "-0.05")
        ),
        *(
            {"N": text}
            for text in ("1E100", "0012", "1795424400", "1.0", "-1.2345E-7", "9" * 38, f"-{'9' * 38}")
        ),
        {"S": "größe"},
        {"B": b"\x00\xff"},
        {"BOOL": True},
        {"NULL": True},
        {"SS": ["ab", "c"]},
        {"NS": ["1", "22", "-333"]},
        {"BS": [b"a", b"bcd"]},
        {"L": []},
        {"L": [{"S": "a"}, {"L": [{"N": "1"}]}]},
        {"M": {}},
        {"M": {"k": {"M": {"deep": {"NULL": True}}}, "ö": {"S": "a"}}},
    ],
    ids=lambda value: str(value)[:40],
)
async def test_sizes_are_those_that_dynamodb_local_counts(local: Any, unique: str, value: Any) -> None:
    """It tells its count of a transaction when it refuses it, and its count of an item by refusing."""
    orders = f"{unique}-orders"
    for action in (
        {"Put": {"TableName": orders, "Item": {"PK": {"S": "k"}, "A": value}}},
        {
            "Update": {
                "TableName": orders,
                "Key": {"PK": {"S": "k"}},
                "UpdateExpression": "SET #a = :a, #b.c = :a",
                "ConditionExpression": "#a = :a",
                "ExpressionAttributeNames": {"#a": "größe", "#b": "B"},
                "ExpressionAttributeValues": {":a": value},
            }
        },
    ):
        large = [{"Put": order(orders, f"k{number}", 400_000)} for number in range(11)]
        with pytest.raises(ClientError) as refusal:
            await local.transact_write_items(TransactItems=[action, *large])
        counted = re.search(r"Payload Size: (\d+)", str(refusal.value))
        assert counted, refusal.value
        assert read_action(action, 0).size == int(counted[1]) - 11 * 400_000
    await local.put_item(**order(orders, "k", MAX_ITEM_BYTES, A=value))
    with pytest.raises(ClientError, match="Item size has exceeded"):
        await local.put_item(**order(orders, "k", MAX_ITEM_BYTES + 1, A=value))


async def test_an_item_of_400_kb_passes_and_one_byte_more_is_refused(local: Any, unique: str) -> None:
    client = Counted(local)

    async def put(size: int) -> None:
        async with open_transaction(client) as tx:
            tx.put(**order(f"{unique}-orders", "k", size, Total={"N": "-10.05"}))

    await put(MAX_ITEM_BYTES)
    with pytest.raises(
        TransactionRefused, match=r"ItemTooLarge: action 0 \(Put on .*-orders\) has an item of 409601"
    ):
        await put(MAX_ITEM_BYTES + 1)
    assert client.calls == 1


async def test_a_message_of_its_topics_limit_passes_and_one_byte_more_is_refused_by_name(
    local: Any, unique: str
) -> None:
    """Names, types and values of the attributes count, as SNS counts them."""
    outbox, client = Outbox(unique), Counted(local)
    attributes = {"MessageId": "m-1", "AggregateId": "7", "CorrelationId": "c", "Tenant": "grün"}
    room = 262_144 - sum(len(f"{name}String{value}".encode()) for name, value in attributes.items())

    async def publish(size: int) -> None:
        async with outbox.transaction(client) as tx:
            tx.publish(
                "x" * size,
                aggregate_id="7",
                topic="t",
                message_id="m-1",
                correlation_id="c",
                headers={"Tenant": "grün"},
            )

    await publish(room)
    assert await count_items(local, unique) == 1
    with pytest.raises(InvalidMessageError, match="message m-1 is refused: size:262145>262144"):
        await publish(room + 1)
    assert client.calls == 1


async def test_an_item_of_a_message_as_large_as_can_be_passes_and_one_byte_more_is_refused_by_name(
    local: Any, unique: str
) -> None:
    """A kilobyte below DynamoDB's limit, for what marking or parking it may add."""
    outbox, client = Outbox(unique, topic_max_bytes=1_048_576), Counted(local)
    limit = MAX_ITEM_BYTES - 1_024
    small: Any = outbox.put("x", aggregate_id="7", topic="t", message_id="m-1")
    room = limit - item_size(small["Put"]["Item"]) + 1

    async def publish(size: int) -> None:
        async with outbox.transaction(client) as tx:
            tx.publish("x" * size, aggregate_id="7", topic="t", message_id="m-1")

    await publish(room)
    assert await count_items(local, unique) == 1
    with pytest.raises(InvalidMessageError, match=f"message m-1 makes an item of {limit + 1} of {limit}"):
        await publish(room + 1)
    assert client.calls == 1


async def test_a_token_of_36_characters_passes(local: Any, unique: str) -> None:
    """The limit itself is held by the plan; here that the server's is the same."""
    request = {"TransactItems": [{"Put": order(f"{unique}-orders", "k", 100)}]}
    await local.transact_write_items(**request, ClientRequestToken="x" * 36)
    with pytest.raises(ClientError, match="clientRequestToken"):
        await local.transact_write_items(**request, ClientRequestToken="x" * 37)


async def test_two_actions_on_one_item_are_refused(local: Any, unique: str) -> None:
    """By us where the key can be known, and by DynamoDB where it cannot: two Puts that differ."""
    orders, client = f"{unique}-orders", Counted(local)

    async def write(*entries: Any) -> None:
        async with open_transaction(client) as tx:
            for entry in entries:
                tx.add(entry)

    put, other = ({"Put": order(orders, "k", size)} for size in (100, 101))
    with pytest.raises(TransactionRefused, match="SameItem"):
        await write(put, {"Delete": {"TableName": orders, "Key": {"PK": {"S": "k"}}}})
    assert client.calls == 0
    with pytest.raises(TransactionRefused, match="ValidationException") as refusal:
        await write(put, other)
    assert client.calls == 1
    assert "multiple operations on one item" in refusal.value.detail


# Cancellations


async def test_the_same_message_twice_changes_nothing(endpoint: str, aws_client: Client, unique: str) -> None:
    outbox = Outbox(unique)
    async with aws_client("dynamodb", endpoint) as dynamodb:
        await create_tables(dynamodb, unique)

        async def publish(order: str) -> None:
            async with outbox.transaction(dynamodb) as tx:
                tx.put(TableName=f"{unique}-orders", Item={"PK": {"S": order}})
                tx.publish("{}", aggregate_id="7", topic="t", message_id="m-1")

        await publish("first")
        with pytest.raises(MessageAlreadyPublished) as failure:
            await publish("second")

        assert failure.value.message_id == "m-1"
        assert failure.value.key.describe() == "PK=AGGREGATE#7 SK=MESSAGE#m-1"
        assert failure.value.reasons == ("None", "ConditionalCheckFailed")
        assert await count_items(dynamodb, f"{unique}-orders") == 1
        assert await count_items(dynamodb, unique) == 1


async def test_a_condition_of_the_callers_own_is_named(
    endpoint: str, aws_client: Client, unique: str
) -> None:
    outbox, orders = Outbox(unique), f"{unique}-orders"
    async with aws_client("dynamodb", endpoint) as dynamodb:
        await create_tables(dynamodb, unique)
        await dynamodb.put_item(TableName=orders, Item={"PK": {"S": "7"}, "Stock": {"N": "0"}})

        async def sell() -> None:
            async with outbox.transaction(dynamodb) as tx:
                tx.publish("{}", aggregate_id="7", topic="t")
                tx.update(
                    TableName=orders,
                    Key={"PK": {"S": "7"}},
                    UpdateExpression="SET Stock = Stock - :one",
                    ConditionExpression="Stock >= :one",
                    ExpressionAttributeValues={":one": {"N": "1"}},
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )

        with pytest.raises(ConditionFailed) as failure:
            await sell()

        assert (failure.value.action, failure.value.table_name) == (1, orders)
        assert failure.value.item == {"PK": {"S": "7"}, "Stock": {"N": "0"}}
        assert str(failure.value) == f"the condition of action 1 (Update on {orders}, PK=7) did not hold"
        assert await count_items(dynamodb, unique) == 0


async def test_what_only_the_table_can_tell_is_refused_by_it(local: Any, unique: str) -> None:
    orders = f"{unique}-orders"
    await local.put_item(**order(orders, "k", MAX_ITEM_BYTES - 10))
    with pytest.raises(TransactionRefused, match="ValidationError: action 0") as grown:
        async with open_transaction(local) as tx:
            tx.update(
                TableName=orders,
                Key={"PK": {"S": "k"}},
                UpdateExpression="SET More = :more",
                ExpressionAttributeValues={":more": {"S": "secret-" * 10}},
            )
    with pytest.raises(TransactionRefused, match="ResourceNotFoundException"):
        async with open_transaction(local) as tx:
            tx.put(TableName="no-such-table", Item={"PK": {"S": "k"}})
    assert "secret" not in str(grown.value)


async def test_transactions_that_meet_on_an_item_all_come_through(local: Any, unique: str) -> None:
    """What is cancelled for a conflict is tried again."""
    orders, outbox = f"{unique}-orders", Outbox(unique)
    client = Counted(local)

    async def count_up() -> None:
        async with outbox.transaction(client, retries=RetryPolicy(attempts=50, base=0.01, cap=0.05)) as tx:
            tx.update(
                TableName=orders,
                Key={"PK": {"S": "counter"}},
                UpdateExpression="ADD Tally :one",
                ExpressionAttributeValues={":one": {"N": "1"}},
            )
            tx.publish("{}", aggregate_id="counter", topic="t")

    await asyncio.gather(*(count_up() for _ in range(40)))

    answer = await local.get_item(TableName=orders, Key={"PK": {"S": "counter"}}, ConsistentRead=True)
    assert answer["Item"]["Tally"] == {"N": "40"}
    assert await count_items(local, unique) == 40


# Lost answers


async def count_up(outbox: Outbox, dynamodb: Any, orders: str, **publish: Any) -> None:
    async with outbox.transaction(dynamodb, retries=AT_ONCE) as tx:
        tx.update(
            TableName=orders,
            Key={"PK": {"S": "counter"}},
            UpdateExpression="ADD Tally :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
        tx.publish("{}", aggregate_id="7", topic="t", **publish)


@pytest.mark.parametrize("lost", [1, 3])
@pytest.mark.parametrize("own_retries", [1, 3], ids=["no retries of the client", "retries of the client"])
async def test_a_lost_answer_writes_nothing_twice(
    endpoint: str, aws_client: Client, unique: str, lost: int, own_retries: int
) -> None:
    """Two keep tokens, one does not (Moto): the message's own id tells there what happened."""
    orders = f"{unique}-orders"
    config = AioConfig(retries={"total_max_attempts": own_retries})
    async with (
        open_cutting_proxy(endpoint) as proxy,
        aws_client("dynamodb", endpoint) as dynamodb,
        aws_client("dynamodb", proxy.endpoint_url, config=config) as behind,
    ):
        await create_tables(dynamodb, unique)
        proxy.cuts = lost
        await count_up(Outbox(unique), behind, orders)

        answer = await dynamodb.get_item(TableName=orders, Key={"PK": {"S": "counter"}}, ConsistentRead=True)
        assert answer["Item"]["Tally"] == {"N": "1"}
        assert await count_items(dynamodb, unique) == 1
        assert (proxy.cuts, len(proxy.tokens), len(set(proxy.tokens))) == (0, lost + 1, 1)


@pytest.mark.parametrize("part", ["dynamodb_local", "ministack"])
async def test_tokens_keep_messages_of_given_ids_as_well(
    request: pytest.FixtureRequest, aws_client: Client, unique: str, part: str
) -> None:
    endpoint, orders = endpoint_of(request, part), f"{unique}-orders"
    async with (
        open_cutting_proxy(endpoint) as proxy,
        aws_client("dynamodb", proxy.endpoint_url) as behind,
    ):
        await create_tables(behind, unique)
        proxy.cuts = 1
        await count_up(Outbox(unique), behind, orders, message_id="m-1")
        assert len(proxy.tokens) == 2
        # Somebody else's of that id is told all the same.
        proxy.cuts = 1
        with pytest.raises(MessageAlreadyPublished):
            await count_up(Outbox(unique), behind, orders, message_id="m-1")

        answer = await behind.get_item(TableName=orders, Key={"PK": {"S": "counter"}}, ConsistentRead=True)
        assert answer["Item"]["Tally"] == {"N": "1"}


async def test_without_tokens_a_message_of_a_given_id_counts_as_published_before(
    moto: str, aws_client: Client, unique: str
) -> None:
    """Nothing proves there that it was this very transaction; nothing is written twice in any case."""
    orders = f"{unique}-orders"
    async with open_cutting_proxy(moto) as proxy, aws_client("dynamodb", proxy.endpoint_url) as behind:
        await create_tables(behind, unique)
        proxy.cuts = 1
        with pytest.raises(MessageAlreadyPublished):
            await count_up(Outbox(unique), behind, orders, message_id="m-1")
        answer = await behind.get_item(TableName=orders, Key={"PK": {"S": "counter"}}, ConsistentRead=True)
        assert answer["Item"]["Tally"] == {"N": "1"}

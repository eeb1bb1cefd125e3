"""A transaction comes to the same in the double of a client and on DynamoDB Local."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from outbox_sdk import AlreadyProcessed, Inbox, MessageAlreadyPublished, Outbox, create_inbox_table
from outbox_sdk.provisioning import create_outbox_table
from outbox_sdk.testing import InMemoryStack
from tests.support.aws import open_client

pytestmark = [pytest.mark.integration, pytest.mark.once]

ITEM: Mapping[str, Any] = {
    "PK": {"S": "k"},
    "text_": {"S": "größe"},
    "Count": {"N": "12.50"},
    "data_": {"B": b"\x00\x7f"},
    "flag_": {"BOOL": True},
    "empty_": {"NULL": True},
    "many_": {"L": [{"S": "a"}, {"N": "1"}, {"L": [{"S": "deep"}]}]},
    "deep_": {"M": {"inner_": {"M": {"leaf": {"N": "7"}}}, "ö": {"S": "x"}}},
    "words_": {"SS": ["a", "b"]},
    "digits_": {"NS": ["1", "2.50"]},
}
NAMES = {"#count": "Count", "#ö": "ö", "#leaf": "leaf"}
VALUES = {
    ":text": {"S": "größe"},
    ":start": {"S": "grö"},
    ":one": {"N": "1"},
    ":same": {"N": "12.5"},
    ":ten": {"N": "10"},
    ":ninety": {"N": "90"},
    ":nine": {"S": "9"},
    ":data": {"B": b"\x00"},
    ":list": {"L": [{"S": "z"}]},
    ":words": {"SS": ["b", "c"]},
    ":both": {"SS": ["b", "a"]},
    ":digits": {"NS": ["2.5", "3"]},
    ":kind": {"S": "N"},
    ":true": {"BOOL": True},
    ":large": {"N": "12345678901234567890123456789.125"},
}

CONDITIONS = [
    "attribute_exists(text_)",
    "attribute_not_exists(text_)",
    "attribute_exists(deep_.inner_.#leaf)",
    "attribute_exists(deep_.nothing_.#leaf)",
    "attribute_exists(many_[2][0]) AND attribute_not_exists(many_[3])",
    "attribute_not_exists(text_.inner_)",
    "attribute_type(#count, :kind)",
    "text_ = :text",
    "text_ <> :text",
    "missing_ = :text",
    "missing_ <> :text",
    "#count = :same",
    "#count < :ninety",
    "#count < :nine",
    "NOT #count < :nine",
    "#count >= :same and #count <= :same",
    "#count > :ten AND NOT #count > :ninety",
    "#count BETWEEN :ten AND :ninety",
    "#count NOT_THERE :ten",
    "#count BETWEEN :ninety AND :ten",
    "#count IN (:one, :same)",
    "text_ IN (:one)",
    "begins_with(text_, :start)",
    "begins_with(text_, :nine)",
    "begins_with(data_, :data)",
    "begins_with(missing_, :start)",
    "contains(text_, :start)",
    "contains(many_, :one)",
    "contains(words_, :nine)",
    "contains(digits_, :one)",
    "words_ = :both",
    "digits_ = :digits",
    "flag_ = :true",
    "empty_ = :true",
    "deep_.inner_.#leaf > :one",
    "deep_.#ö = :nine",
    "attribute_exists(text_) OR attribute_exists(A) AND attribute_exists(B)",
    "(attribute_exists(text_) OR attribute_exists(A)) AND attribute_exists(B)",
    "NOT attribute_exists(A) AND attribute_exists(text_)",
    "NOT (attribute_exists(A) OR attribute_exists(text_))",
    "attribute_exists(text_",
    "text_ = :unknown",
    "#unknown = :text",
    "text_ =",
    "nonsense(text_)",
    "text_ ; flag_",
]

UPDATES = [
    "SET A = :one",
    "SET text_ = :one, flag_ = text_",
    "SET #count = #count + :one",
    "SET #count = #count - :ten, B = #count",
    "SET #count = :large + #count",
    "SET A = if_not_exists(A, :one) + :ten",
    "SET #count = if_not_exists(#count, :one) + :ten",
    "SET A = if_not_exists(missing_, text_)",
    "SET many_ = list_append(many_, :list)",
    "SET many_ = list_append(:list, many_)",
    "SET A = list_append(if_not_exists(A, :list), :list)",
    "SET many_[0] = :one, many_[9] = :ten",
    "SET deep_.inner_.#leaf = :ten, deep_.added_ = :text",
    "SET deep_.nothing_.#leaf = :ten",
    "SET A = missing_",
    "SET text_ = text_ + :one",
    "SET A = list_append(text_, :list)",
    "REMOVE text_, missing_",
    "REMOVE many_[0], many_[1]",
    "REMOVE many_[2][0], deep_.inner_.#leaf",
    "ADD #count :one",
    "ADD A :ten",
    "ADD words_ :words",
    "ADD digits_ :digits",
    "ADD A :words",
    "ADD words_ :one",
    "ADD text_ :one",
    "DELETE words_ :words",
    "DELETE words_ :both",
    "DELETE A :words",
    "DELETE words_ :digits",
    "SET A = :one REMOVE text_ ADD #count :ten DELETE words_ :words",
    "set A = :one remove text_",
    "NOT A = :one",
    "SET A :one",
    "SET A = :unknown",
]


@asynccontextmanager
async def both(name: str, endpoint: str) -> AsyncIterator[tuple[Any, Any]]:
    """The double and a client of the server, each with a table of that name."""
    double = InMemoryStack().client()
    double.create_table(name, "PK")
    async with open_client("dynamodb", endpoint) as dynamodb:
        await dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield double, dynamodb


async def outcome(client: Any, name: str, entries: Any, **request: Any) -> Any:
    """What an answer says: codes, and the items of a cancellation."""
    try:
        await client.transact_write_items(TransactItems=entries, **request)
    except ClientError as error:
        reasons = error.response.get("CancellationReasons") or ()
        return error.response["Error"]["Code"], [(r["Code"], comparable(r.get("Item"))) for r in reasons]
    answer = await client.get_item(TableName=name, Key={"PK": {"S": "k"}})
    return "committed", comparable(answer.get("Item"))


def comparable(value: Any) -> Any:
    """Numbers by their value, and sets in order."""
    if not isinstance(value, Mapping):
        return value
    if len(value) == 1:
        ((kind, content),) = value.items()
        if kind == "N":
            return kind, content.rstrip("0").rstrip(".") if "." in content else content
        if kind in ("SS", "NS"):
            return kind, sorted(comparable({kind[0]: each})[1] if kind == "NS" else each for each in content)
        if kind == "L":
            return kind, [comparable(each) for each in content]
    return {name: comparable(each) for name, each in value.items()}


def action(name: str, **expressions: str) -> dict[str, Any]:
    text = " ".join(expressions.values())
    words = set(text.replace("(", " ").replace(")", " ").replace(",", " ").replace(".", " ").split())
    body: dict[str, Any] = {"TableName": name, "Key": {"PK": {"S": "k"}}, **expressions}
    if names := {word: NAMES[word] for word in words & set(NAMES)}:
        body["ExpressionAttributeNames"] = names
    if values := {word: VALUES[word] for word in words & set(VALUES)}:
        body["ExpressionAttributeValues"] = values
    return body


async def test_conditions_hold_alike(dynamodb_local: str, unique: str) -> None:
    differences = []
    async with both(unique, dynamodb_local) as clients:
        for item in (ITEM, None):
            first = (
                {"Put": {"TableName": unique, "Item": ITEM}}
                if item
                else {"Delete": {"TableName": unique, "Key": {"PK": {"S": "k"}}}}
            )
            for client in clients:
                await client.transact_write_items(TransactItems=[first])
            for condition in CONDITIONS:
                check = action(unique, ConditionExpression=condition)
                entries = [{"ConditionCheck": {**check, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}}]
                double, real = [await outcome(client, unique, entries) for client in clients]
                if double != real:
                    differences.append((condition, double, real))

    assert not differences, "\n".join(map(str, differences))


async def test_updates_come_to_the_same(dynamodb_local: str, unique: str) -> None:
    differences = []
    async with both(unique, dynamodb_local) as clients:
        for item in (ITEM, {"PK": {"S": "k"}}, None):
            for update in UPDATES:
                results = []
                for client in clients:
                    key = {"PK": {"S": "k"}}
                    first = {"Put": {"TableName": unique, "Item": item}} if item else None
                    await client.transact_write_items(
                        TransactItems=[first or {"Delete": {"TableName": unique, "Key": key}}]
                    )
                    entries = [{"Update": action(unique, UpdateExpression=update)}]
                    results.append(await outcome(client, unique, entries))
                if results[0] != results[1]:
                    differences.append((update, item is not None, *results))

    assert not differences, "\n".join(map(str, differences))


async def test_refusals_are_the_same(dynamodb_local: str, unique: str) -> None:
    put = {"Put": {"TableName": unique, "Item": {"PK": {"S": "k"}, "A": {"N": "1"}}}}
    other = {"Put": {"TableName": unique, "Item": {"PK": {"S": "k"}, "A": {"N": "2"}}}}
    failing = {"Put": {**put["Put"], "ConditionExpression": "attribute_not_exists(PK)"}}
    absent = {"Delete": {"TableName": unique, "Key": {"PK": {"S": "absent"}}}}
    steps: list[tuple[Any, dict[str, Any]]] = [
        ([put], {"ClientRequestToken": "t-1"}),
        ([put], {"ClientRequestToken": "t-1"}),
        ([other], {"ClientRequestToken": "t-1"}),
        ([put, other], {}),
        ([absent, failing], {}),
        ([failing, absent], {"ClientRequestToken": "t-2"}),
        ([{"Put": {"TableName": "no-such-table", "Item": {"PK": {"S": "k"}}}}], {}),
        ([{"Put": {"TableName": unique, "Item": {"A": {"S": "k"}}}}], {}),
        ([{"Delete": {"TableName": unique, "Key": {"A": {"S": "k"}}}}], {}),
        ([{"Delete": {"TableName": unique, "Key": {"PK": {"S": "k"}, "A": {"S": "k"}}}}], {}),
        ([{"Delete": {"TableName": unique, "Key": {"PK": {"S": f"{n}"}}}} for n in range(101)], {}),
        ([{"Delete": {"TableName": unique, "Key": {"PK": {"S": "k"}}}}], {}),
    ]
    async with both(unique, dynamodb_local) as clients:
        for entries, request in steps:
            double, real = [await outcome(client, unique, entries, **request) for client in clients]
            assert double == real, (entries[:2], request)


@pytest.mark.parametrize("part", ["memory", "dynamodb_local"])
async def test_messages_and_guards_are_committed_once(
    request: pytest.FixtureRequest, unique: str, part: str
) -> None:
    outbox, inbox = Outbox("outbox" if part == "memory" else unique), Inbox(f"{unique}-inbox", consumer="c")
    stack = InMemoryStack()

    async def publish_twice(client: Any) -> None:
        async def publish(incoming: str, message_id: str) -> None:
            async with outbox.transaction(client) as tx:
                tx.guard(inbox, incoming)
                tx.publish("{}", aggregate_id="7", topic="t", message_id=message_id)

        await publish("in-1", "out-1")
        with pytest.raises(AlreadyProcessed):
            await publish("in-1", "out-2")
        with pytest.raises(MessageAlreadyPublished):
            await publish("in-2", "out-1")
        await publish("in-2", "out-2")

    if part == "memory":
        client = stack.client()
        client.create_table(inbox.table_name, "PK", "SK")
        await publish_twice(client)
        await stack.relay()
        assert [message.message_id for message in stack.published] == ["out-1", "out-2"]
        assert len(client.items(inbox.table_name)) == 2
    else:
        endpoint = request.getfixturevalue("dynamodb_local")
        async with open_client("dynamodb", endpoint) as dynamodb:
            await create_outbox_table(dynamodb, unique)
            await create_inbox_table(dynamodb, inbox.table_name)
            await publish_twice(dynamodb)
            assert (await dynamodb.scan(TableName=unique))["Count"] == 2
            assert (await dynamodb.scan(TableName=inbox.table_name))["Count"] == 2

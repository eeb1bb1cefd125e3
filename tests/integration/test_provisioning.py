"""Creating the outbox table, on every part: complete, repeatable, and never at another table's expense."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from outbox_sdk import ConfigurationError, TableDesign, create_outbox_table
from outbox_sdk.core.table import create_table_request
from tests.support.aws import open_client
from tests.support.fixtures import endpoint_of

# The same on every interpreter.
pytestmark = [pytest.mark.integration, pytest.mark.once]

every_design = pytest.mark.parametrize(
    "design", [TableDesign.ordered, TableDesign.message_keyed], ids=["ordered", "message_keyed"]
)


@pytest.fixture(params=["dynamodb_local", "ministack", "moto"])
async def dynamodb(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    async with open_client("dynamodb", endpoint_of(request, request.param)) as client:
        yield client


@every_design
async def test_the_table_is_complete(dynamodb: Any, unique: str, design: TableDesign) -> None:
    stream_arn = await create_outbox_table(dynamodb, unique, design=design)

    table = (await dynamodb.describe_table(TableName=unique))["Table"]
    assert table["TableStatus"] == "ACTIVE"
    assert table["LatestStreamArn"] == stream_arn
    assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    keys = [{"AttributeName": "PK", "KeyType": "HASH"}]
    if design.sort_key is not None:
        keys.append({"AttributeName": "SK", "KeyType": "RANGE"})
    assert table["KeySchema"] == keys
    (index,) = table["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "NotDispatchedMessagesIndex"
    assert index["KeySchema"] == [
        {"AttributeName": "NotDispatched", "KeyType": "HASH"},
        {"AttributeName": "CreatedAt", "KeyType": "RANGE"},
    ]
    assert index["Projection"]["ProjectionType"] == "KEYS_ONLY"
    local = [index["IndexName"] for index in table.get("LocalSecondaryIndexes", [])]
    assert local == (["AggregateSequenceIndex"] if design.sort_key is not None else [])
    ttl = (await dynamodb.describe_time_to_live(TableName=unique))["TimeToLiveDescription"]
    assert ttl["TimeToLiveStatus"] in ("ENABLED", "ENABLING")
    assert ttl["AttributeName"] == "ExpiresAt"


@pytest.mark.parametrize("dynamodb", ["ministack", "moto"], indirect=True)
async def test_the_table_can_be_recovered_where_the_endpoint_knows_recovery(
    dynamodb: Any, unique: str
) -> None:
    await create_outbox_table(dynamodb, unique)

    backups = await dynamodb.describe_continuous_backups(TableName=unique)
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"


@every_design
async def test_creating_it_again_changes_nothing(dynamodb: Any, unique: str, design: TableDesign) -> None:
    first = await create_outbox_table(dynamodb, unique, design=design)
    item = {"PK": {"S": "1"}} | ({} if design.sort_key is None else {"SK": {"S": "1"}})
    await dynamodb.put_item(TableName=unique, Item=item)
    before = await _describe(dynamodb, unique)

    assert await create_outbox_table(dynamodb, unique, design=design) == first

    assert await _describe(dynamodb, unique) == before
    answer = await dynamodb.get_item(TableName=unique, Key=item, ConsistentRead=True)
    assert answer["Item"] == item


async def test_what_is_missing_is_completed(dynamodb: Any, unique: str) -> None:
    await dynamodb.create_table(**create_table_request(TableDesign.ordered, unique))

    await create_outbox_table(dynamodb, unique)

    ttl = (await dynamodb.describe_time_to_live(TableName=unique))["TimeToLiveDescription"]
    assert ttl["AttributeName"] == "ExpiresAt"


async def test_a_table_that_offers_more_fits(dynamodb: Any, unique: str) -> None:
    request = create_table_request(TableDesign.message_keyed, unique)
    request["StreamSpecification"]["StreamViewType"] = "NEW_IMAGE"
    request["AttributeDefinitions"].append({"AttributeName": "Topic", "AttributeType": "S"})
    request["GlobalSecondaryIndexes"].append(
        {
            "IndexName": "ByTopic",
            "KeySchema": [{"AttributeName": "Topic", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    )
    await dynamodb.create_table(**request)

    await create_outbox_table(dynamodb, unique, design=TableDesign.message_keyed)

    table = (await dynamodb.describe_table(TableName=unique))["Table"]
    assert len(table["GlobalSecondaryIndexes"]) == 2


async def test_a_table_that_does_not_fit_is_refused_with_all_differences(dynamodb: Any, unique: str) -> None:
    await dynamodb.create_table(
        TableName=unique,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    before = await _describe(dynamodb, unique)

    with pytest.raises(ConfigurationError) as caught:
        await create_outbox_table(dynamodb, unique)

    assert caught.value.variable == unique
    assert caught.value.problem == (
        "a table of this name exists, and its key is ['id'], not ['PK', 'SK']; "
        "its index NotDispatchedMessagesIndex is absent, not ['NotDispatched', 'CreatedAt']; "
        "its index AggregateSequenceIndex is absent, not ['PK', 'Sequence']; "
        "its stream view is absent, not NEW_AND_OLD_IMAGES"
    )
    assert await _describe(dynamodb, unique) == before


async def test_a_time_to_live_on_another_attribute_is_refused(dynamodb: Any, unique: str) -> None:
    await dynamodb.create_table(**create_table_request(TableDesign.ordered, unique))
    await dynamodb.update_time_to_live(
        TableName=unique, TimeToLiveSpecification={"Enabled": True, "AttributeName": "DeleteAt"}
    )

    with pytest.raises(ConfigurationError, match="its time to live is on DeleteAt, not on ExpiresAt"):
        await create_outbox_table(dynamodb, unique)


async def _describe(dynamodb: Any, table_name: str) -> dict[str, Any]:
    """Describe a table, but for its counters."""
    table: dict[str, Any] = (await dynamodb.describe_table(TableName=table_name))["Table"]
    indexes = table.get("GlobalSecondaryIndexes", []) + table.get("LocalSecondaryIndexes", [])
    for description in (table, *indexes):
        for counter in ("ItemCount", "TableSizeBytes", "IndexSizeBytes"):
            description.pop(counter, None)
    return table

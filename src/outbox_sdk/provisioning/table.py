"""Creating the outbox table, and completing one that was left half-made."""

import asyncio
from typing import TYPE_CHECKING, Any

from outbox_sdk.core.deployment import Call
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.table import (
    TableDesign,
    create_table_request,
    find_table_differences,
    time_to_live_request,
)
from outbox_sdk.provisioning.execution import Execution
from outbox_sdk.shell.clients import check_async_client

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

__all__ = [
    "check_client",
    "complete_table",
    "create_outbox_table",
    "create_table",
    "enable_time_to_live",
    "find_table",
]

_RECOVERY_ATTEMPTS = 30


async def create_outbox_table(
    dynamodb_client: "DynamoDBClient",
    table_name: str,
    *,
    design: TableDesign = TableDesign.ordered,
) -> str:
    """Create an outbox table with its stream, index, time to live and recovery; give the stream's ARN.

    ``dynamodb_client`` is a client of aiobotocore or aioboto3.
    Waits until the table is active. Called again, it finds the table, checks that it fits the design, and
    completes what is missing; it never changes a key, an index or a stream that is there.
    Point-in-time recovery is left out where the endpoint does not know it, as DynamoDB Local does not.

    Raises:
        ConfigurationError: the client is one of boto3 or not entered yet, or a table of this name exists and
            does not fit; the error lists how.
        botocore.exceptions.ClientError: DynamoDB refuses a call.
    """
    check_client(dynamodb_client, "dynamodb_client", "describe_table")
    execution = Execution({"dynamodb": dynamodb_client})
    await complete_table(dynamodb_client, table_name, design, execution)
    description = await find_table(dynamodb_client, table_name, design)
    return str(description["LatestStreamArn"])


def check_client(client: object, argument: str, method: str) -> None:
    """Refuse a client that cannot be awaited; see :func:`~outbox_sdk.shell.clients.check_async_client`."""
    instead = "give one of aiobotocore (docs/reference/table.md#creating-it)"
    check_async_client(client, argument, method, instead=instead)


async def find_table(client: "DynamoDBClient", table_name: str, design: TableDesign) -> dict[str, Any]:
    """Describe a table that is to be there and to fit.

    Raises:
        ConfigurationError: it is not there, or does not fit the design.
    """
    try:
        description = dict((await client.describe_table(TableName=table_name))["Table"])
    except client.exceptions.ResourceNotFoundException:
        raise ConfigurationError(
            "DYNAMODB_OUTBOX_TABLE_NAME", f"there is no table {table_name!r}; create it, or say create_table"
        ) from None
    differences = find_table_differences(design, table_name, description)
    if "LatestStreamArn" not in description and not differences:
        differences = ["its stream is not there yet; try again"]
    if differences:
        raise ConfigurationError(table_name, f"a table of this name exists, and {'; '.join(differences)}")
    return description


async def complete_table(
    client: "DynamoDBClient", table_name: str, design: TableDesign, execution: Execution
) -> None:
    """Create the table if it is not there, and set what it lacks."""
    time_to_live = Call(
        "dynamodb", "update_time_to_live", time_to_live_request(design, table_name), "time to live is off"
    )
    recovery = Call(
        "dynamodb",
        "update_continuous_backups",
        {
            "TableName": table_name,
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        },
        "point-in-time recovery is off",
    )
    creation = Call(
        "dynamodb", "create_table", create_table_request(design, table_name), "the table is missing"
    )
    if execution.dry_run and not await _exists(client, table_name):
        await execution.run(creation, time_to_live, recovery)
        return
    await create_table(client, table_name, creation, execution)
    await find_table(client, table_name, design)
    await enable_time_to_live(client, table_name, design.expires_at, time_to_live, execution)
    await _enable_recovery(client, table_name, recovery, execution)


async def create_table(
    client: "DynamoDBClient", table_name: str, creation: Call, execution: Execution
) -> None:
    """Create a table if it is not there, and wait until it is active."""
    if not await _exists(client, table_name):
        await _create(client, creation, execution)
    await client.get_waiter("table_exists").wait(
        TableName=table_name, WaiterConfig={"Delay": 1, "MaxAttempts": 300}
    )


async def _exists(client: "DynamoDBClient", table_name: str) -> bool:
    try:
        await client.describe_table(TableName=table_name)
    except client.exceptions.ResourceNotFoundException:
        return False
    return True


async def _create(client: "DynamoDBClient", creation: Call, execution: Execution) -> None:
    try:
        await execution.run(creation)
    except client.exceptions.ResourceInUseException:
        return  # somebody else was faster; the table is compared afterwards


async def enable_time_to_live(
    client: "DynamoDBClient", table_name: str, attribute: str, call: Call, execution: Execution
) -> None:
    """Switch a table's time to live on, if it is not.

    Raises:
        ConfigurationError: it is on another attribute.
    """
    # Asking again for what is set already is an error on AWS, and so it is when somebody else was faster.
    if await _find_time_to_live(client, table_name) is None:
        try:
            await execution.run(call)
        except client.exceptions.ClientError:
            if await _find_time_to_live(client, table_name) is None:
                raise
    current = await _find_time_to_live(client, table_name)
    if current not in (None, attribute):
        raise ConfigurationError(table_name, f"its time to live is on {current}, not on {attribute}")


async def _find_time_to_live(client: "DynamoDBClient", table_name: str) -> str | None:
    """Give the attribute that the table's time to live is on, or about to be."""
    answer = await client.describe_time_to_live(TableName=table_name)
    current = answer.get("TimeToLiveDescription", {})
    on = current.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
    return current.get("AttributeName") if on else None


async def _enable_recovery(
    client: "DynamoDBClient", table_name: str, call: Call, execution: Execution
) -> None:
    for attempt in range(1, _RECOVERY_ATTEMPTS + 1):
        try:
            if not await _has_recovery(client, table_name):
                await execution.run(call)
        except client.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            # AWS knows the operation; an endpoint that does not is a local stack, with nothing to recover.
            if code == "UnknownOperationException":
                return
            # A table is active some moments before its backups can be switched on.
            if code != "ContinuousBackupsUnavailableException" or attempt == _RECOVERY_ATTEMPTS:
                raise
            await asyncio.sleep(1.0)
        else:
            return


async def _has_recovery(client: "DynamoDBClient", table_name: str) -> bool:
    answer = await client.describe_continuous_backups(TableName=table_name)
    description = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    return description.get("PointInTimeRecoveryStatus") == "ENABLED"

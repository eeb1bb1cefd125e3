"""Creating what the relay needs in an AWS account or a local stack."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.table import (
    TableDesign,
    create_table_request,
    find_table_differences,
    time_to_live_request,
)

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

__all__ = ["create_outbox_table"]

_RECOVERY_ATTEMPTS = 30


async def create_outbox_table(
    dynamodb_client: "DynamoDBClient",
    table_name: str,
    *,
    design: TableDesign = TableDesign.ordered,
) -> str:
    """Create an outbox table with its stream, index, time to live and recovery; give the stream's ARN.

    Waits until the table is active. Called again, it finds the table, checks that it fits the design, and
    completes what is missing; it never changes a key, an index or a stream that is there.
    Point-in-time recovery is left out where the endpoint does not know it, as DynamoDB Local does not.

    Raises:
        ConfigurationError: a table of this name exists and does not fit; the error lists how.
        botocore.exceptions.ClientError: DynamoDB refuses a call.
    """
    # A table that exists already is compared below.
    with suppress(dynamodb_client.exceptions.ResourceInUseException):
        await dynamodb_client.create_table(**create_table_request(design, table_name))
    await dynamodb_client.get_waiter("table_exists").wait(
        TableName=table_name, WaiterConfig={"Delay": 1, "MaxAttempts": 300}
    )
    description = (await dynamodb_client.describe_table(TableName=table_name))["Table"]
    differences = find_table_differences(design, table_name, dict(description))
    if differences:
        raise ConfigurationError(table_name, f"a table of this name exists, and {'; '.join(differences)}")
    await _enable_time_to_live(dynamodb_client, table_name, design)
    await _enable_recovery(dynamodb_client, table_name)
    return description["LatestStreamArn"]


async def _enable_time_to_live(client: "DynamoDBClient", table_name: str, design: TableDesign) -> None:
    # Asking again for what is set already is an error on AWS, and so it is when somebody else was faster.
    if await _find_time_to_live(client, table_name) is None:
        try:
            await client.update_time_to_live(**time_to_live_request(design, table_name))
        except client.exceptions.ClientError:
            if await _find_time_to_live(client, table_name) is None:
                raise
    current = await _find_time_to_live(client, table_name)
    if current not in (None, design.expires_at):
        raise ConfigurationError(table_name, f"its time to live is on {current}, not on {design.expires_at}")


async def _find_time_to_live(client: "DynamoDBClient", table_name: str) -> str | None:
    """Give the attribute that the table's time to live is on, or about to be."""
    answer = await client.describe_time_to_live(TableName=table_name)
    current = answer.get("TimeToLiveDescription", {})
    on = current.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
    return current.get("AttributeName") if on else None


async def _enable_recovery(client: "DynamoDBClient", table_name: str) -> None:
    for attempt in range(1, _RECOVERY_ATTEMPTS + 1):
        try:
            await client.update_continuous_backups(
                TableName=table_name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
            )
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

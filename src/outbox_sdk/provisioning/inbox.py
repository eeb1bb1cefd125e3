"""Creating the table of an inbox."""

from typing import TYPE_CHECKING, Any

from outbox_sdk.core.deployment import Call
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.inbox import (
    EXPIRES_AT,
    find_inbox_differences,
    inbox_table_request,
    inbox_time_to_live_request,
)
from outbox_sdk.provisioning.execution import Execution
from outbox_sdk.provisioning.table import check_client, create_table, enable_time_to_live

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient

__all__ = ["create_inbox_table"]


async def create_inbox_table(dynamodb_client: "DynamoDBClient", table_name: str) -> None:
    """Create the table of an :class:`~outbox_sdk.Inbox`, on demand and with its time to live on.

    ``dynamodb_client`` is a client of aiobotocore or aioboto3.
    Waits until the table is active. Called again, it finds the table, checks that it fits, and switches the
    time to live on if it is not; it never changes a key.

    Raises:
        ConfigurationError: the client is one of boto3 or not entered yet, or a table of this name exists and
            does not fit; the error lists how.
        botocore.exceptions.ClientError: DynamoDB refuses a call.
    """
    check_client(dynamodb_client, "dynamodb_client", "describe_table")
    execution = Execution({"dynamodb": dynamodb_client})
    creation = Call("dynamodb", "create_table", inbox_table_request(table_name), "the table is missing")
    await create_table(dynamodb_client, table_name, creation, execution)
    # Any: what is read of it is compared, whatever it is.
    description: Any = (await dynamodb_client.describe_table(TableName=table_name))["Table"]
    if differences := find_inbox_differences(description):
        raise ConfigurationError(table_name, f"a table of this name exists, and {'; '.join(differences)}")
    time_to_live = Call(
        "dynamodb", "update_time_to_live", inbox_time_to_live_request(table_name), "time to live is off"
    )
    await enable_time_to_live(dynamodb_client, table_name, EXPIRES_AT, time_to_live, execution)

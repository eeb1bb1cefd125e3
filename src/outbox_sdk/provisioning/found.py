"""Finding what is deployed, and waiting for what was changed to be in force."""

import asyncio
from typing import TYPE_CHECKING, Any

from outbox_sdk.core.deployment import OWNER_TAG
from outbox_sdk.core.errors import OutboxError
from outbox_sdk.core.roles import POLICY_NAME

if TYPE_CHECKING:
    from types_aiobotocore_iam import IAMClient
    from types_aiobotocore_lambda import LambdaClient
    from types_aiobotocore_scheduler import EventBridgeSchedulerClient

__all__ = [
    "find_function",
    "find_mapping",
    "find_other_relay",
    "find_role",
    "find_role_policy",
    "find_schedule",
    "list_mappings",
    "settle_function",
    "wait_for_function",
    "wait_for_mapping",
]

_WAIT_SECONDS = 300


async def find_role(client: "IAMClient", name: str) -> dict[str, Any] | None:
    """Give a role, if it is there."""
    try:
        return dict((await client.get_role(RoleName=name))["Role"])
    except client.exceptions.NoSuchEntityException:
        return None


async def find_role_policy(client: "IAMClient", name: str) -> dict[str, Any] | None:
    """Give the answer that holds the role's policy, if it is there."""
    try:
        return dict(await client.get_role_policy(RoleName=name, PolicyName=POLICY_NAME))
    except client.exceptions.NoSuchEntityException:
        return None


async def find_function(client: "LambdaClient", name: str) -> dict[str, Any] | None:
    """Give the answer that describes a function, if it is there.

    Raises:
        OutboxError: its tags may not be read, and they alone tell whose it is.
    """
    try:
        found = dict(await client.get_function(FunctionName=name))
    except client.exceptions.ResourceNotFoundException:
        return None
    if found.get("TagsError"):
        raise OutboxError(f"the tags of the function {name} cannot be read: allow lambda:ListTags")
    return found


async def settle_function(client: "LambdaClient", name: str) -> dict[str, Any] | None:
    """Give a function, if it is there, as soon as it is at work on no change.

    A change that failed is over as well: the next one puts it right, for which a waiter would not wait.

    Raises:
        OutboxError: it is still at work after five minutes.
    """
    for _ in range(_WAIT_SECONDS):
        found = await find_function(client, name)
        now = {} if found is None else found["Configuration"]
        if now.get("State") != "Pending" and now.get("LastUpdateStatus") != "InProgress":
            return found
        await asyncio.sleep(1.0)
    raise OutboxError(f"the function {name} is still at work on its last change after {_WAIT_SECONDS} s")


async def find_schedule(client: "EventBridgeSchedulerClient", name: str) -> dict[str, Any] | None:
    """Give the answer that describes a schedule, if it is there."""
    try:
        return dict(await client.get_schedule(Name=name))
    except client.exceptions.ResourceNotFoundException:
        return None


async def find_mapping(client: "LambdaClient", function_name: str, stream_arn: str) -> dict[str, Any] | None:
    """Give the mapping between a function and a stream, if it is there."""
    answer = await client.list_event_source_mappings(EventSourceArn=stream_arn, FunctionName=function_name)
    alive = [each for each in answer["EventSourceMappings"] if each.get("State") != "Deleting"]
    return dict(alive[0]) if alive else None


async def wait_for_function(client: "LambdaClient", name: str) -> None:
    """Wait until a function runs with its last change."""
    for waiter in (client.get_waiter("function_active_v2"), client.get_waiter("function_updated_v2")):
        await waiter.wait(FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": _WAIT_SECONDS})


async def wait_for_mapping(
    client: "LambdaClient", function_name: str, stream_arn: str, *, state: str = "Enabled"
) -> str:
    """Wait until the mapping reads, or reads no more, and give its id; botocore has no waiter for it.

    Raises:
        OutboxError: it is not in that state after five minutes.
    """
    for _ in range(_WAIT_SECONDS):
        found = await find_mapping(client, function_name, stream_arn)
        # Some local stacks leave the state out.
        if found is not None and found.get("State", state) == state:
            return str(found["UUID"])
        await asyncio.sleep(1.0)
    raise OutboxError(
        f"the event source mapping of {function_name} is not {state.lower()} after {_WAIT_SECONDS} s"
    )


async def find_other_relay(
    client: "LambdaClient", function_name: str, stream_arn: str, table_name: str
) -> str | None:
    """Give the name of another function that was deployed as this table's relay, if there is one."""
    pages = client.get_paginator("list_event_source_mappings").paginate(EventSourceArn=stream_arn)
    arns = {
        mapping["FunctionArn"]
        async for page in pages
        for mapping in page["EventSourceMappings"]
        if mapping.get("State") != "Deleting"
    }
    for name in sorted(arn.split(":function:")[1].split(":")[0] for arn in arns):
        if name != function_name:
            found = await find_function(client, name)
            if found is not None and (found.get("Tags") or {}).get(OWNER_TAG) == table_name:
                return name
    return None


async def list_mappings(client: "LambdaClient", function_name: str, table_name: str) -> list[dict[str, Any]]:
    """List the mappings between a function and any stream that the table has had."""
    pages = client.get_paginator("list_event_source_mappings").paginate(FunctionName=function_name)
    return [
        dict(mapping)
        async for page in pages
        for mapping in page["EventSourceMappings"]
        if f":table/{table_name}/" in mapping.get("EventSourceArn", "")
    ]

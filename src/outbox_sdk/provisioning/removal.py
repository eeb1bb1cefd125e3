"""Taking away what was deployed for a table, and nothing else."""

from typing import TYPE_CHECKING

from outbox_sdk.core.deployment import check_owner, role_name
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.rollout import plan_removal
from outbox_sdk.provisioning.execution import Execution
from outbox_sdk.provisioning.found import (
    find_function,
    find_role,
    find_role_policy,
    find_schedule,
    list_mappings,
)

if TYPE_CHECKING:
    from types_aiobotocore_iam import IAMClient
    from types_aiobotocore_lambda import LambdaClient
    from types_aiobotocore_scheduler import EventBridgeSchedulerClient

__all__ = ["remove_relay", "remove_sweeper"]


async def remove_relay(
    functions: "LambdaClient", iam: "IAMClient", *, table_name: str, name: str, execution: Execution
) -> None:
    """Take away mapping, function and role, as far as they are there.

    Raises:
        ConfigurationError: one of them was not deployed for this table.
    """
    role = role_name(name, functions.meta.region_name)
    calls = plan_removal(
        function_name=await _find_own_function(functions, name, table_name),
        roles=await _find_own_roles(iam, [role], table_name),
        mappings=await list_mappings(functions, name, table_name),
    )
    await execution.run(*calls)


async def remove_sweeper(
    functions: "LambdaClient",
    iam: "IAMClient",
    scheduler: "EventBridgeSchedulerClient",
    *,
    table_name: str,
    name: str,
    execution: Execution,
) -> None:
    """Take away schedule, function and both roles, as far as they are there.

    Raises:
        ConfigurationError: one of them was not deployed for this table.
    """
    region = functions.meta.region_name
    try:
        roles = [role_name(name, region), role_name(f"{name}-schedule", region)]
    except ConfigurationError:
        return  # IAM takes no such names, so none was ever deployed
    schedule = await find_schedule(scheduler, name)
    invoked = "" if schedule is None else schedule["Target"]["Arn"]
    calls = plan_removal(
        function_name=await _find_own_function(functions, name, table_name),
        roles=await _find_own_roles(iam, roles, table_name),
        # A schedule has no tags; ours invokes the function of its own name.
        schedule=name if invoked.endswith(f":function:{name}") else None,
    )
    await execution.run(*calls)


async def _find_own_function(functions: "LambdaClient", name: str, table_name: str) -> str | None:
    found = await find_function(functions, name)
    if found is None:
        return None
    check_owner("function", name, found.get("Tags") or {}, table_name)
    return name


async def _find_own_roles(iam: "IAMClient", names: list[str], table_name: str) -> list[tuple[str, bool]]:
    """Give those that are there, and whether they still have their policy."""
    roles = []
    for name in names:
        found = await find_role(iam, name)
        if found is not None:
            check_owner(
                "role", name, {tag["Key"]: tag["Value"] for tag in found.get("Tags") or ()}, table_name
            )
            roles.append((name, await find_role_policy(iam, name) is not None))
    return roles

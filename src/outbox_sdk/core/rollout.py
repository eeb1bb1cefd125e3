"""Deployment decided: what AWS shows against what is wanted, and the calls that close the gap.

Nothing is called in here. Each ``plan_*`` takes what was found (``None`` where there is nothing) and gives
calls in their order; where all fits there are none.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from outbox_sdk.core.deployment import OWNER_TAG, Call, Code, Deployment, check_owner, role_name
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.event_source import mapping_settings
from outbox_sdk.core.function import HANDLERS
from outbox_sdk.core.place import Place
from outbox_sdk.core.roles import POLICY_NAME

__all__ = [
    "plan_function",
    "plan_mapping",
    "plan_removal",
    "plan_schedule",
]


def plan_function(
    found: Mapping[str, Any] | None, deployment: Deployment, place: Place, code: Code
) -> tuple[Call, ...]:
    """Compare a function (the answer of ``GetFunction``) with what is wanted.

    Raises:
        ConfigurationError: a function of this name is somebody else's.
    """
    name, wanted = deployment.function_name, _function_settings(deployment, place)
    architectures = [deployment.architecture]
    if found is None:
        request = {
            "FunctionName": name,
            **wanted,
            "Architectures": architectures,
            "Code": code.location(),
            "Description": deployment.description,
            "Tags": {OWNER_TAG: deployment.table_name},
        }
        return (Call("lambda", "create_function", request, "the function is missing"),)
    check_owner("function", name, found.get("Tags") or {}, deployment.table_name)
    current, calls = found["Configuration"], []
    changes = {field: value for field, value in wanted.items() if current.get(field) != value}
    if changes:
        request = {"FunctionName": name, **changes}
        reason = f"the function differs in {', '.join(changes)}"
        calls.append(Call("lambda", "update_function_configuration", request, reason))
    platform = current.get("Architectures", architectures)
    if current.get("CodeSha256") != code.sha256 or platform != architectures:
        request = {"FunctionName": name, "Architectures": architectures, **code.location()}
        calls.append(Call("lambda", "update_function_code", request, "the function's package differs"))
    return tuple(calls)


def _function_settings(deployment: Deployment, place: Place) -> dict[str, Any]:
    return {
        "Role": place.role_arn(role_name(deployment.function_name, place.region)),
        "Handler": HANDLERS[deployment.role],
        "Runtime": deployment.runtime,
        "MemorySize": deployment.memory_mb,
        "Timeout": deployment.timeout_seconds,
        "Environment": {"Variables": deployment.variables()},
    }


def plan_mapping(
    found: Mapping[str, Any] | None, deployment: Deployment, stream_arn: str
) -> tuple[Call, ...]:
    """Compare the event source mapping of function and stream with what is wanted.

    What an answer does not show is taken to fit: local stacks leave out what they do not know. AWS leaves
    out what is not set, and without some of it messages would be lost or marks invoke the relay.
    """
    configuration = deployment.configuration
    needed = _NEEDED if configuration.aws_endpoint_url is None else ()
    wanted = mapping_settings(
        deployment.source, configuration.outbox_table_design, configuration.outbox_mark_strategy
    )
    if found is None:
        request = {
            "EventSourceArn": stream_arn,
            "FunctionName": deployment.function_name,
            # Where a mapping begins late, messages that were written before are lost to it.
            "StartingPosition": "TRIM_HORIZON",
            "Enabled": not deployment.paused,
            **wanted,
        }
        return (Call("lambda", "create_event_source_mapping", request, "the mapping is missing"),)
    changes = {
        field: value
        for field, value in wanted.items()
        if (field in found or field in needed) and _comparable(found.get(field)) != _comparable(value)
    }
    destination = (found.get("DestinationConfig") or {}).get("OnFailure") or {}
    if deployment.source.on_failure is None and destination.get("Destination"):
        changes["DestinationConfig"] = {"OnFailure": {"Destination": ""}}
    is_off = found.get("State") in ("Disabled", "Disabling")
    if not changes and is_off == deployment.paused:
        return ()
    switched = "on" if deployment.paused else "off"
    differs = f"differs in {', '.join(changes)}" if changes else f"is switched {switched}"
    request = {"UUID": found["UUID"], "Enabled": not deployment.paused, **changes}
    return (Call("lambda", "update_event_source_mapping", request, f"the mapping {differs}"),)


_NEEDED = ("FilterCriteria", "FunctionResponseTypes")


def plan_schedule(
    found: Mapping[str, Any] | None, deployment: Deployment, place: Place, *, minutes: int
) -> tuple[Call, ...]:
    """Compare a sweeper's schedule (the answer of ``GetSchedule``) with what is wanted.

    Raises:
        ConfigurationError: a schedule of this name invokes something else.
    """
    role = role_name(f"{deployment.function_name}-schedule", place.region)
    function_arn = place.arn("lambda", f"function:{deployment.function_name}")
    wanted = {
        "ScheduleExpression": f"rate({minutes} minute{'s' if minutes > 1 else ''})",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "State": "ENABLED",
    }
    target = {"Arn": function_arn, "RoleArn": place.role_arn(role)}
    request = {"Name": deployment.function_name, **wanted, "Target": target}
    if found is None:
        return (Call("scheduler", "create_schedule", request, "the schedule is missing"),)
    current = found.get("Target") or {}
    if current.get("Arn") != function_arn:
        raise ConfigurationError(
            "function_name",
            f"a schedule {deployment.function_name} exists and invokes {current.get('Arn')}; "
            "give the function another name",
        )
    changes = [field for field, value in wanted.items() if found.get(field) != value]
    if current.get("RoleArn") != target["RoleArn"]:
        changes.append("RoleArn")
    if not changes:
        return ()
    reason = f"the schedule differs in {', '.join(changes)}"
    return (Call("scheduler", "update_schedule", request, reason),)


def plan_removal(
    *,
    mappings: Iterable[Mapping[str, Any]] = (),
    schedule: str | None = None,
    function_name: str | None = None,
    roles: Iterable[tuple[str, bool]] = (),
) -> tuple[Call, ...]:
    """Take a function away with what invokes it first; ``None`` stands for what is not there.

    ``roles`` are names, and whether there is still a policy of ours.
    """
    gone = "it was asked for"
    calls = [
        Call("lambda", "delete_event_source_mapping", {"UUID": mapping["UUID"]}, gone)
        for mapping in mappings
        if mapping.get("State") != "Deleting"
    ]
    if schedule is not None:
        calls.append(Call("scheduler", "delete_schedule", {"Name": schedule}, gone))
    if function_name is not None:
        calls.append(Call("lambda", "delete_function", {"FunctionName": function_name}, gone))
    for name, has_policy in roles:
        if has_policy:
            request = {"RoleName": name, "PolicyName": POLICY_NAME}
            calls.append(Call("iam", "delete_role_policy", request, gone))
        calls.append(Call("iam", "delete_role", {"RoleName": name}, gone))
    return tuple(calls)


def _comparable(value: Any) -> Any:
    # Patterns are text, which may come back written otherwise.
    if isinstance(value, Mapping) and "Filters" in value:
        return [json.loads(each["Pattern"]) for each in value["Filters"]]
    return value

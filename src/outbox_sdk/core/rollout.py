"""Deployment decided: what AWS shows against what is wanted, and the calls that close the gap.

Nothing is called in here. Each ``plan_*`` takes what was found (``None`` where there is nothing) and gives
calls in their order; where all fits there are none.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from outbox_sdk.core.configuration import encode_environment
from outbox_sdk.core.deployment import OWNER_TAG, Call, Code, Deployment, check_owner, role_name
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.event_source import mapping_settings
from outbox_sdk.core.function import HANDLERS
from outbox_sdk.core.permissions import Grants, Place, invoke_policy, policy_document, trust_policy

__all__ = [
    "POLICY_NAME",
    "RoleDesign",
    "function_role",
    "plan_function",
    "plan_mapping",
    "plan_removal",
    "plan_role",
    "plan_schedule",
    "schedule_role",
]

POLICY_NAME = "outbox"
"""The name of the role's inline policy."""


class RoleDesign(msgspec.Struct, frozen=True, kw_only=True):
    """A role with its inline policy."""

    name: str
    description: str
    trust: Mapping[str, Any]
    policy: Mapping[str, Any]


def function_role(deployment: Deployment, place: Place) -> RoleDesign:
    """Say what the role of a function is to be.

    Raises:
        ConfigurationError: the function could reach any topic, and that was not asked for; its name is too
            long for a role's; or the mapping's destination is none.
    """
    relays = deployment.role == "relay"
    grants = Grants(
        function_name=deployment.function_name,
        on_failure=deployment.source.on_failure if relays else None,
        kms_keys=deployment.kms_keys,
        confine_attributes=deployment.confine_attributes,
        allow_any_topic=deployment.allow_any_topic,
    )
    return RoleDesign(
        name=role_name(deployment.function_name, place.region),
        description=f"The outbox {deployment.role} of the table {deployment.table_name}",
        trust=trust_policy(),
        policy=policy_document(deployment.role, deployment.configuration, place, grants),
    )


def schedule_role(deployment: Deployment, place: Place) -> RoleDesign:
    """Say what the role of a sweeper's schedule is to be: it invokes that function and does nothing else."""
    return RoleDesign(
        name=role_name(f"{deployment.function_name}-schedule", place.region),
        description=f"The schedule of the outbox {deployment.role} of the table {deployment.table_name}",
        trust=trust_policy("scheduler.amazonaws.com", account_id=place.account_id),
        policy=invoke_policy(place, deployment.function_name),
    )


def plan_role(
    found: Mapping[str, Any] | None,
    found_policy: Mapping[str, Any] | None,
    wanted: RoleDesign,
    table_name: str,
) -> tuple[Call, ...]:
    """Compare a role (``GetRole``'s ``Role``, and the answer of ``GetRolePolicy``) with what is wanted.

    Raises:
        ConfigurationError: a role of this name is somebody else's.
    """
    calls = []
    name, trust = wanted.name, json.dumps(wanted.trust)
    if found is None:
        tags = [{"Key": OWNER_TAG, "Value": table_name}]
        request = {
            "RoleName": name,
            "AssumeRolePolicyDocument": trust,
            "Description": wanted.description,
            "Tags": tags,
        }
        calls.append(Call("iam", "create_role", request, "the role is missing"))
    else:
        check_owner("role", name, {tag["Key"]: tag["Value"] for tag in found.get("Tags") or ()}, table_name)
        if _document(found.get("AssumeRolePolicyDocument")) != wanted.trust:
            request = {"RoleName": name, "PolicyDocument": trust}
            reason = "who may take the role on differs"
            calls.append(Call("iam", "update_assume_role_policy", request, reason))
    if found_policy is None or _document(found_policy.get("PolicyDocument")) != wanted.policy:
        request = {
            "RoleName": name,
            "PolicyName": POLICY_NAME,
            "PolicyDocument": json.dumps(wanted.policy),
        }
        reason = "the role's policy is missing" if found_policy is None else "the role's policy differs"
        calls.append(Call("iam", "put_role_policy", request, reason))
    return tuple(calls)


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
            "Description": f"The outbox {deployment.role} of the table {deployment.table_name}",
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
        "Environment": {
            "Variables": {**deployment.environment, **encode_environment(deployment.configuration)}
        },
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
    if not changes and found.get("State") not in ("Disabled", "Disabling"):
        return ()
    reason = f"the mapping differs in {', '.join(changes)}" if changes else "the mapping is switched off"
    request = {"UUID": found["UUID"], "Enabled": True, **changes}
    return (Call("lambda", "update_event_source_mapping", request, reason),)


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


def _document(found: Any) -> Any:
    """Read a policy as a client gives it: parsed, or as text in which signs may be escaped."""
    return json.loads(unquote(found)) if isinstance(found, str) else found


def _comparable(value: Any) -> Any:
    # Patterns are text, which may come back written otherwise.
    if isinstance(value, Mapping) and "Filters" in value:
        return [json.loads(each["Pattern"]) for each in value["Filters"]]
    return value

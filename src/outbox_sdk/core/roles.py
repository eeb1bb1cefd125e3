"""The roles of a deployment decided: what each is to be, and the calls that make it so.

As in :mod:`outbox_sdk.core.rollout`, nothing is called in here.
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from outbox_sdk.core.deployment import OWNER_TAG, Call, Deployment, check_owner, role_name
from outbox_sdk.core.permissions import (
    MAX_POLICY_CHARACTERS,
    Grants,
    invoke_policy,
    policy_document,
    policy_length,
    trust_policy,
)
from outbox_sdk.core.place import Place

__all__ = [
    "POLICY_NAME",
    "RoleDesign",
    "function_role",
    "plan_narrowing",
    "plan_role",
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
        description=deployment.description,
        trust=trust_policy(),
        policy=policy_document(deployment.role, deployment.configuration, place, grants),
    )


def schedule_role(deployment: Deployment, place: Place) -> RoleDesign:
    """Say what the role of a sweeper's schedule is to be: it invokes that function and does nothing else."""
    return RoleDesign(
        name=role_name(f"{deployment.function_name}-schedule", place.region),
        description=f"The schedule of: {deployment.description}",
        trust=trust_policy("scheduler.amazonaws.com", account_id=place.account_id),
        policy=invoke_policy(place, deployment.function_name),
    )


def plan_role(
    found: Mapping[str, Any] | None,
    found_policy: Mapping[str, Any] | None,
    wanted: RoleDesign,
    table_name: str,
) -> tuple[Call, ...]:
    """Compare a role (``GetRole``'s ``Role``, and the answer of ``GetRolePolicy``) with what is needed.

    A policy that is there is widened here and narrowed by :func:`plan_narrowing` when the function has
    followed: in between, what runs may do what it did.

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
    if found_policy is None:
        calls.append(_put_policy(wanted, wanted.policy, "the role's policy is missing"))
    else:
        held = _document(found_policy.get("PolicyDocument"))
        needed = _widened(held, wanted.policy)
        if needed != held:
            calls.append(_put_policy(wanted, needed, "the role's policy lacks something"))
    return tuple(calls)


def plan_narrowing(found_policy: Mapping[str, Any] | None, wanted: RoleDesign) -> tuple[Call, ...]:
    """Take away what the function needs no more; ``found_policy`` is what :func:`plan_role` was given."""
    if found_policy is None:
        return ()
    held = _document(found_policy.get("PolicyDocument"))
    if _widened(held, wanted.policy) == wanted.policy:
        return ()
    return (_put_policy(wanted, wanted.policy, "the role's policy allows more than is needed"),)


def _widened(held: Mapping[str, Any], wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a policy that allows what both do; the wanted one, if the two together are too long for IAM."""
    statements = held.get("Statement") or []
    before = [statements] if isinstance(statements, Mapping) else statements
    if all(statement in before for statement in wanted["Statement"]):
        return held
    kept = [statement for statement in before if statement not in wanted["Statement"]]
    # Two statements may not share an id, and an id is not needed.
    nameless = [{key: part for key, part in each.items() if key != "Sid"} for each in kept]
    both = {**wanted, "Statement": [*wanted["Statement"], *nameless]}
    return both if policy_length(both) <= MAX_POLICY_CHARACTERS else wanted


def _put_policy(role: RoleDesign, document: Mapping[str, Any], reason: str) -> Call:
    request = {
        "RoleName": role.name,
        "PolicyName": POLICY_NAME,
        "PolicyDocument": json.dumps(document),
    }
    return Call("iam", "put_role_policy", request, reason)


def _document(found: Any) -> Any:
    """Read a policy as a client gives it: parsed, or as text in which signs may be escaped."""
    return json.loads(unquote(found)) if isinstance(found, str) else found

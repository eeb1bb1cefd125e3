"""A relay's deployment decided: what AWS shows against what is wanted, and the calls that close the gap.

Nothing is called in here. Each ``plan_*`` takes what was found (``None`` where there is nothing) and gives
calls in their order; where all fits there are none.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal
from urllib.parse import unquote

import msgspec

from outbox_sdk.core.configuration import RelayConfiguration, encode_environment
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.event_source import EventSource, mapping_settings
from outbox_sdk.core.function import DEFAULT_RUNTIME, HANDLERS, RUNTIMES, Architecture
from outbox_sdk.core.identifiers import Region
from outbox_sdk.core.permissions import Grants, Place, policy_document, trust_policy

__all__ = [
    "OWNER_TAG",
    "POLICY_NAME",
    "Call",
    "Code",
    "Deployment",
    "check_owner",
    "describe_call",
    "plan_function",
    "plan_mapping",
    "plan_removal",
    "plan_role",
    "plan_role_policy",
    "role_name",
]

OWNER_TAG = "outbox-sdk:table"
"""The tag of roles and functions that were deployed for a table; what does not carry it is left alone."""

POLICY_NAME = "outbox"
"""The name of the role's inline policy."""

_MAX_NAME = 64

Service = Literal["dynamodb", "iam", "lambda", "s3"]


class Call(msgspec.Struct, frozen=True):
    """One call that changes something: a client's method, its arguments, and why."""

    service: Service
    method: str
    request: Mapping[str, Any]
    reason: str

    def __repr__(self) -> str:
        """Leave out what a package is made of."""
        return f"Call({self.service}.{self.method}, {_printable(self.request)!r}, {self.reason!r})"


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """A package as Lambda takes it: its bytes, or where they are in S3.

    ``sha256`` is in base64, as Lambda writes it.
    """

    sha256: str
    zip_file: bytes | None = None
    bucket: str | None = None
    key: str | None = None

    def location(self) -> dict[str, Any]:
        """Write it as an argument."""
        if self.bucket is not None:
            return {"S3Bucket": self.bucket, "S3Key": self.key}
        return {"ZipFile": self.zip_file}


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """What a relay in Lambda is to be.

    Raises:
        ConfigurationError: a name is too long for Lambda or IAM, a number out of Lambda's bounds, or the
        runtime is
            none that packages are built for.
    """

    configuration: RelayConfiguration
    function_name: str
    architecture: Architecture
    runtime: str = DEFAULT_RUNTIME
    memory_mb: int = 512
    timeout_seconds: int = 60
    source: EventSource = EventSource()
    kms_keys: tuple[str, ...] = ()
    confine_attributes: bool = False
    allow_any_topic: bool = False

    def __post_init__(self) -> None:
        legal = self.function_name.replace("-", "").replace("_", "")
        if not (legal.isascii() and legal.isalnum() and len(self.function_name) <= _MAX_NAME):
            raise ConfigurationError(
                "function_name",
                f"{self.function_name!r} is not the name of a function: up to {_MAX_NAME} of A-Z a-z 0-9 - _",
            )
        for field, minimum, maximum in (("memory_mb", 128, 10_240), ("timeout_seconds", 10, 900)):
            if not minimum <= getattr(self, field) <= maximum:
                raise ConfigurationError(
                    field, f"{getattr(self, field)} is not between {minimum} and {maximum}"
                )
        if self.runtime not in RUNTIMES:
            raise ConfigurationError("runtime", f"{self.runtime!r} is not one of {', '.join(RUNTIMES)}")

    @property
    def table_name(self) -> str:
        """The outbox table."""
        return str(self.configuration.dynamodb_outbox_table_name)


def role_name(function_name: str, region: Region | str) -> str:
    """Name a function's role after function and Region: roles are the account's, functions the Region's.

    Raises:
        ConfigurationError: the two together are too long for IAM.
    """
    room = _MAX_NAME - len(region) - 1
    if len(function_name) > room:
        raise ConfigurationError("function_name", f"{function_name!r} has more than {room} characters")
    return f"{function_name}-{region}"


def describe_call(call: Call) -> dict[str, Any]:
    """Describe a call as JSON takes it; of a package, its size."""
    return {
        "service": call.service,
        "operation": call.method,
        "request": _printable(call.request),
        "reason": call.reason,
    }


def _printable(value: Any) -> Any:
    match value:
        case bytes():
            return f"<{len(value)} bytes>"
        case Mapping():
            return {name: _printable(part) for name, part in value.items()}
        case list() | tuple():
            return [_printable(part) for part in value]
        case _:
            return value


def plan_role(found: Mapping[str, Any] | None, deployment: Deployment, place: Place) -> tuple[Call, ...]:
    """Compare a role (``GetRole``'s ``Role``) with what is wanted.

    Raises:
        ConfigurationError: a role of this name is somebody else's.
    """
    name, trust = role_name(deployment.function_name, place.region), trust_policy()
    if found is None:
        request = {
            "RoleName": name,
            "AssumeRolePolicyDocument": json.dumps(trust),
            "Description": f"The outbox relay of the table {deployment.table_name}",
            "Tags": [{"Key": OWNER_TAG, "Value": deployment.table_name}],
        }
        return (Call("iam", "create_role", request, "the role is missing"),)
    tags = {tag["Key"]: tag["Value"] for tag in found.get("Tags") or ()}
    check_owner("role", name, tags, deployment.table_name)
    if _document(found.get("AssumeRolePolicyDocument")) == trust:
        return ()
    request = {"RoleName": name, "PolicyDocument": json.dumps(trust)}
    return (Call("iam", "update_assume_role_policy", request, "who may take the role on differs"),)


def plan_role_policy(
    found: Mapping[str, Any] | None, deployment: Deployment, place: Place
) -> tuple[Call, ...]:
    """Compare a role's policy (the answer of ``GetRolePolicy``) with what is wanted.

    Raises:
        ConfigurationError: the relay could reach any topic, and that was not asked for.
    """
    grants = Grants(
        function_name=deployment.function_name,
        on_failure=deployment.source.on_failure,
        kms_keys=deployment.kms_keys,
        confine_attributes=deployment.confine_attributes,
        allow_any_topic=deployment.allow_any_topic,
    )
    wanted = policy_document("relay", deployment.configuration, place, grants)
    if found is not None and _document(found.get("PolicyDocument")) == wanted:
        return ()
    request = {
        "RoleName": role_name(deployment.function_name, place.region),
        "PolicyName": POLICY_NAME,
        "PolicyDocument": json.dumps(wanted),
    }
    reason = "the role's policy is missing" if found is None else "the role's policy differs"
    return (Call("iam", "put_role_policy", request, reason),)


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
            "Description": f"The outbox relay of the table {deployment.table_name}",
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
    role = role_name(deployment.function_name, place.region)
    return {
        "Role": f"arn:{place.partition}:iam::{place.account_id}:role/{role}",
        "Handler": HANDLERS["relay"],
        "Runtime": deployment.runtime,
        "MemorySize": deployment.memory_mb,
        "Timeout": deployment.timeout_seconds,
        "Environment": {"Variables": encode_environment(deployment.configuration)},
    }


def plan_mapping(
    found: Mapping[str, Any] | None, deployment: Deployment, stream_arn: str
) -> tuple[Call, ...]:
    """Compare the event source mapping of function and stream with what is wanted.

    What an answer does not show is taken to fit: local stacks leave out what they do not know.
    """
    configuration = deployment.configuration
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
        if field in found and _comparable(found[field]) != _comparable(value)
    }
    if not changes and found.get("State") not in ("Disabled", "Disabling"):
        return ()
    reason = f"the mapping differs in {', '.join(changes)}" if changes else "the mapping is switched off"
    request = {"UUID": found["UUID"], "Enabled": True, **changes}
    return (Call("lambda", "update_event_source_mapping", request, reason),)


def check_owner(kind: str, name: str, tags: Mapping[str, str], table_name: str) -> None:
    """Refuse to touch what was not deployed for the table.

    Raises:
        ConfigurationError: it carries no tag of ours, or that of another table.
    """
    owner = tags.get(OWNER_TAG)
    if owner != table_name:
        whose = "is not an outbox's" if owner is None else f"belongs to the table {owner}"
        raise ConfigurationError(
            "function_name", f"a {kind} {name} exists and {whose}; give the function another name"
        )


def plan_removal(
    *, mappings: Iterable[Mapping[str, Any]], function_name: str | None, role_name: str | None, policy: bool
) -> tuple[Call, ...]:
    """Take a deployment away, what is used last first; ``None`` stands for what is not there."""
    gone = "it was asked for"
    calls = [
        Call("lambda", "delete_event_source_mapping", {"UUID": mapping["UUID"]}, gone)
        for mapping in mappings
        if mapping.get("State") != "Deleting"
    ]
    if function_name is not None:
        calls.append(Call("lambda", "delete_function", {"FunctionName": function_name}, gone))
    if role_name is not None and policy:
        request = {"RoleName": role_name, "PolicyName": POLICY_NAME}
        calls.append(Call("iam", "delete_role_policy", request, gone))
    if role_name is not None:
        calls.append(Call("iam", "delete_role", {"RoleName": role_name}, gone))
    return tuple(calls)


def _document(found: Any) -> Any:
    """Read a policy as a client gives it: parsed, or as text in which signs may be escaped."""
    return json.loads(unquote(found)) if isinstance(found, str) else found


def _comparable(value: Any) -> Any:
    # Patterns are text, which may come back written otherwise.
    if isinstance(value, Mapping) and "Filters" in value:
        return [json.loads(each["Pattern"]) for each in value["Filters"]]
    return value

"""What is to be deployed, as values: a function, its package, and the calls that bring it up."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from outbox_sdk.core.configuration import VARIABLES, RelayConfiguration, encode_environment
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.event_source import EventSource
from outbox_sdk.core.function import DEFAULT_RUNTIME, RUNTIMES, Architecture
from outbox_sdk.core.identifiers import Region

__all__ = [
    "MAX_ENVIRONMENT_BYTES",
    "OWNER_TAG",
    "SWEEPER_TIMEOUT_SECONDS",
    "Call",
    "Code",
    "Deployment",
    "FunctionRole",
    "Service",
    "check_owner",
    "describe_call",
    "role_name",
]

OWNER_TAG = "outbox-sdk:table"
"""The tag of roles and functions that were deployed for a table; what does not carry it is left alone."""

SWEEPER_TIMEOUT_SECONDS = 300
"""How long a sweep may take, at least; a relay's batch takes less."""

MAX_ENVIRONMENT_BYTES = 4_096
"""Lambda takes this much of names and values together."""

_MAX_NAME = 64
_OWN = frozenset(name for variable in VARIABLES for name in variable.names)

Service = Literal["dynamodb", "iam", "lambda", "s3", "scheduler"]
"""A client by botocore's name of its service."""

FunctionRole = Literal["relay", "sweeper"]
"""What a function does, and so what its role may."""


class Call(msgspec.Struct, frozen=True):
    """One call that changes something: a client's method, its arguments, and why."""

    service: Service
    method: str
    request: Mapping[str, Any]
    reason: str

    @property
    def subject(self) -> str:
        """What is made or changed, by the name that the arguments give it."""
        names = ("FunctionName", "RoleName", "TableName", "Name", "Key", "UUID")
        return next((str(self.request[name]) for name in names if name in self.request), "")

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
    """What a relay or a sweeper in Lambda is to be. ``source`` is the relay's alone.

    ``environment`` are variables besides those that the configuration makes. A ``paused`` relay has its
    mapping switched off.

    Raises:
        ConfigurationError: a name or the environment is too long for Lambda, a number out of Lambda's bounds,
            the runtime none that packages are built for, a key no ARN of a key, or a variable one that the
            configuration makes.
    """

    configuration: RelayConfiguration
    function_name: str
    role: FunctionRole = "relay"
    architecture: Architecture
    runtime: str = DEFAULT_RUNTIME
    memory_mb: int = 512
    timeout_seconds: int = 60
    source: EventSource = EventSource()
    paused: bool = False
    environment: Mapping[str, str] = {}
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

        for key in self.kms_keys:
            # Of an alias, IAM would allow nothing.
            if ":kms:" not in key or ":key/" not in key:
                raise ConfigurationError("kms_keys", f"{key!r} is not the ARN of a key (arn:…:kms:…:key/…)")
        for name in self.environment:
            if name in _OWN:
                raise ConfigurationError(name, "is set by the settings, not by environment")
            if name.startswith("OUTBOX_"):
                raise ConfigurationError(name, "is no variable of the relay")
        size = sum(len(name) + len(text.encode()) for name, text in self.variables().items())
        if size > MAX_ENVIRONMENT_BYTES:
            raise ConfigurationError(
                "environment", f"has {size} bytes with the settings, and Lambda takes {MAX_ENVIRONMENT_BYTES}"
            )

    def variables(self) -> dict[str, str]:
        """Give the function's environment."""
        return {**self.environment, **encode_environment(self.configuration)}

    @property
    def table_name(self) -> str:
        """The outbox table."""
        return str(self.configuration.dynamodb_outbox_table_name)

    @property
    def description(self) -> str:
        """What the function is, in as many characters as Lambda takes."""
        return f"The outbox {self.role} of the table {self.table_name}"[:256]


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
    """Describe a call as JSON takes it: of a package its size, of variables not ours the names."""
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
        case {"Variables": Mapping() as variables}:
            # What else a function is given may be a secret.
            shown = {name: text if name in _OWN else "<given>" for name, text in variables.items()}
            return {"Variables": shown}
        case Mapping():
            return {name: _printable(part) for name, part in value.items()}
        case list() | tuple():
            return [_printable(part) for part in value]
        case _:
            return value


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

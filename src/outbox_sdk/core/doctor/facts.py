"""What is known of a stack, wherever it was read: values of AWS's own settings, and why a value is missing.

A field that is ``None`` is not known, and ``unknown`` of the same value says why, by the field's name or,
for all of them, by ``*``. What is known to be off, absent or empty has a value that says so.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypeVar

import msgspec

from outbox_sdk.core.configuration import RelayConfiguration, parse_environment
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.place import Place

__all__ = [
    "Facts",
    "FunctionFacts",
    "IndexFacts",
    "KeyFacts",
    "MappingFacts",
    "NotKnownError",
    "RoleFacts",
    "Source",
    "Stack",
    "SubscriptionFacts",
    "SweeperFacts",
    "TableFacts",
    "TopicFacts",
    "known",
]

Source = Literal["live", "plan"]
"""Where facts come from: an account, or a plan of Terraform's that is not carried out yet."""

_T = TypeVar("_T")


class NotKnownError(Exception):
    """A fact that a check needs is missing. It ends the check, and is told as what was not checked."""

    def __init__(self, resource: str, reason: str) -> None:
        super().__init__(f"{resource}: {reason}")
        self.resource = resource
        self.reason = reason


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What all facts have: a name for people (in a plan the address), and why fields are not known."""

    name: str
    unknown: Mapping[str, str] = {}

    def why(self, field: str) -> str:
        """Say why a field is not known."""
        return self.unknown.get(field) or self.unknown.get("*") or f"{field} was not read"


def known(value: _T | None, subject: Facts, field: str) -> _T:
    """Give a fact.

    Raises:
        NotKnownError: it is not known.

    >>> known(None, Facts(name="table orders", unknown={"key": "known after apply"}), "key")
    Traceback (most recent call last):
    outbox_sdk.core.doctor.facts.NotKnownError: table orders: known after apply
    """
    if value is None:
        raise NotKnownError(subject.name, subject.why(field))
    return value


class IndexFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An index of a table: the names of its key, hash first, and what it holds of an item."""

    name: str
    key: tuple[str, ...]
    is_local: bool = False
    projection: str | None = None


class TableFacts(Facts, frozen=True, kw_only=True):
    """A table. ``stream_view`` and ``ttl_attribute`` are empty where stream and time to live are off.

    ``encryption_key`` is the ARN of a customer's key, and empty where AWS's own encrypts.
    ``constant_markers`` tells whether an outstanding item carries the marker ``x``, which all share.
    ``park_reasons`` are those of some parked items.
    """

    table_name: str
    exists: bool | None = None
    key: tuple[str, ...] | None = None
    indexes: tuple[IndexFacts, ...] | None = None
    stream_view: str | None = None
    stream_arn: str | None = None
    ttl_attribute: str | None = None
    recovery: bool | None = None
    encryption_key: str | None = None
    constant_markers: bool | None = None
    park_reasons: tuple[str, ...] | None = None


class MappingFacts(Facts, frozen=True, kw_only=True):
    """An event source mapping, in Lambda's words. ``patterns`` are those of its filter, as they are written.

    ``retry_attempts`` and ``record_age_seconds`` are -1 where there is no bound. ``on_failure`` is an ARN, or
    empty. ``relays`` tells whether its function is a relay's by its handler. ``last_result`` is empty where
    nothing has been processed.
    """

    mapping_id: str | None = None
    function_name: str | None = None
    relays: bool | None = None
    stream_arn: str | None = None
    enabled: bool | None = None
    last_result: str | None = None
    starting_position: str | None = None
    batch_size: int | None = None
    parallelization_factor: int | None = None
    retry_attempts: int | None = None
    record_age_seconds: int | None = None
    bisects: bool | None = None
    tumbling_window_seconds: int | None = None
    response_types: tuple[str, ...] | None = None
    patterns: tuple[str, ...] | None = None
    on_failure: str | None = None
    metrics: tuple[str, ...] | None = None


class FunctionFacts(Facts, frozen=True, kw_only=True):
    """A function. ``state`` is empty where it works; ``reserved_concurrency`` is -1 where none is reserved.

    ``variables`` are its environment, of which nothing is shown but names and values of this package's own.
    """

    function_name: str
    exists: bool | None = None
    handler: str | None = None
    runtime: str | None = None
    timeout_seconds: int | None = None
    state: str | None = None
    reserved_concurrency: int | None = None
    code_sha256: str | None = None
    role_arn: str | None = None
    variables: Mapping[str, str] | None = None


class RoleFacts(Facts, frozen=True, kw_only=True):
    """The relay's role: ``policies`` are all documents attached to it by their names."""

    role_name: str
    arn: str | None = None
    policies: Mapping[str, Mapping[str, Any]] | None = None


class SubscriptionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription of a topic: how and where to."""

    protocol: str
    endpoint: str


class TopicFacts(Facts, frozen=True, kw_only=True):
    """A topic that the relay publishes to. ``max_bytes`` is its limit of a message.

    ``encryption_key`` is what the topic names: an ARN, an id or an alias, or empty.
    """

    topic_name: str
    arn: str | None = None
    exists: bool | None = None
    policy: Mapping[str, Any] | None = None
    max_bytes: int | None = None
    encryption_key: str | None = None
    subscriptions: tuple[SubscriptionFacts, ...] | None = None


class KeyFacts(Facts, frozen=True, kw_only=True):
    """A customer's key that encrypts table or topics; ``used_by`` says which."""

    arn: str
    used_by: str
    state: str | None = None
    policy: Mapping[str, Any] | None = None


class SweeperFacts(Facts, frozen=True, kw_only=True):
    """The sweeper. ``runs`` tells whether its schedule is there and on."""

    function_name: str
    exists: bool | None = None
    runs: bool | None = None
    variables: Mapping[str, str] | None = None


class Stack(Facts, frozen=True, kw_only=True):
    """One relay with all that it works with.

    ``expected_code`` are the digests of this library's own packages. ``is_local`` stacks stand in for AWS:
    an endpoint in the function's environment is right there. ``clock_skew_seconds`` is how far this machine's
    clock is ahead of AWS's. ``topics`` are those that are known by name.
    """

    source: Source
    taken_at: datetime
    table: TableFacts | None = None
    function: FunctionFacts | None = None
    mappings: tuple[MappingFacts, ...] | None = None
    role: RoleFacts | None = None
    topics: tuple[TopicFacts, ...] | None = None
    keys: tuple[KeyFacts, ...] | None = None
    sweeper: SweeperFacts | None = None
    place: Place | None = None
    expected_code: tuple[str, ...] | None = None
    is_local: bool = False
    clock_skew_seconds: float | None = None

    def configuration(self) -> RelayConfiguration:
        """Read what the relay is told by its environment.

        Raises:
            NotKnownError: the environment is not known, or no relay could start with it.
        """
        function = known(self.function, self, "function")
        variables = known(function.variables, function, "variables")
        try:
            return parse_environment(variables)
        except ConfigurationError as error:
            reason = f"the environment is not one to start with ({error.variable})"
            raise NotKnownError(function.name, reason) from error

    def own_mappings(self) -> tuple[MappingFacts, ...]:
        """Give the mappings of the relay itself.

        Raises:
            NotKnownError: they are not known, or the relay is not.
        """
        mappings = known(self.mappings, self, "mappings")
        name = known(self.function, self, "function").function_name
        return tuple(each for each in mappings if each.function_name in (name, None))

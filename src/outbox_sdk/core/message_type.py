"""What a class says of the messages that it describes: their name, their topic and their version."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from outbox_sdk.core.body import is_message_class
from outbox_sdk.core.destinations import is_route
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import TopicName

__all__ = ["MessageType", "Upcaster", "find_message_type", "is_message_name", "message"]

# The body of a message that nobody's class describes any more, so `Any` is what its values are.
Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""Gives of the JSON object of one version that of the next. It may change what it gets.

Numbers with a fraction or an exponent are :class:`~decimal.Decimal`, so that none passes through a float.
"""

_ClassT = TypeVar("_ClassT")
_RECORD = "__outbox_message__"
_NAME = re.compile(r"[!-~]{1,128}")


class MessageType(msgspec.Struct, frozen=True):
    """What :func:`message` has recorded of a class.

    ``name`` and ``version`` travel with every message, as ``MessageType`` and ``SchemaVersion``.
    ``upcasters`` takes each version, from the oldest that can be read up, to the next.
    """

    name: str
    topic: TopicName
    version: int = 1
    upcasters: Mapping[int, Upcaster] = {}

    @property
    def oldest(self) -> int:
        """The oldest version that can be read."""
        return min(self.upcasters, default=self.version)


def message(
    name: str, *, topic: str, version: int = 1, upcasters: Mapping[int, Upcaster] | None = None
) -> Callable[[type[_ClassT]], type[_ClassT]]:
    """Record on a class which messages it describes; the class itself is unchanged.

    It goes on top of a msgspec Struct, a dataclass, an attrs class, a pydantic model or a TypedDict. ``name``
    is what consumers know the message by, 1 to 128 printable ASCII characters without blanks; it stays when
    the class is renamed or moved. ``version`` counts up from 1 with every change that old readers could not
    read. ``upcasters[n]`` gives of the JSON object of version ``n`` that of version ``n + 1``.

    Not promised: that subclasses are messages too. They need a record of their own.

    Raises:
        ConfigurationError: naming the argument that breaks a rule; a gap in ``upcasters`` is one.

    >>> @message("order.created", topic="order--created", version=2,
    ...          upcasters={1: lambda body: {**body, "currency": "EUR"}})
    ... class OrderCreated(msgspec.Struct):
    ...     order_id: str
    ...     currency: str
    >>> find_message_type(OrderCreated).name
    'order.created'
    """
    record = MessageType(
        name=name,
        topic=TopicName(topic),
        version=version,
        upcasters=MappingProxyType(dict(upcasters or {})),
    )
    _check(record)

    def decorate(message_class: type[_ClassT]) -> type[_ClassT]:
        if not is_message_class(message_class):
            raise ConfigurationError(
                "message",
                f"{name} describes {getattr(message_class, '__name__', message_class)!r}, which is no "
                "Struct, dataclass, attrs class, pydantic model or TypedDict; @message goes above @dataclass",
            )
        setattr(message_class, _RECORD, record)
        return message_class

    return decorate


def find_message_type(message_class: type) -> MessageType | None:
    """Give what :func:`message` recorded of this very class; a parent's record is not its own."""
    record = vars(message_class).get(_RECORD)
    return record if isinstance(record, MessageType) else None


def is_message_name(name: object) -> bool:
    """Tell what can be the name of a message: 1 to 128 printable ASCII characters without blanks."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _check(record: MessageType) -> None:
    if not is_message_name(record.name):
        raise ConfigurationError("name", f"{record.name!r} is not 1 to 128 printable characters of ASCII")
    if not is_route(record.topic):
        raise ConfigurationError("topic", f"{record.topic!r} of {record.name} is not a topic name")
    version: object = record.version
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version < 10**38:
        raise ConfigurationError("version", f"{version!r} of {record.name} is not a whole number from 1 on")
    versions = list(record.upcasters)
    whole = all(type(each) is int and each >= 1 for each in versions)
    if versions and not (whole and sorted(versions) == list(range(min(versions), version))):
        raise ConfigurationError(
            "upcasters",
            f"{record.name} is of version {version} and has upcasters for {versions}; "
            f"there must be one for each version from the oldest to {version - 1}",
        )
    for each, upcaster in record.upcasters.items():
        if not callable(upcaster):
            raise ConfigurationError("upcasters", f"that of version {each} of {record.name} is no function")

"""The closed set of messages that a service writes or reads, and their way to text and back."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Generic, TypeVar, cast, overload

import msgspec

from outbox_sdk.core.attributes import read_attributes
from outbox_sdk.core.body import build_decoder, encode_body, find_body_fault, is_typed_dict
from outbox_sdk.core.errors import ConfigurationError, InvalidMessageError, UndecodableMessageError
from outbox_sdk.core.message_type import MessageType, Upcaster, find_message_type, is_message_name

__all__ = ["Catalog"]

_EventT = TypeVar("_EventT")
_OtherT = TypeVar("_OtherT")
_A = TypeVar("_A")
_B = TypeVar("_B")
_C = TypeVar("_C")
_D = TypeVar("_D")
_E = TypeVar("_E")
_F = TypeVar("_F")
_G = TypeVar("_G")
_H = TypeVar("_H")

# No number of an older body passes through a float on its way to the version that is read.
_READ_OLDER = msgspec.json.Decoder(float_hook=Decimal)
_WRITE_NEWER = msgspec.json.Encoder(decimal_format="number")


class _Member(msgspec.Struct, frozen=True):
    message_class: type[Any]
    message_type: MessageType
    read: Callable[[str], object]


class Catalog(Generic[_EventT]):
    """The messages that a service writes or reads: classes that carry :func:`~outbox_sdk.message`.

    ``Catalog(OrderCreated, OrderShipped)`` is a ``Catalog[OrderCreated | OrderShipped]`` to a type checker,
    for up to eight classes; ``catalog | other`` is both together. It never changes, and is made once: what
    reads the bodies is built here.

    Raises:
        ConfigurationError: a class carries no record, two have one name, or a class cannot be read.

    >>> from outbox_sdk.core.message_type import message
    >>> @message("order.created", topic="order--created")
    ... class OrderCreated(msgspec.Struct):
    ...     order_id: str
    >>> catalog = Catalog(OrderCreated)
    >>> catalog.encode(OrderCreated("7"))
    '{"order_id":"7"}'
    >>> catalog.decode('{"order_id":"7"}', {"MessageType": "order.created", "SchemaVersion": "1"})
    OrderCreated(order_id='7')
    """

    __slots__ = ("_by_class", "_by_name")

    @overload
    def __init__(self: "Catalog[_A]", a: type[_A], /) -> None: ...
    @overload
    def __init__(self: "Catalog[_A | _B]", a: type[_A], b: type[_B], /) -> None: ...
    @overload
    def __init__(self: "Catalog[_A | _B | _C]", a: type[_A], b: type[_B], c: type[_C], /) -> None: ...
    @overload
    def __init__(
        self: "Catalog[_A | _B | _C | _D]", a: type[_A], b: type[_B], c: type[_C], d: type[_D], /
    ) -> None: ...
    @overload
    def __init__(
        self: "Catalog[_A | _B | _C | _D | _E]",
        a: type[_A],
        b: type[_B],
        c: type[_C],
        d: type[_D],
        e: type[_E],
        /,
    ) -> None: ...
    @overload
    def __init__(
        self: "Catalog[_A | _B | _C | _D | _E | _F]",
        a: type[_A],
        b: type[_B],
        c: type[_C],
        d: type[_D],
        e: type[_E],
        f: type[_F],
        /,
    ) -> None: ...
    @overload
    def __init__(
        self: "Catalog[_A | _B | _C | _D | _E | _F | _G]",
        a: type[_A],
        b: type[_B],
        c: type[_C],
        d: type[_D],
        e: type[_E],
        f: type[_F],
        g: type[_G],
        /,
    ) -> None: ...
    @overload
    def __init__(
        self: "Catalog[_A | _B | _C | _D | _E | _F | _G | _H]",
        a: type[_A],
        b: type[_B],
        c: type[_C],
        d: type[_D],
        e: type[_E],
        f: type[_F],
        g: type[_G],
        h: type[_H],
        /,
    ) -> None: ...
    def __init__(self, *classes: type[Any]) -> None:
        self._set_members([_build_member(each) for each in classes])

    def _set_members(self, members: list[_Member]) -> None:
        self._by_class = {member.message_class: member for member in members}
        self._by_name: dict[str, _Member] = {}
        for member in members:
            name, other = member.message_type.name, self._by_name.get(member.message_type.name)
            if other is not None:
                raise ConfigurationError(
                    "catalog",
                    f"{name} names both {other.message_class.__name__} and {member.message_class.__name__}",
                )
            self._by_name[name] = member

    def __or__(self, other: "Catalog[_OtherT]") -> "Catalog[_EventT | _OtherT]":
        merged = cast("Catalog[_EventT | _OtherT]", object.__new__(Catalog))
        merged._set_members(list({**self._by_class, **other._by_class}.values()))
        return merged

    def __contains__(self, message_class: object) -> bool:
        return isinstance(message_class, type) and message_class in self._by_class

    def __iter__(self) -> Iterator[type[_EventT]]:
        return iter(self._by_class)

    def __len__(self) -> int:
        return len(self._by_class)

    def __repr__(self) -> str:
        return f"Catalog({', '.join(each.__name__ for each in self._by_class)})"

    def type_of(self, message_class: type) -> MessageType:
        """Give the record of a class of this catalog.

        Raises:
            ConfigurationError: the class is not in here.
        """
        member = self._by_class.get(message_class)
        if member is None:
            raise ConfigurationError(
                "catalog", f"{message_class.__name__} is not in it; add it to Catalog(…)"
            )
        return member.message_type

    def encode(self, event: _EventT, of: type[_EventT] | None = None) -> str:
        """Write the body of a message. ``of`` names the class where ``event`` is a plain dictionary.

        Not promised: that a value which breaks the annotations of its class is refused; a dictionary is
        compared with its TypedDict, though.

        Raises:
            InvalidMessageError: the class is not in here, or the value has no JSON.
        """
        message_class = type(event) if of is None else of
        if message_class not in self._by_class:
            hint = "; name the TypedDict by of=" if message_class is dict else "; add it to Catalog(…)"
            raise InvalidMessageError(
                "message" if of is None else "of", f"{message_class.__name__} is not in the catalog{hint}"
            )
        if is_typed_dict(message_class):
            _check_dictionary(event, message_class)
        elif type(event) is not message_class:
            raise InvalidMessageError(
                "message", f"is a {type(event).__name__}, and of= says {message_class.__name__}"
            )
        return encode_body(event)

    def decode(self, body: str, attributes: Mapping[str, object]) -> _EventT:
        """Read a message: its class by ``MessageType``, an older version by way of its upcasters.

        ``attributes`` are in any shape that :func:`~outbox_sdk.core.attributes.read_attributes` reads. Where
        there is no ``SchemaVersion`` the version is 1. What a class does not name is ignored, unless the
        class forbids it. ``body`` is what the producer wrote, without an envelope.

        Raises:
            UndecodableMessageError: whatever the fault; no other error comes out of here.
        """
        texts = read_attributes(attributes)
        name = texts.get("MessageType")
        member = None if name is None else self._by_name.get(name)
        if member is None:
            raise _unknown_type(name)
        known = member.message_type
        version = _read_version(texts.get("SchemaVersion"), known)
        if not isinstance(body, str):
            raise UndecodableMessageError(
                "invalid_body", f"that of {known.name} is no text", message_type=known.name, path="$"
            )
        if version < known.version:
            body = _upcast(body, version, member)
        return cast("_EventT", _read(body, member))


def _build_member(message_class: type[Any]) -> _Member:
    if not isinstance(message_class, type):
        raise ConfigurationError("catalog", f"{message_class!r} is not a class")
    name = message_class.__name__
    message_type = find_message_type(message_class)
    if message_type is None:
        raise ConfigurationError("catalog", f'{name} has no record; put @message("…", topic="…") above it')
    try:
        return _Member(message_class, message_type, build_decoder(message_class))
    except (TypeError, NameError) as error:
        raise ConfigurationError("catalog", f"{name} cannot be read: {error}") from error


def _check_dictionary(event: object, message_class: type) -> None:
    fault = None
    try:
        msgspec.convert(event, message_class)
    except msgspec.ValidationError as error:
        fault = find_body_fault(error, message_class)
    if fault is not None:  # raised out here, so that the error which quotes the value is not kept
        raise InvalidMessageError("message", f"is no {message_class.__name__}: {fault.path} {fault.problem}")


def _unknown_type(name: str | None) -> UndecodableMessageError:
    if name is None:
        return UndecodableMessageError("unknown_type", "there is no attribute MessageType")
    if not is_message_name(name):
        return UndecodableMessageError("unknown_type", "the attribute MessageType holds no name")
    return UndecodableMessageError(
        "unknown_type", f"{name} is not in the catalog; add its class to Catalog(…)", message_type=name
    )


def _read_version(text: str | None, known: MessageType) -> int:
    """Give the version of a message that its class can read."""
    if text is None:
        version = 1
    elif text.isascii() and text.isdigit() and len(text) <= 38 and int(text) >= 1:
        version = int(text)
    else:
        problem = f"that of {known.name} is not a whole number from 1 on"
        raise UndecodableMessageError("unknown_version", problem, message_type=known.name)
    here = f"{known.name} is of version {version}, and of {known.version} here"
    if version > known.version:
        problem = f"{here}; deploy its newer class before the producer writes it"
        raise UndecodableMessageError("newer_version", problem, message_type=known.name)
    if version < known.oldest:
        problem = f"{here}; give @message(…, upcasters=…) a function for version {version}"
        raise UndecodableMessageError("no_upcaster", problem, message_type=known.name)
    return version


def _upcast(body: str, version: int, member: _Member) -> str:
    known = member.message_type
    try:
        document = _READ_OLDER.decode(body)
        fault = None if isinstance(document, dict) else "is no object"
    except (ValueError, RecursionError, ArithmeticError):
        document, fault = None, "is not JSON"
    if fault is not None:
        raise _invalid_body(known, "$", fault)
    for each in range(version, known.version):
        document = _upcast_once(document, each, known)
    try:
        return _WRITE_NEWER.encode(document).decode()
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        failed = type(error).__name__
    raise _upcaster_failed(known, known.version - 1, f"gives what has no JSON ({failed})")


def _upcast_once(document: dict[str, Any], version: int, known: MessageType) -> dict[str, Any]:
    upcaster: Upcaster = known.upcasters[version]
    try:
        upcast: object = upcaster(document)
    except Exception as error:  # a function of the user, of a body that may hold anything
        problem = f"fails with {type(error).__name__}"
    else:
        if isinstance(upcast, dict):
            return upcast
        problem = f"gives a {type(upcast).__name__} and no object"
    # Out here: what the function raised may quote the body.
    raise _upcaster_failed(known, version, problem)


def _read(body: str, member: _Member) -> object:
    try:
        return member.read(body)
    except Exception as error:  # a validator of the user may raise anything
        fault = find_body_fault(error, member.message_class)
    raise _invalid_body(member.message_type, fault.path, fault.problem)


def _invalid_body(known: MessageType, path: str, problem: str) -> UndecodableMessageError:
    return UndecodableMessageError(
        "invalid_body", f"that of {known.name}: {path} {problem}", message_type=known.name, path=path
    )


def _upcaster_failed(known: MessageType, version: int, problem: str) -> UndecodableMessageError:
    text = f"that of version {version} of {known.name} {problem}"
    return UndecodableMessageError("upcaster_failed", text, message_type=known.name)

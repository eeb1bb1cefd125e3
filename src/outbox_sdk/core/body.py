"""The body of a message: from a value of its class to JSON text, and back; and what is wrong with a text."""

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from outbox_sdk.core.errors import InvalidMessageError

__all__ = [
    "BodyFault",
    "build_decoder",
    "encode_body",
    "find_body_fault",
    "is_message_class",
    "is_pydantic",
    "is_typed_dict",
]

# Of what msgspec says, only sentences that speak of the class: others quote the value.
_SAFE_PROBLEM = re.compile(
    r"Expected `[^`]*`, got `[^`]*`|Object missing required field `[^`]*`|Number out of range"
    r"|Expected `[^`]*` (?:of length )?[<>]=? [^ `]*"
)
_PATH = re.compile(r" - at (?:`key` in )?`(\$[^`]*)`$")


class BodyFault(msgspec.Struct, frozen=True):
    """Where a body is not what its class says, and how; neither quotes it.

    ``path`` begins with ``$``, the body itself. A key that is not a name of the class is ``[...]``.
    """

    path: str
    problem: str


def is_message_class(candidate: object) -> bool:
    """Tell a class that can describe a body.

    That is a msgspec Struct, a dataclass, an attrs class, a TypedDict or a pydantic model.
    """
    return isinstance(candidate, type) and (
        issubclass(candidate, msgspec.Struct)
        or dataclasses.is_dataclass(candidate)
        or hasattr(candidate, "__attrs_attrs__")
        or is_typed_dict(candidate)
        or is_pydantic(candidate)
    )


def is_typed_dict(candidate: type) -> bool:
    """Tell a TypedDict, of whichever module: the values of one are plain dictionaries."""
    return issubclass(candidate, dict) and isinstance(
        getattr(candidate, "__required_keys__", None), frozenset
    )


def is_pydantic(candidate: type) -> bool:
    """Tell a pydantic model by what it can do: pydantic itself is never imported for it."""
    return callable(getattr(candidate, "model_validate_json", None)) and callable(
        getattr(candidate, "model_dump_json", None)
    )


def encode_body(event: object) -> str:
    """Write a value as the JSON text of its body. A pydantic model writes itself, by its aliases.

    Raises:
        InvalidMessageError: it has no JSON, or is bytes; the value is not quoted.
    """
    if isinstance(event, bytes | bytearray | memoryview):
        # msgspec would write it as a JSON string of base64, which nobody who gives a body as bytes means.
        problem = f"is of type {type(event).__name__}: decode it to text, or put the base64 of it as text"
        raise InvalidMessageError("message", problem)
    if is_pydantic(type(event)):
        return _encode_model(event)
    try:
        return msgspec.json.encode(event).decode()
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError, RecursionError) as error:
        problem = f"a {type(event).__name__} is not encoded as JSON by msgspec; pass its JSON text"
        raise InvalidMessageError("message", problem) from error


def _encode_model(event: Any) -> str:  # pydantic is not there to name the type
    try:
        return str(event.model_dump_json(by_alias=True))
    except Exception as error:  # a serialiser of the user may raise anything
        failed = type(error).__name__
    # Out here, so that an error which quotes the value is not kept.
    raise InvalidMessageError("message", f"a {type(event).__name__} does not write itself as JSON ({failed})")


def build_decoder(message_class: type) -> Callable[[str], object]:
    """Build what reads a body as a value of a class; once a class, for that is slow.

    msgspec reads strictly: a string is no number. A pydantic model is as strict as it is configured.

    Raises:
        TypeError: msgspec does not know a type of the class.
        NameError: an annotation names what is not there.
    """
    if is_pydantic(message_class):
        model: Any = message_class
        reader: Callable[[str], object] = model.model_validate_json
        return reader
    return msgspec.json.Decoder(message_class).decode


def find_body_fault(error: Exception, message_class: type) -> BodyFault:
    """Say where a body is not what its class says, from the error of :func:`build_decoder`'s function.

    Errors of libraries quote what they were given, so nothing of their text is passed on that could.
    """
    if is_pydantic(message_class) and callable(getattr(error, "errors", None)):
        return _pydantic_fault(error, message_class)
    if isinstance(error, msgspec.ValidationError):
        return _msgspec_fault(error)
    if isinstance(error, msgspec.DecodeError | UnicodeError):
        return BodyFault("$", "is not JSON")
    if isinstance(error, RecursionError):
        return BodyFault("$", "is nested too deep")
    return BodyFault("$", f"is refused by {message_class.__name__} with {type(error).__name__}")


def _msgspec_fault(error: msgspec.ValidationError) -> BodyFault:
    text = str(error)
    cause = error.__cause__
    if cause is not None:  # raised by the class itself, whose words come first
        text = text.removeprefix(str(cause))
    found = _PATH.search(text)
    safe = _SAFE_PROBLEM.match(text) if cause is None else None
    return BodyFault(found[1] if found else "$", safe[0] if safe else "is not what the class says")


def _pydantic_fault(error: Any, message_class: type) -> BodyFault:
    first, *_ = error.errors(include_url=False, include_context=False, include_input=False) or [{}]
    if first.get("type") == "json_invalid":
        return BodyFault("$", "is not JSON")
    known = _field_names(message_class)
    path = "".join(_pydantic_steps(first.get("loc", ()), known))
    # The type of the error is one of pydantic's, `int_parsing`, or one that a validator gave.
    kind = str(first.get("type", ""))
    return BodyFault(
        f"${path}", kind if re.fullmatch(r"[a-z_]{1,64}", kind) else "is not what the class says"
    )


def _pydantic_steps(location: Iterable[object], known: frozenset[str]) -> Iterator[str]:
    for step in location:
        if isinstance(step, int):
            yield f"[{step}]"
        else:
            yield f".{step}" if step in known else "[...]"


def _field_names(message_class: Any) -> frozenset[str]:
    """Give all names that a model and those below it have for fields; any other key is of the message."""
    try:
        schema = message_class.model_json_schema(by_alias=True)
    except Exception:  # a model may hold what has no schema, and its own code may run
        return frozenset(message_class.model_fields)
    return frozenset(_property_names(schema))


def _property_names(schema: object) -> Iterator[str]:
    match schema:
        case dict():
            properties = schema.get("properties")
            if isinstance(properties, dict):
                yield from properties
            for part in schema.values():
                yield from _property_names(part)
        case list():
            for part in schema:
                yield from _property_names(part)
        case _:
            pass

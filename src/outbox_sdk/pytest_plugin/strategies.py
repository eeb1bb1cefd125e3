"""Values that annotations describe and JSON carries, for Hypothesis to make up events of."""

import dataclasses
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Union

import msgspec
from hypothesis import strategies as st

from outbox_sdk.core.body import is_typed_dict

__all__ = ["events_of"]

# Any: an annotation, and what is made of it.
_NUMBERS: Mapping[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
}


def events_of(message_class: type[Any]) -> st.SearchStrategy[Any]:
    """Give events of a class, every field made up from its annotation.

    Numbers are those that JSON has: no NaN, and whole ones within 64 bits. What ``msgspec.Meta`` or
    pydantic's ``Field`` asks of a value in the annotation is kept to; where more is asked than that, override
    :meth:`~outbox_sdk.pytest_plugin.laws.EventLaws.events`.

    >>> import msgspec
    >>> from hypothesis import find
    >>> class OrderCreated(msgspec.Struct):
    ...     order_id: str
    ...     lines: list[int] = []
    >>> find(events_of(OrderCreated), lambda order: len(order.lines) == 2)
    OrderCreated(order_id='', lines=[0, 0])
    """
    if is_typed_dict(message_class):
        return _dictionaries(message_class)
    values = {name: _values_of(kind) for name, kind in _arguments(message_class).items()}
    return st.builds(message_class, **values)


def _arguments(message_class: type[Any]) -> Mapping[str, Any]:
    """Give what the class is made with, by keyword, and the annotation of each."""
    if issubclass(message_class, msgspec.Struct):
        return {each.name: each.type for each in msgspec.structs.fields(message_class)}
    hints = typing.get_type_hints(message_class, include_extras=True)
    if dataclasses.is_dataclass(message_class):
        return {each.name: hints[each.name] for each in dataclasses.fields(message_class) if each.init}
    # attrs takes names without their underscores, and pydantic has in the signature what a Field asks.
    found = {}
    for parameter in inspect.signature(message_class).parameters.values():
        kind = parameter.annotation
        if isinstance(kind, str):
            kind = hints.get(parameter.name, hints.get(f"_{parameter.name}", inspect.Parameter.empty))
        if parameter.kind is not parameter.VAR_KEYWORD and kind is not inspect.Parameter.empty:
            found[parameter.name] = kind
    return found


def _dictionaries(message_class: Any) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(message_class, include_extras=True)
    values = {name: _values_of(_without_presence(kind)) for name, kind in hints.items()}
    optional = {name: values[name] for name in message_class.__optional_keys__}
    required = {name: values[name] for name in message_class.__required_keys__}
    return st.fixed_dictionaries(required, optional=optional)


def _without_presence(kind: Any) -> Any:
    """Take ``Required`` and ``NotRequired`` off an annotation."""
    presence = (typing.Required, typing.NotRequired)
    return typing.get_args(kind)[0] if typing.get_origin(kind) in presence else kind


def _values_of(kind: Any) -> st.SearchStrategy[Any]:
    if kind in _NUMBERS:
        return _NUMBERS[kind]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return _constrained(kind, *arguments)
    if origin in _GENERIC:
        values = [each if each is Ellipsis else _values_of(each) for each in arguments]
        return _GENERIC[origin](*values)
    return _nested(kind) if isinstance(kind, type) and _has_fields(kind) else st.from_type(kind)


def _tuples(*values: Any) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(values[0]).map(tuple) if Ellipsis in values else st.tuples(*values)


_GENERIC: Mapping[Any, Callable[..., st.SearchStrategy[Any]]] = {
    Union: st.one_of,
    types.UnionType: st.one_of,
    list: st.lists,
    set: st.sets,
    frozenset: st.frozensets,
    dict: st.dictionaries,
    tuple: _tuples,
}


def _has_fields(kind: type[Any]) -> bool:
    return issubclass(kind, msgspec.Struct) or dataclasses.is_dataclass(kind) or is_typed_dict(kind)


@cache
def _nested(kind: type[Any]) -> st.SearchStrategy[Any]:
    # One strategy a class, and made when it is drawn from: a class may have fields of its own type.
    return st.deferred(lambda: events_of(kind))


def _constrained(kind: Any, base: Any, *asked: Any) -> st.SearchStrategy[Any]:
    metas = [each for each in asked if isinstance(each, msgspec.Meta)]
    if not metas:
        values = st.from_type(kind)
        return values.filter(math.isfinite) if base is float else values
    patterns = [each.pattern for each in metas if each.pattern is not None]
    values = st.from_regex(patterns[0]) if patterns else _values_of(base)
    return values.filter(lambda value: _is_valid(value, kind))


def _is_valid(value: object, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True

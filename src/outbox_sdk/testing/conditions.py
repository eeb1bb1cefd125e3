"""DynamoDB's condition expressions, for the double of a client: all of their grammar but ``size``."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from outbox_sdk.testing.expressions import NOTHING, ExpressionError, ExpressionReader, Value, found

__all__ = ["holds"]


def holds(item: Mapping[str, Value] | None, action: Mapping[str, Any]) -> bool:
    """Tell whether an action's condition holds for an item, ``None`` where there is none.

    >>> action = {"ConditionExpression": "A > :a", "ExpressionAttributeValues": {":a": {"N": "9"}}}
    >>> holds({"A": {"N": "10"}}, action), holds(None, action)
    (True, False)
    """
    text = action.get("ConditionExpression")
    if text is None:
        return True
    reader = ExpressionReader(text, action, item or {})
    result = _either(reader)
    reader.end()
    return result


def _either(reader: ExpressionReader) -> bool:
    result = _both(reader)
    while reader.skip("OR"):
        result = _both(reader) or result
    return result


def _both(reader: ExpressionReader) -> bool:
    result = _negated(reader)
    while reader.skip("AND"):
        result = _negated(reader) and result
    return result


def _negated(reader: ExpressionReader) -> bool:
    if reader.skip("NOT"):
        return not _negated(reader)
    if reader.skip("("):
        result = _either(reader)
        reader.expect(")")
        return result
    return _function(reader) if reader.peek(1) == "(" else _comparison(reader)


def _function(reader: ExpressionReader) -> bool:
    name = reader.call()
    if name in ("attribute_exists", "attribute_not_exists"):
        value = found({"M": reader.item}, reader.path())
        reader.expect(")")
        return (value is not NOTHING) == (name == "attribute_exists")
    value = reader.operand()
    reader.expect(",")
    other = reader.operand()
    reader.expect(")")
    match name:
        case "attribute_type":
            return value is not NOTHING and other["S"] in value
        case "begins_with":
            return any(
                value[kind].startswith(other[kind]) for kind in ("S", "B") if _both_are(kind, value, other)
            )
        case "contains":
            return _contains(value, other)
        case _:
            raise ExpressionError(f"{name} is no function that this double knows")


def _both_are(kind: str, *values: Value) -> bool:
    return all(value is not NOTHING and kind in value for value in values)


def _contains(whole: Value, part: Value) -> bool:
    if _both_are("S", whole, part):
        return part["S"] in whole["S"]
    if whole is NOTHING or part is NOTHING:
        return False
    ((kind, content),) = whole.items()
    if kind == "L":
        return any(_equal(element, part) for element in content)
    if kind in ("SS", "NS", "BS"):
        return any(_equal({kind[0]: element}, part) for element in content)
    return False


_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


def _comparison(reader: ExpressionReader) -> bool:
    left, operator = reader.operand(), reader.take().upper()
    if operator in ("=", "<>"):
        return _equal(left, reader.operand()) == (operator == "=")
    if operator == "IN":
        reader.expect("(")
        found = _equal(left, reader.operand())
        while reader.skip(","):
            found = _equal(left, reader.operand()) or found
        reader.expect(")")
        return found
    if operator == "BETWEEN":
        given = reader.peek().startswith(":")
        low = reader.operand()
        reader.expect("AND")
        given = given and reader.peek().startswith(":")
        high = reader.operand()
        if given and _ordered(">", low, high):
            raise ExpressionError("the bounds of BETWEEN are the wrong way round")
        return _ordered(">=", left, low) and _ordered("<=", left, high)
    if operator not in _COMPARE:
        raise ExpressionError(f"{operator} compares nothing")
    return _ordered(operator, left, reader.operand())


def _ordered(operator: str, left: Value, right: Value) -> bool:
    for kind, read in (("N", Decimal), ("S", str.encode), ("B", bytes)):
        if _both_are(kind, left, right):
            return _COMPARE[operator](read(left[kind]), read(right[kind]))
    return False


def _equal(left: Value, right: Value) -> bool:
    if left is NOTHING or right is NOTHING:
        return False
    return bool(_plain(left) == _plain(right))


def _plain(value: Value) -> Any:
    """Give a value so that equal ones are equal: numbers by their value, sets in any order."""
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return kind, Decimal(content)
        case "SS" | "BS":
            return kind, frozenset(content)
        case "NS":
            return kind, frozenset(map(Decimal, content))
        case "L":
            return kind, [_plain(element) for element in content]
        case "M":
            return kind, {name: _plain(element) for name, element in content.items()}
        case _:
            return kind, content

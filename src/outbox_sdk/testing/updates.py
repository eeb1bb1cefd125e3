"""DynamoDB's update expressions, for the double of a client: ``SET``, ``REMOVE``, ``ADD`` and ``DELETE``."""

from collections.abc import Mapping, Sequence
from decimal import Context, Decimal
from typing import Any

from outbox_sdk.testing.expressions import (
    NOTHING,
    ExpressionError,
    ExpressionReader,
    Path,
    Value,
    found,
    placed,
)

__all__ = ["updated"]

_CLAUSES = ("SET", "REMOVE", "ADD", "DELETE")
_EXACT = Context(prec=38)  # the digits that DynamoDB keeps


def updated(item: Mapping[str, Value], action: Mapping[str, Any]) -> dict[str, Value]:
    """Give an item as an action's update leaves it.

    >>> updated({}, {"UpdateExpression": "ADD A :a", "ExpressionAttributeValues": {":a": {"N": "1"}}})
    {'A': {'N': '1'}}
    """
    reader = ExpressionReader(action["UpdateExpression"], action, item)
    changes: list[tuple[Path, Value]] = []
    while reader.left():
        clause = reader.take().upper()
        if clause not in _CLAUSES:
            raise ExpressionError(f"{clause} is not one of {', '.join(_CLAUSES)}")
        changes.append(_change(clause, reader))
        while reader.skip(","):
            changes.append(_change(clause, reader))
    result: Value = {"M": dict(item)}
    for path, value in changes:
        if value is not NOTHING:
            result = placed(result, path, value)
    # From the end of a list, so that no removal moves what is still to be removed.
    removed = [path for path, value in changes if value is NOTHING]
    for path in sorted(removed, key=lambda path: [str(part).zfill(9) for part in path], reverse=True):
        result = placed(result, path, NOTHING)
    return dict(result["M"])


def _change(clause: str, reader: ExpressionReader) -> tuple[Path, Value]:
    path = reader.path()
    if clause == "REMOVE":
        return path, NOTHING
    if clause == "SET":
        reader.expect("=")
        value = _sum(reader)
        if value is NOTHING:
            raise ExpressionError("an operand of the update is not in the item")
        return path, value
    old, operand = found({"M": reader.item}, path), reader.operand()
    ((kind, content),) = operand.items()
    if kind == "N" and clause == "ADD":
        return path, _number(_EXACT.add(_decimal(old) if old is not NOTHING else Decimal(), Decimal(content)))
    if kind not in ("SS", "NS", "BS") or (old is not NOTHING and kind not in old):
        raise ExpressionError(f"{clause} does not fit the type of what is there")
    # Numbers are the same by their value, however they are written.
    read = Decimal if kind == "NS" else _itself
    present = {read(each): each for each in (old[kind] if old is not NOTHING else ())}
    given = {read(each): each for each in content}
    kept = {**given, **present} if clause == "ADD" else {k: v for k, v in present.items() if k not in given}
    return path, {kind: list(kept.values())} if kept else NOTHING


def _itself(element: Any) -> Any:
    return element


def _sum(reader: ExpressionReader) -> Value:
    value = _term(reader)
    if reader.peek() not in ("+", "-"):
        return value
    sign = reader.take()
    other = _decimal(_term(reader))
    return _number((_EXACT.add if sign == "+" else _EXACT.subtract)(_decimal(value), other))


def _term(reader: ExpressionReader) -> Value:
    if reader.peek(1) != "(":
        return reader.operand()
    match reader.call():
        case "if_not_exists":
            value = found({"M": reader.item}, reader.path())
            reader.expect(",")
            default = _sum(reader)
            reader.expect(")")
            return default if value is NOTHING else value
        case "list_append":
            first = _list(_sum(reader))
            reader.expect(",")
            second = _list(_sum(reader))
            reader.expect(")")
            return {"L": [*first, *second]}
        case name:
            raise ExpressionError(f"{name} is no function of an update")


def _list(value: Value) -> Sequence[Value]:
    if value is NOTHING or "L" not in value:
        raise ExpressionError("an operand of the update is no list")
    return value["L"]  # type: ignore[no-any-return] # by its type


def _decimal(value: Value) -> Decimal:
    if value is NOTHING or "N" not in value:
        raise ExpressionError("an operand of the update is no number")
    return Decimal(value["N"])


def _number(value: Decimal) -> Value:
    text = format(value, "f")
    return {"N": text.rstrip("0").rstrip(".") if "." in text else text}

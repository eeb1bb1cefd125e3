"""DynamoDB's expressions as tokens, and the paths and values that they name, for the double of a client."""

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["NOTHING", "ExpressionError", "ExpressionReader", "Path", "Value", "found", "placed"]

_TOKEN = re.compile(r"\s*(<>|<=|>=|[=<>(),+\-]|\[\d+\]|\.|[#:]\w+|\w+)", re.ASCII)

NOTHING: Any = None
"""An attribute that is not there."""

Value = Any
"""An attribute as DynamoDB writes it. Any: it nests without a bound."""

Path = tuple[str | int, ...]
"""Names of maps and places in lists, from the item on."""


class ExpressionError(Exception):
    """The expression is none, or does not fit the item: DynamoDB answers with a ``ValidationException``."""


class ExpressionReader:
    """An expression's tokens, one after the other, and what its placeholders stand for."""

    def __init__(self, text: str, action: Mapping[str, Any], item: Mapping[str, Value]) -> None:
        self._tokens = _TOKEN.findall(text)
        if "".join(self._tokens) != re.sub(r"\s", "", text):
            raise ExpressionError("a character stands where none may")
        self._names: Mapping[str, str] = action.get("ExpressionAttributeNames") or {}
        self._values: Mapping[str, Value] = action.get("ExpressionAttributeValues") or {}
        self.item = item

    def left(self) -> bool:
        """Tell whether there are tokens left."""
        return bool(self._tokens)

    def peek(self, place: int = 0) -> str:
        """Look at a token to come; empty behind the end."""
        return self._tokens[place] if len(self._tokens) > place else ""

    def take(self) -> str:
        """Take the next token."""
        if not self._tokens:
            raise ExpressionError("the expression ends too early")
        return str(self._tokens.pop(0))

    def skip(self, token: str) -> bool:
        """Take a token if it comes next; words in any case."""
        if self.peek().upper() != token:
            return False
        self._tokens.pop(0)
        return True

    def expect(self, token: str) -> None:
        """Take a token that must come next."""
        if not self.skip(token):
            raise ExpressionError(f"{token} is missing")

    def end(self) -> None:
        """Be at the end."""
        if self._tokens:
            raise ExpressionError("the expression goes on where it should end")

    def path(self) -> Path:
        """Take a path."""
        parts: list[str | int] = [self._name()]
        while True:
            if self.skip("."):
                parts.append(self._name())
            elif self.peek().startswith("["):
                parts.append(int(self.take()[1:-1]))
            else:
                return tuple(parts)

    def _name(self) -> str:
        token = self.take()
        if not token.startswith("#"):
            return token
        if token not in self._names:
            raise ExpressionError(f"{token} stands for no name")
        return self._names[token]

    def operand(self) -> Value:
        """Give the value of a placeholder, or what the item holds at a path."""
        if self.peek().startswith(":"):
            token = self.take()
            if token not in self._values:
                raise ExpressionError(f"{token} stands for no value")
            return self._values[token]
        return found({"M": self.item}, self.path())

    def call(self) -> str:
        """Take the name of a function and the parenthesis behind it."""
        name = self.take()
        self.expect("(")
        return name


def found(value: Value, path: Path) -> Value:
    """Give what is at a path; ``NOTHING`` where there is nothing."""
    for part in path:
        inner = value.get("M" if isinstance(part, str) else "L") if value is not None else None
        if inner is None:
            return NOTHING
        if isinstance(part, int):
            value = inner[part] if part < len(inner) else NOTHING
        else:
            value = inner.get(part, NOTHING)
    return value


def placed(value: Value, path: Path, new: Value) -> Value:
    """Give a value with another one at a path; nothing there removes what was."""
    part, rest = path[0], path[1:]
    kind = "M" if isinstance(part, str) else "L"
    if value is None or kind not in value:
        raise ExpressionError("the path of the update is not in the item")
    old = found(value, (part,))
    inner = placed(old, rest, new) if rest else new
    if isinstance(part, str):
        kept = {name: each for name, each in value["M"].items() if name != part}
        return {"M": kept if inner is NOTHING else {**kept, part: inner}}
    elements = [*value["L"][:part], *([] if inner is NOTHING else [inner]), *value["L"][part + 1 :]]
    return {"L": elements}

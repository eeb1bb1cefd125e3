"""Lambda's event filter patterns, as far as they can be worked out without AWS."""

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["UnknownPatternError", "matches_pattern", "parse_pattern"]


class UnknownPatternError(Exception):
    """A pattern has a rule that is not known here, or is none."""


def parse_pattern(text: str) -> dict[str, Any]:
    """Read a pattern.

    Raises:
        UnknownPatternError: it is no JSON object.
    """
    try:
        pattern = json.loads(text)
    except ValueError as error:
        raise UnknownPatternError("a pattern is no JSON") from error
    if not isinstance(pattern, dict):
        raise UnknownPatternError("a pattern is no JSON object")
    return pattern


def matches_pattern(pattern: Mapping[str, Any], value: object) -> bool:
    """Tell whether a record matches: every key of the pattern, and of each list one rule.

    Raises:
        UnknownPatternError: the pattern has a rule that is not known here.

    >>> outstanding = {"dynamodb": {"NewImage": {"NotDispatched": {"S": [{"exists": True}]}}}}
    >>> matches_pattern(outstanding, {"dynamodb": {"NewImage": {"NotDispatched": {"S": "07"}}}})
    True
    >>> matches_pattern(outstanding, {"dynamodb": {"NewImage": {}}})
    False
    """
    held = value if isinstance(value, Mapping) else {}
    for name, rules in pattern.items():
        if name == "$or":
            if not any(matches_pattern(each, value) for each in rules):
                return False
        elif isinstance(rules, Mapping):
            if not matches_pattern(rules, held.get(name)):
                return False
        elif isinstance(rules, list):
            if not any(_accepts(rule, name in held, held.get(name)) for rule in rules):
                return False
        else:
            raise UnknownPatternError(f"{name} has neither rules in a list nor fields")
    return True


def _accepts(rule: object, present: bool, value: Any) -> bool:
    if not isinstance(rule, Mapping):
        return present and type(value) is type(rule) and bool(value == rule)
    if len(rule) != 1:
        raise UnknownPatternError("a rule has more than one word")
    ((kind, wanted),) = rule.items()
    is_leaf = present and not isinstance(value, Mapping)
    if kind == "exists":
        return is_leaf is bool(wanted)
    if not is_leaf:
        return False
    if kind == "anything-but":
        return not _is_one_of(wanted, value)
    return _matches_text(kind, wanted, value)


def _is_one_of(banned: object, value: Any) -> bool:
    if isinstance(banned, Mapping):
        return _accepts(banned, True, value)
    return value in (banned if isinstance(banned, list) else [banned])


def _matches_text(kind: str, wanted: object, value: Any) -> bool:
    if not (isinstance(value, str) and isinstance(wanted, str)):
        raise UnknownPatternError(f"the rule {kind!r} is not known")
    match kind:
        case "prefix":
            return value.startswith(wanted)
        case "suffix":
            return value.endswith(wanted)
        case "equals-ignore-case":
            return value.casefold() == wanted.casefold()
        case _:
            raise UnknownPatternError(f"the rule {kind!r} is not known")

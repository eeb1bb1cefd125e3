"""Evaluates identity policies as IAM does, as far as the generated ones go; whatever it does not know raises.

Written from IAM's documentation and without a look at the code under test, so that it can judge it. Moto's
own evaluator ignores most conditions and cannot tell which part of a policy was used.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

__all__ = ["AccessRequest", "Use", "find_uses", "is_allowed", "list_grants", "matches"]

_ELEMENTS = {"Sid", "Effect", "Action", "Resource", "Condition"}


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """What IAM is asked: may this action be done on this resource, with these values of condition keys?

    Without a resource (``*``) the action has none; then only ``*`` in a policy allows it.
    """

    action: str
    resource: str
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        """Name action and resource; the values of condition keys may be many."""
        return f"{self.action} on {self.resource}"


@dataclass(frozen=True, slots=True)
class Use:
    """The part of a policy that answered a request, as it is written there."""

    sid: str
    action: str
    resource: str


def is_allowed(policy: Mapping[str, Any], request: AccessRequest) -> bool:
    """Tell whether a policy by itself allows a request: a statement allows it, and none denies it."""
    return bool(find_uses(policy, request))


def find_uses(policy: Mapping[str, Any], request: AccessRequest) -> frozenset[Use]:
    """Give every part of a policy that allows a request; nothing where it is denied."""
    if policy.get("Version") != "2012-10-17" or set(policy) != {"Version", "Statement"}:
        raise ValueError("not a policy of version 2012-10-17, or with elements that are not known here")
    uses: set[Use] = set()
    denied = False
    for statement in policy["Statement"]:
        answers = _answer(statement, request)
        if statement["Effect"] == "Allow":
            uses |= answers
        elif statement["Effect"] == "Deny":
            denied = denied or bool(answers)
        else:
            raise ValueError(f"Effect {statement['Effect']!r} is not known")
    return frozenset() if denied else frozenset(uses)


def list_grants(policy: Mapping[str, Any]) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """List all actions and all resources that a policy allows, each with the statement that it is in."""
    actions: set[tuple[str, str]] = set()
    resources: set[tuple[str, str]] = set()
    for statement in policy["Statement"]:
        actions |= {(statement["Sid"], action) for action in _texts(statement["Action"])}
        resources |= {(statement["Sid"], resource) for resource in _texts(statement["Resource"])}
    return actions, resources


def _answer(statement: Mapping[str, Any], request: AccessRequest) -> set[Use]:
    unknown = set(statement) - _ELEMENTS
    if unknown or not {"Effect", "Action", "Resource"} <= set(statement):
        raise ValueError(f"a statement with {sorted(statement)} is not known")
    if not _holds(statement.get("Condition", {}), request.keys):
        return set()
    return {
        Use(statement.get("Sid", ""), action, resource)
        for action in _texts(statement["Action"])
        for resource in _texts(statement["Resource"])
        if matches(action.lower(), request.action.lower()) and matches(resource, request.resource)
    }


def _texts(value: Any) -> list[str]:
    texts = [value] if isinstance(value, str) else list(value)
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{value!r} is neither a text nor a list of texts")
    return texts


def matches(pattern: str, text: str) -> bool:
    """Match an action or an ARN with IAM's wildcards.

    ``?`` is one character and ``*`` any number of them, within a segment of an ARN (what is between two
    colons); a ``*`` at the end of a segment reaches beyond the colon. Letters count as they are written.
    """
    return _compiled(pattern).fullmatch(text) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    if "${" in pattern:
        raise ValueError(f"{pattern!r}: policy variables are not known")
    parts = []
    for position, character in enumerate(pattern):
        ends_segment = pattern[position + 1 : position + 2] in ("", ":")
        wild = {"*": ".*" if ends_segment else "[^:]*", "?": "[^:]"}
        parts.append(wild.get(character) or re.escape(character))
    return re.compile("".join(parts), re.DOTALL)


def _holds(condition: Mapping[str, Any], keys: Mapping[str, tuple[str, ...]]) -> bool:
    """Tell whether all of a condition holds: all operators and keys, each by any of its values."""
    given = {name.lower(): values for name, values in keys.items()}
    return all(
        _compare(operator, given.get(name.lower()), _texts(wanted))
        for operator, comparisons in condition.items()
        for name, wanted in comparisons.items()
    )


def _compare(operator: str, values: tuple[str, ...] | None, wanted: Iterable[str]) -> bool:
    if any("${" in text for text in wanted):
        raise ValueError(f"{wanted!r}: policy variables are not known")
    match operator:
        case "StringEquals":
            if values is not None and len(values) != 1:
                raise ValueError("a key of several values needs ForAllValues or ForAnyValue")
            return values is not None and values[0] in wanted
        case "StringLike":
            if values is not None and len(values) != 1:
                raise ValueError("a key of several values needs ForAllValues or ForAnyValue")
            return values is not None and any(_is_like(pattern, values[0]) for pattern in wanted)
        case "ForAllValues:StringEquals":
            # IAM's trap: without the key it holds as well.
            return set(values or ()) <= set(wanted)
        case _:
            raise ValueError(f"condition operator {operator!r} is not known")


def _is_like(pattern: str, text: str) -> bool:
    """Match a value: here both wildcards reach over anything, colons too."""
    parts = [{"*": ".*", "?": "."}.get(character) or re.escape(character) for character in pattern]
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None

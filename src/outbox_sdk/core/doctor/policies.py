"""Policies read: what a role may, what a resource's own policy refuses, and who it lets in.

Conditions of what is allowed are taken to hold, and those of what is denied not to: a doctor who cannot work
a condition out says neither.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

__all__ = ["covers", "find_denied", "find_missing", "find_wide", "lets_anyone", "statements_of", "texts_of"]

_WITHOUT_RESOURCE = ("cloudwatch:", "ec2:", "logs:", "xray:")
"""Services whose actions have no resource to name, or none that holds messages."""


def statements_of(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """List the statements, of which a policy may have one without a list."""
    found = document.get("Statement") or []
    listed = found if isinstance(found, list) else [found]
    return [each for each in listed if isinstance(each, Mapping)]


def texts_of(value: object) -> list[str]:
    """List what a policy writes as one text or as several."""
    if isinstance(value, str):
        return [value]
    return [str(each) for each in value] if isinstance(value, list | tuple) else []


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"([*?])", pattern)
    text = "".join({"*": ".*", "?": "."}.get(part) or re.escape(part) for part in parts)
    return re.compile(text, re.DOTALL)


def covers(pattern: str, text: str) -> bool:
    """Tell whether a pattern of IAM's covers a text, which may itself be a pattern.

    >>> covers("arn:aws:sns:*:1:orders-*", "arn:aws:sns:eu-west-1:1:orders-*")
    True
    >>> covers("arn:aws:sns:eu-west-1:1:orders", "arn:aws:sns:eu-west-1:1:orders-*")
    False
    """
    return _compiled(pattern).fullmatch(text) is not None


def _speaks_of(statement: Mapping[str, Any], action: str, resource: str) -> bool:
    acts = any(covers(each.lower(), action.lower()) for each in texts_of(statement.get("Action")))
    if "NotAction" in statement:
        acts = not any(covers(each.lower(), action.lower()) for each in texts_of(statement["NotAction"]))
    reaches = any(covers(each, resource) for each in texts_of(statement.get("Resource")))
    if "NotResource" in statement:
        reaches = not any(covers(each, resource) for each in texts_of(statement["NotResource"]))
    return acts and reaches


def find_missing(held: Iterable[Mapping[str, Any]], wanted: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give each action and resource of a wanted policy that the held ones do not allow together."""
    statements = [each for document in held for each in statements_of(document)]
    allowing = [each for each in statements if each.get("Effect") == "Allow"]
    denying = [each for each in statements if each.get("Effect") == "Deny" and "Condition" not in each]
    for statement in statements_of(wanted):
        for action in texts_of(statement["Action"]):
            for resource in texts_of(statement["Resource"]):
                allowed = any(_speaks_of(each, action, resource) for each in allowing)
                if not allowed or any(_speaks_of(each, action, resource) for each in denying):
                    yield action, resource


def find_wide(document: Mapping[str, Any]) -> Iterator[str]:
    """Give each action that is allowed on everything, or that stands for many."""
    for statement in statements_of(document):
        if statement.get("Effect") != "Allow":
            continue
        actions = texts_of(statement.get("Action")) or ["*"]  # what is allowed all but something
        everywhere = "*" in texts_of(statement.get("Resource")) or "NotResource" in statement
        for action in actions:
            if action.lower().startswith(_WITHOUT_RESOURCE):
                continue
            if everywhere or action == "*" or action.endswith(":*"):
                yield action


def _is_meant(principal: object, arns: Iterable[str]) -> bool:
    if isinstance(principal, Mapping):
        principal = principal.get("AWS", ())
    named = texts_of(principal)
    return "*" in named or any(arn in named for arn in arns)


def find_denied(policy: Mapping[str, Any], action: str, arns: Iterable[str]) -> bool:
    """Tell whether a resource's own policy denies an action to one of these principals, come what may."""
    principals = tuple(arns)
    return any(
        statement.get("Effect") == "Deny"
        and "Condition" not in statement
        and any(covers(each.lower(), action.lower()) for each in texts_of(statement.get("Action")))
        and _is_meant(statement.get("Principal"), principals)
        for statement in statements_of(policy)
    )


def lets_anyone(policy: Mapping[str, Any], action: str, arns: Iterable[str] = ()) -> bool:
    """Tell whether a resource's own policy allows an action to everyone, or to one of these principals.

    With ``arns`` a condition does not matter; without, it is what keeps everyone out.
    """
    principals = tuple(arns)
    return any(
        statement.get("Effect") == "Allow"
        and (principals or "Condition" not in statement)
        and any(covers(each.lower(), action.lower()) for each in texts_of(statement.get("Action")))
        and _is_meant(statement.get("Principal"), principals)
        for statement in statements_of(policy)
    )

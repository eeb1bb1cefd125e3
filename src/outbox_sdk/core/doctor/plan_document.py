"""What `terraform show -json` writes of a plan, read as far as resources and where their values come from.

The format is HashiCorp's, "JSON Output Format", version 1: ``planned_values`` has the values of all resources
by module, without those that are known after apply; ``resource_changes`` tells which these are; and
``configuration`` has the expressions as they are written, by the names they refer to.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from outbox_sdk.core.errors import ConfigurationError

__all__ = ["AFTER_APPLY", "PlanDocument", "Resource", "read_document"]

AFTER_APPLY = "known after apply"


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """A resource of a plan. ``unset`` names the arguments that nobody has written, if that can be told."""

    address: str
    module: str
    type: str
    name: str
    index: str
    values: Mapping[str, Any]
    pending: Mapping[str, Any]
    expressions: Mapping[str, Any] | None

    def is_pending(self, argument: str) -> bool:
        """Tell whether all of an argument, or some of it, is known after apply only."""
        return _has_true(self.pending.get(argument))

    def is_unset(self, argument: str) -> bool:
        """Tell whether nobody has written the argument, so that AWS's own default holds."""
        return self.expressions is not None and argument not in self.expressions

    def block(self, argument: str) -> Mapping[str, Any] | None:
        """Give the one nested block of a name; ``None`` where there is none."""
        value = self.values.get(argument)
        found = value[0] if isinstance(value, list) and value else value
        return found if isinstance(found, Mapping) else None


class PlanDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The resources of a plan, managed ones and those that were only read."""

    resources: tuple[Resource, ...]

    def of_type(self, type_: str) -> tuple[Resource, ...]:
        """List the resources of a type."""
        return tuple(each for each in self.resources if each.type == type_)

    def refers(self, source: Resource, argument: str, target: Resource) -> bool:
        """Tell whether an argument is written as a reference to a resource of the same module.

        Of several instances it is the one with the same key, unless the reference names another.
        """
        expression = (source.expressions or {}).get(argument)
        references = expression.get("references", []) if isinstance(expression, Mapping) else []
        if source.module != target.module:
            return False
        base = f"{target.type}.{target.name}"
        named = [each for each in references if each == base or each.startswith((f"{base}[", f"{base}."))]
        if not named:
            return False
        keyed = {found[1] for each in named if (found := _KEYED.match(each.removeprefix(base)))}
        if keyed:
            return target.index in keyed
        return target.index in ("", source.index)


_KEYED = re.compile(r"\[(\"[^\"]*\"|\d+)\]")
_INSTANCE = re.compile(r"\[(\"[^\"]*\"|\d+)\]$")


def read_document(content: bytes | str) -> PlanDocument:
    """Read the text that `terraform show -json PLAN` has written.

    Raises:
        ConfigurationError: it is no JSON, or no plan of a format that is known.
    """
    try:
        document = msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        raise ConfigurationError("--plan", f"is no JSON ({error}); write it with {_COMMAND}") from error
    version = document.get("format_version") if isinstance(document, dict) else None
    if not isinstance(version, str) or "planned_values" not in document:
        raise ConfigurationError("--plan", f"is not what Terraform shows of a plan; write it with {_COMMAND}")
    if not version.startswith("1."):
        raise ConfigurationError("--plan", f"has the format {version}, and 1.x is the one that is known")
    try:
        return PlanDocument(resources=tuple(_resources(document)))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigurationError("--plan", f"has no resources; write it with {_COMMAND}") from error


_COMMAND = "terraform show -json PLAN_FILE"


def _resources(document: Mapping[str, Any]) -> Iterator[Resource]:
    pending = {
        each["address"]: each["change"].get("after_unknown") or {}
        for each in document.get("resource_changes") or ()
    }
    root = (document.get("configuration") or {}).get("root_module")
    # What is planned, and of what was only read, the state before: a plan does not repeat it.
    states = [document["planned_values"], (document.get("prior_state") or {}).get("values") or {}]
    seen: set[str] = set()
    for position, state in enumerate(states):
        for module, values in _flatten(state.get("root_module") or {}):
            if values["address"] in seen or (position and values.get("mode") != "data"):
                continue
            seen.add(values["address"])
            yield _resource(module, values, pending.get(values["address"], {}), root)


def _flatten(module: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for resource in module.get("resources") or ():
        yield module.get("address", ""), resource
    for child in module.get("child_modules") or ():
        yield from _flatten(child)


def _resource(
    module: str, values: Mapping[str, Any], pending: Any, root: Mapping[str, Any] | None
) -> Resource:
    index = _INSTANCE.search(values["address"])
    type_, name = str(values["type"]), str(values["name"])
    held = values.get("values") or {}
    if not isinstance(held, Mapping):
        raise TypeError("values")
    return Resource(
        address=str(values["address"]),
        module=module,
        type=type_,
        name=name,
        index=index[1] if index else "",
        values=held,
        pending=pending if isinstance(pending, Mapping) else {},
        expressions=_expressions(root, module, type_, name, str(values.get("mode", "managed"))),
    )


def _expressions(
    root: Mapping[str, Any] | None, module: str, type_: str, name: str, mode: str
) -> Mapping[str, Any] | None:
    """Find what is written of a resource: its module by the calls that lead there, keys left out."""
    current = root
    for call in re.findall(r"module\.([A-Za-z0-9_-]+)", re.sub(r"\[[^\]]*\]", "", module)):
        calls = (current or {}).get("module_calls") or {}
        current = (calls.get(call) or {}).get("module")
    for each in (current or {}).get("resources") or ():
        if (each.get("type"), each.get("name"), each.get("mode", "managed")) == (type_, name, mode):
            expressions = each.get("expressions")
            return expressions if isinstance(expressions, Mapping) else None
    return None


def _has_true(pending: object) -> bool:
    match pending:
        case bool():
            return pending
        case list():
            return any(map(_has_true, pending))
        case dict():
            return any(map(_has_true, pending.values()))
        case _:
            return False

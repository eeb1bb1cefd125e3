"""Reads a CloudFormation template and works its conditions and functions out, for given parameters."""

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped] # it comes with cfn-lint, its stubs do not

__all__ = ["NO_VALUE", "PSEUDO_PARAMETERS", "broken_rules", "load_template", "resolve"]

NO_VALUE = object()
"""What ``AWS::NoValue`` becomes, until it is left out."""

PSEUDO_PARAMETERS: Mapping[str, Any] = {
    "AWS::AccountId": "123456789012",
    "AWS::NoValue": NO_VALUE,
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::StackName": "orders",
    "AWS::URLSuffix": "amazonaws.com",
}


class _Loader(yaml.SafeLoader):  # type: ignore[misc] # untyped, as said
    """YAML with CloudFormation's tags, as the functions that they are short for."""


def _function(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    match node:
        case yaml.ScalarNode():
            value = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case _:
            value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt":
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _function)


def load_template(path: Path) -> dict[str, Any]:
    """Read a template, with every function in its long form."""
    template: dict[str, Any] = yaml.load(path.read_text(), _Loader)  # noqa: S506 - a safe loader
    return template


def broken_rules(template: Mapping[str, Any], parameters: Mapping[str, str]) -> list[str]:
    """Name the rules that refuse these parameters."""
    resolver = _Resolver(template, parameters, {})
    return [
        name
        for name, rule in template["Rules"].items()
        if not all(resolver.value(each["Assert"]) for each in rule["Assertions"])
    ]


def resolve(
    template: Mapping[str, Any], parameters: Mapping[str, str], attributes: Mapping[str, str]
) -> dict[str, Any]:
    """Give the template as a deployment sees it: the resources that it makes, with values for functions.

    ``attributes`` gives what only AWS knows, such as ``Table.StreamArn``; of others, the name stands for it.
    """
    unknown = set(parameters) - set(template["Parameters"])
    if unknown:
        raise KeyError(f"no such parameters: {sorted(unknown)}")
    resolver = _Resolver(template, parameters, attributes)
    resources = {
        name: resource
        for name, resource in template["Resources"].items()
        if "Condition" not in resource or resolver.holds(resource["Condition"])
    }
    resolved: dict[str, Any] = resolver.value(
        {
            "Globals": template.get("Globals", {}),
            "Outputs": template.get("Outputs", {}),
            "Resources": copy.deepcopy(resources),
        }
    )
    return resolved


class _Resolver:
    def __init__(
        self, template: Mapping[str, Any], parameters: Mapping[str, str], attributes: Mapping[str, str]
    ) -> None:
        self._conditions = template["Conditions"]
        self._attributes = attributes
        self._values = {**PSEUDO_PARAMETERS}
        for name, parameter in template["Parameters"].items():
            value = parameters[name] if name in parameters else parameter.get("Default", name)
            self._values[name] = int(value) if parameter["Type"] == "Number" else value

    def holds(self, condition: str) -> bool:
        return bool(self.value(self._conditions[condition]))

    def value(self, node: Any) -> Any:
        if isinstance(node, list):
            return [value for item in node if (value := self.value(item)) is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            if name in ("Ref", "Condition") and isinstance(argument, str):
                return self.name(argument) if name == "Ref" else self.holds(argument)
            if name.startswith("Fn::"):
                return self.call(name.removeprefix("Fn::"), argument)
        values = {name: self.value(item) for name, item in node.items() if name != "Condition"}
        if "Condition" in node:  # of a statement; of a resource it is the name of one
            own = node["Condition"]
            values["Condition"] = own if isinstance(own, str) else self.value(own)
        return {name: value for name, value in values.items() if value is not NO_VALUE}

    def name(self, name: str) -> Any:
        return self._values[name] if name in self._values else self._attributes.get(name, name)

    def call(self, function: str, argument: Any) -> Any:
        value: Any
        match function, argument:
            case "If", [condition, yes, no]:
                value = self.value(yes if self.holds(condition) else no)
            case "Equals", [one, other]:
                value = str(self.value(one)) == str(self.value(other))
            case "Not", [condition]:
                value = not self.value(condition)
            case "And", [*conditions]:
                value = all(map(self.value, conditions))
            case "Or", [*conditions]:
                value = any(map(self.value, conditions))
            case "GetAtt", [*path]:
                value = self._attributes.get(".".join(path), ".".join(path))
            case "Split", [delimiter, text]:
                value = self.value(text).split(delimiter)
            case "Sub", str():
                value = self.substitute(argument, {})
            case "Sub", [text, names]:
                value = self.substitute(text, {name: self.value(item) for name, item in names.items()})
            case _:
                raise NotImplementedError(f"Fn::{function}")
        return value

    def substitute(self, text: str, names: Mapping[str, Any]) -> str:
        def replace(match: re.Match[str]) -> str:
            name = match[1]
            return str(names[name] if name in names else self.name(name))

        return re.sub(r"\$\{([\w:.]+)\}", replace, text)

"""botocore's data cut to the operations that the functions call: pure functions on its JSON documents."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from outbox_sdk.core.function import HANDLERS
from outbox_sdk.core.mark import MarkStrategy
from outbox_sdk.core.operations import MARK_OPERATIONS, PUBLISHES, ROLES, list_operations

__all__ = ["carried_operations", "cut_endpoints", "cut_model"]

# botocore's own format: JSON documents of any depth.
_Document = Any


def carried_operations() -> dict[str, list[str]]:
    """List what the functions may call, by service, however they are configured.

    >>> carried_operations()["sns"]
    ['PublishBatch']
    """
    strategies: Collection[MarkStrategy] = MARK_OPERATIONS
    found = {
        (operation.service, operation.name)
        for role in ROLES
        if role in HANDLERS
        for strategy in strategies
        for operation in list_operations(
            role, strategy=strategy, sweeps_publish=True, sweeps_claims=True, services=PUBLISHES
        )
    }
    services = sorted({service for service, _ in found})
    return {service: sorted(name for owner, name in found if owner == service) for service in services}


def cut_model(model: Mapping[str, _Document], operations: Collection[str]) -> dict[str, _Document]:
    """Cut a ``service-2.json`` to some operations and the shapes that they reach, errors included.

    Documentation goes as well. Raises ``KeyError`` for an operation that the model does not have.
    """
    kept = {name: model["operations"][name] for name in sorted(operations)}
    shapes = model["shapes"]
    reached: set[str] = set()
    waiting = list(_shape_names(kept))
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(_shape_names(shapes[name]))
    rest = {key: value for key, value in model.items() if key != "examples"}
    cut = {**rest, "operations": kept, "shapes": {name: shapes[name] for name in sorted(reached)}}
    undocumented: dict[str, _Document] = _without_documentation(cut)
    for parameter in undocumented.get("clientContextParams", {}).values():
        parameter["documentation"] = ""  # botocore reads it
    return undocumented


def cut_endpoints(endpoints: Mapping[str, _Document], prefixes: Collection[str]) -> dict[str, _Document]:
    """Cut ``endpoints.json`` to the services of these endpoint prefixes; partitions and Regions stay."""
    return {
        **endpoints,
        "partitions": [
            {**partition, "services": {k: v for k, v in partition["services"].items() if k in prefixes}}
            for partition in endpoints["partitions"]
        ],
    }


def _shape_names(node: _Document) -> Iterator[str]:
    """Give every shape that a part of a model refers to; a member that is *called* shape is a mapping."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "shape" and isinstance(value, str):
                yield value
            else:
                yield from _shape_names(value)
    elif isinstance(node, list):
        for value in node:
            yield from _shape_names(value)


def _without_documentation(node: _Document) -> _Document:
    """Leave out texts; a member that is *called* documentation is a mapping and stays."""
    if isinstance(node, Mapping):
        return {
            key: _without_documentation(value)
            for key, value in node.items()
            if not (key == "documentation" and isinstance(value, str))
        }
    return [_without_documentation(value) for value in node] if isinstance(node, list) else node

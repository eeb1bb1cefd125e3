"""The messages of a catalog as JSON Schema: one document, a definition for each message."""

import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from outbox_sdk.core.body import is_pydantic
from outbox_sdk.core.catalog import Catalog
from outbox_sdk.core.errors import ConfigurationError

__all__ = [
    "JSON_SCHEMA_DIALECT",
    "Schema",
    "build_definitions",
    "build_json_schema",
    "document_keys",
    "map_schema",
]

# JSON Schema nests without a bound and mixes types by keyword, so `Any` is what it is.
Schema = dict[str, Any]
"""A schema, or a document of schemas, as the JSON object that it is."""

JSON_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"

_MAPS = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_VALUES = frozenset({"const", "default", "enum", "examples", "required"})
_OUTSIDE_KEY = re.compile(r"[^A-Za-z0-9._-]")


def build_json_schema(catalog: Catalog[Any], *, title: str) -> Schema:
    """Describe the bodies of a catalog in the draft of 2020-12.

    The document itself takes any body of the catalog, ``$defs`` has the schema of each message by its name
    (what is no letter, digit, ``.``, ``_`` or ``-`` in it is ``_``), and ``x-name``, ``x-topic`` and
    ``x-version`` in there say the rest. Described is what is written now, and no older version.

    Raises:
        ConfigurationError: naming a class that has no JSON Schema.

    >>> from outbox_sdk.core.message_type import message
    >>> @message("order.created", topic="order--created")
    ... class OrderCreated(msgspec.Struct):
    ...     order_id: str
    >>> build_json_schema(Catalog(OrderCreated), title="orders")["$defs"]["order.created"]["properties"]
    {'order_id': {'type': 'string'}}
    """
    definitions = build_definitions(catalog, "#/$defs", "$defs")
    return {
        "$schema": JSON_SCHEMA_DIALECT,
        "title": title,
        "anyOf": [{"$ref": f"#/$defs/{key}"} for key in definitions],
        "$defs": definitions,
    }


def build_definitions(catalog: Catalog[Any], pointer: str, keyword: str) -> dict[str, Schema]:
    """Give the schema of each message by the key of its definition.

    ``pointer`` is where the document has the definitions, and ``keyword`` is what a schema has those under
    that it alone refers to.

    Raises:
        ConfigurationError: naming a class that has no JSON Schema.
    """
    keys = document_keys(catalog.type_of(message_class).name for message_class in catalog)
    definitions: dict[str, Schema] = {}
    for message_class in catalog:
        known = catalog.type_of(message_class)
        key = keys[known.name]
        named = {"x-name": known.name, "x-topic": known.topic, "x-version": known.version}
        schema, parts = _describe(message_class, f"{pointer}/{key}/{keyword}/")
        definitions[key] = {**schema, **named, **({keyword: parts} if parts else {})}
    return definitions


def document_keys(names: Iterable[str]) -> dict[str, str]:
    """Give each name once, and in the characters that documents take for a key.

    >>> document_keys(["order.created", "sqs:orders", "sqs_orders"])
    {'order.created': 'order.created', 'sqs:orders': 'sqs_orders', 'sqs_orders': 'sqs_orders_2'}
    """
    keys: dict[str, str] = {}
    for name in names:
        key = wanted = _OUTSIDE_KEY.sub("_", name)
        number = 1
        while key in keys.values():
            number += 1
            key = f"{wanted}_{number}"
        keys[name] = key
    return keys


def _describe(message_class: type[Any], prefix: str) -> tuple[Schema, dict[str, Schema]]:
    """Give the schema of a class, and the parts that it refers to below ``prefix``."""
    try:
        if is_pydantic(message_class):
            schema = message_class.model_json_schema(
                by_alias=True, mode="serialization", ref_template=f"{prefix}{{model}}"
            )
            parts = schema.pop("$defs", {})
        else:
            template = f"{prefix}{{name}}"
            (schema,), parts = msgspec.json.schema_components((message_class,), ref_template=template)
    except Exception as error:  # the library's, of whatever kind; a model's own code may run
        raise ConfigurationError(
            "catalog", f"{message_class.__name__} has no JSON Schema: {error}"
        ) from error
    reference = str(schema.get("$ref", ""))
    own = reference.removeprefix(prefix)
    if own in parts and f'"{reference}"' not in msgspec.json.encode(parts).decode():
        schema = parts.pop(own)  # to the top, where a reader looks, unless a part refers to it
    return schema, parts


def map_schema(change: Callable[[Schema], Schema], schema: Schema) -> Schema:
    """Change a schema and all below it, those within first; values and names of properties are left alone."""

    def inside(keyword: str, value: object) -> object:
        match value:
            case _ if keyword in _VALUES:
                return value
            case dict() if keyword in _MAPS:
                return {name: below(each) for name, each in value.items()}
            case list():
                return [below(each) for each in value]
            case _:
                return below(value)

    def below(value: object) -> object:
        return map_schema(change, value) if isinstance(value, dict) else value

    return change({keyword: inside(keyword, value) for keyword, value in schema.items()})

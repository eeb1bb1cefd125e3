"""The messages of a catalog as an AsyncAPI document: what is sent where, for people and generators."""

from typing import Any

from outbox_sdk.core.catalog import Catalog
from outbox_sdk.core.json_schema import Schema, build_definitions, document_keys, map_schema
from outbox_sdk.core.message_type import MessageType
from outbox_sdk.core.trace import CAUSATION_ID, TRACEPARENT, TRACESTATE

__all__ = ["ASYNCAPI_VERSION", "build_asyncapi"]

ASYNCAPI_VERSION = "3.0.0"


def build_asyncapi(catalog: Catalog[Any], *, title: str, version: str = "1.0.0") -> Schema:
    """Describe a producer in AsyncAPI 3.0: a channel for each topic, an operation that sends to it.

    ``title`` and ``version`` are of the document. Bodies are described as they are written now, in AsyncAPI's
    own dialect (draft 7 of JSON Schema), headers are the attributes that every envelope of the relay carries.

    Not promised: the body of the envelopes ``cloudevents`` and ``tomodachi``, in which these bodies are the
    ``data``.

    Raises:
        ConfigurationError: naming a class that has no JSON Schema.

    >>> import msgspec
    >>> from outbox_sdk.core.message_type import message
    >>> @message("order.created", topic="order--created")
    ... class OrderCreated(msgspec.Struct):
    ...     order_id: str
    >>> build_asyncapi(Catalog(OrderCreated), title="orders")["channels"]
    {'order--created': {'address': 'order--created',
      'messages': {'order.created': {'$ref': '#/components/messages/order.created'}}}}
    """
    types = [catalog.type_of(message_class) for message_class in catalog]
    keys = document_keys(known.name for known in types)
    channels = document_keys(dict.fromkeys(known.topic for known in types))
    schemas = build_definitions(catalog, "#/components/schemas", "definitions")
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {"title": title, "version": version},
        "defaultContentType": "application/json",
        "channels": {
            key: {
                "address": topic,
                "messages": {
                    keys[known.name]: {"$ref": f"#/components/messages/{keys[known.name]}"}
                    for known in types
                    if known.topic == topic
                },
            }
            for topic, key in channels.items()
        },
        "operations": {
            f"send.{key}": {"action": "send", "channel": {"$ref": f"#/channels/{key}"}}
            for key in channels.values()
        },
        "components": {
            "messages": {keys[known.name]: _build_message(known, keys[known.name]) for known in types},
            "schemas": {key: map_schema(_to_draft_7, schema) for key, schema in schemas.items()},
        },
    }


def _build_message(known: MessageType, key: str) -> Schema:
    attributes: dict[str, Schema] = {
        "MessageId": {"type": "string", "description": "The same in every delivery; deduplicate by it."},
        "AggregateId": {"type": "string", "description": "What the message is about."},
        "MessageType": {"type": "string", "const": known.name},
        "SchemaVersion": {"type": "integer", "const": known.version},
        "ContentType": {"type": "string", "const": "application/json"},
    }
    optional: dict[str, Schema] = {
        "CorrelationId": {"type": "string"},
        "Sequence": {"type": "integer", "minimum": 0},
        "Hops": {"type": "integer", "minimum": 1},
        CAUSATION_ID: {"type": "string", "description": "The id of the message because of which it came."},
        TRACEPARENT: {"type": "string"},
        TRACESTATE: {"type": "string"},
    }
    return {
        "name": known.name,
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "properties": {**attributes, **optional},
            "required": list(attributes),
        },
        "correlationId": {"location": "$message.header#/CorrelationId"},
        "payload": {"$ref": f"#/components/schemas/{key}"},
    }


def _to_draft_7(schema: Schema) -> Schema:
    """Say in draft 7 what msgspec and pydantic say in that of 2020-12."""
    schema = dict(schema)
    # An object there, of OpenAPI; AsyncAPI's is the name of a property and says something else.
    if isinstance(schema.get("discriminator"), dict):
        del schema["discriminator"]
    if "prefixItems" in schema:
        if "items" in schema:
            schema["additionalItems"] = schema.pop("items")
        schema["items"] = schema.pop("prefixItems")
    if "$ref" in schema and len(schema) > 1:  # what stands beside it would be ignored
        schema["allOf"] = [{"$ref": schema.pop("$ref")}, *schema.get("allOf", [])]
    return schema

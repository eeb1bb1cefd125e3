"""What is written is what the exported documents say, and the documents are what their own schemas say."""

import json
from decimal import Decimal
from importlib import import_module
from typing import Any, Literal

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox_sdk import Catalog, ConfigurationError, message
from outbox_sdk.core.asyncapi import build_asyncapi
from outbox_sdk.core.json_schema import build_json_schema
from tests.support.downloads import asyncapi_specification
from tests.support.messages import CATALOG, KINDS, events
from tests.support.unavailable import ServerUnavailable

# Any: it comes with the checks of bills of materials, without types.
jsonschema: Any = import_module("jsonschema")


class Card(msgspec.Struct, tag="card"):
    number: str


class Cash(msgspec.Struct, tag="cash", frozen=True):
    amount: int


@message("odd/tree", topic="odd")
class Tree(msgspec.Struct):
    """Refers to itself, to a union told by a tag, and to a part with something beside it."""

    paid: Card | Cash
    size: tuple[int, str]
    discriminator: str
    change: Cash = Cash(0)
    children: list["Tree"] = []


class Dog(pydantic.BaseModel):
    kind: Literal["dog"] = "dog"


class Cat(pydantic.BaseModel):
    kind: Literal["cat"] = "cat"
    mother: "Cat | None" = None


@message("odd_tree", topic="odd")
class Node(pydantic.BaseModel):
    pet: Dog | Cat = pydantic.Field(discriminator="kind")
    pair: tuple[int, str]
    next: "Node | None" = None


AWKWARD = {"discriminator": {"propertyName": "x"}, "prefixItems": [1], "properties": {"y": 1}}


@message("odd.payment", topic="odd")
class Payment(msgspec.Struct):
    by: Card | Cash


@message("odd.note", topic="odd")
class Note(pydantic.BaseModel):
    total: Decimal
    like_a_schema: dict[str, Any] = AWKWARD


ODD = Catalog(Tree, Node, Payment, Note)
EVERYTHING = CATALOG | ODD
JSON_SCHEMA = build_json_schema(EVERYTHING, title="everything")
ASYNCAPI = build_asyncapi(EVERYTHING, title="everything", version="2.1.0")
KEYS = dict(zip(EVERYTHING, JSON_SCHEMA["$defs"], strict=True))

trees = st.recursive(
    st.builds(Tree, paid=st.builds(Card, st.text()) | st.builds(Cash, st.integers()), children=st.just([])),
    lambda inner: st.builds(Tree, paid=st.builds(Cash, st.integers()), children=st.lists(inner, max_size=2)),
    max_leaves=4,
)
cats = st.recursive(
    st.builds(Cat, mother=st.none()), lambda inner: st.builds(Cat, mother=inner), max_leaves=2
)
nodes = st.recursive(
    st.builds(Node, pet=st.builds(Dog) | cats, next=st.none()),
    lambda inner: st.builds(Node, pet=cats, next=inner),
    max_leaves=3,
)


def validators(kind: type[Any]) -> list[Any]:
    """What judges a body by its schema in the one document and in the other, each by its own dialect."""
    key = KEYS[kind]
    in_asyncapi = {**ASYNCAPI, "$ref": f"#/components/schemas/{key}"}
    # What stands beside a reference is ignored in draft 7, so the document is below it and not around.
    return [
        jsonschema.Draft202012Validator({**JSON_SCHEMA, "anyOf": [{"$ref": f"#/$defs/{key}"}]}),
        jsonschema.Draft7Validator(in_asyncapi),
    ]


@pytest.mark.parametrize("kind", [*KINDS, Tree, Node], ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_what_is_encoded_is_what_its_schema_says(kind: type[Any], data: st.DataObject) -> None:
    """And a body that lacks a field which is always written is not."""
    strategy = {Tree: trees, Node: nodes}.get(kind)
    event = data.draw(events(kind) if strategy is None else strategy)
    body = msgspec.json.decode(EVERYTHING.encode(event, kind))
    missing = {"Tree": "discriminator", "Node": "pair"}.get(kind.__name__, "total")
    for validator in validators(kind):
        validator.validate(body)
        assert not validator.is_valid({name: value for name, value in body.items() if name != missing})
        assert not validator.is_valid({**body, missing: {"no": "such thing"}})


def test_a_body_of_no_message_is_refused_by_the_whole_document() -> None:
    validator = jsonschema.Draft202012Validator(JSON_SCHEMA)
    assert validator.is_valid({"pet": {"kind": "dog"}, "pair": [1, "x"]})
    assert not validator.is_valid({"pet": {"kind": "bird"}, "pair": [1, "x"]})


def test_the_documents_are_of_their_dialects() -> None:
    jsonschema.Draft202012Validator.check_schema(JSON_SCHEMA)
    for schema in ASYNCAPI["components"]["schemas"].values():
        jsonschema.Draft7Validator.check_schema(schema)


def test_the_document_is_one_of_asyncapi() -> None:
    """By the schema that AsyncAPI publishes; it refuses the document as soon as something is renamed."""
    try:
        specification = json.loads(asyncapi_specification(ASYNCAPI["asyncapi"]).read_text())
    except ServerUnavailable as error:
        pytest.skip(f"the specification cannot be had: {error}")
    validator = jsonschema.Draft7Validator(specification)
    validator.validate(ASYNCAPI)
    for broken in (
        {**ASYNCAPI, "info": {"title": "no version"}},
        {**ASYNCAPI, "operations": {"send": {"action": "shout", "channel": {"$ref": "#/channels/odd"}}}},
        {**ASYNCAPI, "channels": {"odd": {"address": 5}}},
        {**ASYNCAPI, "components": {"schemas": {"x": {"discriminator": {"propertyName": "kind"}}}}},
    ):
        assert not validator.is_valid(broken)


def test_asyncapi_gets_its_own_dialect_and_values_stay_what_they_are() -> None:
    schemas = ASYNCAPI["components"]["schemas"]
    assert [each for each in schemas_of(schemas) if "prefixItems" in each] == []
    assert [each for each in schemas_of(schemas) if isinstance(each.get("discriminator"), dict)] == []
    assert [each for each in schemas_of(schemas) if "$ref" in each and len(each) > 1] == []
    assert any("discriminator" in each for each in schemas_of(JSON_SCHEMA["$defs"]))
    for document in (JSON_SCHEMA["$defs"], schemas):
        assert document["odd.note"]["properties"]["like_a_schema"]["default"] == AWKWARD


def schemas_of(document: object) -> list[dict[str, Any]]:
    """All objects that stand where a schema may, values and names of properties left out."""
    match document:
        case dict():
            below = [part for name, part in document.items() if name not in ("default", "properties")]
            below.extend(document.get("properties", {}).values())
            return [document, *(each for part in below for each in schemas_of(part))]
        case list():
            return [each for part in document for each in schemas_of(part)]
        case _:
            return []


def test_a_model_is_described_as_it_writes_itself() -> None:
    """And not as all that it would read: a decimal is written as text."""
    assert JSON_SCHEMA["$defs"]["odd.note"]["properties"]["total"]["type"] == "string"


def test_every_reference_leads_somewhere() -> None:
    for document in (JSON_SCHEMA, ASYNCAPI):
        for reference in references(document):
            part: Any = document
            for step in reference.removeprefix("#/").split("/"):
                part = part[step]
            assert isinstance(part, dict)


def references(document: object) -> list[str]:
    match document:
        case {"$ref": str(reference), **rest}:
            return [reference, *references(rest)]
        case dict():
            return [each for part in document.values() for each in references(part)]
        case list():
            return [each for part in document for each in references(part)]
        case _:
            return []


def test_names_topics_and_versions_are_in_the_documents() -> None:
    named = [
        (each["x-name"], each["x-topic"], each["x-version"])
        for document in (JSON_SCHEMA["$defs"], ASYNCAPI["components"]["schemas"])
        for each in document.values()
    ]
    known = [EVERYTHING.type_of(kind) for kind in EVERYTHING]
    assert named == [(each.name, each.topic, each.version) for each in known] * 2
    assert ASYNCAPI["info"] == {"title": "everything", "version": "2.1.0"}
    assert {name: list(channel["messages"]) for name, channel in ASYNCAPI["channels"].items()} == {
        "orders": ["struct.order", "dataclass.order"],
        "orders.fifo": ["attrs.order", "dictionary.order"],
        "models": ["model.order"],
        "odd": ["odd_tree", "odd_tree_2", "odd.payment", "odd.note"],
    }
    assert ASYNCAPI["operations"]["send.odd"] == {"action": "send", "channel": {"$ref": "#/channels/odd"}}
    headers = ASYNCAPI["components"]["messages"]["odd_tree_2"]["headers"]["properties"]
    assert (headers["MessageType"]["const"], headers["SchemaVersion"]["const"]) == ("odd_tree", 1)


@message("opaque", topic="t")
class Opaque(msgspec.Struct):
    number: complex


@message("opaque.model", topic="t")
class OpaqueModel(pydantic.BaseModel):
    function: pydantic.SkipValidation[type]


@pytest.mark.parametrize("kind", [Opaque, OpaqueModel])
def test_a_class_without_a_schema_is_named(kind: type[Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"{kind.__name__} has no JSON Schema: "):
        build_json_schema(Catalog(kind), title="none")

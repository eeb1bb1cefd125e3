"""What a catalog writes it reads, in every kind of class; and whatever else it is given, it says so."""

import traceback
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox_sdk import Catalog, Outbox, UndecodableMessageError, message
from outbox_sdk.core.attributes import read_attributes
from outbox_sdk.core.items import decode_item
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.table import TableDesign
from tests.property import strategies as our
from tests.support.messages import CATALOG, KINDS, DictionaryOrder, attributes_of, events

SHAPES: dict[str, Callable[[str, str], object]] = {
    "plain": lambda text, kind: text,
    "receive_message": lambda text, kind: {"StringValue": text, "DataType": kind},
    "lambda": lambda text, kind: {
        "stringValue": text,
        "binaryValue": None,
        "stringListValues": [],
        "dataType": kind,
    },
    "sns": lambda text, kind: {"Type": kind, "Value": text},
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data(), shape=st.sampled_from(sorted(SHAPES)))
def test_what_is_encoded_is_decoded(kind: type[Any], data: st.DataObject, shape: str) -> None:
    """A consumer gets the value that the producer had, in its own class."""
    event = data.draw(events(kind))
    known = CATALOG.type_of(kind)
    attributes = {
        "MessageType": SHAPES[shape](known.name, "String"),
        "SchemaVersion": SHAPES[shape](str(known.version), "Number"),
    }
    decoded = CATALOG.decode(CATALOG.encode(event, kind), attributes)
    assert decoded == event
    assert type(decoded) is (dict if kind is DictionaryOrder else kind)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_what_is_put_is_decoded(kind: type[Any], data: st.DataObject) -> None:
    """Name, version, topic and body of a message in the table are those of its class."""
    event = data.draw(events(kind).filter(lambda event: _travels(CATALOG.encode(event, kind))))
    entry: Any = Outbox("outbox", catalog=CATALOG).put(event, of=kind, aggregate_id="a", message_id="m")
    stored = decode_item(
        entry["Put"]["Item"], our.item_key(TableDesign.ordered, "a", "m"), TableDesign.ordered
    )
    assert isinstance(stored, OutboxMessage)
    attributes = {"MessageType": stored.message_type, "SchemaVersion": str(stored.schema_version)}
    assert stored.topic == CATALOG.type_of(kind).topic
    assert CATALOG.decode(stored.body, attributes) == event


def _travels(body: str) -> bool:
    return not any("\ufffe" <= character <= "\uffff" or ord(character) < 32 for character in body + "\x7f")


@given(
    texts=st.dictionaries(st.text(min_size=1), st.text(), max_size=4),
    data=st.data(),
)
def test_attributes_are_the_same_in_every_shape(texts: dict[str, str], data: st.DataObject) -> None:
    shaped = {
        name: SHAPES[data.draw(st.sampled_from(sorted(SHAPES)))](text, "String")
        for name, text in texts.items()
    }
    assert read_attributes(shaped) == texts


odd_attributes = st.dictionaries(
    st.sampled_from(["StringValue", "stringValue", "Value", "DataType", "Type"]), json_values
)


@given(st.none() | json_values | st.dictionaries(st.text() | st.integers(), json_values | odd_attributes))
def test_any_attributes_are_read_without_an_error(attributes: object) -> None:
    texts = read_attributes(attributes)
    assert all(type(name) is str and type(text) is str for name, text in texts.items())


SECRET = "s3cret"
leaking = json_values | st.recursive(
    st.just(SECRET) | st.just(f"{SECRET} - at `$.{SECRET}`"),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=2)
        | st.dictionaries(st.sampled_from(["order_id", "orderId", "lines", "status", "tags", SECRET]), inner)
    ),
    max_leaves=6,
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_any_body_is_decoded_or_refused_without_a_word_of_it(kind: type[Any], data: st.DataObject) -> None:
    """Errors end up in logs, with the errors that they come from."""
    good: dict[str, Any] = msgspec.json.decode(CATALOG.encode(data.draw(events(kind)), kind))
    field = data.draw(st.sampled_from([*sorted(good), SECRET]))
    changed = {**good, field: data.draw(leaking)}
    body = data.draw(
        st.text(st.characters(exclude_categories=[])) | st.just(msgspec.json.encode(changed).decode())
    )
    version = data.draw(st.text(max_size=3) | st.sampled_from(["0", "1", "2", "-1", "9" * 5000, "²"]))
    error = _error_of(kind, body, version)
    if error is not None:
        assert error.reason in ("unknown_version", "newer_version", "invalid_body")
        assert (error.path is not None) == (error.reason == "invalid_body")
        assert SECRET not in "".join(traceback.format_exception(error))
        assert error.__cause__ is error.__context__ is None


def _error_of(kind: type[Any], body: str, version: str) -> UndecodableMessageError | None:
    try:
        CATALOG.decode(body, attributes_of(kind, SchemaVersion=version))
    except UndecodableMessageError as error:
        return error
    return None


@given(body=st.text(), attributes=st.dictionaries(st.text(), json_values) | json_values)
def test_any_message_is_decoded_or_refused(body: str, attributes: Any) -> None:
    with pytest.raises(UndecodableMessageError):
        CATALOG.decode(body, attributes)


def _versions(newest: int, oldest: int) -> type[Any]:
    """A class of a version whose upcasters each note the version that they took."""

    def step(version: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
        return lambda body: {**body, "steps": [*body.get("steps", []), version]}

    @message(
        "order.versioned", topic="t", version=newest, upcasters={v: step(v) for v in range(oldest, newest)}
    )
    class Versioned(msgspec.Struct):
        amount: Any
        steps: list[int] = []

    return Versioned


@given(
    data=st.data(),
    newest=st.integers(1, 8),
    amount=st.integers() | st.decimals(allow_nan=False, allow_infinity=False),
)
def test_every_version_that_can_be_read_reaches_the_current_one(
    data: st.DataObject, newest: int, amount: object
) -> None:
    """Each step is taken once, in order, from the message's version up; no number changes on the way."""
    oldest = data.draw(st.integers(1, newest))
    kind = _versions(newest, oldest)
    written = data.draw(st.integers(1, newest + 1))
    body = f'{{"amount":{amount}}}'
    attributes: Mapping[str, str] = {"MessageType": "order.versioned", "SchemaVersion": str(written)}
    if oldest <= written <= newest:
        event = Catalog(kind).decode(body, attributes)
        assert event.steps == list(range(written, newest))
        assert event.amount == msgspec.json.decode(body, type=kind).amount
    else:
        with pytest.raises(UndecodableMessageError) as raised:
            Catalog(kind).decode(body, attributes)
        assert raised.value.reason == ("newer_version" if written > newest else "no_upcaster")

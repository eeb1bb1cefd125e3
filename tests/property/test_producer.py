"""The producer: what it puts is what the relay reads, and what the relay could not publish is not put."""

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox_sdk.core.catalog import Catalog
from outbox_sdk.core.entry import Entry, TopicLimits, encode_entry
from outbox_sdk.core.envelope import EnvelopeKind
from outbox_sdk.core.errors import InvalidMessageError
from outbox_sdk.core.identifiers import AccountId, Region
from outbox_sdk.core.items import decode_item
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.message_type import message
from outbox_sdk.core.routing import Routing
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell.producer import Outbox
from tests.property import strategies as our

ROUTING = Routing(region=Region("eu-west-1"), account_id=AccountId("123456789012"))
BUCKETS = [f"{number:02d}" for number in range(100)]


def put(outbox: Outbox, sent: OutboxMessage, **changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "aggregate_id": sent.aggregate_id,
        "correlation_id": sent.correlation_id,
        "message_id": sent.message_id,
        "topic": sent.topic,
        "sequence": sent.sequence,
        "headers": sent.headers,
        "hops": max(0, sent.hops),
    }
    return dict(outbox.put(sent.body, **{**arguments, **changes})["Put"])


@given(st.data(), our.designs(), our.envelope_kinds(), st.integers(1, 100))
def test_what_is_put_comes_out_of_the_stream(
    data: st.DataObject, design: TableDesign, kind: EnvelopeKind, buckets: int
) -> None:
    """Every argument of a put arrives in the relay's message, in any table design."""
    sent = data.draw(our.messages(design))
    outbox = Outbox("outbox", design=design, envelope=kind, buckets=buckets)
    sequence = None if sent.sequence is None else abs(sent.sequence)
    created_at = data.draw(our.instants())
    request = put(outbox, sent, sequence=sequence, created_at=created_at)
    assert request["TableName"] == "outbox"
    names = {"#message_pk": design.partition_key, "#message_sk": design.sort_key}
    names = {name: attribute for name, attribute in names.items() if attribute is not None}
    assert request["ExpressionAttributeNames"] == names
    # Never over a message that is there.
    assert request["ConditionExpression"].split(" AND ") == [
        f"attribute_not_exists({name})" for name in names
    ]
    item = request["Item"]
    key = our.item_key(design, sent.aggregate_id, sent.message_id)
    assert {name: item[name] for name, _, _ in key.parts} == {name: {t: v} for name, t, v in key.parts}
    received = decode_item(item, key, design)
    assert isinstance(received, OutboxMessage)
    assert received.marker["S"] in BUCKETS[:buckets]
    expected = msgspec.structs.replace(
        sent,
        marker=received.marker,
        sequence=sequence,
        created_at=received.created_at,
        message_type=None,
        content_type=None,
        schema_version=None,
        dispatch_count=0,
        redrive_count=0,
        hops=max(0, sent.hops),
    )
    assert received == expected


@message("order.noted", topic="orders", version=3)
class Order(msgspec.Struct):
    number: int
    note: str


@given(st.builds(Order, st.integers(-(2**63), 2**63 - 1), our.travelling_text()), our.designs())
def test_a_typed_message_is_its_json(order: Order, design: TableDesign) -> None:
    """A message of a registered type travels as JSON under its topic, and says its type."""
    outbox = Outbox("outbox", design=design, catalog=Catalog(Order))
    item: Any = outbox.put(order, aggregate_id="a", message_id="m")["Put"]["Item"]
    received = decode_item(item, our.item_key(design, "a", "m"), design)
    assert isinstance(received, OutboxMessage)
    assert msgspec.json.decode(received.body, type=Order) == order
    assert (received.topic, received.message_type, received.schema_version, received.content_type) == (
        "orders",
        "order.noted",
        3,
        "application/json",
    )


@given(st.data(), our.designs(), our.envelope_kinds(), st.sampled_from([40, 100, 200, 400, 262_144]))
def test_what_is_put_can_be_published(
    data: st.DataObject, design: TableDesign, kind: EnvelopeKind, limit: int
) -> None:
    """A message that the relay would have to park is refused in the caller's hands, nothing written."""
    sent = data.draw(our.messages(design))
    changes: dict[str, Any] = data.draw(
        st.fixed_dictionaries(
            {"sequence": st.none() | st.integers(-1, 10**38), "hops": st.sampled_from([0, 0, 0, 15, 16, -1])},
            optional={
                "aggregate_id": our.awkward_text(),
                "message_id": our.awkward_text(),
                "correlation_id": our.awkward_text(),
                "topic": our.awkward_text(),
                "headers": st.dictionaries(our.awkward_text(), our.awkward_text(), max_size=9),
            },
        )
    )
    body = data.draw(st.just(sent.body) | our.awkward_text())
    limits = TopicLimits(limit)
    outbox = Outbox("outbox", design=design, envelope=kind, topic_max_bytes=limits)
    item: dict[str, Any] = {}
    with suppress(InvalidMessageError):
        item = put(outbox, msgspec.structs.replace(sent, body=body), **changes)["Item"]
    if not item:
        return
    key = our.item_key(
        design, changes.get("aggregate_id", sent.aggregate_id), changes.get("message_id", sent.message_id)
    )
    received = decode_item(item, key, design)
    assert isinstance(received, OutboxMessage)
    entry = encode_entry(received, ROUTING, kind=kind, limits=limits, source="/outbox/outbox")
    assert isinstance(entry, Entry)


@pytest.mark.parametrize("argument", ["aggregate_id", "message_id"])
def test_half_a_surrogate_pair_in_an_id_is_the_callers_fault(argument: str) -> None:
    """Every refusal of a message is an `InvalidMessageError` that names the argument."""
    arguments: dict[str, Any] = {"aggregate_id": "a", argument: "\ud800"}
    with pytest.raises(InvalidMessageError) as raised:
        Outbox("outbox").put("body", topic="orders", **arguments)
    assert raised.value.field == argument


@given(st.data(), our.awkward_text(), st.sampled_from(["\0", "\ufffe", "\ud800", "x" * 300]))
def test_a_refused_message_is_never_quoted(data: st.DataObject, text: str, fault: str) -> None:
    """Errors end up in logs: they name the argument, the message's id and the fault, but no payload."""
    sent = data.draw(our.messages(TableDesign.ordered))
    secret = f"s3cret{text}{fault}"
    outbox = Outbox("outbox", topic_max_bytes=300)
    with pytest.raises(InvalidMessageError) as raised:
        put(outbox, msgspec.structs.replace(sent, body=secret, sequence=None))
    assert "s3cret" not in str(raised.value)
    assert raised.value.field == "message"

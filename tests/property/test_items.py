"""Items: what a producer writes is what the relay reads, and what cannot be read says why."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from outbox_sdk.core.items import bucket_of, decode_item, encode_item, is_outstanding, item_size
from outbox_sdk.core.message import OutboxMessage, Poison
from outbox_sdk.core.table import TableDesign
from tests.property import strategies as our
from tests.property.oracles import check_park_reason, find_untravelling


@given(st.data())
def test_an_item_gives_its_message_back(data: st.DataObject) -> None:
    """Nothing of a message is lost between producer and relay, in any table design."""
    design = data.draw(our.designs())
    message = data.draw(our.messages(design))
    assert decode_item(encode_item(message, design), message.key, design) == message


@given(st.data())
def test_an_item_by_another_producer_is_read_as_it_is(data: st.DataObject) -> None:
    """Absent, NULL and zero say the same, and attributes that are nobody's business change nothing."""
    design = data.draw(our.designs())
    message = data.draw(our.messages(design))
    item = data.draw(our.write_item(message, design))
    assert is_outstanding(item, design)
    assert decode_item(item, message.key, design) == message


@given(st.data())
def test_an_item_names_every_attribute_by_its_design(data: st.DataObject) -> None:
    """A table with names of its own is written under these names only."""
    design = data.draw(our.designs())
    item = encode_item(data.draw(our.messages(design)), design)
    names = {getattr(design, field) for field in TableDesign.__struct_fields__ if field != "keyed_by"}
    assert set(item) <= names
    assert {"ttl", "ExpiresAt", design.expires_at}.isdisjoint(item)  # a TTL on an outstanding item loses it


@given(st.data())
def test_poison_is_named_by_attribute_and_fault(data: st.DataObject) -> None:
    """An outstanding item that cannot be published says which attribute is wrong, and how."""
    design = data.draw(our.designs())
    message = data.draw(our.messages(design))
    image, reason = data.draw(our.poisoned_images(message, design))
    poison = decode_item(image, message.key, design)
    assert isinstance(poison, Poison)
    assert poison.reason == reason
    assert poison.key == message.key
    assert poison.marker == message.marker


@given(st.data())
def test_decoding_never_raises_whatever_an_image_holds(data: st.DataObject) -> None:
    """One image is one record's fault, never the batch's: a message that can travel, or poison."""
    design = data.draw(our.designs())
    image = data.draw(our.arbitrary_images(design))
    image[design.not_dispatched] = data.draw(our.attribute_values())
    decoded = decode_item(image, our.item_key(design, "a", "m"), design)
    if isinstance(decoded, OutboxMessage):
        for text in (decoded.body, decoded.message_id, decoded.aggregate_id, decoded.topic):
            assert text
            assert find_untravelling(text) is None
    else:
        check_park_reason(decoded.reason)


@given(our.designs(), our.awkward_text())
def test_a_body_that_cannot_travel_is_poison(design: TableDesign, body: str) -> None:
    """SNS would take it and SQS would discard it, unseen: so it is parked, and seen."""
    key = our.item_key(design, "a", "m")
    item = {name: {kind: value} for name, kind, value in key.parts}
    for name, text in (("message_id", "m"), ("aggregate_id", "a"), ("topic", "t"), ("not_dispatched", "x")):
        item[getattr(design, name)] = {"S": text}
    decoded = decode_item({**item, design.body: {"S": body}}, key, design)
    assert isinstance(decoded, Poison) == (not body or find_untravelling(body) is not None)


@given(st.data())
def test_a_reason_never_quotes_the_message(data: st.DataObject) -> None:
    """No payload reaches a log or a `ParkReason`, whatever is wrong with the item."""
    design = data.draw(our.designs())
    message = data.draw(our.messages(design, rich=False))
    secret = "s3cret-payload"
    message = msgspec.structs.replace(
        message, body=secret, correlation_id=secret, message_type=secret, headers={"h": secret}
    )
    image, _ = data.draw(our.poisoned_images(message, design))
    poison = decode_item(image, message.key, design)
    assert isinstance(poison, Poison)
    assert secret not in poison.reason


@given(st.data())
def test_only_a_marker_that_is_not_parked_means_outstanding(data: st.DataObject) -> None:
    """The relay publishes what is marked as outstanding, and nothing else in the table."""
    design = data.draw(our.designs())
    item = data.draw(our.write_item(data.draw(our.messages(design)), design))
    assert not is_outstanding({**item, design.not_dispatched: {"S": "parked"}}, design)
    del item[design.not_dispatched]
    assert not is_outstanding(item, design)
    assert not is_outstanding(None, design)


@given(our.travelling_text(), st.integers(1, 100))
def test_a_bucket_is_one_of_those_that_are_queried(message_id: str, buckets: int) -> None:
    """The backlog is queried under `00` to `99`: an item in any other bucket would be invisible."""
    bucket = bucket_of(message_id, buckets)
    assert bucket in [f"{number:02d}" for number in range(buckets)]
    assert bucket == bucket_of(message_id, buckets)


@given(st.data())
def test_the_size_of_an_item_is_never_underestimated(data: st.DataObject) -> None:
    """An item that this package lets through fits DynamoDB's 400 KB."""
    design = data.draw(our.designs())
    item = encode_item(data.draw(our.messages(design)), design)

    def counted(value: Any) -> int:
        ((kind, content),) = value.items()
        if kind == "S":
            return len(str(content).encode())
        if kind == "N":
            digits = str(content).lstrip("-")
            # A byte for two significant digits, and more where a pair straddles the decimal point.
            return (len(digits.strip("0")) + 1) // 2 + 1 + int(digits not in (content, "0"))
        if kind == "M":
            return 3 + sum(1 + len(name.encode()) + counted(part) for name, part in content.items())
        return 1

    assert item_size(item) >= sum(len(name.encode()) + counted(value) for name, value in item.items())

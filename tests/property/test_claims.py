"""The claim check: what is claimed, where it goes, and that nothing but what was put in comes out."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox_sdk import ConfigurationError, InvalidMessageError, TableDesign
from outbox_sdk.core.claim import Claim, ClaimCheck, ClaimPlace, claim_body
from outbox_sdk.core.embedding import encode_document
from outbox_sdk.core.envelope import PAYLOAD_SIZE, Envelope, EnvelopeKind, encode_envelope
from outbox_sdk.core.identifiers import AggregateId, ItemKey, MessageId, TopicName
from outbox_sdk.core.items import decode_item, encode_item
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.pointer import (
    ClaimError,
    check_body,
    decode_data_reference,
    decode_pointer,
    encode_data_reference,
    encode_pointer,
)
from outbox_sdk.shell.claims import ClaimStore, write_claims
from outbox_sdk.testing import InMemoryBucket

NONCE = "0123456789abcdef"
DESIGNS = st.sampled_from([TableDesign.ordered, TableDesign.message_keyed])
IDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cn"]), min_size=1, max_size=300)


def message_of(body: str, design: TableDesign = TableDesign.ordered, **names: Any) -> OutboxMessage:
    aggregate_id, message_id = names.pop("aggregate_id", "order-7"), names.pop("message_id", "m-1")
    keys = design.item_key_values(aggregate_id, message_id)
    return OutboxMessage(
        key=ItemKey.from_item({name: {"S": value} for name, value in keys.items()}),
        marker={"S": "00"},
        message_id=MessageId(message_id),
        aggregate_id=AggregateId(aggregate_id),
        topic=TopicName("orders"),
        body=body,
        **names,
    )


def claimed(body: str = "x" * 50, **names: Any) -> tuple[OutboxMessage, Claim]:
    message, claim = claim_body(
        message_of(body, **names), CHECK, TableDesign.ordered, table_name="outbox", nonce=NONCE
    )
    assert claim is not None
    return message, claim


CHECK = ClaimCheck("orders-claims", over_bytes=10)


@given(design=DESIGNS, aggregate_id=IDS, message_id=IDS)
def test_a_key_says_whose_body_it_is(design: TableDesign, aggregate_id: str, message_id: str) -> None:
    """So a sweep finds the item of a body without reading the body."""
    place = ClaimPlace("orders-claims", "claims/", "outbox")
    item_key = message_of("x", design, aggregate_id=aggregate_id, message_id=message_id).key

    key = place.encode_key(item_key, design, digest="0" * 64, nonce=NONCE)

    assert place.decode_key(key, design) == item_key
    assert key.isascii()
    assert set(key) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-!/")
    assert len(place.notes) == len(place.bodies)


@given(design=DESIGNS, key=st.text(st.sampled_from("claims/outbox/body/A!23.%0f-"), max_size=80))
def test_a_key_that_is_not_in_the_one_form_is_nobodys(design: TableDesign, key: str) -> None:
    place = ClaimPlace("orders-claims", "claims/", "outbox")
    for candidate in (key, place.bodies + key, place.bodies + key + "/" + "0" * 64 + "-" + NONCE):
        found = place.decode_key(candidate, design)
        if found is not None:
            name = candidate.rpartition("/")[2]
            digest, _, nonce = name.partition("-")
            assert place.encode_key(found, design, digest=digest, nonce=nonce) == candidate


@given(first=IDS, second=IDS)
def test_two_tables_or_items_never_share_a_key(first: str, second: str) -> None:
    place = ClaimPlace("orders-claims", "claims/", "outbox")
    keys = {
        place.encode_key(message_of("x", message_id=text).key, TableDesign.ordered, digest="", nonce="")
        for text in (first, second)
    }
    assert (len(keys) == 1) == (first == second)
    assert not ClaimPlace("orders-claims", "claims/", "outbox-2").root.startswith(place.root)


@given(body=TEXTS, over=st.integers(0, 400))
def test_a_body_is_claimed_exactly_above_the_size(body: str, over: int) -> None:
    check = ClaimCheck("orders-claims", over_bytes=over)
    message = message_of(body)

    pointing, claim = claim_body(message, check, TableDesign.ordered, table_name="outbox", nonce=NONCE)

    if len(body.encode()) <= over:
        assert (pointing, claim) == (message, None)
        return
    assert claim is not None
    assert claim.body == body.encode()
    assert pointing.headers[PAYLOAD_SIZE] == str(len(body.encode()))
    pointer = decode_pointer(pointing.body, pointing.headers)
    assert (pointer.bucket, pointer.key) == (claim.bucket, claim.key)
    assert check_body(pointer, claim.body) == body
    assert body not in repr(claim) or len(body) < 20


@given(body=TEXTS, change=st.binary(min_size=1, max_size=300))
def test_another_body_is_not_taken(body: str, change: bytes) -> None:
    pointing, claim = claim_body(
        message_of(body),
        ClaimCheck("orders-claims", over_bytes=0),
        TableDesign.ordered,
        table_name="outbox",
        nonce=NONCE,
    )
    assert claim is not None
    pointer = decode_pointer(pointing.body, pointing.headers)
    if change == claim.body:
        return
    with pytest.raises(ClaimError) as raised:
        check_body(pointer, change)
    assert raised.value.reason == ("digest" if len(change) == len(claim.body) else "size")


def test_text_that_is_not_utf_8_is_not_taken() -> None:
    from hashlib import sha256

    key = f"claims/outbox/body/A/M/{sha256(bytes([255])).hexdigest()}-{NONCE}"
    pointer = decode_pointer(encode_pointer("orders-claims", key), {PAYLOAD_SIZE: "1"})
    with pytest.raises(ClaimError, match="UTF-8"):
        check_body(pointer, b"\xff")


GOOD_KEY = f"claims/outbox/body/A/M/{'0' * 64}-{NONCE}"
GOOD = encode_pointer("orders-claims", GOOD_KEY)


@pytest.mark.parametrize(
    ("body", "size"),
    [
        ("", "1"),
        ("\ud800", "1"),
        ("{}", "1"),
        (GOOD[:-1], "1"),
        (GOOD.replace("PayloadS3Pointer", "Other"), "1"),
        (GOOD.replace('"s3Key"', '"S3Key"'), "1"),
        (GOOD.replace("}", ',"more":1}'), "1"),
        (GOOD.replace("]", ",1]"), "1"),
        (encode_pointer("Orders", GOOD_KEY), "1"),
        (encode_pointer("orders-claims", "somebody/elses.txt"), "1"),
        (encode_pointer("orders-claims", "x" * 1_000 + "/" + GOOD_KEY), "1"),
        (GOOD, ""),
        (GOOD, "-1"),
        (GOOD, "01"),
        (GOOD, "1.0"),
        (GOOD, "٣"),
    ],
)
def test_a_pointer_in_any_other_form_is_refused_without_a_word_of_it(body: str, size: str) -> None:
    with pytest.raises(ClaimError) as raised:
        decode_pointer(body, {PAYLOAD_SIZE: size})
    assert raised.value.reason == "pointer"
    assert str(raised.value) == "a claimed body is no pointer that an outbox has written"
    assert encode_data_reference(body, {PAYLOAD_SIZE: size}) is None


def test_the_pointer_is_that_of_awss_libraries() -> None:
    message, claim = claimed()
    assert message.body == (
        '["software.amazon.payloadoffloading.PayloadS3Pointer",'
        f'{{"s3BucketName":"orders-claims","s3Key":"{claim.key}"}}]'
    )


@given(body=TEXTS)
def test_a_pointer_survives_the_item_and_each_envelope(body: str) -> None:
    message, _ = claim_body(
        message_of(body, content_type="text/plain"),
        ClaimCheck("orders-claims", over_bytes=0),
        TableDesign.ordered,
        table_name="outbox",
        nonce=NONCE,
    )
    decoded = decode_item(encode_item(message, TableDesign.ordered), message.key, TableDesign.ordered)
    assert decoded == message

    raw = encode_envelope(message, "raw", source="/outbox/outbox")
    assert isinstance(raw, Envelope)
    assert raw.body == message.body
    (size,) = [each for each in raw.attributes if each.name == PAYLOAD_SIZE]
    assert (size.kind, size.value) == ("Number", str(len(body.encode())))

    event = encode_envelope(message, "cloudevents", source="/outbox/outbox")
    assert isinstance(event, Envelope)
    document = json.loads(event.body)
    assert "data" not in document
    assert document["datacontenttype"] == "text/plain"
    assert decode_data_reference(document["dataref"]) == message.body
    assert document["datasize"] == size.value
    assert PAYLOAD_SIZE not in {each.name for each in event.attributes}

    wrapped = encode_envelope(message, "tomodachi", source="/outbox/outbox")
    assert isinstance(wrapped, Envelope)
    assert json.loads(wrapped.body)["data"] == message.body
    assert size in wrapped.attributes


@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain"])
def test_a_pointer_survives_where_there_are_no_attributes(content_type: str | None) -> None:
    """On a bus or a stream, everything is in one document."""
    message, _ = claimed(content_type=content_type, headers={"tenant": "a"})
    pointer, size = message.body, message.headers[PAYLOAD_SIZE]

    def document_of(kind: EnvelopeKind) -> Any:
        text = encode_document(message, kind, source="/outbox/outbox")
        assert isinstance(text, str)
        return json.loads(text)

    for kind in ("raw", "tomodachi"):
        document = document_of(kind)
        data = document["data"]
        assert (data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))) == pointer
        assert document["attributes"][PAYLOAD_SIZE] == size
    event = document_of("cloudevents")
    assert decode_data_reference(event["dataref"]) == pointer
    assert (event["datasize"], event["tenant"], "data" in event) == (size, "a", False)


def test_a_body_without_a_type_gets_none_from_its_pointer() -> None:
    message, _ = claimed()
    event = encode_envelope(message, "cloudevents", source="/outbox/outbox")
    assert isinstance(event, Envelope)
    assert "datacontenttype" not in json.loads(event.body)


def test_a_header_of_that_name_without_a_pointer_changes_nothing_else() -> None:
    message = message_of('{"a":1}', headers={"A": "1", PAYLOAD_SIZE: "x", "B": "2"})
    event = encode_envelope(message, "cloudevents", source="/outbox/outbox")
    assert isinstance(event, Envelope)
    assert json.loads(event.body)["data"] == {"a": 1}
    assert [(each.name, each.kind) for each in event.attributes][-3:] == [
        ("A", "String"),
        (PAYLOAD_SIZE, "String"),
        ("B", "String"),
    ]


@pytest.mark.parametrize("reference", ["https://b/k", "s3://", "s3://b", "s3://b/", ""])
def test_a_reference_to_something_else_is_left_alone(reference: str) -> None:
    assert decode_data_reference(reference) is None


@pytest.mark.parametrize(
    ("arguments", "variable"),
    [
        ({"bucket": "No"}, "bucket"),
        ({"bucket": "a..b"}, "bucket"),
        ({"bucket": "abc", "prefix": ""}, "prefix"),
        ({"bucket": "abc", "prefix": "../x/"}, "prefix"),
        ({"bucket": "abc", "prefix": "x"}, "prefix"),
        ({"bucket": "abc", "over_bytes": -1}, "over_bytes"),
    ],
)
def test_a_check_that_could_not_work_is_refused(arguments: dict[str, Any], variable: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        ClaimCheck(**arguments)
    assert raised.value.variable == variable


@pytest.mark.parametrize(
    ("names", "field"),
    [
        ({"body": "\x00" * 50}, "message"),
        ({"headers": {PAYLOAD_SIZE: "1"}}, "headers"),
        ({"aggregate_id": "ä" * 400}, "aggregate_id"),
    ],
)
def test_a_message_that_could_not_be_claimed_is_refused(names: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidMessageError) as raised:
        claimed(**{"body": "x" * 50, **names})
    assert raised.value.field == field


def test_a_key_of_exactly_the_limit_passes_and_one_sign_more_does_not() -> None:
    _, claim = claimed(aggregate_id="a")
    room = 1_024 - len(claim.key) + 1
    _, longest = claimed(aggregate_id="a" * room)
    assert len(longest.key) == 1_024
    with pytest.raises(InvalidMessageError, match="1025 of 1024"):
        claimed(aggregate_id="a" * (room + 1))


@dataclass
class Arrived:
    body: str
    headers: dict[str, str] = field(default_factory=dict)


@given(bodies=st.lists(TEXTS, min_size=1, max_size=20), width=st.integers(1, 4))
def test_what_is_written_is_fetched(bodies: list[str], width: int) -> None:
    s3 = InMemoryBucket("orders-claims")
    check = ClaimCheck("orders-claims", over_bytes=50)
    messages, claims = [], []
    for number, body in enumerate(bodies):
        message, claim = claim_body(
            message_of(body, message_id=f"m-{number}"),
            check,
            TableDesign.ordered,
            table_name="outbox",
            nonce=f"{number:016x}",
        )
        messages.append(message)
        claims.extend([claim] if claim is not None else [])

    async def fetch_all() -> list[str]:
        await write_claims(s3, claims, max_concurrency=width)
        store = ClaimStore(s3, buckets=["orders-claims"])
        return [await store.fetch(Arrived(message.body, dict(message.headers))) for message in messages]

    assert asyncio.run(fetch_all()) == bodies
    assert len(s3.objects) == sum(len(body.encode()) > 50 for body in bodies)

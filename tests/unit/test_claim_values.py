"""Claims as values: keys, pointers, requests, what is refused in which words, and what a sweep decides."""

from base64 import b64encode
from hashlib import sha256
from typing import Any

import msgspec
import pytest

from outbox_sdk.core.claim import MAX_CLAIM_BYTES, Claim, ClaimCheck, ClaimPlace, claim_body
from outbox_sdk.core.claim_sweep import (
    ClaimSweepReport,
    StoredBody,
    describe_claim_sweep,
    encode_claim_sweep,
    is_young,
    judge_body,
    pair_notes,
)
from outbox_sdk.core.errors import ConfigurationError, InvalidMessageError
from outbox_sdk.core.identifiers import AggregateId, ItemKey, MessageId, TopicName
from outbox_sdk.core.lookup import Found, Missing, Unreadable
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.pointer import (
    ClaimError,
    ClaimFault,
    Pointer,
    check_body,
    decode_data_reference,
    decode_pointer,
    encode_data_reference,
    encode_pointer,
)
from outbox_sdk.core.report import LogLine
from outbox_sdk.core.table import TableDesign

PLACE = ClaimPlace("orders-claims", "claims/", "outbox")
NONCE = "f" * 16
NAME = "0" * 64 + "-" + NONCE
BODY = "größe" * 30
DIGEST = sha256(BODY.encode()).hexdigest()
KEY = ItemKey((("PK", "S", "AGGREGATE#7"), ("SK", "S", "MESSAGE#m-1")))
MESSAGE = OutboxMessage(
    key=KEY,
    marker={"S": "04"},
    message_id=MessageId("m-1"),
    aggregate_id=AggregateId("7"),
    topic=TopicName("orders"),
    body=BODY,
    headers={"tenant": "blue"},
)


def item_key(aggregate: str, message_id: str = "m-1") -> ItemKey:
    return ItemKey.from_item({"PK": {"S": f"AGGREGATE#{aggregate}"}, "SK": {"S": f"MESSAGE#{message_id}"}})


# Places and keys


def test_where_the_objects_of_a_table_are() -> None:
    assert (PLACE.root, PLACE.bodies, PLACE.notes, PLACE.swept) == (
        "claims/outbox/",
        "claims/outbox/body/",
        "claims/outbox/gone/",
        "claims/outbox/swept",
    )


@pytest.mark.parametrize(
    ("aggregate", "written"),
    [
        ("7", "7"),
        ("a b", "a!20b"),
        ("a/b", "a!2Fb"),
        ("a.b", "a!2Eb"),
        ("a~b", "a!7Eb"),
        ("a%b", "a!25b"),
        ("a!b", "a!21b"),
        ("ä_-", "!C3!A4_-"),
    ],
)
def test_any_id_makes_a_key_that_no_client_changes(aggregate: str, written: str) -> None:
    key = PLACE.encode_key(item_key(aggregate), TableDesign.ordered, digest="0" * 64, nonce=NONCE)
    assert key == f"claims/outbox/body/AGGREGATE!23{written}/MESSAGE!23m-1/{NAME}"
    assert PLACE.decode_key(key, TableDesign.ordered) == item_key(aggregate)


def test_a_table_keyed_by_message_has_one_part() -> None:
    only = ItemKey((("PK", "S", "MESSAGE#m-1"),))
    key = PLACE.encode_key(only, TableDesign.message_keyed, digest="0" * 64, nonce=NONCE)
    assert key == f"claims/outbox/body/MESSAGE!23m-1/{NAME}"
    assert PLACE.decode_key(key, TableDesign.message_keyed) == only
    assert PLACE.decode_key(key, TableDesign.ordered) is None


@pytest.mark.parametrize(
    "key",
    [
        f"other/outbox/body/A/M/{NAME}",
        f"claims/outbox/gone/A/M/{NAME}",
        f"claims/outbox/body/A/{NAME}",
        f"claims/outbox/body/A/M/x/{NAME}",
        f"claims/outbox/body/A//{NAME}",
        f"claims/outbox/body/A/a.b/{NAME}",
        f"claims/outbox/body/A/!2f/{NAME}",
        f"claims/outbox/body/A/!FF/{NAME}",
        f"claims/outbox/body/A/%41/{NAME}",
        f"claims/outbox/body/A/M/{NAME}0",
        f"claims/outbox/body/A/M/{NAME[1:]}",
        f"claims/outbox/body/A/M/{NAME.upper()}",
        "claims/outbox/body/A/M/readme",
    ],
)
def test_an_object_of_others_belongs_to_no_item(key: str) -> None:
    assert PLACE.decode_key(key, TableDesign.ordered) is None


# What a producer says and what is made of a body


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"bucket": "Orders"}, "bucket: 'Orders' is not the name of a bucket"),
        ({"bucket": "a..b"}, "bucket: 'a..b' is not the name of a bucket"),
        (
            {"prefix": "claims"},
            "prefix: 'claims' is not made of parts of letters, digits, _ and -, each with a /",
        ),
        ({"over_bytes": -1}, "over_bytes: -1 is not between 0 and 268435456 bytes"),
        ({"over_bytes": 268_435_457}, "over_bytes: 268435457 is not between 0 and 268435456 bytes"),
    ],
)
def test_a_claim_check_that_could_not_work_is_refused(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        ClaimCheck(**{"bucket": "orders-claims", **arguments})
    assert str(refused.value) == text


def test_both_ends_of_what_a_claim_check_takes() -> None:
    check = ClaimCheck("orders-claims")
    assert (check.prefix, check.over_bytes) == ("claims/", 131_072)
    assert ClaimCheck("orders-claims", over_bytes=0).over_bytes == 0
    assert ClaimCheck("orders-claims", over_bytes=MAX_CLAIM_BYTES).over_bytes == 268_435_456


def test_the_body_goes_and_the_pointer_stays() -> None:
    check = ClaimCheck("orders-claims", over_bytes=209)  # 30 times seven bytes are 210
    pointing, claim = claim_body(MESSAGE, check, TableDesign.ordered, table_name="outbox", nonce=NONCE)
    key = f"claims/outbox/body/AGGREGATE!237/MESSAGE!23m-1/{DIGEST}-{NONCE}"
    assert claim == Claim("orders-claims", key, BODY.encode(), "text/plain; charset=utf-8")
    assert pointing == msgspec.structs.replace(
        MESSAGE,
        body='["software.amazon.payloadoffloading.PayloadS3Pointer",'
        f'{{"s3BucketName":"orders-claims","s3Key":"{key}"}}]',
        headers={"tenant": "blue", "ExtendedPayloadSize": "210"},
    )
    assert claim.request() == {
        "Bucket": "orders-claims",
        "Key": key,
        "Body": BODY.encode(),
        "ContentType": "text/plain; charset=utf-8",
        "ChecksumSHA256": b64encode(bytes.fromhex(DIGEST)).decode(),
    }
    assert repr(claim) == f"Claim('orders-claims', '{key}', <210 bytes>)"
    pointer = decode_pointer(pointing.body, pointing.headers)
    assert pointer == Pointer("orders-claims", key, 210, DIGEST)
    assert check_body(pointer, claim.body) == BODY


def test_a_body_of_exactly_the_size_stays_and_a_declared_type_is_the_objects() -> None:
    enough = ClaimCheck("orders-claims", over_bytes=210)
    assert claim_body(MESSAGE, enough, TableDesign.ordered, table_name="outbox", nonce=NONCE) == (
        MESSAGE,
        None,
    )
    declared = msgspec.structs.replace(MESSAGE, content_type="application/json")
    less = ClaimCheck("orders-claims", over_bytes=1)
    _, claim = claim_body(declared, less, TableDesign.ordered, table_name="outbox", nonce=NONCE)
    assert claim is not None
    assert claim.content_type == "application/json"


@pytest.mark.parametrize(
    ("changes", "design", "text"),
    [
        (
            {"headers": {"ExtendedPayloadSize": "1"}},
            TableDesign.ordered,
            "headers: ExtendedPayloadSize is the name of the claim check's own attribute",
        ),
        ({"body": "ab\0"}, TableDesign.ordered, "message: message m-1 is refused: charset:U+0000"),
        (
            {"key": item_key("x" * 1_000)},
            TableDesign.ordered,
            "aggregate_id: message m-1 makes an S3 key of 1127 of 1024 bytes; letters, digits, _ and - count "
            "one byte, other signs three for each of theirs",
        ),
        (
            {"key": ItemKey((("PK", "S", "x" * 1_000),))},
            TableDesign.message_keyed,
            "message_id: message m-1 makes an S3 key of 1101 of 1024 bytes; letters, digits, _ and - count "
            "one byte, other signs three for each of theirs",
        ),
    ],
)
def test_a_body_that_cannot_be_claimed(changes: dict[str, Any], design: TableDesign, text: str) -> None:
    message = msgspec.structs.replace(MESSAGE, **changes)
    check = ClaimCheck("orders-claims", over_bytes=1)
    with pytest.raises(InvalidMessageError) as refused:
        claim_body(message, check, design, table_name="outbox", nonce=NONCE)
    assert str(refused.value) == text


def test_a_body_of_more_than_is_held_in_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check = ClaimCheck("orders-claims", over_bytes=1)
    monkeypatch.setattr("outbox_sdk.core.claim.MAX_CLAIM_BYTES", 210)
    _, claim = claim_body(MESSAGE, check, TableDesign.ordered, table_name="outbox", nonce=NONCE)
    assert claim is not None
    monkeypatch.setattr("outbox_sdk.core.claim.MAX_CLAIM_BYTES", 209)
    with pytest.raises(InvalidMessageError) as refused:
        claim_body(MESSAGE, check, TableDesign.ordered, table_name="outbox", nonce=NONCE)
    assert str(refused.value) == "message: message m-1 has a body of 210 of 209 bytes"


def test_a_key_of_exactly_1024_bytes_passes() -> None:
    check = ClaimCheck("orders-claims", over_bytes=1)
    least = len(f"claims/outbox/body//{NAME}")
    for size, passes in ((1_024 - least, True), (1_025 - least, False)):
        message = msgspec.structs.replace(MESSAGE, key=ItemKey((("PK", "S", "x" * size),)))
        try:
            _, claim = claim_body(message, check, TableDesign.message_keyed, table_name="outbox", nonce=NONCE)
        except InvalidMessageError:
            claim = None
        assert (claim is not None) is passes
        if claim is not None:
            pointer = encode_pointer("orders-claims", claim.key)
            assert decode_pointer(pointer, {"ExtendedPayloadSize": "2"}).key == claim.key


# Pointers


ATTRIBUTES = {"ExtendedPayloadSize": "300000"}


@pytest.mark.parametrize(
    ("body", "attributes"),
    [
        ("{", ATTRIBUTES),
        ("{}", ATTRIBUTES),
        ("\ud800", ATTRIBUTES),
        (encode_pointer("orders", f"a/{NAME}").replace("Payload", "Load"), ATTRIBUTES),
        (encode_pointer("Orders", f"a/{NAME}"), ATTRIBUTES),
        (encode_pointer("orders", "a/b"), ATTRIBUTES),
        (encode_pointer("orders", f"{NAME}/b"), ATTRIBUTES),
        (encode_pointer("orders", f"{'x' * 943}/{NAME}"), ATTRIBUTES),
        (encode_pointer("orders", f"{'é' * 472}/{NAME}"), ATTRIBUTES),
        (encode_pointer("orders", f"a/{NAME}"), {}),
        (encode_pointer("orders", f"a/{NAME}"), {"ExtendedPayloadSize": "-1"}),
        (encode_pointer("orders", f"a/{NAME}"), {"ExtendedPayloadSize": "01"}),
        (encode_pointer("orders", f"a/{NAME}"), {"ExtendedPayloadSize": "1" * 13}),
        (encode_pointer("orders", f"a/{NAME}").replace('"s3Key"', '"x":1,"s3Key"'), ATTRIBUTES),
    ],
)
def test_what_is_no_pointer_of_ours_leads_nowhere(body: str, attributes: dict[str, str]) -> None:
    with pytest.raises(ClaimError) as refused:
        decode_pointer(body, attributes)
    assert str(refused.value) == "a claimed body is no pointer that an outbox has written"
    assert (refused.value.reason, refused.value.bucket, refused.value.key) == ("pointer", None, None)
    assert refused.value.__cause__ is None
    assert encode_data_reference(body, attributes) is None


def test_a_pointer_is_told_and_referred_to() -> None:
    longest = f"{'x' * 942}/{NAME}"
    for key in (f"a/b/{NAME}", NAME, longest):
        body = encode_pointer("orders", key)
        assert decode_pointer(body, ATTRIBUTES) == Pointer("orders", key, 300_000, "0" * 64)
        assert encode_data_reference(body, ATTRIBUTES) == (f"s3://orders/{key}", 300_000)
        assert decode_data_reference(f"s3://orders/{key}") == body
    assert decode_pointer(encode_pointer("orders", NAME), {"ExtendedPayloadSize": "0"}).size == 0


@pytest.mark.parametrize(
    "reference", ["", "s3://", "s3://b", "s3://b/", "b/k", "https://b/k", "S3://b/k", "s3:/b/k"]
)
def test_a_reference_to_something_else_is_no_pointer(reference: str) -> None:
    assert decode_data_reference(reference) is None


def test_a_key_with_slashes_keeps_them() -> None:
    assert decode_data_reference("s3://b/k/l") == encode_pointer("b", "k/l")


@pytest.mark.parametrize(
    ("body", "reason", "problem"),
    [
        (b"abc", "size", "has another size than its pointer says"),
        (b"ab", "digest", "has another content than its key says"),
    ],
)
def test_a_body_that_is_not_what_its_pointer_says(body: bytes, reason: ClaimFault, problem: str) -> None:
    with pytest.raises(ClaimError) as refused:
        check_body(Pointer("orders", "k", 2, "0" * 64), body)
    assert str(refused.value) == f"the body 'k' in bucket 'orders' {problem}"
    error = refused.value
    assert (error.reason, error.bucket, error.key, error.code) == (reason, "orders", "k", None)


def test_a_body_that_is_no_text() -> None:
    with pytest.raises(ClaimError) as refused:
        check_body(Pointer("orders", "k", 1, sha256(b"\xff").hexdigest()), b"\xff")
    assert str(refused.value) == "the body 'k' in bucket 'orders' is not UTF-8"
    assert (refused.value.reason, refused.value.bucket, refused.value.key) == ("text", "orders", "k")
    assert refused.value.__cause__ is None


def test_an_error_has_the_code_of_s3_and_only_one_reason_may_pass() -> None:
    error = ClaimError("unavailable", bucket="b", key="k", code="SlowDown")
    assert str(error) == "the body 'k' in bucket 'b' could not be reached: SlowDown"
    assert (error.code, error.retryable) == ("SlowDown", True)
    assert str(ClaimError("no-store")) == (
        "a claimed body has to be read from S3: give the consumer a ClaimStore as `claims`"
    )
    assert not ClaimError("missing", bucket="b", key="k").retryable


# The sweep

DAY = 86_400.0


@pytest.mark.parametrize(
    ("noted", "lookup", "now", "judgement"),
    [
        (None, Missing(), DAY - 1, "young"),
        (None, None, DAY, "unread"),
        (None, Unreadable("X"), DAY, "unread"),
        (None, Found(outstanding=True), DAY, "needed"),
        (None, Found(outstanding=False), DAY, "needed"),
        (5.0, Found(outstanding=False), DAY, "back"),
        (None, Missing(), DAY, "missed"),
        (-1.0, Missing(), 10 * DAY, "missed"),
        (0.0, Missing(), 3 * DAY, "orphaned"),
        (1.0, Missing(), 3 * DAY, "waiting"),
    ],
)
def test_what_a_sweep_makes_of_a_body(noted: float | None, lookup: Any, now: float, judgement: str) -> None:
    body = StoredBody("k", KEY, written=0.0, noted=noted)
    assert judge_body(body, lookup, now=now, minimum_age=2 * DAY) == judgement


def test_no_body_goes_before_the_stream_has_forgotten_its_item() -> None:
    body = StoredBody("k", KEY, written=0.0, noted=DAY)
    assert judge_body(body, Missing(), now=2 * DAY, minimum_age=-5 * DAY) == "orphaned"
    assert judge_body(body, Missing(), now=2 * DAY - 1, minimum_age=-5 * DAY) == "waiting"
    written = StoredBody("k", KEY, written=100.0)
    assert (is_young(written, DAY + 99), is_young(written, DAY + 100)) == (True, False)


def test_bodies_meet_their_notes() -> None:
    ours = f"claims/outbox/body/AGGREGATE!237/MESSAGE!23m-1/{NAME}"
    notes = {ours.replace("/body/", "/gone/"): 9.0}
    found = pair_notes([(ours, 1.0), ("claims/outbox/body/x", 2.0)], notes, PLACE, TableDesign.ordered)
    assert list(found) == [
        StoredBody(ours, KEY, 1.0, 9.0),
        StoredBody("claims/outbox/body/x", None, 2.0, None),
    ]


REPORT = ClaimSweepReport(found=3, deleted=1, kept={"needed": 2})
DOCUMENT = {
    "found": 3,
    "deleted": 1,
    "kept": {"needed": 2},
    "failures": {},
    "complete": True,
    "due": True,
}


@pytest.mark.parametrize(
    ("changes", "level", "advice"),
    [
        ({}, "INFO", None),
        ({"due": False}, "INFO", None),
        ({"complete": False}, "WARNING", None),
        ({"failures": {"SlowDown": 2}}, "WARNING", "The next sweep takes up what is left."),
        (
            {"failures": {"SlowDown": 2, "NoSuchBucket": 1}, "complete": False},
            "ERROR",
            "See that the bucket of OUTBOX_CLAIM_BUCKET is there and that the sweeper may list it, write "
            "notes and delete in it, and that it may read the table.",
        ),
    ],
)
def test_what_is_logged_of_a_sweep(changes: dict[str, Any], level: Any, advice: str | None) -> None:
    report = msgspec.structs.replace(REPORT, **changes)
    document = {**DOCUMENT, **changes}
    assert encode_claim_sweep(report) == document
    fields = document if advice is None else {**document, "advice": advice}
    assert describe_claim_sweep(report) == LogLine("claims_swept", fields, level)
    assert report.succeeded is (not changes or changes == {"due": False})

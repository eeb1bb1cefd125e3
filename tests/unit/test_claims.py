"""The claim check from end to end on doubles: producers, their transactions, and consumers."""

from typing import Any

import msgspec
import pytest

from outbox_sdk import (
    Catalog,
    Claim,
    ClaimCheck,
    ClaimError,
    ClaimStore,
    ConfigurationError,
    Delivery,
    InvalidMessageError,
    Outbox,
    consumer,
    decode_sqs_record,
    handling,
    message,
    write_claims,
)
from outbox_sdk.core.claim import ClaimPlace
from outbox_sdk.core.envelope import ENVELOPE_KINDS, PAYLOAD_SIZE, EnvelopeKind
from outbox_sdk.core.identifiers import AggregateId, MessageId
from outbox_sdk.core.trace import TraceContext
from outbox_sdk.testing import InMemoryBucket, InMemoryStack
from tests.support.deliveries import lambda_sqs

BUCKET = "orders-claims"


@message("order.created", topic="order--created")
class OrderCreated(msgspec.Struct):
    order_id: str
    text: str


CATALOG = Catalog(OrderCreated)
CHECK = ClaimCheck(BUCKET, over_bytes=100)
LARGE = OrderCreated("order-7", "größe" * 40)
SMALL = OrderCreated("order-7", "x")


def outbox_of(envelope: EnvelopeKind = "raw") -> Outbox[OrderCreated]:
    return Outbox("outbox", catalog=CATALOG, claim_check=CHECK, envelope=envelope)


def put(event: OrderCreated, claims: list[Claim] | None, **arguments: Any) -> dict[str, Any]:
    entry = outbox_of().put(event, aggregate_id="order-7", claims=claims, **arguments)
    return dict(entry["Put"]["Item"])


# The producer


def test_a_large_body_goes_to_the_list_and_its_pointer_into_the_item() -> None:
    claims: list[Claim] = []

    item = put(LARGE, claims, message_id="m-1", headers={"Tenant": "a"})

    (claim,) = claims
    assert msgspec.json.decode(claim.body, type=OrderCreated) == LARGE
    assert msgspec.json.decode(item["Message"]["S"])[1] == {"s3BucketName": BUCKET, "s3Key": claim.key}
    assert item["Headers"]["M"] == {"Tenant": {"S": "a"}, PAYLOAD_SIZE: {"S": str(len(claim.body))}}
    assert item["MessageType"] == {"S": "order.created"}
    place, design = ClaimPlace(BUCKET, CHECK.prefix, "outbox"), outbox_of().design
    found = place.decode_key(claim.key, design)
    assert found is not None
    assert found.to_item() == {name: item[name] for name in ("PK", "SK")}


def test_a_small_body_and_one_of_exactly_the_size_stay() -> None:
    claims: list[Claim] = []
    text = "x" * 100
    entry = outbox_of().put(text, aggregate_id="order-7", topic="order--created", claims=claims)
    assert entry["Put"]["Item"]["Message"] == {"S": text}
    assert "Headers" not in put(SMALL, claims)
    assert claims == []
    outbox_of().put(text + "x", aggregate_id="order-7", topic="order--created", claims=claims)
    assert len(claims) == 1


def test_two_attempts_never_share_an_object() -> None:
    claims: list[Claim] = []
    for _ in range(2):
        put(LARGE, claims, message_id="m-1")
    assert len({claim.key for claim in claims}) == 2


def test_a_body_that_nobody_would_write_is_refused() -> None:
    with pytest.raises(
        InvalidMessageError, match=r"message m-1 has a body of \d+ bytes, of which 100"
    ) as raised:
        put(LARGE, None, message_id="m-1")
    assert raised.value.field == "claims"
    assert "größe" not in str(raised.value)


def test_what_is_refused_otherwise_leaves_the_list_alone() -> None:
    claims: list[Claim] = []
    with pytest.raises(InvalidMessageError, match="attributes:11"):
        put(LARGE, claims, headers={f"H{number}": "x" for number in range(5)})
    assert claims == []


def test_the_attribute_takes_a_place_from_the_trace_and_never_too_many() -> None:
    trace = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    delivery = Delivery(
        message_id=MessageId("m-0"), aggregate_id=AggregateId("order-7"), body="{}", trace=trace
    )
    with handling(delivery):
        small = put(SMALL, [], headers={"A": "1"})
        large = put(LARGE, [], headers={"A": "1"})
    assert set(small["Headers"]["M"]) == {"A", "CausationId", "traceparent"}
    assert set(large["Headers"]["M"]) == {"A", PAYLOAD_SIZE, "traceparent"}


# The consumer


class World:
    """An outbox in memory whose messages reach a consumer."""

    def __init__(self, envelope: EnvelopeKind = "raw") -> None:
        self.envelope: EnvelopeKind = envelope
        self.s3 = InMemoryBucket(BUCKET)
        self.stack = InMemoryStack(envelope=envelope)

    async def publish(self, *events: OrderCreated) -> list[dict[str, Any]]:
        """Publish, and give the records that a consumer gets."""
        claims: list[Claim] = []
        outbox = outbox_of(self.envelope)
        for number, event in enumerate(events):
            entry = outbox.put(
                event,
                aggregate_id="order-7",
                message_id=f"m-{number}",
                headers={"Tenant": "a"},
                claims=claims,
            )
            self.stack.write(entry)
        await write_claims(self.s3, claims)
        await self.stack.relay()
        return [
            lambda_sqs(each.body, [(name, "String", text) for name, text in each.attributes.items()])
            for each in self.stack.published
        ]


@pytest.mark.parametrize("envelope", ENVELOPE_KINDS)
async def test_a_consumer_gets_claimed_bodies_as_if_they_had_travelled(envelope: EnvelopeKind) -> None:
    world = World(envelope)
    seen: list[tuple[OrderCreated, Delivery]] = []

    async def open_s3() -> InMemoryBucket:
        return world.s3

    @consumer(CATALOG, envelope=envelope, claims=ClaimStore(open_s3, buckets=[BUCKET]))
    async def handle(event: OrderCreated, delivery: Delivery) -> None:
        seen.append((event, delivery))

    for record in await world.publish(LARGE, SMALL):
        await handle(record)

    assert [event for event, _ in seen] == [LARGE, SMALL]
    for event, delivery in seen:
        assert delivery.body == msgspec.json.encode(event).decode()
        assert delivery.headers == {"Tenant": "a"}
        assert delivery.content_type == "application/json"


@pytest.mark.parametrize("envelope", ENVELOPE_KINDS)
async def test_a_delivery_can_be_fetched_by_hand(envelope: EnvelopeKind) -> None:
    world = World(envelope)
    (record,) = await world.publish(LARGE)
    delivery = decode_sqs_record(record, envelope)
    body = await ClaimStore(world.s3, buckets=[BUCKET]).fetch(delivery)
    assert CATALOG.decode(body, delivery.attributes) == LARGE


async def test_a_consumer_without_a_store_says_what_it_needs() -> None:
    @consumer(CATALOG)
    async def handle(event: OrderCreated, delivery: Delivery) -> None:
        raise AssertionError

    (record,) = await World().publish(LARGE)
    with pytest.raises(ClaimError, match="give the consumer a ClaimStore") as raised:
        await handle(record)
    assert raised.value.reason == "no-store"


async def test_a_body_that_is_gone_leaves_the_message_to_its_queue() -> None:
    world = World()

    @consumer(CATALOG, claims=ClaimStore(world.s3, buckets=[BUCKET]))
    async def handle(event: OrderCreated, delivery: Delivery) -> None:
        raise AssertionError

    (record,) = await world.publish(LARGE)
    world.s3.objects.clear()
    with pytest.raises(ClaimError) as raised:
        await handle(record)
    assert raised.value.reason == "missing"


@pytest.mark.parametrize("buckets", [[], "orders-claims", ["No"]])
def test_a_store_has_to_be_told_its_buckets(buckets: Any) -> None:
    with pytest.raises(ConfigurationError, match="buckets"):
        ClaimStore(InMemoryBucket(BUCKET), buckets=buckets)

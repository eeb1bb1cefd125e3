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
    TransactionError,
    consumer,
    current_delivery,
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


# The transaction


class Dynamo:
    """Takes a transaction, and notes how many bodies were there when it came."""

    def __init__(self, s3: InMemoryBucket) -> None:
        self.committed: list[list[dict[str, Any]]] = []
        self.bodies: list[int] = []
        self._s3 = s3

    async def transact_write_items(self, **request: Any) -> dict[str, Any]:
        self.committed.append(request["TransactItems"])
        self.bodies.append(len(self._s3.objects))
        return {}


async def commit(
    dynamo: Dynamo, s3: InMemoryBucket | None, *events: OrderCreated, error: Exception | None = None
) -> None:
    """Publish events in one transaction, whose block raises in the end if told to."""
    async with outbox_of().transaction(dynamo, s3=s3) as tx:
        for event in events:
            tx.publish(event, aggregate_id="order-7")
        if error is not None:
            raise error


async def test_bodies_are_there_before_anything_is_committed() -> None:
    s3 = InMemoryBucket(BUCKET)
    dynamo = Dynamo(s3)

    await commit(dynamo, s3, *[LARGE] * 20, SMALL)

    assert dynamo.bodies == [20]
    assert len(dynamo.committed[0]) == 21


async def test_nothing_is_committed_when_a_body_could_not_be_written() -> None:
    dynamo = Dynamo(InMemoryBucket())
    with pytest.raises(ClaimError, match="NoSuchBucket") as raised:
        await commit(dynamo, InMemoryBucket("another-bucket"), LARGE)
    assert (raised.value.reason, raised.value.retryable) == ("unavailable", True)
    assert dynamo.committed == []


async def test_nothing_is_written_when_the_block_raises_or_cannot_be_committed() -> None:
    s3 = InMemoryBucket(BUCKET)
    dynamo = Dynamo(s3)
    with pytest.raises(KeyError):
        await commit(dynamo, s3, LARGE, error=KeyError())
    with pytest.raises(TransactionError, match="above 100"):
        await commit(dynamo, s3, *[LARGE] * 101)
    assert (s3.objects, dynamo.committed) == ({}, [])


async def test_a_transaction_without_a_client_of_s3_refuses_a_large_body_at_once() -> None:
    dynamo = Dynamo(InMemoryBucket())
    with pytest.raises(InvalidMessageError, match="s3="):
        await commit(dynamo, None, SMALL, LARGE)
    assert dynamo.committed == []


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
        assert current_delivery() is delivery
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


async def test_an_object_of_another_size_is_not_even_read() -> None:
    """It may have any size, and whoever reads it has so much memory."""

    class Unread:
        async def __aenter__(self) -> "Unread":
            return self

        async def __aexit__(self, *_: object) -> None:
            return None

        async def read(self) -> bytes:
            raise AssertionError

    class Swollen:
        async def get_object(self, *, Bucket: str, Key: str) -> dict[str, object]:  # noqa: N803 - AWS's names
            return {"Body": Unread(), "ContentLength": 5 * 2**30}

    (record,) = await World().publish(LARGE)
    with pytest.raises(ClaimError) as raised:
        await ClaimStore(Swollen(), buckets=[BUCKET]).fetch(decode_sqs_record(record))
    assert raised.value.reason == "size"


async def test_nothing_waits_for_a_place_that_there_is_not() -> None:
    with pytest.raises(ConfigurationError, match="max_concurrency"):
        await write_claims(InMemoryBucket(BUCKET), [], max_concurrency=0)


@pytest.mark.parametrize("buckets", [[], "orders-claims", ["No"]])
def test_a_store_has_to_be_told_its_buckets(buckets: Any) -> None:
    with pytest.raises(ConfigurationError, match="buckets"):
        ClaimStore(InMemoryBucket(BUCKET), buckets=buckets)

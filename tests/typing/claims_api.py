"""The claim check as type checkers see it: read by them and never run."""

from typing import TYPE_CHECKING

from outbox_sdk import Claim, ClaimCheck, ClaimStore, Delivery, Outbox, write_claims
from outbox_sdk.testing import InMemoryBucket

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb import DynamoDBClient
    from types_aiobotocore_s3 import S3Client

outbox = Outbox("outbox", claim_check=ClaimCheck("orders-claims"))


async def produce(dynamodb: "DynamoDBClient", s3: "S3Client") -> None:
    """Clients of aiobotocore are taken as they are typed."""
    async with outbox.transaction(dynamodb, s3=s3) as tx:
        tx.publish("{}", aggregate_id="order-7", topic="order--created")
    claims: list[Claim] = []
    entry = outbox.put("{}", aggregate_id="order-7", topic="order--created", claims=claims)
    await write_claims(s3, claims)
    await dynamodb.transact_write_items(TransactItems=[entry])


async def consume(s3: "S3Client", delivery: Delivery) -> str:
    """So is the double, and a function that gives a client."""

    async def open_s3() -> "S3Client":
        return s3

    ClaimStore(InMemoryBucket("orders-claims"), buckets=["orders-claims"])
    ClaimStore(open_s3, buckets=["orders-claims"])
    return await ClaimStore(s3, buckets=["orders-claims"]).fetch(delivery)

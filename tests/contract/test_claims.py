"""What claimed bodies take of S3, on every part and in memory: written, read, refused, listed and swept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from time import time
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
import pytest_asyncio

from outbox_sdk import TableDesign
from outbox_sdk.core.claim import Claim, ClaimCheck, ClaimPlace, claim_body
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.pointer import ClaimError, encode_pointer
from outbox_sdk.shell import claim_sweeper
from outbox_sdk.shell.aws.errors import translate_error
from outbox_sdk.shell.claim_sweeper import sweep_claims
from outbox_sdk.shell.claims import ClaimStore, write_claims
from outbox_sdk.testing import InMemoryBucket, InMemoryStack
from tests.property.test_claims import Arrived, message_of
from tests.support.aws import open_client
from tests.support.fixtures import endpoint_of

# What servers and adapters agree on is the same on every interpreter.
pytestmark = [pytest.mark.integration, pytest.mark.once, pytest.mark.asyncio(loop_scope="module")]

DAY = 86_400.0
AWKWARD_BODIES = (
    '{"b": 1,  "a": 1.0,\n\t"n": 12345678901234567890}',
    "line\r\nbreaks\n",
    "  leading and trailing  ",
    "café ключ 注文 👩‍👩‍👧 🇸🇪 \U0010ffff",
    "x" * 3_000_000,
)


class Case(NamedTuple):
    """A client of S3 and a bucket of its own."""

    s3: Any
    bucket: str

    def claim(self, body: str, **names: Any) -> tuple[OutboxMessage, Claim]:
        """Claim a body as a producer does."""
        message, claim = claim_body(
            message_of(body, **names),
            ClaimCheck(self.bucket, over_bytes=0),
            TableDesign.ordered,
            table_name="outbox",
            nonce=uuid4().hex[:16],
        )
        assert claim is not None
        return message, claim

    def store(self, **options: Any) -> ClaimStore:
        return ClaimStore(self.s3, **{"buckets": [self.bucket], **options})

    async def keys(self) -> list[str]:
        answer = await self.s3.list_objects_v2(Bucket=self.bucket)
        return [each["Key"] for each in answer.get("Contents", ())]


@pytest_asyncio.fixture(loop_scope="module", params=["memory", "moto", "ministack"])
async def case(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    bucket = f"claims-{uuid4().hex[:12]}"
    if request.param == "memory":
        yield Case(InMemoryBucket(bucket, "another-bucket"), bucket)
        return
    async with AsyncExitStack() as stack:
        s3 = await stack.enter_async_context(open_client("s3", endpoint_of(request, request.param)))
        await s3.create_bucket(Bucket=bucket)
        yield Case(s3, bucket)


async def test_bodies_come_out_as_they_went_in(case: Case) -> None:
    pairs = [
        case.claim(body, aggregate_id="ä/ö ü.~%", message_id=str(number))
        for number, body in enumerate(AWKWARD_BODIES)
    ]

    await write_claims(case.s3, [claim for _, claim in pairs])

    store = case.store()
    found = [await store.fetch(Arrived(message.body, dict(message.headers))) for message, _ in pairs]
    assert found == list(AWKWARD_BODIES)
    assert set(await case.keys()) == {claim.key for _, claim in pairs}


async def test_what_was_changed_on_the_way_is_not_read(case: Case) -> None:
    """S3 compares what arrives with its digest; so do MiniStack and the double, and Moto does not."""
    message, claim = case.claim("what was meant")
    changed = {**claim.request(), "Body": b"something else"}
    arrived = Arrived(message.body, dict(message.headers))
    answers: Any = await asyncio.gather(case.s3.put_object(**changed), return_exceptions=True)
    refused = answers[0]
    if isinstance(refused, Exception):
        assert translate_error(refused).code == "BadDigest"

    with pytest.raises(ClaimError) as raised:
        await case.store().fetch(arrived)
    assert raised.value.reason == ("missing" if isinstance(refused, Exception) else "digest")


@pytest.mark.parametrize("body", ["short", "of the same size!!", ""])
async def test_what_was_changed_in_the_bucket_is_not_read(case: Case, body: str) -> None:
    message, claim = case.claim("of this very size.")
    await case.s3.put_object(Bucket=claim.bucket, Key=claim.key, Body=body.encode())

    with pytest.raises(ClaimError) as raised:
        await case.store().fetch(Arrived(message.body, dict(message.headers)))

    assert raised.value.reason == ("digest" if len(body) == 18 else "size")
    assert not raised.value.retryable


async def test_what_is_gone_is_missing(case: Case) -> None:
    message, claim = case.claim("swept too early")
    with pytest.raises(ClaimError) as raised:
        await case.store().fetch(Arrived(message.body, dict(message.headers)))
    assert (raised.value.reason, raised.value.key) == ("missing", claim.key)


async def test_a_pointer_to_any_other_bucket_is_refused_unasked(case: Case) -> None:
    """A producer must not make a consumer read what only the consumer may."""
    message, claim = case.claim("a secret")
    await write_claims(case.s3, [claim])
    store = case.store(buckets=["another-bucket"])
    with pytest.raises(ClaimError) as raised:
        await store.fetch(Arrived(message.body, dict(message.headers)))
    assert raised.value.reason == "bucket"


async def test_an_object_that_no_outbox_has_written_is_refused(case: Case) -> None:
    await case.s3.put_object(Bucket=case.bucket, Key="theirs/report.csv", Body=b"text")
    arrived = Arrived(encode_pointer(case.bucket, "theirs/report.csv"), {"ExtendedPayloadSize": "4"})
    with pytest.raises(ClaimError) as raised:
        await case.store().fetch(arrived)
    assert raised.value.reason == "pointer"


async def test_what_is_too_large_is_not_read(case: Case) -> None:
    message, claim = case.claim("x" * 11)
    await write_claims(case.s3, [claim])
    arrived = Arrived(message.body, dict(message.headers))
    assert await case.store(max_bytes=11).fetch(arrived) == "x" * 11
    with pytest.raises(ClaimError) as raised:
        await case.store(max_bytes=10).fetch(arrived)
    assert raised.value.reason == "too-large"


async def test_a_bucket_that_is_not_there_fails_the_write(case: Case) -> None:
    _, claim = case.claim("x")
    lost = Claim("no-such-bucket-anywhere", claim.key, claim.body, claim.content_type)
    with pytest.raises(ClaimError) as raised:
        await write_claims(case.s3, [claim, lost])
    assert (raised.value.reason, raised.value.code) == ("unavailable", "NoSuchBucket")


async def test_orphans_are_swept_page_by_page_and_nothing_else(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim_sweeper, "_PAGE_SIZE", 2)
    stack = InMemoryStack()
    pairs = [case.claim("x", message_id=f"m-{number}") for number in range(7)]
    await write_claims(case.s3, [claim for _, claim in pairs])
    await case.s3.put_object(Bucket=case.bucket, Key="claims/outbox/body/readme.txt", Body=b"")
    kept = {claim.key for message, claim in pairs[::3]}
    stack.table.items = {message.key: {} for message, _ in pairs[::3]}
    place = ClaimPlace(case.bucket, "claims/", "outbox")
    began = time()

    async def sweep(days: float) -> dict[str, Any]:
        # The clock of what has a server's time is the sweep's own.
        context = replace(stack.context, now=lambda: began + days * DAY)
        report = await sweep_claims(context, case.s3, place, minimum_age_days=14)
        assert report.succeeded, report
        return {"deleted": report.deleted, **report.kept}

    assert await sweep(0.5) == {"deleted": 0, "foreign": 1, "young": 7}
    assert await sweep(1.1) == {"deleted": 0, "foreign": 1, "missed": 4, "needed": 3}
    assert len(await case.keys()) == 7 + 1 + 4 + 1  # bodies, the other file, notes, and the end of a sweep
    # A server notes by its own clock, which stands still beside the sweep's.
    assert await sweep(14.9) == {"deleted": 0, "foreign": 1, "needed": 3, "waiting": 4}
    assert await sweep(17) == {"deleted": 4, "foreign": 1, "needed": 3}
    assert set(await case.keys()) == {*kept, "claims/outbox/body/readme.txt", place.swept}


async def test_a_sweep_of_no_bucket_says_so(case: Case) -> None:
    place = ClaimPlace("no-such-bucket-anywhere", "claims/", "outbox")
    report = await sweep_claims(InMemoryStack().context, case.s3, place, minimum_age_days=14)
    assert (report.failures, report.complete) == ({"NoSuchBucket": 1}, False)


async def test_many_bodies_are_written_side_by_side_within_the_bound(case: Case) -> None:
    under_way = peak = 0
    real = case.s3.put_object

    class Watched:
        async def put_object(self, **arguments: Any) -> object:
            nonlocal under_way, peak
            under_way += 1
            peak = max(peak, under_way)
            await asyncio.sleep(0)
            try:
                return await real(**arguments)
            finally:
                under_way -= 1

    claims = [case.claim("x", message_id=str(number))[1] for number in range(10)]
    await write_claims(Watched(), claims, max_concurrency=3)
    assert peak == 3
    assert set(await case.keys()) == {claim.key for claim in claims}

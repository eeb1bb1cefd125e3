"""Claimed bodies on the whole way: from a producer through the relay to consumers, and the sweep of them."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, replace
from time import time
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from outbox_sdk import (
    Catalog,
    ClaimStore,
    Delivery,
    MessageAlreadyPublished,
    Outbox,
    RelayConfiguration,
    consumer,
    message,
    open_relay,
)
from outbox_sdk.core.claim import ClaimCheck, ClaimPlace, claim_body
from outbox_sdk.core.envelope import EnvelopeKind
from outbox_sdk.core.identifiers import Region, TableName
from outbox_sdk.core.items import encode_item
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.embedded_stack import EmbeddedStack
from outbox_sdk.shell.claims import write_claims
from outbox_sdk.sweeper_handler import SweeperHandler
from tests.property.test_claims import Arrived, message_of
from tests.support.admin_commands import read_lines
from tests.support.aws import open_client
from tests.support.command import CREDENTIALS, run_outbox
from tests.support.events import FakeContext
from tests.support.extended_client import extended_client, read_with_extended_client
from tests.support.outbox_tables import OutboxTable, open_outbox_table
from tests.support.servers import server_or_skip
from tests.support.topics import Topic, open_topic

# The same on every interpreter, and slow: most of it waits for processes.
pytestmark = [pytest.mark.integration, pytest.mark.once]

LARGE = json.dumps({"text": "größe " * 60_000}, ensure_ascii=False)
"""Over what a topic takes."""

OLD = "2026-11-23T09:00:00.000000Z"


@message("order.created", topic="order--created")
class OrderCreated(msgspec.Struct):
    order_id: str
    text: str


@dataclass(frozen=True, slots=True)
class World:
    """A table, a topic with a queue, and a bucket, on one stack."""

    stack: EmbeddedStack
    table: OutboxTable
    topic: Topic
    s3: Any
    bucket: str

    async def write(self, body: str, message_id: str, **names: Any) -> OutboxMessage:
        """Claim a body and put its item."""
        message, claim = claim_body(
            message_of(body, message_id=message_id, content_type="application/json", created_at=OLD, **names),
            ClaimCheck(self.bucket),
            self.table.design,
            table_name=self.table.name,
            nonce=uuid4().hex[:16],
        )
        await write_claims(self.s3, [claim] if claim is not None else [])
        item = encode_item(message, self.table.design)
        await self.table.put({**item, "Topic": {"S": self.topic.name}})
        return message

    async def relay(self, envelope: EnvelopeKind = "raw") -> None:
        configuration = RelayConfiguration(
            dynamodb_outbox_table_name=TableName(self.table.name),
            aws_endpoint_url=self.stack.endpoint_url,
            aws_region=Region(self.stack.region),
            outbox_envelope=envelope,
        )
        credentials = (self.stack.access_key_id, self.stack.secret_access_key)
        async with open_relay(configuration, credentials=credentials) as relay:
            report = await relay.sweep(publish=True, sweep_after=0.0)
        assert report.succeeded, report

    async def keys(self) -> list[str]:
        answer = await self.s3.list_objects_v2(Bucket=self.bucket)
        return [each["Key"] for each in answer.get("Contents", ())]

    async def run(self, *arguments: str, **variables: str) -> tuple[int, list[dict[str, Any]]]:
        """Run the sweep's command; give its exit code and its lines."""
        done = await asyncio.to_thread(
            run_outbox,
            *("sweep", "--claims", "--table", self.table.name, "--endpoint-url", self.stack.endpoint_url),
            *("--region", self.stack.region, "--json", *arguments),
            **CREDENTIALS,
            **variables,
        )
        assert done.stderr == ""
        return done.returncode, read_lines("sweep", done.stdout)


@pytest.fixture
async def world(ministack: EmbeddedStack) -> AsyncIterator[World]:
    async with AsyncExitStack() as exits:
        table = await exits.enter_async_context(open_outbox_table(ministack.endpoint_url))
        topic = await exits.enter_async_context(open_topic(ministack.endpoint_url))
        s3 = await exits.enter_async_context(open_client("s3", ministack.endpoint_url))
        bucket = f"claims-{uuid4().hex[:12]}"
        await s3.create_bucket(Bucket=bucket)
        yield World(ministack, table, topic, s3, bucket)


async def test_a_body_over_the_topics_limit_arrives(world: World) -> None:
    await world.write(LARGE, "m-large")
    await world.write('{"small":1}', "m-small")
    await world.relay()

    received = {message.message_id: message for message in await world.topic.drain(expected=2)}
    store = ClaimStore(world.s3, buckets=[world.bucket])
    found = {
        message_id: await store.fetch(
            Arrived(message.body, {name: value for name, (_, value) in message.attributes.items()})
        )
        for message_id, message in received.items()
    }
    assert found == {"m-large": LARGE, "m-small": '{"small":1}'}
    assert received["m-large"].attributes["ExtendedPayloadSize"] == ("Number", str(len(LARGE.encode())))
    assert "ExtendedPayloadSize" not in received["m-small"].attributes


async def test_a_large_body_goes_from_a_transaction_to_a_consumer(world: World) -> None:
    """With DynamoDB, S3, SNS and SQS in between: what is handled is equal to what was put."""
    catalog = Catalog(OrderCreated)
    outbox = Outbox(world.table.name, catalog=catalog, claim_check=ClaimCheck(world.bucket, over_bytes=1_000))
    events = [OrderCreated("order-7", "größe " * 100_000), OrderCreated("order-7", "small")]
    async with outbox.transaction(world.table.dynamodb, s3=world.s3) as tx:
        for event in events:
            tx.publish(event, aggregate_id="order-7", topic=world.topic.name)
    await world.relay()
    seen: list[OrderCreated] = []

    @consumer(catalog, claims=ClaimStore(world.s3, buckets=[world.bucket]))
    async def handle(event: OrderCreated, delivery: Delivery) -> None:
        seen.append(event)

    while len(seen) < len(events):
        answer = await world.topic.sqs.receive_message(
            QueueUrl=world.topic.queue_url,
            WaitTimeSeconds=5,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            AttributeNames=["All"],
        )
        assert answer.get("Messages"), seen
        for record in answer["Messages"]:
            await handle(record)
            await world.topic.sqs.delete_message(
                QueueUrl=world.topic.queue_url, ReceiptHandle=record["ReceiptHandle"]
            )
    assert sorted(seen, key=events.index) == events
    assert len(await world.keys()) == 1


async def test_a_message_put_twice_leaves_the_first_ones_body_alone(world: World) -> None:
    outbox = Outbox(world.table.name, claim_check=ClaimCheck(world.bucket, over_bytes=10))

    async def publish(text: str) -> None:
        async with outbox.transaction(world.table.dynamodb, s3=world.s3) as tx:
            tx.publish(text, aggregate_id="order-7", topic=world.topic.name, message_id="m-1")

    await publish("the first of both")
    with pytest.raises(MessageAlreadyPublished):
        await publish("the second of both")
    await world.relay()

    (received,) = await world.topic.drain(expected=1)
    store = ClaimStore(world.s3, buckets=[world.bucket])
    attributes = {name: value for name, (_, value) in received.attributes.items()}
    assert await store.read(received.body, attributes) == "the first of both"
    assert len(await world.keys()) == 2  # and the sweeper keeps both as long as the item is there


async def test_awss_own_library_reads_what_we_publish(world: World) -> None:
    await world.write(LARGE, "m-large")
    await world.write('{"small":1}', "m-small")
    await world.relay()

    with server_or_skip(extended_client()) as libraries:
        found = await asyncio.to_thread(
            read_with_extended_client, libraries, world.topic.queue_url, world.stack.endpoint_url
        )

    by_id = {attributes["MessageId"]["StringValue"]: body for body, attributes in found}
    assert by_id == {"m-large": LARGE, "m-small": '{"small":1}'}
    assert {name for _, attributes in found for name in attributes} >= {"AggregateId", "ContentType"}


async def test_a_cloudevent_refers_to_it(world: World) -> None:
    message = await world.write(LARGE, "m-large")
    await world.relay("cloudevents")

    (received,) = await world.topic.drain(expected=1)
    event = json.loads(received.body)
    bucket, _, key = event["dataref"].removeprefix("s3://").partition("/")
    answer = await world.s3.get_object(Bucket=bucket, Key=key)
    assert (await answer["Body"].read()).decode() == LARGE
    assert event["datasize"] == message.headers["ExtendedPayloadSize"]
    assert "ExtendedPayloadSize" not in received.attributes


# The sweep, by the command and by the handler


async def test_the_command_sweeps_claims_and_touches_nothing(world: World) -> None:
    await world.write(LARGE, "m-large")
    before = await world.keys()

    code, (summary,) = await world.run("--claim-bucket", world.bucket)

    assert code == 0
    assert summary == {
        "event": "claims_swept",
        "found": 1,
        "deleted": 0,
        "kept": {"young": 1},
        "failures": {},
        "complete": True,
        "due": True,
    }
    assert set(await world.keys()) == {*before, f"claims/{world.table.name}/swept"}


async def test_the_command_takes_the_bucket_from_the_variable_and_says_what_is_wrong(world: World) -> None:
    code, (summary,) = await world.run("--claim-prefix", "a/b/", OUTBOX_CLAIM_BUCKET="no-such-bucket-here")
    assert code == 1
    assert summary["failures"] == {"NoSuchBucket": 1}
    assert "OUTBOX_CLAIM_BUCKET" in summary["advice"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--claims",), "OUTBOX_CLAIM_BUCKET: is not set"),
        (("--claims", "--claim-bucket", "No"), "OUTBOX_CLAIM_BUCKET: 'No' is not the name of an S3 bucket"),
        (("--claims", "--publish"), "two sweeps"),
        (
            ("--claims", "--claim-bucket", "abc", "--claim-minimum-age-days", "0"),
            "OUTBOX_CLAIM_MINIMUM_AGE_DAYS: 0 is not between",
        ),
    ],
)
def test_wrong_options_are_refused_with_a_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    done = run_outbox(
        *("sweep", "--table", "outbox", *arguments),
        AWS_REGION="us-east-1",
        AWS_ACCOUNT_ID="000000000000",
        **CREDENTIALS,
    )
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def handler(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[SweeperHandler]:
    """The handler as Lambda would find it."""
    for name in ("AWS_PROFILE", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    monkeypatch.setenv("AWS_ENDPOINT_URL", world.stack.endpoint_url)
    monkeypatch.setenv("DYNAMODB_OUTBOX_TABLE_NAME", world.table.name)
    monkeypatch.setenv("OUTBOX_CLAIM_BUCKET", world.bucket)
    with closing(SweeperHandler()) as opened:
        yield opened


async def test_the_handler_sweeps_claims_once_a_day_and_in_the_end_the_orphans_are_gone(
    world: World, handler: SweeperHandler, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    kept = await world.write(LARGE, "m-kept")
    gone = await world.write(LARGE, "m-gone")
    await world.table.delete(gone.key)
    context = FakeContext(
        function_arn=f"arn:aws:lambda:{world.stack.region}:{world.stack.account_id}:function:sweeper"
    )
    began, day = time(), 86_400.0

    async def invoke(days: float) -> dict[str, Any]:
        if handler._relay is not None:
            handler._relay.context = replace(handler._relay.context, now=lambda: began + days * day)
        answer = await asyncio.to_thread(handler, {}, context)
        assert json.loads(json.dumps(answer)) == answer
        claims: dict[str, Any] = answer["claims"]
        return claims

    assert (await invoke(0))["kept"] == {"young": 2}
    assert (await invoke(0.5))["due"] is False
    assert (await invoke(2))["kept"] == {"missed": 1, "needed": 1}
    assert (await invoke(14))["kept"] == {"needed": 1, "waiting": 1}
    last = await invoke(16)
    assert (last["deleted"], last["kept"]) == (1, {"needed": 1})
    place = ClaimPlace(world.bucket, "claims/", world.table.name)
    (body,) = [key for key in await world.keys() if key != place.swept]
    assert place.decode_key(body, world.table.design) == kept.key
    assert [record.getMessage() for record in caplog.records].count("claims_swept") == 5

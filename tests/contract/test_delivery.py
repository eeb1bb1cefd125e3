"""Deliveries as servers make them of what is published: with raw message delivery or not, FIFO or not."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from outbox_sdk.core.delivery import Delivery, decode_sqs_record
from outbox_sdk.core.entry import Entry, TopicLimits, encode_entry, entry_request
from outbox_sdk.core.envelope import ENVELOPE_KINDS, EnvelopeKind
from outbox_sdk.core.identifiers import AccountId, Region
from outbox_sdk.core.routing import Routing
from tests.support.fixtures import endpoint_of
from tests.support.topics import Topic, open_topic, subscribe_queue
from tests.unit.test_envelope import BARE, MESSAGE

pytestmark = pytest.mark.integration

ROUTING = Routing(region=Region("us-east-1"), account_id=AccountId("000000000000"))


@pytest.fixture(params=["ministack", "moto"])
def endpoint(request: pytest.FixtureRequest) -> str:
    return endpoint_of(request, request.param)


@pytest.fixture(params=[False, True], ids=["standard", "fifo"])
async def topic(request: pytest.FixtureRequest, endpoint: str) -> AsyncIterator[Topic]:
    async with open_topic(endpoint, fifo=request.param) as topic:
        yield topic


async def receive(topic: Topic, url: str, kind: EnvelopeKind) -> Delivery:
    answer = await topic.sqs.receive_message(
        QueueUrl=url,
        WaitTimeSeconds=10,
        MessageAttributeNames=["All"],
        MessageSystemAttributeNames=["All"],
    )
    (record,) = answer["Messages"]
    await topic.sqs.delete_message(QueueUrl=url, ReceiptHandle=record["ReceiptHandle"])
    return decode_sqs_record(record, kind)


async def publish(topic: Topic, message: Any, kind: EnvelopeKind) -> None:
    entry = encode_entry(message, ROUTING, kind=kind, limits=TopicLimits(), source="/outbox/outbox")
    assert isinstance(entry, Entry)
    request = entry_request(entry, "1")
    if topic.name.endswith(".fifo"):
        # The topic of the message is another; group and deduplication are what a FIFO topic wants besides.
        request |= {
            "MessageGroupId": message.aggregate_id,
            "MessageDeduplicationId": f"{kind}-{message.body}",
        }
    answer = await topic.sns.publish_batch(TopicArn=topic.arn, PublishBatchRequestEntries=[request])
    assert not answer.get("Failed")


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "enveloped"])
async def test_a_message_comes_back_whole(topic: Topic, raw: bool, request: pytest.FixtureRequest) -> None:
    url = await subscribe_queue(topic, raw=raw)
    for kind in ENVELOPE_KINDS:
        await publish(topic, MESSAGE, kind)
        delivery = await receive(topic, url, kind)

        assert delivery.body == MESSAGE.body
        for name in ("message_id", "aggregate_id", "message_type", "schema_version", "content_type"):
            assert getattr(delivery, name) == getattr(MESSAGE, name)
        for name in ("correlation_id", "sequence", "headers"):
            assert getattr(delivery, name) == getattr(MESSAGE, name)
        assert delivery.receive_count == 1
        assert delivery.topic_arn == (None if raw else topic.arn)
        if topic.name.endswith(".fifo"):
            assert delivery.group_id == "order-7"
            if "moto" in request.node.callspec.id:  # MiniStack numbers what comes to a queue itself only
                assert delivery.transport_sequence_number


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "enveloped"])
async def test_plain_text_comes_back_as_it_was(topic: Topic, raw: bool) -> None:
    url = await subscribe_queue(topic, raw=raw)
    for kind in ENVELOPE_KINDS:
        await publish(topic, BARE, kind)
        delivery = await receive(topic, url, kind)

        assert (delivery.body, delivery.message_id) == ("plain", "m-1")
        assert (delivery.message_type, delivery.sequence, delivery.headers) == (None, None, {})

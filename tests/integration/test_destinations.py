"""One relay, one batch, all destinations: on Moto, by the very calls, judged by the policy of its role."""

import json
from typing import Any

import pytest

from outbox_sdk import Outbox, RelayConfiguration, create_outbox_table, open_relay
from outbox_sdk.core.identifiers import Region, TableName, TopicName
from tests.support import recorded_calls
from tests.support.aws import open_client
from tests.support.destinations import open_destination
from tests.support.topics import open_topic

# The same on every interpreter.
pytestmark = [pytest.mark.integration, pytest.mark.once]


async def test_a_batch_goes_to_a_topic_two_queues_a_bus_and_a_stream(moto: str, unique: str) -> None:
    before = recorded_calls.count_calls()
    async with (
        open_client("dynamodb", moto) as dynamodb,
        open_client("dynamodbstreams", moto) as streams,
        open_topic(moto) as topic,
        open_destination(moto, "sqs") as queue,
        open_destination(moto, "sqs", fifo=True) as fifo,
        open_destination(moto, "eventbridge") as bus,
        open_destination(moto, "kinesis") as stream,
    ):
        views = {view.route: view for view in (queue, fifo, bus, stream)}
        await create_outbox_table(dynamodb, unique)
        outbox = Outbox(unique)
        for route in (topic.name, *views):
            for number in range(3):
                entry = outbox.put(
                    f'{{"n": {number}}}',
                    aggregate_id="order-7",
                    topic=route,
                    message_id=f"{route}#{number}",
                )
                await dynamodb.transact_write_items(TransactItems=[entry])
        configuration = RelayConfiguration(
            dynamodb_outbox_table_name=TableName(unique),
            aws_endpoint_url=moto,
            aws_region=Region("us-east-1"),
            outbox_mark_strategy="single",
            outbox_recheck_after_seconds=0.0,
            outbox_allowed_topics=frozenset(map(TopicName, (topic.name, *views))),
        )
        async with open_relay(configuration, credentials=("local", "local")) as relay:
            records = await _read_stream(dynamodb, streams, unique)
            report = await relay.relay_batch({"Records": records})

        assert report.counts() == {"dispatched": 15}
        # One request each where nothing has to wait, three for what goes one after the other.
        assert report.effort.publish_requests == 1 + 1 + 3 + 1 + 3
        for route, view in views.items():
            received = await view.drain(expected=3)
            ids = [
                message.attributes.get("MessageId") or json.loads(message.body)["attributes"]["MessageId"]
                for message in received
            ]
            expected = [f"{route}#{number}" for number in range(3)]
            assert (ids if view in (fifo, stream) else sorted(ids)) == expected
        assert len(await topic.drain(expected=3)) == 3
    after = recorded_calls.count_calls()
    calls = ("sns PublishBatch", "sqs SendMessageBatch", "events PutEvents", "kinesis PutRecords")
    for name in (*calls, "events DescribeEventBus"):
        assert after[f"relay {name}"] > before.get(f"relay {name}", 0)
    assert recorded_calls.take_findings() == []


async def _read_stream(dynamodb: Any, streams: Any, table_name: str) -> list[dict[str, Any]]:
    arn = (await dynamodb.describe_table(TableName=table_name))["Table"]["LatestStreamArn"]
    shards = (await streams.describe_stream(StreamArn=arn))["StreamDescription"]["Shards"]
    records = []
    for shard in shards:
        start = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = (await streams.get_shard_iterator(**start))["ShardIterator"]
        records += (await streams.get_records(ShardIterator=iterator))["Records"]
    return [{**record, "eventSourceARN": arn} for record in records]

"""The Lambda handler as it is deployed: a fresh process, the documented variables, an embedded stack."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from outbox_sdk import Outbox, TableDesign
from outbox_sdk.embedded_stack import EmbeddedStack
from outbox_sdk.shell.streams import lambda_event
from tests.support.handler_process import Invocations, invoke
from tests.support.outbox_tables import (
    Items,
    OutboxTable,
    item_of,
    key_of,
    open_outbox_table,
    read_stream,
)
from tests.support.topics import Topic, open_topic

pytestmark = pytest.mark.integration

SUCCESS: Any = {"batchItemFailures": []}
CANARY = "canary-5f1c"
BATCH_COUNTS = {"dispatched", "parked", "settled", "held", "published_only"}


@dataclass(frozen=True, slots=True)
class Deployment:
    """A stack with a table and a topic, and the relay's process to run on it."""

    stack: EmbeddedStack
    table: OutboxTable
    topic: Topic

    async def stream_event(self) -> dict[str, Any]:
        """Give all that the table's stream holds as one event of Lambda, through JSON and back."""
        records = await read_stream(self.table.streams, self.table.stream_arn)
        event: dict[str, Any] = json.loads(json.dumps(lambda_event(records, self.table.stream_arn)))
        return event

    async def invoke(self, *events: Any, **variables: str) -> Invocations:
        """Run the handler in a fresh process, configured by ``variables``."""
        named = {"DYNAMODB_OUTBOX_TABLE_NAME": self.table.name, **variables}
        return await invoke(self.stack, named, events)

    def item(self, number: int, **attributes: Any) -> Items:
        """Write the item of a message to the topic by hand."""
        design = self.table.design
        return item_of(
            f"order-{number}",
            f"m-{number}",
            design,
            **{"Topic": {"S": self.topic.name}, "Message": {"S": f"{CANARY} {number}"}, **attributes},
        )

    async def stored(self, item: Mapping[str, Any]) -> Items:
        """Read an item again."""
        found = await self.table.get(key_of(item, self.table.design))
        assert found is not None
        return found


@asynccontextmanager
async def deploy(
    stack: EmbeddedStack, design: TableDesign = TableDesign.ordered
) -> AsyncIterator[Deployment]:
    async with AsyncExitStack() as exits:
        table = await exits.enter_async_context(open_outbox_table(stack.endpoint_url, design))
        topic = await exits.enter_async_context(open_topic(stack.endpoint_url))
        yield Deployment(stack, table, topic)


@pytest.fixture
async def deployment(ministack: EmbeddedStack) -> AsyncIterator[Deployment]:
    async with deploy(ministack) as deployed:
        yield deployed


def assert_marked(item: Items) -> None:
    assert "NotDispatched" not in item
    assert item["IsDispatched"] == {"BOOL": True}
    assert item["ApproximateDispatchCount"] == {"N": "1"}
    assert item["LastDispatchedAt"]["S"].endswith("Z")


@pytest.mark.parametrize("strategy", ["batch", "single"])
async def test_what_the_stream_holds_is_published_and_marked(deployment: Deployment, strategy: str) -> None:
    """Inserts go out; what was changed or removed since does not go out for that change."""
    outbox = Outbox(deployment.table.name)
    bodies = [f'{{"order": {number}, "note": "注文 🙂"}}' for number in range(4)]
    items: list[Items] = []
    for number, body in enumerate(bodies):
        entry: Any = outbox.put(body, aggregate_id=f"order-{number}", topic=deployment.topic.name)
        await deployment.table.dynamodb.transact_write_items(TransactItems=[entry])
        items.append(entry["Put"]["Item"])
    # Afterwards one is marked by somebody else, and a profile comes and goes.
    marked = {name: value for name, value in items[3].items() if name != "NotDispatched"}
    marked |= {"IsDispatched": {"BOOL": True}, "ApproximateDispatchCount": {"N": "5"}}
    await deployment.table.put(marked)
    profile: Items = {"PK": {"S": "CUSTOMER#1"}, "SK": {"S": "PROFILE"}, "Name": {"S": "Ada"}}
    await deployment.table.put(profile)
    await deployment.table.put(profile | {"Name": {"S": "Grace"}})
    key = key_of(profile, deployment.table.design).to_item()
    await deployment.table.dynamodb.delete_item(TableName=deployment.table.name, Key=key)
    event = await deployment.stream_event()
    names = [record["eventName"] for record in event["Records"]]
    assert names == ["INSERT"] * 4 + ["MODIFY", "INSERT", "MODIFY", "REMOVE"]

    run = await deployment.invoke(event, OUTBOX_MARK_STRATEGY=strategy)

    assert run.responses == [SUCCESS]
    received = await deployment.topic.drain(expected=3)
    assert sorted(message.body for message in received) == bodies[:3]
    for item in items[:3]:
        assert_marked(await deployment.stored(item))
    assert await deployment.stored(items[3]) == marked


async def test_the_marks_of_the_relay_itself_publish_nothing(deployment: Deployment) -> None:
    await deployment.table.put(deployment.item(1))
    await deployment.invoke(await deployment.stream_event(), OUTBOX_MARK_STRATEGY="single")
    await deployment.topic.drain(expected=1)
    event = await deployment.stream_event()
    assert [record["eventName"] for record in event["Records"]] == ["INSERT", "MODIFY"]

    run = await deployment.invoke({"Records": event["Records"][1:]}, {"Records": event["Records"]})

    assert run.responses == [SUCCESS, SUCCESS]
    assert await deployment.topic.drain(expected=0) == []


async def test_an_event_in_the_documented_format_is_relayed(deployment: Deployment) -> None:
    """The sample of AWS's developer guide, with an outbox item for its image."""
    item = deployment.item(1)
    arn = "arn:aws:dynamodb:us-east-1:111122223333:table"
    record = {
        "eventID": "c4ca4238a0b923820dcc509a6f75849b",
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "Keys": {"PK": item["PK"], "SK": item["SK"]},
            "NewImage": item,
            "ApproximateCreationDateTime": 1428537600,
            "SequenceNumber": "4421584500000000017450439091",
            "SizeBytes": 26,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": f"{arn}/{deployment.table.name}/stream/2015-05-11T21:21:33.291",
    }
    await deployment.table.put(item)

    run = await deployment.invoke({"Records": [record]})

    assert run.responses == [SUCCESS]
    (message,) = await deployment.topic.drain(expected=1)
    assert (message.body, message.message_id) == (f"{CANARY} 1", "m-1")
    assert_marked(await deployment.stored(item))


async def test_one_bad_image_is_parked_and_its_neighbours_go(deployment: Deployment) -> None:
    good = [deployment.item(number) for number in (1, 3, 4)]
    bad = deployment.item(2, Topic={"N": "7"}, CreatedAt=None)
    for item in (good[0], bad, *good[1:]):
        await deployment.table.put(item)

    run = await deployment.invoke(await deployment.stream_event())

    assert run.responses == [SUCCESS]
    received = await deployment.topic.drain(expected=3)
    assert sorted(message.message_id for message in received) == ["m-1", "m-3", "m-4"]
    for item in good:
        assert_marked(await deployment.stored(item))
    parked = await deployment.stored(bad)
    assert parked["NotDispatched"] == {"S": "parked"}
    assert parked["ParkReason"] == {"S": "type:Topic:N"}
    assert parked["ParkedAt"] == parked["CreatedAt"]
    assert await deployment.table.list_index("parked") == [key_of(bad, deployment.table.design)]


async def test_a_message_without_its_topic_is_reported_for_lambda_to_bring_again(
    deployment: Deployment,
) -> None:
    lost, good = deployment.item(1, Topic={"S": "there-is-no-such-topic"}), deployment.item(2)
    for item in (lost, good):
        await deployment.table.put(item)
    event = await deployment.stream_event()

    run = await deployment.invoke(event)

    number = event["Records"][0]["dynamodb"]["SequenceNumber"]
    assert run.responses == [{"batchItemFailures": [{"itemIdentifier": number}]}]
    assert (await deployment.stored(lost)) == lost
    assert_marked(await deployment.stored(good))


async def test_connections_are_pooled_once_a_process_and_not_by_the_import(
    deployment: Deployment,
) -> None:
    await deployment.table.put(deployment.item(1))
    event = await deployment.stream_event()

    run = await deployment.invoke(event, event, event)

    assert run.responses == [SUCCESS] * 3
    assert run.pools_opened_by_import == 0
    assert run.pools == 1


async def test_what_the_process_published_and_marked_is_not_published_again(deployment: Deployment) -> None:
    await deployment.table.put(deployment.item(1))
    event = await deployment.stream_event()

    await deployment.invoke(event, event, OUTBOX_RECHECK_AFTER_SECONDS="0")
    await deployment.invoke(event, OUTBOX_RECHECK_AFTER_SECONDS="0")

    assert len(await deployment.topic.drain(expected=1)) == 1


# The configuration


@pytest.mark.parametrize(("text", "marks"), [("false", True), ("true", False)])
async def test_marking_is_switched_by_what_the_variable_says(
    deployment: Deployment, text: str, marks: bool
) -> None:
    item = deployment.item(1)
    await deployment.table.put(item)

    run = await deployment.invoke(
        await deployment.stream_event(), OUTBOX_SKIP_MARK_MESSAGES_AS_DISPATCHED=text
    )

    assert run.responses == [SUCCESS]
    assert len(await deployment.topic.drain(expected=1)) == 1
    stored = await deployment.stored(item)
    if marks:
        assert_marked(stored)
    else:
        assert stored == item


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        (
            {"OUTBOX_SKIP_MARK_MESSAGES_AS_DISPATCHED": "maybe"},
            "OUTBOX_SKIP_MARK_MESSAGES_AS_DISPATCHED: 'maybe' is not a boolean; write true or false",
        ),
        (
            {"DYNAMODB_OUTBOX_TABLE_NAME": ""},
            "DYNAMODB_OUTBOX_TABLE_NAME: is not set; give the name of the outbox table",
        ),
        (
            {"OUTBOX_MARK_STRATEGY": "bulk"},
            "OUTBOX_MARK_STRATEGY: 'bulk' is not one of batch, single, delete",
        ),
    ],
    ids=["boolean", "table", "strategy"],
)
async def test_a_wrong_variable_fails_each_invocation_with_one_sentence(
    deployment: Deployment, variables: dict[str, str], text: str
) -> None:
    event: Any = {"Records": []}

    run = await deployment.invoke(event, event, **variables)

    assert run.results == [{"error": "ConfigurationError", "text": text}] * 2
    assert run.pools == 0


async def test_an_event_of_another_table_is_refused_before_anything_is_published(
    deployment: Deployment,
) -> None:
    await deployment.table.put(deployment.item(1))
    event = await deployment.stream_event()

    run = await deployment.invoke(event, DYNAMODB_OUTBOX_TABLE_NAME="another-table")

    assert [result["error"] for result in run.results] == ["ConfigurationError"]
    assert run.results[0]["text"].startswith("DYNAMODB_OUTBOX_TABLE_NAME: ")
    assert await deployment.topic.drain(expected=0) == []


# The log


async def test_the_log_has_a_line_a_batch_and_one_for_what_a_person_should_know_and_no_payload(
    deployment: Deployment,
) -> None:
    items = [
        deployment.item(1),
        deployment.item(2, Topic={"N": "7"}),
        deployment.item(3, Topic={"S": "there-is-no-such-topic"}),
        deployment.item(4, Topic={"S": "there-is-no-such-topic"}),
        deployment.item(5, Headers={"M": {"secret": {"S": f"{CANARY} header"}}}),
    ]
    for item in items:
        await deployment.table.put(item)
    event = await deployment.stream_event()

    run = await deployment.invoke(event, {"Records": []})

    lines = [(line["message"], line["level"]) for line in run.log]
    assert lines == [
        ("message_parked", "WARNING"),
        ("publish_failed", "ERROR"),
        ("batch_relayed", "INFO"),
        ("batch_relayed", "INFO"),
    ]
    parked, failed, batch, empty = run.log
    assert (parked["message_id"], parked["reason"]) == ("m-2", "type:Topic:N")
    assert (failed["code"], failed["count"], failed["message_id"]) == ("NotFound", 2, "m-3")
    assert failed["topic_arn"].endswith(":there-is-no-such-topic")
    assert failed["advice"].startswith(f"create topic {failed['topic_arn']}, or correct ")
    assert parked["keys"] == [parked["key"]]
    assert (batch["publish_requests"], batch["mark_requests"], batch["park_writes"]) == (2, 1, 1)
    counts = {name: count for name, count in batch.items() if name in BATCH_COUNTS}
    assert (batch["records"], batch["reported"], counts) == (5, 2, {"dispatched": 2, "parked": 1, "held": 2})
    assert (empty["records"], empty["reported"]) == (0, 0)
    said, nothing = run.figures
    counts = {name: values for name, values in said.items() if name[0].isupper() and len(values) == 1}
    assert counts["Published"] == counts["Marked"] == counts["FailedConfiguration"] == [2]
    assert counts["Parked"] == [1]
    assert len(said["CommitToPublishLatency"]) == 2
    assert nothing["Published"] == [0]
    assert CANARY not in run.stdout + run.stderr
    assert run.stderr == ""


# Items of other producers


@pytest.mark.parametrize("strategy", ["batch", "single"])
@pytest.mark.parametrize("design", ["message_keyed", "ordered"])
async def test_items_of_another_producer_are_relayed_and_marked(
    ministack: EmbeddedStack, design: str, strategy: str
) -> None:
    """As the producers of tables that exist already write them: one marker, and no optional attribute."""
    async with deploy(ministack, getattr(TableDesign, design)) as deployment:
        foreign = {
            "NotDispatched": {"S": "x"},
            "LastDispatchedAt": {"NULL": True},
            "CorrelationId": {"NULL": True},
            "CreatedAt": {"S": "2026-11-23T10:00:00.123+01:00"},
        }
        plain = deployment.item(1, **foreign)
        uncounted = deployment.item(2, **foreign, ApproximateDispatchCount=None)
        for item in (plain, uncounted):
            await deployment.table.put(item)
        assert len(await deployment.table.list_index("x")) == 2

        # The handler is told nothing about the table's design: it goes by the keys in the records.
        run = await deployment.invoke(await deployment.stream_event(), OUTBOX_MARK_STRATEGY=strategy)

        assert run.responses == [SUCCESS]
        received = await deployment.topic.drain(expected=2)
        assert sorted(message.message_id for message in received) == ["m-1", "m-2"]
        assert all("CorrelationId" not in message.attributes for message in received)
        for item in (plain, uncounted):
            assert_marked(await deployment.stored(item))
        assert await deployment.table.list_index("x") == []

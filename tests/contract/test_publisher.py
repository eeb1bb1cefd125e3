"""What a publisher keeps, on every part and in memory: entries arrive as they were, or it says why not."""

from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio

from outbox_sdk.core.classification import ErrorClass, classify_request_error
from outbox_sdk.core.entry import Entry, TopicLimits, encode_entry
from outbox_sdk.core.identifiers import (
    AccountId,
    AggregateId,
    CorrelationId,
    ItemKey,
    MessageId,
    Region,
    TableName,
    TopicArn,
    TopicName,
)
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.plan import Wrapping
from outbox_sdk.core.publish import (
    MAX_ENTRIES,
    EntryFailed,
    Published,
    PublishRequest,
    PublishResponse,
    RequestFailed,
)
from outbox_sdk.core.routing import Routing, is_fifo
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell.context import RelayContext
from outbox_sdk.shell.ports import Publisher
from outbox_sdk.shell.producer import Outbox
from outbox_sdk.shell.relay import relay_batch
from outbox_sdk.shell.sns import SnsPublisher
from outbox_sdk.testing import InMemoryTopics
from outbox_sdk.testing.table import InMemoryTable
from tests.support.aws import open_services
from tests.support.fixtures import endpoint_of
from tests.support.topics import MemoryTopic, Received, TopicView, open_topic

# What servers and adapters agree on is the same on every interpreter.
pytestmark = [pytest.mark.integration, pytest.mark.once, pytest.mark.asyncio(loop_scope="module")]

AWKWARD_BODIES = (
    '{"b": 1,  "a": 1.0,\n\t"n": 12345678901234567890}',
    "plain text & <xml attr='1'> \"quotes\" ]]>",
    "a+b=c%20d&e=f",
    "line\r\nbreaks\n",
    "  leading and trailing  ",
    "café ключ 注文 👩‍👩‍👧 🇸🇪 \U0010ffff",
    "x" * 200_000,
)


class Case(NamedTuple):
    """A publisher and a topic that it can reach."""

    topic: TopicView
    publisher: Publisher

    def entry(
        self, body: str = '{"order": 1}', *, aggregate_id: str | None = None, **fields: object
    ) -> Entry:
        """Make an entry as the relay does."""
        message_id, aggregate_id = str(uuid4()), aggregate_id or str(uuid4())
        message = OutboxMessage(
            key=ItemKey.from_item({"PK": {"S": f"AGGREGATE#{aggregate_id}"}, "SK": {"S": message_id}}),
            marker={"S": "03"},
            message_id=MessageId(message_id),
            aggregate_id=AggregateId(aggregate_id),
            topic=TopicName(self.topic.name),
            body=body,
        )
        region, account = self.topic.arn.split(":")[3:5]
        entry = encode_entry(
            msgspec.structs.replace(message, **fields),
            Routing(region=Region(region), account_id=AccountId(account)),
            kind="raw",
            limits=TopicLimits(),
            source="/outbox/outbox",
        )
        assert isinstance(entry, Entry)
        assert entry.topic == self.topic.arn
        return entry

    def request(self, *entries: Entry) -> PublishRequest:
        """Put entries into one request."""
        return PublishRequest(TopicArn(self.topic.arn), entries)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def case(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    part, fifo = request.param
    if part == "memory":
        name = f"topic-{uuid4().hex[:12]}{'.fifo' if fifo else ''}"
        double = InMemoryTopics([name])
        yield Case(MemoryTopic(double, name), double)
        return
    endpoint = endpoint_of(request, part)
    async with open_topic(endpoint, fifo=fifo) as topic, open_services(endpoint) as services:
        yield Case(topic, SnsPublisher(services.sns))


def _cases(*parts: str, fifo: tuple[bool, ...] = (False, True)) -> pytest.MarkDecorator:
    cases = [
        pytest.param((part, kind), id=f"{part}-{'fifo' if kind else 'standard'}")
        for part in parts
        for kind in fifo
    ]
    return pytest.mark.parametrize("case", cases, indirect=True)


every_topic = _cases("memory", "ministack", "moto")
every_remote_topic = _cases("ministack", "moto")
every_fifo_topic = _cases("memory", "ministack", "moto", fifo=(True,))


@every_topic
async def test_a_full_request_arrives_with_a_result_for_each_entry(case: Case) -> None:
    entries = [case.entry(f'{{"order": {number}}}') for number in range(MAX_ENTRIES)]

    response = await case.publisher.publish(case.request(*entries))

    assert isinstance(response, tuple)
    assert len({result.sns_message_id for result in response if isinstance(result, Published)}) == MAX_ENTRIES
    received = await case.topic.drain(expected=MAX_ENTRIES)
    assert sorted(map(_essence, received)) == sorted(map(_expected, entries))


@every_topic
@pytest.mark.parametrize("body", AWKWARD_BODIES, ids=range(len(AWKWARD_BODIES)))
async def test_the_body_arrives_unchanged_to_the_byte(case: Case, body: str) -> None:
    (result,) = await _publish(case, case.entry(body))

    assert isinstance(result, Published)
    (received,) = await case.topic.drain(expected=1)
    assert received.body.encode() == body.encode()


@every_remote_topic
async def test_every_attribute_arrives_with_its_type(case: Case) -> None:
    entry = case.entry(
        correlation_id=CorrelationId("c-1 & <2>"),
        message_type="OrderCreated",
        content_type="application/json; charset=utf-8",
        schema_version=3,
        sequence=10**37,
        headers={"trace.id": "注文 🙂", "x-y_z": " "},
    )

    (result,) = await _publish(case, entry)

    assert isinstance(result, Published)
    (received,) = await case.topic.drain(expected=1)
    message = entry.message
    assert received.attributes == {
        "MessageId": ("String", message.message_id),
        "AggregateId": ("String", message.aggregate_id),
        "CorrelationId": ("String", "c-1 & <2>"),
        "MessageType": ("String", "OrderCreated"),
        "ContentType": ("String", "application/json; charset=utf-8"),
        "SchemaVersion": ("Number", "3"),
        "Sequence": ("Number", str(10**37)),
        "trace.id": ("String", "注文 🙂"),
        "x-y_z": ("String", " "),
    }


@every_topic
async def test_attributes_arrive_under_their_names(case: Case) -> None:
    entry = case.entry(sequence=3, headers={"trace.id": "t-1"})

    await _publish(case, entry)

    (received,) = await case.topic.drain(expected=1)
    assert {name: value for name, (_, value) in received.attributes.items()} == {
        "MessageId": entry.message.message_id,
        "AggregateId": entry.message.aggregate_id,
        "Sequence": "3",
        "trace.id": "t-1",
    }


@every_topic
async def test_a_topic_that_does_not_exist_is_a_matter_of_configuration(case: Case) -> None:
    suffix = ".fifo" if is_fifo(case.topic.arn) else ""
    elsewhere = TopicArn(f"{case.topic.arn.rpartition(':')[0]}:there-is-no-such-topic{suffix}")

    response = await case.publisher.publish(PublishRequest(elsewhere, (case.entry(), case.entry())))

    assert isinstance(response, RequestFailed)
    error_class = classify_request_error(response.code, status=response.status, text=response.text)
    assert error_class is ErrorClass.CONFIGURATION
    assert await case.topic.drain(expected=0) == []


@every_fifo_topic
async def test_a_fifo_topic_keeps_groups_in_order_and_takes_an_entry_once(case: Case) -> None:
    entries = [case.entry(str(number), aggregate_id=f"order-{number % 2}") for number in range(8)]
    for entry in entries:
        await _publish(case, entry)
    again = await _publish(case, entries[3])

    assert isinstance(again[0], Published)
    received = await case.topic.drain(expected=len(entries))
    for group in ("order-0", "order-1"):
        assert [message.body for message in received if message.group_id == group] == [
            entry.envelope.body for entry in entries if entry.group_id == group
        ]
    redriven = case.entry("3", aggregate_id="order-1", key=entries[3].message.key, redrive_count=1)
    await _publish(case, redriven)
    assert [message.body for message in await case.topic.drain(expected=1)] == ["3"]


class _PartlyFailing:
    """Fails the entries of some messages, each once, and has the others published by what is behind it."""

    def __init__(self, publisher: Publisher, message_ids: Iterable[str]) -> None:
        self.sent: list[list[str]] = []
        self._publisher = publisher
        self._failing = set(message_ids)

    async def publish(self, request: PublishRequest) -> PublishResponse:
        ids = [entry.message.message_id for entry in request.entries]
        self.sent.append(list(ids))
        failing = self._failing.intersection(ids)
        self._failing -= failing
        kept = tuple(entry for entry in request.entries if entry.message.message_id not in failing)
        response = await self._publisher.publish(PublishRequest(request.topic, kept)) if kept else ()
        assert isinstance(response, tuple), response
        results = iter(response)
        return tuple(EntryFailed("InternalError") if name in failing else next(results) for name in ids)


@every_topic
async def test_what_fails_in_a_request_is_sent_again_and_nothing_else(case: Case) -> None:
    """The relay itself, from the table's records on: two of six entries fail at first."""
    table, outbox = InMemoryTable(), Outbox("outbox")
    ids = [f"m{number}-{uuid4().hex[:8]}" for number in range(6)]
    for message_id in ids:
        put = outbox.put("{}", aggregate_id=f"a-{message_id}", topic=case.topic.name, message_id=message_id)
        table.put(put["Put"]["Item"])
    partly = _PartlyFailing(case.publisher, (ids[1], ids[4]))
    region, account = case.topic.arn.split(":")[3:5]
    context = RelayContext(
        publisher=partly,
        table=table,
        marker=table,
        table_name=TableName("outbox"),
        design=TableDesign.ordered,
        wrapping=Wrapping(
            routing=Routing(region=Region(region), account_id=AccountId(account)), source="/outbox/outbox"
        ),
        jitter=lambda: 0.0,
    )

    report = await relay_batch(context, {"Records": table.records})

    assert report.counts() == {"dispatched": 6}
    assert partly.sent == [ids, [ids[1], ids[4]]]
    assert sorted(message.message_id for message in await case.topic.drain(expected=6)) == ids


async def _publish(case: Case, *entries: Entry) -> tuple[object, ...]:
    response = await case.publisher.publish(case.request(*entries))
    assert isinstance(response, tuple), response
    return response


def _essence(message: Received) -> tuple[str, str]:
    return message.message_id, message.body


def _expected(entry: Entry) -> tuple[str, str]:
    return entry.message.message_id, entry.envelope.body

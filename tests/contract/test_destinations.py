"""What a publisher keeps at each other destination, on Moto, on MiniStack and in memory."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio

from outbox_sdk.core.classification import ErrorClass, classify_request_error
from outbox_sdk.core.destinations import DestinationKind, Service, parse_route
from outbox_sdk.core.entry import Entry, TopicLimits, encode_entry
from outbox_sdk.core.identifiers import (
    AccountId,
    AggregateId,
    ItemKey,
    MessageId,
    Region,
    TableName,
    TopicName,
)
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.plan import Wrapping
from outbox_sdk.core.publish import Published, PublishRequest, RequestFailed
from outbox_sdk.core.routing import Refusal, Routing, is_fifo
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell.context import RelayContext
from outbox_sdk.shell.destinations import JsonPublisher, publisher_to
from outbox_sdk.shell.ports import Publisher
from outbox_sdk.shell.producer import Outbox
from outbox_sdk.shell.relay import relay_batch
from outbox_sdk.testing import InMemoryTopics
from outbox_sdk.testing.table import InMemoryTable
from tests.support.aws import open_services
from tests.support.destinations import (
    Destination,
    MemoryDestination,
    PartlyFailing,
    Received,
    open_destination,
)
from tests.support.fixtures import endpoint_of

# What servers and adapters agree on is the same on every interpreter.
pytestmark = [pytest.mark.integration, pytest.mark.once, pytest.mark.asyncio(loop_scope="module")]

_ACCOUNTS = {"moto": "123456789012", "ministack": "000000000000"}

KINDS = ("sqs", "sqs-fifo", "eventbridge", "kinesis")
AWKWARD_BODIES = (
    '{"b": 1,  "a": 1.0,\n\t"n": 12345678901234567890}',
    "plain text & <xml attr='1'> \"quotes\" ]]>",
    "line\r\nbreaks\n",
    "  leading and trailing  ",
    "café ключ 注文 👩‍👩‍👧 🇸🇪 \U0010ffff",
    "x" * 200_000,
)


class Case(NamedTuple):
    """A publisher and a destination that it can reach. ``service`` is what a remote one asks."""

    view: Destination
    publisher: Publisher
    service: Any = None
    account_id: str = "000000000000"

    @property
    def kind(self) -> DestinationKind:
        return _parse(self.view.route)[0]

    @property
    def routing(self) -> Routing:
        return Routing(
            region=Region("us-east-1"),
            account_id=AccountId(self.account_id),
            allowed=frozenset({TopicName(self.view.route)}),
        )

    def encode(
        self, body: str = '{"order": 1}', *, aggregate_id: str | None = None, **fields: object
    ) -> Entry | Refusal:
        """Make an entry as the relay does, or be refused."""
        message_id, aggregate_id = str(uuid4()), aggregate_id or str(uuid4())
        message = OutboxMessage(
            key=ItemKey.from_item({"PK": {"S": f"AGGREGATE#{aggregate_id}"}, "SK": {"S": message_id}}),
            marker={"S": "03"},
            message_id=MessageId(message_id),
            aggregate_id=AggregateId(aggregate_id),
            topic=TopicName(self.view.route),
            body=body,
            created_at="2026-11-23T09:00:00.123456Z",
        )
        return encode_entry(
            msgspec.structs.replace(message, **fields),
            self.routing,
            kind="raw",
            limits=TopicLimits(),
            source="/outbox/outbox",
        )

    def entry(self, body: str = '{"order": 1}', **fields: Any) -> Entry:
        """Make an entry as the relay does."""
        entry = self.encode(body, **fields)
        assert isinstance(entry, Entry), entry
        return entry

    def request(self, *entries: Entry) -> PublishRequest:
        """Put entries into one request."""
        return PublishRequest(entries[0].topic, entries)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def case(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    part, kind = request.param
    scheme, _, fifo = kind.partition("-")
    if part == "memory":
        route = f"{scheme}:d-{uuid4().hex[:12]}{'.fifo' if fifo else ''}"
        double = InMemoryTopics([route])
        yield Case(MemoryDestination(double, route), double)
        return
    endpoint = endpoint_of(request, part)
    service: Service = {"sqs": "sqs", "eventbridge": "events", "kinesis": "kinesis"}[scheme]  # type: ignore[assignment]  # literals
    async with (
        open_destination(endpoint, scheme, fifo=bool(fifo)) as view,
        open_services(endpoint, [service]) as services,
    ):
        asked = services.others[service]
        yield Case(view, publisher_to(service, asked), asked, _ACCOUNTS[part])


def _cases(*parts: str, kinds: tuple[str, ...] = KINDS) -> pytest.MarkDecorator:
    cases = [pytest.param((part, kind), id=f"{part}-{kind}") for part in parts for kind in kinds]
    return pytest.mark.parametrize("case", cases, indirect=True)


every_destination = _cases("memory", "moto", "ministack")
every_queue = _cases("memory", "moto", "ministack", kinds=("sqs", "sqs-fifo"))
every_ordered = _cases("memory", "moto", "ministack", kinds=("sqs-fifo", "kinesis"))


@every_destination
async def test_a_full_request_arrives_with_a_result_for_each_entry(case: Case) -> None:
    count = case.kind.max_entries
    entries = [case.entry(f'{{"order": {number}}}') for number in range(count)]

    response = await case.publisher.publish(case.request(*entries))

    assert isinstance(response, tuple)
    assert all(isinstance(result, Published) and result.sns_message_id for result in response)
    received = await case.view.drain(expected=count)
    assert sorted(map(_message_id, received)) == sorted(entry.message.message_id for entry in entries)


@every_destination
@pytest.mark.parametrize("body", AWKWARD_BODIES, ids=range(len(AWKWARD_BODIES)))
async def test_the_body_arrives_unchanged(case: Case, body: str) -> None:
    (result,) = await _publish(case, case.entry(body))

    assert isinstance(result, Published)
    (received,) = await case.view.drain(expected=1)
    if case.kind.attributes:
        assert received.body.encode() == body.encode()
    else:
        document = json.loads(received.body)
        assert document["data"] == (json.loads(body) if body.startswith("{") else body)


@every_destination
async def test_attributes_arrive_under_their_names(case: Case) -> None:
    entry = case.entry(sequence=3, message_type="OrderCreated", headers={"trace.id": "注文 🙂"})

    await _publish(case, entry)

    (received,) = await case.view.drain(expected=1)
    carried = received.attributes if case.kind.attributes else json.loads(received.body)["attributes"]
    assert dict(carried) == {
        "MessageId": entry.message.message_id,
        "AggregateId": entry.message.aggregate_id,
        "MessageType": "OrderCreated",
        "Sequence": "3",
        "trace.id": "注文 🙂",
    }


@_cases("memory", "moto", "ministack", kinds=("eventbridge",))
async def test_an_event_says_who_sends_it_and_what_it_is(case: Case) -> None:
    await _publish(case, case.entry(message_type="OrderCreated"), case.entry())

    received = await case.view.drain(expected=2)

    assert [event.attributes["Source"] for event in received] == ["outbox.outbox"] * 2
    assert [event.attributes["DetailType"] for event in received] == ["OrderCreated", case.view.route]


@_cases("memory", "moto", "ministack", kinds=("kinesis",))
async def test_a_record_is_put_by_the_key_of_its_aggregate(case: Case) -> None:
    long = "a" * 300
    await _publish(case, case.entry(aggregate_id="order-7 ä"), case.entry(aggregate_id=long))

    received = await case.view.drain(expected=2)

    keys = {record.group_id for record in received}
    assert "order-7 ä" in keys
    assert all(key is not None and len(key) <= 256 for key in keys)
    assert len(keys) == 2


# MiniStack takes an event for any bus, as AWS does: by the answer to `PutEvents` alone nobody could tell.
@every_destination
async def test_a_destination_that_does_not_exist_is_a_matter_of_configuration(case: Case) -> None:
    suffix = ".fifo" if is_fifo(case.view.route) else ""
    scheme = case.view.route.partition(":")[0]
    elsewhere = f"{scheme}:there-is-none-of-this-name{suffix}"
    entries = []
    for _ in range(2):
        missing = MemoryDestination(InMemoryTopics(), elsewhere)
        entries.append(case._replace(view=missing).entry())

    response = await case.publisher.publish(PublishRequest(entries[0].topic, tuple(entries)))

    assert isinstance(response, RequestFailed)
    error_class = classify_request_error(response.code, status=response.status, text=response.text)
    assert error_class is ErrorClass.CONFIGURATION
    assert await case.view.drain(expected=0) == []


@_cases("memory", "moto", kinds=("sqs", "kinesis"))
async def test_a_message_of_exactly_the_limit_passes_and_one_byte_more_is_refused_before_any_call(
    case: Case,
) -> None:
    bare = case.encode("")
    assert isinstance(bare, Entry)
    room = case.kind.entry_bytes - bare.size

    (result,) = await _publish(case, case.entry("x" * room))

    assert isinstance(result, Published)
    (received,) = await case.view.drain(expected=1)
    assert len(received.body) > room - 10
    limit = case.kind.entry_bytes
    assert case.encode("x" * (room + 1)) == Refusal(f"size:{limit + 1}>{limit}")


@every_ordered
async def test_groups_keep_their_order(case: Case) -> None:
    entries = [case.entry(str(number), aggregate_id=f"order-{number % 2}") for number in range(8)]
    for entry in entries:
        await _publish(case, entry)

    received = await case.view.drain(expected=len(entries))

    for group in ("order-0", "order-1"):
        assert [_message_id(message) for message in received if message.group_id == group] == [
            entry.message.message_id for entry in entries if entry.group_id == group
        ]


@_cases("memory", "moto", "ministack", kinds=("sqs-fifo",))
async def test_a_fifo_queue_takes_an_entry_once_and_a_redrive_again(case: Case) -> None:
    entry = case.entry("3", aggregate_id="order-1")
    await _publish(case, entry)
    again = await _publish(case, entry)

    assert isinstance(again[0], Published)
    assert len(await case.view.drain(expected=1)) == 1
    redriven = case.entry("3", aggregate_id="order-1", key=entry.message.key, redrive_count=1)
    await _publish(case, redriven)
    assert [message.body for message in await case.view.drain(expected=1)] == ["3"]


@every_destination
async def test_what_fails_in_a_request_is_sent_again_and_nothing_else(case: Case) -> None:
    """The relay itself, from the table's records on: two of six entries fail at first."""
    table, outbox = InMemoryTable(), Outbox("outbox")
    suffix = uuid4().hex[:8]
    bodies = {f"m{number}-{suffix}": f'{{"n": "m{number}-{suffix}"}}' for number in range(6)}
    for message_id, body in bodies.items():
        put = outbox.put(body, aggregate_id=f"a-{message_id}", topic=case.view.route, message_id=message_id)
        table.put(put["Put"]["Item"])
    failing = list(bodies)[1], list(bodies)[4]
    code = "ProvisionedThroughputExceededException" if case.kind.service == "kinesis" else "InternalFailure"
    publisher, sent = _fail_partly(case, failing, code)
    context = _context(case, table, publisher)

    report = await relay_batch(context, {"Records": table.records})

    assert report.counts() == {"dispatched": 6}
    assert report.effort.retries == 1
    assert [len(request) for request in sent] == [6, 2]
    received = await case.view.drain(expected=6)
    assert sorted(map(_message_id, received)) == sorted(bodies)


@every_ordered
async def test_nothing_of_an_aggregate_overtakes_what_is_sent_again(case: Case) -> None:
    table, outbox = InMemoryTable(), Outbox("outbox")
    suffix = uuid4().hex[:8]
    ids = [f"m{number}-{suffix}" for number in range(6)]
    for number, message_id in enumerate(ids):
        aggregate_id = f"order-{suffix}-{number % 2}"
        put = outbox.put("{}", aggregate_id=aggregate_id, topic=case.view.route, message_id=message_id)
        table.put(put["Put"]["Item"])
    publisher, sent = _fail_partly(case, ids[:1], "InternalFailure")

    report = await relay_batch(_context(case, table, publisher), {"Records": table.records})

    assert report.counts() == {"dispatched": 6}
    # Never two of an aggregate in one request: neither service keeps their order where one of them fails.
    assert all(len(request) <= 2 for request in sent)
    received = await case.view.drain(expected=6)
    for lane in (0, 1):
        group = f"order-{suffix}-{lane}"
        assert [_message_id(m) for m in received if m.group_id == group] == ids[lane::2]


def _fail_partly(case: Case, message_ids: Sequence[str], code: str) -> tuple[Publisher, list[Any]]:
    """Give a publisher to the same destination, and the requests that it will have made."""
    if case.service is None:
        double = case.publisher
        assert isinstance(double, InMemoryTopics)
        for message_id in message_ids:
            double.fail(message_id, code)
        requests: list[Any] = []

        class Watched:
            async def publish(self, request: PublishRequest) -> Any:
                requests.append(request.entries)
                return await double.publish(request)

        return Watched(), requests
    partly = PartlyFailing(case.service, message_ids, code)
    return JsonPublisher(case.kind.service, partly), partly.requests  # type: ignore[arg-type]  # all it needs


def _context(case: Case, table: InMemoryTable, publisher: Publisher) -> RelayContext:
    return RelayContext(
        publisher=publisher,
        table=table,
        marker=table,
        table_name=TableName("outbox"),
        design=TableDesign.ordered,
        wrapping=Wrapping(routing=case.routing, source="/outbox/outbox"),
        jitter=lambda: 0.0,
    )


async def _publish(case: Case, *entries: Entry) -> tuple[object, ...]:
    response = await case.publisher.publish(case.request(*entries))
    assert isinstance(response, tuple), response
    return response


def _message_id(message: Received) -> str:
    if "MessageId" in message.attributes:
        return str(message.attributes["MessageId"])
    return str(json.loads(message.body)["attributes"]["MessageId"])


def _parse(route: str) -> tuple[DestinationKind, str]:
    parsed = parse_route(route)
    assert parsed is not None
    return parsed

"""What goes over the wire through the Lambda handler, as the runtime calls it."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from outbox_sdk import TableDesign
from outbox_sdk.lambda_handler import RelayHandler
from tests.support.events import FakeContext, insert_record, insert_records, write_event
from tests.support.handlers import open_handler
from tests.support.outbox_tables import item_of
from tests.support.wire import Wire, items_answer, open_wire

pytestmark = pytest.mark.integration

SUCCESS: Any = {"batchItemFailures": []}


@pytest.fixture
def wire() -> Iterator[Wire]:
    with open_wire() as opened:
        yield opened


@pytest.fixture
def handler(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> Iterator[RelayHandler]:
    """A handler as Lambda would find it, but for the endpoint."""
    with open_handler(wire, monkeypatch) as opened:
        yield opened


def test_a_hundred_new_messages_cost_fourteen_requests_through_the_handler(
    wire: Wire, handler: RelayHandler
) -> None:
    assert handler(write_event(insert_records(100)), FakeContext()) == SUCCESS

    assert wire.counts() == {"PublishBatch": 10, "BatchExecuteStatement": 4}
    assert sorted(wire.published()) == sorted(f'{{"order": {number}}}' for number in range(100))
    assert sorted(wire.marked()) == sorted(f"AGGREGATE#order-{number}" for number in range(100))


def test_a_hundred_older_messages_cost_one_look_more(wire: Wire, handler: RelayHandler) -> None:
    assert handler(write_event(insert_records(100, age_seconds=60)), FakeContext()) == SUCCESS

    assert wire.counts() == {"BatchGetItem": 1, "PublishBatch": 10, "BatchExecuteStatement": 4}
    assert wire.calls[0].operation == "BatchGetItem"
    (look,) = wire.calls_of("BatchGetItem")
    assert look.body["RequestItems"]["outbox"]["ConsistentRead"] is True
    assert sorted(wire.published()) == sorted(f'{{"order": {number}}}' for number in range(100))
    assert sorted(wire.marked()) == sorted(f"AGGREGATE#order-{number}" for number in range(100))


def test_what_the_look_finds_dispatched_costs_nothing_more(wire: Wire, handler: RelayHandler) -> None:
    wire.script("BatchGetItem", items_answer(None))

    assert handler(write_event(insert_records(100, age_seconds=60)), FakeContext()) == SUCCESS

    assert wire.counts() == {"BatchGetItem": 1}


def test_records_with_nothing_to_do_make_no_call_and_open_no_connection(
    wire: Wire, handler: RelayHandler
) -> None:
    outstanding = item_of("order-1", "m-1", TableDesign.ordered)
    marked = {name: value for name, value in outstanding.items() if name != "NotDispatched"}
    parked = outstanding | {"NotDispatched": {"S": "parked"}}
    foreign = {"PK": {"S": "CUSTOMER#1"}, "SK": {"S": "PROFILE"}, "Name": {"S": "Ada"}}
    records = [
        insert_record(marked, 1, event_name="MODIFY", old=outstanding),
        insert_record(parked | {"SK": {"S": "MESSAGE#2"}}, 2, event_name="MODIFY", old=outstanding),
        insert_record(outstanding | {"SK": {"S": "MESSAGE#3"}}, 3, event_name="REMOVE", old=outstanding),
        insert_record(foreign, 4),
    ]

    assert handler(write_event(records), FakeContext()) == SUCCESS
    assert handler({"Records": []}, FakeContext()) == SUCCESS

    assert wire.counts() == {}
    assert wire.connections == 0


def test_the_next_batch_finds_its_connections_open(wire: Wire, handler: RelayHandler) -> None:
    for _ in range(3):
        handler(write_event(insert_records(10)), FakeContext())

    assert wire.counts() == {"PublishBatch": 3, "BatchExecuteStatement": 3}
    assert wire.connections == 1  # both services are behind it, and are called one after the other


def test_a_connection_closed_while_nobody_looked_costs_nothing(wire: Wire, handler: RelayHandler) -> None:
    """Between two invocations the process is frozen: nothing sees the connections go."""
    handler(write_event(insert_records(1)), FakeContext())
    wire.close_connections()

    began = time.monotonic()
    assert handler(write_event(insert_records(1)), FakeContext()) == SUCCESS

    assert time.monotonic() - began < 2
    assert wire.counts() == {"PublishBatch": 2, "BatchExecuteStatement": 2}


def test_a_hung_socket_leaves_the_handler_time_to_answer(wire: Wire, handler: RelayHandler) -> None:
    wire.always("PublishBatch", "hang")
    event = write_event(insert_records(30))
    handler(write_event([]), FakeContext())  # the first invocation opens the clients
    context = FakeContext(remaining_seconds=1.5)

    response = handler(event, context)

    assert context.get_remaining_time_in_millis() > 0
    assert response["batchItemFailures"] == [
        {"itemIdentifier": record["dynamodb"]["SequenceNumber"]} for record in event["Records"]
    ]

"""A bus is looked for before anything is put there: AWS accepts events for buses that do not exist."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from outbox_sdk.core.classification import ErrorClass, classify_request_error
from outbox_sdk.core.entry import Entry
from outbox_sdk.core.envelope import Envelope
from outbox_sdk.core.identifiers import AggregateId, ItemKey, MessageId, TopicArn, TopicName
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.publish import Published, PublishRequest, RequestFailed
from outbox_sdk.shell.destinations import BusPublisher

BUS = TopicArn("arn:aws:events:eu-west-1:123456789012:event-bus/orders")
MESSAGE = OutboxMessage(
    key=ItemKey.from_item({"PK": {"S": "a"}}),
    marker={"S": "03"},
    message_id=MessageId("m"),
    aggregate_id=AggregateId("a"),
    topic=TopicName("eventbridge:orders"),
    body="{}",
)
REQUEST = PublishRequest(BUS, (Entry(MESSAGE, BUS, Envelope("{}", ()), 2, 999_999, max_entries=10),))


class _EventBridge:
    """What AWS does: it knows its buses when asked for one, and takes events for any."""

    endpoint_url = "https://events.eu-west-1.amazonaws.com"

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.looked: tuple[int, Any] | Exception = (200, {"Arn": BUS, "Name": "orders"})

    async def post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        operation = headers["X-Amz-Target"]
        self.calls.append(operation.removeprefix("AWSEvents."))
        if operation == "AWSEvents.PutEvents":
            entries = json.loads(body)["Entries"]
            return 200, json.dumps({"Entries": [{"EventId": "e"} for _ in entries]}).encode()
        assert (operation, json.loads(body)) == ("AWSEvents.DescribeEventBus", {"Name": "orders"})
        if isinstance(self.looked, Exception):
            raise self.looked
        status, answer = self.looked
        return status, json.dumps(answer).encode()


class _Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def open_publisher() -> tuple[BusPublisher, _EventBridge, _Clock]:
    events, clock = _EventBridge(), _Clock()
    return BusPublisher(events, clock=clock), events, clock  # type: ignore[arg-type]  # all it needs


async def test_a_bus_is_looked_for_once_a_minute() -> None:
    publisher, events, clock = open_publisher()

    for _ in range(3):
        assert await publisher.publish(REQUEST) == (Published("e"),)
    assert events.calls == ["DescribeEventBus", *["PutEvents"] * 3]
    clock.now += 60
    events.calls.clear()
    assert await publisher.publish(REQUEST) == (Published("e"),)
    assert events.calls == ["DescribeEventBus", "PutEvents"]


@pytest.mark.parametrize(
    ("looked", "code", "error_class"),
    [
        ((400, {"__type": "ResourceNotFoundException"}), "ResourceNotFoundException", "CONFIGURATION"),
        # One of another account or Region, by whatever credentials these are.
        ((200, {"Arn": BUS.replace("1", "2")}), "ResourceNotFoundException", "CONFIGURATION"),
        ((400, {"__type": "AccessDeniedException"}), "AccessDeniedException", "CONFIGURATION"),
        # Of a message these would say that it is at fault, and park it.
        ((400, {"__type": "ValidationException"}), "InvalidAddress", "CONFIGURATION"),
        ((400, {"__type": "NeverHeardOf"}), "InvalidAddress", "CONFIGURATION"),
        ((400, {"__type": "ThrottlingException"}), "ThrottlingException", "RETRY"),
        ((500, {"__type": "InternalException"}), "InternalException", "RETRY"),
        ((200, {}), "UnreadableResponse", "RETRY"),
        ((200, []), "UnreadableResponse", "RETRY"),
        (EndpointConnectionError(endpoint_url="https://e", error="no"), "ConnectionFailed", "RETRY"),
    ],
)
async def test_nothing_is_put_where_no_bus_was_seen(
    looked: tuple[int, Any] | Exception, code: str, error_class: str
) -> None:
    publisher, events, _ = open_publisher()
    events.looked = looked

    failure = await publisher.publish(REQUEST)

    assert isinstance(failure, RequestFailed)
    assert failure.code == code
    assert classify_request_error(code, status=failure.status) is ErrorClass[error_class]
    assert events.calls == ["DescribeEventBus"]
    # And nothing is remembered of it.
    events.looked = (200, {"Arn": BUS})
    assert await publisher.publish(REQUEST) == (Published("e"),)


async def test_a_bus_that_is_gone_is_missed_within_a_minute() -> None:
    publisher, events, clock = open_publisher()
    await publisher.publish(REQUEST)
    events.looked = (400, {"__type": "ResourceNotFoundException"})

    clock.now += 60

    assert await publisher.publish(REQUEST) == RequestFailed("ResourceNotFoundException", 400)

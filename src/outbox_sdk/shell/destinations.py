"""The publishers on SQS, EventBridge and Kinesis, and the one that knows all destinations."""

import time
from collections.abc import Callable, Mapping

from outbox_sdk.core.destination_json import (
    WIRES,
    decode_bus,
    describe_bus_headers,
    describe_bus_request,
)
from outbox_sdk.core.destinations import Service, route_of
from outbox_sdk.core.identifiers import TopicArn
from outbox_sdk.core.publish import PublishRequest, PublishResponse, RequestFailed
from outbox_sdk.shell.aws.errors import translate_error
from outbox_sdk.shell.aws.service import AwsService
from outbox_sdk.shell.ports import Publisher

__all__ = ["BusPublisher", "JsonPublisher", "RoutingPublisher", "create_publisher", "publisher_to"]

_LOOK_AGAIN_SECONDS = 60.0


class JsonPublisher:
    """Sends requests to one service with its batch call, and reads the result of each entry.

    ``service`` is AWS's name of it.
    """

    def __init__(self, service: Service, endpoint: AwsService) -> None:
        self._wire = WIRES[service]
        self._endpoint = endpoint

    async def publish(self, request: PublishRequest) -> PublishResponse:
        """Make one request; see :class:`~outbox_sdk.shell.ports.Publisher`."""
        wire, endpoint = self._wire, self._endpoint
        try:
            sent = wire.encode(request, endpoint_url=endpoint.endpoint_url)
            status, body = await endpoint.post(sent, wire.headers)
        except Exception as error:
            fault = translate_error(error)
            return RequestFailed(fault.code, fault.status, fault.text)
        return wire.decode_answer(request, status, body)


class BusPublisher:
    """Publishes to event buses that are there.

    ``PutEvents`` accepts an event for any other bus, gives it an id, and drops it: EventBridge User Guide,
    "Sending events with PutEvents". So a bus is looked for before the first request to it, and again once a
    minute. Not promised: what is sent within a minute after a bus was deleted. ``clock`` gives seconds.
    """

    def __init__(self, endpoint: AwsService, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._endpoint = endpoint
        self._events = JsonPublisher("events", endpoint)
        self._clock = clock
        self._seen: dict[TopicArn, float] = {}

    async def publish(self, request: PublishRequest) -> PublishResponse:
        """Make one request, if the bus is there; see :class:`~outbox_sdk.shell.ports.Publisher`."""
        bus, now = request.topic, self._clock()
        if bus not in self._seen or now - self._seen[bus] >= _LOOK_AGAIN_SECONDS:
            failure = await self._look_for(bus)
            if failure is not None:
                return failure
            self._seen[bus] = now
        return await self._events.publish(request)

    async def _look_for(self, bus: TopicArn) -> RequestFailed | None:
        try:
            status, body = await self._endpoint.post(describe_bus_request(bus), describe_bus_headers())
        except Exception as error:
            fault = translate_error(error)
            return RequestFailed(fault.code, fault.status, fault.text)
        return decode_bus(bus, status, body)


class RoutingPublisher:
    """Sends each request to the service of its destination."""

    def __init__(self, publishers: Mapping[Service, Publisher]) -> None:
        self._publishers = publishers

    async def publish(self, request: PublishRequest) -> PublishResponse:
        """Make one request; see :class:`~outbox_sdk.shell.ports.Publisher`."""
        kind, _ = route_of(request.topic)
        return await self._publishers[kind.service].publish(request)


def create_publisher(sns: Publisher, others: Mapping[str, AwsService]) -> RoutingPublisher:
    """Put a publisher on SNS and the publishers on other services, which are open, together."""
    found = {service: publisher_to(service, others[service]) for service in WIRES if service in others}
    return RoutingPublisher({"sns": sns, **found})


def publisher_to(service: Service, endpoint: AwsService) -> Publisher:
    """Make the publisher on one service other than SNS."""
    return BusPublisher(endpoint) if service == "events" else JsonPublisher(service, endpoint)

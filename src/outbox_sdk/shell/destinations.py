"""The publishers on SQS, EventBridge and Kinesis, and the one that knows all destinations."""

from collections.abc import Mapping

from outbox_sdk.core.destination_json import WIRES
from outbox_sdk.core.destinations import Service, route_of
from outbox_sdk.core.publish import PublishRequest, PublishResponse, RequestFailed
from outbox_sdk.shell.aws.errors import translate_error
from outbox_sdk.shell.aws.service import AwsService
from outbox_sdk.shell.ports import Publisher

__all__ = ["JsonPublisher", "RoutingPublisher", "create_publisher"]


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
    found = {service: JsonPublisher(service, others[service]) for service in WIRES if service in others}
    return RoutingPublisher({"sns": sns, **found})

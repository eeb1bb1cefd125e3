"""The publisher on SNS."""

from typing import TYPE_CHECKING

from outbox_sdk.core.publish import (
    PublishRequest,
    PublishResponse,
    RequestFailed,
    decode_publish_response,
    publish_batch_request,
)
from outbox_sdk.shell.aws import translate_error

if TYPE_CHECKING:
    from types_aiobotocore_sns import SNSClient

__all__ = ["SnsPublisher"]


class SnsPublisher:
    """Sends requests with ``PublishBatch`` and reads both of its lists."""

    def __init__(self, client: "SNSClient") -> None:
        self._client = client

    async def publish(self, request: PublishRequest) -> PublishResponse:
        """Make one request; see :class:`~outbox_sdk.shell.ports.Publisher`."""
        arguments = publish_batch_request(request)
        try:
            response = await self._client.publish_batch(**arguments)
        except Exception as error:
            fault = translate_error(error)
            return RequestFailed(fault.code, fault.status, fault.text)
        return decode_publish_response(request, response)

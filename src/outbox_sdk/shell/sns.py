"""The publisher on SNS."""

from outbox_sdk.core.publish import PublishRequest, PublishResponse, RequestFailed
from outbox_sdk.core.sns_query import FORM_HEADERS, decode_publish_answer, encode_publish_request
from outbox_sdk.shell.aws.errors import translate_error
from outbox_sdk.shell.aws.service import AwsService

__all__ = ["SnsPublisher"]


class SnsPublisher:
    """Sends requests with ``PublishBatch`` and reads both of its lists."""

    def __init__(self, sns: AwsService) -> None:
        self._sns = sns

    async def publish(self, request: PublishRequest) -> PublishResponse:
        """Make one request; see :class:`~outbox_sdk.shell.ports.Publisher`."""
        try:
            status, body = await self._sns.post(encode_publish_request(request), FORM_HEADERS)
        except Exception as error:
            fault = translate_error(error)
            return RequestFailed(fault.code, fault.status, fault.text)
        return decode_publish_answer(request, status, body)

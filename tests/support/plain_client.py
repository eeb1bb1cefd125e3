"""The one call of a transaction without botocore, for tests that make thousands of them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientSession, TCPConnector
from botocore.exceptions import ClientError

__all__ = ["PlainClient", "open_plain_client"]

_HEADERS = {
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Target": "DynamoDB_20120810.TransactWriteItems",
    # Local servers look at the form only.
    "Authorization": "AWS4-HMAC-SHA256 Credential=local/20261127/us-east-1/dynamodb/aws4_request, "
    "SignedHeaders=host, Signature=0",
}


class PlainClient:
    """Sends a request as it is, and raises what botocore would."""

    def __init__(self, session: ClientSession, endpoint_url: str) -> None:
        self._session, self._endpoint_url = session, endpoint_url

    async def transact_write_items(self, **request: Any) -> Any:
        """Make one call. Binary values cannot be sent."""
        body = json.dumps(request)
        async with self._session.post(self._endpoint_url, data=body, headers=_HEADERS) as response:
            answer = json.loads(await response.read())
        if response.status == 200:
            return answer
        parsed: Any = {
            "Error": {
                "Code": answer["__type"].rpartition("#")[2],
                "Message": answer.get("message") or answer.get("Message", ""),
            },
            "ResponseMetadata": {"HTTPStatusCode": response.status},
            "CancellationReasons": answer.get("CancellationReasons", []),
        }
        raise ClientError(parsed, "TransactWriteItems")


@asynccontextmanager
async def open_plain_client(endpoint_url: str, *, connections: int) -> AsyncIterator[PlainClient]:
    """Open one for the length of the block."""
    async with ClientSession(connector=TCPConnector(limit=connections)) as session:
        yield PlainClient(session, endpoint_url)

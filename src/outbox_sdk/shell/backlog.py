"""The backlog on DynamoDB: a page of the index, a consistent read, a touch; one request each."""

from collections.abc import Mapping, Sequence

from outbox_sdk.core.backlog import (
    BucketPage,
    FetchResult,
    Touch,
    Touched,
    TouchResult,
    Untouched,
    decode_fetch_response,
    decode_page,
    fetch_request,
    list_bucket_request,
    touch_request,
)
from outbox_sdk.core.identifiers import Item, ItemKey, TableName
from outbox_sdk.core.lookup import Unreadable
from outbox_sdk.core.mark import Unwritten
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell.aws.errors import translate_error
from outbox_sdk.shell.aws.service import AwsService
from outbox_sdk.shell.dynamodb import call

__all__ = ["DynamoDbBacklog"]


class DynamoDbBacklog:
    """Lists, reads and touches outstanding items; see :class:`~outbox_sdk.shell.ports.Backlog`."""

    def __init__(self, dynamodb: AwsService, table_name: TableName | str, design: TableDesign) -> None:
        self._dynamodb = dynamodb
        self._table_name = TableName(table_name)
        self._design = design

    async def list_bucket(self, bucket: str, *, cursor: Item | None, limit: int) -> BucketPage | Unreadable:
        """Read one page of the index."""
        arguments = list_bucket_request(bucket, self._design, self._table_name, cursor=cursor, limit=limit)
        try:
            response = await call(self._dynamodb, "Query", arguments)
        except Exception as error:
            return Unreadable(translate_error(error).code)
        return decode_page(response, self._design)

    async def fetch(self, keys: Sequence[ItemKey], *, whole: bool) -> Mapping[ItemKey, FetchResult]:
        """Make one read."""
        arguments = fetch_request(keys, self._design, self._table_name, whole=whole)
        try:
            response = await call(self._dynamodb, "BatchGetItem", arguments)
        except Exception as error:
            return dict.fromkeys(keys, Unreadable(translate_error(error).code))
        return decode_fetch_response(keys, response, self._design, self._table_name)

    async def touch(self, touch: Touch) -> TouchResult:
        """Touch one item."""
        arguments = touch_request(touch, self._design, self._table_name)
        try:
            await call(self._dynamodb, "UpdateItem", arguments)
        except Exception as error:
            code = translate_error(error).code
            return Untouched() if code == "ConditionalCheckFailedException" else Unwritten(code)
        return Touched()

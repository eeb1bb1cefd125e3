"""The table on DynamoDB: three ways to mark, and reading and parking items."""

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from outbox_sdk.core.dynamodb_json import decode_answer, decode_error, encode_arguments, headers_of
from outbox_sdk.core.identifiers import ItemKey, TableName
from outbox_sdk.core.lookup import LookupResult, Unreadable, decode_lookup_response, lookup_request
from outbox_sdk.core.mark import (
    MAX_BATCH_MARKS,
    Mark,
    Marked,
    MarkResult,
    MarkStrategy,
    Park,
    Unwritten,
    decode_delete_response,
    decode_statement_response,
    delete_marks_request,
    mark_request,
    mark_statements_request,
    park_request,
)
from outbox_sdk.core.table import TableDesign
from outbox_sdk.shell.aws.errors import AwsError, translate_error
from outbox_sdk.shell.aws.service import AwsService
from outbox_sdk.shell.ports import Marker

__all__ = ["BatchMarker", "DeleteMarker", "DynamoDbTable", "SingleMarker", "call", "create_marker"]


async def call(dynamodb: AwsService, operation: str, arguments: Mapping[str, Any]) -> Any:
    """Make one call, with arguments as AWS clients take them; binary values of the answer are base64 text.

    Raises:
        AwsError: DynamoDB refuses it, or what answered is not DynamoDB; and what
            :meth:`~outbox_sdk.shell.aws.AwsService.post` raises.
    """
    status, body = await dynamodb.post(encode_arguments(arguments), headers_of(operation))
    if status != 200:
        code, text = decode_error(status, body)
        raise AwsError(code, status, text)
    answer = decode_answer(body)
    if answer is None:
        raise AwsError("UnreadableResponse", status)
    return answer


class _OnTable:
    def __init__(self, dynamodb: AwsService, table_name: TableName | str, design: TableDesign) -> None:
        self._dynamodb = dynamodb
        self._table_name = TableName(table_name)
        self._design = design


class BatchMarker(_OnTable):
    """Marks with ``BatchExecuteStatement``, 25 items a request: fewest requests."""

    request_size = MAX_BATCH_MARKS
    deletes = False

    async def mark(self, marks: Sequence[Mark]) -> tuple[MarkResult, ...]:
        """Make one request; see :class:`~outbox_sdk.shell.ports.Marker`."""
        arguments = mark_statements_request(marks, self._design, self._table_name)
        try:
            response = await call(self._dynamodb, "BatchExecuteStatement", arguments)
        except Exception as error:
            return _all_unwritten(marks, error)
        return decode_statement_response(marks, response)


class SingleMarker(_OnTable):
    """Marks with one ``UpdateItem`` an item, for local stacks whose PartiQL is not DynamoDB's."""

    request_size = 1
    deletes = False

    async def mark(self, marks: Sequence[Mark]) -> tuple[MarkResult, ...]:
        """Make one request for one mark; see :class:`~outbox_sdk.shell.ports.Marker`."""
        (mark,) = marks
        arguments = mark_request(mark, self._design, self._table_name)
        try:
            await call(self._dynamodb, "UpdateItem", arguments)
        except Exception as error:
            return (_settle_condition(error),)
        return (Marked(),)


class DeleteMarker(_OnTable):
    """Deletes dispatched items with ``BatchWriteItem``, 25 a request: no history, no redrive."""

    request_size = MAX_BATCH_MARKS
    deletes = True

    async def mark(self, marks: Sequence[Mark]) -> tuple[MarkResult, ...]:
        """Make one request; see :class:`~outbox_sdk.shell.ports.Marker`."""
        arguments = delete_marks_request(marks, self._table_name)
        try:
            response = await call(self._dynamodb, "BatchWriteItem", arguments)
        except Exception as error:
            return _all_unwritten(marks, error)
        return decode_delete_response(marks, response, self._table_name)


def create_marker(
    strategy: MarkStrategy, dynamodb: AwsService, table_name: TableName | str, design: TableDesign
) -> Marker:
    """Give the marker of a strategy."""
    match strategy:
        case "batch":
            return BatchMarker(dynamodb, table_name, design)
        case "single":
            return SingleMarker(dynamodb, table_name, design)
        case "delete":
            return DeleteMarker(dynamodb, table_name, design)
        case _:
            assert_never(strategy)


class DynamoDbTable(_OnTable):
    """Looks items up and parks them."""

    async def lookup(self, keys: Sequence[ItemKey]) -> Mapping[ItemKey, LookupResult]:
        """Make one read; see :class:`~outbox_sdk.shell.ports.Table`."""
        arguments = lookup_request(keys, self._design, self._table_name)
        try:
            response = await call(self._dynamodb, "BatchGetItem", arguments)
        except Exception as error:
            return dict.fromkeys(keys, Unreadable(translate_error(error).code))
        results, unprocessed = decode_lookup_response(keys, response, self._design, self._table_name)
        return {**results, **dict.fromkeys(unprocessed, Unreadable("Throttled"))}

    async def park(self, park: Park, *, now: str) -> MarkResult:
        """Set one item aside; see :class:`~outbox_sdk.shell.ports.Table`."""
        arguments = park_request(park, self._design, self._table_name, now=now)
        try:
            await call(self._dynamodb, "UpdateItem", arguments)
        except Exception as error:
            return _settle_condition(error)
        return Marked()


def _settle_condition(error: Exception) -> MarkResult:
    code = translate_error(error).code
    # The item no longer shows what its image showed: somebody else has settled it, or it is gone.
    return Marked(gone=True) if code == "ConditionalCheckFailedException" else Unwritten(code)


def _all_unwritten(marks: Sequence[Mark], error: Exception) -> tuple[MarkResult, ...]:
    return (Unwritten(translate_error(error).code),) * len(marks)

"""DynamoDB's single operations on the double of the outbox table, for whoever looks after an outbox."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from zlib import crc32

from outbox_sdk.core.actions import copy_entry
from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.testing.conditions import holds
from outbox_sdk.testing.expressions import ExpressionError, ExpressionReader, found, placed
from outbox_sdk.testing.table import InMemoryTable
from outbox_sdk.testing.updates import updated

__all__ = ["InMemoryCalls"]

# Any: items and arguments as clients write them, which nest without a bound.
_Item = Mapping[str, Any]
_PAGE_SIZE = 1_000


class InMemoryCalls:
    """Answers calls on the outbox table as DynamoDB does.

    It is what :class:`~outbox_sdk.shell.table_calls.TableCalls` asks for.

    It knows ``Query`` on the table and on the index of outstanding items, ``Scan`` in segments, ``GetItem``,
    ``BatchGetItem``, ``UpdateItem`` and ``DeleteItem``, with their conditions, filters and projections of
    whole attributes. ``made`` has the names of the calls made, in their order.

    Not promised: capacity, and an index that lags behind.
    """

    def __init__(self, table: InMemoryTable, table_name: str = "outbox") -> None:
        self.made: list[str] = []
        self._table = table
        self._table_name = table_name

    async def call(self, operation: str, arguments: Mapping[str, Any]) -> Any:
        """Answer one call.

        Raises:
            botocore.exceptions.ClientError: as DynamoDB answers.
        """
        self.made.append(operation)
        answers: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "BatchGetItem": self._batch_get_item,
            "DeleteItem": self._delete_item,
            "GetItem": self._get_item,
            "Query": self._query,
            "Scan": self._scan,
            "UpdateItem": self._update_item,
        }
        if operation not in answers:
            raise _refusal(operation, "UnknownOperationException", "this double does not know it")
        name = arguments.get("TableName", self._table_name)
        if name != self._table_name:
            raise _refusal(operation, "ResourceNotFoundException", f"there is no table {name}")
        try:
            return answers[operation](arguments)
        except ExpressionError as error:
            raise _refusal(operation, "ValidationException", str(error)) from None

    def _get_item(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        item = self._table.items.get(ItemKey.from_item(arguments["Key"]))
        return {} if item is None else {"Item": _project(item, arguments)}

    def _batch_get_item(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        found_items: dict[str, list[Any]] = {}
        for name, read in arguments["RequestItems"].items():
            if name != self._table_name:
                raise _refusal("BatchGetItem", "ResourceNotFoundException", f"there is no table {name}")
            keys = [ItemKey.from_item(key) for key in read["Keys"]]
            if len(keys) > 100 or len(set(keys)) < len(keys):
                raise _refusal("BatchGetItem", "ValidationException", "too many keys, or one twice")
            items = [self._table.items[key] for key in keys if key in self._table.items]
            found_items[name] = [_project(item, read) for item in items]
        return {"Responses": found_items, "UnprocessedKeys": {}}

    def _update_item(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        key = ItemKey.from_item(arguments["Key"])
        old = self._table.items.get(key)
        self._check("UpdateItem", old, arguments)
        new = updated(key.to_item() if old is None else old, arguments)
        self._table.write(key, new)
        return {"Attributes": copy_entry(new)} if arguments.get("ReturnValues") == "ALL_NEW" else {}

    def _delete_item(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        key = ItemKey.from_item(arguments["Key"])
        old = self._table.items.get(key)
        self._check("DeleteItem", old, arguments)
        if old is not None:
            self._table.write(key, None)
        return {"Attributes": old} if old and arguments.get("ReturnValues") == "ALL_OLD" else {}

    def _check(self, operation: str, item: _Item | None, arguments: Mapping[str, Any]) -> None:
        if not holds(item, arguments):
            raise _refusal(
                operation,
                "ConditionalCheckFailedException",
                "The conditional request failed",
                item,
                arguments,
            )

    def _query(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        design = self._table.design
        names: tuple[str | None, ...] = (design.partition_key, design.sort_key)
        items: Iterable[_Item] = self._table.items.values()
        if "IndexName" in arguments:
            if arguments["IndexName"] != design.outstanding_index:
                raise _refusal("Query", "ValidationException", "the table has no such index")
            index = (design.not_dispatched, design.created_at)
            shown = {name for name in (*names, *index) if name is not None}
            # An item is in the index only if both its keys are there, as text; only keys are.
            items = [
                {name: value for name, value in item.items() if name in shown}
                for item in items
                if all(list(item.get(name, ())) == ["S"] for name in index)
            ]
            names = (design.created_at, *names)
        condition = {**arguments, "ConditionExpression": arguments["KeyConditionExpression"]}
        held = sorted(
            (item for item in items if holds(item, condition)), key=lambda item: _place(item, names)
        )
        if not arguments.get("ScanIndexForward", True):
            held.reverse()
        return _page(
            held, arguments, names, {*names, design.not_dispatched} if len(names) > 2 else set(names)
        )

    def _scan(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        design = self._table.design
        names = (design.partition_key, design.sort_key)
        segment, total = arguments.get("Segment", 0), arguments.get("TotalSegments", 1)

        def spread(item: _Item) -> int:
            return crc32(repr(item[design.partition_key]).encode())

        # Partitions come in the order of a hash, and an aggregate's items together.
        items = sorted(self._table.items.values(), key=lambda item: (spread(item), _place(item, names)))
        mine = [item for item in items if spread(item) % total == segment]
        return _page(mine, arguments, names, set(names))


def _page(
    items: Sequence[_Item],
    arguments: Mapping[str, Any],
    names: tuple[str | None, ...],
    key_names: set[str | None],
) -> dict[str, Any]:
    """Cut a page out of all items: behind the cursor, as long as asked for, and then filtered."""
    cursor = arguments.get("ExclusiveStartKey")
    if cursor is not None:
        places = [_place(item, names) for item in items]
        begin = places.index(_place(cursor, names)) + 1 if _place(cursor, names) in places else len(items)
        items = items[begin:]
    limit = arguments.get("Limit", _PAGE_SIZE)
    page = items[:limit]
    condition = {**arguments, "ConditionExpression": arguments.get("FilterExpression")}
    kept = [item for item in page if holds(item, condition)]
    answer: dict[str, Any] = {"Count": len(kept), "ScannedCount": len(page)}
    if arguments.get("Select") != "COUNT":
        answer["Items"] = [_project(item, arguments) for item in kept]
    if len(items) >= limit and page:
        last = page[-1]
        answer["LastEvaluatedKey"] = {name: last[name] for name in key_names if name is not None}
    return answer


def _place(item: _Item, names: tuple[str | None, ...]) -> tuple[str, ...]:
    return tuple(repr(sorted(item[name].items())) for name in names if name is not None)


def _project(item: _Item, arguments: Mapping[str, Any]) -> dict[str, Any]:
    copied: dict[str, Any] = copy_entry(item)
    if "ProjectionExpression" not in arguments:
        return copied
    reader = ExpressionReader(arguments["ProjectionExpression"], arguments, item)
    result: Any = {"M": {}}
    while True:
        path = reader.path()
        value = found({"M": copied}, path)
        if value is not None:
            result = placed(result, path, value)
        if not reader.skip(","):
            reader.end()
            return dict(result["M"])


def _refusal(
    operation: str,
    code: str,
    text: str,
    item: _Item | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> Exception:
    # Loaded here: whoever tests without calls needs no AWS SDK.
    from outbox_sdk.shell.aws.errors import client_error

    error: Any = client_error(code, text, operation=operation)
    if item is not None and (arguments or {}).get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD":
        error.response["Item"] = copy_entry(item)
    return error  # type: ignore[no-any-return] # typed by its maker

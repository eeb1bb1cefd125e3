"""Reading a table for whoever looks after it: pages of the index, and items by key."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from typing import Any

from outbox_sdk.core.backlog import Sighting, decode_page, list_bucket_request
from outbox_sdk.core.errors import TableCallError
from outbox_sdk.core.identifiers import Item, ItemKey
from outbox_sdk.core.lookup import MAX_KEYS
from outbox_sdk.shell.admin import AdminContext

__all__ = ["TableReading", "side_by_side"]

_PAGE_SIZE = 1_000
_ATTEMPTS = 10
_PAUSE_SECONDS = 0.1


async def side_by_side(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do all of it at the same time; the first error ends the rest, and is raised as itself."""
    try:
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(each)
    except BaseExceptionGroup as raised:
        error: BaseException = raised
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


class TableReading:
    """Reads of one task, and the read units they took; 0 where the server does not say."""

    def __init__(self, context: AdminContext) -> None:
        self.read_units: float = 0.0
        self._context = context

    async def pages(self, marker: str, *, limit: int | None = None) -> AsyncIterator[tuple[Sighting, ...]]:
        """Give what the index shows under a marker, page by page, oldest text first; ``limit`` of it at most.

        Raises:
            TableCallError: the index cannot be read.
        """
        context, cursor, left = self._context, None, limit
        while left is None or left > 0:
            size = _PAGE_SIZE if left is None else min(left, _PAGE_SIZE)
            arguments = list_bucket_request(
                marker, context.design, context.table_name, cursor=cursor, limit=size
            )
            page = decode_page(await self.call("Query", arguments), context.design)
            yield page.sightings
            left = None if left is None else left - len(page.sightings)
            cursor = page.cursor
            if cursor is None:
                return

    async def fetch(
        self, keys: Sequence[ItemKey], *, consistent: bool = True, attributes: Iterable[str] | None = None
    ) -> list[Item]:
        """Read items, whole or some of their attributes; those that are there, in no order.

        Raises:
            TableCallError: an item cannot be read.
        """
        items: list[Item] = []
        read: dict[str, Any] = {"ConsistentRead": consistent}
        if attributes is not None:
            placeholders = {f"#a{place}": name for place, name in enumerate(sorted(set(attributes)))}
            read["ProjectionExpression"] = ", ".join(placeholders)
            read["ExpressionAttributeNames"] = placeholders

        async def fetch_some(some: Sequence[ItemKey]) -> None:
            left: list[Mapping[str, Any]] = [key.to_item() for key in some]
            for attempt in range(_ATTEMPTS):
                table = str(self._context.table_name)
                answer = await self.call("BatchGetItem", {"RequestItems": {table: {**read, "Keys": left}}})
                items.extend(answer.get("Responses", {}).get(table, ()))
                left = (answer.get("UnprocessedKeys") or {}).get(table, {}).get("Keys", [])
                if not left:
                    return
                await self._context.sleep(_PAUSE_SECONDS * 2**attempt)
            raise TableCallError(
                "BatchGetItem", "Throttled", "it was answered in part ten times: come back later"
            )

        await side_by_side(fetch_some(keys[at : at + MAX_KEYS]) for at in range(0, len(keys), MAX_KEYS))
        return items

    async def call(self, operation: str, arguments: Mapping[str, Any]) -> Any:
        """Make a call that reads, and count its units."""
        answer = await self._context.calls.call(operation, {**arguments, "ReturnConsumedCapacity": "TOTAL"})
        consumed = answer.get("ConsumedCapacity") or []
        for part in consumed if isinstance(consumed, list) else [consumed]:
            self.read_units += part.get("CapacityUnits", 0.0)
        return answer

"""Reading the items that may have been dealt with already: in hundreds, with retries, within the deadline."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

from outbox_sdk.core.classification import ErrorClass, classify_table_error
from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.core.lookup import MAX_KEYS, LookupResult, Unreadable
from outbox_sdk.core.retry import Deadline
from outbox_sdk.shell.context import RelayContext
from outbox_sdk.shell.pace import Pace

__all__ = ["lookup_all", "read_all"]

_T = TypeVar("_T")


async def lookup_all(
    context: RelayContext, keys: Sequence[ItemKey], deadline: Deadline, pace: Pace | None = None
) -> Mapping[ItemKey, LookupResult]:
    """Look all items up; one that could not be read says why, and nothing is assumed about it.

    ``pace`` is that of the invocation, where more than the reading has a part in it.
    """
    return await read_all(context, keys, deadline, context.table.lookup, pace)


async def read_all(
    context: RelayContext,
    keys: Sequence[ItemKey],
    deadline: Deadline,
    read: Callable[[Sequence[ItemKey]], Awaitable[Mapping[ItemKey, _T | Unreadable]]],
    pace: Pace | None = None,
) -> Mapping[ItemKey, _T | Unreadable]:
    """Read all items by ``read``, which takes a hundred; one that could not be read says why."""
    results: dict[ItemKey, _T | Unreadable] = dict.fromkeys(keys, Unreadable("Deadline"))
    if not keys:
        return results
    pace = pace or Pace(context, deadline)
    # A read may be cut off at any moment: it changes nothing.
    with suppress(TimeoutError):
        async with (
            asyncio.timeout_at(None if deadline.stop == float("inf") else deadline.stop),
            asyncio.TaskGroup() as group,
        ):
            for start in range(0, len(keys), MAX_KEYS):
                group.create_task(_read(keys[start : start + MAX_KEYS], results, pace, read))
    return results


async def _read(
    keys: Sequence[ItemKey],
    results: dict[ItemKey, _T | Unreadable],
    pace: Pace,
    read: Callable[[Sequence[ItemKey]], Awaitable[Mapping[ItemKey, _T | Unreadable]]],
) -> None:
    attempt = 1
    while True:
        async with pace.slot():
            answers = await read(keys)
            pace.note("lookup_requests", (a.code for a in answers.values() if isinstance(a, Unreadable)))
        results.update(answers)
        retryable = {
            key: answer.code
            for key, answer in answers.items()
            if isinstance(answer, Unreadable) and classify_table_error(answer.code) is ErrorClass.RETRY
        }
        if not retryable:
            return
        code = next(iter(retryable.values()))
        delay = pace.retry_delay(code, attempt)
        if delay is None:
            return
        keys, attempt = tuple(retryable), attempt + 1
        await asyncio.sleep(delay)

"""Reading the items that may have been dealt with already: in hundreds, with retries, within the deadline."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from outbox_sdk.core.classification import ErrorClass, classify_table_error
from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.core.lookup import MAX_KEYS, LookupResult, Unreadable
from outbox_sdk.core.retry import Deadline
from outbox_sdk.shell.context import RelayContext
from outbox_sdk.shell.pace import Pace

__all__ = ["lookup_all"]


async def lookup_all(
    context: RelayContext, keys: Sequence[ItemKey], deadline: Deadline, pace: Pace | None = None
) -> Mapping[ItemKey, LookupResult]:
    """Read all items; one that could not be read says why, and nothing is assumed about it.

    ``pace`` is that of the invocation, where more than the reading has a part in it.
    """
    results: dict[ItemKey, LookupResult] = dict.fromkeys(keys, Unreadable("Deadline"))
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
                group.create_task(_lookup(context, keys[start : start + MAX_KEYS], results, pace))
    return results


async def _lookup(
    context: RelayContext,
    keys: Sequence[ItemKey],
    results: dict[ItemKey, LookupResult],
    pace: Pace,
) -> None:
    attempt = 1
    while True:
        async with pace.slot():
            answers = await context.table.lookup(keys)
            pace.note("lookup_requests", _codes(answers.values()))
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


def _codes(answers: Iterable[LookupResult]) -> Iterable[str]:
    return (answer.code for answer in answers if isinstance(answer, Unreadable))

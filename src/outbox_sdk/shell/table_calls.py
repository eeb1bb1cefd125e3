"""Calls on the table for whoever looks after it: one request each, repeated where that may help."""

import asyncio
from collections.abc import Callable, Mapping
from random import SystemRandom
from typing import Any, Protocol

from outbox_sdk.core.classification import ErrorClass, classify_table_error
from outbox_sdk.core.errors import TableCallError
from outbox_sdk.core.remedies import find_call_remedy
from outbox_sdk.core.retry import RetryPolicy, retry_delay
from outbox_sdk.shell.aws.errors import translate_error
from outbox_sdk.shell.aws.service import AwsService
from outbox_sdk.shell.dynamodb import call

__all__ = ["DynamoDbCalls", "RetryingCalls", "TableCalls"]

_PATIENT = RetryPolicy(attempts=8, cap=5.0)
"""A person waits longer than a function may: some 15 seconds in the middle."""

_jitter = SystemRandom().random


class TableCalls(Protocol):
    """Operations of DynamoDB by name, with arguments and answers as AWS clients have them."""

    async def call(self, operation: str, arguments: Mapping[str, Any]) -> Any:
        """Make one call. What it raises is for :class:`RetryingCalls` to name."""
        ...


class DynamoDbCalls:
    """Makes calls on DynamoDB; see :class:`TableCalls`."""

    def __init__(self, dynamodb: AwsService) -> None:
        self._dynamodb = dynamodb

    async def call(self, operation: str, arguments: Mapping[str, Any]) -> Any:
        """Make one call, once."""
        return await call(self._dynamodb, operation, arguments)


class RetryingCalls:
    """Makes calls with pauses and repetitions, and no more than ``max_concurrency`` at a time.

    A write that is repeated may find its own first attempt done: give each a condition, so that
    ``ConditionalCheckFailedException`` tells, and read again.
    """

    def __init__(
        self,
        calls: TableCalls,
        *,
        max_concurrency: int = 32,
        policy: RetryPolicy = _PATIENT,
        jitter: Callable[[], float] = _jitter,
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self._calls = calls
        self._slots = asyncio.Semaphore(max_concurrency)
        self._policy = policy
        self._jitter = jitter
        self._sleep = sleep

    async def call(self, operation: str, arguments: Mapping[str, Any]) -> Any:
        """Make one call, again if that may help.

        Raises:
            TableCallError: DynamoDB refuses it, or did not take it up to the last attempt.
        """
        attempt = 1
        while True:
            try:
                async with self._slots:
                    return await self._calls.call(operation, arguments)
            except Exception as error:
                code = translate_error(error).code
                delay = None
                if classify_table_error(code) is ErrorClass.RETRY:
                    delay = retry_delay(self._policy, attempt=attempt, code=code, jitter=self._jitter())
                if delay is None:
                    advice = find_call_remedy(operation, code)
                    raise TableCallError(operation, code, advice) from None  # its text may quote an item
            attempt += 1
            await self._sleep(delay)

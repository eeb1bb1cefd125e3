"""Committing a planned transaction: one request, sent again with the same token as long as that may help."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from random import random
from typing import TYPE_CHECKING, Protocol, assert_never

from outbox_sdk.core.retry import RetryPolicy, retry_delay
from outbox_sdk.core.transaction import (
    Again,
    CallFailure,
    Committed,
    Failed,
    TransactionPlan,
    conclude,
    judge_failure,
)

if TYPE_CHECKING:
    from typing import Unpack

    from types_aiobotocore_dynamodb.type_defs import TransactWriteItemsInputTypeDef

__all__ = ["TRANSACTION_RETRIES", "TransactsItems", "commit"]

TRANSACTION_RETRIES = RetryPolicy(attempts=8, base=0.025, cap=1.0)
"""Up to seven retries, within a second on average: conflicts pass in milliseconds."""


class TransactsItems(Protocol):
    """What a transaction needs of a client: aiobotocore's, aioboto3's and the test double have it."""

    def transact_write_items(self, **kwargs: "Unpack[TransactWriteItemsInputTypeDef]") -> Awaitable[object]:
        """Commit all actions or none."""
        ...


async def commit(
    client: TransactsItems,
    plan: TransactionPlan,
    *,
    retries: RetryPolicy = TRANSACTION_RETRIES,
    jitter: Callable[[], float] = random,
) -> None:
    """Send a plan until it is committed or refused, or the retries are used up.

    Raises:
        TransactionError: it was not committed, or nobody knows. What is no answer of DynamoDB and no trouble
            on the way to it, as a mistake in code, comes through as it is.
    """
    doubt = False
    for attempt in count(1):
        try:
            await client.transact_write_items(**plan.request())
        except Exception as error:
            failure = _failure_of(error)
        else:
            return
        doubt = doubt or failure.leaves_doubt
        match judge_failure(plan, failure, doubt=doubt):
            case Committed():
                return
            case Failed(error=refusal):
                raise conclude(refusal, plan, failure, doubt=doubt, attempts=attempt) from None
            case Again(error=conflict):
                delay = retry_delay(retries, attempt=attempt, code=conflict.code, jitter=jitter())
                if delay is None:
                    raise conclude(conflict, plan, failure, doubt=doubt, attempts=attempt) from None
                await asyncio.sleep(delay)
            case never:
                assert_never(never)


def _failure_of(error: Exception) -> CallFailure:
    """Read what a client has raised. Loaded here, for whoever only builds entries needs no AWS SDK."""
    from outbox_sdk.shell.aws.errors import is_call_error, translate_error

    if not is_call_error(error):
        raise error
    fault = translate_error(error)
    response = getattr(error, "response", None) or {}
    return CallFailure(
        code=fault.code,
        status=fault.status,
        reasons=tuple(response.get("CancellationReasons") or ()),
        resent=response.get("ResponseMetadata", {}).get("RetryAttempts", 0) > 0,
        text=fault.text or str(error),
    )

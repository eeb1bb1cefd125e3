"""The producer's transaction: actions and messages gathered in a block, and committed where it ends."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from random import random
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload
from uuid import uuid4

from outbox_sdk.core.actions import Action, copy_entry, read_action
from outbox_sdk.core.claim import Claim
from outbox_sdk.core.identifiers import MessageId
from outbox_sdk.core.retry import RetryPolicy
from outbox_sdk.core.transaction import plan_transaction
from outbox_sdk.core.transaction_errors import TransactionError
from outbox_sdk.shell.clients import check_async_client
from outbox_sdk.shell.commit import TRANSACTION_RETRIES, TransactsItems, commit

if TYPE_CHECKING:
    from typing import Never, Unpack

    from types_aiobotocore_dynamodb.type_defs import (
        ConditionCheckTypeDef,
        DeleteTypeDef,
        PutTypeDef,
        TransactWriteItemTypeDef,
        UpdateTypeDef,
    )

    # Defaults of type variables exist from Python 3.13 on, and type checkers bring this module.
    from typing_extensions import TypeVar as _TypeVar

    from outbox_sdk.shell.claims import BodyWriter
    from outbox_sdk.shell.inbox import Inbox
    from outbox_sdk.shell.producer import Outbox

    _EventT_contra = _TypeVar("_EventT_contra", contravariant=True, default=Never)
else:
    _EventT_contra = TypeVar("_EventT_contra", contravariant=True)

__all__ = ["PlainTransaction", "Transaction", "open_outbox_transaction", "open_transaction"]

_WITH_BOTO3 = "use outbox.put(…) with its transact_write_items (docs/how-to/transactions.md#boto3)"


class PlainTransaction:
    """Actions of one ``TransactWriteItems``, gathered while a block of :func:`open_transaction` runs.

    Nothing is sent before the block ends, and nothing at all when it raises. The methods check what can be
    checked of one action, the end of the block what they come to together. They take what they are given as
    it is then: a dictionary may be changed and given again.
    """

    def __init__(self) -> None:
        self._actions: list[Action] = []
        self._drawn: list[int] = []
        self._ended = False

    def put(self, **action: "Unpack[PutTypeDef]") -> None:
        """Put an item; the arguments are those of AWS, ``TableName`` and ``Item`` at least."""
        self.add({"Put": action})

    def update(self, **action: "Unpack[UpdateTypeDef]") -> None:
        """Update an item; ``TableName``, ``Key`` and ``UpdateExpression`` at least."""
        self.add({"Update": action})

    def delete(self, **action: "Unpack[DeleteTypeDef]") -> None:
        """Delete an item; ``TableName`` and ``Key`` at least."""
        self.add({"Delete": action})

    def check(self, **action: "Unpack[ConditionCheckTypeDef]") -> None:
        """Hold an item to a condition without writing it; ``TableName``, ``Key``, ``ConditionExpression``."""
        self.add({"ConditionCheck": action})

    def guard(self, inbox: "Inbox", message_id: str) -> None:
        """Commit only if the inbox's consumer has not processed this message, and remember it as processed.

        The end of the block raises :class:`~outbox_sdk.AlreadyProcessed` otherwise.
        """
        self.add(inbox.guard(message_id))

    def add(self, entry: "TransactWriteItemTypeDef") -> None:
        """Take a ready element of ``TransactItems``.

        Raises:
            TransactionRefused: it is no such element, or its item is over 400 KB.
            TransactionError: the block has ended.
        """
        self._add(entry)

    def _add(self, entry: Mapping[str, Any], *, drawn: bool = False) -> None:
        if self._ended:
            raise TransactionError("the block of this transaction has ended")
        place = len(self._actions)
        self._actions.append(read_action(copy_entry(entry), place))
        if drawn:
            self._drawn.append(place)

    def _end(self) -> None:
        self._ended = True


class Transaction(PlainTransaction, Generic[_EventT_contra]):
    """The same with messages: what the block of :meth:`Outbox.transaction` is given.

    To a type checker it is of the messages that the outbox takes: a function that publishes one kind asks for
    a ``Transaction[OrderCreated]``.
    """

    def __init__(self, outbox: "Outbox[_EventT_contra]", *, claims: list[Claim] | None = None) -> None:
        super().__init__()
        self._claims = claims
        # Any: `publish` has checked by its own signature what `put` checks by the same.
        self._outbox: Outbox[Any] = outbox

    @overload
    def publish(
        self,
        message: _EventT_contra,
        *,
        aggregate_id: str,
        of: type[_EventT_contra] | None = None,
        topic: str | None = None,
        correlation_id: str | None = None,
        message_id: str | None = None,
        sequence: int | None = None,
        headers: Mapping[str, str] | None = None,
        created_at: datetime | None = None,
        hops: int | None = None,
    ) -> MessageId: ...
    @overload
    def publish(
        self,
        message: object,
        *,
        aggregate_id: str,
        topic: str,
        correlation_id: str | None = None,
        message_id: str | None = None,
        sequence: int | None = None,
        headers: Mapping[str, str] | None = None,
        created_at: datetime | None = None,
        hops: int | None = None,
    ) -> MessageId: ...
    def publish(
        self,
        message: Any,
        *,
        aggregate_id: str,
        of: type[Any] | None = None,
        topic: str | None = None,
        correlation_id: str | None = None,
        message_id: str | None = None,
        sequence: int | None = None,
        headers: Mapping[str, str] | None = None,
        created_at: datetime | None = None,
        hops: int | None = None,
    ) -> MessageId:
        """Write a message with the rest of the transaction; give its id. Arguments as of :meth:`Outbox.put`.

        Raises:
            InvalidMessageError: naming the argument that breaks a limit or a rule.
        """
        identifier = MessageId(str(uuid4()) if message_id is None else message_id)
        entry = self._outbox.put(
            message,
            aggregate_id=aggregate_id,
            of=of,
            topic=topic,
            correlation_id=correlation_id,
            message_id=identifier,
            sequence=sequence,
            headers=headers,
            created_at=created_at,
            hops=hops,
            claims=self._claims,
        )
        self._add(entry, drawn=message_id is None)
        return identifier


@asynccontextmanager
async def open_transaction(
    client: TransactsItems,
    *,
    retries: RetryPolicy = TRANSACTION_RETRIES,
    jitter: Callable[[], float] = random,
) -> AsyncIterator[PlainTransaction]:
    """Open a block whose actions are committed together where it ends, in one ``TransactWriteItems``.

    For those who have no outbox, as a consumer that guards its effects by an inbox;
    :meth:`Outbox.transaction` is the same with messages. An empty block sends nothing. Conflicts with others,
    throttling and lost answers are tried again as ``retries`` says, with the same ``ClientRequestToken``, by
    which DynamoDB commits once; retries of the client's own keep the token too. ``jitter`` gives numbers in
    [0, 1).

    Not promised: anything after the last attempt without an answer, see
    :class:`~outbox_sdk.TransactionInDoubt`. On endpoints that do not keep tokens (Moto) a lost answer may
    show as the failed condition of what was committed; a message whose id this package has drawn proves the
    commit, and the block then ends well.

    Raises:
        ConfigurationError: ``client`` is one of boto3 or not entered yet; the block has not begun.
        TransactionError: one of its children, where the block ends.
    """
    transaction = PlainTransaction()
    async with _committed(transaction, client, retries, jitter):
        yield transaction


@asynccontextmanager
async def open_outbox_transaction(
    outbox: "Outbox[_EventT_contra]",
    client: TransactsItems,
    *,
    s3: "BodyWriter | None" = None,
    retries: RetryPolicy,
    jitter: Callable[[], float],
) -> "AsyncIterator[Transaction[_EventT_contra]]":
    """See :meth:`Outbox.transaction`."""
    if s3 is not None:
        check_async_client(s3, "s3", "put_object", instead="give a client of aiobotocore or aioboto3")
    claims: list[Claim] = []
    transaction = Transaction(outbox, claims=None if s3 is None else claims)

    async def write_bodies() -> None:
        if s3 is not None and claims:
            from outbox_sdk.shell.claims import write_claims  # it loads the AWS SDK, and few have claims

            await write_claims(s3, claims)

    async with _committed(transaction, client, retries, jitter, prepare=write_bodies):
        yield transaction


@asynccontextmanager
async def _committed(
    transaction: PlainTransaction,
    client: TransactsItems,
    retries: RetryPolicy,
    jitter: Callable[[], float],
    *,
    prepare: Callable[[], Awaitable[None]] | None = None,
) -> AsyncIterator[None]:
    check_async_client(client, "client", "transact_write_items", instead=_WITH_BOTO3)
    try:
        yield
    finally:
        transaction._end()
    if transaction._actions:
        plan = plan_transaction(transaction._actions, token=str(uuid4()), drawn=transaction._drawn)
        # Only when all limits are kept: nothing is prepared for a transaction that cannot be.
        if prepare is not None:
            await prepare()
        await commit(client, plan, retries=retries, jitter=jitter)

"""The consumer's side of exactly-once effects: a guard in the consumer's own transaction."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from outbox_sdk.core.errors import ConfigurationError, InvalidMessageError
from outbox_sdk.core.inbox import guard_entry
from outbox_sdk.core.text import find_text_fault, format_instant

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb.type_defs import TransactWriteItemTypeDef

__all__ = ["Inbox"]

_MAX_ID_BYTES = 2_048 - len("MESSAGE#")
_MAX_TTL_DAYS = 36_500
_MAX_CONSUMER_BYTES = 1_024 - len("CONSUMER#")


class Inbox:
    """Remembers which messages a consumer has processed, in the transaction of what it did about them.

    ``consumer`` names who processes: several consumers may share a table, and each processes a message once.
    ``ttl_days`` is how long a message is remembered, at least; DynamoDB's time to live takes up to some days
    more. It should be no shorter than a queue and its dead-letter queue may hold a message: 14 days is the
    longest that SQS keeps one.

    It holds no client, and does no I/O. Not promised: that a message is processed, nor that it is told apart
    from its own repetition once it is forgotten.

    >>> inbox = Inbox("inbox", consumer="mail")
    >>> entry = inbox.guard("m-1", now=datetime(2026, 11, 23, 9, tzinfo=UTC))
    >>> entry["Put"]["Item"]["ExpiresAt"]
    {'N': '1796634000'}
    """

    def __init__(self, table_name: str, *, consumer: str, ttl_days: float = 14) -> None:
        if not 0 < ttl_days <= _MAX_TTL_DAYS:
            raise ConfigurationError("ttl_days", f"{ttl_days} is not above 0 and up to {_MAX_TTL_DAYS}")
        fault = find_text_fault(consumer) if consumer else "empty"
        if fault is not None:
            raise ConfigurationError("consumer", f"is refused: {fault}")
        if (size := len(consumer.encode())) > _MAX_CONSUMER_BYTES:
            raise ConfigurationError("consumer", f"has {size} of {_MAX_CONSUMER_BYTES} bytes")
        self.table_name = table_name
        self.consumer = consumer
        self._memory = timedelta(days=ttl_days)

    def guard(self, message_id: str, *, now: datetime | None = None) -> "TransactWriteItemTypeDef":
        """Build the element of ``TransactItems`` that lets the transaction pass once for this message.

        It fails where the consumer has processed the message: :meth:`PlainTransaction.guard` and
        :func:`~outbox_sdk.explain_cancellation` make :class:`~outbox_sdk.AlreadyProcessed` of that.
        ``message_id`` is the producer's, from the attribute ``MessageId``: SNS and SQS give a new id of their
        own to each repetition. ``now`` is the clock's by default.

        Raises:
            InvalidMessageError: the id cannot be part of a key.
            ValueError: ``now`` has no time zone.
        """
        fault = find_text_fault(message_id) if message_id else "empty"
        if fault is not None:
            raise InvalidMessageError("message_id", f"is refused: {fault}")
        if (size := len(message_id.encode())) > _MAX_ID_BYTES:
            raise InvalidMessageError("message_id", f"has {size} of {_MAX_ID_BYTES} bytes")
        instant = datetime.now(UTC) if now is None else now
        # Any: the clients' own type is a closed dictionary, which the core does not know.
        entry: Any = guard_entry(
            self.table_name,
            message_id,
            consumer=self.consumer,
            processed_at=format_instant(instant),
            expires_at=int((instant + self._memory).timestamp()),
        )
        return entry  # type: ignore[no-any-return]

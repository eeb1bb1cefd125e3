"""What a transaction can come to other than its commit, named by whose fault it is.

None of the texts quotes an item: they name actions by their place, their table and, where it is known, their
key.
"""

from collections.abc import Sequence
from typing import Any

from outbox_sdk.core.errors import OutboxError
from outbox_sdk.core.identifiers import Item, ItemKey, MessageId

__all__ = [
    "AlreadyProcessed",
    "ConditionFailed",
    "MessageAlreadyPublished",
    "TransactionConflict",
    "TransactionError",
    "TransactionInDoubt",
    "TransactionRefused",
]

# Four names without the suffix: they tell of what others have done, and are no faults of who meets them.
# ruff: noqa: N818


class TransactionError(OutboxError):
    """The root of what a transaction is refused for. Nothing of it was written, but see its last child.

    ``reasons`` are DynamoDB's codes, one for each action in order, ``None`` as text where there is nothing
    to say of an action. It is empty where the transaction was refused as a whole. ``detail`` is DynamoDB's or
    the client's own sentence, where there is one: it may quote an item, so it is not part of the text, and
    never belongs in a log.
    """

    reasons: tuple[str, ...] = ()
    detail: str = ""


class MessageAlreadyPublished(TransactionError):
    """An item of this very message is in the outbox: the same message id was published before.

    Not promised: that the other message says the same.
    """

    def __init__(self, message_id: MessageId, key: ItemKey) -> None:
        super().__init__(f"message {message_id} was published before, as {key.describe()}")
        self.message_id = message_id
        self.key = key


class AlreadyProcessed(TransactionError):
    """The inbox holds this message: it was processed before, so a consumer counts it as done."""

    def __init__(self, message_id: MessageId) -> None:
        super().__init__(f"message {message_id} was processed before")
        self.message_id = message_id


class ConditionFailed(TransactionError):
    """A condition of the caller's own did not hold.

    ``action`` is its place in the transaction, from 0; ``key`` is ``None`` for a Put, whose key attributes
    only the table knows; ``item`` is what the table holds, if the action asked for it by
    ``ReturnValuesOnConditionCheckFailure="ALL_OLD"`` and there is one.
    """

    def __init__(
        self, action: int, description: str, *, table_name: str, key: ItemKey | None, item: Item | None
    ) -> None:
        super().__init__(f"the condition of {description} did not hold")
        self.action = action
        self.table_name = table_name
        self.key = key
        self.item = item


class TransactionConflict(TransactionError):
    """Others held one of the items, or DynamoDB throttled, for as long as it was tried.

    ``code`` is DynamoDB's last word, ``attempts`` how often it was asked. Trying later is right.
    """

    def __init__(self, code: str, *, attempts: int = 1) -> None:
        super().__init__(f"{code}, asked {_times(attempts)}; nothing was written, try again later")
        self.code = code
        self.attempts = attempts


class TransactionRefused(TransactionError):
    """The transaction breaks a rule or a limit, or may not be made; trying again does not help.

    ``code`` is DynamoDB's. What is refused before any call goes by one of this package's: ``NoAction``,
    ``TooManyActions``, ``TransactionTooLarge``, ``ItemTooLarge``, ``SameItem``, ``TokenLength``. ``action``
    is the place of the action at fault, from 0, where one is.
    """

    def __init__(self, code: str, problem: str, *, action: int | None = None) -> None:
        super().__init__(f"{code}: {problem}")
        self.code = code
        self.problem = problem
        self.action = action


class TransactionInDoubt(TransactionError):
    """No answer told whether the transaction was committed. It may have been.

    Within ten minutes ``entries``, sent again as ``TransactItems`` with ``token`` as their
    ``ClientRequestToken``, are committed at most once. Another run of the block is another transaction.
    Afterwards, read what it would have written. ``entries`` are no part of the text, and no matter for a log.
    """

    # Any: the clients' own type is a closed dictionary, which the core does not know.
    def __init__(self, code: str, *, attempts: int, token: str, entries: Sequence[Any] = ()) -> None:
        super().__init__(f"{code}, asked {_times(attempts)}; whether it was committed is not known")
        self.code = code
        self.attempts = attempts
        self.token = token
        self.entries = entries


def _times(attempts: int) -> str:
    return "once" if attempts == 1 else f"{attempts} times"

"""A transaction as a value: checked by DynamoDB's rules before it is sent, and its cancellation explained.

The limits are those of the API reference, ``TransactWriteItems``. What counts towards the 4 MB is documented
as "the aggregate size of the items" only; counted here is what DynamoDB Local counts: the items of Puts, the
keys of other actions, and each expression with the names and values it refers to. The items that updates,
deletes and checks meet in the table are not known before the call, and DynamoDB Local does not count them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, assert_never

import msgspec

from outbox_sdk.core.actions import Action, GuardPut, MessagePut, identity_of, read_action, table_of
from outbox_sdk.core.classification import ErrorClass, known_class
from outbox_sdk.core.transaction_errors import (
    AlreadyProcessed,
    ConditionFailed,
    MessageAlreadyPublished,
    TransactionConflict,
    TransactionError,
    TransactionInDoubt,
    TransactionRefused,
)

__all__ = [
    "MAX_ACTIONS",
    "MAX_TOKEN_LENGTH",
    "MAX_TRANSACTION_BYTES",
    "Again",
    "CallFailure",
    "Committed",
    "Failed",
    "TransactionPlan",
    "Verdict",
    "conclude",
    "explain_cancellation",
    "judge_failure",
    "plan_transaction",
]

MAX_ACTIONS = 100
MAX_TRANSACTION_BYTES = 4 * 1_024 * 1_024
MAX_TOKEN_LENGTH = 36

_CONDITION = "ConditionalCheckFailed"
_CANCELLED = "TransactionCanceledException"
# What a client finds before it sends anything. A connection that could not be made is none of it: it may be
# that of a retry of the client's own, whose first request was taken in, and only the last one is told of.
_NEVER_SENT = ("EncodingFault", "NoCredentials")


class TransactionPlan(msgspec.Struct, frozen=True):
    """What is sent, once or several times. ``drawn`` are the places of messages with ids drawn for it.

    Nobody else can have written a message under such an id.
    """

    actions: tuple[Action, ...]
    token: str
    drawn: frozenset[int] = frozenset()

    def request(self) -> dict[str, Any]:
        """Give the arguments of ``TransactWriteItems``: the same at each attempt."""
        return {
            "TransactItems": [action.entry for action in self.actions],
            "ClientRequestToken": self.token,
        }


class CallFailure(msgspec.Struct, frozen=True, kw_only=True):
    """How a call failed. ``status`` is 0 without an answer, ``reasons`` are its ``CancellationReasons``.

    ``resent`` tells that the client has sent the request more than once by itself. ``text`` is the sentence
    that came with it, which may quote an item.
    """

    code: str
    status: int
    reasons: Sequence[Mapping[str, Any]] = ()
    resent: bool = False
    text: str = ""

    @property
    def leaves_doubt(self) -> bool:
        """Tell whether the transaction may have been committed all the same."""
        return self.resent or self.status >= 500 or (self.status == 0 and self.code not in _NEVER_SENT)


class Committed(msgspec.Struct, frozen=True):
    """An earlier attempt was committed, whose answer got lost."""


class Again(msgspec.Struct, frozen=True):
    """It may pass: send the same request with the same token. ``error`` is what to raise if it does not."""

    error: TransactionConflict


class Failed(msgspec.Struct, frozen=True):
    """It is over."""

    error: TransactionError


Verdict = Committed | Again | Failed
"""What to do about a failed call; matched to the end."""


def plan_transaction(actions: Sequence[Action], *, token: str, drawn: Iterable[int] = ()) -> TransactionPlan:
    """Check the actions together; each was checked by :func:`~outbox_sdk.core.actions.read_action`.

    ``token`` makes the call idempotent for ten minutes: at most 36 characters, and another one for each
    transaction.

    Raises:
        TransactionRefused: naming the first action that breaks a limit.

    >>> entry = {"Delete": {"TableName": "orders", "Key": {"PK": {"S": "7"}}}}
    >>> plan_transaction([read_action(entry, 0), read_action(entry, 1)], token="t-1")
    Traceback (most recent call last):
    outbox_sdk.core.transaction_errors.TransactionRefused: SameItem: action 1 (Delete on orders, PK=7) is on
    the item of action 0 (Delete on orders, PK=7)
    """
    if not 1 <= len(token) <= MAX_TOKEN_LENGTH:
        raise TransactionRefused("TokenLength", f"{len(token)} of {MAX_TOKEN_LENGTH} characters")
    if not actions:
        raise TransactionRefused("NoAction", "a transaction has at least one action")
    if len(actions) > MAX_ACTIONS:
        first = actions[MAX_ACTIONS].describe(MAX_ACTIONS)
        problem = f"{first} is the first of {len(actions) - MAX_ACTIONS} above {MAX_ACTIONS}"
        raise TransactionRefused("TooManyActions", problem, action=MAX_ACTIONS)
    _check_size(actions)
    _check_items(actions)
    return TransactionPlan(tuple(actions), token, frozenset(drawn))


def _check_size(actions: Sequence[Action]) -> None:
    total = sum(action.size for action in actions)
    if total <= MAX_TRANSACTION_BYTES:
        return
    size = 0
    for place, action in enumerate(actions):
        size += action.size
        if size > MAX_TRANSACTION_BYTES:
            problem = (
                f"with {action.describe(place)} of {action.size} bytes, the transaction comes to "
                f"{total} of {MAX_TRANSACTION_BYTES} bytes"
            )
            raise TransactionRefused("TransactionTooLarge", problem, action=place)


def _check_items(actions: Sequence[Action]) -> None:
    names: dict[str, frozenset[str]] = {}
    for action in actions:
        if action.key is not None:
            names[table_of(action)] = frozenset(name for name, _, _ in action.key.parts)
    seen: dict[object, int] = {}
    for place, action in enumerate(actions):
        first = seen.setdefault(identity_of(action, names.get(table_of(action))), place)
        if first != place:
            problem = f"{action.describe(place)} is on the item of {actions[first].describe(first)}"
            raise TransactionRefused("SameItem", problem, action=place)


def judge_failure(plan: TransactionPlan, failure: CallFailure, *, doubt: bool) -> Verdict:
    """Decide what a failed call means for the transaction; ``doubt`` tells of attempts up to this one.

    A message whose id was drawn for this transaction can only be in the table because an earlier attempt was
    committed, all of it: that is what a retry meets on endpoints that do not keep tokens, as Moto does not.
    Where there was none that may have been, something else is in its place: the table has not the key that
    the outbox takes it to have.
    """
    if failure.code != _CANCELLED:
        return _judge_code(plan, failure)
    codes = _codes_of(failure.reasons)
    if doubt and any(code == _CONDITION and place in plan.drawn for place, code in enumerate(codes)):
        return Committed()
    error = _explain(plan.actions, failure.reasons)
    return Again(error) if isinstance(error, TransactionConflict) else Failed(error)


def conclude(
    error: TransactionError, plan: TransactionPlan, failure: CallFailure, *, doubt: bool, attempts: int
) -> TransactionError:
    """Give the error to raise after ``attempts``; with ``doubt``, one of them may have been committed.

    A condition that did not hold is certain all the same: a committed transaction would not have been tried
    again under its token.
    """
    last = error
    if isinstance(error, TransactionConflict | TransactionRefused):
        if doubt:
            entries = plan.request()["TransactItems"]
            last = TransactionInDoubt(error.code, attempts=attempts, token=plan.token, entries=entries)
        elif isinstance(error, TransactionConflict):
            last = TransactionConflict(error.code, attempts=attempts)
    last.reasons, last.detail = error.reasons, failure.text
    return last


def _judge_code(plan: TransactionPlan, failure: CallFailure) -> Verdict:
    match known_class(failure.code):
        case ErrorClass.RETRY:
            return Again(TransactionConflict(failure.code))
        case ErrorClass.CONFIGURATION | ErrorClass.MESSAGE:
            pass
        case None:
            if not 400 <= failure.status < 500:
                return Again(TransactionConflict(failure.code))
        case never:
            assert_never(never)
    return Failed(TransactionRefused(failure.code, _describe_refusal(plan, failure)))


def _describe_refusal(plan: TransactionPlan, failure: CallFailure) -> str:
    """Say what can be said of a transaction that was refused as a whole; DynamoDB's sentence may quote it."""
    if failure.code == "ResourceNotFoundException":
        names = ", ".join(sorted({table_of(action) for action in plan.actions}))
        return f"one of these tables is not there: {names}; correct name or Region, or create it"
    problem = "the transaction was refused as a whole"
    if not failure.text:
        return problem
    whose = "DynamoDB's" if failure.status else "the client's"
    return f"{problem}; error.detail has {whose} own sentence, which may quote an item"


def explain_cancellation(
    entries: Sequence[Mapping[str, Any]], reasons: Sequence[Mapping[str, Any]]
) -> TransactionError:
    """Turn the reasons of a ``TransactionCanceledException`` into the error that it means.

    ``entries`` are the ``TransactItems`` as sent, ``reasons`` the exception's
    ``response["CancellationReasons"]``: one for each, in order. It is for those who make the call themselves,
    with boto3 or another client. Where several reasons stand, a guard's goes first, then a message's, then
    that of another condition, then what will never pass, and at last what may.

    >>> from outbox_sdk import Outbox
    >>> entry = Outbox("outbox").put("{}", aggregate_id="7", topic="order--created", message_id="m-1")
    >>> str(explain_cancellation([entry], [{"Code": "ConditionalCheckFailed"}]))
    'message m-1 was published before, as PK=AGGREGATE#7 SK=MESSAGE#m-1'
    """
    return _explain([read_action(entry, place) for place, entry in enumerate(entries)], reasons)


def _explain(actions: Sequence[Action], reasons: Sequence[Mapping[str, Any]]) -> TransactionError:
    codes = _codes_of(reasons)
    ranked = sorted(
        (_rank(action, code), place)
        for place, (action, code) in enumerate(zip(actions, codes, strict=False))
        if code != "None"
    )
    error: TransactionError
    if ranked:
        _, place = ranked[0]
        error = _error_of(actions[place], place, reasons[place])
    else:
        error = TransactionRefused(_CANCELLED, "DynamoDB gives no reason")
    error.reasons = codes
    return error


def _codes_of(reasons: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(str(reason.get("Code") or "None") for reason in reasons)


def _rank(action: Action, code: str) -> int:
    if code == _CONDITION:
        return 0 if isinstance(action.own, GuardPut) else 1 if isinstance(action.own, MessagePut) else 2
    return 4 if known_class(code) is ErrorClass.RETRY else 3


def _error_of(action: Action, place: int, reason: Mapping[str, Any]) -> TransactionError:
    code = str(reason["Code"])
    if code != _CONDITION:
        if known_class(code) is ErrorClass.RETRY:
            return TransactionConflict(code)
        return TransactionRefused(code, f"{action.describe(place)} was refused", action=place)
    match action.own:
        case GuardPut(message_id=message_id):
            return AlreadyProcessed(message_id)
        case MessagePut(message_id=message_id, key=key):
            return MessageAlreadyPublished(message_id, key)
        case None:
            return ConditionFailed(
                place,
                action.describe(place),
                table_name=action.table_name,
                key=action.key,
                item=reason.get("Item"),
            )

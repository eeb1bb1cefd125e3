"""The actions of a transaction as values: the two that this package writes, and what can be told of any.

An action is one element of ``TransactItems``, as AWS clients take it. The two of this package are recognised
by the placeholders of their conditions, so they may be copied, stored or built in another process.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, cast, get_args

import msgspec

from outbox_sdk.core.identifiers import Item, ItemKey, MessageId
from outbox_sdk.core.items import item_size
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.transaction_errors import TransactionRefused

__all__ = [
    "MAX_ITEM_BYTES",
    "Action",
    "ActionKind",
    "GuardPut",
    "MessagePut",
    "copy_entry",
    "guard_action",
    "identity_of",
    "message_action",
    "read_action",
    "recognise",
    "table_of",
]

MAX_ITEM_BYTES = 409_600
"""DynamoDB's limit of an item, names included: 400 KB."""

ActionKind = Literal["Put", "Update", "Delete", "ConditionCheck"]
"""What an action does to its item."""

_KINDS: tuple[ActionKind, ...] = get_args(ActionKind)
_MESSAGE = ("#message_pk", "#message_sk")
_GUARD = ("#guard_pk", "#guard_sk")
_BY_MESSAGE = "MESSAGE#"
_EXPRESSIONS = ("ConditionExpression", "UpdateExpression")
_PLACEHOLDER = re.compile(r"[#:]\w+")


class MessagePut(msgspec.Struct, frozen=True):
    """The Put that writes a message."""

    message_id: MessageId
    key: ItemKey


class GuardPut(msgspec.Struct, frozen=True):
    """The Put that remembers a message as processed."""

    message_id: MessageId
    key: ItemKey


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """What an action tells of itself.

    ``key`` is ``None`` for a Put on a table whose key attributes are not known. ``size`` is what the action
    adds to the transaction's 4 MB, in bytes.
    """

    entry: Mapping[str, Any]
    kind: ActionKind
    table_name: str
    key: ItemKey | None
    size: int
    own: MessagePut | GuardPut | None = None

    def describe(self, place: int) -> str:
        """Name the action in an error; ``place`` counts from 0."""
        match self.own:
            case MessagePut(message_id=message_id):
                return f"message {message_id} (action {place})"
            case GuardPut(message_id=message_id):
                return f"the guard of message {message_id} (action {place})"
            case None:
                item = "" if self.key is None else f", {self.key.describe()}"
                return f"action {place} ({self.kind} on {self.table_name}{item})"


def message_action(table_name: str, item: Item, design: TableDesign) -> dict[str, Any]:
    """Write the Put of a message's item, which fails while an item of the same message is there."""
    keys = [name for name in (design.partition_key, design.sort_key) if name is not None]
    return _put_once(table_name, item, dict(zip(_MESSAGE, keys, strict=False)))


def guard_action(table_name: str, item: Item, *, partition_key: str, sort_key: str) -> dict[str, Any]:
    """Write the Put of an inbox's item, which fails where the same consumer has processed the message."""
    return _put_once(table_name, item, dict(zip(_GUARD, (partition_key, sort_key), strict=True)))


def _put_once(table_name: str, item: Item, names: dict[str, str]) -> dict[str, Any]:
    return {
        "Put": {
            "TableName": table_name,
            "Item": item,
            # The first alone would do; both together tell the whole key to whoever finds the action.
            "ConditionExpression": " AND ".join(f"attribute_not_exists({name})" for name in names),
            "ExpressionAttributeNames": names,
        }
    }


def copy_entry(value: Any) -> Any:
    """Copy an action as far as it can be changed: what its caller does to it later is of other actions.

    >>> values = {":n": {"N": "1"}}
    >>> copied = copy_entry({"Update": {"ExpressionAttributeValues": values}})
    >>> values[":n"] = {"N": "2"}
    >>> copied
    {'Update': {'ExpressionAttributeValues': {':n': {'N': '1'}}}}
    """
    if isinstance(value, Mapping):
        return {name: copy_entry(each) for name, each in value.items()}
    if isinstance(value, list):
        return [copy_entry(each) for each in value]
    return bytes(value) if isinstance(value, bytearray) else value


def recognise(entry: Mapping[str, Any]) -> MessagePut | GuardPut | None:
    """Tell the Put of a message or of a guard from other actions.

    >>> item = {"PK": {"S": "MESSAGE#m-1"}, "Topic": {"S": "order--created"}}
    >>> recognise(message_action("outbox", item, TableDesign.message_keyed)).message_id
    'm-1'
    """
    put = entry.get("Put") or {}
    names, item = put.get("ExpressionAttributeNames") or {}, put.get("Item") or {}
    for kind, placeholders in ((MessagePut, _MESSAGE), (GuardPut, _GUARD)):
        keys = {names[name]: item[names[name]] for name in placeholders if names.get(name) in item}
        for value in keys.values():
            text = value.get("S") if isinstance(value, Mapping) else None
            if isinstance(text, str) and text.startswith(_BY_MESSAGE):
                return kind(MessageId(text.removeprefix(_BY_MESSAGE)), ItemKey.from_item(keys))
    return None


def read_action(entry: Mapping[str, Any], place: int) -> Action:
    """Look at one action; ``place`` counts from 0 and goes into errors.

    Raises:
        TransactionRefused: it is no action, an attribute is not written with its type, or the item of a Put
            is over 400 KB. What an update makes of an item only the table knows.
    """
    kinds = [kind for kind in _KINDS if kind in entry]
    if len(entry) != 1 or not kinds:
        raise _malformed(place, f"is not one of {', '.join(_KINDS)}")
    kind = kinds[0]
    body = entry[kind]
    table_name = body.get("TableName") if isinstance(body, Mapping) else None
    if not isinstance(table_name, str):
        raise _malformed(place, "has no TableName")
    own = recognise(entry) if kind == "Put" else None
    item = cast("Item", body.get("Item" if kind == "Put" else "Key") or {})
    size = _size_of(item, place)
    action = Action(
        entry=entry,
        kind=kind,
        table_name=table_name,
        key=_key_of(item, place) if kind != "Put" else own.key if own else None,
        size=size + sum(_expression_size(body, name, place) for name in _EXPRESSIONS),
        own=own,
    )
    if kind == "Put" and size > MAX_ITEM_BYTES:
        problem = f"{action.describe(place)} has an item of {size} of {MAX_ITEM_BYTES} bytes"
        raise TransactionRefused("ItemTooLarge", problem, action=place)
    return action


def identity_of(action: Action, key_names: frozenset[str] | None) -> tuple[object, ...]:
    """Give what two actions on one item have in common, and two on different ones have not.

    ``key_names`` are those of the action's table, as another action on it has shown them. Without them the
    key of a Put is hidden among its attributes: the same item is recognised only where all are the same.
    """
    if action.kind != "Put":
        values: Item = action.entry[action.kind]["Key"]
    else:
        values = action.entry["Put"].get("Item") or {}
        if key_names is not None:
            values = {name: values[name] for name in sorted(key_names) if name in values}
    return (table_of(action), *((name, *_plain(values[name])) for name in sorted(values)))


def table_of(action: Action) -> str:
    """Give the name of an action's table, which may be given by its ARN."""
    return action.table_name.rpartition(":table/")[2]


def _plain(value: Mapping[str, Any]) -> tuple[str, object]:
    """Give an attribute's value so that the same value is equal, however it is written."""
    ((kind, content),) = value.items()
    if kind == "N":
        try:
            return kind, Decimal(content)
        except InvalidOperation:
            return kind, content
    return kind, repr(bytes(content) if isinstance(content, bytearray) else content)


def _key_of(item: Item, place: int) -> ItemKey:
    try:
        # Clients take both kinds of bytes.
        plain = {name: {"B": bytes(value["B"])} if "B" in value else value for name, value in item.items()}
        return ItemKey.from_item(plain)
    except (TypeError, ValueError) as error:
        raise _malformed(place, f"has a Key that is none: {error}") from None


def _expression_size(body: Mapping[str, Any], name: str, place: int) -> int:
    """Size an expression: its text, and each name and value as often as it is referred to."""
    expression = body.get(name)
    if not expression:
        return 0
    names, values = body.get("ExpressionAttributeNames") or {}, body.get("ExpressionAttributeValues") or {}
    size = len(expression.encode())
    for placeholder in _PLACEHOLDER.findall(expression):
        if placeholder in names:
            size += len(names[placeholder].encode())
        elif placeholder in values:
            size += _size_of({"": values[placeholder]}, place)
    return size


def _size_of(item: Item, place: int) -> int:
    try:
        return item_size(item)
    except (AttributeError, TypeError, ValueError):
        problem = f'has {_find_untyped(item)} not written with its type, as in {{"S": "text"}}'
        raise _malformed(place, problem) from None


def _find_untyped(item: object) -> str:
    """Name the attribute that cannot be sized, never its value."""
    if not isinstance(item, Mapping):
        return "an Item or a Key"
    for name, value in item.items():
        try:
            item_size({name: value})
        except (AttributeError, TypeError, ValueError):
            return f"attribute {name}" if name else "a value of an expression"
    return "an attribute"


def _malformed(place: int, problem: str) -> TransactionRefused:
    return TransactionRefused("ValidationException", f"action {place} {problem}", action=place)

"""The double of a DynamoDB client, as far as a transaction goes."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from outbox_sdk.core.actions import Action, copy_entry, read_action
from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.core.transaction import plan_transaction
from outbox_sdk.core.transaction_errors import TransactionRefused
from outbox_sdk.testing.conditions import holds
from outbox_sdk.testing.expressions import ExpressionError
from outbox_sdk.testing.table import InMemoryTable
from outbox_sdk.testing.updates import updated

if TYPE_CHECKING:
    from typing import Unpack

    from types_aiobotocore_dynamodb.type_defs import TransactWriteItemsInputTypeDef

__all__ = ["InMemoryClient"]

# Any: items as clients write them, which nest without a bound.
_Item = dict[str, Any]
_CONDITION_FAILED = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}


class InMemoryClient:
    """Commits transactions in memory, and reads what they wrote.

    :meth:`InMemoryStack.client` gives it. It evaluates conditions and updates, keeps tokens, and raises what
    botocore does; writes into the outbox make records of its stream. It knows the tables that were created
    with :meth:`create_table`, and the outbox.

    Not promised: capacity, conflicts (one transaction is done before the next one begins), and the check of
    what DynamoDB refuses beyond limits, keys and expressions, as reserved words in place of names.
    """

    def __init__(self, outboxes: Mapping[str, InMemoryTable] | None = None) -> None:
        self._outboxes = dict(outboxes or {})
        self._tables: dict[str, dict[ItemKey, _Item]] = {}
        self._key_names: dict[str, tuple[str, ...]] = {}
        self._tokens: dict[str, str] = {}
        for name, table in self._outboxes.items():
            design = table.design
            keys = (design.partition_key, design.sort_key)
            self._key_names[name] = tuple(key for key in keys if key is not None)

    def create_table(self, table_name: str, *key_names: str) -> None:
        """Make a table with these key attributes: one, or two."""
        self._tables[table_name] = {}
        self._key_names[table_name] = key_names

    def items(self, table_name: str) -> Sequence[Mapping[str, Any]]:
        """Give the items of a table, in the order in which they were first written."""
        return list(self._items(table_name).values())

    async def get_item(self, *, TableName: str, Key: Mapping[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        """Read an item as it is now."""
        item = self._items(TableName).get(ItemKey.from_item(Key))
        return {} if item is None else {"Item": copy_entry(item)}

    async def transact_write_items(
        self, **kwargs: "Unpack[TransactWriteItemsInputTypeDef]"
    ) -> dict[str, Any]:
        """Commit all actions or none.

        Raises:
            botocore.exceptions.ClientError: as DynamoDB answers.
        """
        entries: Any = copy_entry(kwargs["TransactItems"])
        token = kwargs.get("ClientRequestToken")
        body = json.dumps(entries, sort_keys=True, default=repr)
        if token is not None and token in self._tokens:
            if self._tokens[token] != body:
                raise _refusal("IdempotentParameterMismatchException", "the token was used otherwise")
            return {}
        for (table_name, key), old, new in self._carry_out(self._read(entries, token)):
            if new != old:
                self._write(table_name, key, new)
        if token is not None:
            self._tokens[token] = body
        return {}

    def _read(self, entries: Sequence[Mapping[str, Any]], token: str | None) -> list[tuple[Action, ItemKey]]:
        try:
            actions = [read_action(entry, place) for place, entry in enumerate(entries)]
            plan_transaction(actions, token="-" if token is None else token)
        except TransactionRefused as error:
            raise _refusal("ValidationException", str(error)) from None
        found = [(action, self._key_of(action)) for action in actions]
        if len({(action.table_name, key) for action, key in found}) < len(found):
            raise _refusal("ValidationException", "two actions are on one item")
        return found

    def _carry_out(
        self, actions: Sequence[tuple[Action, ItemKey]]
    ) -> list[tuple[tuple[str, ItemKey], _Item | None, _Item | None]]:
        """Work out what becomes of each item; nothing is written yet."""
        changes, reasons = [], []
        for action, key in actions:
            old = self._items(action.table_name).get(key)
            body = action.entry[action.kind]
            reason: dict[str, Any] = {"Code": "None"}
            try:
                if not holds(old, body):
                    reason = dict(_CONDITION_FAILED)
                    if old is not None and body.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD":
                        reason["Item"] = old
                else:
                    changes.append(((action.table_name, key), old, _outcome(action, key, old)))
            except ExpressionError as error:
                raise _refusal("ValidationException", str(error)) from None
            reasons.append(reason)
        if len(changes) < len(actions):
            codes = ", ".join(reason["Code"] for reason in reasons)
            raise _refusal("TransactionCanceledException", f"Transaction cancelled [{codes}]", reasons)
        return changes

    def _write(self, table_name: str, key: ItemKey, item: _Item | None) -> None:
        if table_name in self._outboxes:
            self._outboxes[table_name].write(key, item)
        elif item is None:
            del self._tables[table_name][key]
        else:
            self._tables[table_name][key] = item

    def _items(self, table_name: str) -> Mapping[ItemKey, _Item]:
        if table_name in self._outboxes:
            return self._outboxes[table_name].items
        if table_name not in self._tables:
            raise _refusal("ResourceNotFoundException", f"there is no table {table_name}; use create_table")
        return self._tables[table_name]

    def _key_of(self, action: Action) -> ItemKey:
        self._items(action.table_name)
        body, names = action.entry[action.kind], self._key_names[action.table_name]
        values = body["Item" if action.kind == "Put" else "Key"]
        if any(name not in values for name in names) or (action.kind != "Put" and len(values) > len(names)):
            raise _refusal("ValidationException", f"the key of {action.table_name} is {', '.join(names)}")
        return ItemKey.from_item({name: values[name] for name in names})


def _outcome(action: Action, key: ItemKey, old: _Item | None) -> _Item | None:
    body = action.entry[action.kind]
    match action.kind:
        case "Put":
            return dict(body["Item"])
        case "Update":
            return updated(key.to_item() if old is None else old, body)
        case "Delete":
            return None
        case "ConditionCheck":
            return old


def _refusal(code: str, text: str, reasons: Sequence[Mapping[str, Any]] = ()) -> Exception:
    # Loaded here: whoever tests without transactions needs no AWS SDK.
    from outbox_sdk.shell.aws.errors import client_error

    return client_error(code, text, operation="TransactWriteItems", reasons=reasons)

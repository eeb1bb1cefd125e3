"""Settling items in the table: marking them as dispatched, deleting them, or parking them."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import msgspec

from outbox_sdk.core.identifiers import AttributeValue, ItemKey, TableName, to_client_value
from outbox_sdk.core.message import OutboxMessage, Poison
from outbox_sdk.core.table import PARKED, TableDesign

__all__ = [
    "MARK_STRATEGIES",
    "MAX_BATCH_MARKS",
    "Mark",
    "MarkResult",
    "MarkStrategy",
    "Marked",
    "Park",
    "Unwritten",
    "decode_delete_response",
    "decode_statement_response",
    "delete_marks_request",
    "mark_request",
    "mark_statements_request",
    "park_request",
    "plan_mark",
    "plan_park",
]

MarkStrategy = Literal["batch", "single", "delete"]
MARK_STRATEGIES: tuple[MarkStrategy, ...] = ("batch", "single", "delete")

MAX_BATCH_MARKS = 25
"""DynamoDB takes this many statements or deletes in one request."""

_SECONDS_A_DAY = 86_400


class Park(msgspec.Struct, frozen=True):
    """Set an item aside, if it still carries ``marker`` and was not redriven since.

    ``redrive_count`` is the image's: what a person has mended and sent again is not parked for what it was.
    """

    key: ItemKey
    marker: AttributeValue
    reason: str
    redrive_count: int = 0


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Record an item as dispatched, if it still carries ``marker`` and was not redriven since.

    ``redrive_count`` is the image's: a mark on its way must not settle an item that somebody has sent again
    in the meantime. ``dispatch_count`` is the new value, computed from the image: adding to a missing
    attribute would fail for ever. ``expires_at`` is epoch seconds; it is written only here, for a time to
    live on an outstanding item would lose it.
    """

    key: ItemKey
    marker: AttributeValue
    dispatched_at: str
    dispatch_count: int
    redrive_count: int = 0
    expires_at: int | None = None


class Marked(msgspec.Struct, frozen=True):
    """Written. ``gone`` tells that the item was deleted or settled by somebody else: success as well."""

    gone: bool = False


class Unwritten(msgspec.Struct, frozen=True):
    """Not written, or nobody knows."""

    code: str


MarkResult = Marked | Unwritten
"""How one write on an item ended."""


def plan_mark(message: OutboxMessage, *, now: str, now_seconds: float, ttl_days: int | None = None) -> Mark:
    """Decide the mark of a published message. ``now`` is the instant as text, ``now_seconds`` the same."""
    return Mark(
        key=message.key,
        marker=message.marker,
        dispatched_at=now,
        dispatch_count=message.dispatch_count + 1,
        redrive_count=message.redrive_count,
        expires_at=None if ttl_days is None else int(now_seconds) + ttl_days * _SECONDS_A_DAY,
    )


def plan_park(subject: OutboxMessage | Poison, reason: str) -> Park:
    """Decide to set aside what cannot be published."""
    return Park(subject.key, subject.marker, reason, subject.redrive_count)


def mark_statements_request(
    marks: Sequence[Mark], design: TableDesign, table_name: TableName | str
) -> dict[str, Any]:
    """Write the arguments of ``BatchExecuteStatement`` for at most 25 marks of distinct items."""
    return {"Statements": [_mark_statement(mark, design, table_name) for mark in marks]}


def _mark_statement(mark: Mark, design: TableDesign, table_name: TableName | str) -> dict[str, Any]:
    sets = _mark_values(mark, design)
    keys = mark.key.to_item()
    return {
        "Statement": _statement(str(table_name), tuple(sets), tuple(keys), design),
        "Parameters": [
            *sets.values(),
            *keys.values(),
            to_client_value(mark.marker),
            {"N": str(mark.redrive_count)},
        ],
    }


@lru_cache(maxsize=64)
def _statement(table_name: str, sets: tuple[str, ...], keys: tuple[str, ...], design: TableDesign) -> str:
    """Write the statement of a mark, which is the same for all items of a table."""
    # PartiQL repeats its clauses; commas between them are refused. Names are quoted, values are
    # parameters, so nothing of an item is ever read as a statement.
    clauses = [f"SET {_quoted(name)}=?" for name in sets]
    clauses.append(f"REMOVE {_quoted(design.not_dispatched)}")
    conditions = [f"{_quoted(name)}=?" for name in [*keys, design.not_dispatched]]
    # In this form it holds as well where the count is missing or no number.
    conditions.append(f"NOT {_quoted(design.redrive_count)} > ?")
    return " ".join(["UPDATE", _quoted(table_name), *clauses, "WHERE", " AND ".join(conditions)])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _mark_values(mark: Mark, design: TableDesign) -> dict[str, dict[str, Any]]:
    values: dict[str, dict[str, Any]] = {
        design.is_dispatched: {"BOOL": True},
        design.last_dispatched_at: {"S": mark.dispatched_at},
        design.dispatch_count: {"N": str(mark.dispatch_count)},
    }
    if mark.expires_at is not None:
        values[design.expires_at] = {"N": str(mark.expires_at)}
    return values


def mark_request(mark: Mark, design: TableDesign, table_name: TableName | str) -> dict[str, Any]:
    """Write the arguments of ``UpdateItem`` for one mark."""
    return _update_request(
        mark,
        mark.marker,
        design,
        table_name,
        sets={name: (f":v{i}", value) for i, (name, value) in enumerate(_mark_values(mark, design).items())},
        remove=True,
    )


def park_request(park: Park, design: TableDesign, table_name: TableName | str, *, now: str) -> dict[str, Any]:
    """Write the arguments of ``UpdateItem`` that set an item aside.

    A missing creation time is set, for without one the item would be in no index and nobody would find it.
    """
    plain = list(park.marker) == ["S"]
    return _update_request(
        park,
        # A marker of another type need not be repeated to the letter: any but `parked` will do.
        park.marker if plain else None,
        design,
        table_name,
        sets={
            design.not_dispatched: (":parked", {"S": PARKED}),
            design.parked_at: (":now", {"S": now}),
            design.park_reason: (":reason", {"S": park.reason}),
            design.created_at: ("if_not_exists({name}, :now)", {"S": now}),
        },
        remove=False,
    )


def _update_request(
    write: Mark | Park,
    marker: AttributeValue | None,
    design: TableDesign,
    table_name: TableName | str,
    *,
    sets: dict[str, tuple[str, dict[str, Any]]],
    remove: bool,
) -> dict[str, Any]:
    names = {"#marker": design.not_dispatched, "#redrives": design.redrive_count}
    values: dict[str, Any] = {":redrives": {"N": str(write.redrive_count)}}
    if marker is not None:
        values[":marker"] = to_client_value(marker)
    assignments = []
    for position, (name, (expression, value)) in enumerate(sets.items()):
        placeholder = "#marker" if name == design.not_dispatched else f"#n{position}"
        names[placeholder] = name
        assignments.append(f"{placeholder} = {expression.format(name=placeholder)}")
        if expression.startswith(":"):
            values[expression] = value
    return {
        "TableName": str(table_name),
        "Key": write.key.to_item(),
        "UpdateExpression": f"SET {', '.join(assignments)}{' REMOVE #marker' if remove else ''}",
        # In this form the last part holds as well where the count is missing or no number.
        "ConditionExpression": (
            "attribute_exists(#marker) AND #marker <> :parked" if marker is None else "#marker = :marker"
        )
        + " AND NOT #redrives > :redrives",
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
    }


def delete_marks_request(marks: Sequence[Mark], table_name: TableName | str) -> dict[str, Any]:
    """Write the arguments of ``BatchWriteItem`` that delete at most 25 dispatched items.

    The batch write knows no condition: whoever deletes keeps no history and cannot redrive.
    """
    return {
        "RequestItems": {str(table_name): [{"DeleteRequest": {"Key": mark.key.to_item()}} for mark in marks]}
    }


def decode_statement_response(marks: Sequence[Mark], response: Any) -> tuple[MarkResult, ...]:
    """Read the answers of ``BatchExecuteStatement`` one by one: errors come inside a 200.

    A condition that no longer holds means that the item is gone or marked already, which is success.
    """
    answers = response.get("Responses") or ()
    results: list[MarkResult] = []
    for position in range(len(marks)):
        if position >= len(answers):
            results.append(Unwritten("MissingFromResponse"))
            continue
        error = answers[position].get("Error")
        if not error:
            results.append(Marked())
        elif error.get("Code") in ("ConditionalCheckFailed", "ConditionalCheckFailedException"):
            results.append(Marked(gone=True))
        else:
            results.append(Unwritten(str(error.get("Code", ""))))
    return tuple(results)


def decode_delete_response(
    marks: Sequence[Mark], response: Any, table_name: TableName | str
) -> tuple[MarkResult, ...]:
    """Read a ``BatchWriteItem`` response: what is unprocessed has not been written."""
    unprocessed = {
        ItemKey.from_item(request["DeleteRequest"]["Key"])
        for request in (response.get("UnprocessedItems") or {}).get(str(table_name), ())
    }
    return tuple(Unwritten("Throttled") if mark.key in unprocessed else Marked() for mark in marks)

"""The inbox as data: the item that remembers a message as processed, and the table that holds such items."""

from typing import Any

from outbox_sdk.core.actions import guard_action
from outbox_sdk.core.identifiers import MessageId, TableName

__all__ = [
    "EXPIRES_AT",
    "PARTITION_KEY",
    "SORT_KEY",
    "find_inbox_differences",
    "guard_entry",
    "inbox_table_request",
    "inbox_time_to_live_request",
]

PARTITION_KEY = "PK"
SORT_KEY = "SK"
EXPIRES_AT = "ExpiresAt"
"""Epoch seconds: the attribute of the time to live."""


def guard_entry(
    table_name: TableName | str,
    message_id: MessageId | str,
    *,
    consumer: str,
    processed_at: str,
    expires_at: int,
) -> dict[str, Any]:
    """Write the Put that remembers a message as processed by a consumer, and fails where it was before.

    >>> entry = guard_entry("inbox", "m-1", consumer="mail", processed_at="2026-11-23", expires_at=1)
    >>> entry["Put"]["Item"]["PK"], entry["Put"]["Item"]["SK"]
    ({'S': 'MESSAGE#m-1'}, {'S': 'CONSUMER#mail'})
    """
    item = {
        # By message, which spreads: one consumer's messages under one key would be held to 1,000 a second.
        PARTITION_KEY: {"S": f"MESSAGE#{message_id}"},
        SORT_KEY: {"S": f"CONSUMER#{consumer}"},
        "ProcessedAt": {"S": processed_at},
        EXPIRES_AT: {"N": str(expires_at)},
    }
    return guard_action(str(table_name), item, partition_key=PARTITION_KEY, sort_key=SORT_KEY)


def inbox_table_request(table_name: TableName | str) -> dict[str, Any]:
    """Build the arguments of ``CreateTable``: on demand, without stream or index."""
    return {
        "TableName": str(table_name),
        "KeySchema": [
            {"AttributeName": PARTITION_KEY, "KeyType": "HASH"},
            {"AttributeName": SORT_KEY, "KeyType": "RANGE"},
        ],
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": "S"} for name in (PARTITION_KEY, SORT_KEY)
        ],
        "BillingMode": "PAY_PER_REQUEST",
    }


def inbox_time_to_live_request(table_name: TableName | str) -> dict[str, Any]:
    """Build the arguments of ``UpdateTimeToLive``."""
    return {
        "TableName": str(table_name),
        "TimeToLiveSpecification": {"Enabled": True, "AttributeName": EXPIRES_AT},
    }


def find_inbox_differences(description: dict[str, Any]) -> list[str]:
    """Compare an existing table (``DescribeTable``'s ``Table``) with an inbox; empty where it fits."""
    keys = {key["KeyType"]: key["AttributeName"] for key in description["KeySchema"]}
    wanted = {"HASH": PARTITION_KEY, "RANGE": SORT_KEY}
    types = {part["AttributeName"]: part["AttributeType"] for part in description["AttributeDefinitions"]}
    if keys != wanted:
        return [f"its key is {keys}, not {wanted}"]
    return [
        f"its key attribute {name} is of type {types[name]}, not S"
        for name in (PARTITION_KEY, SORT_KEY)
        if types[name] != "S"
    ]

"""The reference's way to commit: a new client for each transaction, items written by hand."""

import datetime
from typing import Any

from aiobotocore.session import get_session

__all__ = ["commit"]


async def commit(bodies: list[str], aggregate_ids: list[str], message_ids: list[str], endpoint: str) -> None:
    actions: list[Any] = [
        {
            "Put": {
                "TableName": "outbox",
                "Item": {
                    "PK": {"S": f"AGGREGATE#{aggregate_id}"},
                    "SK": {"S": f"MESSAGE#{message_id}"},
                    "MessageId": {"S": message_id},
                    "AggregateId": {"S": aggregate_id},
                    "Topic": {"S": "order--created"},
                    "Message": {"S": body},
                    "IsDispatched": {"BOOL": False},
                    "NotDispatched": {"S": "03"},
                    "DispatchCount": {"N": "0"},
                    "CreatedAt": {"S": datetime.datetime.now(datetime.UTC).isoformat()},
                },
                "ConditionExpression": "attribute_not_exists(PK)",
            }
        }
        for body, aggregate_id, message_id in zip(bodies, aggregate_ids, message_ids, strict=True)
    ]
    async with get_session().create_client("dynamodb", endpoint_url=endpoint) as dynamodb:
        await dynamodb.transact_write_items(TransactItems=actions)

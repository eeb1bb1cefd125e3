"""Events of a DynamoDB stream, written by hand as Lambda hands them over."""

import itertools
import time
from collections.abc import Iterable, Mapping
from typing import Any

from outbox_sdk.core.table import TableDesign
from tests.support.outbox_tables import Items, item_of

__all__ = ["FUNCTION_ARN", "FakeContext", "insert_record", "insert_records", "stream_arn", "write_event"]

FUNCTION_ARN = "arn:aws:lambda:us-east-1:123456789012:function:relay"


_positions = itertools.count()


class FakeContext:
    """As much of Lambda's context object as a handler may read."""

    def __init__(self, *, function_arn: str = FUNCTION_ARN, remaining_seconds: float = 30.0) -> None:
        self.invoked_function_arn = function_arn
        self.function_name = "relay"
        self.memory_limit_in_mb = "512"
        self.aws_request_id = "00000000-0000-0000-0000-000000000001"
        self._until = time.monotonic() + remaining_seconds

    def get_remaining_time_in_millis(self) -> int:
        """Give what is left of the invocation."""
        return max(0, int((self._until - time.monotonic()) * 1000))


def stream_arn(table_name: str) -> str:
    """Give the ARN of a table's stream."""
    return f"arn:aws:dynamodb:us-east-1:123456789012:table/{table_name}/stream/2026-11-23T09:00:00.000"


def write_event(records: Iterable[Mapping[str, Any]], *, table_name: str = "outbox") -> dict[str, Any]:
    """Put records into an event of a table."""
    return {"Records": [{**record, "eventSourceARN": stream_arn(table_name)} for record in records]}


def insert_record(
    item: Items,
    number: int,
    *,
    design: TableDesign = TableDesign.ordered,
    age_seconds: float = 0.0,
    event_name: str = "INSERT",
    old: Items | None = None,
) -> dict[str, Any]:
    """Write the record of an item's insert, the ``number``-th of its stream."""
    names = [name for name in (design.partition_key, design.sort_key) if name is not None]
    change: dict[str, Any] = {
        # Whole seconds, as DynamoDB tells the time.
        "ApproximateCreationDateTime": float(int(time.time() - age_seconds)),
        "Keys": {name: item[name] for name in names},
        "SequenceNumber": f"{4_400_000_000_000_000_000_000 + number}",
        "SizeBytes": 300,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    if event_name != "REMOVE":
        change["NewImage"] = item
    if old is not None:
        change["OldImage"] = old
    return {
        "eventID": f"{number:032x}",
        "eventName": event_name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": change,
    }


def insert_records(
    count: int, *, design: TableDesign = TableDesign.ordered, age_seconds: float = 0.0, **attributes: Any
) -> list[dict[str, Any]]:
    """Write the inserts of messages of as many aggregates; their bodies are ``{"order": 0}`` and so on.

    The next call goes on in the stream where this one ends: no sequence number comes twice.
    """
    return [
        insert_record(
            item_of(
                f"order-{number}",
                f"m-{number}",
                design,
                **{design.body: {"S": f'{{"order": {number}}}'}, **attributes},
            ),
            next(_positions),
            design=design,
            age_seconds=age_seconds,
        )
        for number in range(count)
    ]

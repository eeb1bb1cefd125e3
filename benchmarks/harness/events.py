"""Batches of the stream to measure with: new messages each time, as the Lambda runtime hands them over."""

import itertools
import json
from time import time
from typing import Any

from outbox_sdk.core.identifiers import ItemKey
from outbox_sdk.shell.producer import Outbox
from outbox_sdk.testing.table import stream_record

__all__ = ["TABLE", "make_body", "make_event", "refresh"]

TABLE = "outbox"
_ARN = f"arn:aws:dynamodb:us-east-1:123456789012:table/{TABLE}/stream/2026-11-23T09:00:00.000"
_numbers = itertools.count(1)


def make_body(size: int) -> str:
    """Give a JSON document of so many bytes, of the kind that services publish: quotes and all."""
    fields = {f"field{number}": f"value {number} of an order" for number in range(1_000)}
    document: dict[str, str] = {}
    while len(json.dumps(document)) < size - 60 and fields:
        name = next(iter(fields))
        document[name] = fields.pop(name)
    text = json.dumps({**document, "rest": ""})
    return text[:-2] + "x" * (size - len(text)) + text[-2:]


def make_event(
    records: int, *, size: int = 1_000, topic: str = "order--created", aggregates: int | None = None
) -> dict[str, Any]:
    """Give an event of inserts; each message of an aggregate of its own, or of ``aggregates`` in turn.

    It has been through JSON, as whatever Lambda hands over: no string is shared with anything.
    """
    outbox = Outbox(TABLE)
    body = make_body(size)
    written = []
    for position in range(records):
        number = next(_numbers)
        aggregate = number if aggregates is None else position % aggregates
        entry = outbox.put(body, aggregate_id=f"order-{aggregate}", topic=topic, message_id=f"{number:036}")
        item: Any = entry["Put"]["Item"]
        key = ItemKey.from_item({name: item[name] for name in ("PK", "SK")})
        written.append(stream_record(number, key, new=item, old=None, now=time()) | {"eventSourceARN": _ARN})
    event: dict[str, Any] = json.loads(json.dumps({"Records": written}))
    return event


def refresh(event: dict[str, Any]) -> None:
    """Let the records be as young as those of a stream without lag."""
    now = int(time())
    for record in event["Records"]:
        record["dynamodb"]["ApproximateCreationDateTime"] = now

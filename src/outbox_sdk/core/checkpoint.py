"""The other side of a batch response: which records Lambda brings again for what a handler returned.

The stream reader obeys it where no Lambda is, and tests hold it against the behaviour recorded from AWS.
"""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["count_settled"]


def count_settled(records: Sequence[Mapping[str, Any]], response: object) -> int:
    """Count the records from the front of a batch that a response settles; the rest come again.

    No response, an empty one, or one without ``batchItemFailures`` is complete success, as on AWS: a
    misspelt key loses records in silence. An id that is empty, unknown or under another key is complete
    failure. Several ids mean the lowest, and everything behind it comes again.

    >>> records = [{"dynamodb": {"SequenceNumber": number}} for number in ("9", "10", "11")]
    >>> count_settled(records, {"batchItemFailures": [{"itemIdentifier": "11"}, {"itemIdentifier": "10"}]})
    1
    >>> count_settled(records, {"batchItemFailures": [{"itemIdentifier": "12"}]})
    0
    """
    if not isinstance(response, Mapping):
        return len(records)
    failures = response.get("batchItemFailures")
    if not failures:
        return len(records)
    positions: dict[object, int] = {}
    for position, record in enumerate(records):
        positions.setdefault(record["dynamodb"]["SequenceNumber"], position)
    if not isinstance(failures, Sequence):
        return 0
    lowest = len(records)
    for failure in failures:
        identifier = failure.get("itemIdentifier") if isinstance(failure, Mapping) else None
        found = positions.get(identifier) if isinstance(identifier, str) else None
        if found is None:
            return 0
        lowest = min(lowest, found)
    return lowest

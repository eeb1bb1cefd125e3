"""The event source mapping as data: which records reach the relay, and how Lambda brings them."""

import json
from typing import Any

import msgspec

from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.mark import MarkStrategy
from outbox_sdk.core.table import PARKED, TableDesign

__all__ = ["EventSource", "filter_patterns", "mapping_settings"]


class EventSource(msgspec.Struct, frozen=True, kw_only=True):
    """How Lambda reads the table's stream.

    ``parallelization_factor`` above 1 gives up the order of an aggregate's messages: Lambda then keeps the
    order of an item only. ``batch_window_seconds`` is how long Lambda waits for a batch to fill.
    ``on_failure`` is the ARN of an S3 bucket, queue or topic for what Lambda gives up: a bucket gets whole
    events, the others what they were called. What cannot be published is parked by the relay, so Lambda tries
    again for as long as records last; ``maximum_record_age_seconds`` ends a little before the stream's 24
    hours, so that an end shows in the metrics.

    Raises:
        ConfigurationError: a number is out of Lambda's bounds.
    """

    batch_size: int = 100
    batch_window_seconds: int = 1
    parallelization_factor: int = 1
    maximum_record_age_seconds: int = 82_800
    on_failure: str | None = None

    def __post_init__(self) -> None:
        for field, (minimum, maximum) in _BOUNDS.items():
            value = getattr(self, field)
            if not minimum <= value <= maximum:
                raise ConfigurationError(field, f"{value} is not between {minimum} and {maximum}")


_BOUNDS = {
    "batch_size": (1, 10_000),
    "batch_window_seconds": (0, 300),
    "parallelization_factor": (1, 10),
    # Lambda takes a week, and the stream holds a day.
    "maximum_record_age_seconds": (60, 86_400),
}


def filter_patterns(design: TableDesign, strategy: MarkStrategy) -> tuple[dict[str, Any], ...]:
    """Give the patterns of which a record must match one: what the relay would only skip is never brought.

    The first lets pass each new image that is outstanding: inserts, a sweep's touches, redrives. Marks and
    parks do not match, so the relay is not invoked by its own writes. The second lets pass what took an
    outstanding item away, which the relay warns about; under ``delete`` that is what its own marks do.

    The relay keeps to the same rule by itself; without a filter it would only be invoked in vain.
    """
    outstanding = {design.not_dispatched: {"S": [{"anything-but": [PARKED]}]}}
    changes: dict[str, Any] = {"dynamodb": {"NewImage": outstanding}}
    removals: dict[str, Any] = {"eventName": ["REMOVE"], "dynamodb": {"OldImage": outstanding}}
    return (changes,) if strategy == "delete" else (changes, removals)


def mapping_settings(source: EventSource, design: TableDesign, strategy: MarkStrategy) -> dict[str, Any]:
    """Write what ``CreateEventSourceMapping`` and ``UpdateEventSourceMapping`` take alike.

    Without a destination there is no ``DestinationConfig``: AWS shows an empty one, and refuses one.
    """
    destination = {"DestinationConfig": {"OnFailure": {"Destination": source.on_failure}}}
    patterns = [{"Pattern": json.dumps(pattern)} for pattern in filter_patterns(design, strategy)]
    return {
        "BatchSize": source.batch_size,
        "MaximumBatchingWindowInSeconds": source.batch_window_seconds,
        "ParallelizationFactor": source.parallelization_factor,
        "MaximumRecordAgeInSeconds": source.maximum_record_age_seconds,
        # Without end: poison is parked by the relay, and what ends the retries would drop its neighbours.
        "MaximumRetryAttempts": -1,
        "BisectBatchOnFunctionError": True,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "FilterCriteria": {"Filters": patterns},
        "MetricsConfig": {"Metrics": ["EventCount"]},
        **(destination if source.on_failure is not None else {}),
    }

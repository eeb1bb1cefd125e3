"""What AWS allows, as figures with their units and where they are documented.

Quotas that AWS raises on request are fields with the default values; what it does not raise is a constant.
"""

import msgspec

__all__ = [
    "CONCURRENT_EXECUTIONS",
    "EVENT_BYTES",
    "MB_PER_CORE",
    "PARTITION_UNITS_PER_SECOND",
    "POLL_SECONDS",
    "READ_BYTES",
    "READ_RECORDS",
    "SNS_CHUNK_BYTES",
    "TABLE_UNITS_PER_SECOND",
    "SnsQuotas",
    "sns_quotas",
]

PARTITION_UNITS_PER_SECOND = 1_000
"""Write units a second that one partition takes, which is 1 MB a second: DynamoDB Developer Guide, "Best
practices for designing and using partition keys". A table and an index have partitions of their own, and one
value of a partition key has at most one, where its sort key only grows."""

TABLE_UNITS_PER_SECOND = 40_000
"""Write units a second of an on-demand table by default: DynamoDB Developer Guide, "Service quotas". That the
indexes count towards it is documented of provisioned throughput, and taken for granted here."""

READ_RECORDS = 1_000
"""Records that one read of a stream gives: DynamoDB Streams API, ``GetRecords``."""

READ_BYTES = 1_048_576
"""Bytes that one read of a stream gives: DynamoDB Streams API, ``GetRecords``."""

POLL_SECONDS = 0.25
"""Lambda reads a shard "at a base rate of 4 times per second": Lambda Developer Guide, "Using Lambda with
DynamoDB". Whether it also pauses between two batches of a backlog is not documented."""

EVENT_BYTES = 6_291_456
"""Bytes of JSON that an invocation takes: Lambda Developer Guide, "Lambda quotas"."""

CONCURRENT_EXECUTIONS = 1_000
"""Invocations at once of an account in a Region by default, all functions together: "Lambda quotas"."""

MB_PER_CORE = 1_769
"""Memory with which a function has one core: Lambda Developer Guide, "Configure Lambda function memory"."""

SNS_CHUNK_BYTES = 65_536
"""Bytes of published data that are billed as one request: Amazon SNS pricing."""


class SnsQuotas(msgspec.Struct, frozen=True, kw_only=True):
    """What SNS lets an account publish in a Region; the defaults are those of us-east-1.

    Messages a second, however they are batched; ``fifo_topic_bytes`` in bytes a second. The two of a FIFO
    topic are those of ``FifoThroughputScope`` ``Topic``; with ``MessageGroup`` only the Region's remain.
    Source: AWS General Reference, "Amazon Simple Notification Service endpoints and quotas".
    """

    standard: float = 30_000
    fifo: float = 30_000
    fifo_topic: float = 3_000
    fifo_topic_bytes: float = 20_000_000
    fifo_group: float = 300


_MIDDLE = SnsQuotas(standard=1_500, fifo=3_000)
_REGIONS = {
    "us-east-1": SnsQuotas(),
    **dict.fromkeys(("us-west-2", "eu-west-1"), SnsQuotas(standard=9_000, fifo=9_000)),
    **dict.fromkeys(
        (
            "us-east-2",
            "us-west-1",
            "ap-south-1",
            "ap-northeast-2",
            "ap-southeast-1",
            "ap-southeast-2",
            "ap-northeast-1",
            "eu-central-1",
        ),
        _MIDDLE,
    ),
}


def sns_quotas(region: str) -> SnsQuotas:
    """Give the default quotas of a Region; those that AWS does not list have the least.

    >>> sns_quotas("eu-west-1").standard, sns_quotas("eu-north-1").standard
    (9000, 300)
    """
    return _REGIONS.get(region, SnsQuotas(standard=300, fifo=3_000))

"""Helpers for tests of services: an outbox in memory, without Docker, server or account.

The doubles stand where the relay's ports are, so the relay between them is the real one. They pass the same
contract suites as the adapters for DynamoDB and SNS. How an outbox fares when things fail is played by
:mod:`outbox_sdk.testing.simulation`.
"""

from outbox_sdk.testing.bucket import InMemoryBucket
from outbox_sdk.testing.client import InMemoryClient
from outbox_sdk.testing.operations import InMemoryCalls
from outbox_sdk.testing.stack import InMemoryStack, stream_event
from outbox_sdk.testing.table import InMemoryTable
from outbox_sdk.testing.topics import InMemoryTopics, PublishedMessage

__all__ = [
    "InMemoryBucket",
    "InMemoryCalls",
    "InMemoryClient",
    "InMemoryStack",
    "InMemoryTable",
    "InMemoryTopics",
    "PublishedMessage",
    "stream_event",
]

"""Helpers for tests of services: an outbox in memory, without Docker, server or account."""

from outbox_sdk.testing.memory import (
    InMemoryStack,
    InMemoryTable,
    InMemoryTopics,
    PublishedMessage,
    stream_event,
)

__all__ = ["InMemoryStack", "InMemoryTable", "InMemoryTopics", "PublishedMessage", "stream_event"]

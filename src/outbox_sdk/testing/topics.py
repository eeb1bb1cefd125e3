"""The double of the topics: accepts everything, and drops repetitions on FIFO topics as SNS does."""

import math
from collections.abc import Callable, Iterable, Mapping
from time import time

import msgspec

from outbox_sdk.core.entry import Entry
from outbox_sdk.core.publish import Published, PublishRequest, PublishResponse, RequestFailed

__all__ = ["InMemoryTopics", "PublishedMessage"]

_DEDUPLICATION_SECONDS = 300.0


class PublishedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as a subscriber of its topic gets it. ``topic`` is the name at the end of the ARN."""

    topic: str
    body: str
    attributes: Mapping[str, str]
    group_id: str | None = None

    @property
    def message_id(self) -> str:
        """The producer's id, by which consumers deduplicate."""
        return self.attributes["MessageId"]


class InMemoryTopics:
    """A publisher that keeps what it accepts, in order, and drops repetitions on FIFO topics as SNS does.

    Every topic exists, unless ``topics`` names those that do. ``now`` gives seconds: five minutes after the
    first acceptance SNS has forgotten a deduplication id.
    """

    def __init__(self, topics: Iterable[str] | None = None, *, now: Callable[[], float] = time) -> None:
        self.published: list[PublishedMessage] = []
        self._topics = None if topics is None else frozenset(topics)
        self._now = now
        self._accepted: dict[tuple[str, str], tuple[float, str]] = {}

    async def publish(self, request: PublishRequest) -> PublishResponse:
        """Accept every entry of one request."""
        topic = request.topic.rpartition(":")[2]
        if self._topics is not None and topic not in self._topics:
            return RequestFailed("NotFound", 404, "Topic does not exist")
        return tuple(Published(self.accept(topic, entry)) for entry in request.entries)

    def accept(self, topic: str, entry: Entry) -> str:
        """Accept one entry on a topic, by its name; give the id that SNS would give it."""
        accepted_at, known = self._accepted.get((topic, entry.deduplication_id or ""), (-math.inf, ""))
        if self._now() - accepted_at < _DEDUPLICATION_SECONDS:
            return known
        self.published.append(
            PublishedMessage(
                topic=topic,
                body=entry.envelope.body,
                attributes={attribute.name: attribute.value for attribute in entry.envelope.attributes},
                group_id=entry.group_id,
            )
        )
        sns_message_id = f"sns-{len(self.published)}"
        if entry.deduplication_id is not None:
            self._accepted[topic, entry.deduplication_id] = (self._now(), sns_message_id)
        return sns_message_id

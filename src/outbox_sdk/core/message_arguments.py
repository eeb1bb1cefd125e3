"""The arguments of a message, checked before anything is made of them.

Each function raises :class:`~outbox_sdk.core.errors.InvalidMessageError`, which names the argument and what
to give instead, and quotes nothing of the message.
"""

from collections.abc import Mapping

from outbox_sdk.core.destinations import is_route
from outbox_sdk.core.envelope import REPLAYED
from outbox_sdk.core.errors import InvalidMessageError
from outbox_sdk.core.identifiers import TopicName
from outbox_sdk.core.message import MAX_HOPS
from outbox_sdk.core.message_type import MessageType
from outbox_sdk.core.text import find_text_fault

__all__ = ["check_headers", "check_hops", "check_sequence", "check_text", "find_route"]


def find_route(known: MessageType | None, topic: str | None) -> TopicName:
    """Give where a message goes: the route that was given, else that of its type."""
    if topic is None and known is not None:
        return known.topic
    if not isinstance(topic, str):
        raise InvalidMessageError("topic", f"is of type {type(topic).__name__}; give a str")
    if not is_route(topic):
        raise InvalidMessageError(
            "topic",
            f"{topic!r} is not a topic name; give that of a topic without its ARN, or sqs:NAME, "
            "eventbridge:BUS or kinesis:STREAM",
        )
    return TopicName(topic)


def check_sequence(sequence: object) -> None:
    """Refuse what is no version of an aggregate: a whole number of at most 38 digits."""
    if isinstance(sequence, bool) or not isinstance(sequence, int):
        raise InvalidMessageError("sequence", f"is of type {type(sequence).__name__}; give an int")
    if not 0 <= sequence < 10**38:
        raise InvalidMessageError("sequence", f"{sequence} is not between 0 and 10^38")


def check_text(field: str, text: object) -> None:
    """Refuse what is no text, is empty, or holds a character that cannot travel."""
    if not isinstance(text, str):
        raise InvalidMessageError(field, f"is of type {type(text).__name__}; give a str")
    fault = find_text_fault(text) if text else "empty"
    if fault is not None:
        raise InvalidMessageError(field, f"is refused: {fault}")


def check_headers(headers: object) -> None:
    """Refuse headers that are no mapping of texts; which names may be used, the envelope says."""
    if not isinstance(headers, Mapping):
        raise InvalidMessageError("headers", f"are of type {type(headers).__name__}; give a dict of str")
    for name, value in headers.items():
        if not isinstance(name, str):
            raise InvalidMessageError("headers", f"have a name of type {type(name).__name__}; give a str")
        if name == REPLAYED:
            raise InvalidMessageError("headers", f"hold {REPLAYED!r}, which replays alone write: rename it")
        check_text("headers", value)


def check_hops(hops: object) -> None:
    """Refuse what is no count, and a message that too many have led to."""
    if isinstance(hops, bool) or not isinstance(hops, int) or hops < 0:
        raise InvalidMessageError("hops", "is not a whole number from 0 on")
    if hops >= MAX_HOPS:
        raise InvalidMessageError(
            "hops", f"{hops} messages have led to this one: consumers write to each other without end"
        )

"""What an assertion of a stack says: types, ids, and of the events no field that was not asked for."""

import inspect
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from outbox_sdk.testing.topics import PublishedMessage

__all__ = [
    "SHOWN",
    "census",
    "fields_of",
    "id_of",
    "listed",
    "never_came",
    "never_received",
    "not_settled",
]

SHOWN = 10
"""How many messages are listed."""


def fields_of(event: object) -> Mapping[str, object]:
    """Give the fields of an event of any kind of class, by name."""
    if isinstance(event, Mapping):
        return event
    names = [*getattr(event, "__dict__", {}), *getattr(event, "__struct_fields__", ())]
    for base in type(event).__mro__:  # slots of a base are named by its annotations alone
        names += inspect.get_annotations(base)
    return {name: getattr(event, name) for name in names if hasattr(event, name)}


def id_of(message: PublishedMessage) -> str:
    """Give the message's id; empty for what is no message of an outbox."""
    try:
        return message.message_id
    except (msgspec.DecodeError, AttributeError, KeyError):  # the test's own, beside the outbox
        return ""


def census(messages: Sequence[PublishedMessage]) -> str:
    """Count messages by type."""
    kinds = Counter([message.attributes.get("MessageType", message.topic) for message in messages])
    return ", ".join(f"{count} × {kind}" for kind, count in sorted(kinds.items())) or "no messages at all"


def listed(heading: str, lines: Sequence[str], of: Sequence[object]) -> str:
    """Write a heading and lines, and how many of them are left out."""
    more = [f"  and {len(of) - len(lines)} more"] if len(of) > len(lines) else []
    return "\n".join([f"{heading}:", *lines, *more])


def not_settled(waiting: Mapping[str, str], hint: str) -> str:
    """Say what waits, and why."""
    lines = [f"  {message_id}: {reason}" for message_id, reason in list(waiting.items())[:SHOWN]]
    return listed("messages do not settle", lines, list(waiting)) + f"\n{hint}"


def never_came(lagging: Sequence[str], table_name: str) -> str:
    """Say what the stream does not bring."""
    lines = [f"  {message_id}" for message_id in lagging[:SHOWN]]
    heading = f"the stream of {table_name} does not bring these messages, though they are outstanding"
    return listed(heading, lines, lagging)


def never_received(missing: Sequence[str]) -> str:
    """Say what no queue got."""
    lines = [f"  {message_id}" for message_id in missing[:SHOWN]]
    heading = (
        "topics have accepted these messages, and the queues behind them have not got them (a FIFO topic "
        "drops an id that it has had within five minutes)"
    )
    return listed(heading, lines, missing)

"""The names things go by: one type for each kind of identifier, and the key that is an item's identity."""

import base64
import re
from collections.abc import Mapping
from typing import Any, NewType

import msgspec

__all__ = [
    "DEFAULT_CLAIM_PREFIX",
    "AccountId",
    "AggregateId",
    "AttributeValue",
    "CorrelationId",
    "Item",
    "ItemKey",
    "MessageId",
    "Partition",
    "Region",
    "SequenceNumber",
    "TableName",
    "TopicArn",
    "TopicName",
    "is_bucket_name",
    "is_claim_prefix",
    "to_client_value",
]

AccountId = NewType("AccountId", str)
"""Twelve digits."""

AggregateId = NewType("AggregateId", str)
"""What a message is about; the unit within which order is kept."""

CorrelationId = NewType("CorrelationId", str)
MessageId = NewType("MessageId", str)
"""The producer's stable id of a message: consumers deduplicate by it."""

Partition = NewType("Partition", str)
"""``aws``, ``aws-cn`` or ``aws-us-gov``."""

Region = NewType("Region", str)

SequenceNumber = NewType("SequenceNumber", str)
"""Digits, verbatim from the stream. Lengths differ, so compare with :func:`int`, never as text."""

TableName = NewType("TableName", str)
TopicArn = NewType("TopicArn", str)
"""The ARN of a topic, or of another destination that a route has led to."""

TopicName = NewType("TopicName", str)
"""A route as the producer wrote it: a topic's name before any prefix, or a scheme and a name."""

# DynamoDB's own JSON nests without a bound and mixes types by tag, so `Any` is what it is.
AttributeValue = Mapping[str, Any]
"""One attribute as DynamoDB writes it: ``{"S": "text"}``, ``{"N": "1"}``."""

Item = Mapping[str, AttributeValue]
"""Attributes by name."""


DEFAULT_CLAIM_PREFIX = "claims/"
"""What the keys of claimed bodies begin with, unless told otherwise."""

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"([A-Za-z0-9_-]{1,100}/){1,8}")


class ItemKey(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """The table key of an item: its identity everywhere in this package.

    Two items may carry the same ``MessageId`` under two aggregates; they never share a key. The parts are
    ``(name, type, value)`` in the order of the names, so that equal keys are equal values. A binary part
    holds base64 text, as Lambda writes it.

    >>> key = ItemKey.from_item({"PK": {"S": "AGGREGATE#1"}, "SK": {"S": "MESSAGE#a"}})
    >>> key.describe()
    'PK=AGGREGATE#1 SK=MESSAGE#a'
    """

    parts: tuple[tuple[str, str, str], ...]

    @classmethod
    def from_item(cls, keys: Item) -> "ItemKey":
        """Read a ``Keys`` map as a stream record or a request carries it.

        Raises:
            ValueError: an attribute is not one string, number or binary value.
        """
        parts = []
        for name in sorted(keys):
            value = keys[name]
            text = value.get("S")
            # Nearly every key is a plain string; whatever is not takes the careful way.
            if type(text) is str and len(value) == 1 and text.isascii():
                parts.append((name, "S", text))
            else:
                parts.append(_read_part(name, value))
        if not parts:
            raise ValueError("a key has at least one attribute")
        return cls(tuple(parts))

    def to_item(self) -> dict[str, dict[str, Any]]:
        """Write the key as AWS clients take it; a binary part becomes bytes."""
        return {
            name: {kind: base64.b64decode(value) if kind == "B" else value}
            for name, kind, value in self.parts
        }

    def describe(self) -> str:
        """Name the item in a log or an error."""
        return " ".join(f"{name}={value}" for name, _, value in self.parts)


def _read_part(name: str, value: AttributeValue) -> tuple[str, str, str]:
    if len(value) != 1:
        raise ValueError(f"key attribute {name} must carry exactly one type, not {len(value)}")
    ((kind, content),) = value.items()
    if kind == "B" and isinstance(content, bytes):
        content = base64.b64encode(content).decode("ascii")
    if kind not in ("S", "N", "B") or not isinstance(content, str):
        raise ValueError(f"key attribute {name} must be a string, a number or binary")
    if not _is_unicode(content):
        raise ValueError(f"key attribute {name} holds half a surrogate pair")
    return name, kind, content


def to_client_value(value: AttributeValue) -> dict[str, Any]:
    """Write an attribute of an event as AWS clients take it: they encode binary values themselves.

    >>> to_client_value({"B": "eA=="})
    {'B': b'x'}
    """
    content = value.get("B")
    return {**value, "B": base64.b64decode(content)} if isinstance(content, str) else dict(value)


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def is_bucket_name(text: str) -> bool:
    """Tell whether S3 would take the text as a bucket's name.

    >>> is_bucket_name("orders-claims"), is_bucket_name("Orders/claims")
    (True, False)
    """
    return _BUCKET.fullmatch(text) is not None and ".." not in text


def is_claim_prefix(text: str) -> bool:
    """Tell whether keys may begin with the text: parts of letters, digits, ``_`` and ``-``, each with ``/``.

    >>> is_claim_prefix("claims/"), is_claim_prefix(""), is_claim_prefix("claims")
    (True, False, False)
    """
    return _PREFIX.fullmatch(text) is not None

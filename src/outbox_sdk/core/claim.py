"""The claim check: a body that is too large to travel goes to S3, and a pointer to it travels instead.

The pointer is that of AWS's Extended Client Libraries for SQS and SNS, so that they can follow it. An object
is written once, before the transaction that writes its pointer; no other attempt has the same key. Its key
says which item it belongs to, and the digest of what is in it.
"""

from base64 import b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from outbox_sdk.core.envelope import PAYLOAD_SIZE
from outbox_sdk.core.errors import ConfigurationError, InvalidMessageError
from outbox_sdk.core.identifiers import DEFAULT_CLAIM_PREFIX, ItemKey, is_bucket_name, is_claim_prefix
from outbox_sdk.core.message import OutboxMessage
from outbox_sdk.core.pointer import MAX_KEY_BYTES, OBJECT_NAME, encode_pointer
from outbox_sdk.core.table import TableDesign
from outbox_sdk.core.text import find_text_fault, utf8_size

__all__ = [
    "BODIES",
    "DEFAULT_OVER_BYTES",
    "MAX_CLAIM_BYTES",
    "NOTES",
    "Claim",
    "ClaimCheck",
    "ClaimPlace",
    "claim_body",
]

DEFAULT_OVER_BYTES = 131_072
"""Half of what a topic takes by default, so that attributes and an envelope have room beside the body."""

MAX_CLAIM_BYTES = 268_435_456
"""A claimed body is held in memory as a whole, by whoever writes it and by whoever reads it."""

BODIES = "body/"
"""Where a table's bodies are, below the prefix and the table's name."""

NOTES = "gone/"
"""Where the notes are that a body's item was gone: one for one, and their keys of the same length."""


class ClaimPlace(msgspec.Struct, frozen=True):
    """Where the bodies of one table are. Two tables never share it, for it goes by the table's name.

    >>> ClaimPlace("orders-claims", "claims/", "outbox").bodies
    'claims/outbox/body/'
    """

    bucket: str
    prefix: str
    table_name: str

    @property
    def root(self) -> str:
        """What all keys of the table begin with."""
        return f"{self.prefix}{self.table_name}/"

    @property
    def bodies(self) -> str:
        """What the keys of its bodies begin with."""
        return self.root + BODIES

    @property
    def notes(self) -> str:
        """What the keys of the notes begin with."""
        return self.root + NOTES

    @property
    def swept(self) -> str:
        """The key of what a complete sweep leaves: when it was written, the last one ended."""
        return self.root + "swept"

    def encode_key(self, item_key: ItemKey, design: TableDesign, *, digest: str, nonce: str) -> str:
        """Give the key of a body: whose it is, what is in it, and which attempt wrote it.

        >>> place = ClaimPlace("orders-claims", "claims/", "outbox")
        >>> item_key = ItemKey.from_item({"PK": {"S": "AGGREGATE#7"}, "SK": {"S": "MESSAGE#m-1"}})
        >>> key = place.encode_key(item_key, TableDesign.ordered, digest="0" * 64, nonce="f" * 16)
        >>> key.removesuffix("0" * 64 + "-" + "f" * 16)
        'claims/outbox/body/AGGREGATE!237/MESSAGE!23m-1/'
        >>> place.decode_key(key, TableDesign.ordered) == item_key
        True
        """
        values = {name: value for name, _, value in item_key.parts}
        parts = [_escape(values[name]) for name in _key_names(design)]
        return self.bodies + "/".join([*parts, f"{digest}-{nonce}"])

    def decode_key(self, key: str, design: TableDesign) -> ItemKey | None:
        """Give the key of the item that a body belongs to; ``None`` where the object is not one of ours."""
        if not key.startswith(self.bodies):
            return None
        *parts, name = key.removeprefix(self.bodies).split("/")
        names = _key_names(design)
        if len(parts) != len(names) or OBJECT_NAME.fullmatch(name) is None:
            return None
        values = [_unescape(part) for part in parts]
        if None in values:
            return None
        return ItemKey.from_item({name: {"S": value} for name, value in zip(names, values, strict=True)})


def _key_names(design: TableDesign) -> tuple[str, ...]:
    return tuple(name for name in (design.partition_key, design.sort_key) if name is not None)


def _escape(text: str) -> str:
    """Write any text in the signs that no client of S3 changes: letters, digits, ``_``, ``-`` and ``!``."""
    return quote(text, safe="").replace(".", "%2E").replace("~", "%7E").replace("%", "!")


def _unescape(part: str) -> str | None:
    try:
        text = unquote(part.replace("!", "%"), errors="strict")
    except UnicodeDecodeError:
        return None
    # Only the one form that is written: two keys never say the same.
    return text if text and _escape(text) == part else None


class ClaimCheck(msgspec.Struct, frozen=True):
    """When a producer's bodies go to S3, and where to: those of more than ``over_bytes`` bytes in UTF-8.

    ``prefix`` comes before every key. Tables of one name in several Regions or accounts need prefixes or
    buckets of their own: what the sweeper of one does not find in its table, it takes for orphaned.

    Raises:
        ConfigurationError: a name that S3 would not take, or a size that is none.

    >>> ClaimCheck("orders-claims").over_bytes
    131072
    """

    bucket: str
    prefix: str = DEFAULT_CLAIM_PREFIX
    over_bytes: int = DEFAULT_OVER_BYTES

    def __post_init__(self) -> None:
        if not is_bucket_name(self.bucket):
            raise ConfigurationError("bucket", f"{self.bucket!r} is not the name of a bucket")
        if not is_claim_prefix(self.prefix):
            raise ConfigurationError(
                "prefix", f"{self.prefix!r} is not made of parts of letters, digits, _ and -, each with a /"
            )
        if not 0 <= self.over_bytes <= MAX_CLAIM_BYTES:
            raise ConfigurationError(
                "over_bytes", f"{self.over_bytes} is not between 0 and {MAX_CLAIM_BYTES} bytes"
            )


class Claim(msgspec.Struct, frozen=True):
    """A body on its way to S3; to be written before the transaction that writes the pointer to it."""

    bucket: str
    key: str
    body: bytes
    content_type: str

    def request(self) -> dict[str, Any]:
        """Write the arguments of ``PutObject``. S3 compares the digest with what has arrived."""
        digest = bytes.fromhex(self.key.rpartition("/")[2].partition("-")[0])
        return {
            "Bucket": self.bucket,
            "Key": self.key,
            "Body": self.body,
            "ContentType": self.content_type,
            "ChecksumSHA256": b64encode(digest).decode("ascii"),
        }

    def __repr__(self) -> str:
        """Leave the body out."""
        return f"Claim({self.bucket!r}, {self.key!r}, <{len(self.body)} bytes>)"


def claim_body(
    message: OutboxMessage, check: ClaimCheck, design: TableDesign, *, table_name: str, nonce: str
) -> tuple[OutboxMessage, Claim | None]:
    """Take the body out of a message that is too large to travel; give what is put in, and what to write.

    ``nonce`` is 16 hexadecimal digits that no other attempt has: a body is never written over, so that
    nobody can change or sweep what another attempt counts on.

    Raises:
        InvalidMessageError: the body has characters that do not travel, or is over 256 MiB; the ids make a
            key that S3 does not take; or a header has the name that is the pointer's.
    """
    if PAYLOAD_SIZE in message.headers:
        raise InvalidMessageError("headers", f"{PAYLOAD_SIZE} is the name of the claim check's own attribute")
    size = utf8_size(message.body)
    if size <= check.over_bytes:
        return message, None
    if fault := find_text_fault(message.body):
        raise InvalidMessageError("message", f"message {message.message_id} is refused: {fault}")
    if size > MAX_CLAIM_BYTES:
        raise InvalidMessageError(
            "message", f"message {message.message_id} has a body of {size} of {MAX_CLAIM_BYTES} bytes"
        )
    body = message.body.encode()
    place = ClaimPlace(check.bucket, check.prefix, table_name)
    key = place.encode_key(message.key, design, digest=sha256(body).hexdigest(), nonce=nonce)
    if len(key) > MAX_KEY_BYTES:
        raise InvalidMessageError(
            "aggregate_id" if design.keyed_by == "aggregate" else "message_id",
            f"message {message.message_id} makes an S3 key of {len(key)} of {MAX_KEY_BYTES} bytes; "
            "letters, digits, _ and - count one byte, other signs three for each of theirs",
        )
    claim = Claim(check.bucket, key, body, message.content_type or "text/plain; charset=utf-8")
    pointing = msgspec.structs.replace(
        message,
        body=encode_pointer(check.bucket, key),
        headers={**message.headers, PAYLOAD_SIZE: str(size)},
    )
    return pointing, claim

"""The pointer that travels in place of a claimed body, and what is checked of the body that it leads to."""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Literal

import msgspec

from outbox_sdk.core.envelope import PAYLOAD_SIZE
from outbox_sdk.core.errors import OutboxError
from outbox_sdk.core.identifiers import is_bucket_name

__all__ = [
    "MAX_KEY_BYTES",
    "OBJECT_NAME",
    "ClaimError",
    "ClaimFault",
    "Pointer",
    "check_body",
    "decode_data_reference",
    "decode_pointer",
    "encode_data_reference",
    "encode_pointer",
    "is_claimed",
]

MAX_KEY_BYTES = 1_024
"""S3's limit for the key of an object."""

OBJECT_NAME: re.Pattern[str] = re.compile(r"([0-9a-f]{64})-([0-9a-f]{16})")
"""How the key of every body ends: its SHA-256, and what sets the attempt apart that wrote it."""

_POINTER_CLASS = "software.amazon.payloadoffloading.PayloadS3Pointer"
_SIZE = re.compile(r"0|[1-9][0-9]{0,11}")
_REFERENCE = "s3://"

ClaimFault = Literal[
    "no-store", "pointer", "bucket", "too-large", "missing", "size", "digest", "text", "unavailable"
]
"""Why a claimed body was not written or read; see :class:`ClaimError`."""

_ADVICE: Mapping[ClaimFault, str] = {
    "no-store": "has to be read from S3: give the consumer a ClaimStore as `claims`",
    "pointer": "is no pointer that an outbox has written",
    "bucket": "is in a bucket that is not among those to read from: name it in `buckets` if it is yours",
    "too-large": "is larger than `max_bytes`",
    "missing": "is not in the bucket: it was swept, or deleted by somebody else",
    "size": "has another size than its pointer says",
    "digest": "has another content than its key says",
    "text": "is not UTF-8",
    "unavailable": "could not be reached",
}


class ClaimError(OutboxError):
    """A claimed body could not be written or read.

    ``reason`` is one of :data:`ClaimFault`; only ``unavailable`` may pass by itself, and then ``code`` is
    S3's. ``bucket`` and ``key`` are there where they are known. The text never quotes the body.

    >>> error = ClaimError("bucket", bucket="theirs", key="k")
    >>> error.reason, error.retryable
    ('bucket', False)
    """

    def __init__(
        self,
        reason: ClaimFault,
        *,
        bucket: str | None = None,
        key: str | None = None,
        code: str | None = None,
    ) -> None:
        place = "a claimed body" if bucket is None else f"the body {key!r} in bucket {bucket!r}"
        super().__init__(f"{place} {_ADVICE[reason]}{'' if code is None else f': {code}'}")
        self.reason: ClaimFault = reason
        self.bucket = bucket
        self.key = key
        self.code = code

    @property
    def retryable(self) -> bool:
        """Whether another attempt may succeed."""
        return self.reason == "unavailable"


class Pointer(msgspec.Struct, frozen=True):
    """Where a claimed body is, and what it must be: its size in bytes, and its SHA-256 in hexadecimal."""

    bucket: str
    key: str
    size: int
    digest: str


class _Where(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    bucket: str = msgspec.field(name="s3BucketName")
    key: str = msgspec.field(name="s3Key")


_decode = msgspec.json.Decoder(tuple[str, _Where])


def encode_pointer(bucket: str, key: str) -> str:
    """Write the body that travels instead, in the form of AWS's Extended Client Libraries.

    >>> encode_pointer("b", "k")
    '["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"b","s3Key":"k"}]'
    """
    return msgspec.json.encode((_POINTER_CLASS, _Where(bucket, key))).decode()


def is_claimed(attributes: Mapping[str, str]) -> bool:
    """Tell by a message's attributes, as plain text by name, whether its body is a pointer.

    >>> is_claimed({"MessageId": "m-1", "ExtendedPayloadSize": "300000"})
    True
    """
    return PAYLOAD_SIZE in attributes


def decode_pointer(body: str, attributes: Mapping[str, str]) -> Pointer:
    """Read the pointer in a body whose attributes say that it is one. Nothing but our own form is taken.

    Raises:
        ClaimError: ``pointer``.
    """
    try:
        name, where = _decode.decode(body)
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise ClaimError("pointer") from None  # the cause would quote the body
    found = OBJECT_NAME.fullmatch(where.key.rpartition("/")[2])
    size = _SIZE.fullmatch(attributes.get(PAYLOAD_SIZE, ""))
    if name != _POINTER_CLASS or found is None or size is None or not is_bucket_name(where.bucket):
        raise ClaimError("pointer")
    if len(where.key.encode()) > MAX_KEY_BYTES:
        raise ClaimError("pointer")
    return Pointer(where.bucket, where.key, int(size.group()), found.group(1))


def encode_data_reference(body: str, attributes: Mapping[str, str]) -> tuple[str, int] | None:
    """Write a pointer as a CloudEvent refers to data elsewhere: ``dataref``, and the size.

    ``None`` where the body is no pointer.

    >>> key = "claims/outbox/body/A/M/" + "0" * 64 + "-" + "f" * 16
    >>> reference = encode_data_reference(encode_pointer("orders", key), {"ExtendedPayloadSize": "300000"})
    >>> reference == ("s3://orders/" + key, 300000)
    True
    """
    try:
        pointer = decode_pointer(body, attributes)
    except ClaimError:
        return None
    return f"{_REFERENCE}{pointer.bucket}/{pointer.key}", pointer.size


def decode_data_reference(reference: str) -> str | None:
    """Give the pointer that a ``dataref`` of ours stands for; ``None`` where it refers to something else.

    >>> decode_data_reference("s3://b/k") == encode_pointer("b", "k")
    True
    """
    bucket, slash, key = reference.removeprefix(_REFERENCE).partition("/")
    if not reference.startswith(_REFERENCE) or not slash or not key:
        return None
    return encode_pointer(bucket, key)


def check_body(pointer: Pointer, body: bytes) -> str:
    """Give the text of a body that is what its pointer says.

    Raises:
        ClaimError: ``size``, ``digest`` or ``text``.
    """
    if len(body) != pointer.size:
        raise ClaimError("size", bucket=pointer.bucket, key=pointer.key)
    if sha256(body).hexdigest() != pointer.digest:
        raise ClaimError("digest", bucket=pointer.bucket, key=pointer.key)
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise ClaimError("text", bucket=pointer.bucket, key=pointer.key) from None

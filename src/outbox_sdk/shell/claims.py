"""Claimed bodies in S3: written before the transaction, read where a message has arrived."""
# ruff: noqa: N803 - arguments go by AWS's own names

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from outbox_sdk.core.claim import MAX_CLAIM_BYTES, Claim
from outbox_sdk.core.errors import ConfigurationError
from outbox_sdk.core.identifiers import is_bucket_name
from outbox_sdk.core.pointer import ClaimError, Pointer, check_body, decode_pointer, is_claimed
from outbox_sdk.shell.aws.errors import translate_error

__all__ = ["BodyReader", "BodyWriter", "ClaimStore", "PointedBody", "write_claims"]

_GONE = ("NoSuchKey", "404", "NotFound")


class BodyReader(Protocol):
    """What is asked of a client of S3 to read; aiobotocore's and aioboto3's have it."""

    async def get_object(self, *, Bucket: str, Key: str) -> Mapping[str, object]:
        """Read an object."""
        ...


class BodyWriter(Protocol):
    """What is asked of a client of S3 to write; aiobotocore's and aioboto3's have it."""

    async def put_object(
        self,
        *,
        Bucket: str,
        Key: str,
        Body: bytes,
        ContentType: str,
        ChecksumSHA256: str,
    ) -> object:
        """Write an object."""
        ...


class PointedBody(Protocol):
    """What has a body and headers, as a :class:`~outbox_sdk.Delivery` has."""

    @property
    def body(self) -> str:
        """The body as it travelled."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The message's own attributes, as text by name."""
        ...


class ClaimStore:
    """Reads the bodies that messages point to, from the buckets named here and from no other.

    ``s3`` is an aiobotocore client of yours, or an async function that gives one, for where none can be open
    yet: it is called each time that a body has to be read, on the loop on which it is read. Retries are as
    the client is configured. A body of more than ``max_bytes`` is refused before it is read. Whoever may
    write messages could otherwise make this consumer read any object that it may read, or fill its memory.

    >>> from outbox_sdk.testing import InMemoryBucket
    >>> store = ClaimStore(InMemoryBucket("orders-claims"), buckets=["orders-claims"])
    >>> asyncio.run(store.read("a body that is no pointer", {}))
    'a body that is no pointer'

    Raises:
        ConfigurationError: no bucket is named, or one by a name that S3 would not take.
    """

    def __init__(
        self,
        s3: BodyReader | Callable[[], Awaitable[BodyReader]],
        *,
        buckets: Collection[str],
        max_bytes: int = MAX_CLAIM_BYTES,
    ) -> None:
        if isinstance(buckets, str) or not buckets or not all(map(is_bucket_name, buckets)):
            raise ConfigurationError("buckets", f"{buckets!r} is not a list of names of buckets")
        self._s3 = s3
        self._buckets = frozenset(buckets)
        self._max_bytes = max_bytes

    async def fetch(self, delivery: PointedBody) -> str:
        """Give the body of a delivery: what it points to, or its own where it points to nothing.

        Raises:
            ClaimError: see :meth:`read`.
        """
        return await self.read(delivery.body, delivery.headers)

    async def read(self, body: str, attributes: Mapping[str, str]) -> str:
        """Give the body that was claimed; ``attributes`` are the message's, as plain text by name.

        The body is compared with the size and the SHA-256 that its pointer says.

        Raises:
            ClaimError: the pointer is none of ours or leads to a bucket that is not named here, the object is
                gone, too large or another, or S3 was not reached; the last alone is worth another attempt.
        """
        if not is_claimed(attributes):
            return body
        pointer = decode_pointer(body, attributes)
        if pointer.bucket not in self._buckets:
            raise ClaimError("bucket", bucket=pointer.bucket, key=pointer.key)
        if pointer.size > self._max_bytes:
            raise ClaimError("too-large", bucket=pointer.bucket, key=pointer.key)
        return check_body(pointer, await self._read(pointer))

    async def _read(self, pointer: Pointer) -> bytes:
        try:
            s3 = await self._s3() if callable(self._s3) else self._s3
            # Any: with the client's types, and without them, a stream is in it.
            answer: Any = await s3.get_object(Bucket=pointer.bucket, Key=pointer.key)
            async with answer["Body"] as stream:
                # Not read at all where it cannot be right: it may be of any size.
                if answer["ContentLength"] != pointer.size:
                    raise ClaimError("size", bucket=pointer.bucket, key=pointer.key)
                return bytes(await stream.read())
        except ClaimError:
            raise
        except Exception as error:
            raise _failed(error, pointer.bucket, pointer.key) from error


async def write_claims(s3: BodyWriter, claims: Sequence[Claim], *, max_concurrency: int = 8) -> None:
    """Write bodies side by side, at most ``max_concurrency`` at a time; all of them, or it raises.

    Not promised: that nothing was written where it raises. What was is swept later.

    Raises:
        ClaimError: ``unavailable``, with S3's code.
        ConfigurationError: ``max_concurrency`` is less than one.
    """
    if max_concurrency < 1:
        raise ConfigurationError("max_concurrency", f"{max_concurrency} is less than one at a time")
    slots = asyncio.Semaphore(max_concurrency)
    # Each answers with a value: one that raised would cancel the others in the middle.
    results = await asyncio.gather(*[_write(s3, claim, slots) for claim in claims])
    for error in results:
        if error is not None:
            raise error


async def _write(s3: BodyWriter, claim: Claim, slots: asyncio.Semaphore) -> ClaimError | None:
    async with slots:
        try:
            await s3.put_object(**claim.request())
        except Exception as error:
            failure = _failed(error, claim.bucket, claim.key)
            failure.__cause__ = error
            return failure
    return None


def _failed(error: Exception, bucket: str, key: str) -> ClaimError:
    code = translate_error(error).code
    if code in _GONE:
        return ClaimError("missing", bucket=bucket, key=key)
    return ClaimError("unavailable", bucket=bucket, key=key, code=code)

"""The double of S3: the calls that claimed bodies take, with the arguments of an aiobotocore client."""
# ruff: noqa: N803 - arguments go by AWS's own names

from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from time import time
from types import TracebackType
from typing import Any, NamedTuple

from outbox_sdk.shell.aws.errors import AwsError

__all__ = ["InMemoryBucket", "StoredObject"]


class StoredObject(NamedTuple):
    """An object: its bytes, and when it was written, in epoch seconds."""

    body: bytes
    written: float


class InMemoryBucket:
    """Buckets in memory, to be given where a client of S3 is asked for.

    ``objects`` holds what was written, by bucket and key. ``now`` gives epoch seconds.

    >>> import asyncio
    >>> bucket = InMemoryBucket("orders-claims")
    >>> asyncio.run(bucket.put_object(Bucket="orders-claims", Key="k", Body=b"text"))["ETag"]
    '"982d9e3eb996f559"'
    >>> bucket.objects["orders-claims", "k"].body
    b'text'
    """

    def __init__(self, *names: str, now: Callable[[], float] = time) -> None:
        self.objects: dict[tuple[str, str], StoredObject] = {}
        self._names = frozenset(names)
        self._now = now

    async def put_object(
        self,
        *,
        Bucket: str,
        Key: str,
        Body: bytes = b"",
        ContentType: str = "binary/octet-stream",
        ChecksumSHA256: str | None = None,
        ServerSideEncryption: str | None = None,
    ) -> Mapping[str, Any]:
        """Write an object, over one that is there."""
        self._check(Bucket)
        digest = sha256(Body)
        if ChecksumSHA256 is not None and b64decode(ChecksumSHA256) != digest.digest():
            raise AwsError("BadDigest", 400)
        self.objects[Bucket, Key] = StoredObject(bytes(Body), self._now())
        return {"ETag": f'"{digest.hexdigest()[:16]}"'}

    async def get_object(self, *, Bucket: str, Key: str) -> Mapping[str, Any]:
        """Read an object."""
        self._check(Bucket)
        found = self.objects.get((Bucket, Key))
        if found is None:
            raise AwsError("NoSuchKey", 404)
        return {"Body": _Stream(found.body), "ContentLength": len(found.body)}

    async def list_objects_v2(
        self,
        *,
        Bucket: str,
        Prefix: str = "",
        MaxKeys: int = 1_000,
        ContinuationToken: str | None = None,
    ) -> Mapping[str, Any]:
        """List keys in the order of their bytes; a token is the last key of the page before."""
        self._check(Bucket)
        keys = sorted(
            (key for bucket, key in self.objects if bucket == Bucket and key.startswith(Prefix)),
            key=str.encode,
        )
        if ContinuationToken is not None:
            keys = [key for key in keys if key.encode() > ContinuationToken.encode()]
        page = keys[: min(MaxKeys, 1_000)]
        contents = [
            {"Key": key, "LastModified": datetime.fromtimestamp(self.objects[Bucket, key].written, UTC)}
            for key in page
        ]
        more = len(page) < len(keys)
        return {
            "IsTruncated": more,
            **({"Contents": contents} if contents else {}),
            **({"NextContinuationToken": page[-1]} if more else {}),
        }

    async def delete_objects(self, *, Bucket: str, Delete: Mapping[str, Any]) -> Mapping[str, Any]:
        """Delete up to a thousand objects; one that is not there counts as deleted."""
        self._check(Bucket)
        if not 0 < len(Delete["Objects"]) <= 1_000:
            raise AwsError("MalformedXML", 400)
        for each in Delete["Objects"]:
            self.objects.pop((Bucket, each["Key"]), None)
        return {}

    def _check(self, bucket: str) -> None:
        if bucket not in self._names:
            raise AwsError("NoSuchBucket", 404)


class _Stream:
    """A body as it is read: once, in a context."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read(self) -> bytes:
        """Give all of it."""
        return self._body

    async def __aenter__(self) -> "_Stream":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

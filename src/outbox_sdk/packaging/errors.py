"""The error of the package's builder."""

from outbox_sdk.core.errors import OutboxError

__all__ = ["PackageError"]


class PackageError(OutboxError):
    """A Lambda package cannot be made on this machine; the text says what is missing."""

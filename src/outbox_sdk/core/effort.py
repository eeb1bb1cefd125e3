"""What a batch cost and what it met on the way, counted."""

import msgspec

__all__ = ["Effort"]


class Effort(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of one batch; all 0 but the requests where nothing was out of the ordinary.

    ``throttled`` counts answers that asked for less, ``size_miscounts`` requests that SNS found longer than
    they were counted here. ``memo_hits`` are messages that a warm process knew to be out already, and
    ``published_from_image`` those whose item was missing. ``gone`` counts marks that found their item
    deleted or marked already. ``message_id_collisions`` counts message ids that two items of the batch share.
    """

    publish_requests: int = 0
    mark_requests: int = 0
    lookup_requests: int = 0
    park_writes: int = 0
    retries: int = 0
    throttled: int = 0
    size_miscounts: int = 0
    memo_hits: int = 0
    published_from_image: int = 0
    gone: int = 0
    message_id_collisions: int = 0

    def plus(self, **more: int) -> "Effort":
        """Add to some of the counts.

        >>> Effort(retries=1).plus(retries=2, gone=1).counted()
        {'retries': 3, 'gone': 1}
        """
        return msgspec.structs.replace(
            self, **{name: getattr(self, name) + count for name, count in more.items()}
        )

    def counted(self) -> dict[str, int]:
        """Give the counts that are not 0, by name."""
        return {name: count for name, count in msgspec.structs.asdict(self).items() if count}

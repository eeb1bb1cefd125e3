"""The order in which the shards of a stream may be read: parents to their end before their children."""

from collections.abc import Collection, Iterable

import msgspec

__all__ = ["Shard", "readable_shards"]


class Shard(msgspec.Struct, frozen=True):
    """A shard of the stream and the one it came from."""

    shard_id: str
    parent_id: str | None = None


def readable_shards(
    shards: Iterable[Shard], *, finished: Collection[str], reading: Collection[str]
) -> tuple[Shard, ...]:
    """List the shards to begin now.

    A parent that is no longer listed has been trimmed and holds nobody up.

    >>> parent, child = Shard("a"), Shard("b", parent_id="a")
    >>> [shard.shard_id for shard in readable_shards([child, parent], finished=(), reading=())]
    ['a']
    >>> [shard.shard_id for shard in readable_shards([child, parent], finished={"a"}, reading=())]
    ['b']
    """
    shards = tuple(shards)
    listed = {shard.shard_id for shard in shards}
    return tuple(
        shard
        for shard in shards
        if shard.shard_id not in finished
        and shard.shard_id not in reading
        and (shard.parent_id not in listed or shard.parent_id in finished)
    )

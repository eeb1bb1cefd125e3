"""The user's cache: what appears there is whole, and made once however many processes ask."""

import fcntl
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

__all__ = ["cache_directory", "published"]


def cache_directory() -> Path:
    """Return where things are kept between runs, and make it."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    directory = Path(base) / "dynamodb-outbox-sdk"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def published(target: Path, fill: Callable[[Path], None]) -> Path:
    """Return the directory ``target``, having filled it first if it does not exist yet.

    It appears whole or not at all, and of several processes that ask at once one does the work.
    """
    if target.exists():
        return target
    with target.with_name(f"{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            with tempfile.TemporaryDirectory(prefix="unfinished-", dir=target.parent) as unfinished:
                content = Path(unfinished) / "content"
                content.mkdir()
                fill(content)
                content.rename(target)
    return target

"""Finds the Lambda package of a platform: carried by the wheel, kept in the user's cache, or built there."""

import logging
from pathlib import Path

from outbox_sdk.core.function import DEFAULT_RUNTIME, Architecture, package_name
from outbox_sdk.packaging.build import build_package
from outbox_sdk.packaging.cache import cache_directory, published
from outbox_sdk.packaging.errors import PackageError
from outbox_sdk.packaging.interpreters import find_interpreter
from outbox_sdk.packaging.manifest import make_manifest, read_manifest

__all__ = ["find_carried_package", "find_package"]

_log = logging.getLogger("outbox_sdk")


def find_carried_package(architecture: Architecture) -> Path | None:
    """Give the path of the zip that a release carries; a checkout has none. Nothing is built."""
    carried = Path(__file__).with_name(package_name(architecture))
    return carried if carried.is_file() else None


def find_package(architecture: Architecture, *, runtime: str = DEFAULT_RUNTIME) -> Path:
    """Give the path of the zip for a platform and a runtime; do not change that file.

    A release carries the zips of the default runtime. Otherwise the first call builds one in a few seconds,
    with uv and from the network, and later ones find it in the cache (``$XDG_CACHE_HOME`` or ``~/.cache``),
    until the sources or the lock file change. Where no interpreter of the runtime's version is there, it is
    built without byte-code: it works the same, and starts about a third of a second later.

    Raises:
        PackageError: it has to be built, and uv is missing, failed, or the cache cannot be written.
    """
    version = runtime.removeprefix("python")
    compiled = make_manifest(architecture, runtime=runtime, compiled_by=version)
    carried = find_carried_package(architecture)
    # The key: a carried one that is for another runtime, or older than the sources beside it, is no match.
    if carried is not None and read_manifest(carried).key == compiled.key:
        return carried
    try:
        folder = cache_directory()
        byte_code = (folder / f"package-{compiled.key}").exists() or find_interpreter(version) is not None
        wanted = compiled if byte_code else make_manifest(architecture, runtime=runtime)

        def fill(content: Path) -> None:
            if not byte_code:
                fields = {"runtime": runtime, "missing": f"Python {version}"}
                _log.warning("package_without_byte_code", extra=fields)
            build_package(architecture, content, runtime=runtime, byte_code=byte_code)

        return published(folder / f"package-{wanted.key}", fill) / package_name(architecture)
    except OSError as error:
        raise PackageError(f"the cache cannot be written ({error}): set XDG_CACHE_HOME") from error

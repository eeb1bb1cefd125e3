"""Gets the zip of the functions for this machine, and unpacks it as Lambda does."""

import platform
import sys
import zipfile
from pathlib import Path

from outbox_sdk.core.function import Architecture
from tests.support.unavailable import ServerUnavailable

__all__ = ["host_architecture", "unpack_package"]

_ARCHITECTURES: dict[str, Architecture] = {"aarch64": "arm64", "x86_64": "x86_64"}


def host_architecture() -> Architecture:
    """Name this machine as Lambda does. Raises ServerUnavailable where Lambda's runtime does not run."""
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _ARCHITECTURES:
        raise ServerUnavailable(
            f"Lambda's runtime is for Linux on x86_64 or aarch64, not {sys.platform} {machine}"
        )
    return _ARCHITECTURES[machine]


def unpack_package(directory: Path, *, without: str | None = None) -> Path:
    """Unpack the zip into ``directory``, leaving out one top-level package if told to.

    The zip is the one that is deployed, built first where there is none. Raises ServerUnavailable.
    """
    with zipfile.ZipFile(_find_package()) as package:
        names = [name for name in package.namelist() if without is None or name.split("/")[0] != without]
        package.extractall(directory, names)
    return directory


def _find_package() -> Path:
    # Only tests that need the package wait for its builder, and for what that one needs.
    from outbox_sdk.packaging import PackageError, find_package

    try:
        return find_package(host_architecture())
    except PackageError as error:
        raise ServerUnavailable(str(error)) from error

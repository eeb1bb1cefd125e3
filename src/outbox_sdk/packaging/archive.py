"""A zip whose bytes follow from its content alone: order, times and modes are fixed."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

from outbox_sdk.core.function import Architecture
from outbox_sdk.packaging.errors import PackageError
from outbox_sdk.packaging.shared_objects import elf_architecture

__all__ = ["write_archive"]

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can name
_UNIX = 3
_FILE = 0o100644
_LIBRARY = 0o100755


def write_archive(path: Path, files: Mapping[str, bytes], architecture: Architecture) -> None:
    """Write the zip. Raises PackageError for a shared object of another platform."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            is_library = name.endswith(".so")
            if is_library and elf_architecture(files[name]) != architecture:
                raise PackageError(f"{name} is not for {architecture}")
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = _UNIX
            entry.external_attr = (_LIBRARY if is_library else _FILE) << 16
            archive.writestr(entry, files[name])

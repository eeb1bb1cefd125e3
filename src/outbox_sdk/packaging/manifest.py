"""What a package says about itself, and the key by which one that is there is known to be the right one."""

import hashlib
import json
import zipfile
from pathlib import Path

import msgspec

from outbox_sdk.core.function import DEFAULT_RUNTIME, RUNTIMES, Architecture
from outbox_sdk.packaging.contents import LOCK_FILE, own_files
from outbox_sdk.packaging.errors import PackageError

__all__ = ["MANIFEST_NAME", "Manifest", "make_manifest", "read_manifest"]

MANIFEST_NAME: str = "outbox_sdk/package.json"


class Manifest(msgspec.Struct, frozen=True):
    """What was built. ``compiled_by`` is the interpreter's full version; empty without byte-code."""

    architecture: Architecture
    runtime: str
    key: str
    compiled_by: str = ""

    def encode(self) -> bytes:
        """Give the file's content."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def make_manifest(
    architecture: Architecture, *, runtime: str = DEFAULT_RUNTIME, compiled_by: str = ""
) -> Manifest:
    """Describe the package that these sources, this lock file and this builder make.

    The key tells with byte-code from without, and one version of Python from another, but not its patches.

    Raises:
        PackageError: nothing is built for such a runtime.
    """
    if runtime not in RUNTIMES:
        raise PackageError(f"packages are built for {', '.join(RUNTIMES)}, not for {runtime!r}")
    builder = {path.name: path.read_bytes() for path in Path(__file__).parent.glob("*.py")}
    inputs = {**own_files(), **builder, LOCK_FILE.name: LOCK_FILE.read_bytes()}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in inputs.items()}
    key = json.dumps([architecture, runtime, bool(compiled_by), digests], sort_keys=True)
    return Manifest(architecture, runtime, hashlib.sha256(key.encode()).hexdigest(), compiled_by)


def read_manifest(package: Path) -> Manifest:
    """Read what a package says about itself."""
    with zipfile.ZipFile(package) as archive:
        return msgspec.json.decode(archive.read(MANIFEST_NAME), type=Manifest)

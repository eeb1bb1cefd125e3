"""Builds the Lambda package of a platform: the same bytes each time from the same files and interpreter."""

import tempfile
from pathlib import Path

from outbox_sdk.core.function import DEFAULT_RUNTIME, Architecture, package_name
from outbox_sdk.packaging.archive import write_archive
from outbox_sdk.packaging.bytecode import with_byte_code
from outbox_sdk.packaging.contents import LOCK_FILE, own_files, select_files
from outbox_sdk.packaging.errors import PackageError
from outbox_sdk.packaging.install import install_requirements
from outbox_sdk.packaging.interpreters import find_interpreter, version_of
from outbox_sdk.packaging.manifest import MANIFEST_NAME, make_manifest

__all__ = ["build_package"]


def build_package(
    architecture: Architecture,
    folder: Path,
    *,
    runtime: str = DEFAULT_RUNTIME,
    byte_code: bool = True,
) -> Path:
    """Build the zip of a platform into a folder, and replace the one that is there.

    Without ``byte_code`` no interpreter of the runtime's version is needed, and every cold start compiles.

    Raises:
        PackageError: uv or the interpreter is missing, or the dependencies could not be installed.
    """
    interpreter = _interpreter_for(runtime) if byte_code else None
    compiled_by = "" if interpreter is None else version_of(interpreter) or ""
    manifest = make_manifest(architecture, runtime=runtime, compiled_by=compiled_by)
    with tempfile.TemporaryDirectory(prefix="outbox-package-") as site:
        install_requirements(LOCK_FILE, Path(site), architecture=architecture, runtime=runtime)
        files = {**select_files(Path(site)), **own_files(), MANIFEST_NAME: manifest.encode()}
    if interpreter is not None:
        files = with_byte_code(files, interpreter)
    folder.mkdir(parents=True, exist_ok=True)
    package = folder / package_name(architecture)
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=folder) as unfinished:
        path = Path(unfinished) / package.name
        write_archive(path, files, architecture)
        path.replace(package)
    return package


def _interpreter_for(runtime: str) -> Path:
    version = runtime.removeprefix("python")
    interpreter = find_interpreter(version)
    if interpreter is None:
        raise PackageError(
            f"byte-code for {runtime} is made by Python {version}, and none was found on the search path "
            "or among pyenv's versions: install it, or choose the runtime of one that is there"
        )
    return interpreter

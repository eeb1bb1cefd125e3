"""Byte-code for the package, made by an interpreter of the runtime's own version.

This project's own modules keep their sources beside it, so that a traceback shows the lines. Those of the
dependencies do not: with them the package would be half as large again.
"""

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from outbox_sdk.packaging.errors import PackageError

__all__ = ["compile_files", "with_byte_code"]

# Where Lambda unpacks the package: what a traceback names.
_ROOT = "/var/task"
_KEPT_SOURCES = "outbox_sdk/"


def with_byte_code(files: Mapping[str, bytes], interpreter: Path) -> dict[str, bytes]:
    """Give the files of a package with the byte-code in it, under names that the import system finds."""
    sources = {name: content for name, content in files.items() if name.endswith(".py")}
    result = {
        name: content
        for name, content in files.items()
        if name not in sources or name.startswith(_KEPT_SOURCES)
    }
    for name, content in compile_files(sources, interpreter).items():
        path = PurePosixPath(name)
        # Without its source, a module's byte-code is looked for where the source would be.
        sourceless = path.parent.parent / f"{path.name.partition('.')[0]}.pyc"
        result[name if name.startswith(_KEPT_SOURCES) else str(sourceless)] = content
    return result


def compile_files(sources: Mapping[str, bytes], interpreter: Path) -> dict[str, bytes]:
    """Compile Python files; give the byte-code by the names under which it is looked for beside sources.

    It is never compared with the sources, so no time of a file matters. One process and one order for all,
    without random hashing: the same sources give the same bytes.
    """
    with tempfile.TemporaryDirectory(prefix="outbox-package-") as folder:
        root = Path(folder).resolve()
        for name, content in sources.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        command = [
            str(interpreter), "-s", "-S", "-m", "compileall", "-q", "-f", "-r", "100",
            "--invalidation-mode", "unchecked-hash", "-s", str(root), "-p", _ROOT, str(root),
        ]  # fmt: skip
        answer = subprocess.run(  # noqa: S603 - an interpreter that the machine has
            command, check=False, capture_output=True, text=True, env={"PYTHONHASHSEED": "0"}
        )
        if answer.returncode != 0:
            raise PackageError(f"{interpreter} could not compile the package: {answer.stdout[-800:]}")
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*.pyc"))}

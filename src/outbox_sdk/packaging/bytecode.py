"""Byte-code for the package, made by an interpreter of the runtime's own version.

This project's own modules keep their sources beside it, so that a traceback shows the lines. Those of the
dependencies do not: with them the package would be half as large again. Without its source nobody sees the
columns of a line, so these are not kept either, and neither are docstrings. Together that is a third of what
the byte-code takes; a traceback still names file, line and function.
"""

import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from outbox_sdk.packaging.errors import PackageError

__all__ = ["with_byte_code"]

# Where Lambda unpacks the package: what a traceback names.
_ROOT = "/var/task"
_KEPT_SOURCES = "outbox_sdk/"
_LEAN_COMPILER = Path(__file__).with_name("compile_lean.py")


def with_byte_code(files: Mapping[str, bytes], interpreter: Path) -> dict[str, bytes]:
    """Give the files of a package with the byte-code in it, under names that the import system finds.

    It is never compared with the sources, so no time of a file matters. One process and one order for what
    is compiled alike, without random hashing: the same sources give the same bytes.

    Raises:
        PackageError: a module could not be compiled.
    """
    sources = {name: content for name, content in files.items() if name.endswith(".py")}
    own = {name: content for name, content in sources.items() if name.startswith(_KEPT_SOURCES)}
    lean = {name: content for name, content in sources.items() if name not in own}
    return {
        **{name: content for name, content in files.items() if name not in lean},
        **_compile(own, interpreter, _beside_sources),
        **_compile(lean, interpreter, _instead_of_sources),
    }


def _beside_sources(folder: str) -> list[str]:
    return [
        "-m", "compileall", "-q", "-f", "-r", "100",
        "--invalidation-mode", "unchecked-hash", "-s", folder, "-p", _ROOT, folder,
    ]  # fmt: skip


def _instead_of_sources(folder: str) -> list[str]:
    # Without `-P` the script would import this package's modules in place of the standard library's.
    return ["-P", "-X", "no_debug_ranges", str(_LEAN_COMPILER), folder, _ROOT]


def _compile(
    sources: Mapping[str, bytes], interpreter: Path, arguments: Callable[[str], list[str]]
) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory(prefix="outbox-package-") as folder:
        root = Path(folder).resolve()
        for name, content in sources.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        command = [str(interpreter), "-s", "-S", *arguments(str(root))]
        answer = subprocess.run(  # noqa: S603 - an interpreter that the machine has
            command, check=False, capture_output=True, text=True, env={"PYTHONHASHSEED": "0"}
        )
        if answer.returncode != 0:
            told = (answer.stdout + answer.stderr)[-800:]
            raise PackageError(f"{interpreter} could not compile the package: {told}")
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*.pyc"))}

"""The search for an interpreter of a version, on the search path and where pyenv keeps them.

Only the standard library in here: the noxfile uses it too, before anything is installed.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["find_interpreter", "running_version", "version_of"]


def find_interpreter(version: str) -> Path | None:
    """Find an interpreter of a version, such as ``3.13``, that starts and is a final release."""
    for path in _candidates(version):
        full = version_of(path)
        if full is not None and full.rpartition(".")[0] == version:
            return path
    return None


def version_of(interpreter: Path) -> str | None:
    """Give the version of a final release, such as ``3.13.0``; a pyenv shim may exist and refuse to start."""
    if not interpreter.is_file():
        return None
    code = "import sys; print('%d.%d.%d' % sys.version_info[:3], sys.version_info.releaselevel)"
    answer = subprocess.run([interpreter, "-I", "-c", code], capture_output=True, text=True, check=False)  # noqa: S603 - an interpreter that the machine has
    words = answer.stdout.split()
    return words[0] if answer.returncode == 0 and words[1:] == ["final"] else None


def running_version() -> str:
    """Name the version of the interpreter that runs this, as ``3.11``."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _candidates(version: str) -> Iterator[Path]:
    """Give where it may be: the search path, the installation that runs this, pyenv."""
    name = f"python{version}"
    for folder in os.get_exec_path():
        yield Path(folder, name)
    if version == running_version():
        yield Path(sys.base_prefix, "bin", name)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/{version}*/bin/{name}"), reverse=True)

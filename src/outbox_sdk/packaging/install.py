"""The dependencies of another platform, brought by uv: wheels only, each checked against its hash."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from outbox_sdk.core.function import Architecture
from outbox_sdk.packaging.errors import PackageError

__all__ = ["find_uv", "install_requirements"]

_MACHINES: dict[Architecture, str] = {"arm64": "aarch64", "x86_64": "x86_64"}
_TIMEOUT_SECONDS = 600.0


def find_uv() -> str:
    """Find uv: the one installed beside this package, else the one on the search path.

    Raises:
        PackageError: there is none.
    """
    try:
        from uv import find_uv_bin

        return find_uv_bin()
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if found is None:
        raise PackageError(
            "uv is needed to make the Lambda package and was not found: "
            'run `pip install uv`, or install "dynamodb-outbox-sdk[local]"'
        )
    return found


def install_requirements(lock: Path, target: Path, *, architecture: Architecture, runtime: str) -> None:
    """Install what a lock file names into a folder, for a runtime and a platform of Lambda.

    Raises:
        PackageError: there is no uv, or it failed; the text ends with what it said.
    """
    # uv links files from its cache where it can, which is fast and safe: they are only read.
    command = [
        find_uv(), "pip", "install", "--quiet", "--no-progress", "--no-deps", "--require-hashes",
        "--only-binary=:all:", "--no-compile-bytecode",
        f"--target={target}", f"--python={sys.executable}",
        f"--python-platform={_platform(architecture, runtime)}",
        f"--python-version={runtime.removeprefix('python')}",
        "-r", str(lock),
    ]  # fmt: skip
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    try:
        subprocess.run(  # noqa: S603 - no argument comes from outside
            command, check=True, capture_output=True, text=True, env=environment, timeout=_TIMEOUT_SECONDS
        )
    except subprocess.CalledProcessError as error:
        raise PackageError(f"uv could not install the dependencies: {error.stderr.strip()[-800:]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PackageError(f"uv could not install the dependencies: {error}") from error


def _platform(architecture: Architecture, runtime: str) -> str:
    """Name the oldest C library that wheels may ask for: 2.26 is on Amazon Linux 2, 2.34 on 2023."""
    glibc = "2_17" if runtime == "python3.11" else "2_28"
    return f"{_MACHINES[architecture]}-manylinux_{glibc}"

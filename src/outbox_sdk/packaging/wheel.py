"""Builds the project's wheel with the Lambda packages inside, from a copy of the checkout.

Hatchling takes the zips as artifacts. They are put into a copy, so that no checkout ever holds a stale one.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from outbox_sdk.packaging.errors import PackageError

__all__ = ["build_wheel"]

_NEEDED = ("LICENSE", "README.md", "pyproject.toml", "src")


def build_wheel(checkout: Path, folder: Path, packages: Iterable[Path]) -> Path:
    """Build the wheel of a checkout into a folder, carrying these zips.

    Raises:
        PackageError: hatchling is not installed, or it failed.
    """
    with tempfile.TemporaryDirectory(prefix="outbox-wheel-") as scratch:
        copy = Path(scratch)
        for name in _NEEDED:
            source = checkout / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.zip"))
            else:
                shutil.copy(source, copy / name)
        for package in packages:
            shutil.copy(package, copy / "src" / "outbox_sdk" / "packaging")
        built = copy / "built"
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(built)]
        answer = subprocess.run(command, cwd=copy, check=False, capture_output=True, text=True)  # noqa: S603 - no argument comes from outside
        if answer.returncode != 0:
            raise PackageError(f"hatchling could not build the wheel: {answer.stderr.strip()[-800:]}")
        (wheel,) = built.glob("*.whl")
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(wheel, folder))

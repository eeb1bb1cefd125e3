"""Finds or downloads the parts of AWS's own runtime: an interpreter, awslambdaric and the emulator."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from outbox_sdk.core.function import DEFAULT_RUNTIME
from outbox_sdk.packaging.cache import cache_directory, published
from outbox_sdk.packaging.interpreters import find_interpreter
from tests.support.installer import install_wheels
from tests.support.lambda_package import host_architecture
from tests.support.unavailable import ServerUnavailable

__all__ = ["RuntimeParts", "cached_by_lock", "emulator_binary", "lock_of", "runtime_parts"]

_REQUIREMENTS = Path(__file__).parents[2] / "requirements"


@dataclass(frozen=True, slots=True)
class RuntimeParts:
    """What runs a function: the interpreter of the runtime, and the directory that holds awslambdaric."""

    python: Path
    client_directory: Path


def runtime_parts() -> RuntimeParts:
    """Find the interpreter, and install awslambdaric into the cache. Raises ServerUnavailable."""
    host_architecture()
    version = DEFAULT_RUNTIME.removeprefix("python")
    python = find_interpreter(version)
    if python is None:
        raise ServerUnavailable(f"the functions run on Python {version}, and this machine has none")

    def install(directory: Path) -> None:
        lock = str(lock_of("lambda-runtime"))
        install_wheels(directory, "--no-deps", "--require-hashes", "-r", lock, python=str(python))

    return RuntimeParts(python, cached_by_lock("lambda-runtime", install, suffix=f"-python-{version}"))


def emulator_binary() -> Path:
    """Give AWS's Runtime Interface Emulator, which comes in the wheel of its SAM CLI.

    Raises ServerUnavailable.
    """
    binary = f"aws-lambda-rie-{host_architecture()}"

    def extract(directory: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="unfinished-", dir=directory.parent) as wheel:
            # Without its forty dependencies: nothing of the SAM CLI itself is run.
            install_wheels(
                Path(wheel), "--no-deps", "--require-hashes", "-r", str(lock_of("lambda-emulator"))
            )
            target = shutil.copy(Path(wheel, "samcli", "local", "rapid", binary), directory / binary)
        Path(target).chmod(0o755)

    return cached_by_lock("lambda-emulator", extract, suffix=f"-{host_architecture()}") / binary


def lock_of(name: str) -> Path:
    """Give the lock file of a group."""
    return _REQUIREMENTS / f"{name}.txt"


def cached_by_lock(name: str, fill: Callable[[Path], None], *, suffix: str) -> Path:
    """Keep one directory for each content of the lock file."""
    digest = sha256(lock_of(name).read_bytes()).hexdigest()[:16]
    return published(cache_directory() / f"{name}-{digest}{suffix}", fill)

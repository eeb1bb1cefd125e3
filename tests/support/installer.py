"""Installs packages from the Python package index into a directory, with pip or uv, for any interpreter."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tests.support.unavailable import ServerUnavailable

__all__ = ["install_wheels", "run_or_unavailable"]

_TIMEOUT_SECONDS = 280.0


def install_wheels(directory: Path, *what: str, python: str = sys.executable) -> None:
    """Install into ``directory`` the wheels that ``python`` takes; ``what`` as the installer's arguments.

    Raises ServerUnavailable.
    """
    if find_spec("pip") is not None:
        pip = [sys.executable, "-m", "pip", "--python", python, "install"]
        installer = [*pip, "--quiet", "--disable-pip-version-check", "--no-compile"]
    elif uv := shutil.which("uv"):
        installer = [uv, "pip", "install", "--quiet", "--python", python]
    else:
        raise ServerUnavailable(f"{' '.join(what)} is needed and there is neither pip nor uv to install it")
    run_or_unavailable([*installer, "--only-binary", ":all:", "--target", str(directory), *what])


def run_or_unavailable(command: Sequence[str]) -> None:
    """Run a command that fetches or makes a part of a server. Raises ServerUnavailable with what it said."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS)
    except subprocess.CalledProcessError as error:
        raise ServerUnavailable(f"{Path(command[0]).name} failed: {error.stderr.strip()[-500:]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServerUnavailable(f"{Path(command[0]).name} failed: {error}") from error

"""The packages that the tests look into, built once for all processes of a run."""

import os
import platform
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from outbox_sdk.core.function import ARCHITECTURES, DEFAULT_RUNTIME, Architecture, package_name
from outbox_sdk.packaging import build_package
from outbox_sdk.packaging.cache import published
from outbox_sdk.packaging.interpreters import find_interpreter, running_version

MACHINES: dict[str, Architecture] = {"aarch64": "arm64", "x86_64": "x86_64"}


@pytest.fixture(scope="session")
def runtime() -> str:
    """The runtime that functions run on, or where there is no such interpreter, that of the tests' own."""
    if find_interpreter(DEFAULT_RUNTIME.removeprefix("python")) is not None:
        return DEFAULT_RUNTIME
    return f"python{running_version()}"


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory, runtime: str) -> Mapping[Architecture, Path]:
    """The zip of each platform; do not write to them."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def fill(folder: Path) -> None:
        for architecture in ARCHITECTURES:
            build_package(architecture, folder, runtime=runtime)

    folder = published(shared / "lambda-packages", fill)
    return {architecture: folder / package_name(architecture) for architecture in ARCHITECTURES}


@pytest.fixture(scope="module")
def task(packages: Mapping[Architecture, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of this machine's platform, unpacked as Lambda does it."""
    architecture = MACHINES.get(platform.machine())
    if sys.platform != "linux" or architecture is None:
        pytest.skip("the shared objects in the package are for Linux, on arm64 or x86_64")
    folder = tmp_path_factory.mktemp("var") / "task"
    with zipfile.ZipFile(packages[architecture]) as archive:
        archive.extractall(folder)
    return folder

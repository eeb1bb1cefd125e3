"""The wheel carries the zips, and whoever installs it needs neither uv nor the network for them."""

import json
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from outbox_sdk.core.function import DEFAULT_RUNTIME, Architecture, package_name
from outbox_sdk.packaging.wheel import build_wheel
from tests.support.documents import ROOT

pytestmark = pytest.mark.once

FIND = """
import json, sys
from outbox_sdk.packaging import find_package
from outbox_sdk.packaging.errors import PackageError
found = [str(find_package(name)) for name in ("arm64", "x86_64")]
try:
    found.append(str(find_package("arm64", runtime="python3.12")))
except PackageError as error:
    found.append(str(error))
print(json.dumps(found))
"""


def test_an_install_of_the_wheel_finds_the_zips_that_it_carries(
    packages: Mapping[Architecture, Path], runtime: str, tmp_path: Path
) -> None:
    if runtime != DEFAULT_RUNTIME:
        pytest.skip(f"no interpreter for {DEFAULT_RUNTIME} here, and the wheel carries no other runtime's")
    wheel = build_wheel(ROOT, tmp_path / "dist", packages.values())
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    # The path of this environment comes last and without its .pth files: only for msgspec.
    answer = subprocess.run(
        [sys.executable, "-S", "-c", FIND],
        env={
            "HOME": str(tmp_path / "home"),
            "PATH": "/nowhere",
            "PYTHONPATH": f"{installed}:{without_uv(tmp_path)}:{sysconfig.get_path('platlib')}",
        },
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    arm64, x86_64, other = json.loads(answer.stdout)

    folder = installed / "outbox_sdk" / "packaging"
    assert (Path(arm64), Path(x86_64)) == (folder / package_name("arm64"), folder / package_name("x86_64"))
    assert Path(arm64).read_bytes() == packages["arm64"].read_bytes()
    assert "pip install uv" in other  # another runtime's would have to be built
    assert (folder / "requirements.txt").is_file()


def without_uv(folder: Path) -> Path:
    """Hide the uv of this environment: a module of that name in front, which cannot be imported."""
    hidden = folder / "hidden"
    hidden.mkdir()
    (hidden / "uv.py").write_text("raise ImportError")
    return hidden


def test_a_checkout_holds_no_zip() -> None:
    assert list((ROOT / "src").rglob("*.zip")) == []

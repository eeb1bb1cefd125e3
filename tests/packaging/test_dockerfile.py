"""The Dockerfile makes the same zips: what it says is compared with the code, and its command is run."""

import fnmatch
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import pytest

from outbox_sdk.core.function import DEFAULT_RUNTIME, Architecture, package_name
from outbox_sdk.packaging.__main__ import main
from tests.support.documents import ROOT

DOCKERFILE = (ROOT / "Dockerfile.package").read_text()
INSTRUCTIONS = re.findall(r"^([A-Z]+) (.+)$", DOCKERFILE, re.MULTILINE)


def of_kind(name: str) -> list[str]:
    return [rest for kind, rest in INSTRUCTIONS if kind == name]


def test_byte_code_is_made_by_the_version_of_the_runtime() -> None:
    assert f"python:{DEFAULT_RUNTIME.removeprefix('python')}-slim" in of_kind("FROM")[0]


def test_the_last_stage_has_the_package_and_no_more() -> None:
    assert of_kind("FROM")[-1] == "scratch AS package"
    assert INSTRUCTIONS[-1] == ("COPY", "--from=build /dist/ /")


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    admitted = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    sources = [word for line in of_kind("COPY")[:-1] for word in line.split()[:-1]]

    assert len(sources) == 5
    assert set(sources) == admitted
    assert all((ROOT / source).exists() for source in sources)
    assert any(fnmatch.fnmatch("src/outbox_sdk/packaging/x.zip", line) for line in ignored)


def test_installs_are_locked() -> None:
    installs = [line for line in of_kind("RUN") if "pip install" in line]

    assert all("--require-hashes" in line or "--no-deps" in line for line in installs)
    assert len(installs) == 2


@pytest.mark.once
def test_its_command_makes_the_same_zip(
    packages: Mapping[Architecture, Path], runtime: str, tmp_path: Path
) -> None:
    if runtime != DEFAULT_RUNTIME:
        pytest.skip(f"no interpreter for {DEFAULT_RUNTIME} here")
    words = shlex.split(of_kind("RUN")[-1].replace("$TARGETARCH", "amd64").replace("/dist", str(tmp_path)))
    assert words[:3] == ["python", "-m", "outbox_sdk.packaging"]

    assert main(words[3:]) == 0

    assert (tmp_path / package_name("x86_64")).read_bytes() == packages["x86_64"].read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "outbox_sdk_lambda_x86_64.cdx.json",
        "outbox_sdk_lambda_x86_64.zip",
    ]


@pytest.mark.parametrize(
    "arguments", [["--architecture=riscv64"], ["--runtime=python3.9"], ["--wheel=.", "--architecture=arm64"]]
)
def test_what_the_command_does_not_know_is_refused(tmp_path: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main([f"--out={tmp_path}", *arguments])

    assert raised.value.code == 2
    assert list(tmp_path.iterdir()) == []

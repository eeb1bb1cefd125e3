"""Building a release twice, and looking at what came out."""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable, Mapping
from configparser import ConfigParser
from pathlib import Path

from outbox_sdk.core.function import ARCHITECTURES, package_name
from tools.release.agreement import git

__all__ = [
    "build",
    "compare",
    "digests",
    "export",
    "find_sbom_problems",
    "find_wheel_problems",
    "try_wheel",
    "unpack",
]

# Runs where the wheel and its dependencies are installed; whoever asks for the network fails.
_SMOKE = """
import importlib.metadata, sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise OSError(f"the network is off: {event}")

sys.addaudithook(refuse)
import outbox_sdk
from outbox_sdk.packaging import find_carried_package

assert [name for name in outbox_sdk.__all__ if not hasattr(outbox_sdk, name)] == []
assert all(find_carried_package(name) for name in ("arm64", "x86_64"))
distribution = importlib.metadata.distribution("dynamodb-outbox-sdk")
(command,) = distribution.entry_points.select(group="console_scripts")
sys.argv = [command.name, "--version"]
command.load()()
"""


def export(root: Path, folder: Path) -> Path:
    """Copy what is committed, and nothing else, into a folder."""
    archive = folder.with_suffix(".tar")
    git(root, "archive", f"--output={archive}", "HEAD")
    return unpack(archive, folder)


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack an archive; give the folder with pyproject.toml."""
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    (found,) = [*folder.glob("pyproject.toml"), *folder.glob("*/pyproject.toml")]
    return found.parent


def build(tree: Path, folder: Path, *, commit_time: str) -> list[Path]:
    """Build wheel, sdist, the functions' packages and their bills of materials, by the tree's own code."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(tree / "src"),
        "SOURCE_DATE_EPOCH": commit_time,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    package = ["outbox_sdk.packaging", f"--out={folder}", "--sbom", f"--wheel={tree}"]
    for module in (package, ["hatchling", "build", "--target=sdist", f"--directory={folder}"]):
        subprocess.run([sys.executable, "-m", *module], cwd=tree, env=environment, check=True)
    return sorted(path for path in folder.iterdir() if path.is_file())


def digests(paths: Iterable[Path]) -> dict[str, str]:
    """Give the SHA-256 of files by their names."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(paths)}


def compare(first: Mapping[str, str], second: Mapping[str, str]) -> list[str]:
    """Say which files two builds do not have alike.

    >>> compare({"a.whl": "12", "b.zip": "34"}, {"a.whl": "12", "b.zip": "56"})
    ['b.zip is not the same when it is built again']
    """
    names = sorted({*first, *second})
    return [
        f"{name} is not the same when it is built again"
        for name in names
        if first.get(name) != second.get(name)
    ]


def find_wheel_problems(wheel: Path, tree: Path) -> list[str]:
    """Compare a wheel with the tree it was built from: all modules and data, both zips, and nothing else."""
    project = tomllib.loads((tree / "pyproject.toml").read_text())["project"]
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (info,) = {name.partition("/")[0] for name in names if ".dist-info/" in name}
        entry_points = ConfigParser()
        entry_points.read_string(archive.read(f"{info}/entry_points.txt").decode())
        carried = [f"outbox_sdk/packaging/{package_name(architecture)}" for architecture in ARCHITECTURES]
        listed = _files_below(tree / "src")
        wanted = {*listed, *carried}
        found = [f"{name} is missing" for name in sorted(wanted - names)]
        found += [
            f"{name} does not belong there" for name in sorted(names - wanted) if not name.startswith(info)
        ]
        found += [
            f"{name} differs from the tree"
            for name in sorted(names & listed)
            if archive.read(name) != (tree / "src" / name).read_bytes()
        ]
    given = {name: dict(entry_points[name]) for name in entry_points.sections()}
    groups = {"console_scripts": project.get("scripts", {}), **project.get("entry-points", {})}
    if given != groups:
        found.append(f"entry points are {given}, and not {groups}")
    if "outbox_sdk/py.typed" not in names:
        found.append("outbox_sdk/py.typed is missing: type checkers would not look into it")
    if f"-{project['version']}-" not in wheel.name:
        found.append(f"{wheel.name} is not of version {project['version']}")
    return found


def _files_below(source: Path) -> set[str]:
    """List what is below a folder of sources, without what Python leaves there."""
    paths = [path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {path.relative_to(source).as_posix() for path in paths}


def find_sbom_problems(folder: Path, wheel: Path) -> list[str]:
    """Compare the bills of materials with the packages that the wheel carries."""
    found = []
    for architecture in ARCHITECTURES:
        name = package_name(architecture)
        with zipfile.ZipFile(wheel) as archive:
            carried = hashlib.sha256(archive.read(f"outbox_sdk/packaging/{name}")).hexdigest()
        document = json.loads((folder / name).with_suffix(".cdx.json").read_text())
        if document["metadata"]["component"]["hashes"][0]["content"] != carried:
            found.append(f"the bill of materials of {name} is that of another file than the wheel carries")
    return found


def try_wheel(wheel: Path, lock: Path, folder: Path) -> str:
    """Install a wheel into a fresh environment and run it there without a network; give the version it says.

    Its dependencies are installed before, from the lock file.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", f"--python={python}"]
    subprocess.run([*install, "--require-hashes", "-r", str(lock)], check=True)
    subprocess.run([*install, "--offline", "--no-index", "--no-deps", str(wheel)], check=True)
    environment = {"HOME": str(folder), "PATH": "/nowhere"}
    command = [str(python), "-I", "-c", _SMOKE]
    answer = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    if answer.returncode != 0:
        raise RuntimeError(f"the wheel does not work where it is installed: {answer.stderr.strip()[-800:]}")
    script = [str(folder / "bin" / "outbox"), "--version"]
    said = subprocess.run(script, cwd=folder, env=environment, check=True, capture_output=True, text=True)
    if said.stdout != answer.stdout:
        raise RuntimeError(f"the command says {said.stdout!r}, and its entry point {answer.stdout!r}")
    return answer.stdout.strip()

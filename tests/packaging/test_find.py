"""Where a package is taken from, and what is said when there is none and none can be made."""

import hashlib
import logging
import sys
import threading
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from outbox_sdk import OutboxError
from outbox_sdk.core.function import DEFAULT_RUNTIME, Architecture, package_name
from outbox_sdk.packaging import PackageError, build_package, find_package
from outbox_sdk.packaging import build as build_module
from outbox_sdk.packaging import contents as contents_module
from outbox_sdk.packaging import find as find_module
from outbox_sdk.packaging import manifest as manifest_module
from outbox_sdk.packaging.archive import write_archive
from outbox_sdk.packaging.cache import published
from outbox_sdk.packaging.install import find_uv, install_requirements
from outbox_sdk.packaging.interpreters import find_interpreter, running_version, version_of
from outbox_sdk.packaging.manifest import MANIFEST_NAME, make_manifest
from tests.support.documents import ROOT, execute_page


class Builder:
    """Stands for the builder; ``built`` has what it was asked for."""

    def __init__(self) -> None:
        self.built: list[tuple[str, str, bool]] = []

    def __call__(
        self, architecture: Architecture, folder: Path, *, runtime: str, byte_code: bool = True
    ) -> Path:
        self.built.append((architecture, runtime, byte_code))
        return write_package(folder, architecture, runtime, compiled_by="3.x" if byte_code else "")


def write_package(folder: Path, architecture: Architecture, runtime: str, *, compiled_by: str) -> Path:
    path = folder / package_name(architecture)
    manifest = make_manifest(architecture, runtime=runtime, compiled_by=compiled_by)
    write_archive(path, {MANIFEST_NAME: manifest.encode()}, architecture)
    return path


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Builder:
    """A cache and a place for carried zips of their own, and an interpreter for every runtime."""
    stand_in = Builder()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(find_module, "__file__", str(tmp_path / "carried" / "find.py"))
    monkeypatch.setattr(find_module, "build_package", stand_in)
    monkeypatch.setattr(find_module, "find_interpreter", lambda version: Path(f"/python{version}"))
    (tmp_path / "carried").mkdir()
    return stand_in


def test_what_the_wheel_carries_is_taken_as_it_is(builder: Builder, tmp_path: Path) -> None:
    carried = write_package(tmp_path / "carried", "arm64", DEFAULT_RUNTIME, compiled_by="3.13.9")

    assert find_package("arm64") == carried
    assert not (tmp_path / "cache").exists()
    assert builder.built == []


@pytest.mark.parametrize("runtime", ["python3.11", "python3.12", "python3.14"])
def test_for_another_runtime_one_is_built(builder: Builder, tmp_path: Path, runtime: str) -> None:
    write_package(tmp_path / "carried", "arm64", DEFAULT_RUNTIME, compiled_by="3.13.9")

    found = find_package("arm64", runtime=runtime)

    assert found.is_relative_to(tmp_path / "cache")
    assert builder.built == [("arm64", runtime, True)]


def test_a_carried_one_that_is_not_of_these_sources_is_passed_over(
    builder: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_package(tmp_path / "carried", "arm64", DEFAULT_RUNTIME, compiled_by="3.13.9")
    changed = {**contents_module.own_files(), "outbox_sdk/__init__.py": b"# edited"}
    monkeypatch.setattr(manifest_module, "own_files", lambda: changed)

    assert find_package("arm64").is_relative_to(tmp_path / "cache")
    assert len(builder.built) == 1


@pytest.mark.once
def test_built_once_it_is_found_again(builder: Builder, tmp_path: Path) -> None:
    first, second, other = find_package("arm64"), find_package("arm64"), find_package("x86_64")

    assert first == second != other
    assert (first.name, other.name) == (package_name("arm64"), package_name("x86_64"))
    assert builder.built == [("arm64", DEFAULT_RUNTIME, True), ("x86_64", DEFAULT_RUNTIME, True)]


@pytest.mark.once
def test_a_change_of_the_lock_file_makes_another(
    builder: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = find_package("arm64")
    lock = tmp_path / "requirements.txt"
    lock.write_text("msgspec==0.1\n")
    monkeypatch.setattr(manifest_module, "LOCK_FILE", lock)

    assert find_package("arm64") != first
    assert len(builder.built) == 2


@pytest.mark.once
def test_without_the_interpreter_it_is_built_without_byte_code_and_said_once(
    builder: Builder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(find_module, "find_interpreter", lambda _: None)
    with caplog.at_level(logging.WARNING, "outbox_sdk"):
        plain = find_package("arm64")
        assert find_package("arm64") == plain
    assert builder.built == [("arm64", DEFAULT_RUNTIME, False)]
    assert [record.message for record in caplog.records] == ["package_without_byte_code"]

    monkeypatch.setattr(find_module, "find_interpreter", lambda _: Path("/python"))
    assert find_package("arm64") != plain  # once there is an interpreter, the better one is built


def test_the_pages_find_a_package(builder: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = execute_page(ROOT / "docs" / "how-to" / "package.md").namespace["path"]
    execute_page(ROOT / "docs" / "how-to" / "terraform.md")

    assert builder.built == [("arm64", DEFAULT_RUNTIME, True)]
    assert (tmp_path / "outbox_sdk_lambda_arm64.zip").read_bytes() == found.read_bytes()


def test_a_cache_that_cannot_be_written_is_named(builder: Builder, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")

    with pytest.raises(PackageError, match="XDG_CACHE_HOME"):
        find_package("arm64")


def test_nothing_is_built_for_a_runtime_that_lambda_does_not_have(builder: Builder, tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"python3\.11, .* not for 'python3\.9'"):
        find_package("arm64", runtime="python3.9")
    with pytest.raises(PackageError, match=r"'python3\.9'"):
        build_package("arm64", tmp_path, runtime="python3.9", byte_code=False)


def test_the_builder_refuses_without_the_interpreter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build_module, "find_interpreter", lambda _: None)

    with pytest.raises(PackageError, match=r"Python 3\.12, and none was found"):
        build_package("arm64", tmp_path, runtime="python3.12")


def test_without_uv_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(PackageError, match="pip install uv"):
        find_uv()
    assert issubclass(PackageError, OutboxError)


def test_uv_on_the_search_path_will_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    binary = tmp_path / "uv"
    binary.write_text("#!/bin/sh\necho 'no such wheel' >&2\nexit 3\n")
    binary.chmod(0o755)

    assert find_uv() == str(binary)
    with pytest.raises(PackageError, match="no such wheel"):
        install_requirements(tmp_path / "lock", tmp_path, architecture="arm64", runtime="python3.13")


@pytest.mark.parametrize(
    ("runtime", "architecture", "platform"),
    [
        ("python3.11", "arm64", "aarch64-manylinux_2_17"),
        ("python3.11", "x86_64", "x86_64-manylinux_2_17"),
        ("python3.12", "arm64", "aarch64-manylinux_2_28"),
        ("python3.13", "x86_64", "x86_64-manylinux_2_28"),
    ],
)
def test_wheels_fit_the_c_library_of_the_runtime(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, runtime: str, architecture: Architecture, platform: str
) -> None:
    stand_in = ModuleType("uv")
    stand_in.find_uv_bin = lambda: str(tmp_path / "uv")  # type: ignore[attr-defined]  # uv's only name
    monkeypatch.setitem(sys.modules, "uv", stand_in)
    (tmp_path / "uv").write_text('#!/bin/sh\necho "$@" >&2\nexit 3\n')
    (tmp_path / "uv").chmod(0o755)

    with pytest.raises(PackageError) as raised:
        install_requirements(tmp_path / "lock", tmp_path, architecture=architecture, runtime=runtime)

    words = str(raised.value).split()
    assert f"--python-platform={platform}" in words
    assert f"--python-version={runtime.removeprefix('python')}" in words
    assert {"--require-hashes", "--no-deps", "--only-binary=:all:"} <= set(words)


def test_a_shared_object_of_another_platform_is_refused(tmp_path: Path) -> None:
    foreign = b"\x7fELF\x02\x01" + bytes(12) + (183).to_bytes(2, "little") + bytes(44)

    with pytest.raises(PackageError, match="x86_64"):
        write_archive(tmp_path / "p.zip", {"a.so": foreign}, "x86_64")
    write_archive(tmp_path / "p.zip", {"a.so": foreign}, "arm64")


def test_of_many_that_ask_at_once_one_does_the_work(tmp_path: Path) -> None:
    target, calls, found = tmp_path / "target", [], []

    def fill(folder: Path) -> None:
        calls.append(folder)
        (folder / "part").write_text("whole")

    threads = [threading.Thread(target=lambda: found.append(published(target, fill))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(calls) == 1
    assert [(path / "part").read_text() for path in found] == ["whole"] * 8


def test_what_fails_halfway_leaves_nothing(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "part").write_text("half")
        raise PackageError("uv failed")

    with pytest.raises(PackageError):
        published(tmp_path / "target", fill)

    assert not (tmp_path / "target").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["target.lock"]


def test_the_interpreter_that_runs_this_is_found() -> None:
    found = find_interpreter(running_version())

    assert found is not None
    assert str(version_of(found)).startswith(f"{running_version()}.")
    assert find_interpreter("3.99") is None


@pytest.mark.parametrize("answer", ["exit 1", "echo 3.13.0 candidate", "echo 3.1.0 final"])
def test_what_refuses_to_start_or_is_no_final_release_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: str
) -> None:
    shim = tmp_path / "python3.13"
    shim.write_text(f"#!/bin/sh\n{answer}\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "none"))
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path / "none"))

    assert find_interpreter("3.13") is None


def test_the_same_content_in_another_order_is_the_same_zip(tmp_path: Path) -> None:
    files = {"b.py": b"1", "a/c.py": b"2", "a.py": b"3"}
    digests = set()
    for names in (list(files), list(reversed(files))):
        write_archive(tmp_path / "p.zip", {name: files[name] for name in names}, "arm64")
        digests.add(hashlib.sha256((tmp_path / "p.zip").read_bytes()).hexdigest())

    assert len(digests) == 1
    with zipfile.ZipFile(tmp_path / "p.zip") as archive:
        assert archive.namelist() == sorted(files)

"""A release stops where something does not agree, and knows a wheel that is not what it should be."""

import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from outbox_sdk.core.function import ARCHITECTURES, package_name
from tests.support.documents import ROOT
from tools.release.agreement import State, find_disagreements
from tools.release.artifacts import compare, find_sbom_problems, find_wheel_problems
from tools.release.provenance import build_statement, write_sums

GOOD = State(
    version="1.2.0",
    changelog="## [Unreleased]\n\n## [1.2.0] - 2026-11-28\n\n- A thing.\n\n## [1.1.0] - 2026-01-01\n",
    changed_files=(),
    tags=("v1.1.0", "v1.2.0"),
    tags_here=("v1.2.0",),
    previous="v1.1.0",
    breaks=(),
)


def test_a_release_where_all_agrees_has_nothing_to_say() -> None:
    assert find_disagreements(GOOD) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"changed_files": ["README.md"]}, "README.md is not committed"),
        ({"tags": ["v1.1.0"], "tags_here": []}, 'git tag --sign v1.2.0 --message "1.2.0"'),
        ({"tags_here": []}, "the tag v1.2.0 is at another commit"),
        ({"version": "1.3.0"}, "the first version in CHANGELOG.md is not 1.3.0"),
        (
            {"changelog": GOOD.changelog.replace("[Unreleased]", "[Unreleased]\n\n- More.")},
            "move them under [1.2.0]",
        ),
        ({"changelog": "## [1.2.0]\n"}, "has no date for [1.2.0]"),
        ({"breaks": ["Outbox.put: gone"]}, "v1.1.0 promised, and 1.2.0 does not say so: Outbox.put: gone"),
    ],
)
def test_what_does_not_agree_is_told_with_what_to_do(change: dict[str, Any], problem: str) -> None:
    assert any(problem in found for found in find_disagreements(replace(GOOD, **change)))


@pytest.mark.parametrize(
    ("previous", "version", "may"),
    [
        ("v1.9.0", "2.0.0", True),
        ("v1.1.0", "1.2.0", False),
        ("v0.1.0", "0.2.0", True),
        ("v0.1.0", "0.1.1", False),
    ],
)
def test_only_a_version_that_may_break_does(previous: str, version: str, may: bool) -> None:
    state = replace(GOOD, previous=previous, version=version, breaks=["x"])

    assert any("promised" in found for found in find_disagreements(state)) is not may


def test_a_file_that_is_not_the_same_again_is_named() -> None:
    assert compare({"a": "1", "b": "2"}, {"a": "1", "c": "2"}) == [
        "b is not the same when it is built again",
        "c is not the same when it is built again",
    ]


def make_release(folder: Path, **changed: str | None) -> tuple[Path, Path]:
    """Make a tree and a wheel of it, in which a file is changed, or left out with `None`."""
    tree = folder / "tree"
    sources = {"outbox_sdk/__init__.py": "", "outbox_sdk/py.typed": ""}
    for name, text in sources.items():
        (tree / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / "src" / name).write_text(text)
    (tree / "pyproject.toml").write_text(
        '[project]\nversion = "1.2.0"\nscripts.outbox = "outbox_sdk.cli:main"\n'
    )
    zips = {f"outbox_sdk/packaging/{package_name(each)}": "zip" for each in ARCHITECTURES}
    scripts = {"x-1.2.0.dist-info/entry_points.txt": "[console_scripts]\noutbox = outbox_sdk.cli:main\n"}
    wheel = folder / "x-1.2.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        contents: dict[str, str | None] = {**sources, **zips, **scripts, **changed}
        for name, content in contents.items():
            if content is not None:
                archive.writestr(name, content)
    return wheel, tree


def test_a_wheel_that_is_its_tree_and_both_zips_is_fine(tmp_path: Path) -> None:
    assert find_wheel_problems(*make_release(tmp_path)) == []


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("tests/test_x.py", "", "tests/test_x.py does not belong there"),
        ("outbox_sdk/py.typed", None, "type checkers would not look into it"),
        ("outbox_sdk/__init__.py", "other", "outbox_sdk/__init__.py differs from the tree"),
        (f"outbox_sdk/packaging/{package_name('arm64')}", None, "_arm64.zip is missing"),
        ("x-1.2.0.dist-info/entry_points.txt", "[console_scripts]\n", "entry points are"),
    ],
)
def test_a_wheel_that_is_something_else_is_told(
    tmp_path: Path, name: str, text: str | None, problem: str
) -> None:
    assert any(problem in found for found in find_wheel_problems(*make_release(tmp_path, **{name: text})))


def test_a_bill_of_materials_of_another_zip_is_told(tmp_path: Path) -> None:
    wheel, _ = make_release(tmp_path)
    component = {"hashes": [{"content": "of another"}]}
    for each in ARCHITECTURES:
        path = (tmp_path / package_name(each)).with_suffix(".cdx.json")
        path.write_text(json.dumps({"metadata": {"component": component}}))

    assert len(find_sbom_problems(tmp_path, wheel)) == len(ARCHITECTURES)


def test_what_is_signed_names_every_file_by_its_digest(tmp_path: Path) -> None:
    files = {"a.whl": "12" * 32, "b.tar.gz": "34" * 32}
    statement = build_statement(files, commit="ab", tag="v1.2.0", locks={"lock": "56"}, builder="urn:x")

    assert {each["name"]: each["digest"]["sha256"] for each in statement["subject"]} == files
    assert write_sums(tmp_path, files).read_text() == f"{'12' * 32}  a.whl\n{'34' * 32}  b.tar.gz\n"


def test_the_page_names_the_commands_that_are_left() -> None:
    page = (ROOT / "docs" / "how-to" / "release.md").read_text()
    left = (ROOT / "tools" / "release" / "__main__.py").read_text()

    for command in ("git push origin v", "python -m pypi_attestations sign ", "twine upload --attestations "):
        assert command in page
        assert command in left
    assert re.search(r"nox -s release$", page, re.MULTILINE)

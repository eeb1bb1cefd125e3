"""What users may rely on is written down: it changes when somebody writes it anew, and not by accident."""

import re
from pathlib import Path

import pytest

from tests.support.documents import ROOT
from tools.public_api import PUBLIC_MODULES, SNAPSHOT, load_package, render_api

IMPORT = re.compile(
    r"^(?:>>> )?\s*(?:from (outbox_sdk[\w.]*) import|import (outbox_sdk[\w.]*))", re.MULTILINE
)

MODULE = """
from dataclasses import dataclass
from typing import Literal, overload

__all__ = ["Kind", "Thing", "find"]

Kind = Literal["one", "other"]

class _Base:
    def inherited(self, depth: int) -> None: ...

class Thing(_Base):
    def __init__(self, name: str, *, size: int = 3) -> None:
        self.name = name

@overload
def find(thing: Thing, /) -> Found: ...
@overload
def find(thing: str, /, *, deep: bool) -> Found: ...
def find(thing, /, *, deep=False): ...

@dataclass(frozen=True)
class Found:
    first: int
    second: str | None = None
"""


def render(folder: Path, source: str) -> str:
    package = folder / "outbox_sdk"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").write_text(source)
    return render_api(load_package(folder), ["outbox_sdk"])


def test_the_snapshot_is_what_the_code_says() -> None:
    written, found = (
        SNAPSHOT.read_text(encoding="utf-8").splitlines(),
        render_api(load_package()).splitlines(),
    )

    gone, new = sorted(set(written) - set(found)), sorted(set(found) - set(written))
    assert written == found, (
        f"gone: {gone}, new: {new}. If users are to have that, run `nox -s api`, and say it in CHANGELOG.md."
    )


def test_the_pages_import_from_public_modules_only() -> None:
    """Whoever follows a page relies on what it imports: `PUBLIC_MODULES` of tools/public_api.py lists it.

    One page shows the inside, and says that this is no interface.
    """
    pages = {ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")}
    inside = ROOT / "docs" / "explanation" / "functional-core.md"
    assert "no interface" in inside.read_text(encoding="utf-8")
    found = [pair for page in pages - {inside} for pair in IMPORT.findall(page.read_text(encoding="utf-8"))]
    imported = {module for pair in found for module in pair if module}

    assert "outbox_sdk.testing" in imported
    assert imported - set(PUBLIC_MODULES) == set()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (('"other"]', '"third"]'), "Kind = Literal['one', 'third']"),
        (("(_Base)", ""), "class Thing"),
        (("depth: int", "depth: str"), "def inherited(depth: str) -> None"),
        (("name: str", "name: bytes"), "name: bytes"),
        (("size: int = 3", "size: int = 4"), "def __init__(name: str, *, size: int = 4) -> None"),
        (("deep: bool) -> Found", "deep: int) -> Found"), "def find(thing: str, /, *, deep: int) -> Found"),
        (("frozen=True", "frozen=False"), "@dataclass(frozen=False)"),
        (("first: int\n", "first: float\n"), "first: float"),
        (("second: str | None = None", "second: str | None"), "second: str | None"),
    ],
)  # fmt: skip
def test_a_change_that_a_user_can_notice_is_seen(tmp_path: Path, change: tuple[str, str], line: str) -> None:
    before = render(tmp_path, MODULE)
    after = render(tmp_path, MODULE.replace(*change, 1))

    assert after != before
    assert line in [each.strip().removeprefix("@overload ") for each in after.splitlines()]


def test_what_is_private_may_change(tmp_path: Path) -> None:
    body = MODULE.replace("self.name = name", "self.name = name; self._size = size")
    assert render(tmp_path, body + "\ndef _helper(): ...\nclass Unseen: ...\n") == render(tmp_path, MODULE)

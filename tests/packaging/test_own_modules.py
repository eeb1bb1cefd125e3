"""Which modules a package gets is found by what they import, and by nothing that somebody keeps by hand."""

from pathlib import Path

import pytest

from outbox_sdk.packaging.own_modules import find_reachable

SOURCES = {
    "app/__init__.py": (
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import app.types\nelse:\n    import app.real"
    ),
    "app/entry.py": "import os\nfrom app import direct\n\ndef late():\n    from app.inner.deep import name",
    "app/direct.py": "import other\ntry:\n    import app.tried\nexcept ImportError:\n    pass",
    "app/tried.py": "import app.entry  # a circle",
    "app/inner/__init__.py": "",
    "app/inner/deep.py": "name = 1",
    "app/inner/unused.py": "",
    "app/types.py": "",
    "app/real.py": "",
    "other.py": "",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, source in SOURCES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return tmp_path


def test_imports_are_followed_wherever_they_stand_but_for_those_of_type_checkers(root: Path) -> None:
    found = {path.relative_to(root).as_posix() for path in find_reachable(root / "app", ["app.entry"])}

    assert found == set(SOURCES) - {"app/inner/unused.py", "app/types.py", "other.py"}


@pytest.mark.parametrize("source", ["from . import direct", "def late():\n    from .inner import deep"])
def test_a_relative_name_is_refused_and_not_passed_over(root: Path, source: str) -> None:
    (root / "app" / "tried.py").write_text(source)

    with pytest.raises(LookupError, match="relative"):
        find_reachable(root / "app", ["app.entry"])


def test_an_entry_that_is_not_there_is_named(root: Path) -> None:
    with pytest.raises(LookupError, match=r"app\.gone"):
        find_reachable(root / "app", ["app.gone"])

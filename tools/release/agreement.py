"""What must agree before anything is built: tree, version, tag, changelog and interface."""

import re
import subprocess
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.version import InvalidVersion, Version

from tools.public_api import breaking_changes

__all__ = ["State", "find_disagreements", "git", "read_state"]

_HEADING = re.compile(r"^## \[([^\]]+)\](.*)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class State:
    """A checkout, as values. ``breaks`` is what breaks since ``previous``, the tag below the version."""

    version: str
    changelog: str
    changed_files: Sequence[str]
    tags: Sequence[str]
    tags_here: Sequence[str]
    previous: str | None
    breaks: Sequence[str]


def find_disagreements(state: State) -> list[str]:
    """Say what has to be put right before a release, a sentence each; nothing where all agrees.

    >>> state = State(version="1.1.0", changelog="## [1.1.0] - 2026-11-28", changed_files=[], tags=["v1.0.0"],
    ...     tags_here=[], previous="v1.0.0", breaks=[])
    >>> find_disagreements(state)
    ['there is no tag v1.1.0: git tag --sign v1.1.0 --message "1.1.0"']
    """
    tag = f"v{state.version}"
    found = [f"{name} is not committed" for name in state.changed_files]
    found += _changelog(state)
    if tag not in state.tags:
        found.append(f'there is no tag {tag}: git tag --sign {tag} --message "{state.version}"')
    elif tag not in state.tags_here:
        found.append(f"the tag {tag} is at another commit; a version is released once, so take the next one")
    if state.breaks and state.previous is not None and not _may_break(state.previous, state.version):
        found.append(
            f"{len(state.breaks)} changes break what {state.previous} promised, and {state.version} does not "
            f"say so: {state.breaks[0]} (all: nox -s api -- --against {state.previous})"
        )
    return found


def _changelog(state: State) -> list[str]:
    parts = _HEADING.split(state.changelog)
    sections = list(zip(parts[1::3], parts[2::3], parts[3::3], strict=True))
    found = []
    if sections and sections[0][0] == "Unreleased" and sections.pop(0)[2].strip():
        found.append(f"CHANGELOG.md has changes under [Unreleased]; move them under [{state.version}]")
    if not sections or sections[0][0] != state.version:
        found.append(f"the first version in CHANGELOG.md is not {state.version}, which pyproject.toml has")
    elif re.fullmatch(r" - \d{4}-\d\d-\d\d", sections[0][1]) is None:
        found.append(f"CHANGELOG.md has no date for [{state.version}]: ## [{state.version}] - YYYY-MM-DD")
    return found


def _may_break(previous: str, version: str) -> bool:
    """Tell whether Semantic Versioning lets a version break the one before: a major one, or 0.x."""
    before, now = Version(previous), Version(version)
    return (now.major, now.minor if now.major == 0 else 0) > (
        before.major,
        before.minor if now.major == 0 else 0,
    )


def read_state(root: Path) -> State:
    """Look at a checkout."""
    version = str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])
    tags = git(root, "tag", "--list", "v*").split()
    below = [tag for tag in tags if _is_version(tag) and Version(tag) < Version(version)]
    previous = max(below, key=Version, default=None)
    return State(
        version=version,
        changelog=(root / "CHANGELOG.md").read_text(encoding="utf-8"),
        changed_files=[line[3:] for line in git(root, "status", "--porcelain").splitlines()],
        tags=tags,
        tags_here=git(root, "tag", "--points-at", "HEAD").split(),
        previous=previous,
        breaks=breaking_changes(previous) if previous is not None else (),
    )


def _is_version(tag: str) -> bool:
    try:
        Version(tag)
    except InvalidVersion:
        return False
    return True


def git(root: Path, *arguments: str) -> str:
    """Ask git; give what it says."""
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.rstrip("\n")

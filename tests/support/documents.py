"""The project's documents as tests read them: code blocks, and the README executed."""

import re
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "code_blocks", "page_namespace", "readme_namespace"]

ROOT = Path(__file__).parents[2]


def code_blocks(path: Path, language: str) -> list[list[str]]:
    """Give the fenced blocks of one language, as lines without comments of the shell's kind."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)
    return [[line.removeprefix("$ ") for line in block.splitlines() if line.strip()] for block in blocks]


def readme_namespace() -> dict[str, Any]:
    """Execute the README's Python blocks one after the other and give what they define."""
    return page_namespace(ROOT / "README.md")


def page_namespace(path: Path) -> dict[str, Any]:
    """Execute a page's Python blocks one after the other and give what they define."""
    namespace: dict[str, Any] = {"__name__": path.stem.lower()}
    blocks = re.findall(r"^```python\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 3
    for block in blocks:
        exec(compile(block, path.name, "exec"), namespace)  # noqa: S102 - the project's own page
    return namespace

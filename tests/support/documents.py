"""The project's documents as tests read them: code blocks, and pages executed."""

import ast
import doctest
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = [
    "ROOT",
    "Block",
    "Page",
    "code_blocks",
    "execute_page",
    "page_namespace",
    "read_blocks",
    "readme_namespace",
]

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: where its first line stands, and under which heading."""

    path: Path
    line: int
    heading: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


@dataclass(slots=True)
class Page:
    """What executing a page's Python has left: its names, and which of its functions were entered."""

    namespace: dict[str, Any]
    defined: set[str] = field(default_factory=set)
    entered: set[str] = field(default_factory=set)


def read_blocks(path: Path) -> list[Block]:
    """Give the fenced blocks of a page in their order; a fence without an end is an error."""
    blocks, heading, lines = [], "", path.read_text(encoding="utf-8").splitlines()
    opened: tuple[int, str, str] | None = None
    for number, line in enumerate(lines, start=1):
        fence = re.match(r"( *)(`{3,})(.*)$", line)
        if opened is None:
            if fence:
                opened = number, fence[1] + fence[2], fence[3].strip()
            elif title := re.match(r"#+ (.+)$", line):
                heading = title[1]
        elif line.rstrip() == opened[1]:
            indent = len(opened[1]) - len(opened[1].lstrip())
            text = "".join(f"{each[indent:]}\n" for each in lines[opened[0] : number - 1])
            blocks.append(Block(path, opened[0] + 1, heading, opened[2], text))
            opened = None
    assert opened is None, f"{path}: the block that begins in line {opened} does not end"
    return blocks


def code_blocks(path: Path, language: str) -> list[list[str]]:
    """Give the fenced blocks of one language, as lines without comments of the shell's kind."""
    blocks = [block.text for block in read_blocks(path) if block.language == language]
    return [[line.removeprefix("$ ") for line in block.splitlines() if line.strip()] for block in blocks]


def readme_namespace() -> dict[str, Any]:
    """Execute the README's Python blocks one after the other and give what they define."""
    return page_namespace(ROOT / "README.md")


def page_namespace(path: Path) -> dict[str, Any]:
    """Execute a page's Python blocks one after the other and give what they define."""
    blocks = [block for block in read_blocks(path) if block.language == "python"]
    assert len(blocks) >= 3
    return execute_page(path).namespace


def execute_page(path: Path, *, without: Collection[str] = ()) -> Page:
    """Execute a page's Python from top to bottom, but for what stands under the headings named in `without`.

    A block with prompts is a doctest, whose output is compared. Of the others' functions it is noted which
    are entered, then and later: the page may define what its reader is to call.
    """
    page = Page({"__name__": path.stem.lower()})
    page.namespace["__entered__"] = page.entered.add
    for block in read_blocks(path):
        if block.language != "python" or block.heading in without:
            continue
        if block.text.startswith(">>> "):
            execute_doctest(block, page)
            continue
        tree = ast.parse(block.text, filename=str(path))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                name = f"{node.name} (line {block.line + node.lineno - 1})"
                page.defined.add(name)
                (mark,) = ast.parse(f"__entered__({name!r})").body
                node.body.insert(1 if ast.get_docstring(node) is not None else 0, mark)
        ast.increment_lineno(tree, block.line - 1)
        exec(compile(tree, str(path), "exec"), page.namespace)  # noqa: S102 - the project's own page
    return page


def execute_doctest(block: Block, page: Page) -> None:
    test = doctest.DocTestParser().get_doctest(
        block.text, page.namespace, block.path.name, str(block.path), block.line - 1
    )
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    failed = runner.run(test, out=told.append, clear_globs=False).failed
    assert not failed, "".join(told)
    page.namespace.update(test.globs)

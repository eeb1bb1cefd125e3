"""The order of pages in the site, taken from the links of the index pages.

An index page is plain Markdown for a code host. Here each is given a table of contents that is not shown: the
pages that it links to in the order of its links, then whatever else is in its folder, so that a page which
nobody has listed yet is there as well.
"""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

__all__ = ["FRONT", "INDEXES", "add_contents", "find_folder", "linked_pages", "setup"]

FRONT = "docs/index"

INDEXES = {
    "docs/tutorials/index": "Tutorials",
    "docs/how-to/index": "How-to guides",
    "docs/reference/index": "Reference",
    "docs/explanation/index": "Explanation",
    "docs/decisions/README": "Decisions",
}
"""Pages that stand for a folder, by how the site calls them at its side."""

_PROJECT = (
    "README </README>",
    "Architecture </docs/architecture>",
    "Contributing </CONTRIBUTING>",
    "Changes </CHANGELOG>",
    "Security </SECURITY>",
    "Example </examples/customers_and_orders/README>",
    "Terraform </deploy/terraform/README>",
    "CloudFormation </deploy/sam/README>",
)
_LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+\.md)(?:#[^)\s]*)?\)")


def linked_pages(text: str) -> tuple[str, ...]:
    """Give the pages below its own folder that a page links to, once each, in order.

    >>> linked_pages("[a](a.md), [b](b/index.md#x), [a](a.md#y), [c](../c.md), [d](https://example.com/d.md)")
    ('a.md', 'b/index.md')
    """
    return tuple(dict.fromkeys(path for path in _LINK.findall(text) if not path.startswith("../")))


def add_contents(name: str, text: str, folder: Sequence[str]) -> str:
    """Give the text of an index page with its table of contents; that of any other page as it is.

    ``folder`` names the pages that are in the folder of the page, and the folders in it that have an index.
    """
    if name == FRONT:
        sections = [f"{title} <{PurePosixPath(page).relative_to('docs')}>" for page, title in INDEXES.items()]
        return text + _toctree(sections) + _toctree(_PROJECT, caption="The project")
    if name not in INDEXES and not name.endswith("/index"):
        return text
    pages = [path.removesuffix(".md") for path in linked_pages(text)]
    others = [each for each in folder if each not in pages and each != PurePosixPath(name).name]
    # Decisions are listed by the site alone: on a code host the folder is their list.
    return text + _toctree([*pages, *others], hidden=name != "docs/decisions/README")


def find_folder(page: Path) -> list[str]:
    """Give the pages beside a page, and the indexes of folders there, by their names without an ending."""
    found = [*page.parent.glob("*.md"), *page.parent.glob("*/index.md")]
    return sorted(each.relative_to(page.parent).with_suffix("").as_posix() for each in found)


def _toctree(entries: Sequence[str], *, caption: str | None = None, hidden: bool = True) -> str:
    options = [
        ":maxdepth: 1",
        *([f":caption: {caption}"] if caption else []),
        *([":hidden:"] if hidden else []),
    ]
    return "\n".join(["\n", "```{toctree}", *options, "", *entries, "```", ""])


def setup(app: "Sphinx") -> dict[str, bool]:
    """Is called by Sphinx."""

    def read(_: "Sphinx", name: str, source: list[str]) -> None:
        page = Path(app.srcdir) / f"{name}.md"
        source[0] = add_contents(name, source[0], find_folder(page))

    app.connect("source-read", read)
    return {"parallel_read_safe": True}

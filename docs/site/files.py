"""Pages for the files and folders of the project that its documents link to.

On a code host such a link shows the file. The site is to stand by itself, so each file that is linked gets a
page with its text, and each folder one with what is in it. A link to what is not there stays a warning of the
parser, and so an error.
"""

import posixpath
from collections.abc import Iterator
from html import escape
from pathlib import Path, PurePosixPath
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

__all__ = ["LinksToFiles", "collect_pages", "setup"]

_FOLDER = "files"
_LANGUAGES = {".py": "python", ".json": "json", ".yaml": "yaml", ".toml": "toml", ".md": "markdown"}
_SHOWN_AS_THEY_ARE = (".png", ".svg")


class LinksToFiles(SphinxTransform):  # type: ignore[misc]  # Sphinx is only in the session that builds
    """Turn links to the project's own files into links to pages of the site."""

    default_priority = 5  # before anything resolves or copies them

    def apply(self, **_: Any) -> None:
        """Is called for each document."""
        for kind in (addnodes.download_reference, addnodes.pending_xref):
            for node in list(self.document.findall(kind)):
                if node.get("reftype") == "myst" and node.get("refdomain") is None:
                    self._turn(node)

    def _turn(self, node: nodes.Element) -> None:
        folder = posixpath.dirname(self.env.docname)
        path = posixpath.normpath(posixpath.join(folder, node["reftarget"]))
        found = Path(self.env.srcdir) / path
        if path.startswith("..") or path.endswith(_SHOWN_AS_THEY_ARE) or not found.exists():
            return
        page = _page_of_folder(found, path) if found.is_dir() else None
        if page is None:
            wanted: set[str] = self.app.wanted_files
            wanted.add(path)
            page = f"{_FOLDER}/{path}"
        uri = posixpath.relpath(f"{page}.html", folder or ".")
        node.replace_self(nodes.reference("", "", *node.children, refuri=uri, internal=True))


def _page_of_folder(found: Path, path: str) -> str | None:
    """Give the page that stands for a folder, where there is one."""
    names = [name for name in ("index", "README") if (found / f"{name}.md").is_file()]
    return posixpath.join(path, names[0]) if names else None


def collect_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Give a page for each file and folder that is linked, and for each file of such a folder."""
    root = Path(app.srcdir)
    waiting: list[str] = sorted(app.wanted_files)
    done: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in done:
            continue
        done.add(path)
        found = root / path
        if found.is_dir():
            names = sorted(
                each.name for each in found.iterdir() if not each.name.startswith(("__pycache__", "."))
            )
            waiting += [f"{path}/{name}" for name in names]
            body = _list_folder(path, names)
        else:
            body = _show_file(app, found)
        title = f"<h1><code>{escape(path)}</code></h1>"
        yield f"{_FOLDER}/{path}", {"title": path, "body": f"<section>{title}{body}</section>"}, "page.html"


def _list_folder(path: str, names: list[str]) -> str:
    folder = PurePosixPath(path).name
    links = (f'<li><a href="{escape(folder)}/{escape(name)}.html">{escape(name)}</a></li>' for name in names)
    return f"<ul>{''.join(links)}</ul>"


def _show_file(app: Sphinx, found: Path) -> str:
    language = _LANGUAGES.get(found.suffix, "text")
    text = found.read_text(encoding="utf-8")
    shown: str = app.builder.highlighter.highlight_block(text, language, location=str(found))
    return f'<div class="highlight-{language}">{shown}</div>'


def setup(app: Sphinx) -> dict[str, bool]:
    """Is called by Sphinx."""
    app.wanted_files = set()
    app.add_transform(LinksToFiles)
    app.connect("html-collect-pages", collect_pages)
    # Which files are linked is known to the process that has read everything.
    return {"parallel_read_safe": False}

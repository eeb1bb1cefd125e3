"""Checks the built site: it loads nothing from another host, and every link in it leads somewhere.

``python -m docs.site.check build/site`` prints what is wrong and fails. Nothing is asked of a network:
of links to other hosts only the form is looked at.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["Page", "check_site", "find_loads", "read_page"]

# By element, the attributes of which a browser loads what they name, as soon as it shows the page.
_LOADING: Mapping[str, tuple[str, ...]] = {
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "image": ("href", "xlink:href"),
    "img": ("src", "srcset"),
    "input": ("src",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "use": ("href", "xlink:href"),
    "video": ("src", "poster"),
}
_NOT_LOADED = {"canonical", "next", "prev", "search", "index", "author"}
"""Kinds of `link` that name a page and load nothing."""

_ELSEWHERE = re.compile(r"^\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
_IN_CSS = re.compile(r"(?:url\(\s*|@import\s+)[\"']?([^\"')\s;]+)", re.IGNORECASE)
# A script that would load from elsewhere says from where. What a licence or a namespace names is no call.
_IN_SCRIPT = re.compile(
    r"(?:fetch|import|importScripts|open)\s*\(\s*[\"'`]((?:https?:)?//[^\"'`]+)|"
    r"\.(?:src|href)\s*=\s*[\"'`]((?:https?:)?//[^\"'`]+)"
)
_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+", re.IGNORECASE)


class Page(HTMLParser):
    """What a page loads, what it links to, and the places in it that can be linked to."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = set()
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Is called by the parser."""
        given = {name: value or "" for name, value in attrs}
        self._inside = tag
        self.places |= {given[name] for name in ("id", "name") if name in given}
        self.loads += [given[name] for name in _LOADING.get(tag, ()) if name in given]
        self.loads += _IN_CSS.findall(given.get("style", ""))
        if tag == "link" and not set(given.get("rel", "").lower().split()) <= _NOT_LOADED:
            self.loads.append(given.get("href", ""))
        if tag == "base":
            self.loads.append(given.get("href", ""))
        if tag == "meta" and given.get("http-equiv", "").lower() == "refresh":
            self.links.append(given.get("content", "").partition("url=")[2])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Is called by the parser."""
        self.handle_starttag(tag, attrs)

    def handle_data(self, data: str) -> None:
        """Is called by the parser."""
        if self._inside == "style":
            self.loads += _IN_CSS.findall(data)
        if self._inside == "script":
            self.loads += _called_by_script(data)

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - the parser's signature
        """Is called by the parser."""
        self._inside = ""


def _called_by_script(text: str) -> list[str]:
    return [first or second for first, second in _IN_SCRIPT.findall(text)]


def read_page(text: str) -> Page:
    """Read a page.

    >>> page = read_page('<h1 id="top"><img src="a.png"><a href="#top">up</a>')
    >>> page.loads, page.links, page.places
    (['a.png'], ['#top'], {'top'})
    """
    page = Page()
    page.feed(text)
    page.close()
    return page


def find_loads(path: Path) -> list[str]:
    """Give what a file of the site makes a browser load."""
    if path.suffix in {".html", ".svg"}:
        return read_page(path.read_text(encoding="utf-8")).loads
    if path.suffix == ".css":
        return _IN_CSS.findall(path.read_text(encoding="utf-8"))
    if path.suffix == ".js":
        return _called_by_script(path.read_text(encoding="utf-8"))
    return []


def check_site(root: Path) -> Iterator[str]:
    """Give each thing that is wrong with a site, as a line for people."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    pages = {path: read_page(path.read_text(encoding="utf-8")) for path in files if path.suffix == ".html"}
    if not pages:
        yield f"{root}: there is no page"
    for path in files:
        for address in find_loads(path):
            if _ELSEWHERE.match(address):
                yield f"{path.relative_to(root)}: loads {address} from another host"
            elif path.suffix == ".html" and not address.startswith("data:"):
                yield from _check_link(path, address, pages, root, "loads")
    for path, page in pages.items():
        for address in page.links:
            yield from _check_link(path, address, pages, root, "links to")


def _check_link(path: Path, address: str, pages: Mapping[Path, Page], root: Path, verb: str) -> Iterator[str]:
    where = f"{path.relative_to(root)}: {verb} {address or 'nothing'}"
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        if parts.scheme not in {"https", "http", "mailto"} or (
            parts.scheme != "mailto" and not _HOST.fullmatch(parts.hostname or "")
        ):
            yield f"{where}, which is no address"
        return
    if address == "#":  # the top of the page, for browsers
        return
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not parts.path and not parts.fragment:
        yield f"{where}, which is no address"
    elif not target.is_relative_to(root.resolve()):
        yield f"{where}, which is outside of the site"
    elif not target.is_file():
        yield f"{where}, which is not there"
    elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].places:
        yield f"{where}, where there is no such place"


def main(arguments: list[str]) -> int:
    """Check the sites that are named, and give the exit code."""
    problems = [line for name in arguments for line in check_site(Path(name).resolve())]
    sys.stdout.writelines(f"{line}\n" for line in problems)
    sys.stdout.write(f"{len(problems)} problems in {', '.join(arguments)}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

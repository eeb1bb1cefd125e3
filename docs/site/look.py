"""Looks at the built site as people do, in Chromium, at the width of a desktop and of a phone.

``python -m docs.site.look build/site --pictures DIR`` opens its pages. It fails where a page is wider than
the screen, has words too small to read, loads from another host, or where the browser complains. With
``--pictures`` it keeps what it saw of some pages. Where there is no Chromium it says so, and sees nothing.
"""

import argparse
import re
import sys
from base64 import b64decode
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome

from tests.support.browser import open_browser
from tests.support.unavailable import ServerUnavailable

__all__ = ["SIZES", "look_at", "take_picture"]

SIZES = {
    "desktop": {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    "phone": {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True},
}
"""Screens as Chromium is told of them."""

SEEN = (
    "docs/index.html",
    "docs/tutorials/index.html",
    "docs/how-to/index.html",
    "docs/how-to/producer.html",
    "docs/reference/index.html",
    "docs/reference/api/writing.html",
    "docs/reference/command.html",
    "docs/reference/errors.html",
    "docs/reference/limits.html",
    "docs/reference/outcomes.html",
    "docs/explanation/guarantees.html",
    "docs/decisions/README.html",
)
"""Pages that pictures are taken of."""

_SMALLEST = 11
_FOUND: Any = """
// A phone makes the page's own idea of its width as large as what is in it.
const wide = document.documentElement.scrollWidth - arguments[1];
const foreign = performance.getEntriesByType("resource").map(each => each.name)
    .filter(name => !name.startsWith("file:") && !name.startsWith("data:"));
const small = [...document.querySelectorAll("article *")].filter(each =>
    [...each.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())
    && each.getClientRects().length && parseFloat(getComputedStyle(each).fontSize) < arguments[0]
    && !["SUP", "SUB"].includes(each.tagName)).map(each => each.textContent.trim().slice(0, 40));
return {wide, foreign, small};
"""


def look_at(browser: Chrome, address: str, width: int) -> Iterator[str]:
    """Open a page, and give what is wrong with it, as lines for people."""
    browser.get(address)
    found = browser.execute_script(_FOUND, _SMALLEST, width)
    if found["wide"] > 0:
        yield f"is {found['wide']} wider than {width}"
    yield from (f"loads {name}" for name in found["foreign"])
    yield from (f"has words too small to read: {words!r}" for words in found["small"][:3])
    yield from (f"makes the browser say: {line['message']}" for line in browser.get_log("browser"))  # type: ignore[no-untyped-call]


def take_picture(browser: Chrome, target: Path) -> None:
    """Keep all of the page that is open, at most some screens of it."""
    height = min(browser.execute_script("return document.documentElement.scrollHeight"), 3_000)
    width = browser.execute_script("return document.documentElement.clientWidth")
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    asked = {"captureBeyondViewport": True, "clip": clip}
    # The driver's own way shows what is on the screen, and no more.
    target.write_bytes(b64decode(browser.execute_cdp_cmd("Page.captureScreenshot", asked)["data"]))


def _visit(browser: Chrome, root: Path, pictures: Path | None) -> Iterator[str]:
    every = [path for path in sorted(root.rglob("*.html")) if path.relative_to(root).parts[0] != "files"]
    for name, size in SIZES.items():
        # What fits a phone fits a desktop; there, what some pages look like is enough.
        pages = every if size["mobile"] else [root / path for path in SEEN]
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        for page in pages:
            path = page.relative_to(root).as_posix()
            for problem in look_at(browser, page.as_uri(), int(size["width"])):
                yield f"{name}: {path} {problem}"
            if pictures is not None and path in SEEN:
                take_picture(browser, pictures / f"{re.sub('[/.]', '-', path)}-{name}.png")


def main(arguments: list[str]) -> int:
    """Look at a site, and give the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("site", type=Path)
    parser.add_argument("--pictures", type=Path)
    given = parser.parse_args(arguments)
    with ExitStack() as stack:
        try:
            browser = stack.enter_context(open_browser())
        except ServerUnavailable as error:
            sys.stdout.write(f"not looked at: {error}\n")
            return 0
        if given.pictures is not None:
            given.pictures.mkdir(parents=True, exist_ok=True)
        problems = list(_visit(browser, given.site.resolve(), given.pictures))
    sys.stdout.writelines(f"{line}\n" for line in problems)
    sys.stdout.write(f"{len(problems)} problems seen\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

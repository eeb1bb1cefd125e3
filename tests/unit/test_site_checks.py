"""What checks the built site finds what it is there for: each fault is planted, and told."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

from docs.site.check import check_site, find_loads, main
from docs.site.navigation import FRONT, add_contents
from docs.site.svg import Picture

pytestmark = pytest.mark.once  # of the source, which is the same everywhere

WITHOUT_SPHINX = ("api", "check", "diagrams", "navigation", "options", "sources", "svg")


def site(root: Path, body: str, **files: str) -> list[str]:
    """Write a site of one page with another beside it, and check it."""
    (root / "pages").mkdir(parents=True)
    (root / "pages" / "here.html").write_text(f"<!doctype html><title>here</title>{body}", encoding="utf-8")
    (root / "pages" / "there.html").write_text('<h1 id="top">there</h1>', encoding="utf-8")
    for name, text in files.items():
        (root / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return list(check_site(root))


def test_a_site_that_stands_by_itself_has_no_fault(tmp_path: Path) -> None:
    body = """
        <link rel="stylesheet" href="../own.css?v=1"><link rel="canonical" href="https://example.com/here">
        <script src="../own.js"></script><img src="data:image/gif;base64,R0lGOD">
        <a href="there.html#top">there</a> <a href="#">top</a> <a href="#here">here</a> <p id="here">
        <a href="https://example.com/sns/#limits">elsewhere</a> <a href="mailto:a@example.com">write</a>
    """
    # A licence names a host, and loads nothing from it.
    script = "/* https://example.com/licence */ const namespace = 'http://www.w3.org/2000/svg';"

    assert site(tmp_path, body, own_css="a { background: url(own.js) }", own_js=script) == []
    assert main([str(tmp_path)]) == 0


@pytest.mark.parametrize(
    "planted",
    [
        '<img src="https://example.com/a.png">',
        '<img srcset="//example.com/a.png 2x" src="there.html">',
        '<script src="//example.com/a.js"></script>',
        '<script>fetch("https://example.com/count")</script>',
        '<link rel="stylesheet" href="https://example.com/a.css">',
        '<link rel="preconnect" href="https://example.com">',
        '<link rel="icon" href="https://example.com/a.ico">',
        "<style>@import 'https://example.com/a.css';</style>",
        "<p style=\"background: url('https://example.com/a.png')\">",
        '<iframe src="https://example.com/"></iframe>',
        '<svg><image href="https://example.com/a.png"/></svg>',
        '<video poster="https://example.com/a.png"></video>',
        '<base href="https://example.com/">',
    ],
)
def test_what_a_page_loads_from_elsewhere_is_told(planted: str, tmp_path: Path) -> None:
    problems = site(tmp_path, planted)

    assert len(problems) == 1
    assert "example.com" in problems[0]
    assert problems[0].endswith("from another host")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.css", "@import url(https://example.com/a.css);"),
        ("a.css", "@font-face { src: url('//example.com/a.woff2') }"),
        ("a.js", "import('https://example.com/a.js')"),
        ("a.js", "script.src = 'https://example.com/a.js'"),
        ("a.svg", '<svg><image href="https://example.com/a.png"/></svg>'),
        ("a.svg", "<svg><style>@import url(https://example.com/a.css);</style></svg>"),
    ],
)
def test_what_a_file_loads_from_elsewhere_is_told(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")

    (address,) = find_loads(tmp_path / name)
    assert "example.com" in address


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ('<a href="nowhere.html">', "which is not there"),
        ('<img src="nowhere.png">', "which is not there"),
        ('<a href="there.html#nowhere">', "where there is no such place"),
        ('<a href="#nowhere">', "where there is no such place"),
        ('<a href="../../outside.html">', "which is outside of the site"),
        ('<a href="../pages">', "which is not there"),
        ('<a href="">', "which is no address"),
        ('<a href="https:///path">', "which is no address"),
        ('<a href="https://localhost/path">', "which is no address"),
        ('<a href="ftp://example.com/">', "which is no address"),
        ('<meta http-equiv="refresh" content="0; url=nowhere.html">', "which is not there"),
    ],
)
def test_a_link_that_leads_nowhere_is_told(planted: str, said: str, tmp_path: Path) -> None:
    (tmp_path.parent / "outside.html").touch()
    (problem,) = site(tmp_path, planted)

    assert problem.startswith("pages/here.html: ")
    assert problem.endswith(said)
    assert main([str(tmp_path)]) == 1


def test_a_site_without_a_page_is_a_fault(tmp_path: Path) -> None:
    assert len(list(check_site(tmp_path))) == 1


def test_the_front_page_is_given_all_that_is_at_the_side() -> None:
    given = add_contents(FRONT, "text", [])

    assert given.count("```{toctree}") == 2
    assert "Decisions <decisions/README>" in given


def test_decisions_are_listed_on_their_page() -> None:
    assert ":hidden:" not in add_contents("docs/decisions/README", "text", ["0001-a", "README"])


def test_words_in_a_picture_cannot_be_taken_for_its_shapes() -> None:
    picture = Picture("<title>", "a & b")
    picture.text(0, 0, "<b>")

    written = picture.write(10)
    assert "&lt;b&gt;" in written
    assert "&lt;title&gt;" in written
    assert "a &amp; b" in written


@pytest.mark.parametrize("name", WITHOUT_SPHINX)
def test_the_examples_of_the_tools_run(name: str) -> None:
    assert doctest.testmod(import_module(f"docs.site.{name}")).failed == 0


def test_what_needs_sphinx_or_a_browser_is_little() -> None:
    """The rest is tested here, where Sphinx is not installed."""
    modules = {
        path.stem for path in Path(import_module("docs.site.check").__file__ or "").parent.glob("*.py")
    }

    assert modules - set(WITHOUT_SPHINX) == {"files", "look", "references"}

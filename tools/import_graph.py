"""Who imports whom, drawn from the code: `python -m tools.import_graph` writes it into docs/architecture.*.

The layers are those of import-linter's contract in pyproject.toml, and imports are what grimp finds, as for
the contracts: those inside functions too, those for type checkers alone not. A row imports the columns in
which it has a mark, so where all imports point one way the marks lie on one side of the diagonal. There are
no numbers in it: they would change with every commit.
"""

import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import grimp

__all__ = [
    "PAGE",
    "PICTURE",
    "Imports",
    "find_backward",
    "main",
    "read_imports",
    "read_layers",
    "render_page",
    "render_svg",
]

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
PICTURE = ROOT / "docs" / "architecture.svg"
PACKAGE = "outbox_sdk"
_BEGIN, _END = "<!-- written by `nox -s graph` -->\n", "<!-- until here -->\n"

Layers = Sequence[Sequence[str]]
Imports = Sequence[tuple[str, str]]
"""Importer and imported, both modules directly below the package, each pair once and in order."""

_CELL, _LEFT, _TOP, _LEGEND = 40, 160, 112, 44
_BANDS = ("#eef3f8", "#ffffff")
_STYLE = (
    "text{font:14px ui-sans-serif,system-ui,sans-serif;fill:#1f2a37}"
    ".l{text-anchor:end}.d{fill:#1f2a37}.i{fill:#2f7cc0}.b{fill:#c62f1d}"
    ".g{stroke:#d5dde6}"
)


def read_layers(root: Path = ROOT) -> list[list[str]]:
    """Give the layers of the contract, the topmost first; modules of one layer do not know each other."""
    contracts = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (each["layers"] for each in contracts if each["id"] == "layers")
    return [[name.strip() for name in layer.split("|")] for layer in layers]


def read_imports() -> tuple[Imports, Mapping[str, Sequence[str]]]:
    """List the imports between parts of the package, and those that import each library."""
    graph = grimp.build_graph(
        PACKAGE, include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
    )
    pairs: set[tuple[str, str]] = set()
    libraries: dict[str, set[str]] = {}
    for module in sorted(graph.modules):
        for imported in graph.find_modules_directly_imported_by(module):
            top, _, _ = imported.partition(".")
            if top == PACKAGE and _part(module) != _part(imported):
                pairs.add((_part(module), _part(imported)))
            elif top != PACKAGE and top not in sys.stdlib_module_names:
                libraries.setdefault(top, set()).add(module.removeprefix(f"{PACKAGE}."))
    return sorted(pairs), {name: sorted(modules) for name, modules in sorted(libraries.items())}


def _part(module: str) -> str:
    return module.removeprefix(f"{PACKAGE}.").partition(".")[0]


def find_backward(imports: Iterable[tuple[str, str]], layers: Layers) -> list[tuple[str, str]]:
    """List the imports that do not lead from a layer into one below it.

    >>> find_backward([("cli", "core"), ("core", "cli")], [["cli", "demo"], ["core"]])
    [('core', 'cli')]
    """
    depth = {name: number for number, layer in enumerate(layers) for name in layer}
    return [(importer, imported) for importer, imported in imports if depth[importer] >= depth[imported]]


def render_svg(imports: Imports, layers: Layers) -> str:
    """Draw the matrix: the same text for the same imports."""
    names = [name for layer in layers for name in layer]
    side = _CELL * len(names)
    width, height = _LEFT + side + 60, _TOP + side + _LEGEND
    backward = set(find_backward(imports, layers))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        "<title>Which part of outbox_sdk imports which, by layer</title>",
        f"<style>{_STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    row = 0
    for number, layer in enumerate(layers):
        y, tall = _TOP + row * _CELL, _CELL * len(layer)
        band = _BANDS[number % 2]
        parts.append(f'<rect x="8" y="{y}" width="{_LEFT + side - 8}" height="{tall}" fill="{band}"/>')
        row += len(layer)
    for number, name in enumerate(names):
        x, y = _LEFT + number * _CELL, _TOP + number * _CELL
        middle = x + _CELL // 2
        parts += [
            f'<line class="g" x1="{_LEFT}" y1="{y}" x2="{_LEFT + side}" y2="{y}"/>',
            f'<line class="g" x1="{x}" y1="{_TOP}" x2="{x}" y2="{_TOP + side}"/>',
            f'<text class="l" x="{_LEFT - 12}" y="{y + _CELL // 2 + 5}">{escape(name)}</text>',
            f'<text transform="translate({middle - 4} {_TOP - 10}) rotate(-50)">{escape(name)}</text>',
            f'<rect class="d" x="{x + 5}" y="{y + 5}" width="{_CELL - 10}" height="{_CELL - 10}" rx="4"/>',
        ]
    for importer, imported in imports:
        x, y = _LEFT + names.index(imported) * _CELL, _TOP + names.index(importer) * _CELL
        look = "b" if (importer, imported) in backward else "i"
        title = f"<title>{escape(importer)} imports {escape(imported)}</title>"
        parts.append(
            f'<circle class="{look}" cx="{x + _CELL // 2}" cy="{y + _CELL // 2}" r="11">{title}</circle>'
        )
    legend = "A row imports the columns in which it has a mark. A band is a layer."
    parts += [f'<text x="{_LEFT}" y="{_TOP + side + 28}">{legend}</text>', "</svg>"]
    return "\n".join(parts) + "\n"


def render_page(text: str, imports: Imports, layers: Layers, libraries: Mapping[str, Sequence[str]]) -> str:
    """Put the tables into the page, between the two comments that it has for them.

    Raises:
        ValueError: the page has no such comments.
    """
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has no place for the tables, between {_BEGIN!r} and {_END!r}")
    lines = ["", "| part | imports |", "|---|---|"]
    for name in (name for layer in layers for name in layer):
        found = [f"`{imported}`" for importer, imported in imports if importer == name]
        lines.append(f"| `{name}` | {', '.join(found) or '–'} |")
    lines += ["", "| library | imported by |", "|---|---|"]
    for library, modules in libraries.items():
        lines.append(f"| `{library}` | {_who(modules)} |")
    return before + begin + "\n".join(lines) + "\n\n" + end + after


def _who(modules: Sequence[str]) -> str:
    """Name the modules, or where there are many, the parts that they are in."""
    names = modules if len(modules) <= 3 else sorted({_part(module) for module in modules})
    return ", ".join(f"`{name}`" for name in names)


def main() -> None:
    """Write the picture, and the tables into the page."""
    layers, (imports, libraries) = read_layers(), read_imports()
    PICTURE.write_text(render_svg(imports, layers), encoding="utf-8")
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(render_page(text, imports, layers, libraries), encoding="utf-8")


if __name__ == "__main__":
    main()

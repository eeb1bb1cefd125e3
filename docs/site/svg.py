"""Pictures that read well on a phone, in the light and in the dark: boxes, lines and words, as SVG."""

from collections.abc import Sequence
from html import escape

__all__ = ["WIDTH", "Picture"]

WIDTH = 400
"""Units across. A phone shows about 350 points, so that text of 13 units is 11 or 12 points there."""

# A card with a colour of its own is under everything: the words can be read whatever the page is like.
_STYLE = """
svg { color-scheme: light dark; font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
.card { fill: #ffffff; stroke: #d0d7de }
.box { fill: #f6f8fa; stroke: #8c959f }
.good { fill: #dafbe1; stroke: #2da44e }
.wait { fill: #ddf4ff; stroke: #218bff }
.stop { fill: #ffebe9; stroke: #cf222e }
.line { fill: none; stroke: #57606a; stroke-width: 1.5 }
.head { fill: #57606a }
text { fill: #1f2328 }
.title { font-weight: 600 }
.code { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace }
.note { fill: #57606a; font-size: 12px }
@media (prefers-color-scheme: dark) {
.card { fill: #161b22; stroke: #30363d }
.box { fill: #21262d; stroke: #8b949e }
.good { fill: #12361f; stroke: #3fb950 }
.wait { fill: #0c2d55; stroke: #58a6ff }
.stop { fill: #4b1113; stroke: #f85149 }
.line { stroke: #9da7b3 }
.head { fill: #9da7b3 }
text { fill: #e6edf3 }
.note { fill: #9da7b3 }
}
"""

_LINE = 17


class Picture:
    """Gathers shapes; :meth:`write` gives them as a file. Places are in units from the upper left corner."""

    def __init__(self, title: str, description: str) -> None:
        self._head = (title, description)
        self._shapes: list[str] = []

    def box(
        self, x: float, y: float, width: float, lines: Sequence[tuple[str, str]], *, kind: str = "box"
    ) -> float:
        """Draw a box with lines of text in it, each with its class, and give the y of its lower edge."""
        height = len(lines) * _LINE + 13
        self._shapes.append(
            f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6"/>'
        )
        for number, (style, text) in enumerate(lines):
            self.text(x + width / 2, y + 19 + number * _LINE, text, style=style, anchor="middle")
        return y + height

    def text(self, x: float, y: float, text: str, *, style: str = "", anchor: str = "start") -> None:
        """Write a line of text; ``y`` is what it stands on."""
        words = escape(text, quote=False)
        self._shapes.append(
            f'<text class="{style}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{words}</text>'
        )

    def arrow(self, *points: tuple[float, float]) -> None:
        """Draw a line through points, with its head at the last."""
        (x0, y0), (x, y) = points[-2:]
        across, down = (x > x0) - (x < x0), (y > y0) - (y < y0)
        path = " ".join(f"{px:g},{py:g}" for px, py in [*points[:-1], (x - 6 * across, y - 6 * down)])
        left, back = (
            (x - 8 * across + 4 * down, y - 8 * down + 4 * across),
            (x - 8 * across - 4 * down, y - 8 * down - 4 * across),
        )
        head = " ".join(f"{px:g},{py:g}" for px, py in [(x, y), left, back])
        self._shapes.append(
            f'<polyline class="line" points="{path}"/><polygon class="head" points="{head}"/>'
        )

    def write(self, height: float) -> str:
        """Give the picture as text."""
        title, description = (escape(text, quote=False) for text in self._head)
        frame = f'<rect class="card" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1:g}" rx="8"/>'
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" '
                f'width="{WIDTH * 1.25:g}" height="{height * 1.25:g}" role="img">',
                f"<title>{title}</title>",
                f"<desc>{description}</desc>",
                f"<style>{_STYLE}</style>",
                frame,
                *self._shapes,
                "</svg>",
                "",
            ]
        )

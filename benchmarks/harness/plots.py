"""Pictures of answers, as SVG that is the same for the same figures."""

from io import StringIO

import matplotlib
from matplotlib.figure import Figure

from benchmarks.harness.answers import Plot

__all__ = ["draw"]

matplotlib.use("svg")
# Text stays text, and ids come from a salt instead of a random number.
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "outbox", "font.family": "sans-serif"})
_COLOURS = ("#2563a8", "#b8b8b8", "#d17a22", "#4a8c4a", "#8a5a9e")


def draw(plot: Plot) -> str:
    """Draw a plot; give the SVG."""
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    axes = figure.add_subplot()
    if plot.kind == "bars":
        _draw_bars(axes, plot)
    else:
        for series, colour in zip(plot.series, _COLOURS, strict=False):
            axes.plot(series.x, series.y, marker="o", label=series.name, color=colour)
    axes.set_title(plot.title)
    axes.set_xlabel(plot.x_label)
    axes.set_ylabel(plot.y_label)
    if plot.log_x:
        axes.set_xscale("log")
    if plot.log_y:
        axes.set_yscale("log")
    elif plot.kind == "lines":
        axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    if any(series.name for series in plot.series):
        axes.legend(frameon=False)
    with StringIO() as buffer:
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        lines = buffer.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _draw_bars(axes, plot: Plot) -> None:  # type: ignore[no-untyped-def]  # the linter's environment has no matplotlib
    places = range(len(plot.series[0].x))
    width = 0.8 / len(plot.series)
    for number, (series, colour) in enumerate(zip(plot.series, _COLOURS, strict=False)):
        offsets = [place + (number - (len(plot.series) - 1) / 2) * width for place in places]
        bars = axes.bar(offsets, series.y, width, label=series.name, color=colour)
        axes.bar_label(bars, fmt="{:,.0f}", padding=2, fontsize=8)
    axes.set_xticks(list(places), [str(x) for x in plot.series[0].x])

"""Plots as SVG elements whose colours and fonts are those of the page around them, light or dark."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 240
"""Points of a curve, at most; longer runs are averaged."""
# Placeholders for the page's CSS colours, which matplotlib does not know.
MUTED, LINE, CLIP = "#010203", "#010204", "#010205"
VARIABLES = {MUTED: "var(--muted)", LINE: "var(--line)", CLIP: "var(--clip)"}


def curve(steps: Sequence[int], values: Sequence[float], name: str) -> str:
    """A loss over training steps: logged values (faint) and their running mean; logarithmic if it falls that far."""
    places, heights = thinned(steps, values)
    smooth = running_mean(heights)
    logarithmic = min(heights, default=0) > 0 and max(smooth) > 30 * min(smooth)

    def draw(axes: Axes) -> None:
        axes.plot(places, heights, color=CLIP, alpha=0.28, linewidth=1)
        axes.plot(places, smooth, color=CLIP, linewidth=1.8, solid_capstyle="round")
        axes.set_yscale("log" if logarithmic else "linear")
        axes.set_xlim(min(places, default=0), max(places, default=1) + 1e-9)
        _few_ticks(axes, logarithmic)

    return svg(draw, (3.4, 1.75), f"{name} over {max(steps, default=0)} steps")


def amplitude_plot(lengths: Mapping[int, float]) -> str:
    """Motion magnitude at the last frame over the number of frames, in percent of that of a 16-frame clip."""
    counts = sorted(lengths)
    base = lengths.get(16) or sum(lengths.values()) / len(lengths) or 1.0
    shares = [100 * lengths[count] / base for count in counts]

    def draw(axes: Axes) -> None:
        axes.axhline(100, color=LINE, linewidth=1.2)
        axes.plot(counts, shares, color=CLIP, linewidth=2, marker="o", markersize=5)
        axes.set_xscale("log", base=2)
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.minorticks_off()
        axes.set_ylim(0, max(125, 1.1 * max(shares)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
        axes.set_xlabel("frames in the clip")

    return svg(draw, (7.2, 2.6), "Motion magnitude over the number of frames")


def svg(draw: Callable[[Axes], None], size: tuple[float, float], label: str) -> str:
    """The plot that `draw` makes on axes of `size` inches, as an <svg> element."""
    from matplotlib import rc_context, rcParamsDefault
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    own = {"svg.fonttype": "none", "svg.hashsalt": label, "font.size": 8.5, "axes.linewidth": 0.8}
    # matplotlib's defaults, whatever style the calling program has set.
    with rc_context({name: own.get(name, value) for name, value in rcParamsDefault.items() if name != "backend"}):
        figure = Figure(figsize=size, dpi=72, layout="constrained", facecolor="none")
        axes = figure.subplots()
        _style_axes(axes)
        draw(axes)
        written = io.StringIO()
        FigureCanvasSVG(figure).print_svg(written, metadata={"Date": None, "Creator": None})
    return _themed(written.getvalue(), label)


def _style_axes(axes: Axes) -> None:
    axes.set_facecolor("none")
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(LINE)
    axes.tick_params(colors=MUTED, length=0, pad=5)
    axes.xaxis.label.set_color(MUTED)


def _few_ticks(axes: Axes, logarithmic: bool) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    if logarithmic:
        axes.yaxis.set_major_locator(LogLocator(10, numticks=4))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        return
    axes.yaxis.set_major_locator(MaxNLocator(4))


def _themed(document: str, label: str) -> str:
    """matplotlib's SVG file as an element of a page, with the page's colours and fonts and without a fixed size."""
    element = document[document.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", element, flags=re.DOTALL)
    element = re.sub(r"<g id=\"(?:figure|axes|patch|line2d|matplotlib\.axis|xtick|ytick|text)_\d+\">", "<g>", element)
    element = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans)", element)
    element = re.sub(r"(?<=font: )([\d.]+px) [^;\"]*", r"\1 var(--sans)", element)  # as older matplotlibs write it
    for stand_in, variable in VARIABLES.items():
        element = element.replace(stand_in, variable)
    view = re.search(r'viewBox="[^"]*"', element)
    opening = f'<svg {view[0] if view else ""} role="img" aria-label="{label}" xmlns="http://www.w3.org/2000/svg"'
    element = re.sub(r"<svg[^>]*>", f'{opening} xmlns:xlink="http://www.w3.org/1999/xlink">', element, count=1)
    return re.sub(r"\n\s*", "\n", element).strip()


def thinned(steps: Sequence[int], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """The finite points; neighbours are averaged until at most `POINTS` remain."""
    points = [(float(s), v) for s, v in zip(steps, values, strict=True) if math.isfinite(v)]
    group = math.ceil(len(points) / POINTS) or 1
    groups = [points[i : i + group] for i in range(0, len(points), group)]
    means = [(sum(s for s, _ in g) / len(g), sum(v for _, v in g) / len(g)) for g in groups]
    return [s for s, _ in means], [v for _, v in means]


def running_mean(values: Sequence[float]) -> list[float]:
    """Mean over a window of a twelfth of the run around each point."""
    reach = max(1, len(values) // 24)
    windows = [values[max(0, i - reach) : i + reach + 1] for i in range(len(values))]
    return [sum(window) / len(window) for window in windows]

"""Plots of several methods together, as SVG in the page's colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..reports.svg_plots import svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES = ("#4f63d6", "#d1603d", "#2a9d5c", "#9b59b6", "#b8901f", "#1b9aaa", "#8a6d5a", "#e05297")
"""Colours of methods in their order, readable on light and dark."""


def lines(found: Mapping[str, Mapping[str, Sequence[float]]], label: str) -> str:
    """A curve over frames for each method, {"mean", "low", "high"}, in the band between low and high."""

    def draw(axes: Axes) -> None:
        for curve, colour in zip(found.values(), LINES, strict=False):
            frames = range(1, len(curve["mean"]) + 1)
            axes.fill_between(frames, curve["low"], curve["high"], color=colour, alpha=0.18, linewidth=0)
            axes.plot(frames, curve["mean"], color=colour, linewidth=2)
        axes.set_xlabel("frame")

    return svg(draw, (8.4, 3.0), label)


def places(found: Mapping[str, Sequence[Sequence[float]]], label: str) -> str:
    """A path in the plane for each method, a point a frame, all from the middle."""

    def draw(axes: Axes) -> None:
        for path, colour in zip(found.values(), LINES, strict=False):
            axes.plot([x for x, _ in path], [y for _, y in path], color=colour, linewidth=1.2, marker="o", markersize=3)

    return svg(draw, (8.4, 3.2), label)

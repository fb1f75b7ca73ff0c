"""Plots of several methods together, as SVG in the page's colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..reports.svg_plots import svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = ("#4f63d6", "#d1603d", "#2a9d5c", "#9b59b6", "#b8901f", "#1b9aaa", "#8a6d5a", "#e05297")
"""Colours of the methods in their order, readable on light and dark backgrounds."""


def curves_plot(curves: Mapping[str, Mapping[str, Sequence[float]]], label: str) -> str:
    """For each method a curve over frames, {"mean", "low", "high"}, in the band between low and high."""

    def draw(axes: Axes) -> None:
        for curve, color in zip(curves.values(), COLORS, strict=False):
            frames = range(1, len(curve["mean"]) + 1)
            axes.fill_between(frames, curve["low"], curve["high"], color=color, alpha=0.18, linewidth=0)
            axes.plot(frames, curve["mean"], color=color, linewidth=2)
        axes.set_xlabel("frame")

    return svg(draw, (8.4, 3.0), label)


def paths_plot(paths: Mapping[str, Sequence[Sequence[float]]], label: str) -> str:
    """For each method a path in the plane, with a point for each frame."""

    def draw(axes: Axes) -> None:
        for path, color in zip(paths.values(), COLORS, strict=False):
            axes.plot([x for x, _ in path], [y for _, y in path], color=color, linewidth=1.2, marker="o", markersize=3)

    return svg(draw, (8.4, 3.2), label)

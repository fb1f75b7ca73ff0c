"""Plot of a clip's metrics over time: change from the first frame, step size, identity and alignment with the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image

from ..imaging.figures import draw_curve, draw_steps, dress, from_zero, new_figure, plotted, say_frames, say_seconds
from .clip_metrics import ClipMetrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = 960, 600
"""Pixels of the plot."""
KEPT, WORDS = "#2a7f62", "#8a4f9e"


def plot_clip_metrics(measures: ClipMetrics, title: str, fps: float) -> Image.Image:
    """RGB plot over time: change from the first frame, step size, and identity and alignment if they were measured.

    The time axis shows frames below the plot and seconds, at `fps` frames per second, above it.
    """
    return plotted(lambda: _figure(measures, title, fps))


def _figure(measures: ClipMetrics, title: str, fps: float) -> Figure:
    figure = new_figure(SIZE, title)
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=[5, 3, 5])
    draw_curve(top, measures.changes)
    from_zero(top, "change from the\nfirst frame", measures.changes)
    say_seconds(top, len(measures.changes), fps)
    draw_steps(middle, measures.steps)
    from_zero(middle, "step to the\nnext frame", measures.steps)
    _draw_kept(bottom, measures)
    figure.align_ylabels([top, middle, bottom])
    return figure


def _draw_kept(axes: Axes, measures: ClipMetrics) -> None:
    lines: list[tuple[str, Sequence[float], str]] = []
    if (same := measures.identity_cosines) is not None:
        lines.append(("same person", same.tolist(), KEPT))
    if measures.alignment is not None:
        lines.append(("fits the words", measures.alignment.tolist(), WORDS))
    for name, values, color in lines:
        axes.plot(range(len(values)), values, color=color, linewidth=2, label=name)
    if lines:
        axes.legend(loc="best", frameon=False)
    axes.set_ylabel("cosine")
    dress(axes)
    say_frames(axes)

"""Plot of a motion: distance from the face, step size, and distance layer by layer, over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jaxtyping import Float
from PIL import Image
from torch import Tensor

from ..imaging.figures import GRAY, draw_curve, draw_steps, from_zero, new_figure, plotted, say_frames, say_seconds
from ..shapes import Motion
from .editing import rms_offsets, rms_steps
from .layers import LAYERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = 960, 600
"""Pixels of the plot."""


def plot_motion(motion: Motion, title: str, fps: float) -> Image.Image:
    """RGB plot over time: distance from the face, step to the next frame, and distance layer by layer.

    All are root mean squares of offsets, in units of w, over all faces. The time axis shows frames below the plot and
    seconds, at `fps` frames per second, above it.
    """
    return plotted(lambda: _figure(motion.detach().float().cpu(), title, fps))


def _figure(motion: Motion, title: str, fps: float) -> Figure:
    layers, changes = _rms(rms_offsets(motion), 0), _rms(rms_steps(motion), 0)  # [t num_ws], [t-1 num_ws]
    distance, step = _rms(layers, 1), _rms(changes, 1)
    figure = new_figure(SIZE, title)
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=[5, 3, 6])
    draw_curve(top, distance)
    from_zero(top, "distance\nfrom the face", distance)
    say_seconds(top, len(distance), fps)
    draw_steps(middle, step)
    from_zero(middle, "step to the\nnext frame", step)
    _draw_layers(bottom, layers)
    figure.align_ylabels([top, middle, bottom])
    return figure


def _rms(values: Float[Tensor, "..."], dim: int) -> Float[Tensor, "..."]:
    """Root mean square over the axis `dim`; values that are not finite become NaN, which the plot leaves out."""
    return values.square().mean(dim=dim).sqrt().nan_to_num(math.nan, math.nan, math.nan)


def _draw_layers(axes: Axes, layers: Float[Tensor, "t num_ws"]) -> None:
    """Heat map of rows by frames, coarse layers at the top, grouped by the presets."""
    from matplotlib.ticker import MaxNLocator

    num_frames, num_ws = layers.shape
    image = axes.imshow(
        layers.T.numpy(),
        cmap="magma_r",
        aspect="auto",
        vmin=0,
        vmax=float(layers.nan_to_num().max()) or 1,
        extent=(-0.5, num_frames - 0.5, num_ws - 0.5, -0.5),
    )
    axes.figure.colorbar(image, ax=axes, label="distance", pad=0.01, aspect=12)
    axes.set_ylabel("layer (row of W+)")
    say_frames(axes)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=10, min_n_ticks=1))
    groups = {name: rows for name, rows in _groups(num_ws).items() if rows}
    names = axes.secondary_yaxis("right")
    names.set_yticks([(rows[0] + rows[-1]) / 2 for rows in groups.values()], list(groups))
    names.tick_params(length=0)
    for rows in list(groups.values())[1:]:
        axes.axhline(rows[0] - 0.5, color="white", linewidth=2)
        axes.axhline(rows[0] - 0.5, color=GRAY, linewidth=0.8)


def _groups(num_ws: int) -> dict[str, range]:
    """Rows by what they mostly control: those of the presets, and the coarse ones before them."""
    presets = {name.removesuffix(" only"): rows(num_ws) for name, rows in LAYERS.items() if rows}
    del presets["everything"]
    groups = {"shape": slice(0, min(rows.start for rows in presets.values()))} | presets
    return {name: range(num_ws)[rows] for name, rows in groups.items()}


def stack_vertically(pictures: Sequence[Image.Image]) -> Image.Image:
    """Images below one another, centred on white, in one as wide as the widest."""
    sheet = Image.new("RGB", (max(p.width for p in pictures), sum(p.height for p in pictures)), "white")
    top = 0
    for picture in pictures:
        sheet.paste(picture, ((sheet.width - picture.width) // 2, top))
        top += picture.height
    return sheet

"""A motion as a picture: how far each frame is from the face, how fast it moves, and which layers do it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jaxtyping import Float
from PIL import Image
from torch import Tensor

from .compose import LAYERS, amounts, steps
from .shapes import Motion

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = 960, 600
"""Pixels of the plot."""
_DPI = 100
_TITLE = 90  # characters that fit above the plot
_FAR, _FAST, _GREY = "#3b4cc0", "#d1603d", "#555555"


def plot_motion(motion: Motion, title: str, fps: float) -> Image.Image:
    """Over time, RGB: the distance from the face, the step to the next frame, and the distance layer by layer.

    All are root mean squares of offsets, in units of w; of several faces, over them all. Time is in frames below the
    plot and in seconds, at `fps` frames a second, above it.
    """
    from matplotlib import rc_context, rcParamsDefault
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    # The plot looks the same whatever style the program around it has chosen.
    with rc_context({name: value for name, value in rcParamsDefault.items() if name != "backend"}):
        canvas = FigureCanvasAgg(_figure(motion.detach().float().cpu(), title, fps))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph")  # A letter of the title that the font does not have.
            canvas.draw()
    return Image.frombytes("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba())).convert("RGB")


def _figure(motion: Motion, title: str, fps: float) -> Figure:
    from matplotlib.figure import Figure

    layers, changes = _rms(amounts(motion), 0), _rms(steps(motion), 0)  # [t num_ws], [t-1 num_ws]
    figure = Figure(figsize=(SIZE[0] / _DPI, SIZE[1] / _DPI), dpi=_DPI, layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=[5, 3, 6])
    title = " ".join(title.split())
    title = title if len(title) <= _TITLE else title[: _TITLE - 1] + "…"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, parse_math=False)
    _draw_distance(top, _rms(layers, 1), fps)
    _draw_steps(middle, _rms(changes, 1))
    _draw_layers(bottom, layers)
    figure.align_ylabels([top, middle, bottom])
    return figure


def _rms(values: Float[Tensor, "..."], dim: int) -> Float[Tensor, "..."]:
    """Root mean square over the axis `dim`; what is not finite becomes NaN, which the plot leaves out."""
    return values.square().mean(dim=dim).sqrt().nan_to_num(math.nan, math.nan, math.nan)


def _draw_distance(axes: Axes, distance: Float[Tensor, "t"], fps: float) -> None:
    from matplotlib.ticker import MaxNLocator

    num_frames, heights = len(distance), distance.tolist()
    dots = {"marker": "o", "markersize": 4} if num_frames <= 60 else {}
    axes.plot(range(num_frames), heights, color=_FAR, linewidth=2, **dots)
    axes.fill_between(range(num_frames), heights, color=_FAR, alpha=0.12)
    _dress(axes, "distance\nfrom the face", distance)
    last = (num_frames - 1) / fps
    ticks = [float(second) for second in MaxNLocator(10).tick_values(0, last) if 0 <= second <= last]
    seconds = axes.secondary_xaxis("top")
    seconds.set_xticks([second * fps for second in ticks], [f"{second:g}" for second in ticks])
    seconds.set_xlabel(f"seconds, at {fps:g} frames a second", color=_GREY)
    seconds.tick_params(colors=_GREY)
    seconds.spines["top"].set_visible(False)


def _draw_steps(axes: Axes, changes: Float[Tensor, "t-1"]) -> None:
    """Bars that stand between the two frames whose difference they show."""
    axes.stairs(changes.tolist(), range(len(changes) + 1), fill=True, color=_FAST, linewidth=0)
    _dress(axes, "step to the\nnext frame", changes)


def _draw_layers(axes: Axes, layers: Float[Tensor, "t num_ws"]) -> None:
    """Rows by frames, coarse layers at the top, grouped as the presets group them."""
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
    axes.set_xlabel("frame")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=16, min_n_ticks=1))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=10, min_n_ticks=1))
    groups = {name: rows for name, rows in _groups(num_ws).items() if rows}
    names = axes.secondary_yaxis("right")
    names.set_yticks([(rows[0] + rows[-1]) / 2 for rows in groups.values()], list(groups))
    names.tick_params(length=0)
    for rows in list(groups.values())[1:]:
        axes.axhline(rows[0] - 0.5, color="white", linewidth=2)
        axes.axhline(rows[0] - 0.5, color=_GREY, linewidth=0.8)


def _groups(num_ws: int) -> dict[str, range]:
    """Rows by what they mostly draw: those of the presets, and the coarse ones before them."""
    presets = {name.removesuffix(" only"): rows(num_ws) for name, rows in LAYERS.items() if rows}
    del presets["everything"]
    groups = {"shape": slice(0, min(rows.start for rows in presets.values()))} | presets
    return {name: range(num_ws)[rows] for name, rows in groups.items()}


def _dress(axes: Axes, label: str, heights: Float[Tensor, "k"]) -> None:
    axes.set_ylabel(label)
    axes.set_ylim(bottom=0, top=None if heights.any() else 1)
    axes.tick_params(labelbottom=False)
    axes.grid(axis="both", color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def stacked(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures one below the other, on white, in one as wide as the widest."""
    sheet = Image.new("RGB", (max(p.width for p in pictures), sum(p.height for p in pictures)), "white")
    top = 0
    for picture in pictures:
        sheet.paste(picture, ((sheet.width - picture.width) // 2, top))
        top += picture.height
    return sheet

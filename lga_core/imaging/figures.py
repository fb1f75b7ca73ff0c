"""Shared parts of all plots over a clip: size, title, colours, frames below and seconds above."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from jaxtyping import Float
from PIL import Image
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FAR, FAST, GRAY, LINE = "#3b4cc0", "#d1603d", "#555555", "#e4e4e4"
_DPI = 100
_TITLE = 90  # characters that fit above a plot


def plotted(figure: Callable[[], Figure]) -> Image.Image:
    """What `figure` draws, RGB, the same whatever style the program around it has chosen."""
    from matplotlib import rc_context, rcParamsDefault
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with rc_context({name: value for name, value in rcParamsDefault.items() if name != "backend"}):
        canvas = FigureCanvasAgg(figure())
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph")  # A letter of the title that the font does not have.
            canvas.draw()
    return Image.frombytes("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba())).convert("RGB")


def new_figure(size: tuple[int, int], title: str) -> Figure:
    """An empty figure of `size` pixels; as much of the title as fits stands at its top left."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size[0] / _DPI, size[1] / _DPI), dpi=_DPI, layout="constrained")
    title = " ".join(title.split())
    title = title if len(title) <= _TITLE else title[: _TITLE - 1] + "…"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, parse_math=False)
    return figure


def say_seconds(axes: Axes, num_frames: int, fps: float) -> None:
    """A second scale above the frames: seconds, at `fps` frames a second."""
    from matplotlib.ticker import MaxNLocator

    last = (num_frames - 1) / fps
    ticks = [float(second) for second in MaxNLocator(10).tick_values(0, last) if 0 <= second <= last]
    seconds = axes.secondary_xaxis("top")
    seconds.set_xticks([second * fps for second in ticks], [f"{second:g}" for second in ticks])
    seconds.set_xlabel(f"seconds, at {fps:g} frames a second", color=GRAY)
    seconds.tick_params(colors=GRAY)
    seconds.spines["top"].set_visible(False)


def say_frames(axes: Axes) -> None:
    """Whole numbers of frames below."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("frame")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=16, min_n_ticks=1))


def draw_curve(axes: Axes, heights: Float[Tensor, "t"]) -> None:
    """Heights above 0 over frames, filled; a dot for each frame where there is room."""
    dots = {"marker": "o", "markersize": 4} if len(heights) <= 60 else {}
    axes.plot(range(len(heights)), heights.tolist(), color=FAR, linewidth=2, **dots)
    axes.fill_between(range(len(heights)), heights.tolist(), color=FAR, alpha=0.12)


def draw_steps(axes: Axes, heights: Float[Tensor, "t-1"]) -> None:
    """Bars that stand between the two frames whose difference they show."""
    axes.stairs(heights.tolist(), range(len(heights) + 1), fill=True, color=FAST, linewidth=0)


def from_zero(axes: Axes, label: str, heights: Float[Tensor, "k"]) -> None:
    """The label of axes that stand above others, whose heights begin at 0."""
    axes.set_ylabel(label)
    axes.set_ylim(bottom=0, top=None if heights.any() else 1)
    axes.tick_params(labelbottom=False)
    dress(axes)


def dress(axes: Axes) -> None:
    """A grid behind what is drawn, and no frame around it."""
    axes.grid(axis="both", color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)

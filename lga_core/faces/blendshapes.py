"""Blendshapes of human faces over a clip: MediaPipe's 52 expression coefficients, as a plot and as a table.

No loss of this project sees them, so they can judge it: where words ask for a smile, mouthSmile has to rise.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from ..errors import InputError
from ..imaging.figures import dress, new_figure, plotted, say_frames, say_seconds
from ..shapes import Images
from .detection.mediapipe_landmarker import MediaPipeDetector

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE = 960, 480
"""Pixels of the plot."""
_COLORS = "#3b4cc0", "#d1603d", "#2a9d5c", "#8e44ad", "#c9a227", "#1b9aaa", "#7a4b2a", "#e05297"


@dataclass(frozen=True, eq=False)
class Expressions:
    """Blendshapes `values` [t 52] in 0..1 over a clip, by `names`; NaN in frames without a face.

    "Left" and "right" in a name are the person's own.
    """

    names: tuple[str, ...]
    values: Float[Tensor, "t 52"]

    def of(self, beginning: str) -> Float[Tensor, "t"]:
        """The mean over the blendshapes whose names begin so: "mouthSmile" is that of left and right."""
        columns = [column for column, name in enumerate(self.names) if name.startswith(beginning)]
        if not columns:
            raise InputError(f"There is no expression '{beginning}'. There are {', '.join(self.names)}.")
        return self.values[:, columns].mean(dim=1)

    def movers(self, count: int = 6) -> list[tuple[str, float]]:
        """The names that change most, the most first, and by how much: from their least to their greatest value."""
        seen = self.values[self.values.isfinite().all(dim=1)]
        if not len(seen):
            return []
        changes = seen.amax(dim=0) - seen.amin(dim=0)
        return [(self.names[i], changes[i].item()) for i in changes.argsort(descending=True)[:count].tolist()]

    def as_csv(self) -> str:
        """A table: a line of names, then a line for each frame; empty where no face was seen."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["frame", *self.names])
        for frame, row in enumerate(self.values.tolist()):
            writer.writerow([frame, *("" if math.isnan(value) else f"{value:.4f}" for value in row)])
        return text.getvalue()


def read_expressions(
    images: Images | Iterable[Images], model_file: Path, on_frame: Callable[[int], None] | None = None
) -> Expressions:
    """Expressions of the largest face in each frame, by the face landmarker `model_file`.

    `images` are [t 3 h w] in -1..1, or come one by one, [1 3 h w]. Faces may lie at any angle. `on_frame` is called
    with the number of frames done; what it raises stops.

    Raises InputError for a file that is not a face landmarker, and if no frame has a face.
    """
    frames = images.split(1) if isinstance(images, Tensor) else images
    rows: list[dict[str, float] | None] = []
    with MediaPipeDetector(Path(model_file)) as detector:
        for image in frames:
            rows.append(detector.blendshapes(image))
            if on_frame is not None:
                on_frame(len(rows))
    names = next((tuple(row) for row in rows if row is not None), None)
    if names is None:
        raise InputError(
            f"MediaPipe sees a human face in none of the {len(rows)} frames, so there are no expressions to read. Give "
            "frames that show one from the front."
        )
    values = [[math.nan] * len(names) if row is None else [row[name] for name in names] for row in rows]
    return Expressions(names, torch.tensor(values))


def plot_expressions(expressions: Expressions, title: str, fps: float, count: int = 6) -> Image.Image:
    """The `count` (8 at most) largest movers over time, RGB; gaps where no face is. Time as in `plot_motion`."""
    return plotted(lambda: _figure(expressions, title, fps, count))


def _figure(expressions: Expressions, title: str, fps: float, count: int) -> Figure:
    figure = new_figure(SIZE, title)
    axes = figure.subplots()
    dots = {"marker": "o", "markersize": 4} if len(expressions.values) <= 60 else {}
    for (name, _), color in zip(expressions.movers(min(count, len(_COLORS))), _COLORS, strict=False):
        heights = expressions.values[:, expressions.names.index(name)].tolist()
        axes.plot(range(len(heights)), heights, color=color, linewidth=2, label=name, **dots)
    axes.set(ylim=(-0.02, 1.02), ylabel="strength (blendshape)")
    dress(axes)
    say_frames(axes)
    say_seconds(axes, len(expressions.values), fps)
    if axes.lines:
        figure.legend(loc="outside right upper", frameon=False)
    return figure

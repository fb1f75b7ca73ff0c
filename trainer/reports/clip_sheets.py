"""Sheets of clips: a face a row, frames of its motion from left to right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from lga_core import Images, Motion, WPlus
from lga_core.imaging import evenly, fit_square

from .contact_sheets import drawn, sheet

NUM_SHOWN = 8
"""Frames of each clip on a sheet, evenly spaced, the first and the last among them."""


@torch.no_grad()
def clip_sheet(
    draw: Callable[[WPlus], Images],
    ws: WPlus,
    motion: Motion,
    path: Path,
    videos: Sequence[Float[Tensor, "t 3 h w"]] = (),
    size: int = 128,
) -> None:
    """The motions of faces `ws` [n num_ws w_dim], written as PNG; below them `videos` that were learned from."""
    chosen = evenly(motion.shape[1], NUM_SHOWN)
    rows = [drawn(draw, face + offsets[chosen], size) for face, offsets in zip(ws, motion, strict=True)]
    rows += [fit_square(video[evenly(len(video), NUM_SHOWN)].float(), size).cpu() for video in videos]
    captions = [f"face {index + 1}" for index in range(len(ws))]
    sheet(rows, [*captions, *[f"video {index + 1}, learned from" for index in range(len(videos))]], path)

"""Contact sheets of videos: one face per row, frames of its motion from left to right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from lga_core import Images, Motion, WPlus
from lga_core.imaging import evenly, fit_square

from .contact_sheets import sheet, synthesized

NUM_SHOWN = 8
"""Frames shown of each video, evenly spaced, including the first and the last."""


@torch.no_grad()
def clip_sheet(
    synthesize: Callable[[WPlus], Images],
    ws: WPlus,
    motion: Motion,
    path: Path,
    videos: Sequence[Float[Tensor, "t 3 h w"]] = (),
    size: int = 128,
) -> None:
    """Write the motions [n t num_ws w_dim] of faces `ws` [n num_ws w_dim] as PNG, with training videos below them."""
    chosen = evenly(motion.shape[1], NUM_SHOWN)
    rows = [synthesized(synthesize, face + offsets[chosen], size) for face, offsets in zip(ws, motion, strict=True)]
    rows += [fit_square(video[evenly(len(video), NUM_SHOWN)].float(), size).cpu() for video in videos]
    captions = [f"face {index + 1}" for index in range(len(ws))]
    captions += [f"training video {index + 1}" for index in range(len(videos))]
    sheet(rows, captions, path)

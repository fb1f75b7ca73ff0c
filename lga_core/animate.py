"""A face and a motion, drawn: synthesis(ws + motion), a few frames at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from .errors import MismatchError
from .shapes import Images, Motion, WPlus
from .stylegan2 import Generator


def frames(generator: Generator, ws: WPlus, motion: Motion, chunk: int = 8) -> Iterator[Images]:
    """Frames [k c h w] in -1..1 of the face `ws` [1 num_ws w_dim] under `motion` [1 t num_ws w_dim], k <= `chunk`.

    Lazy: a chunk is drawn when it is asked for, so that a clip of any length needs the memory of one chunk. Where the
    motion is zero the frame is the face itself. Raises MismatchError, at the call, if face, motion and generator differ
    in their number of style vectors or in their width.
    """
    rows = (generator.num_ws, generator.config.w_dim)
    if ws.shape != (1, *rows) or motion.shape[:1] != (1,) or motion.shape[2:] != rows:
        raise MismatchError(
            f"This generator draws one face of {rows[0]} style vectors of width {rows[1]}, but the face has shape "
            f"{list(ws.shape)} and the motion {list(motion.shape)}. Take face, motion and generator from one domain."
        )
    return _draw(generator, ws, motion, chunk)


def _draw(generator: Generator, ws: WPlus, motion: Motion, chunk: int) -> Iterator[Images]:
    for offsets in motion[0].split(chunk):  # [k num_ws w_dim]
        with torch.no_grad():
            images = generator.synthesis(ws + offsets)
        yield images

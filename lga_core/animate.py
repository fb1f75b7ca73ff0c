"""Faces and motions, drawn: synthesis(ws + motion), a few frames at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from .errors import DrawingError, MismatchError
from .shapes import Images, Motion, WPlus
from .stylegan2 import Generator, GeneratorConfig

MAX_CHUNK = 8
SHARE_OF_FREE_MEMORY = 0.5
PEAK_MAPS = 8
"""Feature maps of the widest layer that are alive at once while it works: measured 4 to 7, rounded up."""


def frames(
    generator: Generator, ws: WPlus, motion: Motion, chunk: int = 8, dtype: torch.dtype | None = None
) -> Iterator[Images]:
    """Frames [k c h w] in -1..1 of the face `ws` [1 num_ws w_dim] under `motion` [1 t num_ws w_dim], k <= `chunk`.

    Lazy: a chunk is drawn when it is asked for, so that a clip of any length needs the memory of one chunk. Where the
    motion is zero the frame is the face itself. `dtype` float16 or bfloat16 draws in half precision; a chunk that
    overflows then is drawn again in full.

    Raises MismatchError, at the call, if face, motion and generator differ in their number of style vectors or in their
    width, and DrawingError for a frame that full precision cannot draw either.
    """
    rows = (generator.num_ws, generator.config.w_dim)
    if ws.shape != (1, *rows) or motion.shape[:1] != (1,) or motion.shape[2:] != rows:
        raise MismatchError(
            f"This generator draws one face of {rows[0]} style vectors of width {rows[1]}, but the face has shape "
            f"{list(ws.shape)} and the motion {list(motion.shape)}. Take face, motion and generator from one domain."
        )
    return film(generator, ws, motion, chunk, dtype=dtype)


def film(
    generator: Generator,
    ws: WPlus,
    motion: Motion,
    chunk: int = 8,
    *,
    side_by_side: bool = True,
    dtype: torch.dtype | None = None,
) -> Iterator[Images]:
    """The frames of several faces `ws` [n num_ws w_dim] under `motion` [n or 1, t num_ws w_dim], in chunks as `frames`.

    `side_by_side` lays the faces of each moment out as one picture, row by row on a white ground (see `grid_shape`): t
    frames. Otherwise one face's clip follows the other's: n t frames. At most `chunk` faces are drawn at once.
    """
    n, t = len(ws), motion.shape[1]
    motion = motion.expand(n, -1, -1, -1)
    if not side_by_side or n == 1:
        for face, offsets in zip(ws, motion, strict=True):
            for part in offsets.split(chunk):  # [k num_ws w_dim]
                yield draw(generator, face + part, dtype)
        return
    for start in range(0, t, max(1, chunk // n)):
        moment = (ws[:, None] + motion[:, start : start + max(1, chunk // n)]).flatten(0, 1)  # [n k num_ws w_dim]
        drawn = torch.cat([draw(generator, part, dtype) for part in moment.split(chunk)])
        yield _laid_out(drawn.unflatten(0, (n, -1)))


def grid_shape(n: int) -> tuple[int, int]:
    """Rows and columns that n pictures are laid out in, as square as may be."""
    columns = math.ceil(math.sqrt(n))
    return math.ceil(n / columns), columns


def _laid_out(images: Images) -> Images:
    """Pictures [n k c h w] of n faces at k moments -> k pictures [k c rows*h columns*w]."""
    n, k, c, h, w = images.shape
    rows, columns = grid_shape(n)
    cells = images.new_ones(rows * columns, k, c, h, w)
    cells[:n] = images
    return cells.unflatten(0, (rows, columns)).permute(2, 3, 0, 4, 1, 5).reshape(k, c, rows * h, columns * w)


@torch.no_grad()
def draw(generator: Generator, ws: WPlus, dtype: torch.dtype | None = None) -> Images:
    """Pictures [n c h w] float32 of the faces `ws`; in half precision where `dtype` says so and where that suffices.

    Raises DrawingError if numbers come out that are none, which a screen would show as black.
    """
    if dtype not in (None, torch.float32):
        with torch.autocast(ws.device.type, dtype):
            images = generator.synthesis(ws).float()
        if torch.isfinite(images).all():
            return images
    with torch.autocast(ws.device.type, enabled=False):
        images = generator.synthesis(ws.to(generator.w_avg.dtype))
    if not torch.isfinite(images).all():
        bad = int((~torch.isfinite(images)).flatten(1).any(dim=1).sum())
        where = "the face or its motion" if not torch.isfinite(ws).all() else "the generator's sums"
        raise DrawingError(
            f"{bad} of {len(ws)} frames came out with values that are not numbers, in full precision too: they stem "
            f"from {where}. Use a smaller strength or another face; if every face fails, the generator's file is bad."
        )
    return images


def frame_bytes(config: GeneratorConfig, dtype: torch.dtype = torch.float32) -> int:
    """About how much memory drawing one frame takes, above the weights."""
    widest = max(config.channels(resolution) * resolution**2 for resolution in config.block_resolutions)
    return PEAK_MAPS * widest * dtype.itemsize


def chunk_size(config: GeneratorConfig, free_bytes: float, dtype: torch.dtype = torch.float32) -> int:
    """How many frames to draw at once: 1 to 8 (a person watches, and may cancel), in half of the free memory."""
    return max(1, min(MAX_CHUNK, int(free_bytes * SHARE_OF_FREE_MEMORY / frame_bytes(config, dtype))))

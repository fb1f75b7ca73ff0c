"""Faces and motions, drawn: synthesis(ws + motion), a few frames at a time."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator

import torch

from .errors import DrawingError, MismatchError
from .shapes import Images, Motion, WPlus
from .stylegan2.generator import Generator, GeneratorConfig
from .stylegan2.inference.engine import prepared

LOG = logging.getLogger(__name__)
MAX_CHUNK = 8
SHARE_OF_FREE_MEMORY = 0.5
PEAK_MAPS = 8
"""Feature maps of the widest layer that are alive at once while it works: measured 4 to 7, rounded up."""
PEAK_PICTURES = 6
"""Pictures of a frame that are alive at once, from its drawing to its encoding."""
BATCHED = 64
"""Resolution up to which a processor holds the feature maps of all frames of a chunk at once."""
FREE_IF_UNKNOWN = 2e9


def frames(
    generator: Generator, ws: WPlus, motion: Motion, chunk: int | None = None, dtype: torch.dtype | None = None
) -> Iterator[Images]:
    """Frames [k c h w] in -1..1 of the face `ws` [1 num_ws w_dim] under `motion` [1 t num_ws w_dim], k <= `chunk`.

    Lazy: a chunk is drawn when it is asked for, so that a clip of any length needs the memory of one chunk. Its size is
    chosen from the free memory unless it is given, and halved where that was too much. Where the motion is zero the
    frame is the face itself. `dtype` is as in `draw`.

    Raises MismatchError, at the call, if face, motion and generator differ in their number of style vectors or in their
    width, and DrawingError for a frame that full precision cannot draw either.
    """
    rows = (generator.num_ws, generator.config.w_dim)
    if ws.shape != (1, *rows) or motion.shape[:1] != (1,) or motion.shape[2:] != rows:
        raise MismatchError(
            f"This generator draws one face of {rows[0]} style vectors of width {rows[1]}, but the face has shape "
            f"{list(ws.shape)} and the motion {list(motion.shape)}. Take face, motion and generator from one domain."
        )
    return video_frames(generator, ws, motion, chunk, dtype=dtype)


def video_frames(
    generator: Generator,
    ws: WPlus,
    motion: Motion,
    chunk: int | None = None,
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
    drawn = ChunkedSynthesis.of(generator, ws, chunk, dtype)
    if not side_by_side or n == 1:
        for face, offsets in zip(ws, motion, strict=True):
            for part in offsets.split(drawn.chunk):  # [k num_ws w_dim]
                yield from drawn(face + part)
        return
    moments = max(1, drawn.chunk // n)
    for start in range(0, t, moments):
        faces = (ws[:, None] + motion[:, start : start + moments]).flatten(0, 1)  # [n k num_ws w_dim]
        yield _image_grid(torch.cat(list(drawn(faces))).unflatten(0, (n, -1)))


def frames_per_face(
    generator: Generator, ws: WPlus, motion: Motion, chunk: int | None = None, dtype: torch.dtype | None = None
) -> Iterator[Images]:
    """Frames [k c h w] of a face that is in motion already, as in a video: face i under the motion's frame i.

    ws: [t num_ws w_dim], the face's code in each frame. motion: [1 or t, any, num_ws w_dim]; where it is shorter its
    last frame holds, and where it is longer it is cut. Chunks are as in `frames`.
    """
    t = len(ws)
    moments = torch.arange(t, device=motion.device).clamp_max(motion.shape[1] - 1)
    own = torch.arange(t, device=motion.device) if len(motion) > 1 else torch.zeros_like(moments)
    yield from ChunkedSynthesis.of(generator, ws, chunk, dtype)(ws + motion[own, moments])


class ChunkedSynthesis:
    """Draws faces, at most `chunk` at once. The chunk is halved, for good, whenever memory does not suffice."""

    def __init__(self, generator: Generator, chunk: int, dtype: torch.dtype | None):
        self.generator, self.chunk, self.dtype = generator, chunk, dtype

    @classmethod
    def of(cls, generator: Generator, ws: WPlus, chunk: int | None, dtype: torch.dtype | None) -> ChunkedSynthesis:
        """With a chunk that the free memory allows, unless it is given."""
        return cls(generator, chunk or chunk_size(generator.config, free_bytes(ws.device), dtype, ws.device), dtype)

    def __call__(self, ws: WPlus) -> Iterator[Images]:
        start = 0
        while start < len(ws):
            images = self.attempt(ws[start : start + self.chunk])
            if images is not None:
                start += len(images)
                yield images

    def attempt(self, ws: WPlus) -> Images | None:
        """Pictures, or None where that takes more memory than there is, and fewer may take less."""
        try:
            return draw(self.generator, ws, self.dtype)
        except (MemoryError, RuntimeError) as err:
            if len(ws) == 1 or not out_of_memory(err):
                raise
        # Here, no longer in `except`, nothing refers to what the attempt had allocated.
        self.chunk = max(1, len(ws) // 2)
        LOG.warning("Memory does not suffice for %d frames at once: going on with %d.", len(ws), self.chunk)
        if ws.device.type == "cuda":
            torch.cuda.empty_cache()
        return None


def out_of_memory(err: BaseException) -> bool:
    """A processor's allocator raises a plain RuntimeError."""
    return isinstance(err, (MemoryError, torch.cuda.OutOfMemoryError)) or "allocate memory" in str(err)


def grid_shape(n: int) -> tuple[int, int]:
    """Rows and columns that n pictures are laid out in, as square as may be."""
    columns = math.ceil(math.sqrt(n))
    return math.ceil(n / columns), columns


def _image_grid(images: Images) -> Images:
    """Pictures [n k c h w] of n faces at k moments -> k pictures [k c rows*h columns*w]."""
    n, k, c, h, w = images.shape
    rows, columns = grid_shape(n)
    cells = images.new_ones(rows * columns, k, c, h, w)
    cells[:n] = images
    return cells.unflatten(0, (rows, columns)).permute(2, 3, 0, 4, 1, 5).reshape(k, c, rows * h, columns * w)


def draw(generator: Generator, ws: WPlus, dtype: torch.dtype | None = None) -> Images:
    """Pictures [n c h w] of the faces `ws`, by the generator's engine, on the device of `ws`, without gradients.

    `dtype` is the precision: None is full, float16 and bfloat16 are half (`fastest_dtype` names the device's best).
    What half precision cannot hold is drawn in full. Pictures are float32.

    Raises DrawingError if numbers come out that are none, which a screen would show as black.
    """
    full = torch.promote_types(generator.w_avg.dtype, torch.float32)
    images = prepared(generator, dtype or full, ws.device)(ws)
    if not images.sum().isfinite() and not images.isfinite().all():  # the sum is quick
        bad = int((~torch.isfinite(images)).flatten(1).any(dim=1).sum())
        where = "the face or its motion" if not torch.isfinite(ws).all() else "the generator's sums"
        raise DrawingError(
            f"{bad} of {len(ws)} frames came out with values that are not numbers, in full precision too: they stem "
            f"from {where}. Use a smaller strength or another face; if every face fails, the generator's file is bad."
        )
    return images


def frame_bytes(config: GeneratorConfig, dtype: torch.dtype | None = None, device: torch.device | str = "cpu") -> int:
    """About how much memory each frame of a chunk takes, above the weights.

    A processor draws large features frame by frame, and has small ones and pictures of all frames of a chunk.
    """
    on_card = torch.device(device).type != "cpu"
    sizes = [resolution for resolution in config.block_resolutions if on_card or resolution <= BATCHED]
    widest = max(config.channels(resolution) * resolution**2 for resolution in sizes)
    picture = config.img_channels * config.resolution**2 * torch.float32.itemsize
    return PEAK_MAPS * widest * (dtype or torch.float32).itemsize + PEAK_PICTURES * picture


def chunk_size(
    config: GeneratorConfig,
    free_bytes: float,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
) -> int:
    """How many frames to draw at once: 1 to 8 (a person watches, and may cancel), in half of the free memory."""
    return max(1, min(MAX_CHUNK, int(free_bytes * SHARE_OF_FREE_MEMORY / frame_bytes(config, dtype, device))))


def free_bytes(device: torch.device) -> float:
    """Memory that is free on `device`, in bytes; 2 GB where nobody says."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # torch's own, and free
        return float(torch.cuda.mem_get_info(device)[0] + kept)
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):  # Windows, macOS
        return FREE_IF_UNKNOWN

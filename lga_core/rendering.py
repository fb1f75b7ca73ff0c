"""Rendering: frames of faces in motion, synthesis(ws + motion), a few frames at a time."""

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
"""Feature maps of the largest layer in memory at once: measured 4 to 7, rounded up."""
PEAK_PICTURES = 6
"""Copies of a frame's image in memory at once, from synthesis to encoding."""
BATCHED = 64
"""Resolution up to which a CPU holds the feature maps of all frames of a chunk at once."""
FREE_IF_UNKNOWN = 2e9


def frames(
    generator: Generator, ws: WPlus, motion: Motion, chunk: int | None = None, dtype: torch.dtype | None = None
) -> Iterator[Images]:
    """Frames of one face in motion, lazily in chunks: images [k c h w] in -1..1, k <= `chunk`.

    A chunk is synthesised when it is requested: a clip of any length needs the memory of one chunk.

    Args:
        ws: the face, [1 num_ws w_dim].
        motion: offsets to its W+, [1 t num_ws w_dim]. A frame without offset is the face itself.
        chunk: frames at a time; None: chosen from the free memory. It is halved if memory does not suffice.
        dtype: precision, see `draw`.

    Raises MismatchError, at the call, if face, motion and generator have different shapes of W+, and DrawingError for a
    frame that is not finite in full precision.
    """
    rows = (generator.num_ws, generator.config.w_dim)
    if ws.shape != (1, *rows) or motion.shape[:1] != (1,) or motion.shape[2:] != rows:
        raise MismatchError(
            f"This generator needs one face of {rows[0]} style vectors of width {rows[1]}, but the face has shape "
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
    """Frames of several faces `ws` [n num_ws w_dim] with `motion` [n or 1, t num_ws w_dim], in chunks as `frames`.

    `side_by_side`: all faces of a moment in one image, a grid on white (see `grid_shape`), t frames in all. Otherwise
    one face's clip follows the other's, n t frames in all. At most `chunk` faces are synthesised at once.
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
    """Frames of a face that has its own code in each frame, as in an inverted video: code i with frame i of the motion.

    ws: [t num_ws w_dim], the face's code in each frame. motion: [1 or t, any, num_ws w_dim]; a shorter one repeats its
    last frame, a longer one is cut. Returns chunks [k c h w] as `frames`.
    """
    t = len(ws)
    moments = torch.arange(t, device=motion.device).clamp_max(motion.shape[1] - 1)
    own = torch.arange(t, device=motion.device) if len(motion) > 1 else torch.zeros_like(moments)
    yield from ChunkedSynthesis.of(generator, ws, chunk, dtype)(ws + motion[own, moments])


class ChunkedSynthesis:
    """Synthesis of at most `chunk` faces at once. The chunk is halved permanently if memory does not suffice."""

    def __init__(self, generator: Generator, chunk: int, dtype: torch.dtype | None):
        self.generator, self.chunk, self.dtype = generator, chunk, dtype

    @classmethod
    def of(cls, generator: Generator, ws: WPlus, chunk: int | None, dtype: torch.dtype | None) -> ChunkedSynthesis:
        """With the given chunk, or one that fits into the free memory."""
        return cls(generator, chunk or chunk_size(generator.config, free_bytes(ws.device), dtype, ws.device), dtype)

    def __call__(self, ws: WPlus) -> Iterator[Images]:
        start = 0
        while start < len(ws):
            images = self.attempt(ws[start : start + self.chunk])
            if images is not None:
                start += len(images)
                yield images

    def attempt(self, ws: WPlus) -> Images | None:
        """Images, or None if memory did not suffice and fewer frames may need less."""
        try:
            return draw(self.generator, ws, self.dtype)
        except (MemoryError, RuntimeError) as err:
            if len(ws) == 1 or not out_of_memory(err):
                raise
        # Outside of `except` nothing refers to the memory of the attempt.
        self.chunk = max(1, len(ws) // 2)
        LOG.warning("Out of memory with %d frames at once: continuing with %d.", len(ws), self.chunk)
        if ws.device.type == "cuda":
            torch.cuda.empty_cache()
        return None


def out_of_memory(err: BaseException) -> bool:
    """Whether an exception means out of memory; on a CPU that is a plain RuntimeError."""
    return isinstance(err, (MemoryError, torch.cuda.OutOfMemoryError)) or "allocate memory" in str(err)


def grid_shape(n: int) -> tuple[int, int]:
    """Rows and columns of a nearly square grid of n images."""
    columns = math.ceil(math.sqrt(n))
    return math.ceil(n / columns), columns


def _image_grid(images: Images) -> Images:
    """Images [n k c h w] of n faces at k moments -> grids [k c rows*h columns*w]."""
    n, k, c, h, w = images.shape
    rows, columns = grid_shape(n)
    cells = images.new_ones(rows * columns, k, c, h, w)
    cells[:n] = images
    return cells.unflatten(0, (rows, columns)).permute(2, 3, 0, 4, 1, 5).reshape(k, c, rows * h, columns * w)


def draw(generator: Generator, ws: WPlus, dtype: torch.dtype | None = None) -> Images:
    """Images of faces: ws [n num_ws w_dim] -> [n c h w] in -1..1, float32, by the inference engine, without gradients.

    dtype: precision; None is full, float16 and bfloat16 are half (`fastest_dtype` gives the device's best). Frames that
    overflow half precision are synthesised in full precision.

    Raises DrawingError for images that are not finite, which a screen would show as black.
    """
    full = torch.promote_types(generator.w_avg.dtype, torch.float32)
    images = prepared(generator, dtype or full, ws.device)(ws)
    if not images.sum().isfinite() and not images.isfinite().all():  # the sum is quick
        bad = int((~torch.isfinite(images)).flatten(1).any(dim=1).sum())
        where = "the face or its motion" if not torch.isfinite(ws).all() else "overflow in the generator"
        raise DrawingError(
            f"{bad} of {len(ws)} frames have values that are not finite, in full precision too; the cause is {where}. "
            "Use a smaller strength or another face. If every face fails, the generator's file is damaged."
        )
    return images


def frame_bytes(config: GeneratorConfig, dtype: torch.dtype | None = None, device: torch.device | str = "cpu") -> int:
    """Estimated memory of each frame of a chunk, in bytes, without the weights.

    A CPU holds high-resolution features of one frame, and low-resolution features and images of all frames of a chunk.
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
    """Frames to synthesise at once, in half of the free memory: 1 to 8, so that cancelling is quick."""
    return max(1, min(MAX_CHUNK, int(free_bytes * SHARE_OF_FREE_MEMORY / frame_bytes(config, dtype, device))))


def free_bytes(device: torch.device) -> float:
    """Free memory of `device`, in bytes; 2 GB if it is unknown."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # reserved by torch, unused
        return float(torch.cuda.mem_get_info(device)[0] + kept)
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):  # Windows, macOS
        return FREE_IF_UNKNOWN

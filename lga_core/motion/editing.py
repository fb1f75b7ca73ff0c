"""Edits of motions: intensity over time, speed, loops, and blends of two motions.

A motion is a tensor of offsets to a face's W+, [n t num_ws w_dim]. An intensity curve is a product per frame, a change
of speed interpolates between frames. No function changes its inputs; results have their dtype and device.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError, MismatchError
from ..shapes import Motion
from .keyframes import EASES

LEAST_FLANK, MOST_FLANK = 3, 12
"""Frames that a loop takes to return to its first frame, at least (where the clip has room for them) and at most."""


def scale(motion: Motion, curve: Float[Tensor, "t"]) -> Motion:
    """Each frame times its value of `curve`."""
    return motion * curve.to(motion)[:, None, None]


def retime(motion: Motion, positions: Float[Tensor, "k"]) -> Motion:
    """The motion at fractional frame numbers, [n k num_ws w_dim]: linear between frames, exact at whole ones.

    Beyond its ends the motion goes on as between its two frames there; a motion of one frame stays.
    """
    num_frames = motion.shape[1]
    positions = positions.to(motion.device)
    if num_frames == 1:
        return motion[:, torch.zeros_like(positions, dtype=torch.long)]
    before = positions.floor().long().clamp(0, num_frames - 2)
    # lerp is exact for the weights 0 and 1, and between two equal frames.
    return torch.lerp(motion[:, before], motion[:, before + 1], (positions - before).to(motion)[:, None, None])


def stretch(motion: Motion, num_frames: int) -> Motion:
    """The same motion in `num_frames` frames, evenly spread, the first and the last kept exactly.

    One frame is the first one. Raises InputError for fewer.
    """
    if num_frames < 1:
        raise InputError(f"A motion of {num_frames} frames was asked for; it needs at least 1.")
    whole = torch.arange(num_frames, dtype=torch.float64) * (motion.shape[1] - 1)
    return retime(motion, whole / max(num_frames - 1, 1))


def speed(motion: Motion, factor: float) -> Motion:
    """The motion `factor` times as fast: round((t - 1) / factor) + 1 frames, the first and the last kept exactly.

    More than one frame never become one. Raises InputError unless the factor is positive.
    """
    if not 0 < factor < math.inf:
        raise InputError(f"The speed is {factor}; it must be more than 0. 2 is twice as fast, 0.5 half as fast.")
    last = motion.shape[1] - 1
    return stretch(motion, max(round(last / factor), min(last, 1)) + 1)


def inbetween(motion: Motion, steps: int) -> Motion:
    """`steps` frames put between each two, (t - 1) (steps + 1) + 1 in all; raises InputError for fewer than 0."""
    if steps < 0:
        raise InputError(f"{steps} frames between each two were asked for; it must be 0 or more.")
    return stretch(motion, (motion.shape[1] - 1) * (steps + 1) + 1)


def loop(motion: Motion, fade: float = 0.25) -> Motion:
    """A motion of as many frames that repeats without a jump: the frame after its last would be its first.

    m(0) + W(i) (m(i) - m(0)), with W a window that rises from 0 at i = 0 to 1 and falls to 0 again at i = t, flat at
    both ends. Each flank takes the share `fade` of the clip: no more than twelve frames, so that of a long story only
    the ends are touched, and no fewer than three where there are six, so that a motion that does not speed up returns
    without a step larger than those within it (of 3 frames, none can). The first frame is unchanged, and so are those
    between the flanks.

    Raises InputError for a `fade` outside 0..0.5.
    """
    if not 0 <= fade <= 0.5:
        raise InputError(f"The fade of a loop is {fade}; it must be from 0 to 0.5, the share of the clip for each end.")
    num_frames = motion.shape[1]
    flank = min(max(min(fade * num_frames, MOST_FLANK), LEAST_FLANK), num_frames / 2)
    frames = torch.arange(num_frames, dtype=torch.float64)
    to_the_seam = torch.minimum(frames, num_frames - frames)
    window = EASES["ease in and out"]((to_the_seam / flank).clamp(max=1))
    return torch.lerp(motion[:, :1], motion, window.to(motion)[:, None, None])


def ping_pong(motion: Motion) -> Motion:
    """There and back: 2 t - 2 frames that repeat without doubled ends (1 and 2 frames stay as they are)."""
    return torch.cat([motion, motion[:, 1:-1].flip(1)], dim=1)


def blend(a: Motion, b: Motion, amount: float) -> Motion:
    """(1 - amount) a + amount b, frame by frame; exactly `a` at 0 and `b` at 1.

    The shorter one holds its last frame. A motion for one face goes with one for many.
    Raises MismatchError for motions of generators with other rows or widths, and for different numbers of faces.
    """
    a, b = _broadcast(a, b)
    return torch.lerp(a, b, amount)


def add(a: Motion, b: Motion, amount: float = 1.0) -> Motion:
    """a + amount b, frame by frame; lengths, faces and errors as for `blend`."""
    a, b = _broadcast(a, b)
    return a + amount * b


def _broadcast(a: Motion, b: Motion) -> tuple[Motion, Motion]:
    """Both with the dtype and device of `a`, the same faces and the same number of frames."""
    a, b = broadcast_faces(a, b)
    num_frames = max(a.shape[1], b.shape[1])
    return _pad_with_last_frame(a, num_frames), _pad_with_last_frame(b, num_frames)


def broadcast_faces(a: Motion, b: Motion) -> tuple[Motion, Motion]:
    if a.shape[2:] != b.shape[2:]:
        raise MismatchError(
            f"One has {a.shape[2]} style vectors of width {a.shape[3]}, the other {b.shape[2]} of width {b.shape[3]}: "
            "they were made for different generators. Take both from one domain."
        )
    n = max(len(a), len(b))
    if {len(a), len(b)} - {1, n}:
        raise MismatchError(
            f"One is of {len(a)} faces, the other of {len(b)}. Both need the same number, or one of them 1."
        )
    return a.expand(n, -1, -1, -1), b.to(a).expand(n, -1, -1, -1)


def _pad_with_last_frame(motion: Motion, num_frames: int) -> Motion:
    """The motion with its last frame repeated until there are `num_frames`."""
    last = motion[:, -1:].expand(-1, num_frames - motion.shape[1], -1, -1)
    return torch.cat([motion, last], dim=1)


def rms_offsets(motion: Motion) -> Float[Tensor, "n t num_ws"]:
    """How far each row of each frame is from the face: root mean square of its offset, in units of w."""
    return torch.linalg.vector_norm(motion, dim=-1) / math.sqrt(motion.shape[-1])


def rms_steps(motion: Motion) -> Float[Tensor, "n t-1 num_ws"]:
    """How far each row moves from each frame to the next: root mean square, in units of w."""
    return rms_offsets(motion.diff(dim=1))

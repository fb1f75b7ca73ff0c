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
    """Intensity over time: each frame times its value of `curve` [t]."""
    return motion * curve.to(motion)[:, None, None]


def retime(motion: Motion, positions: Float[Tensor, "k"]) -> Motion:
    """The motion at fractional frame numbers `positions` [k], [n k num_ws w_dim]: interpolated, exact at whole numbers.

    Beyond both ends it is extrapolated linearly; a motion of one frame is repeated.
    """
    num_frames = motion.shape[1]
    positions = positions.to(motion.device)
    if num_frames == 1:
        return motion[:, torch.zeros_like(positions, dtype=torch.long)]
    before = positions.floor().long().clamp(0, num_frames - 2)
    # lerp is exact for the weights 0 and 1, and between two equal frames.
    return torch.lerp(motion[:, before], motion[:, before + 1], (positions - before).to(motion)[:, None, None])


def stretch(motion: Motion, num_frames: int) -> Motion:
    """The same motion resampled to `num_frames` frames, evenly spaced, first and last frame exact.

    One frame is the first frame. Raises InputError for fewer.
    """
    if num_frames < 1:
        raise InputError(f"num_frames is {num_frames}; a motion needs at least 1 frame.")
    whole = torch.arange(num_frames, dtype=torch.float64) * (motion.shape[1] - 1)
    return retime(motion, whole / max(num_frames - 1, 1))


def speed(motion: Motion, factor: float) -> Motion:
    """The motion `factor` times as fast: round((t - 1) / factor) + 1 frames, first and last frame exact.

    Two or more frames stay at least two. Raises InputError unless the factor is positive.
    """
    if not 0 < factor < math.inf:
        raise InputError(f"The speed factor is {factor}; it must be above 0. 2 is twice as fast, 0.5 half as fast.")
    last = motion.shape[1] - 1
    return stretch(motion, max(round(last / factor), min(last, 1)) + 1)


def inbetween(motion: Motion, steps: int) -> Motion:
    """Interpolate `steps` frames between each two: (t - 1) (steps + 1) + 1 frames. Raises InputError below 0."""
    if steps < 0:
        raise InputError(f"The number of in-between frames is {steps}; it must be 0 or more.")
    return stretch(motion, (motion.shape[1] - 1) * (steps + 1) + 1)


def loop(motion: Motion, fade: float = 0.25) -> Motion:
    """A seamless loop of the same number of frames: the frame after the last is the first again.

    m(0) + W(i) (m(i) - m(0)), with a window W that rises from 0 at i = 0 to 1 and falls to 0 at i = t, with slope 0 at
    both ends. Each flank takes the share `fade` of the clip: at most 12 frames, so that a long clip changes at its ends
    only, and at least 3 if there are 6, so that no step is larger than those of a steady motion (impossible with 3
    frames). The first frame and the frames between the flanks are unchanged.

    Raises InputError for a `fade` outside 0..0.5.
    """
    if not 0 <= fade <= 0.5:
        raise InputError(
            f"The fade of the loop is {fade}; it must be from 0 to 0.5, the share of the clip at each end."
        )
    num_frames = motion.shape[1]
    flank = min(max(min(fade * num_frames, MOST_FLANK), LEAST_FLANK), num_frames / 2)
    frames = torch.arange(num_frames, dtype=torch.float64)
    to_the_seam = torch.minimum(frames, num_frames - frames)
    window = EASES["ease in and out"]((to_the_seam / flank).clamp(max=1))
    return torch.lerp(motion[:, :1], motion, window.to(motion)[:, None, None])


def ping_pong(motion: Motion) -> Motion:
    """Forward, then backward: 2 t - 2 frames that loop without doubled end frames (1 and 2 frames are unchanged)."""
    return torch.cat([motion, motion[:, 1:-1].flip(1)], dim=1)


def blend(a: Motion, b: Motion, amount: float) -> Motion:
    """Linear blend of two motions, (1 - amount) a + amount b, frame by frame; exactly `a` at 0 and `b` at 1.

    The shorter motion repeats its last frame. A motion of one face is broadcast to the faces of the other.
    Raises MismatchError for different shapes of W+ and for different numbers of faces.
    """
    a, b = _broadcast(a, b)
    return torch.lerp(a, b, amount)


def add(a: Motion, b: Motion, amount: float = 1.0) -> Motion:
    """Sum of two motions, a + amount b, frame by frame; lengths, faces and errors as in `blend`."""
    a, b = _broadcast(a, b)
    return a + amount * b


def _broadcast(a: Motion, b: Motion) -> tuple[Motion, Motion]:
    """Both motions with the dtype and device of `a`, broadcast to the same faces and number of frames."""
    a, b = broadcast_faces(a, b)
    num_frames = max(a.shape[1], b.shape[1])
    return _pad_with_last_frame(a, num_frames), _pad_with_last_frame(b, num_frames)


def broadcast_faces(a: Motion, b: Motion) -> tuple[Motion, Motion]:
    """Both motions with the dtype and device of `a`; one face is broadcast to the other's. Raises MismatchError."""
    if a.shape[2:] != b.shape[2:]:
        raise MismatchError(
            f"One has {a.shape[2]} style vectors of width {a.shape[3]}, the other {b.shape[2]} of width {b.shape[3]}: "
            "they belong to different generators. Take both from one domain."
        )
    n = max(len(a), len(b))
    if {len(a), len(b)} - {1, n}:
        raise MismatchError(
            f"One has {len(a)} faces, the other {len(b)}. Both need the same number of faces, or one of them 1."
        )
    return a.expand(n, -1, -1, -1), b.to(a).expand(n, -1, -1, -1)


def _pad_with_last_frame(motion: Motion, num_frames: int) -> Motion:
    """The motion with its last frame repeated up to `num_frames` frames."""
    last = motion[:, -1:].expand(-1, num_frames - motion.shape[1], -1, -1)
    return torch.cat([motion, last], dim=1)


def rms_offsets(motion: Motion) -> Float[Tensor, "n t num_ws"]:
    """Distance of each row of each frame from the face: root mean square of the offset, in units of w."""
    return torch.linalg.vector_norm(motion, dim=-1) / math.sqrt(motion.shape[-1])


def rms_steps(motion: Motion) -> Float[Tensor, "n t-1 num_ws"]:
    """Distance of each row from one frame to the next: root mean square, in units of w."""
    return rms_offsets(motion.diff(dim=1))

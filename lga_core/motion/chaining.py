"""Chaining: one expression after another, in one motion (Hang et al. 2023, Fig. 7)."""

import torch

from ..errors import InputError
from ..shapes import Motion
from .editing import broadcast_faces, retime
from .keyframes import ease_function


def chain(
    previous: Motion | None, path: Motion, *, hold: int = 0, ease: str = "ease in and out", accumulate: bool = False
) -> Motion:
    """`previous`, then the transition to the expression at the end of `path`, then `hold` frames of it.

    Args:
        previous: the motion so far, [n t num_ws w_dim]; None: the clip begins with the first frame of `path`.
        path: [n k+1 num_ws w_dim], the motion of the expression alone, from the source face (frame 0). It adds k
            frames, timed by `ease`. k = 0 adds none: a cut, visible if `hold` is 1 or more.
        hold: number of frames for which the expression is held.
        ease: name in `EASES`.
        accumulate: False replaces the previous expression: with P the last frame of `previous`, e = ease(i / k) and
            f = min(e, 1), frame i is (1 - f) P + path(e k) - (1 - f) path(0), which ends exactly at path(k) after any
            number of expressions. True adds to it: P + path(e k) - (1 - f) path(0).

    Raises InputError for a negative `hold` and an unknown ease, MismatchError as `blend`.
    """
    if hold < 0:
        raise InputError(f"The number of frames to hold is {hold}; it must be 0 or more.")
    curve, num_steps = ease_function(ease), path.shape[1] - 1
    if previous is not None:
        previous, path = broadcast_faces(previous, path)
    eased = curve(torch.arange(num_steps + 1, dtype=torch.float64) / max(num_steps, 1))
    way, end = retime(path, eased * num_steps), path[:, -1:]
    if previous is not None:
        start, rest = previous[:, -1:], (1 - eased.clamp(0, 1)).to(path)[:, None, None]
        way = (start if accumulate else rest * start) + way - rest * path[:, :1]
        end = start + end if accumulate else end
        way = torch.cat([previous, way[:, 1:]], dim=1)
    return torch.cat([way, end.expand(-1, hold, -1, -1)], dim=1)


def neutral(
    previous: Motion | None, num_steps: int, num_ws: int, w_dim: int, *, hold: int = 0, ease: str = "ease in and out"
) -> Motion:
    """`previous`, then `num_steps` frames back to the source face, where the offset is zero, then `hold` frames.

    Without `previous` the face is still from the first frame on. Errors as in `chain`.
    """
    if num_steps < 0:
        raise InputError(f"The number of transition frames is {num_steps}; it must be 0 or more.")
    return chain(previous, torch.zeros(1, num_steps + 1, num_ws, w_dim), hold=hold, ease=ease)

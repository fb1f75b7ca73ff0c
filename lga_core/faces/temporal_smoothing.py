"""Temporal smoothing of tracks, such as a face's position in each frame of a video: fill gaps, remove jitter."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

Track = Float[Tensor, "t k"]  # k numbers for each frame


def unwrapped(angles: Float[Tensor, "t"]) -> Float[Tensor, "t"]:
    """Angles in radians without the jumps by whole turns: each within half a turn of the one before."""
    turns = torch.round(angles.diff() / (2 * math.pi)).cumsum(dim=0)
    return torch.cat([angles[:1], angles[1:] - 2 * math.pi * turns])


def filled(track: Track, known: Bool[Tensor, "t"]) -> Track:
    """A track whose frames that are not `known` lie on the straight way between the nearest that are.

    Before the first known frame and after the last it stands still. At least one must be known.
    """
    index = known.nonzero().flatten()
    t = torch.arange(len(track), device=track.device)
    after = torch.searchsorted(index, t).clamp_max(len(index) - 1)
    before = (after - 1).clamp_min(0)
    way = (index[after] - index[before]).clamp_min(1)
    share = ((t - index[before]) / way).clamp(0, 1).to(track)
    return torch.lerp(track[index[before]], track[index[after]], share[:, None])


def smoothed(track: Track, sigma: float) -> Track:
    """Each frame as the straight line through the frames around it says, fitted with Gaussian weights.

    `sigma` is in frames, 0 leaves the track as it is. A line stays a line, up to both ends: nothing lags. (Local linear
    regression: Cleveland 1979, "Robust Locally Weighted Regression", without the robust weights.)
    """
    if sigma <= 0 or len(track) == 1:
        return track
    radius = min(math.ceil(4 * sigma), len(track) - 1)
    ago = torch.arange(-radius, radius + 1, device=track.device, dtype=torch.float64)
    weight = torch.exp(-0.5 * (ago / sigma) ** 2)
    values = track.double()
    ones = torch.ones_like(values[:, :1])
    total, first, second = (_around(ones, weight * ago**power) for power in range(3))
    mean, slope = (_around(values, weight * ago**power) for power in range(2))
    return ((second * mean - first * slope) / (total * second - first**2).clamp_min(1e-12)).to(track)


def _around(track: Track, kernel: Float[Tensor, "window"]) -> Track:
    """For each frame the sum of the frames around it, weighed by `kernel`; there is nothing beyond the ends."""
    return F.conv1d(track.T[:, None], kernel[None, None], padding=len(kernel) // 2)[:, 0].T

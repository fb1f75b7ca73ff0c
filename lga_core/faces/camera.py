"""A camera that moves over a still photo, as the squares that it sees: a video to try face tracking with."""

from __future__ import annotations

import torch

from .alignment import Alignment


def handheld_camera(
    num_frames: int,
    center: tuple[float, float],
    half_side: float,
    height: int,
    width: int,
    drift: tuple[float, float] = (40.0, 25.0),
    zoom: float = 25.0,
    turn: float = 0.08,
) -> Alignment:
    """What a hand-held camera sees in each frame of a loop over a photo of `height` x `width` pixels.

    Args:
        centre: x and y of the point it circles, in pixels.
        half_side: half the side of the first square, in pixels.
        drift: radii of the circle, across and down, in pixels.
        zoom: how much `half_side` grows until the middle of the loop, in pixels.
        turn: how far it turns to either side, in radians.
    """
    time = torch.pi * torch.linspace(0, 1, num_frames)
    x, y = center[0] + drift[0] * (2 * time).sin(), center[1] + drift[1] * (2 * time).cos()
    half, angle = half_side + zoom * time.sin(), turn * (2 * time).sin()
    axis = half[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
    return Alignment(torch.stack([x, y], dim=1), axis, height, width)

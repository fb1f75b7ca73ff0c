"""Dense coarse-to-fine optical flow between two images, warping, and a mask of what the flow explains.

Lucas & Kanade 1981, "An Iterative Image Registration Technique", on a pyramid, with Gaussian windows.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..shapes import Images, Mask
from .filters import blur, cell_centers, resized, smoothstep

Flow = Float[Tensor, "n 2 h w"]  # right and down, in halves of the picture's side

COARSEST = 16
"""Side, in pixels, of the pyramid's smallest picture."""
STEPS = 3
"""Corrections at each size."""
WINDOW = 2.0
"""Standard deviation, in pixels, of the surroundings that move alike."""
STIFFNESS = 1e-2
"""Squared slope, per pixel, below which a place has too little to be seen by, and stays."""
SAME, OTHER = 0.1, 0.4
"""Differences in -1..1 up to which two pictures show the same thing, and from which on they show another."""


def estimate_flow(rest: Images, frames: Images) -> Flow:
    """For each point of `frames` [n c h w] how far away it lies in `rest` [n c h w]: none where the two are equal."""
    field = rest.new_zeros(len(frames), 2, 1, 1)
    for size in _sizes(frames.shape[-1]):
        still, moved = resized(rest, (size, size)), resized(frames, (size, size))
        field = F.interpolate(field, (size, size), mode="bilinear")
        for _ in range(STEPS):
            field = blur(field + _correction(warped(still, field), moved), 1.0)
    return field


def _sizes(size: int) -> list[int]:
    """From coarse to fine, each about twice the one before."""
    sizes = [size]
    while sizes[0] >= 2 * COARSEST:
        sizes.insert(0, sizes[0] // 2)
    return sizes


def _correction(still: Images, moved: Images) -> Flow:
    """One step towards the flow that takes `still` to `moved`: least squares over each point's surroundings.

    At most a pixel: a linear guess holds no further.
    """
    right, down = _slopes(still)
    left = moved - still
    products = (right * right, right * down, down * down, right * left, down * left)
    sums = blur(torch.stack([product.sum(dim=1) for product in products], dim=1), WINDOW)  # [n 5 h w]
    rr, rd, dd, rl, dl = sums.unbind(dim=1)
    rr, dd = rr + STIFFNESS, dd + STIFFNESS
    pixels = torch.stack([dd * rl - rd * dl, rr * dl - rd * rl], dim=1) / (rr * dd - rd * rd)[:, None]
    return pixels.clamp(-1, 1) * (2 / still.shape[-1])


def _slopes(images: Images) -> tuple[Images, Images]:
    """How pictures change per pixel, to the right and down."""
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    right = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    return right, (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2


def warped(images: Images, field: Flow) -> Images:
    """Pictures [n c h w] of which each point comes from where `field`, of the same size, says."""
    h, w = images.shape[-2:]
    down, right = cell_centers(h, images), cell_centers(w, images)
    places = torch.stack([right.expand(h, w), down[:, None].expand(h, w)], dim=-1) + field.movedim(1, -1)
    return F.grid_sample(images, places, mode="bicubic", padding_mode="border", align_corners=False)


def agreement(a: Images, b: Images) -> Mask:
    """Where two pictures show the same thing: 1 where they are alike, 0 where they are not, smooth between."""
    apart = (a - b).abs().amax(dim=1, keepdim=True)
    apart = blur(apart, a.shape[-1] / 128)
    return 1 - smoothstep((apart - SAME) / (OTHER - SAME))

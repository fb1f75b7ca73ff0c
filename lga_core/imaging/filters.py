"""Gaussian blur, resampling and smoothstep, shared by alignment, blending and detail transfer."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..shapes import Images

WIDEST = 6.0
"""Standard deviation, in pixels, above which a picture is shrunk before it is blurred: nothing is lost by that."""


def blur(images: Images, sigma: float) -> Images:
    """Pictures [n c h w] under a Gaussian of `sigma` pixels; beyond their borders they go on as at the border.

    0 leaves them as they are. Cheap for any sigma: a wide blur is done on a smaller picture.
    """
    shrink = math.floor(2 * sigma / WIDEST) if sigma > WIDEST else 1
    if shrink > 1:
        h, w = images.shape[-2:]
        small = (math.ceil(h / shrink), math.ceil(w / shrink))
        left = math.sqrt(sigma**2 - (shrink**2 - 1) / 12)  # the mean over a cell is a blur too
        return F.interpolate(blur(resized(images, small), left / shrink), (h, w), mode="bilinear")
    radius = math.ceil(3 * sigma)
    if radius < 1:
        return images
    steps = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    kernel = torch.softmax(-(steps**2) / (2 * sigma**2), dim=0)
    return _along(_along(images, kernel, 2), kernel, 3)


def _along(images: Images, kernel: torch.Tensor, axis: int) -> Images:
    """Pictures convolved along one axis with the odd, symmetric `kernel`."""
    n, c, h, w = images.shape
    shape = [1, 1, 1, 1]
    shape[axis] = len(kernel)
    pad = [0, 0, 0, 0]
    pad[2 * (3 - axis) : 2 * (3 - axis) + 2] = [len(kernel) // 2] * 2
    padded = F.pad(images, pad, mode="replicate")
    return F.conv2d(padded.flatten(0, 1)[:, None], kernel.reshape(shape)).reshape(n, c, h, w)


def resized(images: Images, size: tuple[int, int]) -> Images:
    """Pictures at another height and width: cell means where they shrink, bicubic where they grow; antialiased."""
    h, w = images.shape[-2:]
    if (h, w) == size:
        return images
    if size[0] <= h and size[1] <= w:
        return F.interpolate(images, size, mode="bilinear", antialias=True)
    return F.interpolate(images, size, mode="bicubic", antialias=True)


def smoothstep(x: torch.Tensor) -> torch.Tensor:
    """0 up to 0, 1 from 1 on, and a smooth way between."""
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)


def cell_centers(num: int, like: Tensor) -> Float[Tensor, "num"]:
    """Where the centres of `num` pixels lie between -1 and 1."""
    return (2 * torch.arange(num, device=like.device, dtype=like.dtype) + 1) / num - 1

"""Pictures in and out: files and [n h w c] in 0..1 on the outside, [n c h w] in -1..1 inside. The only converter."""

from __future__ import annotations

import torch.nn.functional as F

from .shapes import Images


def fit_square(images: Images, size: int) -> Images:
    """Pictures cropped to their central square and resized to `size` pixels, bicubic and antialiased."""
    h, w = images.shape[-2:]
    side = min(h, w)
    top, left = (h - side) // 2, (w - side) // 2
    images = images[..., top : top + side, left : left + side]
    if side == size:
        return images
    return F.interpolate(images, (size, size), mode="bicubic", antialias=True, align_corners=False)

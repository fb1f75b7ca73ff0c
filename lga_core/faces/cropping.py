"""Crop the aligned square from its image."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import reduce
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError, MismatchError
from ..imaging.filters import blur, cell_centers
from ..shapes import Images
from .alignment import Alignment

MOST_SAMPLES = 1 << 20
"""Points that are read from a picture at once: bounds memory, whatever the picture's size."""
FADE, MARGIN, SOFT = 0.3, 0.1, 0.02
"""FFHQ's border, in sides of the square: the least way to the median colour, what it goes on beyond the square, and the
standard deviation of the blur."""


def crop(images: Images, alignment: Alignment, size: int) -> Images:
    """The squares of the pictures [n 3 h w], drawn upright as [n 3 size size].

    Each pixel is the mean over its place in the picture, so that a strong reduction does not flicker; a square smaller
    than `size` is enlarged, bicubic. What lies beyond the border is the picture's mirror image, which
    blurs and fades to the median colour with the distance; the picture's own pixels stay as they are. One alignment
    serves many pictures and the reverse.

    Raises InputError for a size below 1 or a missing square, MismatchError for pictures of another size or number.
    """
    n = num_squares(images, alignment)
    if size < 1:
        raise InputError(f"A face of {size} pixels was asked for; give 1 or more.")
    squares = images.new_empty(n, images.shape[1], size, size)
    for i in range(n):
        one = alignment.part(i, i + 1).like(images)
        image = images[i : i + 1] if len(images) > 1 else images
        squares[i : i + 1] = _faded(_read(image, one, size), one)
    return squares


def num_squares(images: Images, alignment: Alignment) -> int:
    """How many faces the alignment finds in the pictures. Raises MismatchError or InputError if the two do not fit."""
    if images.shape[-2:] != (alignment.height, alignment.width):
        raise MismatchError(
            f"The face was aligned in a picture of {alignment.width} x {alignment.height} pixels, but this one has "
            f"{images.shape[-1]} x {images.shape[-2]}. Use the picture that the alignment was made from."
        )
    if len(images) != len(alignment) and 1 not in (len(images), len(alignment)):
        raise MismatchError(
            f"{len(images)} pictures came with alignments for {len(alignment)}. Align the very frames that are used."
        )
    if missing := (~alignment.found).nonzero().flatten().tolist():
        raise InputError(
            f"Of {len(alignment)} frames {len(missing)} have no face, the first of them frame {missing[0]}. Smooth the "
            "alignment, which fills them in from their neighbours, or leave these frames out."
        )
    return max(len(images), len(alignment))


def _read(image: Images, one: Alignment, size: int) -> Images:
    """The square [1 c size size] of one picture, in strips: means over samples that are at most a pixel apart."""
    finer = max(1, math.ceil(float(one.side) / size - 1e-3))
    mode = "bilinear" if finer > 1 else "bicubic"
    rows = max(1, MOST_SAMPLES // (size * finer**2))
    fine = cell_centers(size * finer, image)
    strips = []
    for part in fine.split(rows * finer):
        samples = F.grid_sample(image, _grid(one, part, fine), mode, padding_mode="reflection", align_corners=False)
        strips.append(_block_means(samples, finer) if finer > 1 else samples)
    return torch.cat(strips, dim=2).clamp(-1, 1)


def _block_means(samples: Images, edge: int) -> Images:
    """The mean of every block of `edge` x `edge` samples.

    `mean` adds in a tree; `avg_pool2d` adds one by one, which over a block of 350 x 350 loses three digits of float32.
    """
    return reduce(samples, "n c (h down) (w right) -> n c h w", "mean", down=edge, right=edge)


def _grid(one: Alignment, down: Float[Tensor, "h"], right: Float[Tensor, "w"]) -> Float[Tensor, "1 h w 2"]:
    """Points of one square as places in its picture, -1..1 from border to border."""
    places = _places(one, down, right)
    return 2 * places / places.new_tensor([one.width, one.height]) - 1


def _places(one: Alignment, down: Float[Tensor, "h"], right: Float[Tensor, "w"]) -> Float[Tensor, "1 h w 2"]:
    """The same in pixels."""
    h, w = len(down), len(right)
    points = torch.stack([right.expand(h, w), down[:, None].expand(h, w)], dim=-1)
    return one.to_picture(points.reshape(1, h * w, 2)).reshape(1, h, w, 2)


def _faded(square: Images, one: Alignment) -> Images:
    """A square [1 c size size] whose part beyond the picture is blurred and faded to the median colour."""
    size, side = square.shape[-1], one.side
    centers = cell_centers(size, square)
    x, y = _places(one, centers, centers).unbind(dim=-1)  # [1 size size] each
    beyond = torch.stack([-x, -y, x - one.width, y - one.height])  # pixels, at each border
    overhang = beyond.amax(dim=(1, 2, 3), keepdim=True)
    if overhang.max() <= 0:
        return square
    way = torch.maximum(FADE * side, overhang.clamp_min(0) + MARGIN * side)
    depth = (beyond / way).amax(dim=0).clamp(0, 1)[:, None]  # 0 in the picture
    square = torch.lerp(square, blur(square, SOFT * size), (3 * depth).clamp_max(1))
    median = square.flatten(2).median(dim=2).values[..., None, None]
    return torch.lerp(square, median.expand_as(square), depth)

"""Colour transfer: match the colours and contrast of a generated face to those of its photo."""

from __future__ import annotations

import torch

from ..shapes import Images, Mask
from .filters import blur

AROUND = 0.08
"""Standard deviation, in sides of the square, of the surroundings whose mean colour is matched."""
GRAIN = 0.02
"""Of the blur, in sides of the square, under which contrast is compared: a generator that is less sharp is not a face
of less contrast."""
MOST_GAIN = 1.5
"""Limit of a change of contrast, and the inverse of its lower limit."""


def match_colors(faces: Images, rest: Images, source: Images, mask: Mask) -> Images:
    """Faces [n 3 s s] as far from `source` as they are from `rest`: with the light and the contrast of the photo.

    rest: the faces without motion. source: the photo's crop, both [n or 1, 3, s, s]. Within the mask [n or 1, 1, s, s]
    the contrast of `rest` is brought to the source's, then the mean colour around each point; `faces` change by as
    much, so that what the motion does to colours stays.
    """
    mean, gain = _mean(rest, mask), _gain(rest, source, mask)
    rest, faces = (mean + gain * (images - mean) for images in (rest, faces))
    side = faces.shape[-1]
    weight = blur(mask, AROUND * side).clamp_min(1e-3)
    return faces + blur((source - rest) * mask, AROUND * side) / weight


def _mean(images: Images, mask: Mask) -> Images:
    return (images * mask).sum(dim=(2, 3), keepdim=True) / mask.sum(dim=(2, 3), keepdim=True).clamp_min(1e-6)


def _gain(rest: Images, source: Images, mask: Mask) -> Images:
    """How much more the colours of `source` spread than those of `rest`, [n 3 1 1]."""

    def spread(images: Images) -> torch.Tensor:
        coarse = blur(images, GRAIN * images.shape[-1])
        return _mean((coarse - _mean(coarse, mask)).square(), mask).sqrt()

    return (spread(source) / spread(rest).clamp_min(1e-3)).clamp(1 / MOST_GAIN, MOST_GAIN)

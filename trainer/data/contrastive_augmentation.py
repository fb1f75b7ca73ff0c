"""Augmentation pairs for MoCoGAN-HD's contrastive loss: a cut-out, and a flip, a tint or an affine map."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from lga_core import Images

from .augmentation import Augmentation, augment

TURN, SHIFT, ZOOM = math.pi, 0.1, 0.05
"""Largest turn, in radians, shift, as a share of the side, and change of size."""
COLOUR, HOLE = 0.2, 0.25
"""Largest change of a channel in -1..1, and half the side of the hole, as a share of the picture's. (Not published.)"""

Holes = Float[Tensor, "n 2"]
"""Centres of cut-outs, in -1..1."""


def draw_changes(n: int, rng: torch.Generator) -> Augmentation:
    """One augmentation of each of n images: a flip, a tint, or any rotation with a small shift and zoom."""
    kind = torch.randint(3, (n,), generator=rng)
    turn, zoom, right, down = (2 * torch.rand(4, n, generator=rng) - 1).unbind()
    tint = (2 * torch.rand(n, 3, generator=rng) - 1) * COLOUR * (kind == 1)[:, None]
    is_affine = kind == 2
    turn, zoom = turn * TURN * is_affine, 1 + zoom * ZOOM * is_affine
    mirror = torch.where(kind == 0, -1.0, 1.0)
    affine = torch.zeros(n, 2, 3)
    affine[:, 0, 0], affine[:, 0, 1] = zoom * mirror * turn.cos(), -zoom * turn.sin()
    affine[:, 1, 0], affine[:, 1, 1] = zoom * mirror * turn.sin(), zoom * turn.cos()
    affine[:, 0, 2], affine[:, 1, 2] = 2 * SHIFT * right * is_affine, 2 * SHIFT * down * is_affine
    return torch.cat([affine.flatten(1), torch.ones(n, 1), tint], dim=1)


def draw_holes(n: int, rng: torch.Generator) -> Holes:
    """Centres of n random cut-outs."""
    return 2 * torch.rand(n, 2, generator=rng) - 1


def changed(pictures: Images, changes: Augmentation, holes: Holes) -> Images:
    """Each image under its augmentation, with a grey square cut out of it."""
    seen = augment(pictures, changes.to(pictures.device))
    axis = (torch.arange(seen.shape[-1], device=seen.device) + 0.5) / seen.shape[-1] * 2 - 1
    away = (axis - holes.to(seen)[:, :, None]).abs() < 2 * HOLE  # [n 2 size]
    return seen * ~(away[:, 0, :, None] & away[:, 1, None, :])[:, None]

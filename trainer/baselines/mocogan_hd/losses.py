"""The losses of a motion generator's training, each a small function (Tian et al. 2021, section 3.2).

`Scores` of a discriminator of videos are maps, one for each scale; losses are means over a map, summed over scales.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Video = Float[Tensor, "n t c h w"]
Scores = Sequence[Float[Tensor, "n 1 t h w"]]
Scalar = Float[Tensor, ""]


def relativistic(high: Scores, low: Scores) -> Scalar:
    """Relativistic average least squares (Jolicoeur-Martineau 2018): `high` should lie 1 above the mean of `low`.

    And `low` 1 below the mean of `high`. A discriminator wants true videos high, the motion generator its own.
    """
    total = torch.zeros(()).to(high[0])
    for up, down in zip(high, low, strict=True):
        total = total + (up - down.mean() - 1).square().mean() + (down - up.mean() + 1).square().mean()
    return total


def gradient_penalty(
    discriminator: Callable[[Video], Scores], real: Video, fake: Video, mix: Float[Tensor, "n"]
) -> Scalar:
    """(length of the scores' gradient - 1)^2 between true videos and drawn ones: `mix` of the way to the drawn.

    The length is over a pixel's channels, as published, not over a whole video as Gulrajani et al. 2017 have it.
    """
    with torch.enable_grad():
        between = torch.lerp(real, fake, mix[:, None, None, None, None].to(real)).detach().requires_grad_()
        total = sum((scores.sum() for scores in discriminator(between)), torch.zeros(()).to(real))
        (gradient,) = torch.autograd.grad(total, between, create_graph=True)
    return (gradient.norm(dim=2) - 1).square().mean()


def hinge(real: Float[Tensor, "n"], fake: Float[Tensor, "n"]) -> Scalar:
    """What a discriminator of pictures pays: true ones below 1, others above -1."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def unconvincing(fake: Float[Tensor, "n"]) -> Scalar:
    """What the motion generator pays it."""
    return -fake.mean()


def mismatch(later: Float[Tensor, "n e"], first: Float[Tensor, "n e"]) -> Scalar:
    """Minus the mean cosine of later frames' embeddings and first ones'."""
    return -F.cosine_similarity(later, first, dim=1).mean()


def contrast(
    augmentations: Float[Tensor, "n e"], others: Float[Tensor, "n e"], queue: Float[Tensor, "k e"], temperature: float
) -> Scalar:
    """InfoNCE of unit embeddings: two augmentations of an image against those in `queue` (He et al. 2020)."""
    same = (augmentations * others).sum(dim=1, keepdim=True)
    logits = torch.cat([same, augmentations @ queue.T], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(augmentations), dtype=torch.long, device=augmentations.device))

"""Who a doodle is: directions of the judge's hidden layer that tell people apart, and not what they do or wear.

Fisher's discriminants (as for faces in Belhumeur et al. 1997, "Eigenfaces vs. Fisherfaces") of renders: the same people
with other expressions, clothes, weather and poses. To the judge's attributes a closed eye, whose colour nobody sees, is
another person's: they put strangers 5 times as far apart as two looks of one person, and these 10 times.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from lga_core import Images
from lga_core.shapes import Embedding

from ..rendering.attributes import COLUMN, PALETTES, SIZES, sample
from ..rendering.renderer import render
from ..stages.judge import Judge

PERSON = (*(f"{part}:{name}" for part in ("hair", "eyes") for name in PALETTES[part]), *SIZES)
PERSON += ("curl", "glasses", "beard", "age")
"""Attributes of who someone is: not of clothes, weather and pose, which a network that knows people does not see."""
NUM_PEOPLE, NUM_LOOKS, NUM_DIRECTIONS = 192, 3, 16
RIDGE = 1e-3
"""Added to the scatter within people, as a share of its mean: some numbers of the layer never change."""
SEED = 70_119
BATCH = 32


@dataclass(frozen=True)
class Persons:
    """Pictures in -1..1 to vectors: 0 is nobody in particular, 1 the mean distance of two strangers."""

    judge: Judge
    middle: Float[Tensor, "h"]
    directions: Float[Tensor, "h d"]

    @torch.no_grad()
    def __call__(self, images: Images) -> Embedding:
        return self.seen(self.judge.features(images.cpu().float()))

    def seen(self, hidden: Float[Tensor, "*n h"]) -> Float[Tensor, "*n d"]:
        """The same of what the judge's hidden layer says of pictures."""
        return (hidden - self.middle) @ self.directions


@cache
def find_identity_features(judge: Judge) -> Persons:
    """From `NUM_PEOPLE` people with `NUM_LOOKS` looks each; takes seconds."""
    hidden = torch.stack([looks(judge, look) for look in range(NUM_LOOKS)], dim=1)
    middle, directions = discriminants(hidden.double(), NUM_DIRECTIONS)
    strangers = torch.pdist(hidden[:, 0].double() @ directions).mean()
    return Persons(judge, middle.float(), (directions / strangers).float())


@torch.no_grad()
def looks(judge: Judge, look: int, seed: int = SEED) -> Float[Tensor, "n h"]:
    """The judge's hidden layer on look number `look` of each of the people."""
    people, _ = sample(NUM_PEOPLE, torch.Generator().manual_seed(seed))
    faces, _ = sample(NUM_PEOPLE, torch.Generator().manual_seed(seed + 1 + look))
    kept = [COLUMN[name] for name in PERSON]
    faces[:, kept] = people[:, kept]
    return torch.cat([judge.features(render(part, 128)) for part in faces.split(BATCH)])


def discriminants(
    looks: Float[Tensor, "n l h"], count: int, ridge: float = RIDGE
) -> tuple[Float[Tensor, "h"], Float[Tensor, "h d"]]:
    """The middle of n classes of l vectors, and the `count` directions in which classes lie furthest apart.

    They solve Sb v = lambda Sw v, of the scatter between the classes' means and the scatter within classes, which is 1
    along each of them.
    """
    n, per_class, _ = looks.shape
    means = looks.mean(dim=1)
    middle = means.mean(dim=0)
    inner, outer = (looks - means[:, None]).flatten(0, 1), means - middle
    within, between = inner.T @ inner / (n * (per_class - 1)), outer.T @ outer / (n - 1)
    within = within + ridge * within.diagonal().mean() * torch.eye(len(within), dtype=within.dtype)
    root = torch.linalg.inv(torch.linalg.cholesky(within))
    return middle, root.T @ torch.linalg.eigh(root @ between @ root.T).eigenvectors.flip(1)[:, :count]

"""Identity features: directions of the judge's hidden layer that tell people apart, and not what they do or wear.

Fisher's discriminants (LDA, as for faces in Belhumeur et al. 1997, "Eigenfaces vs. Fisherfaces") of renders: the same
people with other expressions, clothes, weather and poses. The judge's attributes would not do: to them a closed eye,
whose colour nobody sees, is another person's. In the first domain strangers lie 5 times as far apart as two pictures
of one person by the attributes, and 10 times by these features.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from lga_core import Images
from lga_core.shapes import Embedding

from ..embedded_domain import EmbeddedDomain
from ..stages.judge import Judge

NUM_PEOPLE, NUM_PICTURES, NUM_DIRECTIONS = 192, 3, 16
"""Pictures: of each person."""
RIDGE = 1e-3
"""Added to the scatter within people, as a share of its mean: some numbers of the layer never change."""
SEED = 70_119


@dataclass(frozen=True)
class IdentityFeatures:
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
def find_identity_features(domain: EmbeddedDomain, judge: Judge) -> IdentityFeatures:
    """From `NUM_PEOPLE` people with `NUM_PICTURES` pictures each; takes seconds."""
    hidden = torch.stack([hidden_layer(domain, judge, number) for number in range(NUM_PICTURES)], dim=1)
    middle, directions = discriminants(hidden.double(), NUM_DIRECTIONS)
    strangers = torch.pdist(hidden[:, 0].double() @ directions).mean()
    return IdentityFeatures(judge, middle.float(), (directions / strangers).float())


@torch.no_grad()
def hidden_layer(domain: EmbeddedDomain, judge: Judge, number: int, seed: int = SEED) -> Float[Tensor, "n h"]:
    """The judge's hidden layer on picture `number` of each of the people."""
    space = domain.attributes
    people, _ = space.sample(NUM_PEOPLE, torch.Generator().manual_seed(seed))
    faces, _ = space.sample(NUM_PEOPLE, torch.Generator().manual_seed(seed + 1 + number))
    kept = space.columns(space.person)
    faces[:, kept] = people[:, kept]
    return torch.cat([judge.features(domain.render(part)) for part in faces.split(32)])


def discriminants(
    classes: Float[Tensor, "n l h"], count: int, ridge: float = RIDGE
) -> tuple[Float[Tensor, "h"], Float[Tensor, "h d"]]:
    """The middle of n classes of l vectors, and the `count` directions in which classes lie furthest apart.

    They solve Sb v = lambda Sw v, of the scatter between the classes' means and the scatter within classes, which is 1
    along each of them.
    """
    n, per_class, _ = classes.shape
    means = classes.mean(dim=1)
    middle = means.mean(dim=0)
    inner, outer = (classes - means[:, None]).flatten(0, 1), means - middle
    within, between = inner.T @ inner / (n * (per_class - 1)), outer.T @ outer / (n - 1)
    within = within + ridge * within.diagonal().mean() * torch.eye(len(within), dtype=within.dtype)
    root = torch.linalg.inv(torch.linalg.cholesky(within))
    return middle, root.T @ torch.linalg.eigh(root @ between @ root.T).eigenvectors.flip(1)[:, :count]

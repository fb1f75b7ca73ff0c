"""How good an inversion is: numbers, and a sentence that says them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..metrics.identity_similarity import IdentitySimilarity
from ..metrics.perceptual import PerceptualDistance
from ..shapes import Images
from .encoder import reconstruction_score


@dataclass(frozen=True, eq=False)
class InversionReport:
    """How close drawn faces come to their pictures, one number a face.

    l2: mean square of the pixels' difference, in -1..1. distance: the perceptual one, measured by `measure`. explained:
    share of what sets the picture apart from the domain's average face (see `reconstruction_score`). identity: 1 for
    the same person (see `IdentitySimilarity`), None where nobody was asked.
    """

    l2: Float[Tensor, "n"]
    distance: Float[Tensor, "n"]
    measure: str
    explained: Float[Tensor, "n"]
    identity: Float[Tensor, "n"] | None = None

    def __str__(self) -> str:
        """A line for each face."""
        return "\n".join(self._line(index) for index in range(len(self.l2)))

    def _line(self, index: int) -> str:
        subject = "The face" if len(self.l2) == 1 else f"Face {index + 1}"
        known = (
            ""
            if self.identity is None
            else f", and looks like the same person by {self.identity[index].item():.2f} of 1"
        )
        return (
            f"{subject} has {max(self.explained[index].item(), 0):.1%} of what sets its picture apart from the average "
            f"face; it differs by {self.l2[index].item():.4f} (L2) and {self.distance[index].item():.4f} "
            f"({self.measure}){known}."
        )


@torch.no_grad()
def inversion_report(
    images: Images,
    drawn: Images,
    average: Images,
    distance: PerceptualDistance,
    identity: IdentitySimilarity | None = None,
) -> InversionReport:
    """How close `drawn` [n c h w] comes to `images` [n c h w], both in -1..1.

    average: the domain's average face [1 c h w]. identity: what knows people, see `find_identity_similarity`.
    """
    shown, images = drawn.clamp(-1, 1), images.clamp(-1, 1)
    known = None if identity is None else identity(shown, images)
    l2 = (shown - images).square().mean(dim=(1, 2, 3))
    return InversionReport(
        l2, distance.each(shown, images), distance.label, reconstruction_score(images, shown, average).explained, known
    )

"""Quality of an inversion: reconstruction metrics, and a sentence with them."""

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
    """Reconstruction metrics, one number per face.

    Attributes:
        l2: mean squared pixel error, of images in -1..1.
        distance: perceptual distance.
        measure: name of the perceptual distance.
        explained: share of the image's difference from the average face that is reproduced, see `reconstruction_score`.
        identity: identity similarity, 1 for the same person (see `IdentitySimilarity`); None if it was not measured.
    """

    l2: Float[Tensor, "n"]
    distance: Float[Tensor, "n"]
    measure: str
    explained: Float[Tensor, "n"]
    identity: Float[Tensor, "n"] | None = None

    def __str__(self) -> str:
        """One line per face."""
        return "\n".join(self._line(index) for index in range(len(self.l2)))

    def _line(self, index: int) -> str:
        subject = "The face" if len(self.l2) == 1 else f"Face {index + 1}"
        known = "" if self.identity is None else f"; identity similarity {self.identity[index].item():.2f}"
        return (
            f"{subject}: {max(self.explained[index].item(), 0):.1%} of the image's difference from the average face is "
            f"reproduced; error {self.l2[index].item():.4f} (L2) and {self.distance[index].item():.4f} "
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
    """Reconstruction metrics of `drawn` [n c h w] against `images` [n c h w], both in -1..1.

    average: the generator's average face, [1 c h w]. identity: see `find_identity_similarity`; None leaves it out.
    """
    shown, images = drawn.clamp(-1, 1), images.clamp(-1, 1)
    known = None if identity is None else identity(shown, images)
    l2 = (shown - images).square().mean(dim=(1, 2, 3))
    return InversionReport(
        l2, distance.each(shown, images), distance.label, reconstruction_score(images, shown, average).explained, known
    )

"""The losses of an encoder's training, each a small function (Tov et al. 2021, "Designing an Encoder for StyleGAN Image
Manipulation"; the latent error is what training on generated faces adds)."""

from collections.abc import Callable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lga_core import Images, WPlus

Scalar = Float[Tensor, ""]


def latent_error(ws: WPlus, true: WPlus, known: Float[Tensor, "n"]) -> Scalar:
    """Mean squared distance of the codes found from the codes that the pictures were drawn from.

    `known` [n] weighs each face: 0 where no code is known, and 1 on average over the whole batch.
    """
    return ((ws - true).square().mean(dim=(1, 2)) * known).mean()


def delta(ws: WPlus) -> Scalar:
    """Delta loss, Eq. 6 of Tov et al.: L2 norm of each row's offset from row 0, summed. Close rows stay editable."""
    return (ws[:, 1:] - ws[:, :1]).norm(dim=2).mean(dim=0).sum()


def row_spread(ws: WPlus) -> Scalar:
    """Mean squared distance of the rows from row 0: as `delta`, but lenient with small offsets."""
    return (ws - ws[:, :1]).square().mean()


def l2(drawn: Images, pictures: Images) -> Scalar:
    """Mean square of the pixels' difference."""
    return (drawn - pictures).square().mean()


class IdentityLoss:
    """Identity loss: 1 - cosine of `embed`'s vectors [n c] of both images. ArcFace's, or any such network's."""

    def __init__(self, embed: Callable[[Images], Float[Tensor, "n c"]]) -> None:
        self.embed = embed

    def __call__(self, drawn: Images, pictures: Images) -> Scalar:
        return (1 - F.cosine_similarity(self.embed(drawn), self.embed(pictures), dim=1)).mean()

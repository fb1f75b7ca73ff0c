"""The losses of a motion's training, each a small function of tensors with its equation (Hang et al. 2023).

Where paper and code differ, both are here: the paper's by default, the code's under a name of its own. `reduction`
"mean" is a mean over elements; "sum" is as printed, thousands of times more.
"""

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from lga_core.stylegan2 import covariance_power as covariance_power

Pictures = Float[Tensor, "n c h w"]
Offsets = Float[Tensor, "n t l d"]
Scalar = Float[Tensor, ""]
Reduction = Literal["mean", "sum"]


# What CLIP says: features [n c] of last frames, of unit length, against sentences [k c]


def contrastive(
    features: Float[Tensor, "n c"], sentences: Float[Tensor, "k c"], true: Int[Tensor, "n"], temperature: float = 0.07
) -> Scalar:
    """Contrastive loss, InfoNCE (Eq. 11): the true sentence of each picture against all sentences.

    With every prompt of the vocabulary among them, negatives cost nothing and no batch is too small; the paper takes
    those of the batch.
    """
    return F.cross_entropy(features @ sentences.T / temperature, true)


def contrastive_official(
    features: Float[Tensor, "n c"], sentences: Float[Tensor, "k c"], true: Int[Tensor, "n"], temperature: float = 0.07
) -> Scalar:
    """As in the authors' code: mean of log(1 + sum over all j, the true one included, of e^((s_ij - s_ii) / tau)).

    Its floor is log 2, and its gradient 0.5 to 0.8 of InfoNCE's.
    """
    cosines = features @ sentences.T
    own = cosines.gather(1, true[:, None])
    return ((cosines - own) / temperature).exp().sum(dim=1).log1p().mean()


def cosine(features: Float[Tensor, "n c"], sentences: Float[Tensor, "k c"], true: Int[Tensor, "n"]) -> Scalar:
    """Ablation of Fig. 5a: 1 - cosine with the true sentence, no negatives."""
    return (1 - (features * sentences[true]).sum(dim=1)).mean()


# How the offsets behave: motion [n t l d], Delta w of each frame


def w_reg(motion: Offsets, reduction: Reduction = "mean") -> Scalar:
    """L2 regularizer (Eq. 9): squared distance of each frame's W+ code to the source's, summed over frames."""
    return motion.square().mean(dim=(0, 2, 3)).sum() if reduction == "mean" else motion.square().sum()


def w_reg_first_last(motion: Offsets, reduction: Reduction = "mean") -> Scalar:
    """The authors' form of Eq. 9: squared difference of first and last offset."""
    return _reduced((motion[:, -1] - motion[:, 0]).square(), reduction)


def latent_reg(moved: Offsets) -> Scalar:
    """In the authors' code alone: as Eq. 9, of the whole shift `moved`, the picture's constant offset included."""
    return w_reg(moved)


def smoothness(motion: Offsets, reduction: Reduction = "mean") -> Scalar:
    """Smoothness (Eq. 10): squared second difference over frames, zero for a straight path at even speed."""
    return _reduced(motion.diff(n=2, dim=1).square(), reduction)


def first_difference(motion: Offsets, reduction: Reduction = "mean") -> Scalar:
    """Ablation of Fig. 5f: squared first difference over frames. (The authors' code logs it and never adds it.)"""
    return _reduced(motion.diff(dim=1).square(), reduction)


def _reduced(squares: Tensor, reduction: Reduction) -> Tensor:
    return squares.mean() if reduction == "mean" else squares.sum()


def w_mahalanobis(motion: Offsets, white: Float[Tensor, "d d"]) -> Scalar:
    """Squared Mahalanobis length of the last frame's offset, a mean over W's dimensions.

    Faces vary in few directions of W. An offset along the others draws what no face has, such as irises of two colours
    at once, and pleases CLIP without meaning anything to a person; here it costs a hundred times more.
    """
    return (motion[:, -1] @ white).square().mean()


# How the pictures behave


def masked_l1(pictures: Pictures, sources: Pictures, weight: Float[Tensor, "n 1 h w"]) -> Scalar:
    """Weighted L1 to the source picture; `weight` says how much each pixel of each sample should stay."""
    return ((pictures - sources).abs() * weight).mean()


def coarse_color_l1(pictures: Pictures, sources: Pictures, held: Float[Tensor, "n"], cells: int = 8) -> Scalar:
    """L1 between mean colours of `cells` x `cells` parts of the picture, of the samples that `held` weighs.

    A closing eye hardly changes them, a face that darkens until its eyes seem closed does.
    """
    change = (F.adaptive_avg_pool2d(pictures, cells) - F.adaptive_avg_pool2d(sources, cells)).abs()
    return (change.mean(dim=(1, 2, 3)) * held).mean()


def identity(features: Float[Tensor, "n c"], sources: Float[Tensor, "n c"]) -> Scalar:
    """1 - cosine of an identity network's unit features, picture against source."""
    return (1 - (features * sources).sum(dim=1)).mean()

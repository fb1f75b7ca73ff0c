"""The losses of a motion's training, each a small function of tensors with its equation (Hang et al. 2023)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

Pictures = Float[Tensor, "n c h w"]
Offsets = Float[Tensor, "n t l d"]


def contrastive(
    features: Float[Tensor, "n c"], sentences: Float[Tensor, "k c"], true: Int[Tensor, "n"], temperature: float = 0.07
) -> Float[Tensor, ""]:
    """InfoNCE of Eq. 11 with every trained sentence as a negative: unit features [n c] against all sentences [k c].

    The paper takes the other sentences of the batch; all of them cost nothing more and make no batch too small.
    """
    return F.cross_entropy(features @ sentences.T / temperature, true)


def offset_size(motion: Offsets) -> Float[Tensor, ""]:
    """Eq. 9: squared distance of each frame's W+ to the source, a mean over elements and a sum over frames."""
    return motion.square().mean(dim=(0, 2, 3)).sum()


def path(motion: Offsets) -> Float[Tensor, ""]:
    """Eq. 10: mean square of the second difference over frames, which is zero for a straight path at even speed."""
    return motion.diff(n=2, dim=1).square().mean()


def perceptual(stages: Sequence[Pictures], source_stages: Sequence[Pictures]) -> Float[Tensor, ""]:
    """LPIPS with unit weights on a network's feature maps: mean squared distance of channel-normalised features."""
    distances = [
        (F.normalize(ours.float(), dim=1) - F.normalize(theirs.float(), dim=1)).square().sum(dim=1).mean()
        for ours, theirs in zip(stages, source_stages, strict=True)
    ]
    return sum(distances[1:], distances[0]) / len(distances)


def pixels(pictures: Pictures, sources: Pictures, weight: Float[Tensor, "n 1 h w"]) -> Float[Tensor, ""]:
    """Weighted L1 to the source picture; `weight` says how much each pixel of each sample should stay."""
    return ((pictures - sources).abs() * weight).mean()


def spread(w: Float[Tensor, "n d"], floor: float = 0.01, power: float = 0.5) -> Float[Tensor, "d d"]:
    """The covariance of faces `w` to a power, in units of the mean variance of the directions they vary in.

    Power -1/2 whitens: it gives faces unit variance in every such direction. Power 1/2 colours: it turns white noise
    into offsets between faces. Directions in which faces hardly vary (below `floor`) count as if they varied so much.
    """
    variances, directions = torch.linalg.eigh(torch.cov(w.T))
    used = variances[variances > 1e-4 * variances.max()].mean()
    return directions * (variances.clamp(min=0) / used + floor) ** power @ directions.T


def unlikeliness(motion: Offsets, white: Float[Tensor, "d d"]) -> Float[Tensor, ""]:
    """Squared Mahalanobis length of the last frame's offset, a mean over W's dimensions.

    Faces vary in few directions of W. An offset along the others draws what no face has, such as irises of two colours
    at once, and pleases CLIP without meaning anything to a person; here it costs a hundred times more.
    """
    return (motion[:, -1] @ white).square().mean()

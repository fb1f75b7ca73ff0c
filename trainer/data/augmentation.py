"""What a scoring network sees of an image: the image itself, or random affine and colour augmentations of it."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Pictures = Float[Tensor, "n c h w"]
Augmentation = Float[Tensor, "n 10"]
"""One random augmentation of each of n images: an affine map (6 numbers), brightness, and a tint (3)."""


def sample_augmentations(n: int, rng: torch.Generator) -> Augmentation:
    """n random augmentations: flip, rotation (std 9 degrees), zoom (.75-1.1), shift, brightness, tint."""
    zoom = 0.75 + 0.35 * torch.rand(n, generator=rng)
    mirror = torch.where(torch.rand(n, generator=rng) < 0.5, -1.0, 1.0)
    turn = 0.15 * torch.randn(n, generator=rng)
    affine = torch.zeros(n, 2, 3)
    affine[:, 0, 0], affine[:, 0, 1] = zoom * mirror * turn.cos(), -zoom * turn.sin()
    affine[:, 1, 0], affine[:, 1, 1] = zoom * mirror * turn.sin(), zoom * turn.cos()
    affine[:, :, 2] = 0.1 * torch.randn(n, 2, generator=rng)
    light = 1 + 0.1 * torch.randn(n, 1, generator=rng)
    tint = 0.05 * torch.randn(n, 3, generator=rng)
    return torch.cat([affine.flatten(1), light, tint], dim=1)


def augment(pictures: Pictures, augmentations: Augmentation, size: int | None = None) -> Pictures:
    """Images under their random augmentations, `size` square (default: the images' own).

    Artefacts that please CLIP at one exact alignment of the pixels do not survive them.
    """
    n, c, h, w = pictures.shape
    size = h if size is None else size
    field = F.affine_grid(augmentations[:, :6].view(n, 2, 3).to(pictures), [n, c, size, size], align_corners=False)
    if size < h:
        pictures = F.interpolate(pictures, (size, size), mode="area")
    view = F.grid_sample(pictures, field, padding_mode="reflection", align_corners=False)
    light, tint = augmentations[:, 6:7, None, None], augmentations[:, 7:, None, None]
    return (view * light.to(view) + tint.to(view)).clamp(-1, 1)


def official_view(
    pictures: Pictures, size: int, mean: Float[Tensor, "1 c 1 1"], std: Float[Tensor, "1 c 1 1"]
) -> Pictures:
    """As the authors' code shows pictures in -1..1 to CLIP: mean and deviation first, then a bilinear resize with
    aligned corners, which does not filter what it skips."""
    normal = ((pictures + 1) / 2 - mean) / std
    return F.interpolate(normal, (size, size), mode="bilinear", align_corners=True)


def at_score_size(pictures: Pictures, size: int) -> Pictures:
    """Pictures no larger than `size`, by a mean over pixels: as they are compared and shown to CLIP."""
    return pictures if pictures.shape[-1] <= size else F.adaptive_avg_pool2d(pictures, size)

"""Identity similarity of two images: by an identity network, or by what a domain has instead of one.

CLIP's embedding is unsuitable: on the doodle domain it follows the expression (rank correlation 0.84 with the judge's
change of expression, 0.36 with its change of identity, over 18 prompts at four strengths). Channel statistics of its
feature maps follow identity (0.86, and 0.24 with expression); the encoder's codes lie between (0.74 and 0.63).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..clip.model import ClipModel
from ..errors import InputError
from ..rendering import draw
from ..shapes import Embedding, Images, WPlus
from ..stylegan2.generator import Generator
from ..stylegan2.pca import random_w
from .perceptual import NUM_CLIP_STAGES, has_stages

NUM_BASELINE_FACES = 16


@dataclass(frozen=True)
class IdentitySimilarity:
    """Identity similarity of frames to a source: 1 for the same image, 0 for two different people on average.

    embed: images [n c h w] in -1..1 -> vectors [n c]. label: name of the embedding, for reports. baseline: mean cosine
    between different people.
    """

    embed: Callable[[Images], Embedding]
    label: str
    baseline: float = 0.0

    def __call__(self, frames: Images, source: Images) -> Float[Tensor, "n"]:
        """Similarity of each frame [n c h w] to the source [1 c h w], or to its own [n c h w]; images in -1..1."""
        cosine = F.cosine_similarity(self.embed(frames), self.embed(source), dim=1)
        return (cosine - self.baseline) / (1 - self.baseline)


def find_identity_similarity(
    generator: Generator,
    network: Callable[[Images], Embedding] | None = None,
    clip: ClipModel | None = None,
    encoder: Callable[[Images], WPlus] | None = None,
) -> IdentitySimilarity:
    """The best identity similarity available: an `IdentityNetwork`'s, else a ResNet CLIP's, else the encoder's.

    Raises InputError if none of them is given.
    """
    if network is not None:
        return IdentitySimilarity(network, "the identity network")
    embed = identity_embedding(clip=clip, resolution=generator.config.resolution)
    if clip is not None and embed is not None:
        return _calibrated(generator, embed, f"feature maps of CLIP '{clip.name}'")
    if encoder is not None:
        return _calibrated(
            generator, lambda images: (encoder(images) - generator.w_avg).flatten(1), "the encoder's codes"
        )
    raise InputError(
        "There is no model to compare identities with. Give an identity network, a ResNet CLIP or an encoder."
    )


def identity_embedding(
    network: Callable[[Images], Embedding] | None = None, clip: ClipModel | None = None, resolution: int | None = None
) -> Callable[[Images], Embedding] | None:
    """The best embedding of who is in an image: the identity `network`, else CLIP's feature maps, else None.

    Only a CLIP of the ResNet kind has feature maps. resolution: of the images, None where it is not known.
    """
    if network is not None:
        return network
    if clip is None or not has_stages(clip):
        return None
    enough = 2 * clip.image_size  # textures need no more
    return color_texture_features(clip, enough if resolution is None else max(clip.image_size, min(resolution, enough)))


def color_texture_features(clip: ClipModel, size: int | None = None) -> Callable[[Images], Embedding]:
    """Embedding of colours and textures: mean and deviation of each channel of CLIP's feature maps, equal in weight."""

    def embed(images: Images) -> Embedding:
        maps = clip.stages(images, size)[:NUM_CLIP_STAGES]
        found = [torch.cat([x.mean(dim=(2, 3)), x.std(dim=(2, 3))], dim=1) for x in maps]
        return F.normalize(torch.cat([F.normalize(each, dim=1) for each in found], dim=1), dim=1)

    return embed


@torch.no_grad()
def _calibrated(generator: Generator, embed: Callable[[Images], Embedding], label: str) -> IdentitySimilarity:
    """Identity similarity that is 0 between random faces of the generator, on average."""
    ws = generator.broadcast(random_w(generator, NUM_BASELINE_FACES, torch.Generator().manual_seed(0)))
    known = torch.cat([F.normalize(embed(draw(generator, each)), dim=1) for each in ws.split(1)])
    cosines = known @ known.T
    total = (cosines.sum() - cosines.trace()) / (len(known) * (len(known) - 1))
    return IdentitySimilarity(embed, label, total.item())

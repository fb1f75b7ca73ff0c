"""Faces to train CLIP on: renders, and what the generator draws, disturbed in ways that change no expression."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from tqdm import tqdm

from lga_core import Generator
from lga_core.imaging import fit_square

from ..attribute_map import AttributeMap
from ..attributes import AttributeSpace
from ..render_dataset import Renders
from ..words.lexicon import Lexicon
from .training_synthesis import final_image

IMAGE_SIZE = 64
"""Of the image tower, in pixels."""


class FacePool(NamedTuple):
    """Training pictures at the image tower's size, uint8 [n 3 64 64], and what is true of them.

    Of `restyled` faces only the expression is as `attributes` say.
    """

    images: UInt8[Tensor, "n 3 h w"]
    attributes: Float[Tensor, "n k"]
    labels: list[str]
    restyled: Bool[Tensor, "n"]

    def truth(self, lexicon: Lexicon) -> tuple[Bool[Tensor, "n c"], Bool[Tensor, "n c"]]:
        """What is true of each face, and where that is beyond doubt (see `Lexicon.truth`)."""
        is_true, is_clear = lexicon.truth(self.attributes)
        is_clear[:, len(lexicon.attributes.expression_prompts) :] &= ~self.restyled[:, None]
        return is_true, is_clear


def shrunk(images: Float[Tensor, "n 3 h w"]) -> UInt8[Tensor, "n 3 h w"]:
    return ((fit_square(images, IMAGE_SIZE).clamp(-1, 1) + 1) * 127.5).round().byte()


def render_pool(renders: Renders, n: int | None = None) -> FacePool:
    n = renders.num_train if n is None else n
    images = torch.cat([shrunk(renders.batch(chunk)) for chunk in torch.arange(n).split(200)])
    return FacePool(images, renders.attributes[:n], renders.labels[:n], torch.zeros(n, dtype=torch.bool))


@torch.no_grad()
def generated_pool(
    space: AttributeSpace,
    generator: Generator,
    attribute_map: AttributeMap,
    n: int,
    seed: int = 3,
    offsets: Float[Tensor, "m d"] | None = None,
) -> FacePool:
    """Faces drawn by the generator, most of them disturbed in ways that change no expression.

    A fifth per row of W+ (mean zero over rows), a fifth outside what attributes explain, a fifth in hair, eyes, skin
    and clothes far beyond what exists, and a fifth by adversarial `offsets`, with which an earlier motion pleased CLIP,
    less their part in the expression. Eyes that turn cyan were "closing eyes" to a CLIP that had not seen these. Half
    of the disturbed faces are also less than expressionless: no tears, and then fewer.
    """
    rng = torch.Generator().manual_seed(seed)
    attributes, labels = space.sample(n, rng)
    num_presets = n // 3
    chosen = [space.prompts[i] for i in torch.randint(len(space.prompts), (num_presets,), generator=rng)]
    neutral = space.sample_neutral(num_presets, rng)
    for i, prompt in enumerate(chosen):
        attributes[i], labels[i] = space.with_preset(neutral[i : i + 1], prompt)[0], prompt
    ws = generator.broadcast(attribute_map.to_w(attributes)).clone()
    kind, amount = torch.rand(n, generator=rng), torch.rand(n, 1, 1, generator=rng)
    per_row = torch.randn(ws.shape, generator=rng)
    per_row = 0.8 * (per_row - per_row.mean(dim=1, keepdim=True))
    outside = 0.9 * attribute_map.outside(torch.randn(n, 1, ws.shape[2], generator=rng))
    exaggerated = torch.randn(n, len(space.restyled), generator=rng)
    beyond = 2.0 * (exaggerated @ attribute_map.basis[space.columns(space.restyled)])[:, None]
    noises = [per_row, outside, beyond]
    if offsets is not None:
        offsets = attribute_map.without(offsets, space.columns(space.expression))
        noises.append(1.5 * offsets[torch.randint(len(offsets), (n,), generator=rng)][:, None])
    for number, noise in enumerate(noises):
        share = (kind >= number / 5) & (kind < (number + 1) / 5)
        ws[share] += (amount * noise)[share]
    disturbed = kind < len(noises) / 5
    one_sided = space.columns(space.one_sided)
    fewer = 0.5 * torch.randn(n, len(one_sided), generator=rng).abs()
    at_rest, lowered = attributes[:, one_sided] < 0.05, disturbed & (torch.rand(n, generator=rng) < 0.5)
    ws -= (fewer * at_rest * lowered[:, None] @ attribute_map.basis[one_sided])[:, None]
    images = [
        shrunk(final_image(generator, chunk)) for chunk in tqdm(ws.split(32), desc="faces for CLIP", mininterval=5)
    ]
    return FacePool(torch.cat(images), attributes, labels, disturbed & (kind >= 0.4))


def joined(*pools: FacePool) -> FacePool:
    return FacePool(
        torch.cat([pool.images for pool in pools]),
        torch.cat([pool.attributes for pool in pools]),
        [label for pool in pools for label in pool.labels],
        torch.cat([pool.restyled for pool in pools]),
    )

"""StyleCLIP's latent optimisation: a face's W+ code, optimised until CLIP matches its image to the text.

Patashnik et al. 2021, "StyleCLIP: Text-Driven Manipulation of StyleGAN Imagery", section 4. As a baseline for motion,
the clip interpolates linearly from the face to the result (Hang et al. 2023, IV-B; see `linear_motion`). It takes
hundreds of steps through generator and CLIP for every face and every text.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ...clip.model import ClipModel
from ...errors import InputError, MismatchError
from ...shapes import Embedding, Images, WPlus
from ...stylegan2.frozen_synthesis import FrozenSynthesis
from ...stylegan2.generator import Generator

IdentityEmbedding = Callable[[Images], Embedding]


@dataclass(frozen=True)
class LatentOptimization:
    """Settings of the latent optimisation. Raises InputError for values outside the allowed ranges.

    Attributes:
        l2: weight of the squared distance from the initial code, summed over all entries of W+.
        identity: weight of one minus the identity cosine between the image and the initial image.
        steps: number of Adam steps.
        lr: largest learning rate, see `learning_rate`.
        rampup, rampdown: shares of the steps in which the learning rate rises from 0 and falls to 0.
        normalized: apply CLIP's colour normalisation. The published code omits it: CLIP gets -1..1.
    """

    l2: float = 0.08
    identity: float = 0.05
    steps: int = 300
    lr: float = 0.1
    rampup: float = 0.05
    rampdown: float = 0.25
    normalized: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.steps, int) or self.steps < 0:
            raise InputError(f"steps is {self.steps!r}; it must be a whole number, at least 0.")
        for name in ("l2", "identity", "lr"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"{name} is {getattr(self, name)!r}; it must be a number, not negative.")
        for name in ("rampup", "rampdown"):
            if not 0 < getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)!r}; it must be a share of the steps, above 0 to 1.")


OPTIMIZATIONS: Mapping[str, LatentOptimization] = {
    "paper": LatentOptimization(),
    "styleclip": LatentOptimization(l2=0.008, identity=0.0),
}
"""Settings by source: `paper` are those of Hang et al.'s comparison (IV-B), `styleclip` those of StyleCLIP's code. The
l2 weight of `paper` is ten times larger, which by itself holds the baseline back."""


def learning_rate(step: int, settings: LatentOptimization) -> float:
    """Learning rate lr (1/2 - cos(pi min(1, (1 - t) / rampdown)) / 2) min(1, t / rampup) at t = step / steps."""
    t = step / settings.steps
    fall = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / settings.rampdown))
    return settings.lr * fall * min(1.0, t / settings.rampup)


def clip_input(images: Images, size: int = 224) -> Images:
    """Area resampling of square images [n c res res] to [n c size size], in their own range.

    The published code repeats every pixel 7 times and averages over squares of res / 32. That is separable: one matrix
    [size res] from either side avoids an image seven times as wide.
    """
    res = images.shape[-1]
    common = math.gcd(res, size)
    repeated = torch.eye(res, dtype=images.dtype, device=images.device).repeat_interleave(size // common, dim=0)
    matrix = repeated.unflatten(0, (size, res // common)).mean(dim=1)
    return matrix @ images @ matrix.T


def latent_distance(ws: WPlus, start: WPlus) -> Float[Tensor, "n"]:
    """Squared distance of each face's code from the initial one, both [n num_ws w_dim]."""
    return (ws - start).square().sum(dim=(1, 2))


def clip_distance(
    clip: ClipModel, images: Images, text_embedding: Embedding, normalized: bool = False
) -> Float[Tensor, "n"]:
    """CLIP loss [n]: one minus the cosine of each image [n 3 res res] in -1..1 and its text [n c] or [1 c].

    `normalized`: see `LatentOptimization`.
    """
    pixels = clip_input(images, clip.image_size).to(clip.mean)
    if normalized:
        pixels = ((pixels + 1) / 2 - clip.mean) / clip.std
    return 1 - F.cosine_similarity(clip.model.encode_image(pixels), text_embedding, dim=1)


@torch.no_grad()
def clip_similarity(clip: ClipModel, images: Images, text_embedding: Embedding) -> float:
    """Mean cosine between CLIP embeddings of the images [n 3 res res] in -1..1 and of one text [1 c]."""
    return float((clip.encode_images(images) @ text_embedding.T).mean())


class Objective:
    """The loss of the latent optimisation, per face: CLIP, distance from the initial code, identity."""

    def __init__(
        self,
        clip: ClipModel,
        text_embedding: Embedding,
        start: WPlus,
        start_images: Images,
        settings: LatentOptimization,
        identity: IdentityEmbedding | None,
    ):
        self.clip, self.text_embedding, self.start, self.settings = clip, text_embedding, start, settings
        self.identity = identity if settings.identity else None
        self.person = None if self.identity is None else self.identity(start_images).detach()

    def __call__(self, codes: WPlus, drawn: Images) -> Float[Tensor, "n"]:
        total = clip_distance(self.clip, drawn, self.text_embedding, self.settings.normalized)
        total = total + self.settings.l2 * latent_distance(codes, self.start)
        if self.identity is None or self.person is None:
            return total
        return total + self.settings.identity * (1 - F.cosine_similarity(self.identity(drawn), self.person, dim=1))


def optimize_latent(
    generator: Generator,
    clip: ClipModel,
    ws: WPlus,
    text_embedding: Embedding,
    settings: LatentOptimization = OPTIMIZATIONS["paper"],
    identity: IdentityEmbedding | None = None,
    on_step: Callable[[int, Images], None] | None = None,
    dtype: torch.dtype | None = None,
    compiled: bool = False,
) -> WPlus:
    """StyleCLIP's latent optimisation: offsets [n num_ws w_dim] from the faces `ws` to faces that match the text.

    Args:
        generator: its weights do not change.
        clip: published with ViT-B/32.
        ws: initial codes, [n num_ws w_dim].
        text_embedding: unit embedding of the text of each face, [n c], or one for all, [1 c].
        settings: weights and steps, see `OPTIMIZATIONS`.
        identity: identity embedding of images in -1..1, such as an `IdentityNetwork` or an `IdentitySimilarity.embed`.
            Without it that term is left out, with a warning if it has a weight.
        on_step: called with the number of steps done and the latest images; an exception it raises stops.
        dtype: of the synthesis; None: the generator's. Codes and losses keep theirs.
        compiled: see `FrozenSynthesis`; it pays for many faces.

    Raises MismatchError for embeddings of another CLIP model.
    """
    if text_embedding.ndim != 2 or text_embedding.shape[1] != clip.embed_dim:
        raise MismatchError(
            f"The text embedding has shape {list(text_embedding.shape)}, but CLIP '{clip.name}' needs "
            f"[n {clip.embed_dim}]. Encode the text with this CLIP model."
        )
    if settings.identity and identity is None:
        warnings.warn("No identity embedding is given: the identity term is left out.", stacklevel=2)
    drawing = FrozenSynthesis(generator, dtype or generator.w_avg.dtype, compiled=compiled)

    def synthesis(codes: WPlus) -> Images:
        return drawing(codes).to(ws)

    start, codes = ws.detach(), ws.detach().clone()
    with torch.enable_grad():
        objective = Objective(clip, text_embedding.detach(), start, synthesis(start), settings, identity)
        codes.requires_grad_()
        optimizer = torch.optim.Adam([codes])
        for step in range(settings.steps):
            optimizer.param_groups[0]["lr"] = learning_rate(step, settings)
            drawn = synthesis(codes)
            (codes.grad,) = torch.autograd.grad(objective(codes, drawn).sum(), [codes])
            optimizer.step()
            if on_step is not None:
                on_step(step + 1, drawn.detach())
    return codes.detach() - start

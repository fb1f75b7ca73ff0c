"""The compared methods behind one interface: each computes the motion of faces for a text prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import torch

from lga_core import ClipModel, Domain, InputError, Motion, MotionModel, WPlus
from lga_core.baselines import MocoganMotion, random_motion
from lga_core.baselines.styleclip import OPTIMIZATIONS, LatentMapper, linear_motion, optimize_latent
from lga_core.metrics import find_identity_similarity
from lga_core.rendering import draw
from lga_core.stylegan2 import PrincipalComponents
from lga_core.stylegan2.inference import fastest_dtype

NUM_FRAMES = 16
"""Frames of every clip, as in the paper (IV-B)."""


class TextPrompt(NamedTuple):
    """Prompt number `index` and its sentence. first_face: number of the first given face in the evaluation."""

    index: int
    sentence: str
    first_face: int = 0


class Method(Protocol):
    """Faces `ws` [n num_ws w_dim] and a prompt -> their motion [n NUM_FRAMES num_ws w_dim], deterministically.

    label: its name in reports. about: a sentence on how it is run here. uses_text: whether its motion follows the text.
    """

    @property
    def label(self) -> str: ...
    @property
    def about(self) -> str: ...
    @property
    def uses_text(self) -> bool: ...

    def __call__(self, ws: WPlus, prompt: TextPrompt) -> Motion: ...


@dataclass(frozen=True)
class LanguageGuided:
    """Ours: a recurrent motion model, with the CLIP that it was trained with."""

    domain: Domain
    model: MotionModel
    clip: ClipModel
    label: str = "LGA"
    about: str = "The domain's motion model, one rollout of its recurrent generator."
    uses_text: bool = True

    def __call__(self, ws: WPlus, prompt: TextPrompt) -> Motion:
        image_embeddings = self.clip.encode_images(draw(self.domain.generator, ws))
        return self.model(self.clip.encode_text([prompt.sentence]).expand(len(ws), -1), image_embeddings, NUM_FRAMES)


@dataclass(frozen=True)
class OptimizedLatents:
    """StyleCLIP's latent optimisation, and a linear interpolation to its result (Hang et al. 2023, IV-B)."""

    domain: Domain
    preset: str
    label: str
    uses_text: bool = True

    @property
    def about(self) -> str:
        settings = OPTIMIZATIONS[self.preset]
        return (
            f"Latent optimisation for each face and sentence: {settings.steps} steps with loss weights "
            f"{settings.l2:g} (L2) and {settings.identity:g} (identity), then linear interpolation."
        )

    def __call__(self, ws: WPlus, prompt: TextPrompt) -> Motion:
        domain, settings = self.domain, OPTIMIZATIONS[self.preset]
        text = domain.clip.encode_text([prompt.sentence])
        identity = find_identity_similarity(domain.generator, clip=domain.clip, encoder=domain.encoder)
        # Gradients overflow in float16, not in bfloat16.
        dtype = None if fastest_dtype(ws.device) == torch.float32 else torch.bfloat16
        found = optimize_latent(
            domain.generator, domain.clip, ws, text, settings, identity.embed, dtype=dtype, compiled=True
        )
        return linear_motion(found, NUM_FRAMES)


@dataclass(frozen=True)
class MappedLatents:
    """StyleCLIP's latent mapper, one network for each sentence, and a linear interpolation to its result."""

    mappers: Mapping[str, LatentMapper]
    label: str = "StyleCLIP, mapper"
    about: str = "A latent mapper trained for each sentence, then linear interpolation."
    uses_text: bool = True

    def __call__(self, ws: WPlus, prompt: TextPrompt) -> Motion:
        if prompt.sentence not in self.mappers:
            raise InputError(f"There is no latent mapper for {prompt.sentence!r}. Train one with `lga train mapper`.")
        return self.mappers[prompt.sentence].motion(ws, NUM_FRAMES)


@dataclass(frozen=True)
class Mocogan:
    """MoCoGAN-HD: motion learned from videos. It does not use text."""

    model: MocoganMotion
    pca: PrincipalComponents
    strength: float = 1.0
    label: str = "MoCoGAN-HD"
    about: str = "Motion learned from videos. It does not use text: each prompt has other noise."
    uses_text: bool = False

    def __call__(self, ws: WPlus, prompt: TextPrompt) -> Motion:
        return self.strength * per_face(lambda w, seed: self.model(w, self.pca, NUM_FRAMES, seed), ws, prompt)


@dataclass(frozen=True)
class RandomWalk:
    """A smooth random walk along the principal components of W, without training."""

    pca: PrincipalComponents
    strength: float = 1.0
    label: str = "random walk"
    about: str = "A smooth random walk along the principal components of W: a lower bound for every method."
    uses_text: bool = False

    def __call__(self, ws: WPlus, prompt: TextPrompt) -> Motion:
        return per_face(lambda w, seed: random_motion(w, self.pca, NUM_FRAMES, self.strength, seed=seed), ws, prompt)


def per_face(move: Callable[[WPlus, int], Motion], ws: WPlus, prompt: TextPrompt) -> Motion:
    """`move(w, seed)` of each face; its seed depends on the face and the prompt alone."""
    seeds = (1_000_003 * prompt.index + prompt.first_face + face for face in range(len(ws)))
    return torch.cat([move(w, seed) for w, seed in zip(ws.split(1), seeds, strict=True)])


def at_magnitude(
    method: Mocogan | RandomWalk, target: float, magnitude: Callable[[Method], float], steps: int = 4
) -> Mocogan | RandomWalk:
    """The method at the strength at which `magnitude(method)` is `target`.

    The magnitude is nearly proportional to the strength, so each step rescales by the remaining ratio.
    """
    scaled = method
    for _ in range(steps):
        found = magnitude(scaled)
        if found <= 0:
            return method  # it has no motion at any strength
        scaled = replace(scaled, strength=scaled.strength * target / found)
    return replace(scaled, label=f"{method.label}, at LGA's magnitude")

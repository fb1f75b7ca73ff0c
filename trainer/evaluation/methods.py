"""The methods that are compared: each gives a motion for faces and words, whatever it does to find one."""

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
"""Of every clip, as in the paper (IV-B)."""


class Words(NamedTuple):
    """What faces are asked to do: number `index` of the prompts, and the sentence that says it.

    first: the number of the first face among all of the evaluation.
    """

    index: int
    sentence: str
    first: int = 0


class Method(Protocol):
    """Faces `ws` [n num_ws w_dim] and words -> their motion [n NUM_FRAMES num_ws w_dim]. The same for the same words.

    label: what reports call it. about: a sentence on how it is run here. heeds_words: it is asked to do what they say.
    """

    @property
    def label(self) -> str: ...
    @property
    def about(self) -> str: ...
    @property
    def heeds_words(self) -> bool: ...

    def __call__(self, ws: WPlus, words: Words) -> Motion: ...


@dataclass(frozen=True)
class LanguageGuided:
    """Ours: the recurrence of a trained motion model, which words reach through `clip`: the one it was trained with."""

    domain: Domain
    model: MotionModel
    clip: ClipModel
    label: str = "LGA"
    about: str = "The motion model of the domain, one pass through its recurrence."
    heeds_words: bool = True

    def __call__(self, ws: WPlus, words: Words) -> Motion:
        picture = self.clip.encode_images(draw(self.domain.generator, ws))
        return self.model(self.clip.encode_text([words.sentence]).expand(len(ws), -1), picture, NUM_FRAMES)


@dataclass(frozen=True)
class Optimised:
    """StyleCLIP's latent optimisation, and the straight way to what it finds (Hang et al. 2023, IV-B)."""

    domain: Domain
    preset: str
    label: str
    heeds_words: bool = True

    @property
    def about(self) -> str:
        settings = OPTIMIZATIONS[self.preset]
        return (
            f"Each face is optimised for each sentence, {settings.steps} steps with weights {settings.l2:g} (L2) and "
            f"{settings.identity:g} (identity), then interpolated."
        )

    def __call__(self, ws: WPlus, words: Words) -> Motion:
        domain, settings = self.domain, OPTIMIZATIONS[self.preset]
        text = domain.clip.encode_text([words.sentence])
        likeness = find_identity_similarity(domain.generator, clip=domain.clip, encoder=domain.encoder)
        fast = None if fastest_dtype(ws.device) == torch.float32 else torch.bfloat16  # whose gradients do not overflow
        found = optimize_latent(
            domain.generator, domain.clip, ws, text, settings, likeness.embed, dtype=fast, compiled=True
        )
        return linear_motion(found, NUM_FRAMES)


@dataclass(frozen=True)
class Mapped:
    """StyleCLIP's latent mapper, one network for each sentence, and the straight way to where it points."""

    mappers: Mapping[str, LatentMapper]
    label: str = "StyleCLIP, mapper"
    about: str = "One network for each sentence, trained for it, then interpolated."
    heeds_words: bool = True

    def __call__(self, ws: WPlus, words: Words) -> Motion:
        if words.sentence not in self.mappers:
            raise InputError(f"There is no mapper for {words.sentence!r}. Train one with `lga train mapper`.")
        return self.mappers[words.sentence].motion(ws, NUM_FRAMES)


@dataclass(frozen=True)
class Mocogan:
    """MoCoGAN-HD: motion as a network learned it from videos, which heeds no words."""

    model: MocoganMotion
    pca: PrincipalComponents
    strength: float = 1.0
    label: str = "MoCoGAN-HD"
    about: str = "Motion learned from videos. It heeds no words: every prompt gives other noise."
    heeds_words: bool = False

    def __call__(self, ws: WPlus, words: Words) -> Motion:
        return self.strength * by_face(lambda w, seed: self.model(w, self.pca, NUM_FRAMES, seed), ws, words)


@dataclass(frozen=True)
class RandomWalk:
    """Random motion that nobody trained."""

    pca: PrincipalComponents
    strength: float = 1.0
    label: str = "random motion, untrained"
    about: str = "Smooth noise along the principal directions of W. It is no method, but what every method must beat."
    heeds_words: bool = False

    def __call__(self, ws: WPlus, words: Words) -> Motion:
        return by_face(lambda w, seed: random_motion(w, self.pca, NUM_FRAMES, self.strength, seed=seed), ws, words)


def by_face(move: Callable[[WPlus, int], Motion], ws: WPlus, words: Words) -> Motion:
    """`move` of each face and of a seed that is its own under these words, whatever faces come with it."""
    seeds = (1_000_003 * words.index + words.first + face for face in range(len(ws)))
    return torch.cat([move(w, seed) for w, seed in zip(ws.split(1), seeds, strict=True)])


def as_strong(
    method: Mocogan | RandomWalk, target: float, magnitude: Callable[[Method], float], steps: int = 4
) -> Mocogan | RandomWalk:
    """The method at the strength at which its clips move by `target`, as `magnitude` measures a method's.

    More strength moves more, and about in proportion: each step divides by how far the last was off.
    """
    scaled = method
    for _ in range(steps):
        found = magnitude(scaled)
        if found <= 0:
            return method  # it stands still, at whatever strength
        scaled = replace(scaled, strength=scaled.strength * target / found)
    return replace(scaled, label=f"{method.label}, as strong as LGA")

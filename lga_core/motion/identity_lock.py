"""The identity lock: the largest strength of a motion that preserves identity.

A network measures the identity similarity of each frame to the still face. The largest strength whose least similar
frame reaches a threshold is found by bisection on a few frames, then verified on more: it need not be monotonic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..rendering import ChunkedSynthesis, chunk_size, free_bytes
from ..shapes import Images, Motion, WPlus
from ..stylegan2.generator import Generator

Similarity = Callable[[Images, Images], Float[Tensor, "n"]]
"""Identity similarity of frames [n c h w] to the source [1 c h w], images in -1..1; 1 for the same image."""

DRAWS = 6
SEARCH_FRAMES, PROOF_FRAMES = 4, 16
STEP_BACK = 0.8


@dataclass(frozen=True)
class LockedStrength:
    """Result of the identity lock.

    Attributes:
        strength: the strength found.
        similarity: identity similarity of its least similar frame.
        threshold: the similarity that was required.
        tried: pairs of a strength and the similarity of its least similar frame; the last verifies `strength`.
    """

    strength: float
    similarity: float
    threshold: float
    tried: tuple[tuple[float, float], ...]

    def __str__(self) -> str:
        tried = ", ".join(f"{strength:.2f}: {found:.3f}" for strength, found in self.tried)
        return (
            f"Strength {self.strength:.2f} preserves identity in every frame checked: least similarity "
            f"{self.similarity:.3f}, threshold {self.threshold:.3f}. Tried: {tried}."
        )


def lock_strength(
    generator: Generator,
    ws: WPlus,
    motion: Motion,
    similarity: Similarity,
    threshold: float,
    most: float = 1.0,
    draws: int = DRAWS,
    on_try: Callable[[int, Images], None] | None = None,
) -> LockedStrength:
    """The largest strength up to `most` at which every frame's identity similarity to the still face is >= `threshold`.

    Strength 0, the still face, always qualifies. If similarity is not monotonic, a larger strength may qualify too.

    Args:
        generator: its inference engine synthesises the frames.
        ws: the still face, [1 num_ws w_dim].
        motion: its offsets at strength 1, [1 t num_ws w_dim].
        similarity: see `Similarity`; `find_identity_similarity` gives one.
        threshold: the least similarity that is allowed.
        most: the largest strength to try.
        draws: number of strengths to search with, on a few frames each. Verification takes one more, on more frames, or
            some more if it steps back.
        on_try: called with the number of strengths tried and the frames, least similar first; an exception it raises
            stops the search.

    Raises InputError for several faces, and for a strength or threshold that is not finite.
    """
    _check(ws, motion, threshold, most)
    trial = StrengthTrial(generator, ws, motion, similarity, on_try)
    strength = _bisected(trial, threshold, most, draws)
    while strength and trial(strength, PROOF_FRAMES) < threshold:
        strength = _stepped_back(strength, trial.tried, threshold)
    if not strength:
        trial.tried.append((0.0, trial.still()))
    return LockedStrength(strength, trial.tried[-1][1], threshold, tuple(trial.tried))


class StrengthTrial:
    """Similarity of the least similar frame of a clip at a strength; every trial is recorded in `tried`."""

    def __init__(
        self,
        generator: Generator,
        ws: WPlus,
        motion: Motion,
        similarity: Similarity,
        on_try: Callable[[int, Images], None] | None,
    ) -> None:
        self.ws, self.offsets, self.similarity, self.on_try = ws, motion[0], similarity, on_try
        self.draw = ChunkedSynthesis(
            generator, chunk_size(generator.config, free_bytes(ws.device), None, ws.device), None
        )
        (self.source,) = self.draw(ws)
        self.tried: list[tuple[float, float]] = []

    @torch.no_grad()
    def __call__(self, strength: float, num_frames: int) -> float:
        frames = torch.cat(list(self.draw(self.ws + strength * self.offsets[farthest(self.offsets, num_frames)])))
        found = self.similarity(frames, self.source)
        self.tried.append((strength, found.min().item()))
        if self.on_try is not None:
            self.on_try(len(self.tried), frames[found.argsort()])
        return self.tried[-1][1]

    @torch.no_grad()
    def still(self) -> float:
        return self.similarity(self.source, self.source).min().item()


def farthest(offsets: Float[Tensor, "t num_ws w_dim"], count: int) -> list[int]:
    """Indices of at most `count` frames: the one with the largest offset, and others evenly spaced, with the last."""
    lengths = offsets.flatten(1).norm(dim=1)
    t = len(offsets)
    others = torch.linspace(t - 1, 0, min(count, t) + 1).round().int().tolist()
    return list(dict.fromkeys([int(lengths.argmax()), *others]))[:count]


def _bisected(trial: StrengthTrial, threshold: float, most: float, draws: int) -> float:
    """The largest strength that bisection finds; `most` itself if it reaches the threshold."""
    good, bad = 0.0, most
    if most == 0 or trial(most, SEARCH_FRAMES) >= threshold:
        return most
    for _ in range(draws - 1):
        middle = (good + bad) / 2
        if trial(middle, SEARCH_FRAMES) >= threshold:
            good = middle
        else:
            bad = middle
    return good


def _stepped_back(strength: float, tried: list[tuple[float, float]], threshold: float) -> float:
    """The next smaller strength: 0.8 of it, or the next strength that reached the threshold, whichever is larger.

    0, the still face, below 0.02.
    """
    smaller = [each for each, found in tried if each < strength and found >= threshold]
    below = max([STEP_BACK * strength, *smaller])
    return below if below > 0.02 else 0.0


def _check(ws: WPlus, motion: Motion, threshold: float, most: float) -> None:
    if len(ws) != 1 or len(motion) != 1:
        raise InputError(
            f"The identity lock takes one face and its motion, but got {len(ws)} faces and {len(motion)} motions. Lock "
            "each face separately."
        )
    if not (isfinite(most) and most >= 0 and isfinite(threshold)):
        raise InputError(
            f"The largest strength is {most} and the threshold {threshold}; both must be finite, the first 0 or more."
        )

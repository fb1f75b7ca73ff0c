"""The identity lock: as much of a motion as leaves the person who they are.

A network says how alike a frame and the still face are. The largest strength at which the most different frame is still
alike enough is found by halving, and proved on more frames than it was found with: likeness need not fall evenly.
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
"""How alike frames [n c h w] are to the source [1 c h w], pictures in -1..1; 1 for the same picture."""

DRAWS = 6
SEARCH_FRAMES, PROOF_FRAMES = 4, 16
STEP_BACK = 0.8


@dataclass(frozen=True)
class LockedStrength:
    """The strength that was found, how alike the most different frame then is, and all strengths that were tried.

    tried: pairs of a strength and the likeness of its most different frame, in the order of trying; the last is the
    proof of `strength`.
    """

    strength: float
    similarity: float
    threshold: float
    tried: tuple[tuple[float, float], ...]

    def __str__(self) -> str:
        tried = ", ".join(f"{strength:.2f}: {found:.3f}" for strength, found in self.tried)
        return (
            f"Strength {self.strength:.2f} keeps the face alike in every frame looked at ({self.similarity:.3f}; "
            f"{self.threshold:.3f} is needed). Tried: {tried}."
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
    """The largest strength up to `most` for which every frame stays as alike to the still face as `threshold`.

    Strength 0 always is: it is the still face. Where likeness rises and falls more than once a larger strength than the
    one found may be alike enough too, but the one found is.

    Args:
        generator: draws, by its engine.
        ws: the still face, [1 num_ws w_dim].
        motion: its offsets at strength 1, [1 t num_ws w_dim].
        similarity: see `Similarity`; `find_identity_similarity` gives one.
        threshold: as `similarity` measures.
        most: the strength that is wanted.
        draws: of a few frames each, to search with. Proof takes one more, of more frames, or a few if it steps back.
        on_try: called with the number of strengths tried and the frames drawn, the most different one first. What it
            raises stops.

    Raises InputError for several faces or a strength or threshold that cannot be.
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
    """Draws a clip's frames at a strength and says how alike the most different one is; keeps account in `tried`."""

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
    """Indices of at most `count` frames: the one that moves farthest, and others spread evenly, the last among them."""
    lengths = offsets.flatten(1).norm(dim=1)
    t = len(offsets)
    others = torch.linspace(t - 1, 0, min(count, t) + 1).round().int().tolist()
    return list(dict.fromkeys([int(lengths.argmax()), *others]))[:count]


def _bisected(trial: StrengthTrial, threshold: float, most: float, draws: int) -> float:
    """The largest strength that halving finds; `most` itself where that is alike enough."""
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
    """Where to step back to: four fifths, or the next smaller strength that was alike enough, whichever is more.

    0, the still face, once that is next to nothing.
    """
    smaller = [each for each, found in tried if each < strength and found >= threshold]
    below = max([STEP_BACK * strength, *smaller])
    return below if below > 0.02 else 0.0


def _check(ws: WPlus, motion: Motion, threshold: float, most: float) -> None:
    if len(ws) != 1 or len(motion) != 1:
        raise InputError(
            f"{len(ws)} faces and {len(motion)} movements were given; a lock is found for one face and its movement. "
            "Lock each by itself."
        )
    if not (isfinite(most) and most >= 0 and isfinite(threshold)):
        raise InputError(
            f"The largest strength is {most} and the likeness {threshold}; they must be numbers, the first 0 or more."
        )

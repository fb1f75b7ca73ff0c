"""How a clip moves, what it keeps of the face, and whether it shows the words: figures of its frames.

The average content distance is Hang et al. 2023, IV-A5. It is 0 for a still picture, so it means something only beside
how much the clip moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError, MismatchError
from ..shapes import Embedding, Images
from .perceptual import PerceptualDistance

DIFFERENCES = 4
"""Frames that the highest difference over time spans."""


def average_content_distance(identities: Float[Tensor, "t c"]) -> Float[Tensor, ""]:
    """ACD: the mean distance of two frames' identity embeddings, over all pairs (Hang et al. 2023, IV-A5).

    0 for a single frame.
    """
    return torch.pdist(identities).mean() if len(identities) > 1 else identities.new_zeros(())


def consecutive_content_distance(identities: Float[Tensor, "t c"]) -> Float[Tensor, ""]:
    """ACD as the paper's published code has it: squared distances of neighbouring frames, summed over the clip."""
    return identities.diff(dim=0).square().sum()


def pca_path(path: Float[Tensor, "t k"]) -> Float[Tensor, "t 2"]:
    """Where the frames of a path [t k] lie along the two directions in which it goes furthest, from its first frame."""
    centered = (path - path.mean(dim=0)).double()
    values, vectors = torch.linalg.eigh(centered @ centered.T)
    places = (vectors * values.clamp_min(0).sqrt())[:, -2:].flip(1)
    places = F.pad(places, (0, 2 - places.shape[1]))
    places = places - places[:1]
    return (places * torch.where(places[-1:] < 0, -1.0, 1.0)).float()  # the last frame lies to the right and above


@dataclass(frozen=True, eq=False)
class ClipMetrics:
    """Figures of one clip of t frames. Pictures are compared in 0..1, as means over their pixels.

    Attributes:
        changes: of each frame from the first one, [t].
        differences: mean size of the first, second and third differences over time; 0 where the clip is too short.
        steps: of each frame from the one before, [t-1].
        identities: embedding of who each frame shows, [t c]; None where nobody was asked.
        alignment: cosine of each frame and the words, [t]; None without words.
        distances: perceptual distance of each frame from the first one, [t]; None where it was not measured.
    """

    changes: Float[Tensor, "t"]
    steps: Float[Tensor, "t-1"]
    differences: tuple[float, float, float]
    identities: Float[Tensor, "t c"] | None = None
    alignment: Float[Tensor, "t"] | None = None
    distances: Float[Tensor, "t"] | None = None

    @property
    def magnitude(self) -> float:
        """How much it moves: the mean change of a frame from the first one."""
        return self.changes.mean().item()

    @property
    def flicker(self) -> float:
        """How far frames lie from the middle of their neighbours, in steps: 0 at an even pace, 1 to and fro."""
        return _ratio(self.differences[1], 2 * self.differences[0])

    @property
    def jerk(self) -> float:
        """Third difference over the first one: 0 at an even pace or an even acceleration, 4 to and fro."""
        return _ratio(self.differences[2], self.differences[0])

    @property
    def first_step_share(self) -> float:
        """Of all steps' lengths, the first one's; 1 / (t - 1) at an even pace. NaN for a clip that does not move."""
        return (self.steps[0] / self.steps.sum()).item() if self.steps.sum() > 0 else float("nan")

    @property
    def identity_cosines(self) -> Float[Tensor, "t"] | None:
        """Cosine of each frame's identity and the first one's."""
        if self.identities is None:
            return None
        return F.cosine_similarity(self.identities, self.identities[:1], dim=1)

    def figures(self) -> dict[str, float]:
        """Every figure by its name. Those that were not measured are left out."""
        found = {
            "magnitude": self.magnitude,
            "first_step_share": self.first_step_share,
            "flicker": self.flicker,
            "jerk": self.jerk,
        }
        if self.identities is not None and self.identity_cosines is not None:
            found["acd"] = average_content_distance(self.identities).item()
            found["acd_consecutive"] = consecutive_content_distance(self.identities).item()
            found["identity"] = self.identity_cosines.mean().item()
        if self.alignment is not None:
            found["alignment"] = self.alignment[-1].item()
            found["alignment_rise"] = (self.alignment[-1] - self.alignment[0]).item()
        if self.distances is not None:
            found["distance"] = self.distances.mean().item()
        return found


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


@dataclass
class ClipMeter:
    """Measures a clip while its frames come, and keeps no more than the last few of them.

    identity: pictures [n c h w] in -1..1 -> vectors [n c], see `IdentitySimilarity`. words: a unit embedding [1 c] of
    the text, with the `look` that embeds pictures beside it. distance: from the first frame.
    """

    identity: Callable[[Images], Embedding] | None = None
    look: Callable[[Images], Embedding] | None = None
    words: Embedding | None = None
    distance: PerceptualDistance | None = None
    _first: Images | None = field(default=None, init=False)
    _last: list[Images] = field(default_factory=list, init=False)
    _changes: list[Tensor] = field(default_factory=list, init=False)
    _sizes: tuple[list[float], list[float], list[float]] = field(default_factory=lambda: ([], [], []), init=False)
    _identities: list[Tensor] = field(default_factory=list, init=False)
    _alignment: list[Tensor] = field(default_factory=list, init=False)
    _distances: list[Tensor] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        if (self.words is None) != (self.look is None):
            raise InputError("Words can be compared with frames by one CLIP model only: give both, or neither.")

    @torch.no_grad()
    def update(self, frames: Images) -> None:
        """The next frames [k c h w], in -1..1. Raises MismatchError for frames of another size."""
        frames = frames.float().clamp(-1, 1)
        if self._first is None:
            self._first = frames[:1]
        if frames.shape[1:] != self._first.shape[1:]:
            raise MismatchError(
                f"A clip whose first frame is {list(self._first.shape[1:])} goes on with {list(frames.shape[1:])}. "
                "Give frames of one size."
            )
        self._changes.append((frames - self._first).abs().mean(dim=(1, 2, 3)).cpu() / 2)
        for frame in frames.split(1):
            self._add_differences(frame)
        if self.identity is not None:
            self._identities.append(self.identity(frames).float().cpu())
        if self.look is not None and self.words is not None:
            self._alignment.append(F.cosine_similarity(self.look(frames), self.words, dim=1).cpu())
        if self.distance is not None:
            self._distances.append(self.distance.each(frames, self._first.expand_as(frames)).cpu())

    def _add_differences(self, frame: Images) -> None:
        """Sizes of the differences, of every order, that end at this frame."""
        self._last = [*self._last, frame][-DIFFERENCES:]
        differences = list(reversed(self._last))
        for sizes in self._sizes[: len(self._last) - 1]:
            differences = [later - sooner for later, sooner in pairwise(differences)]
            sizes.append(differences[0].abs().mean().item() / 2)

    @property
    def measures(self) -> ClipMetrics:
        """Of all that was seen. Raises InputError if nothing was."""
        if self._first is None:
            raise InputError("There is no frame to measure. Give a clip of at least one.")
        means = [sum(sizes) / len(sizes) if sizes else 0.0 for sizes in self._sizes]
        return ClipMetrics(
            torch.cat(self._changes),
            torch.tensor(self._sizes[0]),
            (means[0], means[1], means[2]),
            *(torch.cat(found) if found else None for found in (self._identities, self._alignment, self._distances)),
        )


def measure_clip(
    frames: Iterable[Images],
    identity: Callable[[Images], Embedding] | None = None,
    look: Callable[[Images], Embedding] | None = None,
    words: Embedding | None = None,
    distance: PerceptualDistance | None = None,
) -> ClipMetrics:
    """Measures of the clip whose frames [k c h w], in -1..1, come in chunks; see `ClipMeter` for the rest.

    Raises InputError for an empty clip and for words without a `look`, MismatchError for frames of several sizes.
    """
    measuring = ClipMeter(identity, look, words, distance)
    for chunk in frames:
        measuring.update(chunk)
    return measuring.measures

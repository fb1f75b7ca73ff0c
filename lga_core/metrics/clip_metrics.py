"""Metrics of a clip: motion, smoothness, identity (average content distance, ACD) and alignment with the text.

The average content distance is that of Hang et al. 2023, IV-A5. It is 0 for a still image: compare it only at equal
motion.
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
"""Frames that the third difference over time spans."""


def average_content_distance(identities: Float[Tensor, "t c"]) -> Float[Tensor, ""]:
    """Average content distance (ACD): mean distance between identity embeddings over all pairs of frames (IV-A5).

    identities: [t c]. 0 for a single frame.
    """
    return torch.pdist(identities).mean() if len(identities) > 1 else identities.new_zeros(())


def consecutive_content_distance(identities: Float[Tensor, "t c"]) -> Float[Tensor, ""]:
    """ACD of the authors' code: squared distances between consecutive embeddings [t c], summed over the clip."""
    return identities.diff(dim=0).square().sum()


def pca_path(path: Float[Tensor, "t k"]) -> Float[Tensor, "t 2"]:
    """PCA of a path [t k]: its frames in the plane of the two principal components, relative to the first frame."""
    centered = (path - path.mean(dim=0)).double()
    values, vectors = torch.linalg.eigh(centered @ centered.T)
    places = (vectors * values.clamp_min(0).sqrt())[:, -2:].flip(1)
    places = F.pad(places, (0, 2 - places.shape[1]))
    places = places - places[:1]
    return (places * torch.where(places[-1:] < 0, -1.0, 1.0)).float()  # the last frame lies to the right and above


@dataclass(frozen=True, eq=False)
class ClipMetrics:
    """Metrics of one clip of t frames. Pixel differences are mean absolute values of images in 0..1.

    Attributes:
        changes: pixel difference of each frame from the first one, [t].
        differences: mean absolute first, second and third differences over time; 0 if the clip is too short.
        steps: pixel difference of each frame from the previous one, [t-1].
        identities: identity embedding of each frame, [t c]; None if not measured.
        alignment: CLIP cosine between each frame and the text, [t]; None without a text.
        distances: perceptual distance of each frame from the first one, [t]; None if not measured.
    """

    changes: Float[Tensor, "t"]
    steps: Float[Tensor, "t-1"]
    differences: tuple[float, float, float]
    identities: Float[Tensor, "t c"] | None = None
    alignment: Float[Tensor, "t"] | None = None
    distances: Float[Tensor, "t"] | None = None

    @property
    def magnitude(self) -> float:
        """Amount of motion: mean pixel difference from the first frame."""
        return self.changes.mean().item()

    @property
    def flicker(self) -> float:
        """Second over first difference, halved: 0 at constant speed, 1 for frames that alternate."""
        return _ratio(self.differences[1], 2 * self.differences[0])

    @property
    def jerk(self) -> float:
        """Third over first difference: 0 at constant speed or acceleration, 4 for frames that alternate."""
        return _ratio(self.differences[2], self.differences[0])

    @property
    def first_step_share(self) -> float:
        """Share of the first step in all steps: 1 / (t - 1) at constant speed. NaN for a clip without motion."""
        return (self.steps[0] / self.steps.sum()).item() if self.steps.sum() > 0 else float("nan")

    @property
    def identity_cosines(self) -> Float[Tensor, "t"] | None:
        """Cosine between the identity embeddings of each frame and the first frame, [t]; None if not measured."""
        if self.identities is None:
            return None
        return F.cosine_similarity(self.identities, self.identities[:1], dim=1)

    def figures(self) -> dict[str, float]:
        """Every metric by its name; metrics that were not measured are left out."""
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
    """Accumulates the metrics of a clip frame by frame, with the last few frames in memory.

    Attributes:
        identity: identity embedding, images [n c h w] in -1..1 -> [n c], see `IdentitySimilarity`.
        embed_images: CLIP's image embedding, images [n c h w] in -1..1 -> [n c].
        text_embedding: CLIP's unit embedding of the text, [1 c]; needs `embed_images`.
        distance: perceptual distance, measured from the first frame.
    """

    identity: Callable[[Images], Embedding] | None = None
    embed_images: Callable[[Images], Embedding] | None = None
    text_embedding: Embedding | None = None
    distance: PerceptualDistance | None = None
    _first: Images | None = field(default=None, init=False)
    _last: list[Images] = field(default_factory=list, init=False)
    _changes: list[Tensor] = field(default_factory=list, init=False)
    _sizes: tuple[list[float], list[float], list[float]] = field(default_factory=lambda: ([], [], []), init=False)
    _identities: list[Tensor] = field(default_factory=list, init=False)
    _alignment: list[Tensor] = field(default_factory=list, init=False)
    _distances: list[Tensor] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        if (self.text_embedding is None) != (self.embed_images is None):
            raise InputError(
                "A text embedding and an image embedding of one CLIP model are needed together: give both, or neither."
            )

    @torch.no_grad()
    def update(self, frames: Images) -> None:
        """Add the next frames [k c h w] in -1..1. Raises MismatchError for frames of another size."""
        frames = frames.float().clamp(-1, 1)
        if self._first is None:
            self._first = frames[:1]
        if frames.shape[1:] != self._first.shape[1:]:
            raise MismatchError(
                f"The first frame has shape {list(self._first.shape[1:])}, a later one {list(frames.shape[1:])}. All "
                "frames of a clip need one size."
            )
        self._changes.append((frames - self._first).abs().mean(dim=(1, 2, 3)).cpu() / 2)
        for frame in frames.split(1):
            self._add_differences(frame)
        if self.identity is not None:
            self._identities.append(self.identity(frames).float().cpu())
        if self.embed_images is not None and self.text_embedding is not None:
            self._alignment.append(F.cosine_similarity(self.embed_images(frames), self.text_embedding, dim=1).cpu())
        if self.distance is not None:
            self._distances.append(self.distance.each(frames, self._first.expand_as(frames)).cpu())

    def _add_differences(self, frame: Images) -> None:
        """Add the first, second and third differences that end at this frame."""
        self._last = [*self._last, frame][-DIFFERENCES:]
        differences = list(reversed(self._last))
        for sizes in self._sizes[: len(self._last) - 1]:
            differences = [later - sooner for later, sooner in pairwise(differences)]
            sizes.append(differences[0].abs().mean().item() / 2)

    @property
    def metrics(self) -> ClipMetrics:
        """Metrics of all frames so far. Raises InputError if there are none."""
        if self._first is None:
            raise InputError("The clip has no frames. Give at least one.")
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
    embed_images: Callable[[Images], Embedding] | None = None,
    text_embedding: Embedding | None = None,
    distance: PerceptualDistance | None = None,
) -> ClipMetrics:
    """Metrics of a clip whose `frames` come in chunks [k c h w] in -1..1; for the other arguments see `ClipMeter`.

    Raises InputError for an empty clip and for a text embedding without `embed_images` or the reverse, MismatchError
    for frames of several sizes.
    """
    meter = ClipMeter(identity, embed_images, text_embedding, distance)
    for chunk in frames:
        meter.update(chunk)
    return meter.metrics

"""A domain's face detector: drawn faces, which detectors of photographs do not know, at any place, size and angle.

Small networks on an image pyramid: the proposal network (`spotter`) finds rough squares on every level; the landmark
regressor (`measurer`) corrects each of them a few times in an upright, enlarged window. The landmarks are those of a
face at rest in the square that was found: an expression moves eyes and mouth, never the crop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from os import PathLike
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from ...errors import CheckpointError
from ...formats.native import load_checkpoint, save_checkpoint
from ...shapes import Images
from .domain_networks import DetectorConfig, LandmarkRegressor, ProposalNetwork, Squares, corrected, squares_of
from .types import FoundFace

PYRAMID_STEP = 2 / 3
"""From one level of the pyramid to the next."""
LARGEST, MAGNIFIED, SMALLEST = 1280, 1.5, 40
"""The longest side of the first level in pixels, how much larger than the picture it may be, and the side at which the
levels end."""
MARGIN = 32
"""Pixels of grey around a level: faces may be half outside the picture."""
PROPOSAL_THRESHOLD, SCORE_THRESHOLD = 0.15, 0.85
"""Thresholds: on the probability of a proposal, and on the geometric mean of both networks' probabilities of a face.

The second is chosen on photographs that the networks were trained with: about one in thirteen is taken for a face.
"""
MAX_PROPOSALS, REFINEMENTS = 48, 4
"""Squares that are looked at from near, and how many times."""


@dataclass(frozen=True)
class Level:
    """The picture [1 3 h w], `scale` times as large."""

    scale: float
    picture: Images


class DomainDetector(nn.Module):
    """Face detector of one domain. `find` takes one image; training calls the two networks directly."""

    name = "doodle"

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.config = config
        self.spotter, self.measurer = ProposalNetwork(config), LandmarkRegressor(config)

    @torch.no_grad()
    def find(self, images: Images) -> list[FoundFace]:
        """The faces in a picture [1 3 h w] in -1..1, the surest first.

        Squares are sought from 24 pixels (and a 60th of the picture) up to the whole of it.
        """
        centers, axes, scores = self.squares(images)
        rest = torch.view_as_complex(torch.tensor(self.config.points)).to(centers)
        points = torch.view_as_real(centers[:, None] + axes[:, None] * rest).cpu()
        return [FoundFace(*face, self.name) for face in zip(points, scores.tolist(), strict=True)]

    def squares(self, images: Images) -> tuple[Squares, Squares, Float[Tensor, "k"]]:
        """Centres, axes and scores of the faces in a picture [1 3 h w], the surest first."""
        levels = pyramid(images.to(self.spotter.head.weight))
        centers, axes, probabilities = (torch.cat(each) for each in zip(*map(self._proposals, levels), strict=True))
        kept = non_maximum_suppression(centers, axes, probabilities)[:MAX_PROPOSALS]
        centers, axes, probabilities = centers[kept], axes[kept], probabilities[kept]
        scores = probabilities
        for _ in range(REFINEMENTS if len(kept) else 0):
            windows = torch.cat([self._window(levels, *each) for each in zip(centers, axes, strict=True)])
            seen = self.measurer(windows)
            centers, axes = corrected(centers, axes, seen[:, 1:])
            scores = (seen[:, 0].sigmoid() * probabilities).sqrt()
        kept = non_maximum_suppression(centers, axes, scores)
        kept = kept[scores[kept] >= SCORE_THRESHOLD]
        return centers[kept], axes[kept], scores[kept]

    def _proposals(self, level: Level) -> tuple[Squares, Squares, Float[Tensor, "k"]]:
        """Squares in pixels of the picture itself, where a cell is surer than its neighbours."""
        h, w = level.picture.shape[2:]
        right, below = -w % self.spotter.stride, -h % self.spotter.stride
        cells = self.spotter(F.pad(level.picture, (MARGIN, MARGIN + right, MARGIN, MARGIN + below)))[0]
        probability = cells[0].sigmoid()
        peak = F.max_pool2d(probability[None], 3, 1, 1)[0]
        rows, columns = torch.nonzero((probability == peak) & (probability >= PROPOSAL_THRESHOLD), as_tuple=True)
        found = cells[:, rows, columns].T
        centers, axes = squares_of(found, rows, columns, self.spotter.stride, self.config.side)
        return (centers - complex(MARGIN, MARGIN)) / level.scale, axes / level.scale, probability[rows, columns]

    def _window(self, levels: Sequence[Level], center: Tensor, axis: Tensor) -> Float[Tensor, "1 3 s s"]:
        """What lies around a square, upright, from the smallest level that has all of its detail."""
        need = 0.9 * self.config.window / self.config.reach / (2 * axis.abs().item())
        level = min((each for each in levels if each.scale >= need), key=lambda each: each.scale, default=levels[0])
        steps = (torch.arange(self.config.window, device=center.device) + 0.5) / self.config.window * 2 - 1
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        places = (center + axis * self.config.reach * torch.complex(x, y)) * level.scale
        h, w = level.picture.shape[2:]
        places = torch.stack([places.real / w, places.imag / h], dim=-1) * 2 - 1
        return F.grid_sample(level.picture, places[None], align_corners=False)


def pyramid(picture: Images) -> list[Level]:
    """A picture [1 3 h w] at falling scales, the first one magnified where it is small."""
    scale = min(MAGNIFIED, LARGEST / max(picture.shape[2:]))
    levels = [Level(scale, resized(picture, scale))]
    while (
        min(levels[-1].picture.shape[2:]) * PYRAMID_STEP >= SMALLEST or max(levels[-1].picture.shape[2:]) > 3 * SMALLEST
    ):
        scale *= PYRAMID_STEP
        smaller = resized(levels[-1].picture, PYRAMID_STEP)
        if min(smaller.shape[2:]) < 2:
            break
        levels.append(Level(scale, smaller))
    return levels


def resized(picture: Images, scale: float) -> Images:
    """Exactly `scale` times as large, antialiased; what is less than a pixel at the right and below is cut off."""
    size = [max(1, int(side * scale)) for side in picture.shape[2:]]
    if size == list(picture.shape[2:]):
        return picture
    if min(int(side * scale) for side in picture.shape[2:]) < 1:
        return F.interpolate(picture, size, mode="bilinear", antialias=True)
    return F.interpolate(picture, scale_factor=scale, mode="bilinear", antialias=True, recompute_scale_factor=False)


def non_maximum_suppression(centers: Squares, axes: Squares, scores: Float[Tensor, "k"]) -> Int[Tensor, "m"]:
    """Indices of the squares, the surest first, without those that mean the face of a surer one."""
    order, kept = scores.argsort(descending=True), []
    for index in order.tolist():
        rivals = torch.tensor(kept, dtype=torch.long, device=axes.device)
        sides, side = 2 * axes[rivals].abs(), 2 * axes[index].abs()
        near = (centers[rivals] - centers[index]).abs() < 0.4 * torch.maximum(sides, side)
        alike = torch.maximum(sides / side, side / sides) < 2.0
        if not (near & alike).any():
            kept.append(index)
    return torch.tensor(kept, dtype=torch.long, device=axes.device)


# Files


def save_detector(path: str | PathLike[str], detector: DomainDetector, *, half: bool = False, **metadata: Any) -> None:
    """Save a face detector; see `save_checkpoint`."""
    save_checkpoint(path, "finder", _state(detector), asdict(detector.config), half=half, **metadata)


def load_detector(path: str | PathLike[str]) -> DomainDetector:
    """Load a face detector: float32, evaluation mode, no gradients. Raises CheckpointError."""
    path = Path(path)
    checkpoint = load_checkpoint(path, "finder")
    config = _config(path, checkpoint.architecture)
    with torch.device("meta"):  # nothing is allocated before the file is known to fit
        detector = DomainDetector(config)
    need, found = _state(detector), checkpoint.tensors
    if wrong := sorted(n for n in need.keys() | found.keys() if _shape(need, n) != _shape(found, n)):
        raise CheckpointError(
            f"{path} is not a face detector: its tensor '{wrong[0]}' has shape {_shape(found, wrong[0])}, but its "
            f"architecture needs {_shape(need, wrong[0])}. Fetch or make it again."
        )
    counters = {name: torch.tensor(0) for name in detector.state_dict() if name not in need}  # not stored
    detector.load_state_dict({**found, **counters}, assign=True)
    return detector.eval().requires_grad_(False)


def _state(detector: DomainDetector) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in detector.state_dict().items() if tensor.is_floating_point()}


def _shape(tensors: Mapping[str, Tensor], name: str) -> list[int] | None:
    return list(tensors[name].shape) if name in tensors else None


def _config(path: Path, architecture: Mapping[str, Any]) -> DetectorConfig:
    names = {field.name for field in fields(DetectorConfig)}
    if wrong := sorted(architecture.keys() ^ names):
        raise CheckpointError(
            f"{path}: its architecture has missing or unknown entries: {', '.join(wrong)}. It was made by another "
            "version of this project: update, or make the file again."
        )
    try:
        return DetectorConfig(**{name: _frozen(value) for name, value in architecture.items()})
    except (TypeError, ValueError) as err:
        raise CheckpointError(f"{path}: its architecture is invalid ({err}). Fetch or make it again.") from err


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value

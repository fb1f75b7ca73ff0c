"""Multi-scale face detection with a detector for upright faces of medium size.

The detector gets the image rotated, and in enlarged tiles. Each detection is refined: detected again upright and large,
alternately mirrored and not, until two views in a row agree. That sharpens the landmarks and removes false detections.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from ...errors import InputError
from ...imaging.images import to_uint8
from ...shapes import Images
from .types import FoundFace, face_center, face_size, in_order, right_of

QUARTERS = (0, 90, 270, 180)
"""Rotations of the image, in degrees, for a detector that tolerates 45 degrees."""
_VIEW_SIZE = 256  # side of a view, in pixels
_REFINED_VIEW_SIZE = 384  # side of a view in refinement, in pixels
_CONTEXT = 2.6  # side of a view in refinement, in sizes of the face
_MAX_GAP = 0.1  # largest mean distance between the landmarks of two views, in sizes of the face
_CONVERGED_GAP = 0.02  # the same while further views remain
_MAX_REFINEMENTS = 5
_MIN_TILE = 48  # pixels
_LARGE = 0.3  # size of a face, in longer sides of the image, that ends the search for smaller ones


class Detection(NamedTuple):
    """A detection in one view: landmarks `points` in pixels of the view, and its confidence, 0..1."""

    points: Float[Tensor, "5 2"]
    confidence: float


class UprightDetector(Protocol):
    def __call__(self, view: UInt8[Tensor, "side side 3"]) -> list[Detection]: ...


@dataclass(frozen=True, eq=False)
class Square:
    """A rotated square in an image: its `center`, and `axis`, from there to the middle of its right side."""

    center: Float[Tensor, "2"]
    axis: Float[Tensor, "2"]

    def to_picture(self, points: Float[Tensor, "... 2"]) -> Float[Tensor, "... 2"]:
        """Points in -1..1 of the square -> pixels of the image."""
        down = torch.stack([-self.axis[1], self.axis[0]])
        return self.center + points[..., :1] * self.axis + points[..., 1:] * down

    @property
    def side(self) -> float:
        return 2 * self.axis.norm().item()


class Picture:
    """An image [1 3 h w] in -1..1 for crops of rotated squares at any scale, with grey around it.

    Raises InputError unless it is one RGB image.
    """

    def __init__(self, images: Images):
        if images.ndim != 4 or images.shape[:2] != (1, 3) or not images.numel():
            raise InputError(f"The image has shape {list(images.shape)}; detection needs one RGB image, [1 3 h w].")
        self.height, self.width = images.shape[2:]
        self._halved = [images.detach().cpu().float().nan_to_num().clamp(-1, 1)]

    def cut(self, square: Square, size: int) -> UInt8[Tensor, "size size 3"]:
        """Crop the square to `size` x `size` pixels, antialiased."""
        source = self._at_scale(square.side / size)
        steps = (torch.arange(size) + 0.5) / size * 2 - 1
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        places = square.to_picture(torch.stack([x, y], dim=-1)) / torch.tensor([self.width, self.height]) * 2 - 1
        return to_uint8(F.grid_sample(source, places[None], mode="bicubic", align_corners=False))[0]

    def _at_scale(self, step: float) -> Images:
        """The image, halved as often as a sampling distance of `step` pixels allows."""
        times = max(math.floor(math.log2(max(step, 1)) + 0.5), 0)
        while len(self._halved) <= times:
            last = self._halved[-1]
            half = [max((side + 1) // 2, 1) for side in last.shape[2:]]
            self._halved.append(F.interpolate(last, half, mode="area"))
        return self._halved[times]

    def tiles(self, parts: int) -> Iterator[tuple[Float[Tensor, "2"], float]]:
        """Centre and half side of squares, 1/`parts` of the longer side each, that overlap by half; one for 1 part."""
        side = max(self.height, self.width) / parts
        if parts > 1 and side < _MIN_TILE:
            return
        for y in _middles(self.height, side):
            for x in _middles(self.width, side):
                yield torch.tensor([x, y]), side / 2


def _middles(length: float, side: float) -> list[float]:
    """Middles of stretches of one `side` that cover a `length`, each overlapping the next by half or more."""
    if length <= side:
        return [length / 2]
    steps = math.ceil((length - side) / (side / 2))
    return [side / 2 + (length - side) * step / steps for step in range(steps + 1)]


def detect_multiscale(
    picture: Picture, detect: UprightDetector, name: str, sure: float, turns: Sequence[int] = QUARTERS
) -> list[FoundFace]:
    """Multi-scale detection of the faces in an image, the most confident first.

    Views are the whole image and tiles of a half and a quarter of its side, until a large face with the score `sure` is
    found; while there is none, the whole and halves in the other rotations too.
    """
    found: list[FoundFace] = []
    for turn in turns:
        for parts in (1, 2, 4) if turn == turns[0] else (1, 2):
            surely = [face for face in found if face.score >= sure]
            found = _non_maximum_suppression(found + _detected_in_tiles(picture, detect, name, turn, parts, surely))
            if any(face.score >= sure and face.size >= _LARGE * max(picture.height, picture.width) for face in found):
                return found
        if found and found[0].score >= sure:
            return found
    return found


def _detected_in_tiles(
    picture: Picture, detect: UprightDetector, name: str, turn: int, parts: int, known: Sequence[FoundFace]
) -> list[FoundFace]:
    """Faces in the tiles of the image, besides the known ones."""
    angle = math.radians(turn)
    axis = torch.tensor([math.cos(angle), math.sin(angle)])
    found: list[FoundFace] = []
    for center, reach in picture.tiles(parts):
        for seen in _detect(picture, detect, Square(center, axis * reach), _VIEW_SIZE):
            if not any(_is_same_face(seen.points, face.points) for face in (*known, *found)):
                found += _refined(picture, detect, name, seen.points)
    return found


def _detect(
    picture: Picture, detect: UprightDetector, square: Square, size: int, mirrored: bool = False
) -> list[Detection]:
    """Detections in the square, in pixels of the image."""
    view = picture.cut(square, size)
    side = torch.tensor([-1.0 if mirrored else 1.0, 1.0])
    found = [(side * (points / size * 2 - 1), sure) for points, sure in detect(view.flip(1) if mirrored else view)]
    return [Detection(in_order(square.to_picture(points)[None])[0], sure) for points, sure in found]


def _refined(picture: Picture, detect: UprightDetector, name: str, points: Float[Tensor, "5 2"]) -> list[FoundFace]:
    """Refine a detection in upright views: the mean of two views in a row that agree; empty if none do."""
    for view in range(_MAX_REFINEMENTS):
        size = face_size(points)
        if not (math.isfinite(size) and size > 1 and _contains_center(picture, points)):
            return []
        square = _square_around(points)
        again = _detect(picture, detect, square, _REFINED_VIEW_SIZE, mirrored=view % 2 == 0)
        if not again:
            return []
        nearest = min(again, key=lambda seen: _gap(seen.points, points))
        gap = _gap(nearest.points, points)
        if view > 0 and gap < (_CONVERGED_GAP if view < _MAX_REFINEMENTS - 1 else _MAX_GAP):
            return [FoundFace((points + nearest.points) / 2, nearest.confidence * (1 - gap), name)]
        points = nearest.points
    return []


def upright(picture: Picture, points: Float[Tensor, "5 2"]) -> UInt8[Tensor, "side side 3"]:
    """Upright, enlarged crop of the face with these landmarks, with context."""
    return picture.cut(_square_around(points), _REFINED_VIEW_SIZE)


def _square_around(points: Float[Tensor, "5 2"]) -> Square:
    return Square(face_center(points), right_of(points) * face_size(points) * _CONTEXT / 2)


def _contains_center(picture: Picture, points: Float[Tensor, "5 2"]) -> bool:
    x, y = face_center(points).tolist()
    return 0 <= x <= picture.width and 0 <= y <= picture.height


def _gap(points: Float[Tensor, "5 2"], others: Float[Tensor, "5 2"]) -> float:
    """Mean distance between two sets of landmarks, in sizes of the face."""
    return (points - others).norm(dim=1).mean().item() / max(face_size(others), 1e-6)


def _is_same_face(points: Float[Tensor, "5 2"], others: Float[Tensor, "5 2"]) -> bool:
    """Whether both are one face: the centre of either lies well inside the other's box."""
    apart = (face_center(points) - face_center(others)).norm().item()
    return apart < 0.4 * max(face_size(points), face_size(others))


def _non_maximum_suppression(faces: Sequence[FoundFace]) -> list[FoundFace]:
    """Non-maximum suppression: the most confident first, without duplicates."""
    kept: list[FoundFace] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if not any(_is_same_face(face.points, other.points) for other in kept):
            kept.append(face)
    return kept

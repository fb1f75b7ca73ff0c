"""Looking for faces with a detector that knows upright faces of a middling size only.

It is shown the picture turned, and enlarged piece by piece. Whatever it sees is looked at again, upright and large, in
turn as in a mirror and as it is, until two of these looks in a row agree: that sharpens the points, and what a detector
imagines in a face that stands on its head does not last.
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
"""Turns of the picture, in degrees, that are enough for a detector that stands faces lying up to 45 degrees askew."""
_VIEW_SIZE = 256  # side, in pixels, of the pictures that a detector is shown
_REFINED_VIEW_SIZE = 384  # the same for a second look
_CONTEXT = 2.6  # side of a second look, in sizes of the face
_MAX_GAP = 0.1  # how far apart the points of two looks may lie on average, in sizes of the face
_CONVERGED_GAP = 0.02  # the same while there are looks left
_MAX_REFINEMENTS = 5
_MIN_TILE = 48  # pixels
_LARGE = 0.3  # size of a face, in longer sides of the picture, beside which no smaller ones are sought


class Detection(NamedTuple):
    """What a detector sees in one look: `points` in pixels of the look, and how sure it is, 0..1."""

    points: Float[Tensor, "5 2"]
    confidence: float


class UprightDetector(Protocol):
    def __call__(self, view: UInt8[Tensor, "side side 3"]) -> list[Detection]: ...


@dataclass(frozen=True, eq=False)
class Square:
    """A square in a picture, any way up: its `center`, and `axis`, from there to the middle of its right side."""

    center: Float[Tensor, "2"]
    axis: Float[Tensor, "2"]

    def to_picture(self, points: Float[Tensor, "... 2"]) -> Float[Tensor, "... 2"]:
        """Points in -1..1 of the square as pixels of the picture."""
        down = torch.stack([-self.axis[1], self.axis[0]])
        return self.center + points[..., :1] * self.axis + points[..., 1:] * down

    @property
    def side(self) -> float:
        return 2 * self.axis.norm().item()


class Picture:
    """A picture [1 3 h w] in -1..1 that squares are cut out of, at any scale and any way up; grey lies round it.

    Raises InputError for what is no single RGB picture.
    """

    def __init__(self, images: Images):
        if images.ndim != 4 or images.shape[:2] != (1, 3) or not images.numel():
            raise InputError(f"Pictures of shape {list(images.shape)} were given; faces are sought in one, [1 3 h w].")
        self.height, self.width = images.shape[2:]
        self._halved = [images.detach().cpu().float().nan_to_num().clamp(-1, 1)]

    def cut(self, square: Square, size: int) -> UInt8[Tensor, "size size 3"]:
        """The square as `size` x `size` pixels, antialiased."""
        source = self._at_scale(square.side / size)
        steps = (torch.arange(size) + 0.5) / size * 2 - 1
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        places = square.to_picture(torch.stack([x, y], dim=-1)) / torch.tensor([self.width, self.height]) * 2 - 1
        return to_uint8(F.grid_sample(source, places[None], mode="bicubic", align_corners=False))[0]

    def _at_scale(self, step: float) -> Images:
        """The picture, halved as often as steps of so many pixels allow."""
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
    """Faces in the picture, the surest first.

    The whole picture, its halves and its quarters (of its sides) are looked at as it stands, unless a sure face fills
    much of it; while no face has the score `sure`, the whole and its halves under the other turns too.
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
    """Faces in the pieces of the picture, besides those that are known."""
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
    """What the detector sees in the square, in pixels of the picture."""
    view = picture.cut(square, size)
    side = torch.tensor([-1.0 if mirrored else 1.0, 1.0])
    found = [(side * (points / size * 2 - 1), sure) for points, sure in detect(view.flip(1) if mirrored else view)]
    return [Detection(in_order(square.to_picture(points)[None])[0], sure) for points, sure in found]


def _refined(picture: Picture, detect: UprightDetector, name: str, points: Float[Tensor, "5 2"]) -> list[FoundFace]:
    """The face at `points` as the detector sees it upright: the mean of two looks that agree; none if none do."""
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
    """The face with these points, turned upright and large, with what is round it."""
    return picture.cut(_square_around(points), _REFINED_VIEW_SIZE)


def _square_around(points: Float[Tensor, "5 2"]) -> Square:
    return Square(face_center(points), right_of(points) * face_size(points) * _CONTEXT / 2)


def _contains_center(picture: Picture, points: Float[Tensor, "5 2"]) -> bool:
    x, y = face_center(points).tolist()
    return 0 <= x <= picture.width and 0 <= y <= picture.height


def _gap(points: Float[Tensor, "5 2"], others: Float[Tensor, "5 2"]) -> float:
    """Mean distance between two looks' points, in sizes of the face."""
    return (points - others).norm(dim=1).mean().item() / max(face_size(others), 1e-6)


def _is_same_face(points: Float[Tensor, "5 2"], others: Float[Tensor, "5 2"]) -> bool:
    """Whether both are one face: the centre of either lies well inside the other's box."""
    apart = (face_center(points) - face_center(others)).norm().item()
    return apart < 0.4 * max(face_size(points), face_size(others))


def _non_maximum_suppression(faces: Sequence[FoundFace]) -> list[FoundFace]:
    """The surest first, without those that are seen already."""
    kept: list[FoundFace] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if not any(_is_same_face(face.points, other.points) for other in kept):
            kept.append(face)
    return kept

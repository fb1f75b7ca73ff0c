"""A found face, and what finds faces."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from ...shapes import FacePoints, Images

FIRST_EYE, SECOND_EYE, NOSE, FIRST_CORNER, SECOND_CORNER = range(5)
_REACH = 1.25  # from the middle of a face to the side of its box, in its larger distance: eye to eye, eyes to mouth


@dataclass(frozen=True, eq=False)
class FoundFace:
    """One face in a picture.

    Attributes:
        points: eye, eye, nose, mouth corner, mouth corner: x, y in pixels, where (0, 0) is the upper left corner of the
            picture; of each pair the one that is on the left when the face is turned upright comes first.
        score: 0..1, how sure the finder is.
        finder: the name of what found it.
    """

    points: Float[Tensor, "5 2"]
    score: float
    detector: str

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom, in pixels, of a square round eyes, nose and mouth; it may leave the picture."""
        (x, y), reach = face_center(self.points).tolist(), face_size(self.points) / 2
        return x - reach, y - reach, x + reach, y + reach

    @property
    def size(self) -> float:
        """Side of the box, in pixels."""
        return face_size(self.points)

    @property
    def center(self) -> Float[Tensor, "2"]:
        return face_center(self.points)

    def moved(self, x: float, y: float) -> FoundFace:
        """The same face, seen in a picture whose upper left corner lies (x, y) pixels further out."""
        return replace(self, points=self.points + self.points.new_tensor([x, y]))


class Detector(Protocol):
    """What finds faces. `name` says what it is, in words that fit into a sentence."""

    name: str

    def find(self, images: Images) -> list[FoundFace]:
        """Faces in the one picture [1 3 h w] in -1..1; an empty list where there is none."""
        ...


def middles(points: Float[Tensor, "... 5 2"]) -> tuple[Float[Tensor, "... 2"], Float[Tensor, "... 2"]]:
    """The middle between the eyes, and that between the corners of the mouth."""
    return points[..., :2, :].mean(dim=-2), points[..., 3:, :].mean(dim=-2)


def face_center(points: Float[Tensor, "5 2"]) -> Float[Tensor, "2"]:
    """Halfway between eyes and mouth."""
    eyes, mouth = middles(points)
    return (eyes + mouth) / 2


def face_size(points: Float[Tensor, "5 2"]) -> float:
    """Side, in pixels, of a square round eyes, nose and mouth."""
    eyes, mouth = middles(points)
    apart = torch.stack([points[SECOND_EYE] - points[FIRST_EYE], mouth - eyes]).norm(dim=1)
    return 2 * _REACH * apart.max().item()


def right_of(points: Float[Tensor, "5 2"]) -> Float[Tensor, "2"]:
    """Unit vector to the right of an upright face: along both pairs and across the way down to the mouth alike."""
    eyes, mouth = middles(points)
    along = points[SECOND_EYE] - points[FIRST_EYE] + points[SECOND_CORNER] - points[FIRST_CORNER]
    down = mouth - eyes
    return torch.nn.functional.normalize(along / 2 + torch.stack([down[1], -down[0]]), dim=0)


def in_order(points: FacePoints) -> FacePoints:
    """The same points, the one of each pair first that is on the left when the face is turned upright: eyes above."""
    eyes, mouth = middles(points)
    down = mouth - eyes
    ordered = points.clone()
    for first, second in ((FIRST_EYE, SECOND_EYE), (FIRST_CORNER, SECOND_CORNER)):
        along = points[:, second] - points[:, first]
        swapped = along[:, 0] * down[:, 1] - along[:, 1] * down[:, 0] < 0
        ordered[swapped, first], ordered[swapped, second] = points[swapped, second], points[swapped, first]
    return ordered

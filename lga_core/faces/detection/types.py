"""A detected face, and the protocol of face detectors."""

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
    """One detected face in an image.

    Attributes:
        points: landmarks (eye, eye, nose, mouth corner, mouth corner): x, y in pixels from the upper left corner of the
            image; of each pair the one that is on the left in the upright face comes first.
        score: confidence, 0..1.
        detector: name of the detector.
    """

    points: Float[Tensor, "5 2"]
    score: float
    detector: str

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom, in pixels, of a square around eyes, nose and mouth; may exceed the image."""
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
        """The same face in an image that begins (x, y) pixels to the left and above."""
        return replace(self, points=self.points + self.points.new_tensor([x, y]))


class Detector(Protocol):
    """A face detector. `name` is shown in reports and errors."""

    name: str

    def find(self, images: Images) -> list[FoundFace]:
        """Detect faces in one image [1 3 h w] in -1..1; an empty list if there are none."""
        ...


def middles(points: Float[Tensor, "... 5 2"]) -> tuple[Float[Tensor, "... 2"], Float[Tensor, "... 2"]]:
    """The midpoint between the eyes, and that between the mouth corners."""
    return points[..., :2, :].mean(dim=-2), points[..., 3:, :].mean(dim=-2)


def face_center(points: Float[Tensor, "5 2"]) -> Float[Tensor, "2"]:
    """Halfway between eyes and mouth."""
    eyes, mouth = middles(points)
    return (eyes + mouth) / 2


def face_size(points: Float[Tensor, "5 2"]) -> float:
    """Side, in pixels, of a square around eyes, nose and mouth."""
    eyes, mouth = middles(points)
    apart = torch.stack([points[SECOND_EYE] - points[FIRST_EYE], mouth - eyes]).norm(dim=1)
    return 2 * _REACH * apart.max().item()


def right_of(points: Float[Tensor, "5 2"]) -> Float[Tensor, "2"]:
    """Unit vector to the right of the upright face, from both pairs and from the direction from eyes to mouth."""
    eyes, mouth = middles(points)
    along = points[SECOND_EYE] - points[FIRST_EYE] + points[SECOND_CORNER] - points[FIRST_CORNER]
    down = mouth - eyes
    return torch.nn.functional.normalize(along / 2 + torch.stack([down[1], -down[0]]), dim=0)


def in_order(points: FacePoints) -> FacePoints:
    """The landmarks with the point of each pair first that is on the left in the upright face (eyes above)."""
    eyes, mouth = middles(points)
    down = mouth - eyes
    ordered = points.clone()
    for first, second in ((FIRST_EYE, SECOND_EYE), (FIRST_CORNER, SECOND_CORNER)):
        along = points[:, second] - points[:, first]
        swapped = along[:, 0] * down[:, 1] - along[:, 1] * down[:, 0] < 0
        ordered[swapped, first], ordered[swapped, second] = points[swapped, second], points[swapped, first]
    return ordered

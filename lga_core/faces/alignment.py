"""Face alignment: five landmarks -> the FFHQ crop, a rotated square, and the way back.

The square is FFHQ's (Karras et al. 2019, "A Style-Based Generator Architecture", its data set's recipe): five points of
the face give its centre, its size and its turn. Being a similarity, it is kept as two vectors, and can be undone.
Positions in a picture are in pixels from the upper left corner of its first pixel, whose centre is (0.5, 0.5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from ..errors import InputError
from ..shapes import FacePoints
from .temporal_smoothing import filled, smoothed, unwrapped

LARGEST = 16
"""Side of a square, in longer sides of its picture, above which the points cannot be a face's."""


@dataclass(frozen=True)
class Framing:
    """Framing: where a domain's images have their faces; the defaults are FFHQ's.

    Attributes:
        down: from the middle of the eyes to the square's centre, in distances from the eyes to the mouth.
        eyes, mouth: half the square's side is the larger of `eyes` distances from eye to eye and `mouth` distances
            from the eyes to the mouth.
    """

    down: float = 0.1
    eyes: float = 2.0
    mouth: float = 1.8


FFHQ = Framing()


@dataclass(frozen=True, eq=False)
class Alignment:
    """Squares in a picture, or in a video's frames: the centre of each and the way to the middle of its right side.

    The way down is a quarter turn of `axis`, (-y, x). Both are NaN in frames that have no face.
    """

    center: Float[Tensor, "n 2"]
    axis: Float[Tensor, "n 2"]
    height: int
    """Of the picture that the squares lie in, in pixels; `width` too."""
    width: int

    def __len__(self) -> int:
        return len(self.center)

    @property
    def found(self) -> Bool[Tensor, "n"]:
        """Which of the squares are there."""
        return self.center.isfinite().all(dim=1) & self.axis.isfinite().all(dim=1)

    @property
    def side(self) -> Float[Tensor, "n"]:
        """Of each square, in pixels of the picture."""
        return 2 * self.axis.norm(dim=1)

    @property
    def corners(self) -> Float[Tensor, "n 4 2"]:
        """In the picture: upper left, lower left, lower right, upper right as the face sees them (FFHQ's order)."""
        return self.to_picture(self.axis.new_tensor([[[-1, -1], [-1, 1], [1, 1], [1, -1]]]))

    def to_picture(self, points: Float[Tensor, "n k 2"]) -> Float[Tensor, "n k 2"]:
        """Positions in the picture, in pixels, of points of the square: right and down, -1..1 from side to side."""
        right, down = points[..., :1], points[..., 1:]
        return self.center[:, None] + right * self.axis[:, None] + down * _downward(self.axis)[:, None]

    def to_square(self, points: Float[Tensor, "n k 2"]) -> Float[Tensor, "n k 2"]:
        """The inverse of `to_picture`."""
        way = points - self.center[:, None]
        across = torch.stack([self.axis, _downward(self.axis)], dim=-1)  # [n 2 2]
        return way @ across / self.axis.square().sum(dim=1)[:, None, None]

    def part(self, start: int, stop: int) -> Alignment:
        """The squares of frames `start` to `stop` - 1, or the only one, which holds for every frame."""
        if len(self) == 1:
            return self
        return replace(self, center=self.center[start:stop], axis=self.axis[start:stop])

    def like(self, images: Tensor) -> Alignment:
        """The same in the dtype and on the device of `images`."""
        return replace(self, center=self.center.to(images), axis=self.axis.to(images))

    def smoothed(self, frames: float = 4.0) -> Alignment:
        """The squares of a video's frames as one calm movement, with those of frames that have none filled in.

        Each becomes what the frames around it say, weighed by a Gaussian whose standard deviation is `frames` (seconds
        times frames per second); 0 only fills in. Centre, size and turn that change at a constant speed stay as they
        are: nothing lags. Missing squares lie on the way between their neighbours.

        Raises InputError if no frame has a square, or for a negative number of frames.
        """
        if not (math.isfinite(frames) and frames >= 0):
            raise InputError(f"The smoothing is {frames} frames; it must be 0 or more.")
        known = self.found
        if not known.any():
            raise InputError(f"No face was found in {len(self)} frames. Use another video, or give landmarks by hand.")
        track = torch.cat([self.center, self.axis.norm(dim=1, keepdim=True).log(), _turn(self.axis)[:, None]], dim=1)
        track[known, 3] = unwrapped(track[known, 3])
        track = smoothed(filled(track, known), frames)
        axis = track[:, 2:3].exp() * torch.stack([track[:, 3].cos(), track[:, 3].sin()], dim=1)
        return replace(self, center=track[:, :2], axis=axis)


def _downward(axis: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
    return torch.stack([-axis[:, 1], axis[:, 0]], dim=1)


def _turn(axis: Float[Tensor, "n 2"]) -> Float[Tensor, "n"]:
    return torch.atan2(axis[:, 1], axis[:, 0])


def align(points: FacePoints, height: int, width: int, framing: Framing = FFHQ) -> Alignment:
    """The squares around faces in a picture of `height` x `width` pixels, or around one face in each frame of a video.

    points: [n 5 2], x and y in pixels: eye, eye, nose, mouth corner, mouth corner. Eyes in the other order are put
    right. NaN stands for no face in that frame, which `Alignment.smoothed` fills in.

    Raises InputError for points of another shape, of no frame, or that cannot be a face's.
    """
    _check_shape(points)
    middle, mouth = points[:, :2].mean(dim=1), points[:, 3:].mean(dim=1)
    across, down = points[:, 1] - points[:, 0], mouth - middle
    right = torch.stack([down[:, 1], -down[:, 0]], dim=1)
    across = torch.where((across * right).sum(dim=1, keepdim=True) < 0, -across, across)
    half = torch.maximum(framing.eyes * across.norm(dim=1), framing.mouth * down.norm(dim=1))
    axis = F.normalize(across + right, dim=1) * half[:, None]
    alignment = Alignment(middle + framing.down * down, axis, height, width)
    _check_squares(alignment)
    return alignment


def central_square(height: int, width: int, n: int = 1) -> Alignment:
    """The square of `fit_square`, for pictures that show an aligned face already."""
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    center, axis = torch.tensor([[left + side / 2, top + side / 2]]), torch.tensor([[side / 2, 0.0]])
    return Alignment(center.repeat(n, 1), axis.repeat(n, 1), height, width)


def _check_shape(points: FacePoints) -> None:
    if points.ndim != 3 or points.shape[1:] != (5, 2) or not len(points):
        raise InputError(
            f"Points of shape {list(points.shape)} were given; a face needs five of x and y, [n 5 2]: both eyes, nose, "
            "both mouth corners."
        )
    if not points.isfinite().flatten(1).all(dim=1).any():
        raise InputError(
            "No face is there to align: its points are not numbers"
            + (f" in any of {len(points)} frames" if len(points) > 1 else "")
            + ". Use another picture, or mark the eyes, the nose and the mouth by hand."
        )


def _check_squares(alignment: Alignment) -> None:
    """Squares that no face can have: a point, many times the picture, or beside it. Missing ones pass."""
    size = alignment.axis.new_tensor([alignment.width, alignment.height])
    missing = ~alignment.found
    corners = alignment.corners
    beside = ((corners.amax(dim=1) <= 0) | (corners.amin(dim=1) >= size)).any(dim=1)
    possible = (alignment.side >= 1) & (alignment.side <= LARGEST * size.max()) & ~beside
    wrong = ~(possible | missing)
    if wrong.any():
        i = int(wrong.nonzero()[0])
        x, y = alignment.center[i].tolist()
        where = f" of frame {i}" if len(alignment) > 1 else ""
        raise InputError(
            f"The points{where} cannot be a face's: they span a square of side {float(alignment.side[i]):.4g} around "
            f"({x:.5g}, {y:.5g}) in a picture of {alignment.width} x {alignment.height} pixels. Give the eyes, the "
            "nose and the mouth corners in pixels of this picture."
        )

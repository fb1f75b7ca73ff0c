"""Manual landmarks: five points of a face, given as text."""

from __future__ import annotations

import re

import torch

from ...errors import InputError
from ...shapes import FacePoints
from .types import in_order, middles

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)%?")
_BETWEEN = re.compile(r"[\s,;:()\[\]{}]*")
_NEED = 'Give five points "x,y" in the order eye, eye, nose, mouth corner, mouth corner, in pixels or percent.'
_BESIDE = 1.0  # how far outside the picture a point may lie, in sides of the picture: half a face may be cut off


def read_points(text: str, height: int, width: int) -> FacePoints:
    """Parse the five landmarks [1 5 2] of a face, in pixels of an image of `height` x `width`.

    "x,y x,y ..." in the order eye, eye, nose, mouth corner, mouth corner; a number with % is a share of the width or
    height. Any brackets and separators do. Of each pair either may come first: mouth below eyes tells which is which.

    Raises InputError for anything else, and for points that no face has.
    """
    numbers = _NUMBER.findall(text)
    if len(numbers) != 10 or not _BETWEEN.fullmatch(_NUMBER.sub(" ", text)):
        shown = " ".join(text.split())
        shown = shown if len(shown) <= 80 else shown[:79] + "…"
        raise InputError(f'"{shown}" holds {len(numbers)} numbers, not five points. {_NEED}')
    sides = (width, height) * 5
    values = [
        float(number[:-1]) / 100 * side if number.endswith("%") else float(number)
        for number, side in zip(numbers, sides, strict=True)
    ]
    points = torch.tensor(values).reshape(1, 5, 2)
    _check(points, height, width)
    return in_order(points)


def _check(points: FacePoints, height: int, width: int) -> None:
    share = points / torch.tensor([width, height])
    for name, (x, y), inside in zip(
        ("first eye", "second eye", "nose", "first mouth corner", "second mouth corner"),
        points[0].tolist(),
        ((share >= -_BESIDE) & (share <= 1 + _BESIDE)).all(dim=2)[0].tolist(),
        strict=True,
    ):
        if not inside:
            raise InputError(
                f"The {name}, at {x:g}, {y:g}, is far outside the picture of {width} x {height} pixels. {_NEED}"
            )
    eyes, mouth = (middle[0] for middle in middles(points))
    for first, second, what in (
        (points[0, 0], points[0, 1], "The two eyes are"),
        (points[0, 3], points[0, 4], "The two corners of the mouth are"),
        (eyes, mouth, "The eyes and the mouth are"),
    ):
        if (first - second).norm() < 1:
            raise InputError(f"{what} in the same place, at {first[0]:g}, {first[1]:g}. {_NEED}")

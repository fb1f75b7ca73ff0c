"""Selection of one face among several, and tracking of it through a video."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import InputError
from ...shapes import FacePoints, Images
from .types import Detector, FoundFace, face_size

SelectionRule = Literal["largest", "best", "left to right", "nearest"]
Point = tuple[float, float]

_AROUND = 3.0  # side of the region around the last frame's face, in sizes of that face
_STRAY = 1.5  # largest distance of the same face between two frames, in its sizes
_SMALLEST = 24  # pixels


def ordered(faces: Sequence[FoundFace], which: SelectionRule, near: Point | None = None) -> list[FoundFace]:
    """Faces sorted: the largest, the most confident, the leftmost or the nearest to `near` (x, y in pixels) first."""
    if which == "nearest" and near is None:
        raise InputError("The nearest face needs a point: give its x and y in pixels.")
    x, y = near or (0.0, 0.0)
    keys: dict[str, Callable[[FoundFace], float]] = {
        "largest": lambda face: -face.size,
        "best": lambda face: -face.score,
        "left to right": lambda face: face.center[0].item(),
        "nearest": lambda face: math.dist(face.center.tolist(), (x, y)),
    }
    if which not in keys:
        raise InputError(f"The face order '{which}' is unknown. Use one of: {', '.join(keys)}.")
    return sorted(faces, key=keys[which])


def choose(faces: Sequence[FoundFace], which: SelectionRule, index: int = 0, near: Point | None = None) -> FoundFace:
    """The face at `index`, from 0, in the order `which`. Raises InputError if there are too few faces."""
    if not 0 <= index < len(faces):
        count = "1 face was" if len(faces) == 1 else f"{len(faces)} faces were"
        raise InputError(
            f"Face {index} (counted from 0) was selected, but {count} found. "
            + (f"Give a number from 0 to {len(faces) - 1}." if faces else "Use another image.")
        )
    return ordered(faces, which, near)[index]


def track_face(
    frames: Iterable[Images],
    detectors: Sequence[Detector],
    which: SelectionRule = "largest",
    index: int = 0,
    near: Point | None = None,
    on_frame: Callable[[int], None] | None = None,
) -> FacePoints:
    """Track one face through a video: frames [1 3 h w] in -1..1 -> landmarks [t 5 2], NaN where it is not detected.

    It is selected in the first frame with enough faces, as in `choose`; then it is the nearest face to its last
    position, within a plausible distance. Detection tries the surroundings of that position first. `on_frame` is called
    with the number of frames done; an exception it raises stops.

    Raises InputError if no frame has that face.
    """
    track: list[Float[Tensor, "5 2"] | None] = []
    with ExitStack() as stack:
        for detector in detectors:
            if isinstance(detector, AbstractContextManager):
                stack.enter_context(detector)
        for images in frames:
            track.append(_next(images, detectors, track, which, index, near))
            if on_frame is not None:
                on_frame(len(track))
    if all(points is None for points in track):
        raise InputError(
            f"{_names(detectors)} found no face {index} (counted from 0) in any of {len(track)} frames. Use another "
            "video, select face 0, or give five landmarks by hand."
        )
    return torch.stack([torch.full((5, 2), math.nan) if points is None else points for points in track])


def _next(
    images: Images,
    detectors: Sequence[Detector],
    track: Sequence[Float[Tensor, "5 2"] | None],
    which: SelectionRule,
    index: int,
    near: Point | None,
) -> Float[Tensor, "5 2"] | None:
    last = next((points for points in reversed(track) if points is not None), None)
    if last is None:
        faces = _found(images, detectors)
        return choose(faces, which, index, near).points if index < len(faces) else None
    missed = next(number for number, points in enumerate(reversed(track)) if points is not None)
    there = FoundFace(last, 0.0, "")
    for faces in (_around(images, detectors, there), _found(images, detectors)):
        for face in ordered(faces, "nearest", (there.center[0].item(), there.center[1].item()))[:1]:
            if math.dist(face.center.tolist(), there.center.tolist()) <= _STRAY * face_size(last) * (1 + missed):
                return face.points
    return None


def _around(images: Images, detectors: Sequence[Detector], there: FoundFace) -> list[FoundFace]:
    """Detect faces in the surroundings of a face."""
    (x, y), reach = there.center.tolist(), max(there.size * _AROUND / 2, _SMALLEST / 2)
    height, width = images.shape[2:]
    left, right = (min(max(round(edge), 0), width) for edge in (x - reach, x + reach))
    top, bottom = (min(max(round(edge), 0), height) for edge in (y - reach, y + reach))
    if left >= right or top >= bottom:
        return []
    return [face.moved(left, top) for face in _found(images[..., top:bottom, left:right], detectors)]


def _found(images: Images, detectors: Sequence[Detector]) -> list[FoundFace]:
    return next((faces for detector in detectors if (faces := detector.find(images))), [])


def _names(detectors: Sequence[Detector]) -> str:
    return " or ".join(detector.name for detector in detectors)

"""OpenCV's Haar cascades (Viola and Jones 2001, "Rapid Object Detection") for frontal human faces, eyes and smiles.

OpenCV 4 includes their files; for later versions they may be in a folder of the user. Cascades give boxes: landmarks
are taken from the boxes of eyes and smiles, and estimated for parts that are not detected.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ...errors import InputError
from ...shapes import Images
from .multiscale import Detection, Picture, detect_multiscale
from .types import FoundFace

FACE, EYE, SMILE = (f"haarcascade_{part}.xml" for part in ("frontalface_default", "eye", "smile"))
TURNS = tuple(range(0, 360, 30))
"""Rotations of the image, in degrees: a cascade tolerates about 15 degrees."""
_SEEN, _SURE = 0.75, 0.9  # shares of face, eyes and mouth seen: of what is a face at all, and of what is one surely
_SMALLEST = 1 / 9  # side of a face's box, in sides of the look
_NEIGHBOURS = 6  # of how many boxes that agree a found one is made

# Where a part is, in widths of the face's box from its upper left corner, and which part of the box it is sought in.
_EYES = (0.31, 0.39), (0.69, 0.39)
_EYE_REGIONS = (0.08, 0.16, 0.5, 0.58), (0.5, 0.16, 0.92, 0.58)
_MOUTH_REGION = (0.15, 0.58, 0.85, 1.05)
_EYE_LOW = 0.54  # the pupil's place in an eye's box, from its top
_MOUTH_DOWN, _NOSE_DOWN = 0.95, 0.6  # from the eyes: the mouth in distances of the eyes, the nose in ways to the mouth
_MOUTH_WIDTH = 0.9  # in distances of the eyes


class CascadeDetector:
    """Face detector by OpenCV's Haar cascades, from files in `folder`, or else OpenCV's own.

    Raises InputError if OpenCV cannot be imported or cannot read the files.
    """

    name = "OpenCV's cascades"

    def __init__(self, folder: Path | None = None):
        files = {name: cascade_file(name, folder) for name in (FACE, EYE, SMILE)}
        self._face, self._eye, self._smile = (_cascade(name, path) for name, path in files.items())

    def find(self, images: Images) -> list[FoundFace]:
        """Detect faces in one image [1 3 h w] in -1..1."""
        return detect_multiscale(Picture(images), self._detect, self.name, _SURE, TURNS)

    def _detect(self, view: UInt8[Tensor, "side side 3"]) -> list[Detection]:
        weights = torch.tensor([0.299, 0.587, 0.114])
        gray = (view.float() @ weights).round().to(torch.uint8)
        least = round(view.shape[0] * _SMALLEST)
        faces = self._face.detectMultiScale(gray.numpy(), 1.1, _NEIGHBOURS, minSize=(least, least))
        detections = [self._parts(gray, *(int(number) for number in box)) for box in faces]
        return [face for face in detections if face.confidence >= _SEEN]

    def _parts(self, gray: UInt8[Tensor, "side side"], left: int, top: int, width: int, _: int) -> Detection:
        """Landmarks of the face in a box; the confidence is the detected share of face, eyes and mouth."""
        corner = torch.tensor([left, top], dtype=torch.float)
        boxes = [_largest(self._eye, gray, corner, width, region, 3) for region in _EYE_REGIONS]
        eyes = [
            corner + width * torch.tensor(usual) if box is None else box[:2] + box[2:] * torch.tensor([0.5, _EYE_LOW])
            for box, usual in zip(boxes, _EYES, strict=True)
        ]
        smile = _largest(self._smile, gray, corner, width, _MOUTH_REGION, 12)
        detections = 1 + sum(box is not None for box in (*boxes, smile))
        return Detection(_five(torch.stack(eyes), smile), detections / 4)


def _five(eyes: Float[Tensor, "2 2"], smile: Float[Tensor, "4"] | None) -> Float[Tensor, "5 2"]:
    """Five landmarks from the eyes and the box of a smile; the mouth's width follows from the distance of the eyes."""
    along = eyes[1] - eyes[0]
    down = torch.stack([-along[1], along[0]])
    middle = eyes.mean(dim=0)
    usual = middle + down * _MOUTH_DOWN
    mouth = usual if smile is None else (usual + smile[:2] + smile[2:] / 2) / 2
    corners = torch.stack([mouth - along * _MOUTH_WIDTH / 2, mouth + along * _MOUTH_WIDTH / 2])
    return torch.cat([eyes, (middle + (mouth - middle) * _NOSE_DOWN)[None], corners])


def _largest(
    cascade: Any,
    gray: UInt8[Tensor, "side side"],
    corner: Float[Tensor, "2"],
    width: int,
    region: tuple[float, float, float, float],
    neighbors: int,
) -> Float[Tensor, "4"] | None:
    """Left, top, width and height of the largest detection in a region of the face's box; None if there is none."""
    left, top, right, bottom = (round(width * part) for part in region)
    x, y = max(int(corner[0]) + left, 0), max(int(corner[1]) + top, 0)
    part = gray[y : int(corner[1]) + bottom, x : int(corner[0]) + right].contiguous()
    if not part.numel():
        return None
    boxes = cascade.detectMultiScale(part.numpy(), 1.05, neighbors, minSize=(max(width // 8, 4), max(width // 10, 4)))
    if not len(boxes):
        return None
    best = max(boxes, key=lambda box: box[2] * box[3])
    return torch.tensor([x + best[0], y + best[1], best[2], best[3]], dtype=torch.float)


def has_cascades(folder: Path | None = None) -> bool:
    """Whether OpenCV is installed and its cascade files are available, with it or in `folder`."""
    if find_spec("cv2") is None:
        return False
    return all(cascade_file(name, folder) is not None for name in (FACE, EYE, SMILE))


def cascade_file(name: str, folder: Path | None) -> Path | None:
    """Path of a cascade file in `folder` or in OpenCV; None if neither has it."""
    spec = find_spec("cv2")
    folders = [folder] if folder is not None else []
    folders += [Path(place) / "data" for place in (spec.submodule_search_locations or ())] if spec else []
    return next((path / name for path in folders if (path / name).is_file()), None)


def _cascade(name: str, path: Path | None) -> Any:
    if path is None:
        raise InputError(f"OpenCV's {name} is missing. Put it into the folder of face models, or install OpenCV 4.")
    try:
        import cv2  # pyright: ignore[reportMissingImports]

        cascade = cv2.CascadeClassifier(str(path))
    except (ImportError, OSError, AttributeError, SystemError) as err:
        raise InputError(f"OpenCV, which reads {path}, cannot be imported ({err}). Install it again.") from err
    if cascade.empty():
        raise InputError(f"{path} is not a readable OpenCV cascade. Download the file again.")
    return cascade

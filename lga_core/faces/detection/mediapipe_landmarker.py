"""MediaPipe's Face Landmarker (optional): 478 landmarks and 52 blendshapes of human faces.

Its program comes with `pip install mediapipe`, its model, face_landmarker.task, from MediaPipe's model page. Both are
under the Apache licence. Nothing is downloaded here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from ...errors import InputError
from ...imaging.images import to_uint8
from ...shapes import Images
from .multiscale import Detection, Picture, detect_multiscale, upright
from .types import FoundFace, face_size

MODEL = "face_landmarker.task"
MOST_FACES = 16
"""Most faces per view."""
SURE, UNSURE = 0.75, 0.5
"""Confidences that its detector is asked for, one after the other: the landmarker does not tell the one it has. Below
the first it also takes faces that stand on their heads for upright ones."""
SMALLEST = 256
"""Shorter side, in pixels, that smaller images are enlarged to before blendshapes are read."""

# The six points of each eye's outline that the 68-point recipe of FFHQ averages, the tip of the nose, the corners.
_EYES = (33, 160, 158, 133, 153, 144), (362, 385, 387, 263, 373, 380)
_NOSE, _CORNERS = 1, (61, 291)


class Landmarks(NamedTuple):
    """One face: landmarks `points` in pixels, and `blendshapes` in 0..1 by name."""

    points: Float[Tensor, "478 2"]
    blendshapes: dict[str, float]

    @property
    def five(self) -> Float[Tensor, "5 2"]:
        eyes = [self.points[list(outline)].mean(dim=0) for outline in _EYES]
        return torch.stack([*eyes, self.points[_NOSE], *self.points[list(_CORNERS)]])


class Landmarker:
    """An open MediaPipe landmarker, see `open_landmarker`."""

    def __init__(self, task: Any):
        self._task = task

    def landmarks(self, picture: UInt8[Tensor, "h w 3"]) -> list[Landmarks]:
        import mediapipe  # pyright: ignore[reportMissingImports]

        detections = self._task.detect(mediapipe.Image(mediapipe.ImageFormat.SRGB, picture.cpu().contiguous().numpy()))
        sides = torch.tensor([picture.shape[1], picture.shape[0]])
        faces = zip(detections.face_landmarks, detections.face_blendshapes, strict=True)
        return [
            Landmarks(torch.tensor([[p.x, p.y] for p in points]) * sides, {s.category_name: s.score for s in shapes})
            for points, shapes in faces
        ]


def has_mediapipe() -> bool:
    return find_spec("mediapipe") is not None


@contextmanager
def open_landmarker(model: Path, most_faces: int = 1, confidence: float = UNSURE) -> Iterator[Landmarker]:
    """Context manager: the landmarker of the model file `model`. Opening takes about 0.2 s.

    It detects at most `most_faces` faces with at least this `confidence`, 0..1.

    Raises InputError for a file that is not a face landmarker.
    """
    try:
        from mediapipe.tasks.python import BaseOptions, vision  # pyright: ignore[reportMissingImports]
    except (ImportError, OSError) as err:
        raise InputError(
            f"MediaPipe, which reads {model}, cannot be imported ({err}). Install it with `pip install mediapipe`."
        ) from err
    try:
        # The bytes, not the path: MediaPipe does not open every path that Python does.
        options = vision.FaceLandmarkerOptions(
            BaseOptions(model_asset_buffer=Path(model).read_bytes()),
            output_face_blendshapes=True,
            num_faces=most_faces,
            min_face_detection_confidence=confidence,
        )
        task = vision.FaceLandmarker.create_from_options(options)
    except (OSError, RuntimeError, ValueError) as err:
        raise InputError(f"{model} is not a readable face landmarker ({err}). Download the file again.") from err
    try:
        yield Landmarker(task)
    finally:
        task.close()  # its destructor complains when the interpreter ends


class MediaPipeDetector:
    """Face detector by MediaPipe's landmarker `model`; inside a `with` it stays open between images."""

    name = "MediaPipe's Face Landmarker"

    def __init__(self, model: Path):
        self.model = model
        self._open: dict[float, Landmarker] = {}
        self._exit = ExitStack()

    def __enter__(self) -> MediaPipeDetector:
        for confidence in (SURE, UNSURE):
            self._open[confidence] = self._exit.enter_context(open_landmarker(self.model, MOST_FACES, confidence))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.clear()
        self._exit.close()

    def find(self, images: Images) -> list[FoundFace]:
        """Detect faces in one image [1 3 h w] in -1..1. Raises InputError for a file that is not a face landmarker."""
        picture = Picture(images)
        if self._open:
            return detect_multiscale(picture, self._detect, self.name, SURE * 0.9)
        with self:
            return detect_multiscale(picture, self._detect, self.name, SURE * 0.9)

    def blendshapes(self, images: Images) -> dict[str, float] | None:
        """Blendshapes of the largest face in the image [1 3 h w], turned upright and enlarged; None without a face."""
        faces = self.find(images)
        if not faces:
            return None
        face = upright(Picture(images), max(faces, key=lambda face: face.size).points)
        with self if not self._open else nullcontext():
            detections = self._open[UNSURE].landmarks(face)
        return max(detections, key=lambda face: face_size(face.five)).blendshapes if detections else None

    def _detect(self, view: UInt8[Tensor, "side side 3"]) -> list[Detection]:
        for confidence, landmarker in self._open.items():
            if faces := landmarker.landmarks(view):
                return [Detection(face.five, confidence) for face in faces]
        return []


def read_blendshapes(model: Path, images: Images) -> list[dict[str, float] | None]:
    """The 52 blendshapes of one face in each image [n 3 h w] in -1..1; None where no face is detected.

    Raises InputError for a file that is not a face landmarker.
    """
    with open_landmarker(model) as landmarker:
        detections = [landmarker.landmarks(to_uint8(_enlarged(image))[0]) for image in images.split(1)]
    return [faces[0].blendshapes if faces else None for faces in detections]


def _enlarged(images: Images) -> Images:
    scale = SMALLEST / min(images.shape[2:])
    if scale <= 1:
        return images.float()
    size = [round(side * scale) for side in images.shape[2:]]
    return F.interpolate(images.float(), size, mode="bicubic", antialias=True)

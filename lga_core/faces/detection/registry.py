"""The installed face detectors, and face detection with the first that finds any."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...errors import InputError
from ...shapes import Images
from .haar_cascade import CascadeDetector, has_cascades
from .mediapipe_landmarker import MODEL, MediaPipeDetector, has_mediapipe
from .types import Detector, FoundFace
from .yunet import WEIGHTS, YuNetDetector, has_kornia

BY_HAND = (
    "Or give five landmarks by hand (eye, eye, nose, mouth corner, mouth corner), or, if the image shows only an "
    "upright face, mark it as already aligned."
)


def installed_detectors(folder: Path | None, network: Detector | None = None) -> list[Detector]:
    """Installed face detectors, the most accurate first: a domain's own `network`, MediaPipe, YuNet, OpenCV.

    `folder` holds the model files that users download: MediaPipe's face_landmarker.task, YuNet's yunet_final.pth,
    OpenCV's haarcascade_*.xml. Raises CheckpointError or InputError for a damaged file.
    """
    detectors: list[Detector] = [] if network is None else [network]
    if folder is not None and has_mediapipe() and (folder / MODEL).is_file():
        detectors.append(MediaPipeDetector(folder / MODEL))
    if folder is not None and has_kornia() and (folder / WEIGHTS).is_file():
        detectors.append(YuNetDetector(folder / WEIGHTS))
    if has_cascades(folder):
        detectors.append(CascadeDetector(folder))
    return detectors


def missing_detectors(folder: Path | None) -> list[str]:
    """How to install the missing detectors of human faces: one sentence each."""
    place = folder or "the folder of face models"
    hints = []
    if not (has_mediapipe() and folder is not None and (folder / MODEL).is_file()):
        install = "" if has_mediapipe() else "install MediaPipe (`pip install mediapipe`) and "
        hints.append(f"For MediaPipe, the most accurate, {install}put {MODEL} from its model page into {place}.")
    if not (has_kornia() and folder is not None and (folder / WEIGHTS).is_file()):
        install = "" if has_kornia() else "install kornia and "
        hints.append(f"For YuNet, {install}put kornia's {WEIGHTS} into {place}.")
    if not has_cascades(folder):
        hints.append(
            f"For OpenCV's cascades, install OpenCV 4, or any OpenCV and put its haarcascade_*.xml into {place}."
        )
    return hints


def find_faces(images: Images, detectors: Sequence[Detector], missing: Sequence[str] = ()) -> list[FoundFace]:
    """Detect faces in one image [1 3 h w] in -1..1, by the first detector that finds any.

    missing: hints for the error message, see `missing_detectors`. Raises InputError if no detector finds a face.
    """
    for detector in detectors:
        if faces := detector.find(images):
            return faces
    height, width = images.shape[-2:]
    names = [detector.name for detector in detectors]
    tried = f"{_listed(names)} found none" if names else "no face detector is installed"
    raise InputError(
        " ".join([f"No face was found in the image of {width} x {height} pixels: {tried}.", *missing, BY_HAND])
    )


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)

"""The finders that exist here, and the search of a picture with them."""

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
    "Or give five points by hand (eye, eye, nose, mouth corner, mouth corner), or, if the picture is nothing but an "
    "upright face, say that it is aligned already."
)


def installed_detectors(folder: Path | None, network: Detector | None = None) -> list[Detector]:
    """The finders that exist here: a domain's own `network`, and those whose programs and files there are.

    `folder` holds files that users fetch: MediaPipe's face_landmarker.task, YuNet's yunet_final.pth, OpenCV's
    haarcascade_*.xml. The most exact comes first. Raises CheckpointError or InputError for a file that is damaged.
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
    """What to install and which files to fetch, one sentence each, for finders of human faces to be there."""
    place = folder or "the folder of face models"
    hints = []
    if not (has_mediapipe() and folder is not None and (folder / MODEL).is_file()):
        install = "" if has_mediapipe() else "install MediaPipe (`pip install mediapipe`) and "
        hints.append(f"For the best finder, {install}put {MODEL} from MediaPipe's model page into {place}.")
    if not (has_kornia() and folder is not None and (folder / WEIGHTS).is_file()):
        install = "" if has_kornia() else "install kornia and "
        hints.append(f"For YuNet, {install}put kornia's {WEIGHTS} into {place}.")
    if not has_cascades(folder):
        hints.append(
            f"For OpenCV's cascades, install OpenCV 4, or any OpenCV and put its haarcascade_*.xml into {place}."
        )
    return hints


def find_faces(images: Images, detectors: Sequence[Detector], missing: Sequence[str] = ()) -> list[FoundFace]:
    """Faces in the one picture [1 3 h w] in -1..1: those of the first finder that finds any.

    Raises InputError if none does. `missing` says, in sentences, what other finders would need (`missing_detectors`).
    """
    for detector in detectors:
        if faces := detector.find(images):
            return faces
    height, width = images.shape[-2:]
    names = [detector.name for detector in detectors]
    tried = f"{_listed(names)} looked" if names else "no face finder is installed to look"
    raise InputError(
        " ".join(
            [f"No face was found in the picture of {width} x {height} pixels: {tried} for one.", *missing, BY_HAND]
        )
    )


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)

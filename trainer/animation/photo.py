"""`lga animate --photo`: detect, align and invert a face, animate it, and blend it back into its photograph."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from lga_core import Domain, Generator, Images, WPlus, align, find_faces, paste_back, tune
from lga_core.faces import Alignment, add_details, crop
from lga_core.faces.detection import choose, installed_detectors, missing_detectors, read_points
from lga_core.metrics import find_perceptual_distance
from lga_core.rendering import draw
from lga_core.shapes import FacePoints

from ..data.alignment import FACE_MODELS

COMPARED = 256
"""Largest side in pixels at which pivotal tuning compares pictures."""
LARGEST_SQUARE = 2048
"""Largest side in pixels of the aligned square, which carries the photograph's details."""


@dataclass(frozen=True)
class PhotoFace:
    """Which face of a photograph, and for how long the generator is tuned on it.

    Attributes:
        number: counted from the left, from 0; None is the largest.
        points: "x,y" of eyes, nose and mouth corners, where no detector finds the face; see `read_points`.
        models: folder of the face detectors' model files.
        tune_steps: steps of pivotal tuning (Roich et al. 2021).
    """

    number: int | None = None
    points: str | None = None
    models: Path = FACE_MODELS
    tune_steps: int = 0

    def place(self, photo: Images, domain: Domain) -> FacePoints:
        """Landmarks of the face [1 5 2], in pixels. Raises InputError where no detector finds it."""
        height, width = photo.shape[-2:]
        if self.points is not None:
            return read_points(self.points, height, width)
        faces = find_faces(photo, installed_detectors(self.models, domain.detector), missing_detectors(self.models))
        which = "largest" if self.number is None else "left to right"
        return choose(faces, which, self.number or 0).points[None]


@dataclass(frozen=True, eq=False)
class PhotoScene:
    """A photograph with its aligned `square`, and the face as `domain` draws it at rest, `still`."""

    photo: Images
    alignment: Alignment
    square: Images
    domain: Domain
    ws: WPlus
    still: Images

    def with_faces(self, chunks: Iterator[Images]) -> Iterator[Images]:
        """The photograph with each of the drawn faces blended in, with the details of its own."""
        for chunk in chunks:
            for face in chunk.split(1):
                detailed = add_details(self.square, self.still, face)
                yield paste_back(self.photo, detailed, self.alignment).images


def find_scene(photo: Images, domain: Domain, face: PhotoFace) -> PhotoScene:
    """Detect, align and invert the face of a photograph [1 3 h w] in -1..1. Raises InputError, DrawingError."""
    height, width = photo.shape[-2:]
    alignment = align(face.place(photo, domain), height, width, domain.framing)
    resolution = domain.generator.config.resolution
    small = crop(photo, alignment, resolution)
    ws = domain.invert(small)
    if face.tune_steps:
        domain = replace(domain, generator=_tuned(domain, ws, small, face.tune_steps))
    size = max(resolution, min(LARGEST_SQUARE, math.ceil(float(alignment.side))))
    return PhotoScene(photo, alignment, crop(photo, alignment, size), domain, ws, draw(domain.generator, ws))


def _tuned(domain: Domain, ws: WPlus, image: Images, steps: int) -> Generator:
    distance = find_perceptual_distance(domain.clip, min(domain.generator.config.resolution, COMPARED)).to(ws.device)
    with tqdm(total=steps, desc="pivotal tuning", unit="step", disable=None) as bar:

        def show(*_: object) -> None:
            bar.update()

        return tune(domain.generator, ws, image, distance, steps, on_step=show)

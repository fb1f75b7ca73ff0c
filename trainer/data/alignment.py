"""Photographs as trainings need them: each with its face found, upright and framed as the generator's faces are.

What was aligned is kept beside the run, so that a folder is gone through once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from tqdm import tqdm

from lga_core import (
    Images,
    InputError,
    LgaError,
    align,
    find_faces,
    load_image,
)
from lga_core.faces import Framing, crop
from lga_core.faces.detection import Detector, choose, installed_detectors, load_detector, missing_detectors
from lga_core.imaging import to_uint8

from ..training.atomic_files import aside, write
from .faces import find_pictures
from .frozen_models import find_card

SKIPPED = "skipped.json"

FACE_MODELS = Path("models/lga/face")
"""Where files of face detectors are looked for."""


@dataclass(frozen=True)
class Framer:
    """Finds the largest face of a picture and cuts it out at `size` pixels, framed as the domain's are.

    missing: what to install for more finders, for the words of an error.
    """

    detectors: Sequence[Detector]
    framing: Framing
    size: int
    missing: Sequence[str] = ()

    def __call__(self, photo: Images) -> Images:
        """[1 3 h w] -> [1 3 size size], in -1..1. Raises InputError where no face is found."""
        face = choose(find_faces(photo, self.detectors, self.missing), "largest")
        height, width = photo.shape[-2:]
        return crop(photo, align(face.points[None], height, width, self.framing), self.size)


def framer_of(generator: str, size: int, models: Path = FACE_MODELS) -> Framer:
    """For the generator that --generator names: its domain's own finder and framing, else FFHQ's.

    Raises InputError where nothing here finds faces.
    """
    card = find_card(generator)
    own = None if card is None or card.detector is None else load_detector(card.detector)
    detectors, missing = installed_detectors(models, own), missing_detectors(models)
    if not detectors:
        raise InputError(f"--align needs a face detector, and none is installed. {' '.join(missing)}")
    return Framer(detectors, Framing() if card is None else card.framing, size, missing)


class Aligned(NamedTuple):
    """A folder of framed faces, as PNG, and the pictures that gave none, with the reason."""

    folder: Path
    skipped: tuple[tuple[Path, str], ...]


def aligned(folder: Path, kept: Path, framer: Framer) -> Aligned:
    """Every face of the folder's pictures, in `kept`. What is there already is not looked for again.

    Raises InputError if there is no picture, or none with a face.
    """
    skipped = _skipped(kept)
    todo = [path for path in find_pictures(folder) if not _target(path, folder, kept).is_file()]
    for path in tqdm(todo, desc="aligning pictures", disable=None):
        name = str(path.relative_to(folder))
        if name in skipped:
            continue
        try:
            face = framer(load_image(path))
        except LgaError as err:
            skipped[name] = str(err)
            write(kept / SKIPPED, json.dumps(skipped, indent=1))
            continue
        with aside(_target(path, folder, kept)) as written:
            Image.fromarray(to_uint8(face)[0].numpy()).save(written, "PNG")
    if not any(kept.rglob("*.png")):
        raise InputError(f"No face was found in any picture of {folder}; the first: {next(iter(skipped.values()))}")
    return Aligned(kept, tuple((folder / name, why) for name, why in skipped.items()))


def _target(path: Path, folder: Path, kept: Path) -> Path:
    return kept / path.relative_to(folder).with_name(f"{path.name}.png")


def _skipped(kept: Path) -> dict[str, str]:
    try:
        return json.loads((kept / SKIPPED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}

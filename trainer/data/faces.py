"""The faces that a motion is trained on: sampled from the generator, given as codes, or inverted from pictures.

Inverted faces are kept in the run's folder, so that a folder of pictures is read and inverted once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from lga_core import Generator, Images, InputError, LgaError, WPlus, load_image
from lga_core.imaging import fit_square

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
KIND = "inverted faces"


@dataclass(frozen=True, eq=False)
class FaceSet:
    """Faces `ws` [n num_ws w_dim] to train on.

    `pictures` are the files they were inverted from, if any, in the same order; `skipped` are files that could not be
    read, with the reason.
    """

    ws: WPlus
    pictures: tuple[Path, ...] = ()
    skipped: tuple[tuple[Path, str], ...] = ()


def sampled_faces(generator: Generator, count: int, psi: float, seed: int) -> FaceSet:
    """`count` faces of the generator's own, the same for the same seed. Raises InputError for a conditional one."""
    first = seed * 1_000_003
    ws = [generator.sample(range(first + i, first + min(i + 64, count)), psi) for i in range(0, count, 64)]
    return FaceSet(torch.cat(ws)[:count].contiguous())


def noisy(faces: FaceSet, std: float, seed: int) -> FaceSet:
    """The faces with noise on each row of W+, `std` in units of each dimension's own deviation over the faces."""
    if not std:
        return faces
    noise = torch.randn(faces.ws.shape, generator=torch.Generator().manual_seed(seed)).to(faces.ws)
    return replace(faces, ws=faces.ws + std * faces.ws.std(dim=(0, 1), correction=0) * noise)


def find_pictures(folder: Path) -> list[Path]:
    """Files in `folder` and below that are named as pictures, in order. Raises InputError if there are none."""
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}. Give --images a folder of pictures.")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise InputError(f"{folder} holds no picture ({', '.join(SUFFIXES)}). Give --images a folder of them.")
    return found


def read_pictures(
    paths: Iterable[Path], size: int
) -> tuple[list[Path], list[tuple[Path, str]], Callable[[int], Images]]:
    """Which of the files can be read, which cannot and why, and a reader of one as [1 3 size size] in -1..1."""
    good, skipped = [], []
    for path in tqdm(list(paths), desc="checking pictures", disable=None):
        try:
            load_image(path)
            good.append(path)
        except LgaError as err:
            skipped.append((path, str(err)))
    return good, skipped, lambda index: fit_square(load_image(good[index]), size)


def folder_fingerprint(folder: Path, paths: Iterable[Path]) -> dict[str, Any]:
    """Identifies a folder's files by their names in it and their sizes, wherever it is moved or copied to."""
    lines = sorted(f"{path.relative_to(folder).as_posix()} {path.stat().st_size}" for path in paths)
    return {"files": len(lines), "fingerprint": hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]}


def _digest(paths: Iterable[Path], mark: str) -> str:
    """Changes when a file comes, goes or is written again."""
    lines = [mark, *(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in paths)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()

"""The faces that a motion is trained on: sampled from the generator, given as codes, or inverted from pictures.

Inverted faces are kept in the run's folder, so that a folder of pictures is read and inverted once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tqdm import tqdm

from lga_core import (
    Encoder,
    Generator,
    Images,
    InputError,
    LgaError,
    MismatchError,
    WPlus,
    fit_square,
    load_checkpoint,
    load_image,
    save_checkpoint,
)

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


def inverted_faces(
    folder: Path, encoder: Encoder, generator: Generator, mark: str, kept: Path, batch: int = 8
) -> FaceSet:
    """The faces of a folder's pictures, through the encoder; from the file `kept` if nothing has changed since.

    `mark` tells encoder and generator from others. Pictures that cannot be read are skipped and named. Raises
    InputError if none can be read, MismatchError for an encoder of another generator's shape.
    """
    rows = (generator.num_ws, generator.config.w_dim)
    if (encoder.config.num_ws, encoder.config.w_dim) != rows:
        raise MismatchError(
            f"The encoder makes {encoder.config.num_ws} style vectors of width {encoder.config.w_dim}, but the "
            f"generator draws from {rows[0]} of width {rows[1]}. Use an encoder made for this generator."
        )
    found = find_pictures(folder)
    digest = _digest(found, mark)
    if kept.exists():
        before = load_checkpoint(kept, KIND)
        if before.metadata.get("digest") == digest:
            good, skipped = before.metadata["pictures"], before.metadata["skipped"]
            return FaceSet(
                before.tensors["ws"],
                tuple(folder / name for name in good),
                tuple((folder / name, why) for name, why in skipped),
            )
    good, skipped, read = read_pictures(found, generator.config.resolution)
    if not good:
        raise InputError(f"None of the {len(found)} pictures in {folder} can be read; the first: {skipped[0][1]}")
    ws = []
    device = generator.w_avg.device
    for chunk in tqdm(torch.arange(len(good)).split(batch), desc="inverting pictures", disable=None):
        with torch.no_grad():
            ws.append(encoder(torch.cat([read(int(i)) for i in chunk]).to(device)).cpu())
    faces = FaceSet(torch.cat(ws), tuple(good), tuple(skipped))
    save_checkpoint(
        kept,
        KIND,
        {"ws": faces.ws},
        {},
        digest=digest,
        pictures=[str(path.relative_to(folder)) for path in good],
        skipped=[[str(path.relative_to(folder)), why] for path, why in skipped],
    )
    return faces


def _digest(paths: Iterable[Path], mark: str) -> str:
    """Changes when a file comes, goes or is written again."""
    lines = [mark, *(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in paths)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()

"""Photographs -> W+ codes, inverted once and kept beside the run."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import torch
from tqdm import tqdm

from lga_core import (
    Encoder,
    Generator,
    InputError,
    MismatchError,
    load_encoder,
)
from lga_core.checkpoints import as_native
from lga_core.formats import fingerprint, load_checkpoint, save_checkpoint

from ..training.distributed import Workers
from ..training.run_folder import RunFolder
from .alignment import Aligned, Framer, aligned
from .faces import KIND, FaceSet, _digest, find_pictures, read_pictures


def load_inverter(path: str | Path | None, folder: Path, device: torch.device) -> Encoder:
    """The encoder that inverts --images; a foreign file is converted into `folder`/converted. Raises InputError."""
    if path is None:
        raise InputError("--images needs an encoder that inverts them: give --encoder FILE, made for this generator.")
    return load_encoder(as_native(path, "encoder", folder / "converted")).to(device)


def faces_from_images(
    images: Path,
    encoder: Encoder,
    generator: Generator,
    folder: RunFolder,
    workers: Workers,
    framer: Framer | None = None,
) -> FaceSet:
    """The faces of a folder of images, inverted by the first process into a cache that the others read.

    framer: finds and frames each image's face first; without it they are framed already.
    """
    mark = f"{fingerprint(generator)} {fingerprint(encoder)}"
    with workers.after_the_first():
        framed = Aligned(images, ()) if framer is None else aligned(images, folder.path / "aligned", framer)
        faces = inverted_faces(framed.folder, encoder, generator, mark, folder.path / "faces.safetensors")
    faces = replace(faces, skipped=framed.skipped + faces.skipped)
    for path, why in faces.skipped:
        warnings.warn(f"{path} was skipped: {why}", stacklevel=1)
    return faces


def inverted_faces(
    folder: Path, encoder: Encoder, generator: Generator, mark: str, cache: Path, batch: int = 8
) -> FaceSet:
    """The faces of a folder's images, inverted by the encoder; from the file `cache` if nothing has changed since.

    `mark` tells encoder and generator from others. Files that cannot be read are skipped and named. Raises
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
    if cache.exists():
        before = load_checkpoint(cache, KIND)
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
        cache,
        KIND,
        {"ws": faces.ws},
        {},
        digest=digest,
        pictures=[str(path.relative_to(folder)) for path in good],
        skipped=[[str(path.relative_to(folder)), why] for path, why in skipped],
    )
    return faces

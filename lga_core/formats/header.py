"""The header of our own model files: what a file says about itself, read without torch and without its tensors.

A safetensors file with everything about the model as JSON under one metadata key:

    {"format": "language-guided-animation", "format_version": 1, "kind": "generator" | "encoder" | "animator" | "clip",
     "architecture": {...}, "tensors_sha256": ..., and what else the writer has to say: domain, licence, training ...}
"""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any, NoReturn

from ..errors import CheckpointError

FORMAT = "language-guided-animation"
FORMAT_VERSION = 1
METADATA_KEY = "lga"
AGAIN = "The file is damaged: fetch or make it again."

PathLike = str | os.PathLike[str]


def is_native(path: PathLike) -> bool:
    """Whether this is a model file of this project, by its header."""
    try:
        read_metadata(path)
    except CheckpointError:
        return False
    return True


def read_metadata(path: PathLike, kind: str | None = None) -> dict[str, Any]:
    """What a model file says about itself, without reading its tensors: `kind`, `architecture` and the rest.

    Raises CheckpointError if it is no model file of ours, or not of this `kind`.
    """
    path = Path(path)
    text = _read_header(path).get("__metadata__", {}).get(METADATA_KEY)
    if text is None:
        raise CheckpointError(
            f"{path} is a safetensors file, but not one of this project's: its metadata has no entry '{METADATA_KEY}'. "
            "Choose a file that this project made."
        )
    try:
        described = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError, TypeError) as err:
        raise CheckpointError(f"{path}: its description of the model is not JSON ({err}). {AGAIN}") from err
    if not isinstance(described, dict) or described.get("format") != FORMAT:
        raise CheckpointError(f"{path}: its description does not say format {FORMAT!r}. Choose a file of this project.")
    version = described.get("format_version")
    if version != FORMAT_VERSION or isinstance(version, bool):
        raise CheckpointError(
            f"{path} is of format version {version!r}; this installation reads version {FORMAT_VERSION}. Update this "
            "project if the file is newer, else make the file again."
        )
    if kind is not None and described.get("kind") != kind:
        raise CheckpointError(
            f"{path} holds a model of the kind {described.get('kind')!r}, but {kind!r} is needed here. Choose the "
            f"{kind}'s file."
        )
    if not isinstance(described.get("architecture"), dict) or not isinstance(described.get("tensors_sha256"), str):
        raise CheckpointError(f"{path} lacks its model's architecture or checksum. {AGAIN}")
    return described


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


_NOT_SAFETENSORS = (  # how such a file begins, what it is, what to do
    (b"PK\x03\x04", "a zip archive, as PyTorch's .pt files are", "Choose a .safetensors file that this project made."),
    (b"\x80", "a Python pickle", "Choose a .safetensors file that this project made."),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself", "Run `git lfs pull`."),
    (b"<", "a web page", "The download went wrong: open its address in a browser, then fetch the file itself."),
)


def _read_header(path: Path) -> dict[str, Any]:
    """The JSON header of a safetensors file, after checking that the file is as long as its header says."""
    try:
        if path.is_dir():
            raise CheckpointError(f"{path} is a folder; a .safetensors file is needed. Choose a file in it.")
        size = path.stat().st_size
        with path.open("rb") as file:
            beginning = file.read(64)
            for magic, what, remedy in _NOT_SAFETENSORS:
                if beginning.lstrip().startswith(magic) and not _plausible(beginning, size):
                    raise CheckpointError(f"{path} is {what}; a .safetensors file is needed. {remedy}")
            if not _plausible(beginning, size):
                raise CheckpointError(
                    f"{path} ({size:,} bytes) is not a safetensors file, or only a part of one. {AGAIN}"
                )
            (length,) = struct.unpack("<Q", beginning[:8])
            file.seek(8)
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            need = 8 + length + max(ends, default=0)
    except FileNotFoundError as err:
        raise CheckpointError(f"There is no file {path}. Check the path.") from err
    except OSError as err:
        raise CheckpointError(f"{path} cannot be read ({err}). Check the path and its permissions.") from err
    except (ValueError, RecursionError, AttributeError, LookupError, TypeError) as err:
        raise CheckpointError(f"{path}: its header is not that of a safetensors file. {AGAIN}") from err
    if size != need:
        raise CheckpointError(f"{path} has {size:,} bytes, but its header describes {need:,}. {AGAIN}")
    if not isinstance(header.get("__metadata__", {}), dict):
        raise CheckpointError(f"{path}: its header's metadata is not a table. {AGAIN}")
    return header


def _plausible(beginning: bytes, size: int) -> bool:
    """A safetensors file begins with the length of its header, which fits in the file and begins with a brace."""
    return len(beginning) > 8 and struct.unpack("<Q", beginning[:8])[0] <= size - 8 and beginning[8:9] == b"{"

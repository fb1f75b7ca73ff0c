"""Our model files: safetensors, with everything about the model as JSON under one metadata key.

    {"format": "language-guided-animation", "format_version": 1, "kind": "generator" | "encoder" | "animator" | "clip",
     "architecture": {...}, "tensors_sha256": ..., and what else the writer has to say: domain, licence, training ...}

Nothing is ever pickled. A file from elsewhere is untrusted: all it says is checked against what it holds before a
weight is used, and a CheckpointError names the file, what was found, what was needed and what to do.
"""

import hashlib
import json
import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import CheckpointError, OutputError

FORMAT = "language-guided-animation"
FORMAT_VERSION = 1
METADATA_KEY = "lga"

_RESERVED = ("format", "format_version", "kind", "architecture", "tensors_sha256")
_DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.int64)
AGAIN = "The file is damaged: fetch or make it again."

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Checkpoint:
    """A model file's content. Floating-point tensors are float32 (fp16 values exactly as stored), others as stored."""

    tensors: dict[str, Tensor]
    architecture: dict[str, Any]
    metadata: dict[str, Any]


def save_checkpoint(
    path: PathLike,
    kind: str,
    tensors: Mapping[str, Tensor],
    architecture: Mapping[str, Any],
    *,
    half: bool = False,
    **metadata: Any,
) -> None:
    """Write a model file: aside first, then renamed, so that `path` never holds half a file.

    Args:
        path: where to; its folder must exist.
        kind: what the file is, checked when it is loaded.
        tensors: by name; floating-point ones are stored as float32, or as float16 with `half`.
        architecture: what is needed to build the model, JSON.
        metadata: further JSON values, for example the domain's name, a licence, training figures.

    Raises:
        OutputError: the folder is missing or not writable, or a value is not finite (or too large for `half`).
    """
    path = Path(path)
    if taken := [key for key in metadata if key in _RESERVED]:
        raise ValueError(f"metadata may not be called {taken[0]!r}: the format itself uses that name")
    stored = {name: _storable(tensor, half) for name, tensor in tensors.items()}
    for name, tensor in stored.items():
        if not _is_finite(tensor):
            remedy = " Save with half=False if it is only too large for float16." if half else ""
            raise OutputError(f"{path} was not written: the tensor {name} holds values that are not finite.{remedy}")
    described = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "architecture": dict(architecture),
        "tensors_sha256": tensors_sha256(stored),
        **metadata,
    }
    text = json.dumps(described, sort_keys=True, allow_nan=False)
    _write_aside(path, lambda part: save_file(stored, part, metadata={METADATA_KEY: text}))


def load_checkpoint(path: PathLike, kind: str) -> Checkpoint:
    """Read a model file of this kind. Raises CheckpointError for anything that is not exactly that."""
    path = Path(path)
    described = read_metadata(path, kind)
    try:
        with safe_open(path, "pt") as file:
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no iterator)
            # Copied, so that nothing depends on the file once it is closed.
            tensors = {
                name: tensor.to(torch.float32 if tensor.is_floating_point() else None, copy=True)
                for name, tensor in stored.items()
            }
            for name, tensor in stored.items():
                if tensor.dtype not in _DTYPES:
                    raise CheckpointError(
                        f"{path}: the tensor {name} is of type {tensor.dtype}; float32, float16, bfloat16 or int64 is "
                        "needed. Make the file again."
                    )
                if not _is_finite(tensor):
                    bad = int((~torch.isfinite(tensor)).sum())
                    raise CheckpointError(
                        f"{path}: the tensor {name} holds {bad} values that are not finite numbers, of "
                        f"{tensor.numel()}. Its training went wrong or the file is damaged: fetch or make it again."
                    )
            found = tensors_sha256(stored)
    except (SafetensorError, OSError) as err:
        raise CheckpointError(f"{path} cannot be read ({err}). {AGAIN}") from err
    if found != described["tensors_sha256"]:
        raise CheckpointError(
            f"{path}: its tensors have the checksum {found[:16]}..., but it says {described['tensors_sha256'][:16]}... "
            f"{AGAIN}"
        )
    metadata = {key: value for key, value in described.items() if key not in _RESERVED}
    return Checkpoint(tensors, described["architecture"], metadata)


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


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Checksum of names, types, shapes and values, in the order of names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _storable(tensor: Tensor, half: bool) -> Tensor:
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor.to(torch.float16 if half else torch.float32)
    return tensor.contiguous()


def _is_finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def _write_aside(path: Path, write: Callable[[Path], None]) -> None:
    if not path.parent.is_dir():
        raise OutputError(f"{path} cannot be written: there is no folder {path.parent}. Create it first.")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(part)
        part.chmod(0o666 & ~_umask())  # safetensors gives its files to their owner alone
        with part.open("rb+") as file:
            os.fsync(file.fileno())  # before the rename: a power failure leaves the file before, or this one
        part.replace(path)
    except (OSError, SafetensorError) as err:
        raise OutputError(f"{path} cannot be written ({err}). Make room, or choose another place.") from err
    finally:
        part.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)  # there is no way to ask but to set
    os.umask(mask)
    return mask


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
                raise CheckpointError(f"{path} ({size:,} bytes) is no safetensors file, or only a part of one. {AGAIN}")
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

"""Our own model files: safetensors under the header of `header.py`, written and read whole.

Nothing is ever pickled. A file is untrusted: everything it says is checked against what it holds before a weight is
used, and a CheckpointError names the file, what was found, what was needed and what to do.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..atomic_files import written_aside
from ..errors import CheckpointError, OutputError
from .header import AGAIN, FORMAT, FORMAT_VERSION, METADATA_KEY, PathLike, read_metadata

_RESERVED = ("format", "format_version", "kind", "architecture", "tensors_sha256")
_DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.int64)


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
    with written_aside(path) as part:
        try:
            save_file(stored, part, metadata={METADATA_KEY: text})
        except SafetensorError as err:  # a full disk, for one
            raise OSError(str(err)) from err


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

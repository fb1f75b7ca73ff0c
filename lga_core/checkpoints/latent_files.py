"""What an artist keeps, passes on and saves: faces and movements, each of which fits one generator only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ..errors import CheckpointError
from ..formats.header import PathLike, is_native
from ..formats.native import load_checkpoint, save_checkpoint
from ..latents import Faces, ModelId, Movement
from .conversion import open_foreign


def save_faces(path: PathLike, faces: Faces, **metadata: Any) -> None:
    """Write faces as a safetensors file of this project; see `save_checkpoint`."""
    _save(path, "faces", faces.ws, faces.generator, metadata)


def load_faces(path: PathLike) -> Faces:
    """Read faces: a file of ours, or W+ codes as other projects write them (see `open_foreign`). CheckpointError."""
    if not is_native(path):
        return _foreign_faces(path)
    return _load(path, "faces", 3, Faces)


def _foreign_faces(path: PathLike) -> Faces:
    converted = [model for model in open_foreign(path) if model.kind == "faces"]
    if not converted:
        raise CheckpointError(f"{path} holds no faces (W+ codes). `lga inspect` shows what it holds.")
    return Faces(converted[0].tensors["faces"], None)


def save_movement(path: PathLike, movement: Movement, **metadata: Any) -> None:
    """Write a movement as a safetensors file of this project; see `save_checkpoint`."""
    _save(path, "movement", movement.offsets, movement.generator, metadata)


def load_movement(path: PathLike) -> Movement:
    """Read a movement. Raises CheckpointError."""
    return _load(path, "movement", 4, Movement)


def _save(path: PathLike, kind: str, tensor: Tensor, owner: ModelId | None, metadata: dict[str, Any]) -> None:
    num_ws, w_dim = tensor.shape[-2:]
    if owner is not None:
        metadata = {"generator_fingerprint": owner.fingerprint, "generator": owner.name, **metadata}
    save_checkpoint(path, kind, {kind: tensor}, {"num_ws": num_ws, "w_dim": w_dim}, **metadata)


def _load(path: PathLike, kind: str, ndim: int, make: Callable[[Tensor, ModelId | None], Any]) -> Any:
    checkpoint = load_checkpoint(path, kind)
    tensor = checkpoint.tensors.get(kind)
    need = tuple(checkpoint.architecture.get(key) for key in ("num_ws", "w_dim"))
    if tensor is None or tensor.ndim != ndim or tuple(tensor.shape[-2:]) != need or not tensor.numel():
        found = "none" if tensor is None else f"one of shape {list(tensor.shape)}"
        raise CheckpointError(
            f"{path}: a tensor '{kind}' with {ndim} axes that end in {need} is needed, but it holds {found}. Save the "
            f"{kind} again."
        )
    return make(tensor.float(), ModelId.in_metadata(checkpoint.metadata))

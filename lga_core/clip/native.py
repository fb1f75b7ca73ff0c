"""Our own CLIP files: small ones, which keep only the part of the vocabulary that the model was trained on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..errors import CheckpointError, InputError, MismatchError
from ..formats.native import load_checkpoint, save_checkpoint
from .architecture import build
from .model import ClipModel

if TYPE_CHECKING:
    import open_clip

VOCABULARY = 49408
"""Entries of CLIP's byte-pair vocabulary (Radford et al. 2021)."""
PAD, START, END = 0, 49406, 49407
"""Token ids that each text holds. `END` must stay the largest: open_clip reads the text's embedding at the argmax."""


def save_clip(
    path: str | PathLike[str],
    model: open_clip.CLIP,
    config: dict[str, Any],
    token_ids: Iterable[int],
    mean: Sequence[float],
    std: Sequence[float],
    *,
    half: bool = False,
    **metadata: Any,
) -> None:
    """Write `model` to `path` with only the vocabulary rows of `token_ids`, the tokens it was trained on.

    `config` is the model's open_clip config. The token table of `model` is either whole, 49,408 rows, or already has
    one row for each of `token_ids` in their order. `mean` and `std` are the image tower's, for pictures in 0..1.
    `half` stores fp16. Further keywords go into the file's metadata.
    """
    ids = list(token_ids)
    state = {key: value for key, value in model.state_dict().items() if not key.endswith("num_batches_tracked")}
    table = state["token_embedding.weight"]
    if table.shape[0] == VOCABULARY:
        ids = sorted({*ids, PAD, START, END})
        table = table[torch.tensor(ids, device=table.device)]
    if table.shape[0] != len(ids) or len(set(ids)) != len(ids) or not {START, END} <= set(ids):
        raise MismatchError(
            f"The CLIP's token table has {table.shape[0]} rows and {len(ids)} token ids were named for them. Name each "
            f"row's id once, {START} and {END} (start and end of a text) among them, or give the whole table."
        )
    state["token_embedding.weight"] = table
    tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    tensors["token_ids"] = torch.tensor(ids, dtype=torch.int64)
    architecture = deepcopy(config)
    architecture["text_cfg"]["vocab_size"] = VOCABULARY
    metadata |= {"mean": [float(value) for value in mean], "std": [float(value) for value in std]}
    save_checkpoint(path, "clip", tensors, architecture, half=half, **metadata)


def load_native(path: Path, device: str | torch.device) -> ClipModel:
    if not path.is_file():
        raise InputError(
            f"There is no CLIP file at {path}. Give the path of a file made by this project, or a model name together "
            "with the path of its open_clip weights."
        )
    try:
        checkpoint = load_checkpoint(path, "clip")
    except CheckpointError as err:
        raise CheckpointError(f"{err} (If it holds open_clip weights, say which model's.)") from err
    tensors = dict(checkpoint.tensors)
    ids = tensors.pop("token_ids", None)
    rows = tensors.get("token_embedding.weight")
    if ids is None or rows is None or ids.shape != rows.shape[:1] or not 0 <= int(ids.min()) <= int(ids.max()) == END:
        raise CheckpointError(
            f"{path} has a token table that does not match its token ids: each row needs one id from 0 to {END}, and "
            f"{END}, the end of a text, must be among them. The file is damaged: build or fetch it again."
        )
    table = rows.new_zeros(VOCABULARY, rows.shape[1])
    table[ids] = rows
    tensors["token_embedding.weight"] = table
    with torch.device("meta"):  # Nothing is allocated before the file is known to fit.
        _check_tensors(build(str(path), checkpoint.architecture), path, tensors)
    model = build(str(path), checkpoint.architecture)
    model.load_state_dict(tensors, strict=False)  # All but batch normalisation's step counters, which are of no use.
    mean, std = (_colour(checkpoint.metadata.get(key), key, path) for key in ("mean", "std"))
    name = str(checkpoint.metadata.get("name", path.stem))
    known = frozenset(ids.tolist())
    return ClipModel(name, model, checkpoint.architecture, mean, std, known, dict(checkpoint.metadata)).to(device)


def _colour(value: object, key: str, path: Path) -> list[float]:
    numbers = value if isinstance(value, list) and all(isinstance(x, (int, float)) for x in value) else []
    if len(numbers) != 3 or (key == "std" and min(numbers) <= 0):
        raise CheckpointError(
            f"{path} has {value!r} as the {key} of its pictures; three numbers are needed, positive for std. Build or "
            "fetch the file again."
        )
    return [float(x) for x in numbers]


def _check_tensors(model: nn.Module, path: Path, tensors: dict[str, Tensor]) -> None:
    needed = {key: value.shape for key, value in model.state_dict().items() if not key.endswith("num_batches_tracked")}
    found = {key: value.shape for key, value in tensors.items()}
    wrong = sorted(key for key in needed.keys() | found.keys() if needed.get(key) != found.get(key))
    if wrong:
        key = wrong[0]
        raise CheckpointError(
            f"{path} does not match its own architecture at {len(wrong)} tensors, first '{key}': found "
            f"{_describe(found.get(key))}, needed {_describe(needed.get(key))}. Build or fetch the file again."
        )


def _describe(shape: Sequence[int] | None) -> str:
    return "none" if shape is None else f"shape {list(shape)}"

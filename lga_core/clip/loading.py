"""Load a CLIP model: one of our files, or open_clip weights beside a model name. Nothing is downloaded or executed."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import CheckpointError, InputError
from ..formats.foreign import read_foreign
from .architecture import build, find_config, needs_quick_gelu, read_config
from .model import ClipModel, shorten
from .native import load_native

if TYPE_CHECKING:
    import open_clip

_NO_WEIGHTS = ("input_resolution", "context_length", "vocab_size")  # three numbers in OpenAI's files


def load_clip(
    name: str | PathLike[str],
    weights: str | PathLike[str] | None = None,
    config: dict[str, Any] | str | PathLike[str] | None = None,
    device: str | torch.device = "cpu",
    quick_gelu: bool | None = None,
) -> ClipModel:
    """A CLIP model, in fp32 and evaluation mode.

    - `load_clip("clip.safetensors")` reads a file that `save_clip` wrote.
    - `load_clip("RN50-quickgelu", "RN50.safetensors")` reads a model that open_clip knows by name, from open_clip
      weights (.safetensors, or .pt/.bin holding plain tensors). Nothing is ever downloaded.
    - `config`, a dict or a JSON file in open_clip's form (embed_dim, vision_cfg, text_cfg), describes another model.

    OpenAI's weights were trained with QuickGELU, which their files do not say: `quick_gelu=True` forces it, and so does
    a `name` that ends in "-quickgelu" or a weights file with "openai" in its name.

    Raises InputError for an unknown name or a missing file, CheckpointError for a file that does not fit.
    """
    if weights is None:
        return load_native(Path(name), device)
    name, weights = str(name), Path(weights)
    if not weights.is_file():
        raise InputError(f"There is no CLIP weights file at {weights}. Give the path of an open_clip weights file.")
    config = find_config(name) if config is None else read_config(config)
    config["quick_gelu"] = needs_quick_gelu(name, weights, config) if quick_gelu is None else quick_gelu
    model = build(name, config)
    _load_weights(model, name, weights)
    from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    return ClipModel(name, model, config, OPENAI_DATASET_MEAN, OPENAI_DATASET_STD).to(device)


def _load_weights(model: open_clip.CLIP | open_clip.CustomTextCLIP, name: str, weights: Path) -> None:
    """Weights of any container that `read_foreign` knows, by open_clip's names. Nothing in the file is run."""
    value = read_foreign(weights).value
    table = value.get("state_dict", value) if isinstance(value, dict) else {}
    tensors = {
        key.removeprefix("module."): tensor
        for key, tensor in (table.items() if isinstance(table, dict) else ())
        if isinstance(tensor, Tensor) and isinstance(key, str) and key not in _NO_WEIGHTS
    }
    try:
        model.load_state_dict(tensors)
    except RuntimeError as err:
        raise CheckpointError(
            f"{weights} cannot be read as open_clip weights of '{name}': {shorten(str(err), 300)} Check that the name "
            "and the file belong together and that the file is whole."
        ) from err

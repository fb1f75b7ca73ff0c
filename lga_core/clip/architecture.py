"""The architecture of a CLIP model, as open_clip describes it: by name, by JSON, and built."""

from __future__ import annotations

import json
import warnings
from copy import deepcopy
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..errors import CheckpointError, InputError

if TYPE_CHECKING:
    import open_clip


def find_config(name: str) -> dict[str, Any]:
    import open_clip

    config = open_clip.get_model_config(name) if name in open_clip.list_models() else None
    if config is None:
        raise InputError(
            f"open_clip has no model named '{name}'. Use one of its names, such as RN50-quickgelu or "
            "ViT-B-32-quickgelu, or give a config."
        )
    return config


def read_config(config: dict[str, Any] | str | PathLike[str]) -> dict[str, Any]:
    if isinstance(config, dict):
        return deepcopy(config)
    try:
        read = json.loads(Path(config).read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise InputError(f"The CLIP config {config} cannot be read ({err}). Give an open_clip JSON file.") from err
    return read.get("model_cfg", read)  # Hubs wrap the config.


def needs_quick_gelu(name: str, weights: Path, config: dict[str, Any]) -> bool:
    if config.get("quick_gelu") or name.endswith("-quickgelu") or "openai" in weights.name.lower():
        return True
    import open_clip

    if f"{name}-quickgelu" in open_clip.list_models():
        warnings.warn(
            f"{weights.name} is read as a standard-GELU {name}. If these are OpenAI's weights, say {name}-quickgelu "
            "(or quick_gelu=True), or the embeddings will be slightly wrong.",
            UserWarning,
            stacklevel=3,
        )
    return False


def build(name: str, config: dict[str, Any]) -> open_clip.CLIP | open_clip.CustomTextCLIP:
    import open_clip

    config = deepcopy(config)
    try:
        text, vision = config["text_cfg"], config["vision_cfg"]
        if "multimodal_cfg" in config or text.get("hf_model_name") or text.get("hf_tokenizer_name"):
            raise InputError(f"CLIP '{name}' has a text tower of another library. Choose a CLIP with its own.")
        if vision.get("timm_model_name"):
            vision["timm_model_pretrained"] = False  # Would fetch weights, which are replaced at once.
        model_class = open_clip.CustomTextCLIP if config.pop("custom_text", False) else open_clip.CLIP
        with torch.random.fork_rng(devices=[]):  # first weights are drawn, and replaced: nothing else may depend on it
            return model_class(**config)
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError, RuntimeError) as err:
        raise CheckpointError(
            f"The config of CLIP '{name}' does not describe an open_clip model ({err}). It needs embed_dim, vision_cfg "
            "and text_cfg."
        ) from err

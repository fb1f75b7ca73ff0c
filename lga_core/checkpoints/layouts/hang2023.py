"""Motion models of the paper's authors: their code's checkpoints, with the CLIP that was trained along.

No trained one was ever published; this reads what people trained with that code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...errors import CheckpointError
from ...motion.model import MotionConfig, MotionModel
from ..converted_model import UNKNOWN_LICENCE, ConvertedModel
from .rosinality import without_prefix

LAYOUT = "official LGA"
_MAPPERS = {"t_mapper": "motion", "v_mapper": "visual"}


def matches(value: Any) -> bool:
    if not isinstance(value, Mapping) or not isinstance(value.get("state_dict"), Mapping):
        return False
    names = without_prefix(value["state_dict"])
    return "rnn.fc1.weight" in names and any(str(name).startswith("mapper.t_mapper.") for name in names)


def read(value: Mapping[str, Any], where: str) -> list[ConvertedModel]:
    """The motion model, and the CLIP model beside it. Raises CheckpointError."""
    tensors = {k: t for k, t in without_prefix(value["state_dict"]).items() if isinstance(t, Tensor)}
    motion = _motion(tensors, where)
    clip = {k.removeprefix("encoder."): t for k, t in tensors.items() if k.startswith("encoder.")}
    if not clip:
        return [motion]
    return [motion, converted_clip(clip, where, quick_gelu=True, layout=LAYOUT)]


def _motion(tensors: Mapping[str, Tensor], where: str) -> ConvertedModel:
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.startswith("rnn."):
            found[f"recurrent.{name.removeprefix('rnn.')}"] = tensor
        elif match := re.fullmatch(r"mapper\.(t|v)_mapper\.([123])\.(weight|bias)", name):
            found[f"mapper.{_MAPPERS[match[1] + '_mapper']}.{int(match[2]) - 1}.{match[3]}"] = tensor
    try:
        hidden, code = found["recurrent.fc1.weight"].shape
        rows, inner = found["mapper.motion.2.weight"].shape
        config = MotionConfig.official(
            int(code),
            int(rows) // 512,
            hidden_dim=int(hidden),
            mapper_dim=int(inner),
            visual_offset="mapper.visual.2.weight" in found,
        )
    except (KeyError, ValueError) as err:
        raise CheckpointError(f"{where}: its motion model lacks {err}. Fetch the file again.") from err
    with torch.device("meta"):
        need = {name: tensor.shape for name, tensor in MotionModel(config).state_dict().items()}
    shapes = {name: tensor.shape for name, tensor in found.items()}
    if wrong := sorted(name for name in need.keys() | shapes.keys() if need.get(name) != shapes.get(name)):
        raise CheckpointError(
            f"{where}: {wrong[0]} is {shapes.get(wrong[0])}, but the authors' motion model has {need.get(wrong[0])}. "
            "This variant is not supported."
        )
    return ConvertedModel("animator", found, config, LAYOUT, UNKNOWN_LICENCE)


def is_clip(tensors: Mapping[str, Any]) -> bool:
    return {"token_embedding.weight", "positional_embedding", "text_projection"} <= set(tensors)


def converted_clip(tensors: Mapping[str, Tensor], where: str, quick_gelu: bool, layout: str) -> ConvertedModel:
    """An OpenAI-shaped CLIP from its tensors, its open_clip configuration read from their shapes."""
    kept = {
        name: tensor
        for name, tensor in tensors.items()
        if name not in ("input_resolution", "context_length", "vocab_size") and not name.endswith("num_batches_tracked")
    }
    try:
        config = _clip_config(kept, quick_gelu)
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as err:
        raise CheckpointError(f"{where}: its CLIP lacks {err}. Fetch the file again.") from err
    notes = ("Read with QuickGELU, as OpenAI's CLIP was trained.",) if quick_gelu else ()
    return ConvertedModel("clip", kept, config, layout, UNKNOWN_LICENCE, notes)


def _clip_config(tensors: Mapping[str, Tensor], quick_gelu: bool) -> dict[str, Any]:
    def count(pattern: str) -> int:
        return len({match[1] for name in tensors if (match := re.match(pattern, name))})

    width = int(tensors["token_embedding.weight"].shape[1])
    text = {
        "context_length": int(tensors["positional_embedding"].shape[0]),
        "vocab_size": int(tensors["token_embedding.weight"].shape[0]),
        "width": width,
        "heads": max(width // 64, 1),
        "layers": count(r"transformer\.resblocks\.(\d+)\."),
    }
    if "visual.layer1.0.conv1.weight" in tensors:
        wide = int(tensors["visual.layer1.0.conv1.weight"].shape[0])
        side = round((tensors["visual.attnpool.positional_embedding"].shape[0] - 1) ** 0.5)
        vision: dict[str, Any] = {
            "image_size": 32 * side,
            "layers": [count(rf"visual\.layer{stage}\.(\d+)\.") for stage in (1, 2, 3, 4)],
            "width": wide,
            "patch_size": None,
        }
    else:
        kernel = tensors["visual.conv1.weight"]
        side = round((tensors["visual.positional_embedding"].shape[0] - 1) ** 0.5)
        vision = {
            "image_size": int(kernel.shape[-1]) * side,
            "layers": count(r"visual\.transformer\.resblocks\.(\d+)\."),
            "width": int(kernel.shape[0]),
            "patch_size": int(kernel.shape[-1]),
        }
    embed_dim = int(tensors["text_projection"].shape[1])
    return {"embed_dim": embed_dim, "vision_cfg": vision, "text_cfg": text, "quick_gelu": quick_gelu}

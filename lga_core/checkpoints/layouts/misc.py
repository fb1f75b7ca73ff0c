"""Smaller things people bring, identity networks and W+ codes; and what this project has no use for, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...errors import CheckpointError
from ..converted_model import UNKNOWN_LICENCE, ConvertedModel

IDENTITY = {
    "ArcFace IR-SE50": ("input_layer.0.weight", "body.0.res_layer.0.weight", "output_layer.3.weight"),
    "facenet InceptionResnetV1": ("conv2d_1a.conv.weight", "repeat_1.0.branch0.conv.weight", "last_linear.weight"),
}
"""Networks that tell people apart, and tensors that each has."""
MAX_FACES = 1_000_000
MAX_ROWS = 64


def identity_network(value: Any) -> str | None:
    names = set(value) if isinstance(value, Mapping) else set()
    return next((name for name, marks in IDENTITY.items() if names.issuperset(marks)), None)


def read_identity(value: Mapping[str, Any], where: str) -> list[ConvertedModel]:
    name = identity_network(value)
    tensors = {
        key: tensor
        for key, tensor in value.items()
        if isinstance(tensor, Tensor) and not key.endswith("num_batches_tracked") and not key.startswith("logits.")
    }
    return [ConvertedModel("identity", tensors, {"network": name}, str(name), UNKNOWN_LICENCE)]


def is_latents(value: Any) -> bool:
    if isinstance(value, Mapping):
        return bool(value) and all(_is_code(code, many=len(value) == 1) for code in value.values())
    return _is_code(value, many=True)


def _is_code(value: Any, many: bool = False) -> bool:
    """[L w_dim] or [n L w_dim] with an even number of rows, as a StyleGAN2 has them."""
    if not isinstance(value, Tensor) or not value.is_floating_point() or value.ndim not in (2, 3):
        return False
    n, rows, width = value.shape if value.ndim == 3 else (1, *value.shape)
    return (many or n == 1) and 1 <= n <= MAX_FACES and rows % 2 == 0 and 4 <= rows <= MAX_ROWS and width >= 2


def read_latents(value: Any, where: str) -> list[ConvertedModel]:
    """Faces [n num_ws w_dim]; their names, where the file has a name for each, in the metadata."""
    names = [str(name) for name in value] if isinstance(value, Mapping) and len(value) > 1 else None
    codes = list(value.values()) if isinstance(value, Mapping) else [value]
    codes = [code.float().reshape(-1, *code.shape[-2:]) for code in codes]
    if len({code.shape[1:] for code in codes}) > 1:
        sizes = sorted({tuple(code.shape[1:]) for code in codes})
        raise CheckpointError(f"{where} holds codes of several sizes, {sizes[0]} and {sizes[-1]}: one is needed.")
    ws = torch.cat(codes)
    config = {"num_ws": ws.shape[1], "w_dim": ws.shape[2]}
    note = "It does not say which generator its faces belong to: name it, or only sizes can be checked."
    metadata = {} if names is None else {"names": names}
    return [ConvertedModel("faces", {"faces": ws}, config, "W+ codes", UNKNOWN_LICENCE, (note,), metadata)]


_UNSUPPORTED = (  # a mark among the names, what it is, what to do
    ("model.diffusion_model.", "a diffusion checkpoint", "Load it with ComfyUI's own Load Checkpoint."),
    ("first_stage_model.", "a diffusion checkpoint", "Load it with ComfyUI's own Load Checkpoint."),
    ("lora_unet_", "a LoRA for a diffusion model", "Load it with ComfyUI's own Load LoRA."),
    ("g_synthesis.", "a StyleGAN (the first) generator", "Only StyleGAN2 is supported."),
)


def describe_unsupported(value: Any) -> str | None:
    """What a file is that this project has no use for, in words that follow its name; None if it is unknown."""
    names: set[str] = set()
    for part in (value, value.get("state_dict") if isinstance(value, Mapping) else None):
        names |= {str(name) for name in part} if isinstance(part, Mapping) else set()
    for mark, what, remedy in _UNSUPPORTED:
        if any(mark in name for name in names):
            return f"is {what}. {remedy}"
    if "g_running" in names:
        return "is a StyleGAN (the first) generator. Only StyleGAN2 is supported."
    if {"state", "param_groups"} <= names or (names and names <= {"optimizer", "iter", "epoch", "scheduler", "step"}):
        return "holds the state of an optimiser only, no weights. Use the checkpoint that was saved beside it."
    if "d" in names and "g_ema" not in names and "g" not in names:
        return "holds a discriminator only, which cannot draw. Use the file with the generator (g_ema)."
    return None

"""MoCoGAN-HD's motion generators, as its trainer writes them: `modelR_epoch_N.pth`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...baselines.mocogan_hd import MocoganConfig, MocoganMotion
from ...errors import CheckpointError
from ..converted_model import ConvertedModel
from .rosinality import without_prefix

LAYOUT = "MoCoGAN-HD"
LICENCE = {
    "id": "none granted where MoCoGAN-HD's authors published it: ask them",
    "url": "https://github.com/snap-research/MoCoGAN-HD",
    "non_commercial": True,
}
_CELL = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_NAMES = {
    **{f"enc_cell.{end}": f"start.{end}" for end in _CELL},
    **{f"cell.{end}": f"cell.{end}" for end in _CELL},
    **{"w": "directions.weight", "b": "directions.bias"},
    **{f"fc1.{end}": f"reconstruct.0.{end}" for end in ("weight", "bias")},
    **{f"fc2.{end}": f"reconstruct.2.{end}" for end in ("weight", "bias")},
}
"""Theirs -> ours."""
NOTE = "The principal directions that it moves along are no part of it: they are found anew from its generator."


def matches(value: Any) -> bool:
    return {"enc_cell.weight_ih", "cell.weight_ih", "w"} <= _tensors(value).keys()


def read(value: Mapping[str, Any], where: str) -> list[ConvertedModel]:
    """The motion generator. Raises CheckpointError."""
    tensors = _tensors(value)
    found = {ours: tensors[theirs] for theirs, ours in _NAMES.items() if theirs in tensors}
    try:
        hidden_dim, num_directions = found["directions.weight"].shape
        config = MocoganConfig(found["start.weight_ih"].shape[1], hidden_dim, num_directions)
    except (IndexError, ValueError) as err:
        raise CheckpointError(f"{where}: its motion generator is invalid ({err}). Fetch the file again.") from err
    with torch.device("meta"):
        need = {name: tensor.shape for name, tensor in MocoganMotion(config).state_dict().items()}
    shapes = {name: tensor.shape for name, tensor in found.items()}
    if wrong := sorted(name for name in need if need[name] != shapes.get(name)):
        raise CheckpointError(
            f"{where}: {wrong[0]} of its motion generator is {shapes.get(wrong[0])}, but {need[wrong[0]]} is needed. "
            "Fetch the file again."
        )
    return [ConvertedModel("mocogan", found, config, LAYOUT, LICENCE, (NOTE,))]


def _tensors(value: Any) -> dict[str, Tensor]:
    """By their names; all that is not known to belong to one is left out, such as principal directions."""
    inner = value.get("state_dict", value) if isinstance(value, Mapping) else None
    if not isinstance(inner, Mapping):
        return {}
    return {name: t for name, t in without_prefix(inner).items() if isinstance(t, Tensor) and name in _NAMES}

"""e4e and pSp files: an encoder, and the generator it was trained with, as the published trainers write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...errors import CheckpointError
from ...formats.pickle_values import Record
from ...inversion.encoder import Encoder, EncoderConfig
from ..converted_model import UNKNOWN_LICENCE, ConvertedModel
from .rosinality import read_generator, without_prefix

LAYOUT = {"Encoder4Editing": "e4e", "GradualStyleEncoder": "pSp"}
_COUNTER = "num_batches_tracked"


def matches(value: Any) -> bool:
    if not isinstance(value, Mapping) or not isinstance(value.get("state_dict"), Mapping):
        return False
    names = without_prefix(value["state_dict"])
    return any(str(name).startswith("encoder.styles.") for name in names)


def read(value: Mapping[str, Any], where: str) -> list[ConvertedModel]:
    """The encoder, and the generator where the file has one. Raises CheckpointError."""
    tensors = without_prefix(value["state_dict"])
    options = value.get("opts")
    options = options.state if isinstance(options, Record) else options
    options = options if isinstance(options, Mapping) else {}
    latent_avg = value.get("latent_avg", tensors.get("latent_avg"))
    converted = [_encoder(_below(tensors, "encoder."), options, latent_avg, where)]
    if decoder := _below(tensors, "decoder."):
        converted.append(read_generator(decoder, latent_avg, where))
    return converted


def _below(tensors: Mapping[str, Any], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix) and isinstance(tensor, Tensor) and not name.endswith(_COUNTER)
    }


def _encoder(tensors: dict[str, Tensor], options: Mapping[str, Any], latent_avg: Any, where: str) -> ConvertedModel:
    kind = options.get("encoder_type", "Encoder4Editing")
    if kind not in LAYOUT:
        raise CheckpointError(f"{where} holds an encoder of the type {kind!r}; {', '.join(LAYOUT)} are supported.")
    config = _config(tensors, kind, where)
    tensors = dict(tensors)
    notes: tuple[str, ...] = ()
    if not options.get("start_from_latent_avg", True):
        tensors["latent_avg"] = torch.zeros(config.num_ws, config.w_dim)
    elif isinstance(latent_avg, Tensor) and latent_avg.numel() in (config.w_dim, config.num_ws * config.w_dim):
        rows = latent_avg.float().reshape(-1, config.w_dim)
        tensors["latent_avg"] = rows.expand(config.num_ws, -1).contiguous()
    else:
        raise CheckpointError(
            f"{where} has no average face (latent_avg), which its codes are offsets from. Fetch the original file."
        )
    with torch.device("meta"):
        state = Encoder(config).state_dict()
    need = {name: tensor.shape for name, tensor in state.items() if not name.endswith(_COUNTER)}
    if wrong := sorted(name for name in need.keys() | tensors.keys() if need.get(name) != _shape(tensors.get(name))):
        raise CheckpointError(
            f"{where}: {len(wrong)} tensors are not those of a published {LAYOUT[kind]} encoder, such as {wrong[0]} "
            f"({_shape(tensors.get(wrong[0]))} found, {need.get(wrong[0])} needed). This variant is not supported."
        )
    return ConvertedModel("encoder", tensors, config, LAYOUT[kind], UNKNOWN_LICENCE, notes)


def _shape(tensor: Tensor | None) -> torch.Size | None:
    return None if tensor is None else tensor.shape


def _config(tensors: Mapping[str, Tensor], kind: str, where: str) -> EncoderConfig:
    rows = {int(match[1]) for name in tensors if (match := re.match(r"styles\.(\d{1,2})\.", name))}
    try:
        widths, units = [], []
        for index in range(100):
            weight = tensors.get(f"body.{index}.res_layer.1.weight")
            if weight is None:
                break
            out = int(weight.shape[0])
            first = index == 0 or f"body.{index}.shortcut_layer.0.weight" in tensors
            widths, units = (widths + [out], units + [1]) if first else (widths, [*units[:-1], units[-1] + 1])
        convs = sum(re.match(r"styles\.0\.convs\.\d+\.weight", name) is not None for name in tensors)
        return EncoderConfig(
            num_ws=len(rows),
            w_dim=int(tensors["styles.0.linear.weight"].shape[0]),
            input_size=16 * 2**convs,
            widths=tuple(widths),
            units=tuple(units),
            row0_shared=kind == "Encoder4Editing",
        )
    except (KeyError, IndexError, ValueError) as err:
        raise CheckpointError(f"{where}: its encoder is not a published one ({err}). Fetch the original file.") from err

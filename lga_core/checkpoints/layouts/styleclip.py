"""StyleCLIP's latent mappers, as its trainer writes them: the mapper, and the generator it was trained with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...baselines.styleclip.latent_mapper import LatentMapper, LatentMapperConfig
from ...errors import CheckpointError
from ...formats.pickle_values import Record
from ..converted_model import UNKNOWN_LICENCE, ConvertedModel
from .rosinality import read_generator, without_prefix

LAYOUT = "StyleCLIP mapper"
_LEVELS = {"course_mapping": "coarse", "medium_mapping": "medium", "fine_mapping": "fine", "mapping": "all"}
"""Networks by the names they have there."""
_NAME = re.compile(rf"mapper\.({'|'.join(_LEVELS)})\.mapping\.(\d{{1,2}})\.(weight|bias)")
_IN_STYLES = re.compile(r"mapper\.mapper_\d+\.")


def matches(value: Any) -> bool:
    names = [str(name) for name in _tensors(value)]
    return any(_NAME.fullmatch(name) or _IN_STYLES.match(name) for name in names)


def read(value: Mapping[str, Any], where: str) -> list[ConvertedModel]:
    """The mapper, and the generator where the file has one. Raises CheckpointError."""
    tensors = _tensors(value)
    if any(_IN_STYLES.match(name) for name in tensors):
        raise CheckpointError(
            f"{where} holds a StyleCLIP mapper in StyleSpace, which is not supported. Use one of W+ (LevelsMapper or "
            "SingleMapper)."
        )
    decoder = {name.removeprefix("decoder."): t for name, t in tensors.items() if name.startswith("decoder.")}
    converted = [_mapper(tensors, _sentence(value), where)]
    return [*converted, read_generator(decoder, value.get("latent_avg"), where)] if decoder else converted


def _tensors(value: Any) -> dict[str, Tensor]:
    inner = value.get("state_dict") if isinstance(value, Mapping) else None
    if not isinstance(inner, Mapping):
        return {}
    return {name: tensor for name, tensor in without_prefix(inner).items() if isinstance(tensor, Tensor)}


def _sentence(value: Mapping[str, Any]) -> str | None:
    """What the mapper was trained to do, in words, where the file says it."""
    options = value.get("opts")
    options = options.state if isinstance(options, Record) else options
    said = options.get("description") if isinstance(options, Mapping) else None
    return said if isinstance(said, str) else None


def _mapper(tensors: Mapping[str, Tensor], sentence: str | None, where: str) -> ConvertedModel:
    found = {_own_name(match): tensors[match.string] for name in tensors if (match := _NAME.fullmatch(name))}
    levels = tuple(level for level in _LEVELS.values() if any(name.startswith(f"{level}.") for name in found))
    try:
        w_dim = found[f"{levels[0]}.0.weight"].shape[0]
        num_layers = sum(name.startswith(f"{levels[0]}.") for name in found) // 2
        config = LatentMapperConfig(int(w_dim), levels, num_layers)
    except (KeyError, IndexError, ValueError) as err:
        raise CheckpointError(f"{where}: its mapper is not a published one ({err}). Fetch the file again.") from err
    with torch.device("meta"):
        need = {name: tensor.shape for name, tensor in LatentMapper(config).state_dict().items()}
    shapes = {name: tensor.shape for name, tensor in found.items()}
    if wrong := sorted(name for name in need.keys() | shapes.keys() if need.get(name) != shapes.get(name)):
        raise CheckpointError(
            f"{where}: {wrong[0]} of its mapper is {shapes.get(wrong[0])}, but {need.get(wrong[0])} is needed. It is "
            "of another variant."
        )
    metadata = {} if sentence is None else {"sentence": sentence}
    return ConvertedModel("latent_mapper", found, config, LAYOUT, UNKNOWN_LICENCE, metadata=metadata)


def _own_name(match: re.Match[str]) -> str:
    return f"{_LEVELS[match[1]]}.{int(match[2]) - 1}.{match[3]}"  # their index 0 is the normalisation

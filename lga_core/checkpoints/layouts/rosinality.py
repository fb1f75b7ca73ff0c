"""Names of a StyleGAN2 generator in the community's PyTorch layout (rosinality, `g_ema`), and ours.

The mathematics and the orientation of the kernels are the same; only names and axes of size one differ. Converted files
keep the average face beside `g_ema`, at the top of the file; it goes by `latent_avg` here too.
FIR kernels (`*.kernel`) are constants and have no counterpart.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...errors import CheckpointError
from ...stylegan2.generator import Generator, GeneratorConfig
from ..converted_model import UNKNOWN_LICENCE, ConvertedModel, channel_numbers, converted_generator


class ForeignTensor(NamedTuple):
    """A tensor's name and shape there, and its shape here: the same numbers in the same order."""

    name: str
    shape: tuple[int, ...]
    own_shape: tuple[int, ...]


Axes = tuple[object, ...]  # the axes of the community's tensor: `...` stands for the axes of ours

# Within a layer: ours -> theirs.
_TO_RGB: dict[str, tuple[str, Axes]] = {
    "weight": ("conv.weight", (1, ...)),
    "affine.weight": ("conv.modulation.weight", (...,)),
    "affine.bias": ("conv.modulation.bias", (...,)),
    "bias": ("bias", (1, ..., 1, 1)),
}
_STYLED: dict[str, tuple[str, Axes]] = {
    **_TO_RGB,
    "bias": ("activate.bias", (...,)),
    "noise_strength": ("noise.weight", (1, ...)),
}


def layout(config: GeneratorConfig) -> dict[str, ForeignTensor]:
    """Every tensor of a generator: our name -> the community name and shape.

    Block r = 8 * 2^j of ours is convs.{2j}, convs.{2j+1} and to_rgbs.{j} of theirs; the 4x4 block has its own names.
    """
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in Generator(config).state_dict().items()}
    rows: dict[str, tuple[str, Axes]] = {
        "mapping.w_avg": ("latent_avg", (...,)),
        "synthesis.b4.const": ("input.input", (1, ...)),
    }
    for i in range(config.mapping_layers):  # style.0 of theirs is the normalisation
        for end in ("weight", "bias"):
            rows[f"mapping.fc{i}.{end}"] = (f"style.{i + 1}.{end}", (...,))
    for i, (ours, theirs) in enumerate(_convolutions(config)):
        rows.update({f"synthesis.{ours}.{a}": (f"{theirs}.{b}", axes) for a, (b, axes) in _STYLED.items()})
        rows[f"synthesis.{ours}.noise_const"] = (f"noises.noise_{i}", (1, 1, ...))
    for j, resolution in enumerate(config.block_resolutions):
        theirs = f"to_rgbs.{j - 1}" if j else "to_rgb1"
        rows.update({f"synthesis.b{resolution}.torgb.{a}": (f"{theirs}.{b}", axes) for a, (b, axes) in _TO_RGB.items()})
    return {ours: ForeignTensor(name, _with(axes, shapes[ours]), shapes[ours]) for ours, (name, axes) in rows.items()}


def _convolutions(config: GeneratorConfig) -> list[tuple[str, str]]:
    """The 3x3 layers in the order they run: (ours, theirs)."""
    pairs = [("b4.conv1", "conv1")]
    for j, resolution in enumerate(config.block_resolutions[1:]):
        pairs += [(f"b{resolution}.conv0", f"convs.{2 * j}"), (f"b{resolution}.conv1", f"convs.{2 * j + 1}")]
    return pairs


def _with(axes: Axes, own: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for axis in axes for size in (own if axis is ... else (1,)))


LAYOUT = "rosinality PyTorch"
_MARKS = ("style.1.weight", "input.input", "conv1.conv.weight", "to_rgb1.conv.weight")


def without_prefix(tensors: Mapping[str, Any], prefix: str = "module.") -> dict[str, Any]:
    """What has a name, without the prefix that data-parallel training puts before the names, where all have it."""
    named = {name: tensor for name, tensor in tensors.items() if isinstance(name, str)}
    if named and all(name.startswith(prefix) for name in named):
        return {name.removeprefix(prefix): tensor for name, tensor in named.items()}
    return named


def matches(value: Any) -> bool:
    """Whether a file's content is a generator of this layout: under `g_ema`, or by itself."""
    return isinstance(value, Mapping) and any(_is_generator(part) for part in (value.get("g_ema"), value))


def _is_generator(value: Any) -> bool:
    return isinstance(value, Mapping) and all(name in without_prefix(value) for name in _MARKS)


def read(value: Mapping[str, Any], where: str) -> list[ConvertedModel]:
    """The averaged generator. Raises CheckpointError."""
    inner = value["g_ema"] if _is_generator(value.get("g_ema")) else value
    return [read_generator(without_prefix(inner), value.get("latent_avg"), where)]


def read_generator(tensors: Mapping[str, Any], latent_avg: Any, where: str) -> ConvertedModel:
    """A generator from its tensors under the community's names, and its average face where the file has one.

    `latent_avg` is [w_dim], or [num_ws w_dim] with the same row repeated.
    """
    found = {name: tensor for name, tensor in tensors.items() if isinstance(tensor, Tensor)}
    if isinstance(latent_avg, Tensor) and latent_avg.ndim:
        found["latent_avg"] = (
            latent_avg.float().reshape(-1, latent_avg.shape[-1])[0] if latent_avg.numel() else latent_avg
        )
    config = _config_of(found, where)
    table = layout(config)
    ours: dict[str, Tensor] = {}
    for name, (theirs, shape, own_shape) in table.items():
        if theirs in found:
            if tuple(found[theirs].shape) != shape:
                raise CheckpointError(
                    f"{where}: {theirs} has shape {list(found[theirs].shape)}, but {list(shape)} is needed."
                )
            ours[name] = found[theirs].reshape(own_shape)
    known = {theirs for theirs, _, _ in table.values()}
    _check_kernels(found, where)
    if extra := sorted(name for name in found.keys() - known if not name.endswith(".kernel")):
        raise CheckpointError(
            f"{where} holds {len(extra)} tensors that this layout does not have, for example {extra[0]}. "
            "This variant is not supported."
        )
    return converted_generator(config, ours, LAYOUT, UNKNOWN_LICENCE, where)


def _config_of(tensors: Mapping[str, Tensor], where: str) -> GeneratorConfig:
    convs = {int(match[1]) for name in tensors if (match := re.fullmatch(r"convs\.(\d{1,2})\.conv\.weight", name))}
    layers = {int(match[1]) for name in tensors if (match := re.fullmatch(r"style\.(\d{1,2})\.weight", name))}
    try:
        channels = {4: tensors["conv1.conv.weight"].shape[1]}
        channels |= {8 * 2**j: tensors[f"convs.{2 * j + 1}.conv.weight"].shape[1] for j in range(len(convs) // 2)}
        base, most = channel_numbers(channels, where)
        return GeneratorConfig(
            resolution=max(channels),
            z_dim=int(tensors["style.1.weight"].shape[1]),
            w_dim=int(tensors["conv1.conv.modulation.weight"].shape[1]),
            img_channels=int(tensors["to_rgb1.conv.weight"].shape[1]),
            channel_base=base,
            channel_max=most,
            mapping_layers=len(layers),
        )
    except (KeyError, IndexError, ValueError) as err:
        raise CheckpointError(f"{where}: its generator lacks {err}. Fetch the file again.") from err


def _check_kernels(tensors: Mapping[str, Tensor], where: str) -> None:
    """FIR kernels are [1, 3, 3, 1], with the gain of upsampling."""
    filter_1d = torch.tensor([1.0, 3.0, 3.0, 1.0])
    need = torch.outer(filter_1d, filter_1d) / 16
    for name, kernel in tensors.items():
        if name.endswith(".kernel") and not (
            kernel.shape == need.shape and torch.allclose(kernel.float(), need, atol=1e-5)
        ):
            raise CheckpointError(f"{where}: {name} is not the filter [1, 3, 3, 1]; other filters are not supported.")

"""Names of a StyleGAN2 generator in the community's PyTorch layout (rosinality, `g_ema`), and ours.

The mathematics and the orientation of the kernels are the same; only names and axes of size one differ. Converted files
keep the average face beside `g_ema`, at the top of the file; it goes by `latent_avg` here too.
FIR kernels (`*.kernel`) are constants and have no counterpart.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import CheckpointError
from ..stylegan2 import Generator, GeneratorConfig


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


def generator_config(size: int, style_dim: int, n_mlp: int, channel_multiplier: int, lr_mlp: float) -> GeneratorConfig:
    """Our configuration for the arguments of a community generator. `channel_multiplier` is 1 or 2 (config F)."""
    if channel_multiplier not in (1, 2):
        raise CheckpointError(
            f"The generator has channel_multiplier {channel_multiplier!r}; only 1 and 2 are supported. "
            "Convert it with the tool it was trained with, or choose another generator."
        )
    return GeneratorConfig(
        resolution=size,
        z_dim=style_dim,
        w_dim=style_dim,
        channel_base=16384 * channel_multiplier,
        mapping_layers=n_mlp,
        mapping_lr_mul=lr_mlp,
    )


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


def to_canonical(tensors: Mapping[str, Tensor], config: GeneratorConfig, where: str) -> dict[str, Tensor]:
    """Tensors in the community layout (with `latent_avg` among them) -> a Generator's state dict.

    Raises CheckpointError, beginning with `where`, for a missing or misshaped tensor.
    """
    state = {}
    for ours, (name, shape, own_shape) in layout(config).items():
        if name not in tensors:
            raise CheckpointError(f"{where} lacks the tensor {name}, which a {config.resolution} px generator has.")
        if tuple(tensors[name].shape) != shape:
            raise CheckpointError(
                f"{where}: {name} has shape {list(tensors[name].shape)}, but this generator needs {list(shape)}. "
                "Check the resolution and the channel multiplier it is read with."
            )
        state[ours] = tensors[name].reshape(own_shape)
    return state

"""StyleGAN2 in NVIDIA's TensorFlow layout: the pickles of stylegan2 and stylegan2-ada.

A file holds three networks (G, D, Gs); Gs, the averaged generator, is read. Kernels are [h w in out], their
up-convolutions are flipped, linear layers are [in out], and modulation biases are stored without their one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from ...errors import CheckpointError
from ...formats.pickle_values import Record
from ...stylegan2.generator import GeneratorConfig
from ..converted_model import NVIDIA_LICENCE, ConvertedModel, channel_numbers, converted_generator

LAYOUT = "NVIDIA TensorFlow"
VERSIONS = (2, 3, 4)
IGNORED = (
    *("truncation_psi", "truncation_cutoff", "truncation_psi_val", "truncation_cutoff_val", "dlatent_avg_beta"),
    *("style_mixing_prob", "structure", "conditioning", "fused_modconv", "is_training", "is_validation"),
    *("return_dlatents", "randomize_noise", "mapping_func", "synthesis_func", "func_name", "dtype", "num_fp16_res"),
    *("fmap_decay", "fmap_min", "fmap_base", "fmap_max", "mapping_fmaps", "normalize_latents", "is_template_graph"),
    *("resolution", "num_channels", "latent_size", "dlatent_size", "label_size", "mapping_layers", "fmap_const"),
    *("dlatent_broadcast", "force_clean_graph", "components", "use_wscale", "normalize_embedding"),
)
"""Arguments that change nothing here, or that the tensors' shapes say better."""
NEEDED = {
    "resample_kernel": [1, 3, 3, 1],
    "use_noise": True,
    "nonlinearity": "lrelu",
    "act": "lrelu",
    "mapping_nonlinearity": "lrelu",
}
"""Arguments that must have these values, where a file gives them."""


def is_network(value: Any) -> bool:
    return isinstance(value, Record) and value.module.startswith("dnnlib.tflib") and value.name == "Network"


def matches(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 3 and all(map(is_network, value))


def read(value: Any, where: str) -> list[ConvertedModel]:
    """The averaged generator. Raises CheckpointError."""
    network = _state(value[2], where)
    if network.get("version") not in VERSIONS:
        raise CheckpointError(
            f"{where} is of network version {network.get('version')!r}; {VERSIONS} are known. Fetch the original file."
        )
    components = network.get("components")
    parts = {} if not isinstance(components, Mapping) else components
    if not {"mapping", "synthesis"} <= parts.keys():
        raise CheckpointError(
            f"{where}: its third network has no mapping and synthesis: it is not a StyleGAN2 generator."
        )
    mapping, synthesis = (_variables(_state(parts[name], where), where) for name in ("mapping", "synthesis"))
    if any("StyleMod" in name for name in synthesis):
        raise CheckpointError(
            f"{where} is a StyleGAN (the first) generator. Only StyleGAN2 is supported: use a stylegan2 file."
        )
    kwargs = {
        **_kwargs(_state(parts["mapping"], where)),
        **_kwargs(_state(parts["synthesis"], where)),
        **_kwargs(network),
    }
    for part in (network, *(_state(parts[name], where) for name in ("mapping", "synthesis"))):
        _check_kwargs(_kwargs(part), where)
    tensors = _translated(mapping, synthesis, _variables(network, where), where)
    config = _config(tensors, kwargs, where)
    return [converted_generator(config, tensors, LAYOUT, NVIDIA_LICENCE, where)]


def _state(record: Any, where: str) -> Mapping[str, Any]:
    if not is_network(record) or not isinstance(record.state, Mapping):
        raise CheckpointError(f"{where}: a part of it is not a network. The file is damaged: fetch it again.")
    return record.state


def _kwargs(state: Mapping[str, Any]) -> Mapping[str, Any]:
    kwargs = state.get("static_kwargs")
    return kwargs if isinstance(kwargs, Mapping) else {}


def _variables(state: Mapping[str, Any], where: str) -> dict[str, Tensor]:
    variables = state.get("variables")
    pairs = variables if isinstance(variables, (list, tuple)) else ()
    found = {}
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not isinstance(pair[0], str):
            raise CheckpointError(f"{where}: its list of variables is broken. Fetch the file again.")
        if isinstance(pair[1], Tensor):
            found[pair[0]] = pair[1]
    return found


def _check_kwargs(kwargs: Mapping[str, Any], where: str) -> None:
    for name, value in kwargs.items():
        if name in NEEDED:
            if not _same(value, NEEDED[name]):
                raise CheckpointError(
                    f"{where} was trained with {name} = {value!r}; only {NEEDED[name]!r} is supported."
                )
        elif name not in IGNORED and name not in ("architecture", "conv_clamp", "mapping_lrmul"):
            raise CheckpointError(
                f"{where} was trained with the argument {name} = {value!r}, which is unknown: the file comes from "
                "a fork and might be drawn wrongly."
            )


def _same(value: Any, need: Any) -> bool:
    if isinstance(need, list):
        return isinstance(value, (list, tuple)) and list(value) == need
    return type(value) is type(need) and value == need


_Transform = Callable[[Tensor], Tensor]
_LINEAR: dict[str, tuple[str, _Transform]] = {"weight": ("weight", lambda x: x.T), "bias": ("bias", lambda x: x)}
_MODULATION: dict[str, tuple[str, _Transform]] = {
    "mod_weight": ("affine.weight", lambda x: x.T),
    "mod_bias": ("affine.bias", lambda x: x + 1),
    "bias": ("bias", lambda x: x),
    "noise_strength": ("noise_strength", lambda x: x.reshape(())),
}


def _kernel(x: Tensor) -> Tensor:
    return x.permute(3, 2, 0, 1)


def _flipped(x: Tensor) -> Tensor:
    return _kernel(x.flip(0, 1))


def _translated(
    mapping: Mapping[str, Tensor], synthesis: Mapping[str, Tensor], parent: Mapping[str, Tensor], where: str
) -> dict[str, Tensor]:
    """All tensors under our names. Names without a counterpart are refused, so that nothing is left out in silence."""
    found: dict[str, Tensor] = {}
    try:
        if "dlatent_avg" in parent:
            found["mapping.w_avg"] = parent["dlatent_avg"].reshape(-1)
        for name, tensor in mapping.items():
            layer, _, leaf = name.partition("/")
            ours = "embed" if layer == "LabelEmbed" else f"fc{_number('Dense', layer)}"
            own, transform = _LINEAR[leaf]
            found[f"mapping.{ours}.{own}"] = transform(tensor)
        resolution = max(_number("", name.split("x")[0]) for name in synthesis if re.match("[0-9]", name))
        for name, tensor in synthesis.items():
            ours, transform = _synthesis_name(name, resolution)
            if ours:
                found[f"synthesis.{ours}"] = transform(tensor)
    except (KeyError, ValueError, IndexError, RuntimeError) as err:
        raise CheckpointError(f"{where}: a variable is not one of a StyleGAN2 ({err}). It is not supported.") from err
    return {name: tensor.float().contiguous() for name, tensor in found.items()}


def _number(prefix: str, text: str) -> int:
    """What follows `prefix`, a number of at most four digits. ValueError if it is none."""
    match = re.fullmatch(f"{prefix}([0-9]{{1,4}})", text)
    if match is None:
        raise ValueError(f"{text[:40]!r} does not end in a number")
    return int(match[1])


def _synthesis_name(name: str, resolution: int) -> tuple[str, _Transform]:
    """Our name below `synthesis.` and what to do with the tensor; an empty name for what has no use."""
    if name == "lod":
        return "", lambda x: x
    if name.startswith("noise"):
        index = _number("noise", name)  # noise0 is the 4x4 block's, then two to a block
        block = 4 if index == 0 else 2 ** (min(index + 1, 64) // 2 + 2)
        return f"b{block}.{'conv0' if index % 2 else 'conv1'}.noise_const", lambda x: x[0, 0]
    scope, _, rest = name.partition("/")
    if scope.startswith("ToRGB_lod"):
        block, layer, leaf = resolution // 2 ** min(_number("ToRGB_lod", scope), 16), "ToRGB", rest
    else:
        block = _number("", scope.split("x")[0])
        layer, _, leaf = rest.partition("/")
    if layer == "Const":
        return f"b{block}.const", lambda x: x[0]
    ours = {"Conv": "conv1", "Conv1": "conv1", "Conv0_up": "conv0", "ToRGB": "torgb", "Skip": "skip"}[layer]
    if leaf == "weight":
        return f"b{block}.{ours}.weight", _flipped if layer in ("Conv0_up", "Skip") else _kernel
    own, transform = _MODULATION[leaf]
    return f"b{block}.{ours}.{own}", transform


def _config(tensors: Mapping[str, Tensor], kwargs: Mapping[str, Any], where: str) -> GeneratorConfig:
    blocks = [int(name.split(".")[1][1:]) for name in tensors if name.endswith(".conv1.weight")]
    try:
        resolution = max(blocks)
        base, most = channel_numbers({r: tensors[f"synthesis.b{r}.conv1.weight"].shape[0] for r in blocks}, where)
        layers = sum(name.startswith("mapping.fc") and name.endswith(".weight") for name in tensors)
        c_dim = int(tensors["mapping.embed.weight"].shape[1]) if "mapping.embed.weight" in tensors else 0
        w_dim = int(tensors["synthesis.b4.conv1.affine.weight"].shape[1])
        return GeneratorConfig(
            resolution=resolution,
            z_dim=int(tensors["mapping.fc0.weight"].shape[1]) - (w_dim if c_dim else 0),
            w_dim=w_dim,
            c_dim=c_dim,
            img_channels=int(tensors[f"synthesis.b{resolution}.torgb.weight"].shape[0]),
            channel_base=base,
            channel_max=most,
            mapping_layers=layers,
            mapping_lr_mul=float(kwargs.get("mapping_lrmul", 0.01)),
            conv_clamp=kwargs.get("conv_clamp"),
            architecture=kwargs.get("architecture", "skip"),
        )
    except (KeyError, IndexError, TypeError, ValueError, OverflowError) as err:
        raise CheckpointError(f"{where}: its configuration is invalid ({err}). It is not supported.") from err

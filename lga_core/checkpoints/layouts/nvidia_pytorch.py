"""StyleGAN2 in NVIDIA's PyTorch layout: pickles of stylegan2-ada-pytorch and the stylegan3 repository, and PTI's.

Tensors have our names already, because ours are theirs. What has to be read besides is the configuration, which the
modules carry as plain attributes; numbers that a fork may have changed are compared with what our code computes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ...errors import CheckpointError
from ...formats.pickle_values import Record
from ...stylegan2.generator import GeneratorConfig
from ..converted_model import NVIDIA_LICENCE, ConvertedModel, channel_numbers, converted_generator

LAYOUT = "NVIDIA PyTorch"
MAX_DEPTH = 16
FILTER = torch.tensor([1.0, 3.0, 3.0, 1.0])


def is_module(value: Any) -> bool:
    """Whether this is a torch module, as an inert record."""
    return isinstance(value, Record) and isinstance(value.state, Mapping) and "_modules" in value.state


def matches(value: Any) -> bool:
    """Whether a file's content is a generator of this layout, alone (PTI) or among others."""
    return is_module(value) or (isinstance(value, Mapping) and is_module(value.get("G_ema")))


def read(value: Any, where: str) -> list[ConvertedModel]:
    """The generator, G_ema where there are several. Raises CheckpointError."""
    root = value if is_module(value) else value["G_ema"]
    modules = dict(_modules(root, where))
    _check_is_stylegan2(modules, where)
    tensors = dict(_tensors(modules))
    config = _config(modules, tensors, where)
    _check_filters(tensors, where)
    _check_numbers(modules, config, where)
    found = {name: tensor for name, tensor in tensors.items() if not name.endswith("resample_filter")}
    found |= _silent_noise(modules, config)
    return [converted_generator(config, found, LAYOUT, NVIDIA_LICENCE, where)]


def _modules(record: Record, where: str, name: str = "", depth: int = 0) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every module's attributes under its dotted name, the root's under the empty one."""
    if depth > MAX_DEPTH or not is_module(record):
        raise CheckpointError(f"{where}: {name or 'its root'} is not a module of a network. {_BROKEN}")
    yield name, record.state
    children = record.state["_modules"]
    if not isinstance(children, Mapping):
        raise CheckpointError(f"{where}: the parts of {name or 'its root'} are not a table. {_BROKEN}")
    for child, part in children.items():
        if part is not None:
            yield from _modules(part, where, f"{name}.{child}" if name else str(child), depth + 1)


_BROKEN = "The file is damaged, or of a variant that is not supported."


def _tensors(modules: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Tensor]]:
    for name, state in modules.items():
        for table in ("_parameters", "_buffers"):
            entries = state.get(table)
            for own, tensor in entries.items() if isinstance(entries, Mapping) else ():
                if isinstance(tensor, Tensor):
                    yield (f"{name}.{own}" if name else str(own)), tensor


def _check_is_stylegan2(modules: Mapping[str, Mapping[str, Any]], where: str) -> None:
    if "synthesis.input" in modules or any(name.startswith("synthesis.L0_") for name in modules):
        raise CheckpointError(
            f"{where} is a StyleGAN3 generator. Only StyleGAN2 is supported: use one of the stylegan2 configurations."
        )
    if "synthesis.b4" not in modules or "mapping" not in modules:
        raise CheckpointError(
            f"{where} holds a network without mapping and synthesis.b4: it is not a StyleGAN2 generator. "
            "Choose a generator's file (a discriminator or a metric network cannot draw)."
        )


def _config(modules: Mapping[str, Mapping[str, Any]], tensors: Mapping[str, Tensor], where: str) -> GeneratorConfig:
    blocks = sorted(int(name[len("synthesis.b") :]) for name in modules if _is_block(name))
    resolution, mapping, layer = blocks[-1], modules["mapping"], modules.get("synthesis.b4.conv1", {})
    try:
        channels = {r: tensors[f"synthesis.b{r}.conv1.weight"].shape[0] for r in blocks}
        base, most = channel_numbers(channels, where)
        architecture = modules[f"synthesis.b{resolution}"].get("architecture", "skip")
        layers = sum(name.startswith("mapping.fc") for name in modules)
        last = tensors[f"synthesis.b{resolution}.torgb.weight"]
        fc0 = modules["mapping.fc0"]
        return GeneratorConfig(
            resolution=resolution,
            z_dim=int(mapping.get("z_dim", tensors["mapping.fc0.weight"].shape[1])),
            w_dim=int(tensors["synthesis.b4.conv1.affine.weight"].shape[1]),
            c_dim=int(tensors["mapping.embed.weight"].shape[1]) if "mapping.embed.weight" in tensors else 0,
            img_channels=int(last.shape[0]),
            channel_base=base,
            channel_max=most,
            mapping_layers=layers,
            mapping_lr_mul=float(fc0.get("bias_gain", 0.01)),
            conv_clamp=layer.get("conv_clamp"),
            architecture=architecture,
        )
    except (KeyError, IndexError, TypeError, ValueError, OverflowError) as err:
        raise CheckpointError(f"{where}: its configuration is invalid ({err}). {_BROKEN}") from err


def _is_block(name: str) -> bool:
    return re.fullmatch(r"synthesis\.b[0-9]{1,4}", name) is not None


def _check_filters(tensors: Mapping[str, Tensor], where: str) -> None:
    need = torch.outer(FILTER, FILTER) / 64
    for name, tensor in tensors.items():
        if name.endswith("resample_filter") and not (
            tensor.shape == need.shape and torch.allclose(tensor.float(), need, atol=1e-5)
        ):
            raise CheckpointError(
                f"{where}: {name} is not the filter [1, 3, 3, 1]. Generators that were trained with another "
                "filter are not supported: they would be drawn wrongly."
            )


def _check_numbers(modules: Mapping[str, Mapping[str, Any]], config: GeneratorConfig, where: str) -> None:
    """Gains, clamps and activations that stand in the file are those that our layers use."""
    for name, state in modules.items():
        for attribute, need in _expected(name, state, config).items():
            found = state.get(attribute, need)
            same = math.isclose(found, need, rel_tol=1e-4) if _both_numbers(found, need) else found == need
            if not same:
                raise CheckpointError(
                    f"{where}: {name}.{attribute} is {found!r}, but a StyleGAN2 of this configuration has {need!r}. It "
                    "comes from a fork that changed this value and is not supported: it would be drawn wrongly."
                )


def _both_numbers(*values: Any) -> bool:
    return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)


def _expected(name: str, state: Mapping[str, Any], config: GeneratorConfig) -> dict[str, Any]:
    parameters = state.get("_parameters")
    weight = parameters.get("weight") if isinstance(parameters, Mapping) else None
    if not isinstance(weight, Tensor) or weight.ndim not in (2, 4):
        return {}
    fan_in = weight[0].numel()
    lr_mul = config.mapping_lr_mul if name.startswith("mapping.fc") else 1.0
    if name.endswith(".affine") or name == "mapping.embed":
        return {"activation": "linear", "weight_gain": 1 / math.sqrt(fan_in), "bias_gain": 1.0}
    if weight.ndim == 2:
        return {"activation": "lrelu", "weight_gain": lr_mul / math.sqrt(fan_in), "bias_gain": lr_mul}
    gain = {"weight_gain": 1 / math.sqrt(fan_in)}
    if name.endswith(".torgb"):
        return {**gain, "conv_clamp": config.conv_clamp}
    if name.endswith(".skip"):
        return {**gain, "activation": "linear"}
    up = 2 if name.endswith(".conv0") else 1
    return {**gain, "activation": "lrelu", "act_gain": math.sqrt(2), "conv_clamp": config.conv_clamp, "up": up}


def _silent_noise(modules: Mapping[str, Mapping[str, Any]], config: GeneratorConfig) -> dict[str, Tensor]:
    """Layers that were trained without noise: strength and map of zero."""
    silent = {}
    for name, state in modules.items():
        if state.get("use_noise") is False and _is_block(name.rpartition(".")[0]):
            resolution = int(name.rpartition(".")[0][len("synthesis.b") :])
            silent[f"{name}.noise_strength"] = torch.zeros(())
            silent[f"{name}.noise_const"] = torch.zeros(min(resolution, config.resolution), resolution)
    return silent

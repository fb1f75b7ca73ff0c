"""Files in the layout of NVIDIA's TensorFlow code: a tuple (G, D, Gs) of networks whose variables are numpy arrays."""

import copyreg
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from foreign_files.writers_pickle import NumpyCore, foreign, write_pickle

from lga_core import Generator, GeneratorConfig

Variables = dict[str, np.ndarray]

BUILD_MODULE_SRC = "# In place of the source text that such a file carries: no reader needs it.\n" * 400


@foreign("dnnlib.tflib.network", "Network")
class Network:
    """A stand-in that pickles as NEWOBJ and BUILD with its state."""

    def __init__(self, name: str, variables: Variables, **state: Any):
        self.state = {"version": 4, "name": name, "static_kwargs": {}, "components": {}}
        self.state |= {"build_module_src": BUILD_MODULE_SRC, "build_func_name": name}
        self.state |= {"variables": list(variables.items()), **state}

    def __reduce_ex__(self, protocol):
        return copyreg.__newobj__, (Network,), self.state


def tensorflow_variables(generator: Generator, lods: bool = False) -> tuple[Variables, Variables, Variables]:
    """The variables of the parent, the mapping and the synthesis network, by their names there.

    `lods`: call the to-RGB layers ToRGB_lod{k} at the top, as the `orig` architecture does.
    """
    config, state = generator.config, generator.state_dict()
    parent, mapping, synthesis = {}, {}, {}
    for name, tensor in state.items():
        array = tensor.detach().numpy()
        if name == "mapping.w_avg":
            parent["dlatent_avg"] = array
        elif name.startswith("mapping."):
            _, layer, end = name.split(".")
            layer = layer.replace("fc", "Dense") if layer != "embed" else "LabelEmbed"
            mapping[f"{layer}/{end}"] = array.T
        else:
            found, value = _synthesis_variable(config, name.removeprefix("synthesis."), array, lods)
            synthesis[found] = value
    return tuple({key: _stored(value) for key, value in part.items()} for part in (parent, mapping, synthesis))


def _stored(array: np.ndarray) -> np.ndarray:
    """As a session returns them: float32 in row-major order."""
    return np.array(array, dtype=np.float32, order="C")


def _synthesis_variable(config: GeneratorConfig, name: str, array: np.ndarray, lods: bool) -> tuple[str, np.ndarray]:
    match = re.fullmatch(r"b(\d+)\.(?:(const)|(conv0|conv1|torgb|skip)\.(.+))", name)
    assert match is not None, name
    resolution, layer, end = int(match[1]), match[3], match[4]
    scope = f"{resolution}x{resolution}"
    if match[2]:
        return f"{scope}/Const/const", array[None]
    if end == "noise_const":
        number = 2 * (resolution.bit_length() - 1) - (5 if layer == "conv0" else 4)
        return f"noise{number}", array[None, None]  # 4x4 has noise0 alone
    own = {"conv0": "Conv0_up", "conv1": "Conv" if resolution == 4 else "Conv1", "torgb": "ToRGB", "skip": "Skip"}
    place = f"{scope}/{own[layer]}"
    if lods and layer == "torgb":
        place = f"ToRGB_lod{(config.resolution // resolution).bit_length() - 1}"
    if end == "affine.weight":
        return f"{place}/mod_weight", array.T
    if end == "affine.bias":
        return f"{place}/mod_bias", array - np.float32(1)
    if end == "weight":
        array = array.transpose(2, 3, 1, 0)  # [o i kh kw] -> [kh kw i o]
        return f"{place}/weight", array[::-1, ::-1] if layer in ("conv0", "skip") else array
    return f"{place}/{end}", array


def static_kwargs(config: GeneratorConfig, num_fp16_res: int = 0, omit_defaults: bool = False) -> dict[str, Any]:
    """What such a network was made with, the settings that a reader ignores included. Odd channel bases have none."""
    needed = {
        "latent_size": (config.z_dim, 512),
        "label_size": (config.c_dim, 0),
        "dlatent_size": (config.w_dim, 512),
        "resolution": (config.resolution, None),
        "num_channels": (config.img_channels, None),
        "mapping_layers": (config.mapping_layers, 8),
        "mapping_fmaps": (config.w_dim, 512),
        "mapping_lrmul": (config.mapping_lr_mul, 0.01),
        "fmap_base": (config.channel_base // 2, 16384),
        "fmap_max": (config.channel_max, 512),
        "num_fp16_res": (num_fp16_res, 0),
        "conv_clamp": (config.conv_clamp, None),
        "architecture": (config.architecture, "skip"),
    }
    assert config.channel_base % 2 == 0, "fmap_base is half of channel_base"
    kwargs = {key: value for key, (value, default) in needed.items() if not omit_defaults or value != default}
    if omit_defaults:
        return kwargs
    kwargs |= {"resample_kernel": [1, 3, 3, 1], "use_noise": True, "nonlinearity": "lrelu"}
    kwargs |= {"truncation_psi": 0.5, "truncation_cutoff": None, "style_mixing_prob": 0.9, "fused_modconv": True}
    return {**kwargs, "structure": "auto", "conditioning": None}


def _generator(name: str, generator: Generator, kwargs: Mapping[str, Any], version: int, lods: bool) -> Network:
    parent, mapping, synthesis = tensorflow_variables(generator, lods)
    same = {"version": version, "static_kwargs": dict(kwargs)}
    components = {
        "synthesis": Network("G_synthesis", synthesis, **same, build_func_name="G_synthesis_stylegan2"),
        "mapping": Network("G_mapping", mapping, **same, build_func_name="G_mapping"),
    }
    return Network(name, parent, **same, components=components, build_func_name="G_main")


def write_tensorflow(
    path: Path,
    generator: Generator,
    *,
    protocol: int = 4,
    numpy_core: NumpyCore = "numpy.core",
    version: int = 4,
    lods: bool | None = None,
    num_fp16_res: int = 0,
    omit_defaults: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> Path:
    """A network pickle with `generator` as its Gs. Its G has other weights, its D only one layer.

    Args:
        version: the networks' own format number.
        lods: whether to-RGB layers are called ToRGB_lod{k}; None: in the `orig` architecture.
        omit_defaults: static_kwargs without what is the default.
        overrides: entries of static_kwargs to add or replace, to make a fork's file.
    """
    config = generator.config
    kwargs = {**static_kwargs(config, num_fp16_res, omit_defaults), **(overrides or {})}
    lods = config.architecture == "orig" if lods is None else lods
    networks = (
        _generator("G", Generator(config, seed=4321), kwargs, version, lods),
        _discriminator(config, version),
        _generator("Gs", generator, kwargs, version, lods),
    )
    return write_pickle(path, networks, protocol, numpy_core)


def _discriminator(config: GeneratorConfig, version: int = 4) -> Network:
    variables = {"4x4/Dense0/weight": np.zeros((16, 8), np.float32), "Output/bias": np.zeros(1, np.float32)}
    kwargs = {"resolution": config.resolution, "num_channels": config.img_channels, "label_size": config.c_dim}
    return Network("D", variables, version=version, static_kwargs=kwargs, build_func_name="D_stylegan2")


def write_stylegan1(path: Path, *, protocol: int = 4) -> Path:
    """A StyleGAN1 pickle: the same tuple, with that model's names."""

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.float32)

    synthesis = {"noise0": zeros(1, 1, 4, 4), "noise1": zeros(1, 1, 4, 4), "lod": zeros()}
    synthesis |= {"4x4/Const/const": zeros(1, 8, 4, 4), "4x4/Const/Noise/weight": zeros(8), "4x4/Const/bias": zeros(8)}
    synthesis |= {"4x4/Const/StyleMod/weight": zeros(8, 16), "4x4/Const/StyleMod/bias": zeros(16)}
    synthesis |= {"4x4/Conv/weight": zeros(3, 3, 8, 8), "4x4/Conv/bias": zeros(8)}
    synthesis |= {"ToRGB_lod0/weight": zeros(1, 1, 8, 3), "ToRGB_lod0/bias": zeros(3)}
    kwargs = {"num_channels": 3, "resolution": 4, "label_size": 0, "fmap_max": 8}
    same = {"version": 2, "static_kwargs": kwargs}
    mapping = {"Dense0/weight": zeros(8, 8), "Dense0/bias": zeros(8)}

    def network(name: str) -> Network:
        components = {
            "synthesis": Network("G_synthesis", synthesis, **same, build_func_name="G_synthesis"),
            "mapping": Network("G_mapping", mapping, **same, build_func_name="G_mapping"),
        }
        parent = {"lod": zeros(), "dlatent_avg": zeros(8)}
        return Network(name, parent, **same, components=components, build_func_name="G_style")

    discriminator = _discriminator(GeneratorConfig(8), version=2)
    return write_pickle(path, (network("G"), discriminator, network("Gs")), protocol, "numpy.core")

"""Files in the layouts of NVIDIA's PyTorch code: StyleGAN2 of its two code bases, PTI's whole module, StyleGAN3.

Everything a file says is built here as stand-in modules with the attributes that the originals keep; their source,
which the originals also store, is a placeholder of the same size.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from factories import tiny_generator_config
from foreign_files.writers_pickle import Container, NumpyCore, fir_filter, foreign, save_torch, write_pickle
from torch import Tensor, nn

from lga_core import Generator, GeneratorConfig

Family = Literal["ada", "sg3"]
Era = Literal["now", "2020"]
TOP_KEYS = ("training_set_kwargs", "G", "D", "G_ema", "augment_pipe")
CONVERTED_KEYS = ("G", "D", "G_ema")
"""Top-level keys of a training snapshot, and of a file converted from TensorFlow."""

MODULE_SRC = "# In place of the source text that such a file carries: no reader needs it.\n" * 500  # 38 kB

_STATE_2020 = (
    *("training", "_parameters", "_buffers", "_non_persistent_buffers_set", "_backward_hooks", "_forward_hooks"),
    *("_forward_pre_hooks", "_state_dict_hooks", "_load_state_dict_pre_hooks", "_modules"),
)


@foreign("torch_utils.persistence", "_reconstruct_persistent_obj")
def _reconstruct(meta):
    raise AssertionError("written, never called")


@foreign("dnnlib.util", "EasyDict")
class EasyDict(dict):
    """A dict under that name."""


class Module(nn.Module):
    """A stand-in for a module of the original code: its class's name, its attributes, and how it was constructed.

    `record` is what it is pickled as, but for its state.
    """

    def __init__(self, class_name: str, attributes: Mapping[str, Any], *args: Any, **kwargs: Any):
        super().__init__()
        self.record = {"type": "class", "version": 6, "module_src": MODULE_SRC, "class_name": class_name}
        self.era: Era = "now"
        for name, value in attributes.items():
            setattr(self, name, value)
        self._init_args = args
        self._init_kwargs = EasyDict(kwargs)

    def __reduce__(self):
        state = {name: value for name, value in self.__dict__.items() if name not in ("record", "era")}
        return _reconstruct, ({**self.record, "state": _as_in_2020(state) if self.era == "2020" else state},)

    def with_buffers(self, **buffers: Tensor) -> "Module":
        for name, tensor in buffers.items():
            self.register_buffer(name, tensor)
        return self


def _as_in_2020(state: Mapping[str, Any]) -> dict[str, Any]:
    """The state that torch 1.7 kept: fewer tables, all of them ordered."""
    new = nn.Module().__dict__.keys() - set(_STATE_2020)
    kept = {name: value for name, value in state.items() if name not in new}
    tables = {name: OrderedDict(kept[name]) for name in _STATE_2020 if isinstance(kept[name], dict)}
    return {**kept, **tables}


@dataclass(frozen=True)
class _Writing:
    """What the layers of one network have in common."""

    config: GeneratorConfig
    family: Family
    num_fp16_res: int

    def sizes(self, **sizes: int) -> dict[str, int]:
        """Attributes that only the newer code base keeps."""
        return sizes if self.family == "sg3" else {}

    def use_fp16(self, resolution: int) -> bool:
        lowest = max(2 * self.config.resolution // 2**self.num_fp16_res, 8)
        return resolution >= lowest


def nvidia_module(
    generator: Generator, family: Family = "ada", num_fp16_res: int = 0, omit_defaults: bool = False
) -> Module:
    """The generator as that code base would hold it. The tensors are shared, not copied."""
    config = generator.config
    how = _Writing(config, family, num_fp16_res)
    sizes = {"z_dim": config.z_dim, "c_dim": config.c_dim, "w_dim": config.w_dim}
    sizes |= {"img_resolution": config.resolution, "img_channels": config.img_channels}
    root = Module("Generator", sizes, **_init_kwargs(how, omit_defaults))
    state = dict(generator.state_dict())
    root.synthesis = _synthesis(how, _under(state, "synthesis."))
    root.num_ws = config.num_ws
    root.mapping = _mapping(how, _under(state, "mapping."))
    return root.eval().requires_grad_(False)


def nvidia_tensors(generator: Generator) -> dict[str, Tensor]:
    """Every parameter and buffer by its dotted name, the constant filters included."""
    return dict(nvidia_module(generator).state_dict())


def _init_kwargs(how: _Writing, omit_defaults: bool) -> dict[str, Any]:
    """How the Generator was constructed. The newer code base has the synthesis network's settings at the root."""
    config = how.config
    mapping = {"num_layers": config.mapping_layers, "lr_multiplier": config.mapping_lr_mul}
    mapping_defaults = {"num_layers": 8, "lr_multiplier": 0.01}
    synthesis = {"channel_base": config.channel_base, "channel_max": config.channel_max}
    synthesis |= {"num_fp16_res": how.num_fp16_res, "conv_clamp": config.conv_clamp}
    synthesis |= {"architecture": config.architecture}
    defaults = {"channel_base": 32768, "channel_max": 512, "architecture": "skip"}
    newer = how.family == "sg3"
    defaults |= {"num_fp16_res": 4 if newer else 0, "conv_clamp": 256 if newer else None}
    # Nobody states what training never asks for.
    synthesis = _without(synthesis, defaults if omit_defaults else {"architecture": "skip"})
    mapping = EasyDict(_without(mapping, mapping_defaults if omit_defaults else {"lr_multiplier": 0.01}))
    common = {"c_dim": config.c_dim, "img_resolution": config.resolution, "img_channels": config.img_channels}
    kwargs = {"z_dim": config.z_dim, "w_dim": config.w_dim}
    if mapping or not omit_defaults:
        kwargs["mapping_kwargs"] = mapping
    if how.family == "sg3":
        return {**kwargs, **synthesis, "fused_modconv_default": "inference_only", **common}
    if synthesis or not omit_defaults:
        kwargs["synthesis_kwargs"] = EasyDict(synthesis)
    return {**kwargs, **common}


def _without(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in defaults or defaults[key] != value}


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _parameter(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor, requires_grad=False)


def _linear(how: _Writing, tensors: Mapping[str, Tensor], activation: str, lr_mul: float = 1.0) -> Module:
    o, i = tensors["weight"].shape
    attributes = {**how.sizes(in_features=i, out_features=o), "activation": activation}
    attributes |= {"weight": _parameter(tensors["weight"]), "bias": _parameter(tensors["bias"])}
    attributes |= {"weight_gain": lr_mul / np.sqrt(i), "bias_gain": lr_mul}
    return Module("FullyConnectedLayer", attributes, i, o, activation=activation, lr_multiplier=lr_mul)


def _mapping(how: _Writing, tensors: Mapping[str, Tensor]) -> Module:
    config = how.config
    sizes = {"z_dim": config.z_dim, "c_dim": config.c_dim, "w_dim": config.w_dim, "num_ws": config.num_ws}
    beta = 0.998 if how.family == "sg3" else 0.995
    module = Module("MappingNetwork", {**sizes, "num_layers": config.mapping_layers, "w_avg_beta": beta}, **sizes)
    if config.c_dim:
        module.embed = _linear(how, _under(tensors, "embed."), "linear")
    for i in range(config.mapping_layers):
        layer = _linear(how, _under(tensors, f"fc{i}."), "lrelu", config.mapping_lr_mul)
        module.add_module(f"fc{i}", layer)
    return module.with_buffers(w_avg=tensors["w_avg"])


def _synthesis(how: _Writing, tensors: Mapping[str, Tensor]) -> Module:
    config = how.config
    attributes = {"w_dim": config.w_dim, "img_resolution": config.resolution}
    attributes |= {"img_resolution_log2": int(math.log2(config.resolution)), "img_channels": config.img_channels}
    attributes |= how.sizes(num_fp16_res=how.num_fp16_res)
    attributes["block_resolutions"] = config.block_resolutions
    module = Module("SynthesisNetwork", attributes, w_dim=config.w_dim)
    module.num_ws = config.num_ws
    for resolution in config.block_resolutions:
        module.add_module(f"b{resolution}", _block(how, resolution, _under(tensors, f"b{resolution}.")))
    return module


def _block(how: _Writing, resolution: int, tensors: Mapping[str, Tensor]) -> Module:
    config = how.config
    i = config.channels(resolution // 2) if resolution > 4 else 0
    attributes = {"in_channels": i, "w_dim": config.w_dim, "resolution": resolution}
    attributes |= {"img_channels": config.img_channels, "is_last": resolution == config.resolution}
    attributes |= {"architecture": config.architecture, "use_fp16": how.use_fp16(resolution), "channels_last": False}
    if how.family == "sg3":
        attributes["fused_modconv_default"] = "inference_only"
    module = Module("SynthesisBlock", attributes, i, config.channels(resolution), **attributes)
    module.with_buffers(resample_filter=fir_filter())
    module.num_conv = module.num_torgb = 0
    if "const" in tensors:
        module.const = _parameter(tensors["const"])
    for name in ("conv0", "conv1"):
        if inner := _under(tensors, f"{name}."):
            module.add_module(name, _styled(how, resolution, 2 if name == "conv0" else 1, inner))
            module.num_conv += 1
    if inner := _under(tensors, "torgb."):
        module.torgb = _to_rgb(how, inner)
        module.num_torgb += 1
    if inner := _under(tensors, "skip."):
        module.skip = _conv(inner["weight"], up=2)
    return module


def _styled(how: _Writing, resolution: int, up: int, tensors: Mapping[str, Tensor]) -> Module:
    o, i = tensors["weight"].shape[:2]
    attributes = {**how.sizes(in_channels=i, out_channels=o, w_dim=how.config.w_dim), "resolution": resolution}
    attributes |= {"up": up, "use_noise": True, "activation": "lrelu", "conv_clamp": how.config.conv_clamp}
    attributes |= {"padding": 1, "act_gain": np.sqrt(2)}
    module = Module("SynthesisLayer", attributes, i, o, w_dim=how.config.w_dim, resolution=resolution, up=up)
    module.with_buffers(resample_filter=fir_filter())
    module.affine = _linear(how, _under(tensors, "affine."), "linear")
    module.weight = _parameter(tensors["weight"])
    module.with_buffers(noise_const=tensors["noise_const"])
    module.noise_strength = _parameter(tensors["noise_strength"])
    module.bias = _parameter(tensors["bias"])
    return module


def _to_rgb(how: _Writing, tensors: Mapping[str, Tensor]) -> Module:
    o, i = tensors["weight"].shape[:2]
    attributes = {**how.sizes(in_channels=i, out_channels=o, w_dim=how.config.w_dim)}
    attributes["conv_clamp"] = how.config.conv_clamp
    module = Module("ToRGBLayer", attributes, i, o, w_dim=how.config.w_dim, conv_clamp=how.config.conv_clamp)
    module.affine = _linear(how, _under(tensors, "affine."), "linear")
    module.weight = _parameter(tensors["weight"])
    module.bias = _parameter(tensors["bias"])
    module.weight_gain = 1 / np.sqrt(i)
    return module


def _conv(weight: Tensor, bias: Tensor | None = None, up: int = 1, down: int = 1) -> Module:
    """A plain convolution: the residual branches, and the discriminator's layers."""
    o, i, size, _ = weight.shape
    attributes = {"activation": "linear" if bias is None else "lrelu", "up": up, "down": down, "conv_clamp": None}
    attributes |= {"padding": size // 2, "weight_gain": 1 / np.sqrt(i * size**2)}
    attributes["act_gain"] = 1 if bias is None else np.sqrt(2)
    module = Module("Conv2dLayer", attributes, i, o, kernel_size=size, bias=bias is not None, up=up, down=down)
    module.with_buffers(resample_filter=fir_filter())
    module.weight = _parameter(weight)
    module.bias = None if bias is None else _parameter(bias)
    return module


def _discriminator(how: _Writing) -> Module:
    """A discriminator of this resolution, all zero: only something for the reader to step over."""
    config = how.config
    root = Module("Discriminator", {"c_dim": config.c_dim, "img_resolution": config.resolution}, c_dim=config.c_dim)
    for resolution in reversed(config.block_resolutions[1:]):
        i, o = config.channels(resolution), config.channels(resolution // 2)
        block = Module("DiscriminatorBlock", {"resolution": resolution, "num_layers": 3}, i, o, resolution=resolution)
        block.with_buffers(resample_filter=fir_filter())
        if resolution == config.resolution:
            block.fromrgb = _conv(torch.zeros(i, config.img_channels, 1, 1), torch.zeros(i))
        block.conv0 = _conv(torch.zeros(i, i, 3, 3), torch.zeros(i))
        block.conv1 = _conv(torch.zeros(o, i, 3, 3), torch.zeros(o), down=2)
        block.skip = _conv(torch.zeros(o, i, 1, 1), down=2)
        root.add_module(f"b{resolution}", block)
    channels = config.channels(4)
    last = Module("DiscriminatorEpilogue", {"in_channels": channels, "resolution": 4}, channels, resolution=4)
    last.conv = _conv(torch.zeros(channels, channels + 1, 3, 3), torch.zeros(channels))
    for name, o, i in (("fc", channels, channels * 16), ("out", 1, channels)):
        last.add_module(name, _linear(how, {"weight": torch.zeros(o, i), "bias": torch.zeros(o)}, "lrelu"))
    root.b4 = last
    return root


def _augment_pipe() -> Module:
    module = Module("AugmentPipe", {"xflip": 1.0, "rotate90": 1.0, "brightness_std": 0.2}, xflip=1, rotate90=1)
    return module.with_buffers(p=torch.tensor(0.5), Hz_geom=torch.ones(12), Hz_fbank=torch.ones(4, 12))


def _training_set(kind: str, resolution: int) -> dict[str, Any] | None:
    kwargs = {"class_name": "training.dataset.ImageFolderDataset", "path": "/data/faces.zip", "use_labels": False}
    kwargs |= {"max_size": 70000, "xflip": True, "resolution": resolution}
    return {"dict": kwargs, "easydict": EasyDict(kwargs), "none": None}[kind]


def write_nvidia(
    path: Path,
    generator: Generator,
    *,
    family: Family = "ada",
    protocol: int = 4,
    numpy_core: NumpyCore = "numpy._core",
    era: Era = "now",
    num_fp16_res: int = 0,
    omit_defaults: bool = False,
    top: Sequence[str] = TOP_KEYS,
    training_set_kwargs: Literal["dict", "easydict", "none"] = "dict",
    augment_pipe: bool = False,
    edit: Callable[[Module], object] | None = None,
) -> Path:
    """A network pickle with `generator` as its G_ema. Its G has other weights, its D is all zero.

    Args:
        era: `2020` gives the modules' state the tables of torch 1.7.
        omit_defaults: leave out of the construction's arguments what is the class's default.
        top: keys of the outermost dict.
        augment_pipe: a module instead of None.
        edit: called with the stand-in of G_ema before it is written, to make a fork's file.
    """
    config = generator.config
    how = _Writing(config, family, num_fp16_res)
    values: dict[str, Callable[[], Any]] = {
        "training_set_kwargs": lambda: _training_set(training_set_kwargs, config.resolution),
        "G": lambda: nvidia_module(Generator(config, seed=4321), family, num_fp16_res, omit_defaults),
        "D": lambda: _discriminator(how),
        "G_ema": lambda: nvidia_module(generator, family, num_fp16_res, omit_defaults),
        "augment_pipe": lambda: _augment_pipe() if augment_pipe else None,
    }
    snapshot = {key: values[key]() for key in top}
    if edit is not None:
        edit(snapshot["G_ema"])
    _set_era(snapshot.values(), era)
    return write_pickle(path, snapshot, protocol, numpy_core)


def write_pti(
    path: Path,
    generator: Generator,
    *,
    family: Family = "ada",
    container: Container = "zip",
    device: str = "cuda:0",
    numpy_core: NumpyCore = "numpy._core",
    era: Era = "now",
    num_fp16_res: int = 0,
    edit: Callable[[Module], object] | None = None,
) -> Path:
    """A tuned generator as PTI stores it: the whole module by torch.save."""
    module = nvidia_module(generator, family, num_fp16_res).requires_grad_(True)
    if edit is not None:
        edit(module)
    _set_era([module], era)
    return save_torch(path, module, container, device, numpy_core)


def _set_era(values: Iterable[Any], era: Era) -> None:
    for value in values:
        for module in value.modules() if isinstance(value, Module) else ():
            module.era = era


def write_stylegan3(path: Path, *, protocol: int = 4, top: Sequence[str] = TOP_KEYS) -> Path:
    """A StyleGAN3 pickle: also a `Generator`, whose synthesis network has `input` and `L0_...` for children."""
    sizes = {"z_dim": 8, "c_dim": 0, "w_dim": 8, "img_resolution": 16, "img_channels": 3}
    config = tiny_generator_config(mapping_layers=2)
    how = _Writing(config, "sg3", 4)
    root = Module("Generator", sizes, **sizes, mapping_kwargs=EasyDict(num_layers=2), channel_base=64, channel_max=8)
    root.synthesis = Module("SynthesisNetwork", {"w_dim": 8, "num_ws": 16, "num_layers": 14}, w_dim=8)
    root.synthesis.input = Module("SynthesisInput", {"w_dim": 8, "channels": 8, "bandwidth": 2}, w_dim=8)
    root.synthesis.input.weight = _parameter(torch.zeros(8, 8))
    root.synthesis.input.affine = _linear(how, {"weight": torch.zeros(4, 8), "bias": torch.zeros(4)}, "linear")
    root.synthesis.input.with_buffers(transform=torch.eye(3), freqs=torch.zeros(8, 2), phases=torch.zeros(8))
    for i, (size, channels) in enumerate([(36, 8), (36, 8), (16, 3)]):
        layer = Module("SynthesisLayer", {"w_dim": 8, "is_torgb": i == 2, "conv_clamp": 256}, w_dim=8)
        layer.affine = _linear(how, {"weight": torch.zeros(8, 8), "bias": torch.ones(8)}, "linear")
        layer.weight = _parameter(torch.zeros(channels, 8, 3, 3))
        layer.bias = _parameter(torch.zeros(channels))
        layer.with_buffers(magnitude_ema=torch.ones([]), up_filter=torch.zeros(12), down_filter=torch.zeros(12))
        root.synthesis.add_module(f"L{i}_{size}_{channels}", layer)
    root.mapping = _mapping(how, _under(Generator(config).state_dict(), "mapping."))
    snapshot = dict.fromkeys(top)
    snapshot["training_set_kwargs"] = _training_set("dict", 16)
    return write_pickle(path, {**snapshot, "G": root, "D": _discriminator(how), "G_ema": root}, protocol)

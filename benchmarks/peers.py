"""Two other StyleGAN2s, imported from checkouts that whoever measures brings along, and given our weights.

No line of theirs is in this project. Their files are imported as they lie there; where one cannot be imported on a
machine without a compiler or without a package that drawing does not need, what it asks for is put in its place in
memory, while it is imported.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from lga_core import Generator, Images, WPlus
from lga_core.checkpoints import layout

Draw = Callable[[WPlus], Images]
"""ws [n num_ws w_dim] -> images [n c res res]."""


class Nvidia:
    """NVlabs/stylegan2-ada-pytorch in `folder`. On a CPU it has its reference operations alone."""

    def __init__(self, folder: Path):
        with _importing(folder, _without_requests()) as self._modules:
            self._networks = importlib.import_module("training.networks")
            operations = ("torch_utils.ops.bias_act", "torch_utils.ops.upfirdn2d")
            self._operations = [importlib.import_module(name) for name in operations]
        self.source = source_of(folder, "training/networks.py")

    def compile(self) -> None:
        """Build both CUDA plugins. Raises RuntimeError if one falls back, because then it is not NVIDIA's speed."""
        with _remembering_extensions():
            for operations in self._operations:
                if not operations._init():
                    raise RuntimeError(f"{operations.__name__} did not compile. Its warning above says why.")

    def network(
        self,
        generator: Generator,
        device: torch.device | str = "cpu",
        half_blocks: int = 0,
        channels_last: bool = False,
    ) -> nn.Module:
        """Its synthesis network with our weights, in fp16 in the `half_blocks` highest resolutions."""
        config = generator.config
        with _known(self._modules):  # its layers look themselves up while they are made
            network = self._networks.SynthesisNetwork(
                w_dim=config.w_dim,
                img_resolution=config.resolution,
                img_channels=config.img_channels,
                channel_base=config.channel_base,
                channel_max=config.channel_max,
                num_fp16_res=half_blocks,
                architecture=config.architecture,
                conv_clamp=config.conv_clamp,
                fp16_channels_last=channels_last,
            )
        _load(network, generator.synthesis.state_dict(), "resample_filter")
        return network.to(device).eval().requires_grad_(False)

    @staticmethod
    def draw(network: nn.Module, fused: bool) -> Draw:
        return lambda ws: network(ws, noise_mode="const", fused_modconv=fused)


class Community:
    """rosinality/stylegan2-pytorch in `folder`, on a CPU.

    Its op/ compiles CUDA code while it is imported, though its CPU branch never calls it: here the compiler's answer is
    an empty object.
    """

    def __init__(self, folder: Path):
        with _importing(folder, _without_compiler()):
            self._model = importlib.import_module("model")
        self.source = source_of(folder, "model.py")

    def network(self, generator: Generator) -> nn.Module:
        """Its generator with our weights. Its channels are config-f's."""
        config = generator.config
        network = self._model.Generator(
            config.resolution, config.w_dim, config.mapping_layers, channel_multiplier=config.channel_base // 16384
        )
        state = generator.state_dict()
        theirs = {there: state[ours].reshape(shape) for ours, (there, shape, _) in layout(config).items()}
        theirs.pop("latent_avg")  # lies beside the network in its files
        _load(network, theirs, "kernel")
        return network.eval().requires_grad_(False)

    @staticmethod
    def draw(network: nn.Module) -> Draw:
        return lambda ws: network([ws], input_is_latent=True, randomize_noise=False)[0]


def source_of(folder: Path, file: str) -> str:
    """Which version a checkout is: its file's git blob name, which needs no git to find out."""
    content = (folder / file).read_bytes()
    name = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return f"{file} {name[:10]}"


def _load(network: nn.Module, state: Mapping[str, Tensor], constant: str) -> None:
    """All of `state`, and all of the network but filters named `constant`. Raises RuntimeError."""
    missing, unexpected = network.load_state_dict(state, strict=False)
    if wrong := unexpected + [name for name in missing if not name.endswith(constant)]:
        raise RuntimeError(f"{type(network).__name__} has not our parameters: {len(wrong)} differ, such as {wrong[0]}.")


@contextmanager
def _importing(folder: Path, patched: AbstractContextManager[Any]) -> Iterator[dict[str, ModuleType]]:
    """Modules are found in `folder` first; they go to the dictionary afterwards, and out of `sys.modules`.

    Their names are general (`training`, `model`, `op`): another checkout's are the same.
    """
    found: dict[str, ModuleType] = {}
    sys.path.insert(0, str(folder))
    try:
        with patched:
            yield found
    finally:
        sys.path.remove(str(folder))
        found |= {name: module for name, module in sys.modules.items() if _lies_in(module, folder)}
        for name in found:
            del sys.modules[name]


def _lies_in(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)
    return file is not None and Path(file).resolve().is_relative_to(folder.resolve())


@contextmanager
def _known(modules: Mapping[str, ModuleType]) -> Iterator[None]:
    """They can be imported by their names for a while. What others import meanwhile stays."""
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]


def _without_requests() -> AbstractContextManager[Any]:
    """Its download helper imports `requests`, which drawing does not need: an empty module where it is missing."""
    return _known({} if importlib.util.find_spec("requests") else {"requests": ModuleType("requests")})


def _without_compiler() -> AbstractContextManager[Any]:
    import torch.utils.cpp_extension

    return patch.object(torch.utils.cpp_extension, "load", lambda name, *_, **__: SimpleNamespace(name=name))


@contextmanager
def _remembering_extensions() -> Iterator[None]:
    """A compiled extension can be imported by its name, as NVIDIA's loader does next.

    Torch once left that to Python, which does so no longer for extensions that are initialised in two phases.
    """
    import torch.utils.cpp_extension

    compiled = torch.utils.cpp_extension.load

    def load(name: str, *args: Any, **kwargs: Any) -> Any:
        module = compiled(name, *args, **kwargs)
        if isinstance(module, ModuleType):
            sys.modules.setdefault(name, module)
        return module

    with patch.object(torch.utils.cpp_extension, "load", load):
        yield

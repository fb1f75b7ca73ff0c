"""Checkouts of peers, as far as the benchmarks look: folders with modules of the same names that draw with our own
generator, and that refuse to be imported or made as the real ones do."""

from pathlib import Path

import pytest

NVIDIA = {
    "training/__init__.py": "",
    "torch_utils/__init__.py": "",
    "torch_utils/ops/__init__.py": "",
    "torch_utils/ops/bias_act.py": """
import importlib
import torch.utils.cpp_extension
def _init():
    torch.utils.cpp_extension.load(name="stand_in_plugin", sources=[])
    return importlib.import_module("stand_in_plugin") is not None
""",
    "torch_utils/ops/upfirdn2d.py": "def _init():\n    return COMPILES\nCOMPILES = True\n",
    "training/networks.py": """
import pickle
import requests
import torch
from torch_utils.ops import bias_act
from lga_core import Generator, GeneratorConfig


class SynthesisNetwork(torch.nn.Module):
    def __init__(self, w_dim, img_resolution, img_channels, channel_base, channel_max, num_fp16_res, architecture,
                 conv_clamp, fp16_channels_last):
        super().__init__()
        pickle.dumps(SynthesisNetwork)  # so the real one insists on being importable
        config = GeneratorConfig(img_resolution, w_dim=w_dim, channel_base=channel_base, channel_max=channel_max)
        for name, block in Generator(config, seed=9).synthesis.named_children():
            self.add_module(name, block)
        self.register_buffer("resample_filter", torch.ones(4, 4))
        self.resolutions = config.block_resolutions

    def forward(self, ws, noise_mode, fused_modconv):
        x, image, row = None, None, 0
        for resolution in self.resolutions:
            convs = 1 if resolution == 4 else 2
            x, image = getattr(self, f"b{resolution}")(x, image, ws[:, row : row + convs + 1], noise_mode)
            row += convs
        return image
""",
}
COMMUNITY = {
    "op/__init__.py": """
from torch.utils.cpp_extension import load
compiled = load("fused", sources=["no such file.cu"])
""",
    "model.py": """
import op
import torch
from lga_core import Generator as Ours, GeneratorConfig
from lga_core.checkpoints.layouts.rosinality import layout, read_generator


class Generator(torch.nn.Module):
    def __init__(self, size, style_dim, n_mlp, channel_multiplier=2):
        super().__init__()
        config = GeneratorConfig(size, w_dim=style_dim, mapping_layers=n_mlp, channel_base=16384 * channel_multiplier)
        self.inner = Ours(config, seed=8)
        self.names = [name for name, _, _ in layout(config).values() if name != "latent_avg"]

    def load_state_dict(self, state, strict):
        assert not strict
        known = {name: state[name] for name in self.names}
        self.inner.load_state_dict(read_generator(known, torch.zeros(self.inner.config.w_dim), "state").tensors)
        return ["convs.0.conv.blur.kernel"], [name for name in state if name not in self.names]

    def forward(self, styles, input_is_latent, randomize_noise):
        assert input_is_latent and not randomize_noise
        return self.inner.synthesis(styles[0]), None
""",
}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
def make_nvidia(tmp_path):
    """A checkout in a folder of this name, its network's source altered: (name, alter) -> path."""

    def make(name: str = "nvidia", alter=lambda source: source) -> Path:
        networks = {"training/networks.py": alter(NVIDIA["training/networks.py"])}
        return write(tmp_path / name, {**NVIDIA, **networks})

    return make


@pytest.fixture
def nvidia(make_nvidia):
    return make_nvidia()


@pytest.fixture
def community(tmp_path):
    return write(tmp_path / "community", COMMUNITY)


@pytest.fixture
def checkouts(nvidia, community):
    return ["--nvidia", str(nvidia), "--community", str(community)]

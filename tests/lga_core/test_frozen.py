"""The frozen synthesis is the generator's synthesis: same pictures, same gradients to ws, no others."""

import dataclasses
import math

import pytest
import torch
from torch.testing import assert_close

from lga_core import FrozenSynthesis, Generator, GeneratorConfig, InputError

TINY = GeneratorConfig(resolution=32, z_dim=6, w_dim=8, channel_base=256, channel_max=12, mapping_layers=2)


def make(**changes) -> Generator:
    """A tiny generator, with noise and biases that matter."""
    generator = Generator(dataclasses.replace(TINY, **changes))
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in generator.state_dict().items():
            if name.endswith(("noise_strength", "bias")):
                tensor.add_(torch.randn(tensor.shape, generator=rng), alpha=0.3)
    return generator


def both(generator: Generator, ws: torch.Tensor, frozen: FrozenSynthesis, **options):
    """Pictures and gradients to ws of a fixed random functional of the pictures: plain, then frozen."""
    found = []
    for synthesis in (generator.synthesis, frozen):
        leaf = ws.to(torch.float64 if False else ws.dtype).clone().requires_grad_()
        images = synthesis(leaf, **options)
        probe = torch.randn(images.shape, generator=torch.Generator().manual_seed(2))
        (gradient,) = torch.autograd.grad((images * probe).sum(), leaf)
        found.append((images.detach(), gradient))
    return found


def same(plain, frozen, values: float = 5e-5, gradients: float = 1e-4) -> None:
    assert frozen[0].dtype == torch.float32
    assert_close(frozen[0], plain[0], rtol=0, atol=values)
    assert (frozen[1] - plain[1]).norm() <= gradients * plain[1].norm()


@pytest.mark.parametrize("changes", [
    {}, {"architecture": "resnet"}, {"architecture": "orig"}, {"conv_clamp": 0.5},
    {"architecture": "resnet", "conv_clamp": 0.5}, {"img_channels": 1}, {"resolution": 4},
])
@pytest.mark.parametrize("n", [1, 3])
def test_same_pictures_and_same_gradients(rng, changes, n):
    generator = make(**changes)
    ws = rng.randn(n, generator.num_ws, 8).float()
    same(*both(generator, ws, FrozenSynthesis(generator)))

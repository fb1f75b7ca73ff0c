"""The frozen synthesis is the generator's own: the same pictures, the same gradients to ws, and no others."""

import dataclasses

import pytest
import torch
from torch.testing import assert_close

from lga_core import Generator, GeneratorConfig, InputError
from lga_core.stylegan2 import fused_ops as epilogue
from lga_core.stylegan2 import upsampling_conv as doubling
from lga_core.stylegan2.frozen_synthesis import FrozenSynthesis

TINY = GeneratorConfig(resolution=32, z_dim=6, w_dim=8, channel_base=256, channel_max=12, mapping_layers=2)
KINDS = [
    {},
    {"architecture": "resnet"},
    {"architecture": "orig"},
    {"conv_clamp": 0.5},
    {"architecture": "resnet", "conv_clamp": 0.5},
    {"img_channels": 1},
    {"resolution": 4},
]


def make(**changes) -> Generator:
    """A tiny float64 generator, with noise and biases that matter."""
    generator = Generator(dataclasses.replace(TINY, **changes)).double()
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in generator.state_dict().items():
            if name.endswith(("noise_strength", "bias")):
                tensor.add_(torch.randn(tensor.shape, generator=rng, dtype=tensor.dtype), alpha=0.3)
    return generator


def drawn(synthesis, ws: torch.Tensor, **options) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures, and the gradient to ws of their sum with random weights."""
    ws = ws.clone().requires_grad_()
    images = synthesis(ws, **options)
    weights = torch.randn(images.shape, generator=torch.Generator().manual_seed(2))
    (gradient,) = torch.autograd.grad((images * weights).sum(), ws)
    return images.detach(), gradient


def distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("changes", KINDS, ids=str)
def test_pictures_and_gradients_are_the_generators(rng, changes, n):
    generator = make(**changes)
    ws = rng.randn(n, generator.num_ws, 8)
    for found, expected in zip(
        drawn(FrozenSynthesis(generator, torch.float64), ws), drawn(generator.synthesis, ws), strict=True
    ):
        assert_close(found, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("changes", KINDS, ids=str)
def test_in_single_precision_they_are_equal_but_for_rounding(rng, changes):
    generator = make(**changes).float()
    ws = rng.randn(3, generator.num_ws, 8).float()
    images, gradient = drawn(FrozenSynthesis(generator), ws)
    expected_images, expected_gradient = drawn(generator.synthesis, ws)
    assert images.dtype == gradient.dtype == torch.float32
    assert_close(images, expected_images, rtol=0, atol=5e-5)
    assert distance(gradient, expected_gradient) < 1e-4


@pytest.mark.parametrize("architecture", ["skip", "resnet"])
def test_half_precision_features_give_nearly_the_same_float32_pictures(rng, architecture):
    generator = make(architecture=architecture).float()
    ws = rng.randn(4, generator.num_ws, 8).float()
    images, gradient = drawn(FrozenSynthesis(generator, torch.bfloat16), ws)
    expected_images, expected_gradient = drawn(generator.synthesis, ws)
    assert images.dtype == gradient.dtype == torch.float32
    assert 1e-4 < distance(images, expected_images) < 0.02
    assert distance(gradient, expected_gradient) < 0.1


def test_many_channels_take_the_way_by_phases(rng, monkeypatch):
    monkeypatch.setattr(doubling, "PHASES_FROM", 1)
    generator, ws = make(), rng.randn(2, 8, 8)
    synthesis = FrozenSynthesis(generator, torch.float64)
    assert all(block.convs[0].up_conv.phases for block in synthesis.blocks[1:])
    for found, expected in zip(drawn(synthesis, ws), drawn(generator.synthesis, ws), strict=True):
        assert_close(found, expected, rtol=1e-8, atol=1e-8)


def test_a_batch_is_its_faces_one_by_one(rng):
    synthesis, ws = FrozenSynthesis(make()), rng.randn(3, 8, 8).float()
    assert_close(synthesis(ws), torch.cat([synthesis(face) for face in ws.split(1)]), rtol=0, atol=1e-5)


def test_max_resolution_stops_early(rng):
    generator, ws = make(), rng.randn(2, 8, 8)
    synthesis = FrozenSynthesis(generator, torch.float64)
    for resolution in (4, 16, 32):
        options = {"max_resolution": resolution}
        for found, expected in zip(
            drawn(synthesis, ws, **options), drawn(generator.synthesis, ws, **options), strict=True
        ):
            assert_close(found, expected, rtol=1e-8, atol=1e-8)


def test_what_cannot_be_drawn_is_refused_as_the_generator_refuses_it(rng):
    synthesis = FrozenSynthesis(make())
    with pytest.raises(InputError, match=r"needs \[n 8 8\]"):
        synthesis(rng.randn(1, 7, 8))
    with pytest.raises(ValueError, match="max_resolution"):
        synthesis(rng.randn(1, 8, 8), max_resolution=5)


def test_the_generator_stays_as_it_is_and_nothing_else_gets_a_gradient(rng):
    generator, ws = make(), rng.randn(1, 8, 8).requires_grad_()
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    FrozenSynthesis(generator, torch.float64)(ws).sum().backward()
    assert ws.grad is not None and ws.grad.abs().max() > 0
    assert all(p.requires_grad and p.grad is None for p in generator.parameters())
    for name, tensor in generator.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_later_changes_of_the_generator_do_not_show(rng):
    generator, ws = make(), rng.randn(1, 8, 8)
    synthesis = FrozenSynthesis(generator, torch.float64)
    expected = synthesis(ws)
    with torch.no_grad():
        for tensor in generator.state_dict().values():
            tensor.add_(1)
    assert torch.equal(synthesis(ws), expected)


# Memory


def kept(synthesis: FrozenSynthesis, ws: torch.Tensor) -> int:
    """Bytes of distinct tensors that are kept for backward, the weights not counted."""
    seen = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.shape[:1] == ws.shape[:1]:
            seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        images = synthesis(ws.requires_grad_())
    del images
    return sum(seen.values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_of_each_layer_its_features_are_kept_once(rng, dtype):
    generator, ws = make(channel_base=4096, channel_max=128), rng.randn(5, 8, 8).float()
    sizes = [(r, generator.config.channels(r)) for r in generator.config.block_resolutions]
    features = sum(len(ws) * c * r * r * (1 if r == 4 else 2) for r, c in sizes) * dtype.itemsize
    assert features < kept(FrozenSynthesis(generator, dtype), ws) < 1.15 * features


def test_recomputed_blocks_keep_less_and_change_nothing(rng):
    generator, ws = make(channel_base=4096, channel_max=128), rng.randn(5, 8, 8).float()
    plain, again = FrozenSynthesis(generator), FrozenSynthesis(generator, recompute_from=16)
    assert kept(again, ws) < 0.5 * kept(plain, ws)
    for found, expected in zip(drawn(again, ws.detach()), drawn(plain, ws.detach()), strict=True):
        assert torch.equal(found, expected)


# The compiled passes


@pytest.mark.parametrize("limit", [None, 0.5])
@pytest.mark.parametrize("way", ["onward", "image", "both"])
def test_the_passes_to_compile_are_the_plain_ones(rng, way, limit):
    x, noise, bias, d = rng.randn(2, 16, 5), rng.randn(16, 1), rng.randn(5), rng.rand(2, 5) + 0.5
    s, of_scaled = (None, None) if way == "image" else (rng.randn(2, 5), rng.randn(2, 16, 5))
    mixer, of_drawn = (None, None) if way == "onward" else (rng.randn(2, 3, 5), rng.randn(2, 3, 16))
    y, scaled = epilogue.forward_pass(x.clone(), d, noise, bias, limit, s)
    for found, expected in zip(epilogue.forward_to_compile(x, d, noise, bias, limit, s), (y, scaled), strict=True):
        assert (found is None and expected is None) or torch.allclose(found, expected)
    gradients = (y, d, noise, bias, limit, of_scaled, s, of_drawn, mixer)
    for found, expected in zip(
        epilogue.sum_quads(epilogue.backward_in_quads)(*gradients), epilogue.backward_pass(*gradients), strict=True
    ):
        assert (found is None and expected is None) or torch.allclose(found, expected)


def test_compiled_is_the_same(rng, monkeypatch):
    """As far as the compiler's first half, which takes no C++ compiler and little time."""
    compile_with_inductor = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda function, **options: compile_with_inductor(function, backend="eager", **options)
    )
    epilogue.compiled_passes.cache_clear()
    generator, ws = make(resolution=8), rng.randn(2, 4, 8)
    synthesis = FrozenSynthesis(generator, torch.float64, compiled=True)
    epilogue.compiled_passes.cache_clear()
    for found, expected in zip(drawn(synthesis, ws), drawn(generator.synthesis, ws), strict=True):
        assert_close(found, expected, rtol=1e-8, atol=1e-8)


def test_without_a_compiler_one_warning_and_the_same_pictures(rng, monkeypatch):
    def failing(function, **options):
        def call(*args):
            raise RuntimeError("no compiler")

        return call

    monkeypatch.setattr(torch, "compile", failing)
    epilogue.compiled_passes.cache_clear()
    generator, ws = make(), rng.randn(1, 8, 8).float()
    with pytest.warns(UserWarning, match="not compiled, which is slower: RuntimeError") as warned:
        synthesis = FrozenSynthesis(generator, compiled=True)
    epilogue.compiled_passes.cache_clear()
    assert len(warned) == 1
    assert torch.equal(synthesis(ws), FrozenSynthesis(generator)(ws))

"""StyleGAN2 against its definitions and properties; the published numbers are in test_golden_generator.py."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from lga_core import Generator, GeneratorConfig, InputError
from lga_core.stylegan2.generator import truncate
from lga_core.stylegan2.ops import modulated_conv2d, normalize_second_moment, upsample2d

TINY = GeneratorConfig(resolution=16, z_dim=6, w_dim=8, channel_base=128, channel_max=12, mapping_layers=2)


def make(seed: int = 0, **changes) -> Generator:
    """A tiny float64 generator, with noise and biases that matter."""
    generator = Generator(dataclasses.replace(TINY, **changes), seed=seed).double().requires_grad_(False)
    rng = torch.Generator().manual_seed(seed + 1)
    for name, tensor in generator.state_dict().items():
        if name.endswith(("noise_strength", "bias", "w_avg")):
            tensor.add_(torch.randn(tensor.shape, generator=rng, dtype=torch.float64), alpha=0.3)
    return generator


def one_by_one(x, weight, style, up):
    """The definition: each sample has its own weights, w s / sqrt(sum (w s)^2 + 1e-8)."""
    out = []
    for sample, s in zip(x, style, strict=True):
        w = weight * s[None, :, None, None]
        w = w / (w.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if up:
            y = F.conv_transpose2d(sample[None], w.transpose(0, 1), stride=2)
            y = filtered(F.pad(y, (1, 1, 1, 1))) * 4
        else:
            y = F.conv2d(sample[None], w, padding=1)
        out.append(y)
    return torch.cat(out)


def filtered(x):
    """Each channel filtered by outer([1, 3, 3, 1]) / 64, written as sixteen shifted sums."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype) / 8
    h, w = x.shape[-2] - 3, x.shape[-1] - 3
    return sum(taps[a] * taps[b] * x[..., a : a + h, b : b + w] for a in range(4) for b in range(4))


@pytest.mark.parametrize("up", [False, True])
def test_modulated_conv2d_is_one_plain_convolution_per_sample(rng, up):
    x, weight, style = rng.randn(3, 4, 8, 6), rng.randn(5, 4, 3, 3), rng.randn(3, 4)
    assert_close(modulated_conv2d(x, weight, style, demodulate=True, up=up), one_by_one(x, weight, style, up))


def test_demodulated_output_does_not_depend_on_the_scale_of_the_style(rng):
    x, weight, style = rng.randn(2, 4, 8, 8), rng.randn(5, 4, 3, 3), rng.randn(2, 4)
    once = modulated_conv2d(x, weight, style, demodulate=True)
    assert_close(modulated_conv2d(x, weight, style * 7, demodulate=True), once, rtol=1e-6, atol=1e-6)
    assert not torch.allclose(modulated_conv2d(x, weight, style * 7, demodulate=False), once)


def test_upsample2d_is_zeros_between_pixels_and_the_filter(rng):
    x = rng.randn(2, 3, 5, 7)
    spread = torch.zeros(2, 3, 10, 14, dtype=x.dtype)
    spread[..., ::2, ::2] = x
    assert_close(upsample2d(x), filtered(F.pad(spread, (2, 1, 2, 1))) * 4)


def test_normalize_second_moment_gives_unit_mean_square_and_keeps_zero(rng):
    x = rng.randn(3, 10) * 50
    assert_close(normalize_second_moment(x).square().mean(dim=1), torch.ones(3, dtype=x.dtype))
    assert normalize_second_moment(torch.zeros(1, 10)).abs().max() == 0


@pytest.mark.parametrize("resolution, num_ws", [(4, 2), (8, 4), (16, 6), (128, 12), (256, 14), (512, 16), (1024, 18)])
def test_num_ws(resolution, num_ws):
    assert GeneratorConfig(resolution).num_ws == num_ws


def test_config_f_has_the_published_number_of_parameters():
    with torch.device("meta"):
        generator = Generator(GeneratorConfig(1024))
    assert sum(p.numel() for p in generator.parameters()) == 30_370_060


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
def test_a_batch_is_its_faces_one_by_one(rng, architecture):
    generator, ws = make(architecture=architecture), rng.randn(3, 6, 8)
    images = generator.synthesis(ws)
    assert images.shape == (3, 3, 16, 16)
    assert_close(images, torch.cat([generator.synthesis(face) for face in ws.split(1)]))


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
def test_every_row_of_ws_and_no_other_reaches_its_block(rng, architecture):
    generator, ws = make(architecture=architecture), rng.randn(1, 6, 8)
    reached = {name: [] for name in ("b4", "b8", "b16")}
    for row in range(6):
        changed = ws.clone()
        changed[:, row] += 1
        for name, before, after in zip(reached, features(generator, ws), features(generator, changed), strict=True):
            if not torch.equal(before, after):
                reached[name].append(row)
    assert reached == {"b4": [0], "b8": [0, 1, 2], "b16": [0, 1, 2, 3, 4]}
    changed = ws.clone()
    changed[:, 5] += 1  # the last row is the last to-RGB's alone
    assert not torch.equal(generator.synthesis(ws), generator.synthesis(changed))


def features(generator, ws):
    """The feature maps that leave each block."""
    seen = []
    hooks = [
        block.register_forward_hook(lambda module, args, output: seen.append(output[0]))
        for block in generator.synthesis.children()
    ]
    generator.synthesis(ws)
    for hook in hooks:
        hook.remove()
    return seen


def test_max_resolution_stops_at_the_image_of_a_smaller_generator(rng):
    generator, ws = make(), rng.randn(2, 6, 8)
    small = Generator(dataclasses.replace(TINY, resolution=8)).double()
    small.load_state_dict({k: v for k, v in generator.state_dict().items() if "b16" not in k})
    assert_close(generator.synthesis(ws, max_resolution=8), small.synthesis(ws[:, :4]))
    assert torch.equal(generator.synthesis(ws, max_resolution=16), generator.synthesis(ws))


@pytest.mark.parametrize("architecture, stop", [("skip", 5), ("skip", 32), ("orig", 8), ("resnet", 8)])
def test_max_resolution_refuses_what_has_no_image(rng, architecture, stop):
    with pytest.raises(ValueError, match="max_resolution"):
        make(architecture=architecture).synthesis(rng.randn(1, 6, 8), max_resolution=stop)


def test_noise_none_is_the_image_without_noise_maps(rng):
    generator, ws = make(), rng.randn(1, 6, 8)
    with_noise, without = generator.synthesis(ws), generator.synthesis(ws, noise="none")
    assert not torch.allclose(with_noise, without)
    for name, tensor in generator.state_dict().items():
        if name.endswith("noise_const"):
            tensor.zero_()
    assert_close(generator.synthesis(ws), without)
    with pytest.raises(ValueError, match="noise is 'loud'"):
        generator.synthesis(ws, noise="loud")


def test_conv_clamp_bounds_every_layer(rng):
    ws = 5 * rng.randn(1, 6, 8)
    free, clamped = make(), make(conv_clamp=0.25)
    assert all(x.abs().max() > 0.25 for x in features(free, ws))
    assert all(x.abs().max() <= 0.25 for x in features(clamped, ws))
    assert_close(make(conv_clamp=1e9).synthesis(ws), free.synthesis(ws))


def test_truncation_ends_are_exact_and_the_middle_is_linear(rng):
    ws, w_avg = rng.randn(2, 6, 8), rng.randn(8)
    assert torch.equal(truncate(ws, w_avg, 1), ws)
    assert torch.equal(truncate(ws, w_avg, 0), w_avg.expand(2, 6, 8))
    assert_close(truncate(ws, w_avg, 0.3), w_avg + 0.3 * (ws - w_avg))
    cut = truncate(ws, w_avg, 0.3, cutoff=2)
    assert torch.equal(cut[:, 2:], ws[:, 2:])
    assert_close(cut[:, :2], truncate(ws, w_avg, 0.3)[:, :2])


def test_psi_zero_is_the_average_face(rng):
    generator = make()
    average = generator.synthesis(generator.w_avg.expand(1, 6, 8))
    assert_close(generator(rng.randn(2, 6), psi=0), average.expand(2, -1, -1, -1))


def test_mapping_ignores_the_length_of_z(rng):
    generator, z = make(), rng.randn(2, 6)
    assert_close(generator.mapping(z * 100), generator.mapping(z), rtol=1e-6, atol=1e-6)


def test_labels_matter_and_must_fit(rng):
    conditional, z = make(c_dim=3), rng.randn(1, 6)
    one, two = torch.eye(3, dtype=z.dtype)[:2].split(1)
    assert not torch.allclose(conditional.mapping(z, one), conditional.mapping(z, two))
    with pytest.raises(InputError, match=r"labels c of shape \[n 3\], but none"):
        conditional.mapping(z)
    with pytest.raises(InputError, match=r"no labels, but c of shape \[1, 3\]"):
        make().mapping(z, one)


@pytest.mark.parametrize("shape", [(6, 8), (1, 5, 8), (1, 6, 9)])
def test_a_face_of_another_generator_is_refused_in_words(rng, shape):
    with pytest.raises(InputError, match=r"needs \[n 6 8\]"):
        make().synthesis(rng.randn(*shape))


@pytest.mark.parametrize(
    "change",
    [
        {"resolution": 24},
        {"resolution": 2},
        {"resolution": 4096},
        {"resolution": 16.0},
        {"w_dim": 0},
        {"z_dim": 100_000},
        {"channel_base": 8},
        {"c_dim": -1},
        {"mapping_lr_mul": 0},
        {"conv_clamp": -1},
        {"architecture": "progressive"},
    ],
)
def test_impossible_configurations_are_refused_by_name(change):
    with pytest.raises(ValueError, match=f"{next(iter(change))} is"):
        dataclasses.replace(TINY, **change)


def test_the_seed_alone_decides_the_first_weights():
    before = torch.get_rng_state()
    one, same, other = Generator(TINY, seed=1), Generator(TINY, seed=1), Generator(TINY, seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one.synthesis.b16.conv1.weight, same.synthesis.b16.conv1.weight)
    assert not torch.equal(one.synthesis.b16.conv1.weight, other.synthesis.b16.conv1.weight)


def test_a_fresh_generator_keeps_the_scale_of_its_signals():
    config = GeneratorConfig(resolution=32, channel_base=4096, channel_max=128)
    generator = Generator(config).requires_grad_(False)
    w = generator.mapping(torch.randn(64, 512, generator=torch.Generator().manual_seed(0)))
    assert 0.5 < w.std() < 2
    for x in features(generator, generator.broadcast(w[:4])):
        assert 0.3 < x.square().mean().sqrt() < 3  # borders and the blur lose a little


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
def test_gradients_reach_ws_and_every_parameter(rng, architecture):
    generator = make(architecture=architecture).requires_grad_(True)
    ws = rng.randn(2, 6, 8).requires_grad_()
    generator.synthesis(ws).square().mean().backward()
    assert (ws.grad.abs().sum(dim=(0, 2)) > 0).all()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in generator.synthesis.parameters())


def test_runs_under_autocast(rng):
    generator, ws = make().float(), rng.randn(2, 6, 8).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        images = generator.synthesis(ws)
    assert_close(images.float(), generator.synthesis(ws), rtol=0.1, atol=0.1)


def test_a_seed_stands_for_one_face_in_any_batch_and_in_any_state_of_the_world():
    generator = make()
    torch.manual_seed(1)
    together = generator.sample([7, 3, 7], psi=0.7)
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    assert_close(together, torch.cat([generator.sample([seed], psi=0.7) for seed in (7, 3, 7)]))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(together[0], together[2])
    assert (together[0] - together[1]).abs().max() > 0.01


def test_a_sampled_face_is_the_truncated_mapping_of_its_seeds_noise():
    generator = make()
    z = torch.randn(1, 6, generator=torch.Generator().manual_seed(5)).double()
    expected = generator.truncate(generator.broadcast(generator.mapping(z)), 0.4)
    found = generator.sample(range(5, 6), psi=0.4)
    assert_close(found, expected)
    assert found.shape == (1, generator.num_ws, 8)
    assert_close(generator.sample([5], psi=0)[0, 0], generator.w_avg)

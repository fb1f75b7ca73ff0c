"""The demo's training code, on tiny models: the fast synthesis, the losses, the judge's and the report's arithmetic."""

import pytest
import torch
from factories import tiny_generator_config
from torch.testing import assert_close

from lga_core import Generator
from lga_trainer.demo.attribute_map import AttributeMap
from lga_trainer.demo.doodle.domain import DOMAIN
from lga_trainer.demo.doodle.rendering.attributes import (
    COLUMN,
    EXPRESSION,
    EXPRESSION_PRESETS,
    PROMPTS,
    sample,
    sample_neutral,
    with_preset,
)
from lga_trainer.demo.stages.clip_model import multi_positive
from lga_trainer.demo.stages.training_synthesis import final_image, synthesis_images
from lga_trainer.motion import losses


@pytest.fixture
def generator() -> Generator:
    model = Generator(tiny_generator_config(32, 24, channel_base=512), seed=1)
    rng = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in model.synthesis.named_parameters():
            if name.endswith(("bias", "noise_strength")):
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=rng))
    return model


def test_training_synthesis_is_the_generator(generator):
    ws = torch.randn(3, generator.num_ws, 24, generator=torch.Generator().manual_seed(0))
    images = list(synthesis_images(generator, ws, dtype=torch.float32))
    for image, size in zip(images, (4, 8, 16, 32), strict=True):
        assert_close(image, generator.synthesis(ws, max_resolution=size), atol=2e-5, rtol=1e-5)


def test_training_synthesis_has_the_generator_s_gradients(generator):
    ws = torch.randn(2, generator.num_ws, 24, generator=torch.Generator().manual_seed(0), requires_grad=True)
    weights = [parameter for name, parameter in generator.synthesis.named_parameters()]
    pattern = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    fast = torch.autograd.grad((final_image(generator, ws, dtype=torch.float32) * pattern).sum(), [ws, *weights])
    plain = torch.autograd.grad((generator.synthesis(ws) * pattern).sum(), [ws, *weights])
    for ours, theirs in zip(fast, plain, strict=True):
        assert_close(ours, theirs, atol=1e-3 * theirs.abs().max().item(), rtol=1e-3)


def test_attributes_outside_the_map_draw_nothing():
    places = AttributeMap.create(DOMAIN.attributes, w_dim=128)
    attributes, _ = sample(16, torch.Generator().manual_seed(0))
    w = places.to_w(attributes)
    assert places.outside(w).abs().max() < 1e-4
    noise = torch.randn(4, 128)
    assert_close(places.outside(places.outside(noise)), places.outside(noise), atol=1e-4, rtol=1e-4)


def test_a_code_without_its_expression_keeps_everything_else():
    places = AttributeMap.create(DOMAIN.attributes, w_dim=128)
    smiling = with_preset(sample_neutral(3, torch.Generator().manual_seed(0)), "smiling")
    redhead = smiling.clone()
    redhead[:, COLUMN["hair:red"]] += 0.5
    change = places.to_w(redhead) - places.to_w(smiling)
    assert_close(places.without(change, DOMAIN.attributes.columns(EXPRESSION)), change, atol=1e-4, rtol=0)
    expression = places.to_w(smiling) - places.to_w(sample_neutral(3, torch.Generator().manual_seed(0)))
    assert places.without(expression, DOMAIN.attributes.columns(EXPRESSION)).abs().max() < 1e-4


def test_contrastive_loss_is_the_printed_equation():
    rng = torch.Generator().manual_seed(0)
    features, sentences = (torch.nn.functional.normalize(torch.randn(n, 8, generator=rng), dim=1) for n in (3, 5))
    true = torch.tensor([4, 0, 2])
    expected = 0.0
    for feature, index in zip(features, true.tolist(), strict=True):
        similarity = torch.stack([feature @ sentence / 0.07 for sentence in sentences])
        expected -= (similarity[index] - torch.log(similarity.exp().sum())).item() / 3
    assert losses.contrastive(features, sentences, true).item() == pytest.approx(expected, rel=1e-4)


def test_path_loss_is_zero_on_a_straight_even_path_only():
    straight = torch.arange(5.0).reshape(1, 5, 1, 1).expand(2, 5, 3, 4)
    assert losses.smoothness(straight) == 0
    assert losses.smoothness(straight**2) == pytest.approx(4.0)


def test_pixel_loss_counts_only_where_it_is_told_to():
    source, moved = torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    moved[..., 0, 0] = 1.0
    weight = torch.ones(1, 1, 4, 4)
    assert losses.masked_l1(moved, source, weight).item() == pytest.approx(1 / 16)
    weight[..., 0, 0] = 0.0
    assert losses.masked_l1(moved, source, weight) == 0


def test_whitened_faces_vary_alike_and_other_directions_cost_a_hundred_times_more():
    rng = torch.Generator().manual_seed(0)
    spread = torch.tensor([3.0, 0.5, 1.0, 0.0])  # no face varies in the last direction
    w = torch.randn(4096, 4, generator=rng) * spread
    white = losses.covariance_power(w, power=-0.5)
    used = spread[:3].square().mean()
    assert_close((w @ white).std(dim=0)[:3] / used.sqrt(), torch.ones(3), atol=0.1, rtol=0)
    for direction, expected in ((0, 1 / (9 / used + 0.01)), (3, torch.tensor(100.0))):
        motion = torch.zeros(1, 2, 1, 4)
        motion[0, 1, 0, direction] = 2.0
        assert losses.w_mahalanobis(motion, white).item() == pytest.approx(4 * expected.item() / 4, rel=0.1)


def test_coloured_noise_varies_as_faces_do():
    rng = torch.Generator().manual_seed(0)
    w = torch.randn(4096, 3, generator=rng) @ torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    offsets = torch.randn(8192, 3, generator=rng) @ losses.covariance_power(w, floor=0.0)
    measured, expected = torch.cov(offsets.T), torch.cov(w.T)
    assert_close(measured / measured.trace(), expected / expected.trace(), atol=0.03, rtol=0)


def test_multi_positive_loss_is_infonce_when_each_caption_is_true_of_one_face():
    logits = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
    only = torch.eye(6, dtype=torch.bool)
    everything = torch.ones(6, 6, dtype=torch.bool)
    expected = torch.nn.functional.cross_entropy(logits, torch.arange(6))
    expected = expected + torch.nn.functional.cross_entropy(logits.T, torch.arange(6))
    assert_close(multi_positive(logits, only, everything), expected)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_full_preset_is_a_rise_of_one_and_changes_nothing_that_should_stay(prompt):
    before = sample_neutral(5, torch.Generator().manual_seed(1))
    after = with_preset(before, prompt)
    rise = DOMAIN.attributes.named_change(prompt, before, after)
    if prompt in EXPRESSION_PRESETS:
        assert_close(rise, torch.ones(5), atol=1e-4, rtol=0)
    else:
        assert rise.min() > 0.5
    stays = DOMAIN.attributes.columns(DOMAIN.attributes.preserved[prompt])
    assert torch.equal(before[:, stays], after[:, stays])


def test_bars_fail_when_nothing_moves():
    still = {"rise": 0.0, "top1": 1 / 18, "stay": 0.0, "outside": 0.0}
    full = {"rise": 1.0, "top1": 1.0, "stay": 0.1, "outside": 0.0}
    figures = {
        "prompts": dict.fromkeys(PROMPTS, still),
        "ceiling": dict.fromkeys(PROMPTS, full),
        "held_out": {"x": still},
        "first_step_share": 0.07,
        "amplitude": {"4": 1.0, "16": 1.05},
    }
    met = {bar.name: bar.is_met(figures) for bar in DOMAIN.bars}
    assert sum(met.values()) == 4  # what stays, outside, first step, amplitude

"""The motion model against its definition and properties; the published numbers are in test_golden_motion.py."""

import dataclasses
import math

import pytest
import torch
from torch.testing import assert_close

from lga_core import InputError, MismatchError, MotionConfig, MotionModel
from lga_core.motion.model import residual_schedule

VARIANTS = ("anchored", "paper", "official")
FRAMES = (4, 8, 16, 32, 64, 128)
SMALL = {"w_dim": 8, "hidden_dim": 7, "mapper_dim": 12}


def make(variant: str = "anchored", **overrides) -> MotionModel:
    """A tiny float64 model whose biases are not zero, as after training."""
    model = MotionModel(getattr(MotionConfig, variant)(10, 6, **{**SMALL, **overrides})).double()
    rng = torch.Generator().manual_seed(1)
    for parameter in model.requires_grad_(False).parameters():
        parameter.add_(torch.randn(parameter.shape, generator=rng, dtype=torch.float64), alpha=0.1)
    return model


def embeddings(rng, n: int):
    return torch.nn.functional.normalize(rng.randn(n, 10))


def total(variant: str, num_frames: int, schedule: str | None = None) -> float:
    return residual_schedule(getattr(MotionConfig, variant)(10, 6), num_frames, schedule).sum().item()


# Sums of step sizes in closed form, and as tabulated for T = 4 .. 128 from the published formulas.
CLOSED = {
    ("paper", "const"): (lambda t: 0.2 * (t - 1), (0.6, 1.4, 3.0, 6.2, 12.6, 25.4)),
    ("paper", None): (lambda t: 0.1 * (t - 1), (0.3, 0.7, 1.5, 3.1, 6.3, 12.7)),
    ("official", "const"): (lambda t: 0.8 * (t - 1) / t, (0.6, 0.7, 0.75, 0.775, 0.7875, 0.794)),
    ("official", None): (lambda t: 0.4 * (t - 1) / t, (0.3, 0.35, 0.375, 0.3875, 0.3937, 0.397)),
    ("official", "sqrt"): (
        lambda t: sum(0.8 / t * math.sqrt(i / t) for i in range(1, t)),
        (0.415, 0.477, 0.506, 0.520, 0.527, 0.530),
    ),
    ("official", "exp"): (
        lambda t: sum(0.8 / t * (1 - math.exp(-i / t)) for i in range(1, t)),
        (0.229, 0.262, 0.278, 0.286, 0.290, 0.292),
    ),
    ("anchored", None): (lambda t: 0.6, (0.6,) * 6),
    ("anchored", "linear"): (lambda t: 0.6, (0.6,) * 6),
    ("anchored", "sqrt"): (lambda t: 0.6, (0.6,) * 6),
    ("anchored", "exp"): (lambda t: 0.6, (0.6,) * 6),
}


@pytest.mark.parametrize("variant, schedule", CLOSED)
def test_sums_of_step_sizes_are_the_published_table(variant, schedule):
    closed_form, table = CLOSED[variant, schedule]
    for num_frames, tabulated in zip(FRAMES, table, strict=True):
        assert abs(total(variant, num_frames, schedule) - closed_form(num_frames)) < 1e-6
        assert abs(total(variant, num_frames, schedule) - tabulated) < 6e-4  # the table is rounded


def test_step_sizes_themselves_are_the_published_ones():
    paper, official = MotionConfig.paper(10, 6), MotionConfig.official(10, 6)
    i = torch.arange(2, 17, dtype=torch.float64)
    assert_close(residual_schedule(paper, 16), 0.2 * (16 + 1 - i) / 16)
    t = torch.arange(1, 16, dtype=torch.float64)
    assert_close(residual_schedule(official, 16), 0.05 * (16 - t) / 16)
    assert_close(residual_schedule(official, 4, "const"), torch.full((3,), 0.2, dtype=torch.float64))
    assert_close(residual_schedule(MotionConfig.anchored(10, 6), 4), torch.full((3,), 0.2, dtype=torch.float64))
    assert residual_schedule(paper, 1).shape == (0,)


def test_the_variants_differ_in_these_fields():
    fields = ("anchor", "visual_offset", "slope", "h0_std", "schedule", "schedule_rule", "head")
    values = {name: [getattr(getattr(MotionConfig, name)(10, 6), field) for field in fields] for name in VARIANTS}
    assert values == {
        "anchored": ["output", False, 0.1, 0.01, "const", "normalised", "per_layer"],
        "paper": ["none", True, 0.1, 0.1, "linear", "paper", "per_layer"],
        "official": ["code", True, 0.01, 0.01, "linear", "official", "per_layer"],
    }


@pytest.mark.parametrize("num_frames", [1, 2, 4, 16, 33, 128])
@pytest.mark.parametrize("seed", [0, 7])
def test_first_anchored_frame_is_the_source_face_bit_for_bit(rng, num_frames, seed):
    model, text, image = make(h0_std=0.5).float(), embeddings(rng, 2).float(), embeddings(rng, 2).float()
    ws = rng.randn(2, 6, 8).float()
    motion = model(text, image, num_frames, strength=1.7, seed=seed)
    assert motion.shape == (2, num_frames, 6, 8)
    assert torch.equal(motion[:, 0], torch.zeros(2, 6, 8))
    assert torch.equal(ws + motion[:, 0], ws)


@pytest.mark.parametrize("variant", ["paper", "official"])
def test_other_variants_move_the_first_frame_and_that_is_known(rng, variant):
    motion = make(variant)(embeddings(rng, 1), embeddings(rng, 1), 4)
    assert motion[:, 0].abs().max() > 0.01


@pytest.mark.parametrize("variant", VARIANTS)
def test_motion_follows_the_equations(rng, variant):
    """The whole model again, written frame by frame from the equations."""
    model, text, image = make(variant), embeddings(rng, 1), embeddings(rng, 1)
    config, weights = model.config, model.state_dict()

    def linear(name, x):
        return weights[f"recurrent.{name}.weight"] @ x + weights[f"recurrent.{name}.bias"]

    def leaky(x, slope):
        return torch.where(x > 0, x, slope * x)

    def mapper(name, x):
        x = x / (x.square().mean() + 1e-8).sqrt()
        for i in range(3):
            w, b = weights[f"mapper.{name}.{i}.weight"], weights[f"mapper.{name}.{i}.bias"]
            x = leaky(w @ x / math.sqrt(len(x)) + b, 0.2) * math.sqrt(2)
        return x.reshape(6, 8)

    z, h = text[0] + image[0], model.initial_hidden_state(1, seed=5)[0].double()
    codes = [z]
    for rate in residual_schedule(config, 5):
        u = torch.cat([leaky(linear("fc1", z), config.slope), h])
        z = z + rate * leaky(linear("fc2", u), config.slope)
        h = h + rate * leaky(linear("fc3", u), config.slope)
        codes.append(z)
    for motion, code in zip(model(text, image, 5, seed=5)[0], codes, strict=True):
        expected = {
            "anchored": lambda code=code: mapper("motion", code) - mapper("motion", codes[0]),
            "paper": lambda code=code: mapper("motion", code) + mapper("visual", image[0]),
            "official": lambda code=code: mapper("motion", code - codes[0]) + mapper("visual", image[0]),
        }[variant]()
        assert_close(motion, expected)


def test_without_last_activation_the_output_is_linear_and_the_gain_scales_it(rng):
    codes = rng.randn(2, 3, 10)
    plain = make("paper", last_activation=False)
    active = torch.nn.functional.leaky_relu(plain.offsets(codes), 0.2) * math.sqrt(2)
    assert_close(make("paper").offsets(codes), active)
    assert_close(make("paper", output_gain=0.1).offsets(codes), 0.1 * active)


def test_a_shared_head_moves_every_row_alike_with_fewer_weights(rng):
    shared, per_layer = make(head="shared"), make()
    motion = shared(embeddings(rng, 2), num_frames=3)
    assert motion.shape == (2, 3, 6, 8)
    assert torch.equal(motion, motion[:, :, :1].expand(-1, -1, 6, -1))
    assert motion[:, -1].abs().max() > 0
    assert not torch.allclose(per_layer(embeddings(rng, 2), num_frames=3)[:, :, 0], motion[:, :, 1])
    assert shared.mapper.motion[2].weight.shape == (8, 12)
    assert per_layer.mapper.motion[2].weight.shape == (48, 12)


def test_names_of_the_weights():
    names = {name.rsplit(".", 1)[0] for name in make("official").state_dict()}
    recurrent = {"recurrent.fc1", "recurrent.fc2", "recurrent.fc3"}
    motion, visual = ({f"mapper.{name}.{i}" for i in range(3)} for name in ("motion", "visual"))
    assert names == recurrent | motion | visual
    assert {name.rsplit(".", 1)[0] for name in make().state_dict()} == recurrent | motion


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_face_moves_in_a_batch_as_it_moves_alone(rng, variant):
    model, text, image = make(variant), embeddings(rng, 3), embeddings(rng, 3)
    alone = [model(text[i : i + 1], image[i : i + 1], 6, seed=3) for i in range(3)]
    assert_close(model(text, image, 6, seed=3), torch.cat(alone))
    each = [model(text[i : i + 1], image[i : i + 1], 6, seed=10 + i) for i in range(3)]
    assert_close(model(text, image, 6, seed=[10, 11, 12]), torch.cat(each))


def test_same_seed_same_motion_other_seed_other_motion(rng):
    model, text = make(h0_std=0.5), embeddings(rng, 1)
    before = torch.get_rng_state()
    one = model(text, num_frames=5, seed=1)
    assert torch.equal(one, model(text, num_frames=5, seed=1))
    assert not torch.allclose(one, model(text, num_frames=5, seed=2))
    assert torch.equal(torch.get_rng_state(), before)


def test_first_state_has_its_standard_deviation_and_fresh_draws_differ():
    model = make(hidden_dim=4000, h0_std=0.3)
    state = model.initial_hidden_state(2, torch.Generator().manual_seed(0))
    assert abs(state.std() - 0.3) < 0.01
    assert not torch.allclose(state[0], state[1])
    assert torch.equal(*model.initial_hidden_state(2, seed=4))
    assert torch.equal(make(h0_std=0.0).initial_hidden_state(1), torch.zeros(1, 7))
    with pytest.raises(InputError, match="3 seeds for 2 faces"):
        model.initial_hidden_state(2, seed=[1, 2, 3])


def test_strength_is_a_product_and_leaves_the_visual_offset_alone(rng):
    model, text, image = make("paper"), embeddings(rng, 2), embeddings(rng, 2)
    motion = model(text, image, 4, strength=1)
    visual = model.visual(image)[:, None]
    assert_close(model(text, image, 4, strength=0.5) - visual, 0.5 * (motion - visual))
    assert_close(model(text, image, 4, visual_strength=0), motion - visual)
    assert_close(model(text, image, 4, strength=0), visual.expand(-1, 4, -1, -1))


def test_the_amount_of_motion_hardly_depends_on_the_number_of_frames(rng):
    model, text = make(), embeddings(rng, 4)
    amount = [model(text, num_frames=t)[:, -1].norm() for t in FRAMES]
    assert max(amount) / min(amount) < 1.12
    paper = make("paper")
    grown = [(paper(text, num_frames=t)[:, -1] - paper(text, num_frames=t)[:, 0]).norm() for t in (4, 128)]
    assert grown[1] / grown[0] > 2  # as published, it does


def test_one_sentence_serves_many_pictures(rng):
    model, text, image = make(), embeddings(rng, 1), embeddings(rng, 3)
    assert_close(model(text, image, 4), model(text.expand(3, -1), image, 4))


def test_no_gradient_reaches_the_picture_through_the_first_code(rng):
    model = make("official").requires_grad_(True)
    text, image = embeddings(rng, 2).requires_grad_(), embeddings(rng, 2).requires_grad_()
    model.offsets(model.rollout(text + image.detach(), 3, model.initial_hidden_state(2).double())).sum().backward()
    through_codes = text.grad.clone()
    text.grad = None
    model(text, image, 3).sum().backward()
    assert_close(text.grad, through_codes)
    visual_only = torch.autograd.grad(3 * model.visual(image).sum(), image)[0]
    assert_close(image.grad, visual_only)


def test_gradients_reach_every_parameter(rng):
    model = make("official").requires_grad_(True)
    model(embeddings(rng, 2), embeddings(rng, 2), 4).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())


def test_the_seed_alone_decides_the_first_weights():
    config = MotionConfig.anchored(10, 6, **SMALL)
    one, same, other = (MotionModel(config, seed=s).state_dict() for s in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["recurrent.fc1.weight"], other["recurrent.fc1.weight"])
    assert one["recurrent.fc2.bias"].abs().max() <= 1 / math.sqrt(14)


@pytest.mark.parametrize("num_frames", [0, -3, 2.5, "16"])
def test_a_clip_needs_at_least_one_whole_frame(rng, num_frames):
    with pytest.raises(InputError, match=r"needs a whole number of frames, at least 1"):
        make()(embeddings(rng, 1), num_frames=num_frames)


def test_embeddings_of_another_clip_are_refused_in_words(rng):
    with pytest.raises(MismatchError, match=r"text embedding has shape \[1, 12\].*needs \[n 10\]"):
        make()(rng.randn(1, 12))
    with pytest.raises(MismatchError, match="image embedding"):
        make()(embeddings(rng, 1), rng.randn(10))


@pytest.mark.parametrize(
    "change",
    [
        {"code_dim": 0},
        {"num_ws": 2.0},
        {"head": "both"},
        {"anchor": "frame"},
        {"schedule": "cosine"},
        {"schedule_rule": "free"},
        {"visual_offset": 1},
        {"slope": -0.1},
        {"h0_std": math.nan},
        {"schedule_sum": 0},
        {"output_gain": math.inf},
    ],
)
def test_impossible_configurations_are_refused_by_name(change):
    with pytest.raises(ValueError, match=f"{next(iter(change))} is"):
        dataclasses.replace(MotionConfig(10, 6), **change)
    if "schedule" in change:
        with pytest.raises(ValueError, match="schedule is"):
            residual_schedule(MotionConfig(10, 6), 4, "cosine")

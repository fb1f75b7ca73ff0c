"""A motion's training on the tiny domain: one step's losses and gradients, and a short run that learns."""

import dataclasses

import pytest
import torch

from lga_core import MotionConfig, MotionModel, load_domain
from lga_trainer.motion import (
    MotionTraining,
    Prompt,
    Sentences,
    begin_coloured,
    colour_output,
    plain_output,
    prepare_sources,
    random_view,
    train,
    train_step,
)

PROMPTS = [
    Prompt("The cartoon face is smiling.", ("smiling",)),
    Prompt("The cartoon face is sad."),
    Prompt("blonde hair", keep=0.0),
]

WHITE = torch.eye(16)
FACES = torch.randn(64, 16, generator=torch.Generator().manual_seed(8))


@pytest.fixture(scope="module")
def parts(domain_folder):
    domain = load_domain(domain_folder)
    ws = domain.generator.broadcast(
        domain.generator.mapping(torch.randn(6, 16, generator=torch.Generator().manual_seed(0)))
    )
    return domain, prepare_sources(ws.detach(), domain.generator.synthesis, domain.clip)


def step(parts, model, config=MotionTraining(), seed=0):  # noqa: B008 (immutable)
    domain, sources = parts
    batch, chosen = sources.at(torch.arange(2)), torch.tensor([0, 1])
    keep = torch.ones(2, 1, 32, 32)
    sentences = [Sentences.of(PROMPTS, domain.clip)] * 2
    rng = torch.Generator().manual_seed(seed)
    return train_step(
        model,
        domain.clip,
        [domain.clip],
        domain.generator.synthesis,
        batch,
        sentences,
        chosen,
        keep,
        WHITE,
        config,
        rng,
    )


def test_every_loss_of_a_step_has_a_weight_and_a_gradient_to_the_motion_alone(parts):
    domain, _ = parts
    model = MotionModel(domain.motion.config, seed=3)
    terms = step(parts, model)
    weights = {field.name for field in dataclasses.fields(MotionTraining)}
    assert set(terms) <= weights
    for name, term in terms.items():
        gradients = torch.autograd.grad(term, list(model.parameters()), retain_graph=True, allow_unused=True)
        assert any(g is not None and g.abs().max() > 0 for g in gradients), name
    for part in (domain.generator, domain.clip):
        assert all(parameter.grad is None for parameter in part.parameters())


def test_a_still_motion_costs_nothing_but_contrast(parts):
    domain, _ = parts
    model = MotionModel(domain.motion.config, seed=3)
    with torch.no_grad():
        for layer in model.mapper.motion:
            layer.weight.zero_()
            layer.bias.zero_()
    terms = step(parts, model)
    assert terms["contrastive"] > 0
    for name in ("offset_size", "path", "pixels", "perceptual", "unlikeliness"):
        assert terms[name].item() == pytest.approx(0, abs=1e-6), name


def test_same_seed_same_step(parts):
    model = MotionModel(parts[0].motion.config, seed=3)
    first, again, other = step(parts, model), step(parts, model), step(parts, model, seed=1)
    assert first["contrastive"] == again["contrastive"] != other["contrastive"]


def test_training_lowers_the_loss_that_is_weighed_and_keeps_the_model_it_averages(parts):
    """An untrained CLIP sees no difference between pictures, so the size of the motion stands for all losses."""
    domain, sources = parts
    model = MotionModel(domain.motion.config, seed=3)
    before = step(parts, model)["offset_size"].item()
    config = MotionTraining(steps=40, batch=3, lr=1e-2, contrastive=0.0, offset_size=1.0, unlikeliness=0.0, average=0.5)
    trained = train(model, domain.clip, domain.generator.synthesis, sources, PROMPTS, torch.ones(32, 32), FACES, config)
    assert step(parts, trained)["offset_size"].item() < 0.3 * before
    assert not any(parameter.requires_grad for parameter in trained.parameters())


def test_a_path_loss_needs_three_frames():
    with pytest.raises(ValueError, match="at least 3"):
        MotionTraining(num_frames=2)
    MotionTraining(num_frames=2, path=0.0)


def test_views_differ_from_picture_to_picture_and_stay_in_range():
    pictures = torch.rand(1, 3, 16, 16).expand(4, -1, -1, -1) * 2 - 1
    views = random_view(pictures, torch.Generator().manual_seed(0))
    assert views.shape == pictures.shape and views.abs().max() <= 1
    assert not torch.allclose(views[0], views[1])


def test_colouring_the_output_changes_how_a_model_learns_and_not_what_it_is():
    config = MotionConfig(
        code_dim=8, num_ws=4, w_dim=6, hidden_dim=8, mapper_dim=8, head="shared", last_activation=False
    )
    model, text = MotionModel(config, seed=1), torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    colour = torch.eye(6) + 0.3 * torch.ones(6, 6)
    plain = model(text, num_frames=5)
    colour_output(model, colour)
    moved = model(text, num_frames=5)
    assert torch.allclose(moved, plain, atol=1e-5)
    learned = model.mapper.motion[-1].parametrizations.weight.original
    assert torch.allclose(colour @ learned, model.mapper.motion[-1].weight, atol=1e-6)
    plain_output(model)
    assert torch.equal(model(text, num_frames=5), moved)
    assert set(model.state_dict()) == set(MotionModel(config).state_dict())


def test_a_coloured_model_s_first_offsets_lie_where_faces_vary():
    config = MotionConfig(
        code_dim=8, num_ws=4, w_dim=6, hidden_dim=8, mapper_dim=8, head="shared", last_activation=False
    )
    model, text = MotionModel(config, seed=1), torch.randn(9, 8, generator=torch.Generator().manual_seed(0))
    varied = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    begin_coloured(model, torch.randn(99, 6, generator=torch.Generator().manual_seed(2)) * varied)
    lengths = model(text, num_frames=4)[:, -1].detach().square().mean(dim=(0, 1))
    assert lengths[:2].min() > 50 * lengths[2:].max()

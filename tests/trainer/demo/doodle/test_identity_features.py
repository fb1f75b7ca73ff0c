"""Who a doodle is, and what else evaluations of doodles look at."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from lga_core import load_domain
from lga_core.metrics.clip_metrics import average_content_distance
from lga_trainer.demo.checks.evaluation import evaluation_setup
from lga_trainer.demo.checks.identity_features import discriminants, find_identity_features
from lga_trainer.demo.checks.judge_adapter import AttributeJudge
from lga_trainer.demo.doodle.domain import DOMAIN
from lga_trainer.demo.doodle.rendering.attributes import EXPRESSION_PRESETS, sample_neutral, with_expression
from lga_trainer.demo.doodle.rendering.renderer import render
from lga_trainer.evaluation.fid import FrechetDistance, Moments


@pytest.fixture(scope="module")
def persons():
    return find_identity_features(DOMAIN, AttributeJudge(DOMAIN).network)


@pytest.fixture(scope="module")
def people():
    return sample_neutral(12, torch.Generator().manual_seed(1))


def test_discriminants_are_fishers(rng):
    spread = torch.tensor([5.0, 0.2, 2.0, 0.1]).double()
    looks = rng.randn(60, 1, 4) * spread + rng.randn(60, 5, 4) * torch.tensor([1.0, 1.0, 0.1, 3.0]).double() + 7
    middle, directions = discriminants(looks, 2, ridge=0.0)
    means = looks.mean(dim=1)
    inner, outer = (looks - means[:, None]).flatten(0, 1), means - means.mean(dim=0)
    within, between = inner.T @ inner / (60 * 4), outer.T @ outer / 59
    assert_close(middle, looks.mean(dim=(0, 1)))
    assert_close(directions.T @ within @ directions, torch.eye(2).double(), atol=1e-9, rtol=0)
    found = directions.T @ between @ directions
    assert_close(found, found.diagonal().diag(), atol=1e-9, rtol=0)
    best = torch.linalg.eigvals(torch.linalg.solve(within, between)).real.sort(descending=True).values
    assert_close(found.diagonal(), best[:2])


def test_what_a_person_does_is_not_who_it_is(persons, people):
    """Every expression leaves everybody nearer to themselves than any stranger is."""
    calm = persons(render(people, 128))
    strangers = torch.cdist(calm, calm) + 9 * torch.eye(len(people))
    assert torch.pdist(calm).mean() == pytest.approx(1.0, abs=0.15)
    for name in EXPRESSION_PRESETS:
        moved = (persons(render(with_expression(people, name), 128)) - calm).norm(dim=1)
        assert (moved < strangers.min(dim=1).values).all(), name
        assert moved.mean() < 0.2, name


def test_acd_of_a_clip_that_becomes_someone_else_is_far_larger(persons, people):
    way = torch.linspace(0, 1, 8)[:, None]
    smiling = people[:1] + way * (with_expression(people[:1], "happy") - people[:1])
    becoming = people[:1] + way * (people[1:2] - people[:1])
    acd = [average_content_distance(persons(render(clip, 128))) for clip in (smiling, becoming)]
    assert acd[0] < 0.2 * acd[1]


def test_frechet_distances_of_doodles_order_renders_drawings_and_noise(persons, monkeypatch):
    monkeypatch.setattr("lga_trainer.demo.checks.evaluation.find_identity_features", lambda domain, judge: persons)
    domain = load_domain("doodle")
    setup = evaluation_setup(DOMAIN, domain, None, None)
    assert setup.networks.features is not None
    look = setup.networks.features.embed

    def moments(pictures: torch.Tensor) -> Moments:
        with torch.no_grad():
            return Moments.of(look(pictures))

    real, other = torch.cat(list(setup.reference(128))).split(64)
    with torch.no_grad():
        drawn = torch.cat([domain.generator.synthesis(ws) for ws in setup.faces(16).split(8)])
        distance = FrechetDistance([look(real)])
    noise = torch.rand(drawn.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = [distance(moments(pictures)) for pictures in (other, drawn, noise)]
    assert found == sorted(found)

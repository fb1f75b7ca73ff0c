"""Pivotal tuning on the embedded domain: the picture comes closer, and a judge that no loss uses still sees motions."""

import pytest
import torch
from paths import FACES

from lga_core import load_domain, load_image, tune
from lga_core.imaging.images import fit_square
from lga_core.metrics.perceptual import ClipFeatureDistance
from lga_core.rendering import draw
from lga_trainer.demo.doodle.domain import DOMAIN
from lga_trainer.demo.stages.judge import judged, load_judge

FACE = FACES / "face2.png"
PROMPTS = ("smiling", "surprised", "closing eyes", "crying")


@pytest.fixture(scope="module")
def domain():
    return load_domain("doodle")


@pytest.fixture(scope="module")
def picture(domain):
    return fit_square(load_image(FACE), domain.generator.config.resolution)


@torch.no_grad()
def rises(domain, generator, ws):
    judge = load_judge(DOMAIN.assets / "judge.safetensors")
    before, found = judged(judge, draw(generator, ws)).attributes, {}
    for prompt in PROMPTS:
        after = judged(judge, draw(generator, ws + domain.motion_for(prompt, ws)[:, -1])).attributes
        found[prompt] = DOMAIN.attributes.named_change(prompt, before, after).item()
    return found


def test_tuning_comes_closer_by_40_percent_and_the_face_still_moves(domain, picture):
    ws = domain.invert(picture, refine_steps=0)
    distance = ClipFeatureDistance(domain.clip, domain.generator.config.resolution)
    tuned = tune(domain.generator, ws, picture, distance, steps=15, stop=0)
    before, after = (distance.each(draw(model, ws), picture).item() for model in (domain.generator, tuned))
    assert after <= 0.6 * before
    untuned, found = rises(domain, domain.generator, ws), rises(domain, tuned, ws)
    assert all(found[prompt] >= max(0.5, 0.85 * untuned[prompt]) for prompt in PROMPTS)

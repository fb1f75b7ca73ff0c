"""The shipped weights against their bars, on fewer faces than `lga demo report` takes, chosen by no one."""

import pytest

from lga_core import load_domain
from lga_trainer.demo.checks.motion_metrics import motion_figures, motion_table
from lga_trainer.demo.checks.part_metrics import (
    clip_figures,
    encoder_figures,
    generator_figures,
    judge_figures,
)
from lga_trainer.demo.doodle.domain import DOMAIN
from lga_trainer.demo.doodle.rendering.attributes import EXPRESSION_PRESETS, sample
from lga_trainer.demo.doodle.rendering.renderer import render
from lga_trainer.demo.stages.judge import load_judge


@pytest.fixture(scope="module")
def parts():
    import torch

    domain, judge = load_domain("doodle"), load_judge(DOMAIN.assets / "judge.safetensors")
    places = DOMAIN.attribute_map()
    attributes, _ = sample(256, torch.Generator().manual_seed(4))
    ws = domain.generator.broadcast(places.to_w(attributes))
    with torch.no_grad():
        faces = torch.cat([domain.generator.synthesis(chunk) for chunk in ws.split(16)])
    return domain, judge, places, attributes, ws, render(attributes), faces


def test_judge_knows_renders_and_generated_faces(parts):
    _, judge, _, attributes, _, renders, faces = parts
    figures = judge_figures(DOMAIN, judge, renders, faces, attributes)
    assert figures["auc_renders"] >= 0.985
    assert figures["auc_generated"] >= 0.97


def test_generator_draws_what_the_renderer_draws(parts):
    figures = generator_figures(parts[5], parts[6])
    assert figures["psnr"] >= 28
    assert figures["psnr_worst_5_percent"] >= 25.5
    assert 0.97 <= figures["sharpness"] <= 1.03


def test_clip_passes_its_gate(parts):
    assert clip_figures(DOMAIN, parts[0], parts[2])["zero_shot_generated"] >= 0.85


def test_encoder_brings_unseen_faces_back(parts):
    domain, judge, _, _, ws, renders, faces = parts
    figures = encoder_figures(domain, judge, renders[:64], faces[:64], ws[:64], optimised=4)
    assert figures["psnr"] >= figures["psnr_true_code"] - 2
    assert figures["attributes_kept"] >= 0.9


def test_motion_meets_its_bars(parts):
    domain, judge, places = parts[:3]
    figures = motion_figures(DOMAIN, domain, judge, places, num_faces=16, seed=9)
    assert all(bar.is_met(figures) for bar in DOMAIN.bars), motion_table(DOMAIN, figures)
    assert len(figures["prompts"]) == 18 and len(EXPRESSION_PRESETS) == 15

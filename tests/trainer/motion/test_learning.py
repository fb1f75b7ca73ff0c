"""A loop that learns nothing fails here: 300 steps on the embedded domain, and a judge that no loss uses says whether
faces do what the words say."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
import torch

from lga_core import MotionModel, load_motion
from lga_core.domain import read_domain
from lga_core.stylegan2.frozen_synthesis import FrozenSynthesis
from lga_trainer.demo.checks.judge_adapter import AttributeJudge
from lga_trainer.demo.doodle.domain import DOMAIN
from lga_trainer.metrics.motion import first_step_share, top1
from lga_trainer.motion.config import Faces, Losses, MotionRun, Optimizer
from lga_trainer.motion.inputs import MotionInputs
from lga_trainer.motion.train import MotionTraining, fresh_model, train_motion
from lga_trainer.training.config import Watch

pytestmark = pytest.mark.long

STEPS = 300
FRESH = range(2**41, 2**41 + 6)
"""Faces that training never drew."""


@pytest.fixture(scope="module", autouse=True)
def calm():
    """One thread, so that it takes as long everywhere; and no word on words that the small CLIP does not know."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> MotionRun:
    return MotionRun(
        "doodle",
        out=str(tmp_path_factory.mktemp("learning") / "run"),
        score_clips=(str(read_domain("doodle").files["clip"]),),  # one of the domain's four, for speed
        steps=STEPS,
        batch=2,
        losses=Losses(views=1, perceptual=0.0),
        faces=Faces(count=48),
        optimizer=Optimizer(lr=2e-3, warmup=10, average=0.97),
        watch=Watch(tensorboard=False, preview_every=STEPS + 1, save_every=STEPS, log_every=10),
    )


@pytest.fixture(scope="module")
def parts(run) -> MotionInputs:
    return MotionTraining(run).load(Path(run.out), torch.device("cpu"))


@pytest.fixture(scope="module")
def trained(run) -> MotionModel:
    """The model that `lga train motion` makes, without its report."""
    with pytest.MonkeyPatch.context() as patch:
        for hook in ("measure", "report"):
            patch.setattr(MotionTraining, hook, lambda *_: {})
        return load_motion(train_motion(run))


class Seen:
    """What becomes of fresh faces under every prompt: the judge's top-1 and CLIP's, means over prompts and faces."""

    @torch.no_grad()
    def __init__(self, model: MotionModel, parts: MotionInputs) -> None:
        draw, judge, prompts = FrozenSynthesis(parts.generator), AttributeJudge(DOMAIN), parts.prompts
        ws = parts.generator.sample(FRESH, 0.9)
        before = draw(ws)
        pictures, sentences = parts.clip.encode_images(before), parts.clip.encode_text(prompts.sentences)
        judged, hits = [], []
        for index, prompt in enumerate(prompts.prompts):
            self.motion = model(sentences[index : index + 1].expand(len(ws), -1), pictures, 16)
            after = draw(ws + self.motion[:, -1])
            judged.append(judge.verdict(prompt, before, after).top1)
            hits.append(top1(parts.clip.encode_images(after), sentences, index))
        self.judged, self.clip = sum(judged) / len(judged), sum(hits) / len(hits)
        self.chance = 1 / len(prompts.prompts)


@pytest.fixture(scope="module")
def before(run, parts) -> Seen:
    return Seen(fresh_model(run.model, parts.clip.embed_dim, parts.generator, run.seed).eval(), parts)


@pytest.fixture(scope="module")
def after(trained, parts) -> Seen:
    return Seen(trained, parts)


def test_an_untrained_model_is_no_better_than_chance(before):
    """All its faces look alike to the judge, so that it is right for one prompt of eighteen."""
    assert before.judged < 1.5 * before.chance
    assert before.clip < 2 * before.chance


def test_after_300_steps_the_judge_recognises_three_times_as_many_as_chance(after):
    assert after.judged >= 3 * after.chance


def test_after_300_steps_clip_recognises_five_times_as_many_as_chance(after):
    assert after.clip >= 5 * after.chance


def test_contrast_falls(run, trained):
    lines = (Path(run.out) / "metrics.jsonl").read_text().splitlines()
    contrast = [json.loads(line)["motion/contrastive"] for line in lines]
    assert sum(contrast[-10:]) / 10 < 0.6 * sum(contrast[:3]) / 3


def test_motions_begin_at_the_face_and_go_at_an_even_pace(after):
    assert after.motion[:, 0].abs().max() == 0
    assert first_step_share(after.motion) == pytest.approx(1 / 15, abs=0.02)

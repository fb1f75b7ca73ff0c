"""The figures of a motion model and of an encoder, on tiny models and on cases whose answer is known."""

from __future__ import annotations

import json

import pytest
import torch

from lga_core import MotionConfig, MotionModel, load_domain
from lga_trainer.data.prompts import Prompt, PromptSet
from lga_trainer.encoder.metrics import encoder_metrics
from lga_trainer.metrics.bootstrap import interval
from lga_trainer.metrics.judges import JudgeVerdict
from lga_trainer.metrics.motion import amplitudes, disagreement, first_step_share, motion_figures, top1

PROMPTS = PromptSet(
    "tiny",
    "The cartoon face is {}.",
    (
        Prompt("smiling", "The cartoon face is smiling.", held_out=("smiling face.",)),
        Prompt("sad", "The cartoon face is sad."),
        Prompt("has blonde hair", "The cartoon face has blonde hair.", held_out=("blonde.", "blonde hair face.")),
    ),
)


class StubJudge:
    """Sees smiles on three faces of four, never compares, and has no opinion on hair."""

    name, rule = "a stub", "when it likes"

    def __init__(self) -> None:
        self.before = []

    def verdict(self, prompt, before, after):
        assert before.shape == after.shape == (4, 3, 32, 32)
        self.before.append(before)
        return None if "hair" in prompt.prompt else JudgeVerdict(torch.tensor([1.0, 1.0, 1.0, 0.0]))


@pytest.fixture(scope="module")
def parts(domain_folder):
    domain = load_domain(domain_folder)
    z = torch.randn(4, 16, generator=torch.Generator().manual_seed(0))
    ws = domain.generator.broadcast(domain.generator.mapping(z)).detach()
    return domain, ws, domain.clip.encode_images(domain.generator.synthesis(ws)).detach()


def test_first_step_share_of_an_even_path_and_of_a_jump(rng):
    direction, pace = rng.randn(3, 1, 4, 8), torch.arange(16).double()
    even = direction * pace[:, None, None]
    assert first_step_share(even) == pytest.approx(1 / 15)
    assert first_step_share(direction * (pace > 0)[:, None, None]) == pytest.approx(1)
    assert first_step_share(torch.zeros(2, 16, 4, 8)) == 0


def test_amplitudes_are_lengths_of_the_last_offset():
    assert amplitudes(lambda t: torch.full((2, t, 2, 8), t / 4), counts=(4, 8)) == {4: 4.0, 8: 8.0}


def test_top1_counts_the_pictures_nearest_to_the_sentence():
    sentences = torch.eye(3)
    features = torch.tensor([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.6, 0.5, 0.1], [0.0, 0.0, 1.0]])
    assert [top1(features, sentences, true) for true in range(3)] == [0.5, 0.25, 0.25]


def test_interval_covers_the_true_mean_19_times_of_20():
    rng = torch.Generator().manual_seed(3)
    tries = [interval((torch.rand(1, 60, generator=rng) < 0.3).double(), draws=400, seed=i) for i in range(150)]
    assert sum(found["low"] <= 0.3 <= found["high"] for found in tries) / 150 == pytest.approx(0.95, abs=0.05)


def test_words_in_general_are_less_certain_than_this_list_of_words():
    values = torch.tensor([[1.0] * 8, [0.0] * 8, [1.0] * 8, [0.0] * 8])
    assert interval(values) == {"mean": 0.5, "low": 0.5, "high": 0.5}
    other_words = interval(values, resample_rows=True)
    assert other_words["low"] <= 0.25 and other_words["high"] >= 0.75


def test_faces_that_a_judge_does_not_see_do_not_count():
    found = interval(torch.tensor([[1.0, float("nan"), 1.0], [0.0, float("nan"), 0.0]]))
    assert found["mean"] == found["low"] == found["high"] == 0.5


@pytest.mark.parametrize(
    ("clip", "rose", "first", "says"),
    [
        (0.95, 0.5, None, "CLIP may be fooled"),
        (0.95, 1.0, 0.5, "CLIP may be fooled"),  # where the judge compares too, that is what is compared
        (0.05, 0.5, None, "CLIP may confuse it"),
        (0.90, 0.5, None, None),
        (0.10, 0.0, 0.5, None),
    ],
)
def test_a_prompt_is_flagged_where_clip_and_the_judge_disagree(clip, rose, first, says):
    verdict = JudgeVerdict(torch.tensor([rose]), None if first is None else torch.tensor([first]))
    flag = disagreement(clip, verdict)
    assert (flag is None) == (says is None)
    assert says is None or says in str(flag)


def test_motion_figures_hold_every_prompt_and_every_held_out_sentence_as_json(parts):
    domain, ws, features = parts
    judge = StubJudge()
    figures = motion_figures(
        domain.motion, domain.generator.synthesis, ws, domain.clip, [domain.clip] * 2, PROMPTS, judge, features
    )
    json.dumps(figures, allow_nan=False)
    assert list(figures["prompts"]) == ["smiling", "sad", "has blonde hair"]
    assert {sentence: row["prompt"] for sentence, row in figures["held_out"].items()} == {
        "smiling face.": "smiling",
        "blonde.": "has blonde hair",
        "blonde hair face.": "has blonde hair",
    }
    assert figures["prompts"]["smiling"]["judge_rise"] == 0.75 == figures["means"]["judge_rise"]["mean"]
    assert figures["prompts"]["has blonde hair"]["judge_rise"] is None
    assert figures["held_out"]["blonde."]["judge_rise"] is None, "a sentence is judged by the prompt that it means"
    assert "judge_top1" not in figures["means"]
    assert figures["scorers"] == ["clip (1)", "clip (2)"]
    assert list(figures["amplitude"]) == ["4", "8", "16", "32", "64", "128"]
    assert figures["chance"] == pytest.approx(1 / 3)
    assert all(before is judge.before[0] for before in judge.before), "a judge reads the still faces once"


def test_motion_figures_say_what_the_definitions_say(parts):
    domain, ws, features = parts
    figures = motion_figures(
        domain.motion, domain.generator.synthesis, ws, domain.clip, [domain.clip], PROMPTS, None, features
    )
    sentences = domain.clip.encode_text(PROMPTS.sentences)
    motion = domain.motion(sentences[1:2], features, 16)
    after = domain.clip.encode_images(domain.generator.synthesis(ws + motion[:, -1]))
    row = figures["prompts"]["sad"]
    assert row["clip_top1"] == pytest.approx(top1(after, sentences, 1))
    assert row["clip_rise"] == pytest.approx(((after - features) @ sentences[1]).mean().item(), abs=1e-6)
    assert row["flag"] is None and row["judge_rise"] is None and figures["judge"] is None
    pairs = sentences.repeat_interleave(4, dim=0), features.repeat(3, 1)
    assert figures["first_step_share"] == pytest.approx(first_step_share(domain.motion(*pairs, 16)), rel=1e-4)
    assert figures["amplitude"]["8"] == pytest.approx(
        domain.motion(*pairs, 8)[:, -1].flatten(1).norm(dim=1).mean().item(), rel=1e-4
    )


def test_a_model_trained_without_pictures_is_measured_without_them(parts):
    domain, ws, _ = parts
    model = MotionModel(MotionConfig.paper(24, domain.generator.num_ws, w_dim=16, hidden_dim=16, mapper_dim=16))
    figures = motion_figures(model, domain.generator.synthesis, ws, domain.clip, [domain.clip], PROMPTS)
    alone = model(domain.clip.encode_text(PROMPTS.sentences), None, 64)
    assert figures["amplitude"]["64"] == pytest.approx(alone[:, -1].flatten(1).norm(dim=1).mean().item(), rel=1e-4)


def test_encoder_metrics_of_known_differences(rng):
    pictures = rng.rand(4, 3, 16, 16) * 0.5
    redrawn = pictures + torch.tensor([0.1, 0.1, 0.1, 0.2]).reshape(4, 1, 1, 1).double()
    figures = encoder_metrics(
        pictures,
        redrawn,
        perceptual=lambda a, b: (a - b).abs().mean(dim=(1, 2, 3)),
        identity=lambda images: (
            torch.eye(8)[:4].double() if images is pictures else torch.eye(8)[[0, 1, 2, 4]].double()
        ),
    )
    json.dumps(figures, allow_nan=False)
    assert figures["l2"]["mean"] == pytest.approx((3 * 0.01 + 0.04) / 4)
    assert figures["psnr"]["mean"] == pytest.approx((3 * 26.0206 + 20) / 4, abs=1e-3)
    assert figures["lpips"]["mean"] == pytest.approx(0.125)
    assert figures["identity"]["mean"] == 0.75
    assert figures["lpips"]["worst"] > 0.18 and figures["identity"]["worst"] < 0.2
    assert "lpips" not in encoder_metrics(pictures, pictures)

"""From what a person writes to a motion."""

import math
import warnings

import pytest
import torch
from torch.testing import assert_close

from lga_core import InputError, MotionConfig, MotionModel
from lga_core.latents import ModelId
from lga_core.motion.prompts import Text, Wording, embed, parse_prompts

PROMPTS = ("smiling", "sad", "angry")
WORDING = Wording("The face is {}.", {prompt: f"The face is {prompt}." for prompt in PROMPTS})


class Cosines:
    """A CLIP of two dimensions, each text at the angle (in degrees) given for it."""

    fingerprint, name = "0123456789abcdef", "cosines"

    def __init__(self, **angles: float):
        self.angles = {f"The face is {prompt}.": angle for prompt, angle in angles.items()}

    def encode_text(self, texts: list[str]) -> torch.Tensor:
        radians = torch.tensor([math.radians(self.angles[text]) for text in texts])
        return torch.stack([radians.cos(), radians.sin()], dim=1)

    def encode_images(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(images.mean(dim=(2, 3))[:, :2], dim=1)

    def check_text(self, text: str) -> None:
        pass


@pytest.fixture
def model() -> MotionModel:
    return MotionModel(MotionConfig.anchored(2, num_ws=4, w_dim=6, hidden_dim=5, mapper_dim=7))


@pytest.mark.parametrize("spread", [10, 60])  # a CLIP in which all texts are alike, and one in which they are not
def test_a_text_far_from_every_prompt_gets_a_warning_that_names_the_nearest_first(spread):
    clip = Cosines(smiling=0, sad=spread, angry=-1.5 * spread, grinning=0.1 * spread, granite=2.6 * spread)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        WORDING.warn_if_far(clip, "grinning")
        WORDING.warn_if_far(clip, "smiling")
    with pytest.warns(UserWarning, match="'granite' is far from .* nearest trained prompts are 'sad', "):
        WORDING.warn_if_far(clip, "granite")


@pytest.mark.parametrize("template", ["The face is.", "{} is {}", ""])
def test_a_template_has_one_place_for_the_prompt(template):
    with pytest.raises(InputError, match="exactly once"):
        Wording(template, {})


@pytest.mark.parametrize(
    ("text", "prompts"),
    [
        ("smiling", [("smiling", 1.0)]),
        ("smiling: 0.7", [("smiling", 0.7)]),
        ("  smiling :.5 \n\n has blonde hair:-1\n", [("smiling", 0.5), ("has blonde hair", -1.0)]),
        ("The face is smiling.", [("The face is smiling.", 1.0)]),
        ("", []),
        ("\n  \n", []),
    ],
)
def test_prompts_stand_one_a_line_with_a_weight_after_the_colon(text, prompts):
    assert parse_prompts(text) == prompts


@pytest.mark.parametrize("text", ["smiling: much", "smiling: nan", "smiling: inf", "smiling:", "a: 1e9", "sad: 1,5"])
def test_a_weight_that_is_no_number_is_named(text):
    with pytest.raises(InputError, match="weight"):
        parse_prompts(text)


def test_the_motion_of_several_prompts_is_the_weighted_sum_of_theirs(model):
    clip = Cosines(smiling=0, sad=80, angry=200)
    text = embed(clip, WORDING, "smiling: 0.7\nsad: 0.4", negative="angry: 0.5")
    parts = {prompt: embed(clip, WORDING, prompt).motion(model, 5, 2.0, seed=3) for prompt in PROMPTS}
    motion = text.motion(model, 5, 2.0, seed=3)
    assert_close(motion, 0.7 * parts["smiling"] + 0.4 * parts["sad"] - 0.5 * parts["angry"])
    assert text.sentences == tuple(f"The face is {prompt}." for prompt in PROMPTS)
    assert text.clip == ModelId(clip.fingerprint, clip.name)


def test_the_motion_of_one_prompt_is_the_models(model):
    text = embed(Cosines(smiling=30), Wording("The face is {}.", {}), "smiling")
    with torch.no_grad():
        assert_close(
            text.motion(model, 4, 1.5, 7, "linear"), model(text.embeddings, None, 4, 1.5, 7, schedule="linear")
        )


def test_a_picture_joins_the_start_of_each_prompts_motion(model, rng):
    clip = Cosines(smiling=0, sad=80, angry=200)
    images = rng.randn(3, 3, 4, 4).float()
    text = embed(clip, WORDING, "smiling", image=images)
    assert text.motion(model, 4).shape == (3, 4, 4, 6)
    assert_close(text.motion(model, 4), model(text.embeddings, clip.encode_images(images), 4))


def test_the_pictures_own_offset_counts_once(rng):
    model = MotionModel(MotionConfig.paper(2, num_ws=4, w_dim=6, hidden_dim=5, mapper_dim=7))
    image = torch.nn.functional.normalize(rng.randn(1, 2).float(), dim=1)
    z = torch.nn.functional.normalize(rng.randn(2, 2).float(), dim=1)
    both = Text(z, (0.5, 2.0), ("a", "b"), image, ModelId("", "")).motion(model, 3)
    alone = [model(z[i : i + 1], image, 3, strength, visual_strength=0) for i, strength in ((0, 0.5), (1, 2.0))]
    assert_close(both, alone[0] + alone[1] + model.visual(image)[:, None])


@pytest.mark.parametrize("strength", [math.nan, math.inf])
def test_an_impossible_strength_is_refused(model, strength):
    with pytest.raises(InputError, match="strength"):
        embed(Cosines(smiling=0, sad=80, angry=200), WORDING, "smiling").motion(model, 4, strength)


def test_an_empty_text_is_refused_with_an_example():
    with pytest.raises(InputError, match="empty.*'smiling'"):
        embed(Cosines(), WORDING, "\n ", negative="sad")

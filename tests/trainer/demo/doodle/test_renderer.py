"""What the renderer's attributes mean, held to pixels, and what words are true of presets."""

import pytest
import torch

from lga_trainer.data.prompts import load_prompts
from lga_trainer.demo.doodle.rendering.attributes import (
    COLUMN,
    EXPRESSION_PRESETS,
    NUM_ATTRIBUTES,
    PROMPTS,
    from_normal,
    sample,
    sample_neutral,
    with_expression,
    with_preset,
)
from lga_trainer.demo.doodle.rendering.canvas import Canvas, ellipse, parabola
from lga_trainer.demo.doodle.rendering.renderer import BROW_LINE, Face, render
from lga_trainer.demo.doodle.words import LEXICON
from lga_trainer.demo.words.captions import Captioner, all_phrases


def people(n: int, seed: int = 0) -> torch.Tensor:
    return sample_neutral(n, torch.Generator().manual_seed(seed))


def test_pictures_are_in_range_and_the_same_for_the_same_attributes():
    faces = people(3)
    pictures = render(faces, 32)
    assert pictures.shape == (3, 3, 32, 32)
    assert pictures.min() >= -1 and pictures.max() <= 1
    assert torch.equal(pictures, render(faces, 32))
    assert torch.equal(pictures[1:2], render(faces[1:2], 32))


def test_ellipse_is_negative_inside_and_zero_on_its_edge():
    x, y = torch.tensor([[[0.0, 0.3, 0.0, 0.5]]]), torch.tensor([[[0.0, 0.0, 0.2, 0.5]]])
    distance = ellipse(x, y, 0.3, 0.2)[0, 0]
    assert distance[0] < 0 < distance[3]
    assert distance[1:3].abs().max() < 1e-3


def test_parabola_is_the_distance_to_its_arc():
    x = torch.linspace(-1, 1, 41).reshape(1, 1, -1)
    arc_x = torch.linspace(-0.5, 0.5, 2001)
    arc_y = 0.1 * (arc_x / 0.5) ** 2
    exact = torch.sqrt((x[0, 0, :, None] - arc_x) ** 2 + (0.05 - arc_y) ** 2).amin(dim=1)
    found = parabola(x, torch.full_like(x, 0.05), 0.5, 0.1)[0, 0]
    assert (found - exact).abs().max() < 0.02


@pytest.mark.parametrize("side", [-1, 1])
def test_angry_brows_fall_toward_the_nose_and_sad_brows_rise(side):
    """A prototype had this sign wrong, and every network agreed with it."""

    def brow_height(name: str, at: float) -> float:
        face = with_expression(people(1), name)
        face[:, COLUMN["yaw"]] = face[:, COLUMN["pitch"]] = 0.0
        face[:, COLUMN["glasses"]] = face[:, COLUMN["age"]] = face[:, COLUMN["fringe"]] = 0.0
        # Dark hair on fair skin, so that the brow is the darkest pixel of its column.
        for hair in ("blonde", "brown", "red", "blue", "pink"):
            face[:, COLUMN[f"hair:{hair}"]] = 0.0
        face[:, COLUMN["hair:black"]], face[:, COLUMN["skin"]] = 1.0, 1.0
        picture = render(face, 256)[0].mean(dim=0)
        canvas = Canvas(1, 256)
        space = Face(face, canvas).eye_space.item()
        column = int((side * (space + at) + 1) * 128)
        rows = slice(int((0.12 + BROW_LINE - 0.10 + 1) * 128), int((0.12 + BROW_LINE + 0.11 + 1) * 128))
        return picture[rows, column].argmin().item() / 128  # y runs down

    inner, outer = -0.07, 0.07
    assert brow_height("angry", inner) > brow_height("angry", outer)
    assert brow_height("sad", inner) < brow_height("sad", outer)


def test_every_preset_makes_its_own_words_true_and_no_other_prompt():
    for prompt in PROMPTS:
        is_true, _ = LEXICON.truth(with_preset(people(16), prompt))
        told = {name for name, true in zip(LEXICON.names, is_true.all(dim=0).tolist(), strict=True) if true}
        assert told & set(PROMPTS) == {prompt}


def test_no_prompt_is_true_of_a_neutral_face():
    is_true, _ = LEXICON.truth(people(64))
    assert not is_true[:, : len(PROMPTS)].any()


def test_presets_change_only_what_they_name():
    face = people(4)
    for prompt in EXPRESSION_PRESETS:
        changed = (with_preset(face, prompt) != face).any(dim=0)
        assert not changed[: COLUMN["smile"]].any(), prompt


def test_palettes_sum_to_one_and_seeds_repeat():
    faces = from_normal(torch.randn(50, NUM_ATTRIBUTES, generator=torch.Generator().manual_seed(1)))
    hair = [column for name, column in COLUMN.items() if name.startswith("hair:")]
    torch.testing.assert_close(faces[:, hair].sum(dim=1), torch.ones(50))
    first, labels = sample(40, torch.Generator().manual_seed(3))
    again, labels_again = sample(40, torch.Generator().manual_seed(3))
    assert torch.equal(first, again) and labels == labels_again


def test_captions_are_true_of_their_own_face_and_use_known_phrases():
    faces, labels = sample(64, torch.Generator().manual_seed(0))
    captioner = Captioner(LEXICON, *LEXICON.truth(faces), labels)
    sentences, positive, clear = captioner.draw(torch.arange(64), torch.Generator().manual_seed(1))
    assert positive.diagonal().float().mean() > 0.9  # a few faces have only doubtful concepts
    assert (positive & clear).sum(dim=0).float().mean() > 2  # many-to-many
    phrases = set(all_phrases(LEXICON))
    assert sum(sentence in phrases for sentence in sentences) > 32


def test_held_out_words_are_in_no_training_sentence_of_a_motion():
    prompts = load_prompts("doodle")
    trained = {sentence for prompt in prompts.prompts for sentence in (prompt.sentence, *prompt.paraphrases)}
    held_out = LEXICON.held_out_sentences()
    assert {prompts.prompts[index].prompt: sentence for sentence, index in prompts.held_out.items()} == {
        prompt: sentence for sentence, prompt in held_out.items()
    }
    assert len(held_out) == len(PROMPTS) and set(held_out.values()) == set(PROMPTS)
    for sentence in held_out:
        word = (
            sentence.removeprefix("The cartoon face is ").removeprefix("The cartoon face has ").removeprefix("It is ")
        )
        assert not any(word.strip(".") in known for known in trained), sentence
    assert set(LEXICON.sentences.values()) <= trained

"""Nodes that make motions: from words, in a row, shaped, blended."""

from __future__ import annotations

import dataclasses
import logging

import pytest
import torch
from domains import EXPRESSIONS
from pack import CLASSES, core, run, same
from torch.testing import assert_close


def warned(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def ramp(frames: int = 9, n: int = 1):
    """Frame i moves everything by i."""
    offsets = torch.arange(float(frames))[None, :, None, None].expand(n, -1, 6, 16).contiguous()
    return core.Movement(offsets, core.latents.ModelId("0" * 16, "ramps"))


def shaped(motion, **inputs) -> torch.Tensor:
    return run("LGA_ShapeMotion", motion=motion, **inputs)[0].offsets


# Words


def test_a_text_is_the_sum_of_its_prompts_less_the_negative_ones(tiny):
    def offsets(text: str, **more) -> torch.Tensor:
        encoded = tiny.text(text, **more)
        return run("LGA_MotionRollout", motion_model=tiny.motion_model, text=encoded, frames=4)[0].offsets

    mixed = offsets("smiling: 0.7\nsad", negative="angry: 0.5")
    assert_close(mixed, 0.7 * offsets("smiling") + offsets("sad") - 0.5 * offsets("angry"))


def test_a_word_stands_in_the_motion_models_sentence_or_in_the_one_that_is_given(tiny):
    assert tiny.text("crying").sentences == ("The cartoon face is crying.",)
    assert tiny.text("crying", template="It is crying {} hair.").sentences == ("It is crying crying hair.",)
    assert_close(tiny.text("stormy", template="It is {}.").embeddings, tiny.text("It is stormy.").embeddings)


def test_a_picture_makes_the_motion_each_faces_own(tiny, pictures):
    with_picture, without = tiny.motion(image=pictures), tiny.motion()
    assert with_picture.offsets.shape == (2, 6, 6, 16)
    assert without.offsets.shape == (1, 6, 6, 16)
    assert not same(with_picture.offsets[:1], with_picture.offsets[1:])


def test_the_sentences_and_their_weights_are_shown(tiny, caplog):
    caplog.set_level(logging.INFO)
    tiny.text("smiling")
    tiny.text("smiling\nsad: 0.5", negative="angry")
    one, several = caplog.messages
    assert one == "The cartoon face is smiling."
    assert several.splitlines() == [
        "+1 The cartoon face is smiling.",
        "+0.5 The cartoon face is sad.",
        "-1 The cartoon face is angry.",
    ]


def test_a_prompt_far_from_every_trained_one_is_warned_of_once(doodle, caplog):
    doodle.text("smiling\nThe hat wears a house.")
    (message,) = warned(caplog)
    assert message.count("'The hat wears a house.' is far from every prompt") == 1
    assert "smiling' is far" not in message


def test_an_unknown_word_is_warned_of_once(tiny, caplog):
    tiny.text("smiling wumpus")
    (message,) = warned(caplog)
    assert message.count("'wumpus'") == 1
    assert "was not trained on 'wumpus'" in message


def test_a_prompt_that_is_written_twice_is_warned_of_once(tiny, caplog):
    tiny.text("smiling wumpus\nsmiling wumpus: 0.5")
    (message,) = warned(caplog)
    assert len(message.splitlines()) == len(set(message.splitlines())) == 2


def test_no_one_is_warned_of_trained_prompts(doodle, caplog):
    for prompt in doodle.motion_model.card.wording.sentences:
        doodle.text(prompt)
    assert not warned(caplog)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "text is empty"),
        (" \n ", "text is empty"),
        ("wumpus", "does not know any word"),
        ("smiling: much", "'much'"),
    ],
)
def test_a_text_that_cannot_be_used_is_refused(tiny, text, said):
    with pytest.raises(core.InputError, match=said):
        tiny.text(text)


@pytest.mark.parametrize("template", ["The person is.", "{} and {}"])
def test_a_template_without_one_place_is_refused_before_the_run(template):
    node = CLASSES["LGA_EncodeText"]
    assert "exactly once" in node.VALIDATE_INPUTS(template)
    assert repr(template) in node.VALIDATE_INPUTS(template)
    assert node.VALIDATE_INPUTS("The person is {}.") is True
    assert node.VALIDATE_INPUTS("") is True


# From text to motion


def test_a_motion_begins_at_the_face_and_goes_as_far_at_any_number_of_frames(tiny):
    short, long = (tiny.motion(frames=frames).offsets for frames in (4, 40))
    assert not short[:, 0].any() and not long[:, 0].any()
    assert_close(short[:, -1].norm(), long[:, -1].norm(), rtol=0.1, atol=0)


def test_frames_between_others_leave_those_as_they_were(tiny):
    plain, finer = tiny.motion(frames=4).offsets, tiny.motion(frames=4, steps_between=2).offsets
    assert finer.shape[1] == 3 * 3 + 1
    assert_close(finer[:, ::3], plain)


def test_strength_scales_the_motion(tiny):
    assert_close(tiny.motion(strength=-0.5).offsets, -0.5 * tiny.motion().offsets)


def test_as_trained_is_the_models_own_schedule_and_others_differ(tiny):
    model = tiny.motion_model.model.module
    text = tiny.text()
    for schedule in ("as trained", "const", "linear", "sqrt", "exp"):
        named = None if schedule == "as trained" else schedule
        with torch.no_grad():
            expected = model(text.embeddings, None, 6, schedule=named)
        assert_close(tiny.motion(schedule=schedule).offsets, expected)
    assert not torch.allclose(tiny.motion(schedule="exp").offsets, tiny.motion(schedule="const").offsets)


def test_the_seed_makes_another_motion_of_the_same_kind(tiny):
    assert same(tiny.motion(seed=3).offsets, tiny.motion(seed=3).offsets)
    assert not same(tiny.motion(seed=3).offsets, tiny.motion(seed=4).offsets)


# One after another


def chained(at, text: str | None = "smiling", previous=None, **inputs):
    optional = {} if text is None else {"text": at.text(text)}
    optional |= {} if previous is None else {"previous": previous}
    inputs = {"transition": 4, "hold": 2} | inputs | optional
    return run("LGA_ChainExpressions", motion_model=at.motion_model, **inputs)[0]


def test_a_story_of_ten_expressions_ends_where_the_tenth_alone_ends(tiny):
    story = None
    for expression in EXPRESSIONS:
        story = chained(tiny, expression, story, ease="overshoot")
    alone = chained(tiny, EXPRESSIONS[-1], ease="overshoot")
    assert len(EXPRESSIONS) == 10
    assert story.num_frames == 10 * 6 + 1
    assert same(story.offsets[:, -1], alone.offsets[:, -1])
    assert same(story.offsets[:, -3], alone.offsets[:, -1])


def test_an_accumulated_story_ends_at_the_sum_of_its_expressions(tiny):
    story, ends = None, 0
    for expression in EXPRESSIONS[:3]:
        story = chained(tiny, expression, story, mode="accumulate")
        ends = ends + chained(tiny, expression).offsets[:, -1]
    assert_close(story.offsets[:, -1], ends)


def test_what_came_before_stays_as_it_was(tiny):
    first = chained(tiny, "smiling")
    both = chained(tiny, "sad", first)
    assert same(both.offsets[:, : first.num_frames], first.offsets)


def test_without_a_text_the_face_returns_to_neutral_exactly(tiny):
    story = chained(tiny, None, chained(tiny, "smiling"), transition=5, hold=3)
    assert story.num_frames == 7 + 5 + 3
    assert story.offsets[:, 6].any()
    assert not story.offsets[:, -4:].any()


def test_a_still_face_is_a_story_too(tiny):
    still = chained(tiny, None, transition=3, hold=1)
    assert still.offsets.shape == (1, 5, 6, 16)
    assert not still.offsets.any()


def test_a_chain_of_many_faces_goes_on_for_each(tiny, pictures):
    story = chained(tiny, "sad", tiny.motion(image=pictures))
    assert story.offsets.shape == (2, 12, 6, 16)


# Shape


def test_unshaped_a_motion_stays_as_it_is(tiny):
    motion = tiny.motion(frames=8)
    assert same(shaped(motion), motion.offsets)


@pytest.mark.parametrize("frames", [1, 2, 3, 12])
def test_a_loop_has_as_many_frames_and_ping_pong_no_doubled_ends(frames):
    motion = ramp(frames)
    assert shaped(motion, repeat="loop").shape == motion.offsets.shape
    there_and_back = shaped(motion, repeat="ping-pong")[0, :, 0, 0].tolist()
    assert there_and_back == [*range(frames), *range(frames - 2, 0, -1)]


def test_a_loop_has_no_seam(tiny):
    offsets = shaped(tiny.motion(frames=24), repeat="loop")
    steps = torch.cat([offsets, offsets[:, :1]], dim=1).diff(dim=1).flatten(2).norm(dim=2)[0]
    assert steps[-1] <= steps[:-1].max()


@pytest.mark.parametrize(("speed", "frames"), [(1.0, 9), (2.0, 5), (0.5, 17), (20.0, 2), (0.05, 161)])
def test_speed_changes_the_number_of_frames_and_keeps_the_ends(speed, frames):
    offsets = shaped(ramp(9), speed=speed)
    assert offsets.shape[1] == frames
    assert offsets[0, 0, 0, 0] == 0
    assert offsets[0, -1, 0, 0] == 8


def test_keyframes_say_how_strong_each_frame_is_before_the_speed():
    motion = core.Movement(torch.ones(1, 9, 6, 16), None)
    assert shaped(motion, keyframes="0:0, 4:1, end:0", strength=2.0)[0, :, 0, 0].tolist() == [
        0, 0.5, 1, 1.5, 2, 1.5, 1, 0.5, 0
    ]  # fmt: skip
    assert shaped(motion, keyframes="0:0, 4:1, end:0", speed=2.0)[0, :, 0, 0].tolist() == [0, 0.5, 1, 0.5, 0]
    eased = shaped(motion, keyframes="0:0, end:1", ease="ease in")[0, 4, 0, 0]
    assert eased == 0.25


def test_layers_that_are_not_chosen_stay_still():
    assert shaped(ramp(), layers="custom", custom_layers="1:0.5, 4-")[0, 2, :, 0].tolist() == [0, 1, 0, 0, 2, 2]
    still = shaped(ramp(), layers="expression only")[0, 2, :, 0]
    assert still[0] == 0 and still.any()


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"keyframes": "0:0, soon:1"}, '"soon:1" cannot be read'),
        ({"keyframes": "3:0, 3:1"}, '"3:0" and "3:1" name the same frame'),
        ({"keyframes": "0:0 gently"}, '"gently" is not the name of an ease'),
        ({"layers": "custom", "custom_layers": "4-x"}, '"4-x" cannot be read'),
        ({"layers": "custom", "custom_layers": "9:1"}, '"9:1" do not fit: this generator has the rows 0 to 5'),
        ({"layers": "custom", "custom_layers": " "}, "custom layers are empty"),
        ({"layers": "colour only"}, '"colour only" begins at row 8'),
    ],
)
def test_what_cannot_be_read_or_does_not_fit_is_named(inputs, said):
    with pytest.raises(core.InputError, match=said):
        shaped(ramp(), **inputs)


def test_keyframes_that_cannot_be_read_are_named_before_the_run():
    check = CLASSES["LGA_ShapeMotion"].VALIDATE_INPUTS
    assert '"soon:1" cannot be read' in check("0:0, soon:1")
    assert check("0:0, 50%:1 bounce; end:0") is True
    assert check("") is True


# Two motions


def test_motions_are_mixed_or_added_and_the_shorter_one_holds(tiny):
    a, b = ramp(3), ramp(5)
    mixed, added = (
        run("LGA_BlendMotions", motion_a=a, motion_b=b, amount=0.5, mode=mode)[0].offsets[0, :, 0, 0].tolist()
        for mode in ("mix", "add")
    )
    assert mixed == [0, 1, 2, 2.5, 3]
    assert added == [0, 1.5, 3, 3.5, 4]


@pytest.mark.parametrize("unsigned", ["motion_a", "motion_b"])
def test_a_blend_belongs_to_the_generator_that_either_motion_names(unsigned):
    motions = {"motion_a": ramp(), "motion_b": ramp()}
    motions[unsigned] = core.Movement(ramp().offsets, None)
    assert run("LGA_BlendMotions", **motions)[0].generator == ramp().generator


@pytest.mark.parametrize("text", ["sad", None])
def test_a_chain_belongs_to_the_generator_that_model_or_previous_motion_names(tiny, text):
    before = tiny.motion()
    card = dataclasses.replace(tiny.motion_model.card, generator=None)
    unsigned = dataclasses.replace(tiny, motion_model=dataclasses.replace(tiny.motion_model, card=card))
    assert chained(unsigned, text, before).generator == before.generator
    assert chained(unsigned, text).generator is None
    assert chained(tiny, text, core.Movement(before.offsets, None)).generator == before.generator

"""Nodes of the methods that ours is compared with: their motions go wherever ours do."""

from __future__ import annotations

import dataclasses
import logging
import re

import pytest
import torch
from fake_comfyui import FakeComfyUI, Interrupted
from pack import CLASSES, core, host, run, same, saved
from torch.testing import assert_close

STYLES = 8
"""Numbers behind w in a row of the tiny generator's StyleSpace."""


def edited(at, **inputs):
    given = {"generator": at.generator, "clip": at.clip, "text": "It is happy.", "steps": 2}
    return run("LGA_StyleClipEdit", **given | with_a_face(at, inputs))


def directed(at, **inputs):
    given = {"generator": at.generator, "clip": at.clip, "target": "It is happy.", "neutral": "It is stormy."}
    return run("LGA_GlobalDirection", **given | {"survey_faces": 1, "frames": 5} | inputs)


def wandered(at, **inputs):
    return run("LGA_RandomMotion", **{"generator": at.generator, "frames": 5} | with_a_face(at, inputs))


def with_a_face(at, inputs):
    return inputs if "faces" in inputs else {"faces": at.faces(), **inputs}


MOTIONS = {"StyleCLIP Edit": edited, "Global Direction": directed, "Random Motion": wandered}
each_baseline = pytest.mark.parametrize("make", MOTIONS.values(), ids=MOTIONS)


def drawn(at, motion, faces=None, generator=None):
    given = {"generator": generator or at.generator, "faces": faces or at.faces()}
    return run("LGA_SynthesizeFrames", **given, motion=motion)[0]


# As any motion


@each_baseline
def test_its_motion_begins_at_the_face_and_is_drawn(make, tiny):
    motion = make(tiny, frames=4)[0]
    frames = drawn(tiny, motion)
    assert frames.shape == (4, 16, 16, 3)
    assert_close(frames[:1], run("LGA_SampleFace", generator=tiny.generator)[1], rtol=0, atol=1e-5)
    assert not same(frames[:1], frames[3:])
    run("LGA_PreviewMotion", generator=tiny.generator, faces=tiny.faces(), motion=motion)


@each_baseline
def test_its_motion_is_shaped_saved_and_locked(make, tiny):
    motion = make(tiny, frames=4)[0]
    (halved,) = run("LGA_ShapeMotion", motion=motion, strength=0.5)
    assert_close(halved.offsets, 0.5 * motion.offsets)
    (loaded,) = run("LGA_LoadMotion", file=saved("LGA_SaveMotion", motion=motion))
    assert same(loaded.offsets, motion.offsets)
    locked, strength, _ = run(
        "LGA_IdentityLock",
        generator=tiny.generator,
        faces=tiny.faces(),
        motion=motion,
        clip=tiny.clip,
        threshold=-1.0,
    )
    assert strength == 1 and same(locked.offsets, motion.offsets)


@each_baseline
@pytest.mark.parametrize("text", ["sad", None])
def test_our_motion_follows_it_in_a_chain(make, text, tiny):
    before, model = make(tiny, frames=4)[0], tiny.motion_model
    more = {} if text is None else {"text": tiny.text(text)}
    (story,) = run("LGA_ChainExpressions", motion_model=model, transition=3, hold=1, previous=before, **more)
    assert same(story.offsets[:, :4], before.offsets)
    frames = drawn(tiny, story)
    alone = run("LGA_ChainExpressions", motion_model=model, transition=3, hold=1, **more)[0]
    assert_close(frames[-1:], drawn(tiny, alone)[-1:], rtol=0, atol=1e-5)


@each_baseline
@pytest.mark.parametrize("first", [True, False])
def test_it_is_added_to_ours(make, first, tiny):
    theirs, ours = make(tiny, frames=4)[0], tiny.motion(frames=4)
    pair = (theirs, ours) if first else (ours, theirs)
    (both,) = run("LGA_BlendMotions", motion_a=pair[0], motion_b=pair[1], amount=1.0, mode="add")
    assert both.offsets.shape[3] == theirs.offsets.shape[3]
    assert_close(both.offsets[..., :16], theirs.offsets[..., :16] + ours.offsets)
    assert drawn(tiny, both).shape == (4, 16, 16, 3)


@each_baseline
def test_its_motion_is_of_its_generator_only(make, tiny, other):
    motion = make(tiny)[0]
    with pytest.raises(core.MismatchError, match="'tiny'.*'other'|'other'.*'tiny'"):
        drawn(other, motion)
    with pytest.raises(core.MismatchError, match="'tiny'.*'other'|'other'.*'tiny'"):
        run("LGA_BlendMotions", motion_a=motion, motion_b=other.motion())
    with pytest.raises(core.MismatchError, match="'tiny'.*'other'|'other'.*'tiny'"):
        run("LGA_ChainExpressions", motion_model=other.motion_model, previous=motion)


@pytest.mark.parametrize("make", [edited, wandered])
def test_faces_of_another_generator_are_refused(make, tiny, other):
    with pytest.raises(core.MismatchError, match="'other'.*'tiny'"):
        make(tiny, faces=other.faces())


@pytest.mark.parametrize("make", [edited, wandered])
def test_each_face_has_a_motion_of_its_own(make, tiny):
    motion = make(tiny, faces=tiny.faces(3))[0]
    assert len(motion.offsets) == 3
    assert not same(motion.offsets[:1], motion.offsets[1:2])
    with pytest.raises(core.MismatchError, match="offsets for each of 3 faces"):
        drawn(tiny, motion, tiny.faces(2))


# StyleCLIP Edit


def test_an_edit_is_where_the_motion_ends_and_agrees_better_with_the_words(doodle):
    motion, image, report = edited(doodle, text="The cartoon face is smiling.", steps=12)
    assert_close(drawn(doodle, motion)[-1:], image, rtol=0, atol=1e-4)
    before, after = map(float, re.findall(r"([0-9.-]+[0-9]) (?:before|after)", report))
    assert after > before + 0.05


def test_the_papers_weights_move_less_than_styleclips(tiny, caplog):
    far = [edited(tiny, weights=name, steps=25)[0].offsets[:, -1].norm() for name in ("paper", "styleclip")]
    assert far[0] < 0.7 * far[1]
    assert "identity term" not in caplog.text  # CLIP's feature maps tell people apart


def test_a_network_that_knows_people_takes_the_place_of_clips_feature_maps(tiny, with_models):
    (network,) = run("LGA_LoadIdentity", identity="tiny.safetensors")
    by_clip, by_it = (edited(tiny, weights="paper", **more)[0].offsets for more in ({}, {"identity": network}))
    assert not same(by_clip, by_it)
    own = [edited(tiny, weights="styleclip", **more)[0].offsets for more in ({}, {"identity": network})]
    assert same(*own)  # their weight of it is 0


def test_colours_may_be_seen_as_published(tiny):
    ways = [
        edited(tiny, colours=name)[0].offsets
        for name in CLASSES["LGA_StyleClipEdit"].INPUT_TYPES()["required"]["colours"][1]["options"]
    ]
    assert not same(*ways)


def test_without_clip_and_mapper_nothing_can_be_edited(tiny):
    with pytest.raises(core.InputError, match="Connect clip, or choose a mapper"):
        run("LGA_StyleClipEdit", generator=tiny.generator, faces=tiny.faces())


def test_a_mapper_edits_by_itself_and_says_what_for(tiny, with_models):
    given = {"generator": tiny.generator, "faces": tiny.faces(2), "mapper": "tiny.safetensors", "frames": 3}
    motion, image, report = run("LGA_StyleClipEdit", **given)
    mapper = core.checkpoints.load_latent_mapper("models/lga/mappers/tiny.safetensors")
    assert_close(motion.offsets, mapper.motion(tiny.faces(2).ws, 3))
    assert "“a glad face”" in report
    assert_close(drawn(tiny, motion, tiny.faces(2))[-1:, :, :16], image[:1], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("make", "menu"), [(edited, "mapper"), (wandered, "model")])
def test_a_file_for_another_generator_or_none_is_refused_by_name(make, menu, tiny, with_models):
    with pytest.raises(core.MismatchError, match="'other.safetensors' was made for.*'other'.*'tiny'"):
        make(tiny, **{menu: "other.safetensors"})
    with pytest.raises(core.InputError, match="There is no 'gone.safetensors'"):
        make(tiny, **{menu: "gone.safetensors"})


@pytest.mark.parametrize(
    ("id_", "menu", "folder"),
    [
        ("LGA_StyleClipEdit", "mapper", "mappers"),
        ("LGA_RandomMotion", "model", "mocogan"),
    ],
)
def test_a_menu_shows_the_files_that_there_are_and_refuses_others_before_the_run(id_, menu, folder, with_models):
    check = CLASSES[id_].VALIDATE_INPUTS
    none, *files = CLASSES[id_].INPUT_TYPES()["required"][menu][1]["options"]
    assert files == ["other.safetensors", "tiny.safetensors"]
    assert all(check(**{menu: entry}) is True for entry in (none, None, files[0]))
    assert f"models/lga/{folder}" in check(**{menu: "gone.safetensors"})


def test_a_mapper_of_another_width_is_refused(tiny, here):
    (here / "models/lga/mappers").mkdir(parents=True)
    core.checkpoints.save_latent_mapper(
        here / "models/lga/mappers/m.safetensors",
        core.baselines.styleclip.LatentMapper(core.baselines.styleclip.LatentMapperConfig(8)),
    )
    with pytest.raises(core.MismatchError, match="width 8, but the faces' vectors have width 16"):
        edited(tiny, mapper="m.safetensors")


@pytest.mark.parametrize("id_", ["LGA_StyleClipEdit", "LGA_GlobalDirection"])
def test_a_text_that_cannot_be_read_is_refused(id_, tiny):
    make = edited if id_ == "LGA_StyleClipEdit" else directed
    name = "text" if make is edited else "target"
    with pytest.raises(core.InputError, match="does not know any word of 'wumpus'"):
        make(tiny, **{name: "wumpus"})
    with pytest.raises(core.InputError, match="The text is empty"):
        make(tiny, **{name: "\n"})


# Global Direction


def test_a_direction_is_the_cores(tiny):
    motion, report = directed(tiny, alpha=2.0, beta=0.01)
    space, clip = core.stylegan2.StyleSpace(tiny.generator.model.module), tiny.clip.model.module
    with torch.no_grad():
        towards = core.baselines.styleclip.text_direction(clip, ["It is happy."], ["It is stormy."])
        found = core.baselines.styleclip.measure_relevance(
            space, clip, core.baselines.styleclip.RelevanceConfig(num_faces=1)
        )
        direction = core.baselines.styleclip.style_direction(found, towards, 0.01)
    assert_close(motion.offsets, direction.motion(space, 2.0, 5))
    assert report == f"{direction.num_channels} of {space.num_channels} style channels move, at beta 0.010 (as given)."
    edit = tiny.faces().ws[:, None] + 0 * motion.offsets[..., :16]
    expected = space.wide.synthesis(space.widened(edit[:, -1]) + motion.offsets[:, -1])
    assert_close(drawn(tiny, motion)[-1:], core.imaging.to_nhwc(expected), rtol=0, atol=1e-4)


def test_a_beta_that_leaves_no_channel_is_lowered_and_the_report_says_so(tiny, caplog):
    motion, report = directed(tiny, beta=1.0)
    assert "lowered" in report and "No style channel reaches beta = 1" in report
    assert motion.offsets.any() and drawn(tiny, motion).std() > 0
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [report]


def test_beta_0_is_found_and_nobody_is_warned(tiny, caplog):
    assert directed(tiny, beta=0.0)[1].endswith("(automatic).")
    assert not [record for record in caplog.records if record.levelno == logging.WARNING]


def test_several_wordings_are_averaged_and_may_stand_in_sentences_of_photos(tiny):
    one, two = (directed(tiny, target=text)[0].offsets for text in ("It is happy.", "It is happy.\nIt is sad."))
    assert not same(one, two)
    assert not same(
        one, directed(tiny, target="happy face", neutral="face", sentences="80 sentences of photos")[0].offsets
    )


def test_what_the_channels_do_is_found_once(tiny, here, monkeypatch):
    styleclip = __import__("sys").modules[f"{host.__package__}.styleclip"]
    asked, reach = [], host.Progress.reach
    monkeypatch.setattr(
        styleclip.Progress, "reach", lambda self, done, total: asked.append((done, total)) or reach(self, done, total)
    )
    directed(tiny)
    (file,) = (here / "models/lga/cache").glob("style_relevance_*")
    assert asked[-1][0] == asked[-1][1] > 0
    asked.clear()
    directed(tiny, target="It is sad.", alpha=-2.0)
    assert not asked and list((here / "models/lga/cache").iterdir()) == [file]
    directed(tiny, survey_faces=2)
    assert asked and len(list((here / "models/lga/cache").iterdir())) == 2


def test_a_motion_of_styles_moves_a_face_that_the_generator_has_learned(tiny):
    picture = torch.rand(1, 20, 20, 3, generator=torch.Generator().manual_seed(0))
    given = {"generator": tiny.generator, "faces": tiny.faces(), "image": picture, "layers": "all"}
    tuned, faces, still, _ = run("LGA_RefineInversion", **given, code_steps=0, tuning_steps=3)
    frames = drawn(tiny, directed(tiny)[0], faces, tuned)
    assert_close(frames[:1], still, rtol=0, atol=1e-5)
    assert not same(frames[:1], frames[-1:])


def test_a_motion_of_styles_that_names_no_generator_is_not_mixed_with_ours(tiny):
    unsigned = dataclasses.replace(directed(tiny)[0], generator=None)
    with pytest.raises(core.MismatchError, match="width"):
        run("LGA_BlendMotions", motion_a=unsigned, motion_b=tiny.motion())


# Random Motion


def test_random_motion_without_a_model_says_that_it_is_untrained(tiny):
    motion, label = wandered(tiny, seed=3)
    assert label == core.baselines.RANDOM_MOTION and "untrained" in label
    pca = core.stylegan2.principal_components(tiny.generator.model.module)
    assert_close(motion.offsets, core.baselines.random_motion(tiny.faces().ws, pca, 5, strength=0.5, seed=3))
    assert not same(motion.offsets, wandered(tiny, seed=4)[0].offsets)


def test_a_model_of_mocogan_moves_by_itself(tiny, with_models):
    motion, label = wandered(tiny, model="tiny.safetensors", seed=2, strength=0.5)
    model = core.checkpoints.load_mocogan("models/lga/mocogan/tiny.safetensors")
    pca = core.stylegan2.principal_components(tiny.generator.model.module)
    assert_close(motion.offsets, 0.5 * model(tiny.faces().ws, pca, 5, 2))
    assert label == "MoCoGAN-HD ('tiny.safetensors')"


# In ComfyUI


@pytest.fixture
def comfyui(here, monkeypatch) -> FakeComfyUI:
    fake = FakeComfyUI(here / "base")
    fake.install(monkeypatch)
    host.register_folders()
    return fake


@pytest.fixture
def faces(tiny):
    """Made before ComfyUI comes, which would count it."""
    return tiny.faces(2)


def test_an_edit_counts_its_steps_with_a_picture_at_each_and_can_be_cancelled(faces, comfyui, tiny):
    edited(tiny, steps=4, faces=faces)
    (bar,) = comfyui.bars
    assert bar.updates == list(range(1, 7)) and bar.total == 6
    assert all(preview is not None for preview in bar.previews[:4])
    comfyui.bars.clear()
    comfyui.cancel_after = 2
    with pytest.raises(Interrupted):
        edited(tiny, steps=100, faces=faces)
    assert comfyui.steps == 2


def test_a_survey_can_be_cancelled_while_faces_are_sampled(comfyui, tiny):
    comfyui.cancel_after = 0
    with pytest.raises(Interrupted):
        directed(tiny)
    assert not (comfyui.base / "models/lga/cache").exists()


def test_a_survey_that_was_cancelled_goes_on_where_it_was(comfyui, tiny):
    comfyui.cancel_after = 25  # 100,000 faces were sampled, 4,000 at once; then the first channels were tried
    with pytest.raises(Interrupted):
        directed(tiny)
    (file,) = (comfyui.base / "models/lga/cache").iterdir()
    comfyui.cancel_after = None
    comfyui.bars.clear()
    directed(tiny)
    (bar,) = comfyui.bars
    assert bar.updates == [bar.total] == [40]  # 32 channels were kept


def test_looking_for_principal_directions_shows_how_far_it_is_and_can_be_cancelled(faces, comfyui, tiny):
    comfyui.cancel_after = 3
    with pytest.raises(Interrupted):
        wandered(tiny, faces=faces)
    assert not list((comfyui.base / "models/lga/cache").iterdir())
    comfyui.cancel_after = None
    comfyui.bars.clear()
    wandered(tiny, faces=faces)
    (bar,) = comfyui.bars
    assert bar.updates[-1] == bar.total == 100_000
    comfyui.bars.clear()
    wandered(tiny, faces=faces)
    assert not comfyui.bars  # they are kept


@each_baseline
def test_models_that_work_together_are_given_to_comfyui_at_once(make, faces, comfyui, tiny):
    make(tiny, **({} if make is directed else {"faces": faces}))
    (models, _), *more = comfyui.loads
    needed = {id(tiny.generator.model.module)} | ({id(tiny.clip.model.module)} if make is not wandered else set())
    assert {id(patcher.model) for patcher in models} == needed and not more


@each_baseline
def test_what_it_found_is_said_on_the_node(make, comfyui, tiny):
    report = make(tiny, node="5")[-1]
    assert comfyui.texts == [(report, "5")]

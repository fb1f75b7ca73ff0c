"""A motion's training on the tiny domain: what one step draws, computes and changes, and what is random about it."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from lga_core import InputError, MotionConfig, MotionModel
from lga_core.stylegan2.frozen_synthesis import FrozenSynthesis
from lga_trainer.data.augmentation import at_score_size, augment, official_view
from lga_trainer.data.faces import FaceSet, noisy
from lga_trainer.data.prompts import Prompt
from lga_trainer.motion import losses as loss_functions
from lga_trainer.motion.config import LOSS_NAMES, Faces, MotionRun, Optimizer, preset
from lga_trainer.motion.inputs import find_perceptual, prepare_faces
from lga_trainer.motion.step import Batch, frames_shown, keep_maps, predict_offsets, train_step
from lga_trainer.motion.task import (
    CachedTextEmbeddings,
    MotionTask,
    draw_prompts,
    init_in_w_covariance,
    mean_direction,
    plain_copy,
    whiten_output_layer,
)
from lga_trainer.motion.train import MotionTraining
from lga_trainer.training.distributed import Share, Workers
from lga_trainer.training.loop import gradients_of, take_step
from lga_trainer.training.run_folder import RunFolder

WORDS = "template: The cartoon face is {}.\nsmiling\nsad | furious\nhas blonde hair\n"
NUM_PROMPTS = 3
PERCEPTUAL = {"perceptual_network": "clip", "perceptual_against": "source"}  # no LPIPS weights here


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    path = tmp_path_factory.mktemp("words") / "words.txt"
    path.write_text(WORDS)
    return path


@pytest.fixture(scope="module")
def make(domain_folder, words, tmp_path_factory):
    """Makes a task on eight faces of the tiny domain; `losses`, `model`, `optimizer` override single settings of a
    preset, and so do other words."""

    cpu = torch.device("cpu")
    loaded = cache(lambda clips: MotionTraining(small(score_clips=clips)).load(tmp_path_factory.mktemp("out"), cpu))

    def small(name: str = "anchored", **changes) -> MotionRun:
        run = preset(name, str(domain_folder))
        sections = {
            "losses": {"score_size": 32, **PERCEPTUAL, **changes.pop("losses", {})},
            "optimizer": {"precision": "fp32", "finetune_clip": False, **changes.pop("optimizer", {})},
            "model": {"mapper_dim": 16, "hidden_dim": 16, **changes.pop("model", {})},
            "faces": {"count": 8, **changes.pop("faces", {})},
        }
        sections = {key: replace(getattr(run, key), **value) for key, value in sections.items()}
        return replace(run, **{"prompts": str(words), "batch": 2, **sections, **changes})

    def task(name: str = "anchored", **changes) -> MotionTask:
        run = small(name, **changes)
        inputs = loaded(run.score_clips)
        clips = (inputs.clip, *inputs.scorers)
        inputs = inputs._replace(perceptual=find_perceptual(run.losses, run.perceptual_weights, clips, cpu))
        draw = FrozenSynthesis(inputs.generator)
        faces = FaceSet(inputs.generator.sample(range(8), run.faces.psi))
        prepared = prepare_faces(faces, draw, inputs.clip, run.losses, cpu, embed=run.model.picture)
        return MotionTraining(run).assemble(inputs, draw, prepared)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of words that the tiny CLIP does not know
        yield task


def batch(task: MotionTask, step: int = 0, share: Share = Share(0, 1)) -> Batch:  # noqa: B008 (immutable)
    return task.batch(step, share)


def terms(task: MotionTask, *names: str, step: int = 0, **settings) -> dict[str, torch.Tensor]:
    losses = replace(task.losses, **settings)
    return train_step(task.model, task.frozen, batch(task, step), losses, names or list(task.losses.weights))


def parameters(module) -> list[torch.Tensor]:
    return list(module.parameters())


def size(gradients) -> float:
    return sum(0.0 if g is None else g.abs().sum().item() for g in gradients)


def identity_network(pictures):
    return normalize(torch.nn.functional.adaptive_avg_pool2d(pictures, 4).flatten(1), dim=1)


def with_everything(task: MotionTask) -> MotionTask:
    task.frozen = replace(task.frozen, identity=identity_network)
    return task


@pytest.fixture(scope="module")
def anchored(make):
    """The default, with every loss able to be computed."""
    return with_everything(make(losses={"w_discriminator": 0.1}))


@pytest.fixture(scope="module")
def official(make):
    return with_everything(make("official"))


# Losses


def test_a_step_computes_the_named_losses_and_no_others(anchored):
    def fail(*_):
        raise AssertionError("computed though not named")

    silent = replace(anchored.frozen, distance=fail, identity=fail, discriminator=None)
    one = batch(anchored)
    found = train_step(anchored.model, silent, one, anchored.losses, ["path", "contrastive"])
    assert list(found) == ["path", "contrastive"]
    with pytest.raises(AssertionError, match="not named"):
        train_step(anchored.model, silent, one, anchored.losses, ["perceptual"])


def test_the_losses_of_a_step_are_those_that_the_settings_weigh(anchored):
    assert list(terms(anchored)) == list(anchored.objectives[0].weights(0)) == list(anchored.losses.weights)
    assert list(terms(anchored, *LOSS_NAMES)) == list(LOSS_NAMES)


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_every_loss_has_a_gradient_to_the_motion_alone(anchored, name):
    found = terms(anchored, name)[name]
    assert found.shape == ()
    assert size(torch.autograd.grad(found, parameters(anchored.model), retain_graph=True, allow_unused=True)) > 0
    found.backward()
    for part in (anchored.clip, *(scorer.clip for scorer in anchored.frozen.scorers)):
        assert all(p.grad is None and not p.requires_grad for p in part.parameters())
    for parameter in (*anchored.model.parameters(), *anchored.frozen.discriminator.parameters()):
        parameter.grad = None


def test_a_still_motion_costs_nothing_but_contrast(make):
    task = with_everything(make())
    with torch.no_grad():
        for parameter in task.model.mapper.motion.parameters():
            parameter.zero_()
    one = batch(task)
    one = one._replace(pictures=task.frozen.draw(one.ws))  # which are kept in half precision
    names = [name for name in LOSS_NAMES if name != "w_discriminator"]
    found = train_step(task.model, task.frozen, one, task.losses, names)
    assert found.pop("contrastive") > 0.1
    for name, value in found.items():
        assert value.item() == pytest.approx(0, abs=1e-6), name


def drawn_last(task, one):
    moved = predict_offsets(task.model, task.frozen, one)
    return at_score_size(task.frozen.draw(one.ws + moved.shift[:, -1]), task.losses.score_size)


@pytest.mark.parametrize("views", [0, 2])
@pytest.mark.parametrize("form", ["vocabulary", "batch", "official", "cosine"])
def test_contrast_is_of_last_frames_against_the_sentences_that_its_form_says(make, form, views):
    task = make(losses={"contrastive_form": form, "views": views, "temperature": 0.5})
    one = batch(task)
    pictures = drawn_last(task, one)
    if views:
        pictures = augment(pictures.repeat(views, 1, 1, 1), one.augmentations)
    features = task.clip.encode_images(pictures)
    sentences = task.clip.encode_text(task.prompts.sentences)
    if form == "vocabulary":
        expected = loss_functions.contrastive(features, sentences, one.chosen.repeat(max(views, 1)), 0.5)
    elif form == "cosine":
        expected = loss_functions.cosine(features, sentences, one.chosen.repeat(max(views, 1)))
    else:
        function = loss_functions.contrastive if form == "batch" else loss_functions.contrastive_official
        expected = function(features, sentences[one.chosen], torch.arange(2).repeat(max(views, 1)), 0.5)
    torch.testing.assert_close(terms(task, "contrastive")["contrastive"], expected)
    summed = terms(task, "contrastive", reduction="sum")["contrastive"]
    torch.testing.assert_close(summed, 2 * expected)  # over a batch of two


def test_several_judges_are_averaged(make, domain_folder):
    clip = str(domain_folder / "clip.safetensors")
    task = make(score_clips=(clip, clip))
    alone = make()
    first, second = task.frozen.scorers
    with torch.no_grad():
        second.sentences.copy_(second.sentences.flip(0))
    both = terms(task, "contrastive")["contrastive"]
    one = terms(alone, "contrastive")["contrastive"]
    alone.frozen = replace(alone.frozen, scorers=[alone.frozen.scorers[0]._replace(sentences=first.sentences.flip(0))])
    torch.testing.assert_close(both, (one + terms(alone, "contrastive")["contrastive"]) / 2)


def test_the_authors_view_is_their_unfiltered_resize(make):
    task = make(losses={"views": 0, "contrastive_view": "official", "score_size": 16})
    one, clip = batch(task), task.clip
    seen = official_view(drawn_last(task, one), clip.image_size, clip.mean, clip.std)
    features = normalize(clip.model.encode_image(seen), dim=1)
    expected = loss_functions.contrastive(features, task.frozen.scorers[0].sentences, one.chosen)
    found = terms(task, "contrastive")["contrastive"]
    torch.testing.assert_close(found, expected)
    assert found != terms(task, "contrastive", contrastive_view="clip")["contrastive"]


def test_losses_of_offsets_take_the_forms_that_the_settings_say(official):
    moved = predict_offsets(official.model, official.frozen, batch(official))
    first_last, frames = terms(official, "w_reg"), terms(official, "w_reg", w_reg_form="frames")
    torch.testing.assert_close(first_last["w_reg"], loss_functions.w_reg_first_last(moved.motion))
    torch.testing.assert_close(frames["w_reg"], loss_functions.w_reg(moved.motion))
    summed = terms(official, "w_reg", "path", "first_difference", reduction="sum")
    torch.testing.assert_close(summed["w_reg"], loss_functions.w_reg_first_last(moved.motion, "sum"))
    torch.testing.assert_close(summed["path"], loss_functions.smoothness(moved.motion, "sum"))
    torch.testing.assert_close(summed["first_difference"], loss_functions.first_difference(moved.motion, "sum"))


def test_latent_reg_counts_the_picture_s_own_offset_and_w_reg_does_not(official):
    one = batch(official)
    moved = predict_offsets(official.model, official.frozen, one)
    offset = official.model.visual(one.features)[:, None]
    torch.testing.assert_close(moved.shift, moved.motion + offset)
    assert offset.abs().max() > 0.1
    torch.testing.assert_close(terms(official, "latent_reg")["latent_reg"], loss_functions.w_reg(moved.motion + offset))


def test_a_motion_in_training_is_the_model_s_own_with_even_steps(anchored, official):
    for task in (anchored, official):
        one = batch(task)
        text = task.clip.encode_text(list(one.sentences))
        expected = task.model(text, one.features, one.num_frames, h0=one.h0, schedule="const")
        torch.testing.assert_close(predict_offsets(task.model, task.frozen, one).shift, expected)


def test_without_pictures_the_sentence_alone_starts_the_motion(make):
    task = make("official-metfaces-02")
    one = batch(task)
    assert one.features is None and task.model.mapper.visual is None
    text = task.clip.encode_text(list(one.sentences))
    expected = task.model(text, None, 4, h0=one.h0, schedule="const")
    torch.testing.assert_close(predict_offsets(task.model, task.frozen, one).shift, expected)


def test_a_prompt_s_own_pixels_are_kept(anchored):
    one = batch(anchored)
    expected = loss_functions.masked_l1(drawn_last(anchored, one), one.pictures, anchored.frozen.keep[one.chosen])
    torch.testing.assert_close(terms(anchored, "pixels")["pixels"], expected)


def test_keep_maps_weigh_the_face_and_what_is_around_it():
    prompts = [Prompt("a", "a", keep=2.0, keep_outside=6.0), Prompt("b", "b", keep=0.3, keep_outside=0.0)]
    maps = keep_maps(prompts, (0.0, 0.5, 0.5, 0.25), 64)
    assert maps.shape == (2, 1, 64, 64)
    assert maps[0].unique().tolist() == [2.0, 6.0]
    assert maps[1, 0, 48, 32] == pytest.approx(0.3) and maps[1, 0, 16, 32] == 0  # below the middle, and above
    share = (maps[0] == 2.0).float().mean().item()
    assert share == pytest.approx(torch.pi * 0.5 * 0.25 / 4, rel=0.05)


@pytest.mark.parametrize(("against", "expected"), [("source", "pictures"), ("input", "inputs")])
@pytest.mark.parametrize("frames", ["last", "first-last", "all"])
def test_the_perceptual_loss_is_summed_over_the_frames_it_reads(official, against, expected, frames):
    one = batch(official)
    one = one._replace(inputs=one.pictures.flip(0))

    def distance(ours, theirs):
        return (ours - theirs).square().mean()

    settings = replace(official.losses, perceptual_frames=frames, perceptual_against=against)
    frozen = replace(official.frozen, distance=distance)
    found = train_step(official.model, frozen, one, settings, ["perceptual"])["perceptual"]
    moved = predict_offsets(official.model, official.frozen, one).shift
    total = 0
    for frame in {"last": [3], "first-last": [0, 3], "all": [0, 1, 2, 3]}[frames]:
        total += distance(official.frozen.draw(one.ws + moved[:, frame]), getattr(one, expected))
    torch.testing.assert_close(found, total)


def test_pictures_are_compared_no_larger_than_asked():
    pictures = torch.rand(1, 3, 8, 8)
    assert at_score_size(pictures, 8) is pictures and at_score_size(pictures, 16) is pictures
    torch.testing.assert_close(at_score_size(pictures, 4)[0, 0, 0, 0], pictures[0, 0, :2, :2].mean())


# What is drawn


class Counting:
    """Draws, and remembers what."""

    def __init__(self, draw) -> None:
        self.draw, self.ws = draw, torch.empty(0)

    def __call__(self, ws):
        self.ws = torch.cat([self.ws, ws.detach()]) if len(self.ws) else ws.detach()
        return self.draw(ws)


@pytest.mark.parametrize(
    ("name", "losses", "frames"),
    [
        ("anchored", {}, [3]),
        ("anchored", {"perceptual": 0.0, "perceptual_frames": "all"}, [3]),
        ("anchored", {"perceptual_frames": "first-last"}, [3]),
        ("anchored", {"perceptual_frames": "all"}, [1, 2, 3]),
        ("paper", {"perceptual": 0.0}, [3]),
        ("paper", {"perceptual_frames": "last"}, [3]),
        ("paper", {}, [0, 3]),
        ("paper", {"perceptual_frames": "all"}, [0, 1, 2, 3]),
        ("official", {}, [0, 3]),
    ],
)
def test_frames_that_no_loss_reads_are_not_drawn_nor_is_an_anchored_first_one(make, name, losses, frames):
    task = make(name, losses=losses)
    one = batch(task)
    counting = Counting(task.frozen.draw)
    train_step(task.model, replace(task.frozen, draw=counting), one, task.losses, list(task.losses.weights))
    moved = predict_offsets(task.model, task.frozen, one)
    expected = (one.ws[:, None] + moved.shift[:, frames]).flatten(0, 1)
    torch.testing.assert_close(counting.ws, expected)
    assert task.num_frames_drawn == len(counting.ws)
    if name == "anchored":
        assert not any(torch.equal(drawn, source) for drawn in counting.ws for source in one.ws)


def test_an_anchored_first_frame_is_the_source(anchored):
    assert frames_shown(anchored.model, 9, "first-last") == [8]
    assert predict_offsets(anchored.model, anchored.frozen, batch(anchored)).shift[:, 0].abs().max() == 0


# What is random


def flat(one: Batch) -> dict[str, object]:
    return one._asdict()


def same(ours: Batch, theirs: Batch) -> bool:
    pairs = zip(flat(ours).values(), flat(theirs).values(), strict=True)
    return all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in pairs)


def test_a_batch_is_of_its_seed_and_step_alone(make):
    task, again, other = make(), make(), make(seed=1)
    torch.rand(7)
    assert same(batch(task, 5), batch(again, 5))
    assert not same(batch(task, 5), batch(task, 6))
    assert not same(batch(task, 5), batch(other, 5))


@pytest.mark.parametrize("views", [0, 3])
def test_shares_of_a_step_are_its_parts(make, views):
    """One process with twice the batch sees what two see together: faces, prompts, words, looks, first states."""
    whole = batch(make(batch=4, repeats=True, losses={"views": views}), 3)
    task = make(batch=2, repeats=True, losses={"views": views})
    ours, theirs = batch(task, 3, Share(0, 2)), batch(task, 3, Share(1, 2))
    for name in ("ws", "pictures", "inputs", "features", "chosen", "position", "others", "h0"):
        together = torch.cat([getattr(ours, name), getattr(theirs, name)])
        assert torch.equal(together, getattr(whole, name)), name
    assert [*ours.sentences, *theirs.sentences] == whole.sentences
    assert torch.equal(ours.together, whole.together) and torch.equal(theirs.together, whole.together)
    assert torch.equal(whole.together[ours.position], ours.chosen)
    if views:
        seen = torch.cat(
            [ours.augmentations.unflatten(0, (views, 2)), theirs.augmentations.unflatten(0, (views, 2))], dim=1
        )
        assert torch.equal(seen.flatten(0, 1), whole.augmentations)
    else:
        assert whole.augmentations is None


@pytest.mark.parametrize("form", ["vocabulary", "batch", "official"])
def test_the_mean_of_the_shares_gradients_is_the_gradient_of_the_whole(make, form):
    settings = {"contrastive_form": form, "w_discriminator": 0.1}
    whole, parts = make(batch=4, repeats=True, losses=settings), make(batch=2, repeats=True, losses=settings)
    for ours, theirs in zip(whole.objectives, parts.objectives, strict=True):
        weights = ours.weights(0)
        expected, _ = gradients_of(ours, [batch(whole, 2)], weights)
        found, _ = gradients_of(theirs, [batch(parts, 2, Share(i, 2)) for i in range(2)], weights)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_no_prompt_is_dealt_twice_before_all_have_been(n):
    for seed in range(20):
        dealt = draw_prompts(3, n, torch.Generator().manual_seed(seed))
        assert len(dealt) == n
        counts = Counter(dealt.tolist())
        assert max(counts.values()) - (min(counts.values()) if len(counts) == 3 else 0) <= 1


def test_every_prompt_is_dealt_as_often_as_any():
    rng = torch.Generator().manual_seed(0)
    counts = Counter(i for _ in range(900) for i in draw_prompts(3, 2, rng).tolist())
    assert all(520 < counts[i] < 680 for i in range(3))


def test_a_share_of_sentences_is_said_in_other_words_and_held_out_ones_never(make):
    task = make(paraphrase_share=0.5)
    task.prompts = replace(
        task.prompts,
        prompts=(Prompt("sad", "sad.", ("unhappy.", "gloomy."), held_out=("weeping.",)), Prompt("old", "old.")),
    )
    said = Counter(task.sentences_for(torch.tensor([0, 1] * 1500), torch.Generator().manual_seed(0)))
    assert said["old."] == 1500
    assert said.keys() == {"sad.", "unhappy.", "gloomy.", "old."}
    assert said["sad."] == pytest.approx(1000, abs=80)  # half, and a third of the other half
    assert said["unhappy."] == pytest.approx(250, abs=50)


def test_without_paraphrases_only_the_sentences_themselves_are_said(make):
    task = make(paraphrase_share=0.0)
    chosen = torch.tensor([0, 1, 2] * 50)
    assert task.sentences_for(chosen, torch.Generator()) == [task.prompts.sentences[i] for i in chosen]


def test_clips_are_as_long_as_asked_or_of_any_length_in_between(make):
    task = make(num_frames=3, num_frames_max=5)
    lengths = [batch(task, step).num_frames for step in range(40)]
    assert set(lengths) == {3, 4, 5}
    assert predict_offsets(task.model, task.frozen, batch(task, 0)).motion.shape[1] == lengths[0]


def test_noise_on_faces_is_on_each_row_in_units_of_how_faces_vary():
    ws = torch.randn(400, 1, 6, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 2, 3, 4, 5, 0])
    faces = FaceSet(ws.expand(-1, 3, -1), (Path("a.png"),))
    added = noisy(faces, 0.5, seed=1).ws - faces.ws
    torch.testing.assert_close(added.std(dim=(0, 1)), 0.5 * ws.std(dim=(0, 1)), atol=0.1, rtol=0.05)
    assert not torch.equal(added[:, 0], added[:, 1])
    assert noisy(faces, 0.0, seed=1) is faces and noisy(faces, 0.5, seed=1).pictures == faces.pictures
    assert torch.equal(noisy(faces, 0.5, seed=1).ws, faces.ws + added)


def test_faces_are_made_noisy_before_they_are_drawn(domain_folder, words, workers, tmp_path):
    run = MotionRun(str(domain_folder), prompts=str(words), faces=Faces(count=4, noise_std=0.5))
    inputs, folder = MotionTraining(run).load(tmp_path, torch.device("cpu")), RunFolder(tmp_path)
    found, plain = (
        MotionTraining(replace(run, faces=replace(run.faces, noise_std=std))).faces(inputs, folder, workers).ws
        for std in (0.5, 0.0)
    )
    assert not torch.allclose(found, plain) and torch.equal(plain[:, 0], plain[:, 1])


def test_every_picture_is_seen_as_its_face_is_drawn(anchored):
    one = batch(anchored)
    torch.testing.assert_close(one.pictures, anchored.frozen.draw(one.ws), atol=2e-3, rtol=0)  # kept in half precision
    torch.testing.assert_close(one.features, anchored.clip.encode_images(one.pictures), atol=2e-3, rtol=0)


# Schedules


def test_offsets_are_held_more_firmly_in_the_last_third(make):
    task = make(steps=90, losses={"unlikeliness": 0.1, "unlikeliness_end": 0.4})
    assert [task.weights_at(step)["unlikeliness"] for step in (0, 59, 60, 89)] == [0.1, 0.1, 0.4, 0.4]
    assert "unlikeliness" not in make(losses={"unlikeliness": 0.0}).weights_at(89)


def test_the_learning_rate_warms_up_and_comes_down(make):
    task = make(steps=100, optimizer={"lr": 1.0, "lr_end": 0.1, "warmup": 10})
    rates = [task.lr_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1, rel=1e-3) and rates[4] == pytest.approx(0.5, rel=0.01)
    assert max(rates) > 0.97 and rates[50] == pytest.approx(0.55) and rates[99] == pytest.approx(0.1, rel=0.01)


def test_the_published_learning_rate_is_constant(make):
    task = make("paper")
    assert {task.lr_at(step) for step in (0, 1, 50, 1999)} == {1e-3}
    assert task.objectives[0].optimizer.defaults["betas"] == (0.0, 0.999)


# Training


@pytest.fixture(scope="module")
def workers():
    return Workers("cpu")


@pytest.mark.parametrize(
    ("name", "tunes"),
    [("anchored", False), ("paper", True), ("official", True), ("official-metfaces-03", True), ("first-order", False)],
)
def test_every_variant_trains(make, workers, name, tunes):
    task = make(name, optimizer={"finetune_clip": tunes})
    before = {key: value.clone() for key, value in task.modules["trained"].state_dict().items()}
    rows = [take_step(task, step, 1, workers) for step in range(2)]
    after = task.modules["trained"].state_dict()
    assert all(row["motion/total"] > 0 and row["motion/gradient"] > 0 for row in rows)
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert {"motion.recurrent.fc1.weight", "motion.recurrent.fc2.weight"} <= moved
    assert any(key.startswith("motion.mapper.motion.0") for key in moved)
    assert any(key.startswith("motion.mapper.visual") for key in moved) == (
        name in ("paper", "official", "first-order")
    )
    assert any(key.startswith("clip.") for key in moved) == tunes


def test_training_lowers_what_is_weighed(make, workers):
    """An untrained CLIP sees no difference between pictures, so the size of the motion stands for all losses."""
    task = make(
        losses={"contrastive": 1e-6, "w_reg": 1.0, "unlikeliness": 0.0, "pixels": 0.0, "tones": 0.0, "perceptual": 0.0},
        optimizer={"lr": 1e-2, "lr_end": 1e-2, "warmup": 0},
    )
    before = terms(task, "w_reg")["w_reg"].item()
    for step in range(30):
        take_step(task, step, 1, workers)
        task.after(step)
    assert terms(task, "w_reg")["w_reg"].item() < 0.3 * before


def gradients_to_clip(task: MotionTask) -> dict[str, float]:
    total = sum(terms(task).values())
    text = [parameter for name, parameter in task.clip.named_parameters() if "visual" not in name]
    found = torch.autograd.grad(total, [*text, *parameters(task.clip.model.visual)], allow_unused=True)
    return {"text": size(found[: len(text)]), "picture": size(found[len(text) :])}


def test_a_fine_tuned_clip_learns_from_words_and_from_pictures_through_the_visual_mapper_alone(make):
    """z_1 = z_t + z_v without a gradient to z_v; H_v's own input has one."""
    official, ours = (make(name, optimizer={"finetune_clip": True}) for name in ("official", "anchored"))
    found = gradients_to_clip(official)
    assert found["text"] > 0 and found["picture"] > 0
    with torch.no_grad():
        official.model.mapper.visual[-1].weight.zero_()
    assert gradients_to_clip(official)["picture"] == 0
    found = gradients_to_clip(ours)  # no visual mapper
    assert found["text"] > 0 and found["picture"] == 0


def test_the_clip_that_scores_stays_frozen_while_the_one_that_starts_is_tuned(make, workers):
    task = make("official", optimizer={"finetune_clip": True})
    scorer = task.frozen.scorers[0].clip
    assert scorer is not task.clip and not any(p.requires_grad for p in scorer.parameters())
    before = [p.clone() for p in scorer.parameters()]
    assert all(map(torch.equal, before, task.clip.parameters()))
    take_step(task, 0, 1, workers)
    assert all(map(torch.equal, before, scorer.parameters()))
    assert not all(map(torch.equal, before, task.clip.parameters()))


def test_a_tuned_clip_has_its_own_learning_rate(make, workers):
    task = make("official", optimizer={"clip_lr": 1e-5, "finetune_clip": True})
    before = [p.clone() for p in task.clip.parameters()]
    take_step(task, 0, 1, workers)
    steps = [(a - b).abs().max().item() for a, b in zip(before, task.clip.parameters(), strict=True)]
    assert 0.5e-5 < max(steps) < 1.1e-5  # Adam's first step is as long as its rate


def test_a_frozen_clip_s_sentences_are_embedded_once(anchored):
    once = CachedTextEmbeddings(anchored.clip, anchored.prompts)
    said = ["The cartoon face is furious.", "The cartoon face is smiling.", "The cartoon face is furious."]
    torch.testing.assert_close(once(said), anchored.clip.encode_text(said))
    assert len(once.embeddings) == 4  # three prompts, and one of them in other words


# The discriminator of W


def test_the_discriminator_s_losses_reach_the_discriminator_alone(make):
    task = make(losses={"w_discriminator": 1.0})
    motion, discriminator = task.objectives
    told = discriminator.losses(batch(task))
    assert told.keys() == discriminator.weights(0).keys() == {"real", "moved", "r1"}
    ours = parameters(task.frozen.discriminator)
    found = torch.autograd.grad(sum(told.values()), [*ours, *parameters(task.model)], allow_unused=True)
    assert size(found[: len(ours)]) > 0 and size(found[len(ours) :]) == 0
    assert {id(p) for p in discriminator.parameters} == {id(p) for p in ours}
    assert not {id(p) for p in motion.parameters} & {id(p) for p in ours}


def test_the_discriminator_learns_to_tell_moved_codes_and_the_motion_to_be_taken_for_real(make, workers):
    task = make(losses={"w_discriminator": 1.0}, optimizer={"discriminator_lr": 3e-3})
    motion, discriminator = task.objectives
    one = batch(task)
    with torch.no_grad():
        task.model.mapper.motion[-1].bias.add_(3.0 * torch.arange(16))  # no face has such a code

    def fake() -> float:
        codes = (one.ws + predict_offsets(task.model, task.frozen, one).shift[:, -1]).flatten(0, 1)
        return task.frozen.discriminator(codes).mean().item()

    task.objectives = [discriminator]
    for step in range(60):
        take_step(task, step, 1, workers)
    assert task.frozen.discriminator(task.w[:64]).mean() > 0 > fake()
    before = fake()
    task.objectives = [replace_losses(motion, task, ["w_discriminator"])]
    for step in range(20):
        take_step(task, step, 1, workers)
    assert fake() > before


def replace_losses(objective, task, names):
    """The objective with these losses alone."""
    return replace(
        objective,
        losses=lambda one: train_step(task.model, task.frozen, one, task.losses, names),
        weights=lambda step: dict.fromkeys(names, 1.0),
    )


def test_a_run_without_the_discriminator_has_none(make):
    task = make()
    assert task.frozen.discriminator is None
    assert [objective.name for objective in task.objectives] == ["motion"]
    assert task.modules.keys() == {"trained", "average"}


# What comes out


def test_what_comes_out_is_the_running_average_with_plain_weights(make, workers):
    task = make(optimizer={"average": 0.6})
    first = plain_copy(task.model).state_dict()
    take_step(task, 0, 1, workers)
    second = plain_copy(task.model).state_dict()
    for step in (20, 20):  # late enough for the average to have its own pace
        task.after(step)
    result, _ = task.result()
    assert result.state_dict().keys() == MotionModel(result.config).state_dict().keys()
    assert not any(parameter.requires_grad for parameter in result.parameters())
    share = 1 - 0.6**2
    for name, tensor in result.state_dict().items():
        torch.testing.assert_close(tensor, first[name] + share * (second[name] - first[name]), atol=1e-5, rtol=1e-4)


def test_an_average_follows_closely_at_first(make, workers):
    """Or the random first weights would stay in it for a long time."""
    task = make(optimizer={"average": 0.99})
    take_step(task, 0, 1, workers)
    task.after(0)
    layer, first = task.average["motion"].recurrent.fc1.weight, MotionModel(task.model.config).recurrent.fc1.weight
    now = task.model.recurrent.fc1.weight
    torch.testing.assert_close(layer, first + 0.9 * (now - first))


def test_without_an_average_the_last_weights_come_out(make, workers):
    task = make("paper", optimizer={"finetune_clip": True})
    take_step(task, 0, 1, workers)
    task.after(0)
    model, clip = task.result()
    assert task.modules.keys() == {"trained"}
    assert torch.equal(model.recurrent.fc1.weight, task.model.recurrent.fc1.weight)
    assert torch.equal(clip.model.text_projection, task.clip.model.text_projection)
    assert not any(parameter.requires_grad for parameter in clip.parameters())
    assert clip is not task.clip


# Learning in units of how faces vary

SHARED = MotionConfig(code_dim=8, num_ws=4, w_dim=6, hidden_dim=8, mapper_dim=8, head="shared", last_activation=False)
TEXT = torch.randn(9, 8, generator=torch.Generator().manual_seed(0))
VARIED = torch.tensor([1.0, 1.0, 1.0, 0.2, 0.0, 0.0])
W = torch.randn(99, 6, generator=torch.Generator().manual_seed(2)) * VARIED


def test_colouring_the_output_changes_how_a_model_learns_and_not_what_it_is():
    model = MotionModel(SHARED, seed=1)
    plain = model(TEXT, num_frames=5)
    whiten_output_layer(model, W)
    moved = model(TEXT, num_frames=5)
    torch.testing.assert_close(moved, plain, atol=1e-5, rtol=1e-4)
    learned = model.mapper.motion[-1].parametrizations.weight.original
    gradient = torch.autograd.grad(model(TEXT)[:, -1].square().sum(), learned)[0]
    assert gradient[:3].abs().mean() > 10 * gradient[4:].abs().mean()
    torch.testing.assert_close(plain_copy(model)(TEXT, num_frames=5), moved)


def test_a_coloured_model_s_first_offsets_lie_where_faces_vary():
    model = MotionModel(SHARED, seed=1)
    init_in_w_covariance(model, W)
    lengths = model(TEXT, num_frames=4)[:, -1].detach().square().mean(dim=(0, 1))
    assert lengths[:3].min() > 50 * lengths[4:].max()


@pytest.mark.parametrize("changes", [{"head": "per_layer"}, {"last_activation": True}])
def test_other_models_stay_as_they_are(changes):
    model = MotionModel(replace(SHARED, **changes), seed=1)
    before = model.state_dict().keys(), model(TEXT)
    init_in_w_covariance(model, W)
    whiten_output_layer(model, W)
    assert model.state_dict().keys() == before[0] and torch.equal(model(TEXT), before[1])


def test_a_mean_direction_has_unit_length():
    assert mean_direction(torch.tensor([[1.0, 0.0], [0.0, 1.0]])).tolist() == pytest.approx([0.5**0.5, 0.5**0.5])


# What does not fit together


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        (
            {"batch": 4},
            "takes 4 faces, each with a prompt of its own, but 'words' has 3 prompts. Take --batch 3 or less",
        ),
        ({"optimizer": Optimizer(recompute_from=64)}, "recompute-from is 64; the generator's blocks are 4, 8, 16, 32"),
    ],
)
def test_settings_that_contradict_the_files_are_refused(domain_folder, words, workers, tmp_path, changes, needed):
    training = MotionTraining(replace(MotionRun(str(domain_folder), prompts=str(words), batch=3), **changes))
    with pytest.raises(InputError, match=needed):
        training.task(training.load(tmp_path, torch.device("cpu")), RunFolder(tmp_path), workers)


def test_more_faces_than_prompts_are_taken_where_repeats_are(make):
    assert Counter(batch(make(batch=7, repeats=True)).chosen.tolist()).most_common()[0][1] == 3

"""`lga train mocogan`: losses and discriminators against their definitions, the videos that it learns from, that it
learns and goes on, what it leaves behind, how it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from lga_core import Generator, GeneratorConfig, InputError, write_clip
from lga_core.baselines.mocogan_hd import reconstruction_loss
from lga_core.checkpoints.models import load_mocogan, save_generator
from lga_core.formats.fingerprints import fingerprint
from lga_core.formats.header import read_metadata
from lga_core.formats.native import load_checkpoint
from lga_core.stylegan2.pca import principal_components
from lga_trainer import cli
from lga_trainer.baselines.mocogan_hd import losses
from lga_trainer.baselines.mocogan_hd.config import (
    MocoganLosses,
    MocoganModel,
    MocoganOptimizer,
    MocoganRun,
    MocoganVideos,
    preset,
)
from lga_trainer.baselines.mocogan_hd.discriminators import PictureDiscriminator, Queue, VideoDiscriminator
from lga_trainer.baselines.mocogan_hd.task import MocoganTask, picked
from lga_trainer.baselines.mocogan_hd.train import (
    MocoganTraining,
    measure,
    movement,
    open_videos,
    train_mocogan,
)
from lga_trainer.data.contrastive_augmentation import HOLE, changed, draw_changes, draw_holes
from lga_trainer.data.frozen_models import find_generator
from lga_trainer.data.videos import Folder, Rendered
from lga_trainer.demo.doodle.domain import DOMAIN
from lga_trainer.demo.render_videos import rendered_videos, rise_and_fall, video_attributes
from lga_trainer.domain_plugin import plugin_of
from lga_trainer.training.config import Watch
from lga_trainer.training.distributed import Share, Workers
from lga_trainer.training.loop import LoopSchedule, take_step, train
from lga_trainer.training.run_folder import RunFolder

CPU = torch.device("cpu")
QUIET = Watch(log_every=1, preview_every=1000, save_every=2, tensorboard=False, report_faces=2)
WHOLE = Share(0, 1)
NUM_FRAMES, SIZE = 4, 32
SMALL = {"directions-from": 200, "steps": 2, "batch": 2, "film.size": 16, "film.num-frames": 4, "losses.queue": 8}
SMALL |= {"model.hidden-dim": 8, "optimizer.video-width": 2, "optimizer.picture-width": 2, "watch.report-faces": 2}
WORDS = [word for name, value in SMALL.items() for word in (f"--{name}", str(value))] + ["--watch.no-tensorboard"]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def generator_path(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("generator") / "tiny.safetensors"
    config = GeneratorConfig(SIZE, z_dim=16, w_dim=16, channel_base=128, channel_max=8, mapping_layers=2)
    save_generator(path, Generator(config, seed=1))
    return path


@pytest.fixture(scope="module")
def videos_path(tmp_path_factory) -> Path:
    """Two videos of 12 frames, grey squares that grow lighter."""
    folder = tmp_path_factory.mktemp("videos")
    for index in range(2):
        frames = torch.linspace(-0.9, 0.9 - index, 12)[:, None, None, None].expand(-1, 3, 40, 48)
        write_clip(folder / f"{index}.mp4", [frames], 25)
    return folder


def run_with(generator_path: Path, videos_path: Path, out: Path, **changes) -> MocoganRun:
    quick = {
        "videos": str(videos_path),
        "out": str(out),
        "steps": 6,
        "batch": 2,
        "directions_from": 200,
        "model": MocoganModel(hidden_dim=8),
        "losses": MocoganLosses(queue=6),
        "film": MocoganVideos(num_frames=NUM_FRAMES, size=SIZE),
        "optimizer": MocoganOptimizer(lr=1e-3, discriminator_every=2, video_width=4, picture_width=4, precision="fp32"),
        "watch": QUIET,
        "device": "cpu",
    }
    return MocoganRun(str(generator_path), **{**quick, **changes})


@pytest.fixture
def run(generator_path, videos_path, tmp_path) -> MocoganRun:
    return run_with(generator_path, videos_path, tmp_path / "run")


def task_for(run: MocoganRun) -> MocoganTask:
    training = MocoganTraining(run)
    inputs = training.load(Path(run.out), CPU)
    return training.assemble(inputs, principal_components(inputs.generator, run.directions_from))


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# The losses


def test_least_squares_are_relative_to_the_mean_of_the_others():
    real, fake = torch.tensor([3.0, 1.0]).view(2, 1, 1, 1, 1), torch.tensor([0.0, 2.0]).view(2, 1, 1, 1, 1)
    above = ((3 - 1 - 1) ** 2 + (1 - 1 - 1) ** 2) / 2
    below = ((0 - 2 + 1) ** 2 + (2 - 2 + 1) ** 2) / 2
    assert losses.relativistic([real], [fake]).item() == pytest.approx(above + below)
    assert losses.relativistic([real, real], [fake, fake]).item() == pytest.approx(2 * (above + below))
    assert losses.relativistic([fake], [real]) > losses.relativistic([real], [fake])


def test_the_penalty_is_on_the_length_of_the_gradient_over_a_pixel_s_channels():
    weight = torch.tensor([3.0, 0.0, 4.0]).view(1, 1, 3, 1, 1)
    real, fake = torch.randn(2, 2, 3, 4, 4, generator=rng()), torch.randn(2, 2, 3, 4, 4, generator=rng(1))
    mix = torch.tensor([0.2, 0.8])
    found = losses.gradient_penalty(lambda video: [(video * weight).sum(dim=2, keepdim=True)], real, fake, mix)
    assert found.item() == pytest.approx((5 - 1) ** 2)
    where = []

    def squared(video):
        where.append(video.detach())
        return [video.square()]

    gradient = 2 * torch.lerp(real, fake, mix.view(2, 1, 1, 1, 1))
    assert_close(losses.gradient_penalty(squared, real, fake, mix), (gradient.norm(dim=2) - 1).square().mean())
    assert_close(where[0], gradient / 2)


def test_the_hinge_asks_for_a_margin_and_no_more():
    far, near = torch.tensor([5.0, 1.0]), torch.tensor([0.0, -0.5])
    assert losses.hinge(far, -far) == 0
    assert_close(losses.hinge(near, near), torch.tensor((1 + 1.5) / 2 + (1 + 0.5) / 2))
    assert_close(losses.unconvincing(far), torch.tensor(-3.0))


def test_a_frame_that_is_the_first_matches_it_and_the_opposite_does_not():
    first = torch.randn(3, 5, generator=rng())
    assert_close(losses.mismatch(2 * first, first), torch.tensor(-1.0))
    assert_close(losses.mismatch(-first, first), torch.tensor(1.0))


def test_the_contrast_is_the_share_of_the_same_picture_among_all():
    one, other, queue = (F.normalize(torch.randn(n, 4, generator=rng(n)), dim=1) for n in (3, 3, 5))
    same = (one * other).sum(dim=1).div(0.07).exp()
    others = (one @ queue.T).div(0.07).exp().sum(dim=1)
    assert_close(losses.contrast(one, other[:3], queue, 0.07), -(same / (same + others)).log().mean())


def test_the_published_settings_are_the_defaults():
    run = preset("official", "g")
    assert run == MocoganRun("g")
    assert run.losses.weights == {"video": 1.0, "picture": 1.0, "match": 1.0, "reconstruction": 1.0}
    assert run.losses.discriminator_weights == {"video": 1.0, "penalty": 10.0, "picture": 1.0, "contrast": 2.0}
    assert (run.film.num_frames, run.film.time_step, run.film.size) == (16, 2, 128)
    assert (run.batch, run.optimizer.lr, run.optimizer.discriminator_every) == (16, 1e-4, 5)
    assert (run.losses.queue, run.losses.momentum, run.losses.temperature) == (4096, 0.999, 0.07)


# The discriminators


def test_a_video_is_scored_in_patches_at_two_sizes_and_by_itself():
    discriminator, videos = VideoDiscriminator(2, seed=1), torch.randn(3, 16, 3, 32, 32, generator=rng())
    large, small = discriminator(videos)
    assert large.shape[:2] == small.shape[:2] == (3, 1) and large[0].numel() > small[0].numel() > 1
    assert_close(large[1:2], discriminator(videos[1:2])[0])
    backwards = discriminator(videos.flip(1))
    assert not torch.allclose(backwards[0], large)


def test_pictures_get_a_score_and_a_unit_embedding_each():
    discriminator, pictures = PictureDiscriminator(32, 4).eval(), torch.randn(3, 3, 32, 32, generator=rng())
    score, embedding = discriminator(pictures)
    assert score.shape == (3,) and embedding.shape == (3, 256)
    assert_close(embedding.norm(dim=1), torch.ones(3))
    assert_close(discriminator(pictures[1:2])[0], score[1:2])


def test_first_weights_come_from_the_seed_alone_and_leave_the_world_s_as_it_was():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, other = PictureDiscriminator(16, 2, seed=1), VideoDiscriminator(2, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    assert_close(PictureDiscriminator(16, 2, seed=1).state_dict(), one.state_dict())
    assert_close(VideoDiscriminator(2, seed=1).state_dict(), other.state_dict())


def test_a_queue_forgets_the_oldest_first():
    queue = Queue(3, 1)
    for number in range(1, 6):
        queue.push(torch.tensor([[float(number)]]))
    assert sorted(queue.codes[:, 0].tolist()) == [3, 4, 5]
    queue.push(torch.arange(10.0, 15.0)[:, None])
    assert sorted(queue.codes[:, 0].tolist()) == [12, 13, 14]


def test_a_look_makes_one_change_and_a_hole():
    changes, holes = draw_changes(200, rng()), draw_holes(200, rng(1))
    pictures = torch.rand(200, 3, 32, 32, generator=rng(2)) * 0.5 + 0.25
    seen = changed(pictures, changes, holes)
    nothing_far = torch.full_like(holes, 9.0)
    whole = changed(pictures, changes, nothing_far)
    mirrored = [torch.allclose(a, b, atol=1e-5) for a, b in zip(whole, pictures.flip(3), strict=True)]
    tints = [(a - b).std(dim=(1, 2)).max() < 1e-5 for a, b in zip(whole, pictures, strict=True)]
    assert 40 < sum(mirrored) < 100 and 40 < sum(tints) < 100
    assert not any(a and b for a, b in zip(mirrored, tints, strict=True))
    share = (seen == 0).all(dim=1).float().mean(dim=(1, 2))
    assert share.max().item() == pytest.approx((2 * HOLE) ** 2, abs=0.04) and share.min() > 0.05


# What it learns from


def test_a_video_s_expression_comes_and_goes_smoothly():
    times = torch.linspace(-0.5, 2, 500)
    amount = rise_and_fall(times, 0.3, 0.2, 0.4)
    assert amount[times < 0].max() == 0 and amount[times > 0.9].max() == 0
    assert_close(amount[(times > 0.3) & (times < 0.5)], torch.ones(40), atol=1e-6, rtol=0)
    assert amount.diff().abs().max() < 0.03


def test_rendered_videos_blink_and_move_but_keep_the_person():
    space = DOMAIN.attributes
    videos = [video_attributes(space, 16, 0.08, rng(seed)) for seed in range(40)]
    changes = torch.stack([(video - video[:1]).abs().amax(dim=0) for video in videos])
    person = [
        column for name, column in space.column.items() if ":" in name or name in ("skin", "age", "glasses", "nose")
    ]
    assert changes[:, person].max() == 0
    assert (changes[:, space.column["yaw"]] > 0.05).float().mean() > 0.9 and changes[:, space.column["yaw"]].max() < 0.7
    assert 0.2 < (changes[:, space.column["lid_right"]] > 0.5).float().mean() < 0.9
    assert torch.equal(videos[3], video_attributes(space, 16, 0.08, rng(3)))


def test_a_rendered_video_is_the_same_each_time_it_is_shown():
    one, other = (rendered_videos(DOMAIN, 2, 3, 2, 16, seed=1) for _ in range(2))
    first = one.show(rng(), 4, torch.arange(4))
    assert first.shape == (4, 3, 3, 16, 16) and len(one._kept) <= 2
    assert torch.equal(one.show(rng(), 4, torch.arange(4)), first)
    assert torch.equal(torch.cat([other.show(rng(), 4, torch.arange(2) + part) for part in (0, 2)]), first)
    assert not torch.equal(rendered_videos(DOMAIN, 2, 3, 2, 16, seed=2).show(rng(), 4, torch.arange(4)), first)


def test_a_clip_takes_every_second_frame_of_a_video(videos_path):
    clips = Folder(videos_path, num_frames=4, time_step=2, size=16).show(rng(), 40, torch.arange(40))
    assert clips.shape == (40, 4, 3, 16, 16)
    level = clips.mean(dim=(2, 3, 4))
    steps = level.diff(dim=1)
    rise = torch.where(steps[:, :1] > 0.24, 1.8 / 11 * 2, 0.8 / 11 * 2)
    assert_close(steps, rise.expand_as(steps), atol=0.03, rtol=0)  # as far as mp4 keeps them
    assert level[:, 0].std() > 0.05 and 0.2 < (steps[:, 0] > 0.24).float().mean() < 0.8


def test_a_video_that_is_too_short_or_none_is_named_and_the_others_are_shown(videos_path, tmp_path):
    write_clip(tmp_path / "a.mp4", [torch.zeros(3, 3, 16, 16)], 25)
    (tmp_path / "b.mp4").write_bytes(b"no video at all")
    told = "None of the 2 videos.*a.mp4: It has 3 frames; a clip needs 7"
    with pytest.raises(InputError, match=told), pytest.warns(match="b.mp4"), pytest.warns(match="a.mp4"):
        Folder(tmp_path, 4, 2, 16)
    (tmp_path / "c.mp4").write_bytes((videos_path / "0.mp4").read_bytes())
    with pytest.warns(match="b.mp4 was skipped: It cannot be read"), pytest.warns(match="a.mp4"):
        videos = Folder(tmp_path, 4, 2, 16)
    assert videos.show(rng(), 6, torch.arange(6)).shape[0] == 6
    assert len(videos.notes) == 2 and videos.notes[0].startswith("a.mp4")


def test_doodles_alone_can_be_rendered_and_are_drawn_small(run, tmp_path):
    plugin = plugin_of(find_generator("doodle", tmp_path, CPU).generator)
    inputs = MocoganTraining(run).load(tmp_path, CPU)
    assert plugin.skips_are_images and not inputs.plugin.skips_are_images
    assert isinstance(open_videos(None, MocoganVideos(), plugin, 0), Rendered)
    with pytest.raises(InputError, match="give a folder of videos"):
        open_videos(None, MocoganVideos(), inputs.plugin, 0)


# A step


def test_the_losses_are_those_of_the_drawn_clip(run):
    task = task_for(run)
    batch = task.batch(0, WHOLE)
    for network in (task.of_videos, task.of_pictures):
        network.eval()  # spectral norms stay as they are
    found = task.motion_losses(batch)
    path, told = task.model.rollout(batch.w, batch.noise, task.pca)
    ws = path[:, :, None].expand(-1, -1, task.generator.num_ws, -1)
    drawn = torch.stack([task.generator.synthesis(way) for way in ws])
    assert_close(batch.drawn, drawn.detach(), atol=1e-4, rtol=1e-4)
    assert_close(found["video"], losses.relativistic(task.of_videos(drawn), task.of_videos(batch.videos)))
    later = torch.stack([clip[frame] for clip, frame in zip(drawn, batch.frame, strict=True)])
    score, seen = task.of_pictures(later)
    assert_close(found["picture"], -score.mean())
    assert_close(found["match"], -F.cosine_similarity(seen, task.of_pictures(drawn[:, 0])[1]).mean())
    assert_close(found["reconstruction"], reconstruction_loss(told, batch.noise))


@pytest.mark.parametrize("cross_domain", [True, False])
def test_true_pictures_are_first_frames_where_the_videos_are_of_another_domain(run, cross_domain, monkeypatch):
    task = task_for(run)
    task.cross_domain = cross_domain
    batch, seen = task.batch(0, WHOLE), []
    task.motion_losses(batch)
    monkeypatch.setattr(losses, "hinge", lambda real, fake: real.sum())
    monkeypatch.setattr(task.of_pictures, "forward", lambda images: (seen.append(images), (images, images))[1])
    monkeypatch.setattr(task, "contrast", lambda batch: torch.zeros(()))
    task.discriminator_losses(batch)
    true = batch.drawn[:, 0] if cross_domain else picked(batch.videos, batch.frame)
    assert torch.equal(seen[0], true) and torch.equal(seen[1], picked(batch.drawn, batch.frame))


def test_videos_that_are_given_are_of_another_domain_unless_it_is_said(generator_path, videos_path, tmp_path):
    for said, found in ((None, True), (False, False)):
        film = MocoganVideos(num_frames=4, size=SIZE, cross_domain=said)
        assert task_for(run_with(generator_path, videos_path, tmp_path, film=film)).cross_domain is found


def test_discriminators_learn_at_every_second_step_and_rest_at_the_others(run):
    task, workers = task_for(run), Workers("cpu")
    before = [scale[0].weight.clone() for scale in task.of_videos]
    row = take_step(task, 0, 1, workers)
    task.after(0)
    assert all(torch.equal(scale[0].weight, weight) for scale, weight in zip(task.of_videos, before, strict=True))
    assert not any(name.startswith("discriminators") for name in row) and task.queue.place == 0
    average = task.average.embedding.bias.clone()
    row = take_step(task, 1, 1, workers)
    task.after(1)
    followed = torch.lerp(average, task.of_pictures.embedding.bias.detach(), 1 - run.losses.momentum)
    assert_close(task.average.embedding.bias, followed)
    assert not torch.equal(followed, average)
    assert not any(torch.equal(scale[0].weight, weight) for scale, weight in zip(task.of_videos, before, strict=True))
    assert {name.split("/")[1] for name in row if name.startswith("disc")} >= {
        "video",
        "penalty",
        "picture",
        "contrast",
    }
    assert task.queue.place == run.batch


def test_shares_of_a_batch_are_the_batch(run):
    whole = task_for(replace(run, batch=4)).batch(3, WHOLE)
    parts = [task_for(run).batch(3, Share(part, 2)) for part in range(2)]
    for name in ("w", "noise", "videos", "frame", "mix"):
        assert_close(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))


# That it learns, and goes on


def test_it_learns_to_please_discriminators_that_stand_still(generator_path, videos_path, tmp_path):
    settings = MocoganOptimizer(lr=5e-3, discriminator_every=1000, video_width=4, picture_width=4, precision="fp32")
    weights = MocoganLosses(match=0.0, queue=4)
    run = run_with(generator_path, videos_path, tmp_path, steps=40, optimizer=settings, losses=weights)
    task = task_for(run)
    batch = task.batch(999, WHOLE)

    def total() -> float:
        with torch.no_grad():
            return sum(run.losses.weights[name] * term for name, term in task.motion_losses(batch).items()).item()

    for network in (task.of_videos, task.of_pictures):
        network.eval()
    before = total()
    train(task, RunFolder(tmp_path), LoopSchedule(40, tensorboard=False, preview_every=1000), Workers("cpu"), "motion")
    assert total() < before - 0.05


class Cut(Exception):
    pass


def state_after(run: MocoganRun, folder: Path, cut_at: int | None = None) -> dict[str, torch.Tensor]:
    """All that a run has saved at its end; with `cut_at` it is killed there once and taken up again."""
    pace = LoopSchedule.of(run.steps, run.optimizer.accumulate, run.watch)
    if cut_at is not None:
        task = task_for(run)
        after = task.after

        def killed(step: int) -> None:
            if step == cut_at:
                raise Cut
            after(step)

        task.after = killed
        with pytest.raises(Cut):
            train(task, RunFolder(folder), pace, Workers("cpu"), "motion")
    train(task_for(run), RunFolder(folder), pace, Workers("cpu"), "motion")
    return load_checkpoint(folder / "state.safetensors", "training").tensors


def test_a_killed_run_that_goes_on_ends_with_the_same_bits(run, tmp_path):
    whole = state_after(run, tmp_path / "whole")
    resumed = state_after(run, tmp_path / "resumed", cut_at=3)
    assert whole.keys() == resumed.keys()
    assert {name for name in whole if not torch.equal(whole[name], resumed[name])} == set()
    kinds = {name.replace("!", "/").split("/")[0] for name in whole}
    assert kinds == {"motion", "of_videos", "of_pictures", "average", "queue", "discriminators"}


# What it leaves behind


@pytest.fixture
def lga(capsys):
    """Runs `lga` in this process; its exit code and what it printed."""

    def run(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        return cli.main([str(word) for word in words]), *capsys.readouterr()

    return run


def test_the_command_leaves_a_motion_generator_and_a_report(lga, generator_path, videos_path, tmp_path):
    out = tmp_path / "run"
    words = ["--generator", generator_path, "--videos", videos_path, "--out", out, *WORDS, "--watch.preview-every", "2"]
    code, said, _ = lga("train", "mocogan", *words)
    path = out / "mocogan.safetensors"
    assert code == 0 and str(path.resolve()) in said
    found, about = find_generator(str(generator_path), out, CPU), read_metadata(path)
    assert about["generator_fingerprint"] == fingerprint(found.generator) and about["steps"] == 2
    assert about["videos"].startswith("2 videos of")
    model, ws = load_mocogan(path), found.generator.sample([5])
    assert model.config.num_directions == 16  # all there are
    motion = model(ws, principal_components(found.generator, 200), 6, seed=3)
    assert motion.shape == (1, 6, 8, 16) and motion[:, 0].abs().max() == 0 and motion[:, -1].abs().max() > 0
    report = (out / "report.html").read_text()
    assert "MoCoGAN-HD" in report and "2 videos of" in report
    assert (out / "previews" / "step_000002.png").is_file()
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["motion/video"] > 0


def test_the_file_is_the_model_that_was_trained(run):
    path = train_mocogan(run)
    trained = load_checkpoint(Path(run.out) / "state.safetensors", "training").tensors
    for name, tensor in load_mocogan(path).state_dict().items():
        assert_close(tensor, trained[f"motion/{name}"], rtol=1e-3, atol=1e-5)


def test_movement_is_zero_for_still_clips_and_grows_with_the_motion(run):
    still = torch.zeros(2, 4, 3, 8, 8)
    moving = still + torch.arange(4.0).view(1, 4, 1, 1, 1) / 10
    assert movement(still) == 0 and movement(moving) == pytest.approx(0.2)
    figures = measure(task_for(run), run.watch.report_faces)
    assert figures["motion"] > 0 and figures["motion_videos"] == pytest.approx(0.32, abs=0.2)


# How it refuses


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"batch": 3, "optimizer": MocoganOptimizer(accumulate=2)}, "--batch is 3.*multiple of accumulate, 2"),
        ({"film": MocoganVideos(num_frames=1)}, "--film.num-frames is 1.*at least 2"),
        (
            {"losses": MocoganLosses(video=0.0)},
            "--losses.video is 0.0; it must be positive, as no other loss learns how videos move",
        ),
        ({"losses": MocoganLosses(momentum=1.0)}, "--losses.momentum is 1.0.*below 1"),
        ({"optimizer": MocoganOptimizer(lr=0.0)}, "--optimizer.lr is 0.0.*positive"),
        ({"model": MocoganModel(step_size=0.0)}, "--model: step_size is 0.0"),
        ({"psi": 3.0}, "--psi is 3.0"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_a_sentence(changes, told):
    with pytest.raises(InputError, match=told):
        MocoganRun("g", **changes)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "--videos is missing: give a folder of videos to learn from"),
        (["--videos", "nowhere"], "There is no folder nowhere"),
        (["--videos", "."], "holds no video"),
        (["--preset", "slow"], "no preset 'slow'. Presets: quick, official"),
        (["--film.size", "64"], "--film.size is 64, but the generator draws 32 px"),
        (["--film.tiem-step", "1"], "Did you mean --film.time-step?"),
    ],
)
def test_a_mistake_is_one_line_exit_code_2_and_no_step(lga, generator_path, tmp_path, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "run"
    code, _, complaint = lga("train", "mocogan", "--generator", generator_path, "--out", out, *WORDS, *words)
    assert code == 2 and told in complaint and len(complaint.strip().splitlines()) == 1
    assert not (out / "state.safetensors").exists()

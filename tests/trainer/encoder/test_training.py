"""An encoder's training: what it learns from, its losses, the schedule of its rows, and that it learns and resumes."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from lga_core import Encoder, Generator, GeneratorConfig, InputError, MismatchError, load_encoder
from lga_core.checkpoints.models import save_encoder, save_generator
from lga_core.formats.fingerprints import fingerprint
from lga_core.formats.header import read_metadata
from lga_core.formats.native import load_checkpoint, save_checkpoint
from lga_core.inversion.encoder import EncoderConfig
from lga_core.metrics.arcface import IdentityConfig, IdentityNetwork
from lga_core.stylegan2 import random_w
from lga_trainer.data.images import GeneratedFaces, ImageFolder, MixedFaces
from lga_trainer.encoder import losses
from lga_trainer.encoder.config import EncoderFaces, EncoderLosses, EncoderOptimizer, EncoderRun
from lga_trainer.encoder.metrics import held_out_metrics
from lga_trainer.encoder.sizes import encoder_config, fresh_encoder
from lga_trainer.encoder.task import EncoderTask
from lga_trainer.encoder.train import EncoderInputs, EncoderTraining, find_comparisons, train_encoder
from lga_trainer.training.config import Watch
from lga_trainer.training.distributed import Share, Workers
from lga_trainer.training.loop import LoopSchedule, train
from lga_trainer.training.run_folder import RunFolder

CPU = torch.device("cpu")
QUIET = Watch(log_every=5, preview_every=1000, save_every=1000, tensorboard=False, report_faces=8)
WHOLE = Share(0, 1)
SLIM = EncoderConfig(
    8, 16, 32, widths=(12, 16, 24, 32), units=(1, 1, 1, 1), heads="dense", dense_pool=4, dense_hidden=48
)


@pytest.fixture(scope="module")
def generator() -> Generator:
    config = GeneratorConfig(32, z_dim=16, w_dim=16, channel_base=128, channel_max=8, mapping_layers=2)
    model = Generator(config, seed=1).requires_grad_(False)
    w = random_w(model, 2000, torch.Generator().manual_seed(0))
    model.mapping.w_avg.copy_(w.mean(dim=0))
    return model


@pytest.fixture(scope="module")
def generator_path(generator, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("generator") / "tiny.safetensors"
    save_generator(path, generator)
    return path


def run_with(generator_path: Path, **changes) -> EncoderRun:
    quick = {
        "steps": 8,
        "batch": 4,
        "optimizer": EncoderOptimizer(precision="fp32", warmup=0, average=0.9),
        "losses": EncoderLosses(perceptual=0.0),
        "watch": QUIET,
        "device": "cpu",
    }
    return EncoderRun(str(generator_path), **{**quick, **changes})


def task_for(run: EncoderRun, config: EncoderConfig | None = None) -> EncoderTask:
    training, inputs = EncoderTraining(run), inputs_for(run, config)
    pictures = training.pictures(inputs, Path(run.out))
    return training.assemble(inputs, pictures, find_comparisons(run.losses, inputs))


def inputs_for(run: EncoderRun, config: EncoderConfig | None = None) -> EncoderInputs:
    inputs = EncoderTraining(run).load(Path(run.out), CPU)
    return inputs if config is None else inputs._replace(encoder=fresh_encoder(config, inputs.generator.w_avg))


def picture_files(folder: Path, colours: list[tuple[int, int, int]]) -> Path:
    folder.mkdir(exist_ok=True)
    for index, colour in enumerate(colours):
        Image.new("RGB", (40, 40), colour).save(folder / f"{index:02d}.png")
    return folder


# What it learns from


def generated(generator, **changes) -> GeneratedFaces:
    settings = {"psi": (1.0,), "mixing": 0.0, "noise_std": 0.0, **changes}
    return GeneratedFaces(generator, generator.synthesis, **settings)


def rng(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_generated_face_is_what_the_generator_draws_from_its_code(generator):
    shown = generated(generator, mixing=0.5, noise_std=0.1).show(rng(), 3, torch.arange(3), step=0)
    assert_close(shown.pictures, generator.synthesis(shown.ws).clamp(-1, 1))
    assert shown.known.tolist() == [1, 1, 1]


def test_truncations_come_in_equal_shares(generator):
    ws = generated(generator, psi=(1.0, 0.0)).codes(rng(), 400, torch.arange(400))
    still = (ws - generator.w_avg).abs().amax(dim=(1, 2)) < 1e-6
    assert 0.4 < still.float().mean() < 0.6


def test_a_mixed_face_is_one_face_up_to_a_row_and_another_from_there(generator):
    plain = generated(generator).codes(rng(), 64, torch.arange(64))
    assert_close(plain, plain[:, :1].expand_as(plain))
    ws = generated(generator, mixing=1.0).codes(rng(), 64, torch.arange(64))
    changes = (ws.diff(dim=1).abs().amax(dim=2) > 0).sum(dim=1)
    assert changes.tolist() == [1] * 64


def test_noise_is_in_units_of_w_and_differs_by_row(generator):
    quiet, noisy = (generated(generator, noise_std=std).codes(rng(), 2000, torch.arange(2000)) for std in (0.0, 0.2))
    noise = noisy - quiet
    deviation = random_w(generator, 4000, rng(1)).std(dim=0)
    assert_close(noise.std(dim=0) / deviation, torch.full_like(noise[0], 0.2), atol=0.02, rtol=0)
    assert not torch.allclose(noise[:, 0], noise[:, 1])


def test_shares_of_a_batch_are_the_batch(generator, tmp_path):
    album = ImageFolder(
        sorted(picture_files(tmp_path / "p", [(40 * i, 0, 0) for i in range(6)]).iterdir()), 32, 8, 16, CPU
    )
    source = MixedFaces(generated(generator, mixing=0.5, noise_std=0.1), album, share=0.5)
    whole = source.show(rng(), 8, torch.arange(8), step=3)
    assert 0 < (whole.known > 0).sum() < 8
    halves = [source.show(rng(), 8, torch.arange(4) + start, step=3) for start in (0, 4)]
    for all_of_it, parts in zip(whole, zip(*halves, strict=True), strict=True):
        assert_close(torch.cat(parts), all_of_it)


def test_known_codes_weigh_one_on_average_so_that_pictures_do_not_dilute_them(generator, tmp_path):
    album = ImageFolder(sorted(picture_files(tmp_path / "p", [(9, 9, 9)] * 3).iterdir()), 32, 8, 16, CPU)
    shown = MixedFaces(generated(generator), album, share=0.7).show(rng(), 16, torch.arange(16), step=0)
    assert shown.known.mean() == pytest.approx(1)
    off = torch.where(shown.known > 0, 0.5, 100.0)[:, None, None]
    assert losses.latent_error(shown.ws + off, shown.ws, shown.known) == pytest.approx(0.25)


def test_pictures_are_mirrored_half_the_time(tmp_path):
    half = Image.new("RGB", (32, 32))
    half.paste((255, 255, 255), (0, 0, 16, 32))
    half.save(tmp_path / "half.png")
    pictures = ImageFolder([tmp_path / "half.png"], 32, 8, 16, CPU).show(rng(), 200, torch.arange(200), step=0).pictures
    left = (pictures[:, :, :, :16].mean(dim=(1, 2, 3)) > 0).float().mean()
    assert 0.4 < left < 0.6


def test_a_corrupt_picture_is_skipped_and_named_and_the_next_one_takes_its_place(tmp_path):
    folder = picture_files(tmp_path / "p", [(255, 0, 0), (0, 255, 0), (0, 0, 255)])
    (folder / "01.png").write_bytes((folder / "01.png").read_bytes()[:60])
    with pytest.warns(UserWarning, match="01.png"):
        album = ImageFolder(sorted(folder.iterdir()), 32, 8, 16, CPU)
        assert album.picture(1)[2].mean() == 1  # the blue one
    assert len(album.notes) == 1 and "01.png" in album.notes[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # said once
        album.show(rng(), 50, torch.arange(50), step=0)
    assert len(album.notes) == 1


def test_a_folder_without_one_readable_picture_says_so(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"no picture")
    with pytest.warns(UserWarning), pytest.raises(InputError, match=r"None of the pictures in .* can be read.*b\.png"):
        ImageFolder([tmp_path / "a.png", tmp_path / "b.png"], 32, 8, 16, CPU)


def test_held_out_pictures_are_not_trained_on(tmp_path):
    folder = picture_files(tmp_path / "p", [(5, 5, 5)] * 18 + [(250, 250, 250)] * 2)
    album = ImageFolder(sorted(folder.iterdir()), 32, 8, 16, CPU)
    assert (album.show(rng(), 200, torch.arange(200), step=0).pictures < 0).all()
    ((kind, shown),) = album.examples(5).items()
    assert "held-out" in kind and len(shown.pictures) == 2 and (shown.pictures > 0).all()


# Its losses


def test_delta_is_the_sum_of_the_rows_distances_from_row_0():
    ws = torch.zeros(2, 3, 4)
    ws[0, 1, 0], ws[0, 2] = 3.0, 1.0  # lengths 3 and 2
    assert losses.delta(ws) == pytest.approx((3 + 2) / 2)
    assert losses.row_spread(ws) == pytest.approx((9 + 4) / 24)


def test_delta_has_a_gradient_where_all_rows_are_alike():
    ws = torch.ones(2, 3, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(losses.delta(ws), ws)
    assert torch.isfinite(gradient).all()


def test_identity_is_zero_for_the_same_picture_and_two_for_opposite_features():
    distance = losses.IdentityLoss(lambda pictures: pictures.flatten(1))
    pictures = torch.randn(3, 3, 4, 4, generator=rng())
    assert distance(pictures, pictures).item() == pytest.approx(0, abs=1e-6)
    assert distance(-pictures, pictures).item() == pytest.approx(2)


@pytest.fixture(scope="module")
def identity_path(tmp_path_factory) -> Path:
    """A slim ArcFace IR-SE50 of random weights."""
    network = IdentityNetwork(IdentityConfig((4, 4, 8, 8), embed_dim=8))
    path = tmp_path_factory.mktemp("identity") / "arcface.safetensors"
    state = {name: tensor for name, tensor in network.state_dict().items() if tensor.is_floating_point()}
    save_checkpoint(path, "identity", state, {})
    return path


def test_every_loss_that_is_on_is_computed_and_no_other(generator_path, identity_path):
    on = EncoderLosses(perceptual=0.0, spread=1.0)
    run = run_with(generator_path, losses=on, identity_network=str(identity_path))
    task = task_for(run)
    names = {"latent", "delta", "spread", "w_discriminator", "l2", "identity"}
    assert set(task.encoder_losses(task.batch(0, WHOLE))) == names == set(task.objectives[0].weights(0))
    assert "identity" in EncoderTraining(run).measure(inputs_for(run), task)["generated faces"]


def test_nothing_is_drawn_for_losses_on_codes_alone(generator_path):
    off = EncoderLosses(l2=0.0, perceptual=0.0, identity=0.0, delta=0.0, w_discriminator=0.0)
    task = task_for(run_with(generator_path, losses=off))
    batch = task.batch(0, WHOLE)
    task.draw = None
    assert set(task.encoder_losses(batch)) == {"latent"} and len(task.objectives) == 1


def test_the_discriminator_sees_the_codes_from_before_the_encoder_s_step_and_r1_now_and_then(generator_path):
    task = task_for(run_with(generator_path))
    batch = task.batch(15, WHOLE)
    task.encoder_losses(batch)
    assert set(task.discriminator_losses(batch)) == {"real", "found", "r1"}
    assert task.discriminator_weights(15)["r1"] == 10 / 2 * 16 and task.discriminator_weights(14)["r1"] == 0
    rows = batch.codes.flatten(0, 1)
    assert all((rows == found).all(dim=1).any() for found in task._found[0])
    task.after(15)
    assert task.pool.num_kept == 4 and not task._found


# The schedule of its rows


def test_rows_begin_when_the_published_schedule_says():
    run = EncoderRun("g", steps=200_000)
    stages = {0: 0, 19_999: 0, 20_000: 1, 21_999: 1, 22_000: 2, 51_999: 16, 52_000: 17, 199_999: 17}
    assert {step: run.stage(step, num_ws=18) for step in stages} == stages


def test_without_a_schedule_all_rows_learn_from_the_first_step(generator_path):
    run = run_with(generator_path, progressive=(0.0, 0.0))
    assert run.stage(0, 8) == 7
    assert run_with(generator_path).stage(0, 8) == 0


def test_rows_beyond_the_stage_stay_row_0_and_get_no_gradient(generator_path):
    task = task_for(run_with(generator_path, steps=100, progressive=(0.5, 1.0)))
    for parameter in task.encoder.parameters():
        parameter.data += 0.01
    ws = task.encode(task.batch(0, WHOLE).shown.pictures, task.stage(55))
    assert task.stage(55) == 1
    assert not torch.equal(ws[:, 1], ws[:, 0]) and torch.equal(ws[:, 2:], ws[:, :1].expand(-1, 6, -1))


def test_a_fresh_encoder_gives_every_row_alike_near_the_average_face(generator):
    average = torch.arange(16.0)
    for heads in ("dense", "conv"):
        config = EncoderConfig(8, 16, 32, widths=(4, 4, 4, 8), units=(1, 1, 1, 1), heads=heads)
        encoder = fresh_encoder(config, average)
        ws = encoder(torch.randn(4, 3, 32, 32, generator=rng()))
        assert_close(ws, ws[:, :1].expand_as(ws))
        assert_close(encoder.latent_avg, average.expand(8, 16))


@pytest.mark.parametrize(
    ("size", "resolution", "millions"), [("full", 1024, 267.1), ("light", 256, 41), ("small", 128, 2.3)]
)
def test_sizes_are_what_the_documentation_says(size, resolution, millions):
    with torch.device("meta"):
        encoder = Encoder(encoder_config("auto", GeneratorConfig(resolution)))
    assert encoder_config(size, GeneratorConfig(resolution)) == encoder.config
    found = sum(parameter.numel() for parameter in encoder.parameters()) / 1e6
    assert found == pytest.approx(millions, rel=0.05)


# That it learns, and goes on


def learned(generator_path: Path, folder: Path, weights: EncoderLosses, steps: int) -> tuple[dict, dict]:
    """Figures of an encoder before and after some steps."""
    optimizer = EncoderOptimizer(precision="fp32", lr=4e-3, warmup=10, average=0.97)
    run = run_with(generator_path, steps=steps, batch=12, optimizer=optimizer, losses=weights)
    task, training, inputs = task_for(run, SLIM), EncoderTraining(run), inputs_for(run)
    before = training.measure(inputs, task)["generated faces"]
    train(
        task, RunFolder(folder), LoopSchedule(steps, tensorboard=False, preview_every=1000), Workers("cpu"), "encoder"
    )
    return before, training.measure(inputs, task)["generated faces"]


def test_it_learns_to_give_pictures_back_from_pixels_alone(generator_path, tmp_path):
    weights = EncoderLosses(latent=0.0, perceptual=0.0)
    before, after = learned(generator_path, tmp_path, weights, steps=120)
    assert before["explained"] < 0.2 and after["explained"] > 0.45


def test_it_learns_the_codes_of_generated_faces(generator_path, tmp_path):
    weights = EncoderLosses(l2=0.0, perceptual=0.0, delta=0.0, w_discriminator=0.0)
    before, after = learned(generator_path, tmp_path, weights, steps=60)
    assert before["w_error"] > 0.95 and after["w_error"] < 0.75


class Cut(Exception):
    pass


def state_after(run: EncoderRun, folder: Path, cut_at: int | None = None) -> dict[str, torch.Tensor]:
    """All that a run has saved at its end; with `cut_at` it is killed there once and taken up again."""
    pace, workers = (
        LoopSchedule(run.steps, save_every=3, log_every=2, preview_every=1000, tensorboard=False),
        Workers("cpu"),
    )
    if cut_at is not None:
        task = task_for(run, SLIM)
        step, after = cut_at, task.after

        def killed(number: int) -> None:
            if number == step:
                raise Cut
            after(number)

        task.after = killed
        with pytest.raises(Cut):
            train(task, RunFolder(folder), pace, workers, "encoder")
    train(task_for(run, SLIM), RunFolder(folder), pace, workers, "encoder")
    return load_checkpoint(folder / "state.safetensors", "training").tensors


def test_a_killed_run_that_goes_on_ends_with_the_same_bits(generator_path, tmp_path):
    images = picture_files(tmp_path / "images", [(20 * i, 100, 200 - 20 * i) for i in range(10)])
    run = run_with(generator_path, batch=8, images=str(images), faces=EncoderFaces(images_share=0.4))
    whole = state_after(run, tmp_path / "whole")
    resumed = state_after(run, tmp_path / "resumed", cut_at=5)
    assert whole.keys() == resumed.keys()
    assert {name for name in whole if not torch.equal(whole[name], resumed[name])} == set()
    kinds = {name.replace("!", "/").split("/")[0] for name in whole}
    assert kinds == {"encoder", "average", "discriminator", "pool"}


def test_the_command_writes_an_encoder_that_says_what_it_is_and_a_report(generator, generator_path, tmp_path):
    images = picture_files(tmp_path / "images", [(20 * i, 100, 0) for i in range(10)])
    (images / "bad.png").write_bytes(b"")
    run = run_with(generator_path, out=str(tmp_path / "run"), images=str(images), steps=4)
    with pytest.warns(UserWarning, match="bad.png"):
        path = train_encoder(run)
    encoder, said = load_encoder(path), read_metadata(path)
    assert encoder(torch.zeros(1, 3, 32, 32)).shape == (1, 8, 16)
    assert said["generator_fingerprint"] == fingerprint(generator) and said["steps"] == 4
    assert set(said["figures"]) == {"held-out pictures", "generated faces"}
    assert said["training"]["losses"]["l2"] == 1.0
    assert "bad.png" in (tmp_path / "run" / "report.html").read_text()
    assert json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])["encoder/l2"] > 0
    assert (tmp_path / "run" / "sheet.png").is_file()


def test_figures_of_a_perfect_encoder_are_perfect(generator):
    pictures = generated(generator)
    truth = pictures.examples(6)["generated faces"]

    class Knows(torch.nn.Module):
        def forward(self, images):
            return torch.cat([truth.ws[(truth.pictures - image).abs().amax(dim=(1, 2, 3)) == 0] for image in images])

    figures = held_out_metrics(Knows(), generator, generator.synthesis, pictures, 6)["generated faces"]
    assert figures["w_error"] == 0 and figures["explained"] == pytest.approx(1) and figures["l2"]["mean"] < 1e-9


def test_the_average_face_has_a_w_error_of_one_and_explains_nothing(generator):
    class Average(torch.nn.Module):
        def forward(self, images):
            return generator.broadcast(generator.w_avg.expand(len(images), -1)).contiguous()

    pictures = generated(generator)
    figures = held_out_metrics(Average(), generator, generator.synthesis, pictures, 6)["generated faces"]
    assert figures["w_error"] == pytest.approx(1) and figures["explained"] == pytest.approx(0, abs=1e-4)


# What it is told


def test_an_encoder_for_another_generator_is_no_beginning(generator_path, tmp_path):
    path = tmp_path / "other.safetensors"
    config = EncoderConfig(10, 16, 32, widths=(4, 4, 4, 4), units=(1, 1, 1, 1), heads="dense")
    save_encoder(path, Encoder(config))
    with pytest.raises(MismatchError, match="10 style vectors of width 16.*8 of width 16"):
        task_for(run_with(generator_path, start=str(path)))


def test_a_run_begins_from_the_encoder_it_is_given(generator, generator_path, tmp_path):
    path = tmp_path / "first.safetensors"
    first = fresh_encoder(encoder_config("small", generator.config), generator.w_avg, seed=9)
    save_encoder(path, first)
    begun = inputs_for(run_with(generator_path, start=str(path))).encoder
    assert_close(begun.state_dict(), first.state_dict())
    assert all(parameter.requires_grad for parameter in begun.parameters()) and begun.training


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"batch": 5, "optimizer": EncoderOptimizer(accumulate=2)}, "--batch is 5.*multiple of accumulate, 2"),
        ({"faces": EncoderFaces(mixing=1.5)}, "--faces.mixing is 1.5.*0 to 1"),
        ({"faces": EncoderFaces(psi=())}, "--faces.psi"),
        ({"progressive": (0.5, 0.2)}, "--progressive.*in order"),
        ({"losses": EncoderLosses(l2=-1.0)}, "--losses.l2 is -1.0.*not negative"),
        ({"optimizer": EncoderOptimizer(lr=0.0)}, "--optimizer.lr is 0.0.*positive"),
        ({"steps": 0}, "--steps is 0.*at least 1"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_a_sentence(changes, told):
    with pytest.raises(InputError, match=told):
        EncoderRun("g", **changes)


def test_a_perceptual_network_that_is_asked_for_and_not_there_is_refused(generator_path, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    run = run_with(generator_path, losses=EncoderLosses(perceptual_network="alex"))
    with pytest.raises(InputError, match="--perceptual-weights FILE"):
        task_for(run)
    with pytest.warns(UserWarning, match="No network for a perceptual loss"):
        task = task_for(run_with(generator_path, losses=EncoderLosses()))
    assert set(task.comparisons) == {"l2"}


def test_a_domain_s_own_clip_is_the_perceptual_network_where_there_is_no_other(domain_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    task = task_for(run_with(domain_folder, losses=EncoderLosses()))
    pictures = task.pictures.examples(2)["generated faces"].pictures
    assert task.comparisons["perceptual"].distance(pictures, pictures) == 0
    assert task.comparisons["perceptual"].distance(pictures.flip(3), pictures) > 0

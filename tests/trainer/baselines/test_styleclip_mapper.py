"""`lga train mapper`: its losses, its optimiser, that it learns and goes on, what it leaves behind, how it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch.testing import assert_close

from lga_core import InputError, MismatchError, load_domain
from lga_core.checkpoints.models import load_latent_mapper
from lga_core.formats.fingerprints import fingerprint
from lga_core.formats.header import read_metadata
from lga_core.formats.native import load_checkpoint
from lga_trainer import cli
from lga_trainer.baselines.styleclip_mapper.config import (
    MapperFaces,
    MapperLosses,
    MapperOptimizer,
    MapperRun,
    preset,
)
from lga_trainer.baselines.styleclip_mapper.ranger import EVERY, Ranger
from lga_trainer.baselines.styleclip_mapper.task import MapperTask
from lga_trainer.baselines.styleclip_mapper.train import MapperTraining, measure, train_mapper
from lga_trainer.training.config import Watch
from lga_trainer.training.distributed import Share, Workers
from lga_trainer.training.loop import LoopSchedule, train
from lga_trainer.training.run_folder import RunFolder

CPU = torch.device("cpu")
QUIET = Watch(log_every=2, preview_every=1000, save_every=3, tensorboard=False, report_faces=3)
PLAIN = MapperOptimizer("adam", precision="fp32")
SMALL = ["--steps", "2", "--faces.count", "4", "--watch.report-faces", "2", "--watch.no-tensorboard"]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run_with(domain_folder: Path, **changes) -> MapperRun:
    quick = {
        "prompt": "smiling",
        "steps": 8,
        "batch": 4,
        "faces": MapperFaces(count=8),
        "optimizer": PLAIN,
        "watch": QUIET,
        "device": "cpu",
    }
    return MapperRun(str(domain_folder), **{**quick, **changes})


def task_for(run: MapperRun) -> MapperTask:
    training, folder = MapperTraining(run), RunFolder(Path(run.out))
    return training.task(training.load(folder.path, CPU), folder, Workers("cpu"))


@pytest.fixture
def lga(capsys):
    """Runs `lga` in this process; its exit code and what it printed."""

    def run(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        return cli.main([str(word) for word in words]), *capsys.readouterr()

    return run


# What is minimised


def test_the_losses_are_those_of_the_changed_face_its_code_and_its_person(domain_folder):
    task = task_for(run_with(domain_folder))
    ws, clip = task.faces.ws[:3], task.models.clip
    found = task.losses(ws)
    moved = ws + 0.1 * task.mapper(ws)
    before, after = task.models.draw(ws), task.models.draw(moved)
    seen = F.normalize(clip.model.encode_image(after), dim=1)  # CLIP sees 32 px, as many as there are
    sentence = clip.encode_text(["The cartoon face is smiling."])
    assert_close(found["clip"], (1 - seen @ sentence[0]).mean())
    assert_close(found["l2"], (moved - ws).square().mean())
    alike = F.cosine_similarity(task.models.identity(after), task.models.identity(before), dim=1)
    assert_close(found["identity"], (1 - alike).mean())


def test_clip_sees_its_own_colours_where_that_is_asked_for(domain_folder):
    task = task_for(run_with(domain_folder, losses=MapperLosses(normalised=True)))
    ws, clip = task.faces.ws[:2], task.models.clip
    clip.mean.fill_(0.1)  # that of the tiny CLIP changes nothing
    seen = clip.encode_images(task.models.draw(ws + 0.1 * task.mapper(ws)))
    assert_close(task.losses(ws)["clip"], (1 - seen @ task.models.sentence[0]).mean())


def test_a_loss_of_no_weight_is_not_computed(domain_folder):
    task = task_for(run_with(domain_folder, losses=MapperLosses(l2=0.0, identity=0.0)))
    assert task.models.identity is None and set(task.losses(task.faces.ws[:1])) == {"clip"}


def test_the_published_settings_are_the_defaults():
    run = preset("official", "g", "smiling")
    assert run == MapperRun("g", "smiling")
    assert run.losses.weights == {"clip": 1.0, "l2": 0.8, "identity": 0.1}
    assert (run.optimizer.name, run.optimizer.lr, run.optimizer.lr_end) == ("ranger", 0.5, 0.5)
    assert (run.steps, run.batch, run.faces.count, run.faces.psi) == (50_000, 2, 5000, 0.7)


# The published optimiser


def test_ranger_goes_half_way_back_to_where_it_was_six_steps_ago():
    start = torch.randn(5, generator=torch.Generator().manual_seed(0))
    ahead, plain = (torch.nn.Parameter(start.clone()) for _ in range(2))
    ranger, radam = Ranger([ahead], lr=0.3), torch.optim.RAdam([plain], lr=0.3, betas=(0.95, 0.999), eps=1e-5)
    for step in range(1, EVERY + 1):
        for parameter, optimizer in ((ahead, ranger), (plain, radam)):
            parameter.grad = parameter.detach() * step + 1
            optimizer.step()
        if step < EVERY:
            assert torch.equal(ahead, plain)
    assert_close(ahead.detach(), (start + plain.detach()) / 2)
    assert not torch.allclose(ahead, plain)


# That it learns, and goes on


class Recogniser:
    """Stands for a CLIP: what it sees of a picture are coarse colours, as they differ from the average face's."""

    image_size, mean, std = 32, torch.zeros(1), torch.ones(1)

    def __init__(self, task: MapperTask) -> None:
        self.model, self.average = self, task.models.draw(task.faces.ws.mean(dim=0, keepdim=True))

    def encode_image(self, pixels):
        return F.adaptive_avg_pool2d(pixels - self.average, 4).flatten(1)


@pytest.mark.parametrize(("name", "lr"), [("adam", 0.5), ("ranger", 5.0)])  # RAdam's first steps are short
def test_it_brings_faces_nearer_to_what_is_wanted(domain_folder, tmp_path, name, lr):
    losses, optimizer = MapperLosses(l2=0.1, identity=0.0), MapperOptimizer(name, lr, lr, precision="fp32")
    run = run_with(domain_folder, steps=40, losses=losses, optimizer=optimizer)
    task = task_for(run)
    clip = Recogniser(task)
    wanted = clip.encode_image(task.models.draw(2 * task.faces.ws[:1] - task.faces.ws.mean(dim=0, keepdim=True)))
    task.models, task.shown = task.models._replace(clip=clip, sentence=wanted), task.faces.ws
    untrained = measure(task)["clip_after"]
    train(
        task, RunFolder(tmp_path), LoopSchedule(40, tensorboard=False, preview_every=1000), Workers("cpu"), "a mapper"
    )
    figures = measure(task)
    assert figures["clip_after"] > max(untrained, figures["clip_before"]) + 0.08


def test_a_face_s_rows_without_a_network_stay(domain_folder):
    task = task_for(run_with(domain_folder, levels=("medium",)))
    motion = task.mapper.motion(task.faces.ws[:2])
    assert motion[:, :, :4].abs().max() == 0 and motion[:, -1, 4:].abs().min() > 0


class Cut(Exception):
    pass


def state_after(run: MapperRun, folder: Path, cut_at: int | None = None) -> dict[str, torch.Tensor]:
    """All that a run has saved at its end; with `cut_at` it is killed there once and taken up again."""
    pace = LoopSchedule.of(run.steps, run.optimizer.accumulate, run.watch)
    if cut_at is not None:
        task = task_for(run)

        def killed(step: int) -> None:
            if step == cut_at:
                raise Cut

        task.after = killed
        with pytest.raises(Cut):
            train(task, RunFolder(folder), pace, Workers("cpu"), "a mapper")
    train(task_for(run), RunFolder(folder), pace, Workers("cpu"), "a mapper")
    return load_checkpoint(folder / "state.safetensors", "training").tensors


@pytest.mark.parametrize("name", ["adam", "ranger"])
def test_a_killed_run_that_goes_on_ends_with_the_same_bits(domain_folder, tmp_path, name):
    run = run_with(domain_folder, optimizer=MapperOptimizer(name, precision="fp32"))
    whole = state_after(run, tmp_path / "whole")
    resumed = state_after(run, tmp_path / "resumed", cut_at=4)
    assert whole.keys() == resumed.keys()
    assert {key for key in whole if not torch.equal(whole[key], resumed[key])} == set()


def test_shares_of_a_batch_are_the_batch(domain_folder):
    task = task_for(run_with(domain_folder))
    halves = [task_for(run_with(domain_folder, batch=2)).batch(3, Share(part, 2)) for part in range(2)]
    assert torch.equal(torch.cat(halves), task.batch(3, Share(0, 1)))


# What it leaves behind


def test_the_command_leaves_a_mapper_that_says_what_it_is_and_a_report(lga, domain_folder, tmp_path):
    words = ["--generator", domain_folder, "--prompt", "sad", "--out", tmp_path / "run", "--device", "cpu", *SMALL]
    code, said, _ = lga("train", "mapper", *words)
    path = tmp_path / "run" / "mapper.safetensors"
    assert code == 0 and str(path.resolve()) in said
    domain, about = load_domain(domain_folder), read_metadata(path)
    assert about["sentence"] == "The cartoon face is sad." and about["steps"] == 2
    assert about["generator_fingerprint"] == fingerprint(domain.generator)
    ws = domain.generator.sample([1, 2])
    motion = load_latent_mapper(path).motion(ws, 5)
    assert motion.shape == (2, 5, 8, 16) and motion[:, 0].abs().max() == 0
    report = (tmp_path / "run" / "report.html").read_text()
    assert "Baseline" in report and "The cartoon face is sad." in report and "<img" in report
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["mapper/clip"] > 0


def test_the_file_is_the_mapper_that_was_trained(domain_folder, tmp_path):
    run = run_with(domain_folder, steps=3, out=str(tmp_path))
    path = train_mapper(run)
    trained = load_checkpoint(tmp_path / "state.safetensors", "training").tensors
    for name, tensor in load_latent_mapper(path).state_dict().items():
        assert_close(tensor, trained[f"mapper/{name}"], rtol=1e-3, atol=1e-3)


def test_faces_may_come_from_pictures(domain_folder, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for index in range(3):
        Image.new("RGB", (40, 40), (80 * index, 90, 0)).save(pictures / f"{index}.png")
    (pictures / "bad.png").write_bytes(b"")
    run = run_with(domain_folder, images=str(pictures), out=str(tmp_path / "run"))
    RunFolder(tmp_path / "run").made()
    with pytest.warns(UserWarning, match="bad.png was skipped"):
        task = task_for(run)
    assert len(task.faces.ws) == 3


def test_a_run_does_not_go_on_with_another_prompt(domain_folder, tmp_path):
    losses = MapperLosses(identity=0.0)
    train_mapper(run_with(domain_folder, steps=1, losses=losses, out=str(tmp_path)))
    with pytest.raises(MismatchError, match="prompt = 'smiling', and 'sad' is asked for"):
        train_mapper(run_with(domain_folder, steps=1, losses=losses, out=str(tmp_path), prompt="sad"))


# How it refuses


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"batch": 3, "optimizer": MapperOptimizer(accumulate=2)}, "--batch is 3.*multiple of accumulate, 2"),
        (
            {"losses": MapperLosses(clip=0.0)},
            "--losses.clip is 0.0; it must be positive, as no other loss reads the prompt",
        ),
        ({"losses": MapperLosses(l2=-1.0)}, "--losses.l2 is -1.0.*not negative"),
        ({"optimizer": MapperOptimizer(lr=0.0)}, "--optimizer.lr is 0.0.*positive"),
        ({"levels": ("fine", "coarse")}, "--levels: .*some of coarse, medium and fine"),
        ({"steps": 0}, "--steps is 0.*at least 1"),
        ({"watch": Watch(report_faces=1)}, "--watch.report-faces is 1.*at least 2"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_a_sentence(changes, told):
    with pytest.raises(InputError, match=told):
        MapperRun("g", "smiling", **changes)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "--prompt"),
        (["--prompt", "smiling", "--preset", "fast"], "no preset 'fast'. Presets: quick, official"),
        (["--prompt", "smiling", "--optimizer.name", "sgd"], "ranger"),
        (["--prompt", "smiling", "--propmt", "sad"], "Unknown option --propmt. Did you mean --prompt?"),
        (["--prompt", "xyzzy"], "xyzzy"),
        (["--prompt", "smiling", "--images", "nowhere"], "no folder nowhere"),
    ],
)
def test_a_mistake_is_one_line_exit_code_2_and_no_step(lga, domain_folder, tmp_path, words, told):
    out = tmp_path / "run"
    code, said, complaint = lga("train", "mapper", "--generator", domain_folder, "--out", out, *SMALL, *words)
    assert code == 2 and told in complaint and len(complaint.strip().splitlines()) == 1
    assert not (out / "state.safetensors").exists()


def test_a_generator_of_one_s_own_needs_a_clip(lga, domain_folder, tmp_path):
    words = ["--generator", domain_folder / "generator.safetensors", "--prompt", "smiling", "--out", tmp_path / "run"]
    code, _, complaint = lga("train", "mapper", *words, *SMALL)
    assert code == 2 and "Which CLIP?" in complaint
    code, _, complaint = lga("train", "mapper", *words, *SMALL, "--clip", domain_folder / "clip.safetensors")
    assert code == 0

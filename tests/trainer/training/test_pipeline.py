"""The frame of every training, for all four kinds: it resumes with the same files wherever they are and with no others,
takes its own config.json, writes nothing before it holds the folder's lock, and reports on foreign generators."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from factories import tiny_generator_config
from foreign_files import writers
from PIL import Image

from lga_core import Generator, InputError, MismatchError, load_clip, write_clip
from lga_core.checkpoints.models import save_generator
from lga_core.formats.native import load_checkpoint, read_metadata
from lga_trainer import cli
from lga_trainer.baselines.mocogan_hd.config import (
    MocoganLosses,
    MocoganModel,
    MocoganOptimizer,
    MocoganRun,
    MocoganVideos,
)
from lga_trainer.baselines.mocogan_hd.train import MocoganTraining, train_mocogan
from lga_trainer.baselines.styleclip_mapper.config import MapperFaces, MapperLosses, MapperOptimizer, MapperRun
from lga_trainer.baselines.styleclip_mapper.train import MapperTraining, train_mapper
from lga_trainer.encoder.config import EncoderLosses, EncoderOptimizer, EncoderRun
from lga_trainer.encoder.train import EncoderTraining, train_encoder
from lga_trainer.motion.config import Faces, Losses, Model, MotionRun, Optimizer
from lga_trainer.motion.train import MotionTraining, save_fine_tuned, train_motion
from lga_trainer.training import loop, run_folder
from lga_trainer.training.config import Watch
from lga_trainer.training.run_folder import RunFolder

QUIET = Watch(log_every=1, preview_every=1000, save_every=2, tensorboard=False, report_faces=2)
CONFIG = tiny_generator_config(32, 16)
STEPS = 3


class Kind(NamedTuple):
    """`settings`: those of a run of three steps. `hooks`: its class. `media`: the setting of its images or videos."""

    train: Callable[[Any], Path]
    hooks: type
    make: Callable[..., Any]
    media: str = "images"
    clip: bool = True


def motion(files: Path, **changes: Any) -> MotionRun:
    settings = {
        "clip": str(files / "clip.safetensors"),
        "prompts": str(files / "words.txt"),
        "batch": 2,
        "model": Model(mapper_dim=16, hidden_dim=16),
        "losses": Losses(perceptual=0.0, views=0, score_size=32),
        "faces": Faces(count=4),
        "optimizer": Optimizer(warmup=0, precision="fp32"),
    }
    return MotionRun(str(files / "generator.safetensors"), steps=STEPS, watch=QUIET, **{**settings, **changes})


def encoder(files: Path, **changes: Any) -> EncoderRun:
    settings = {
        "start": str(files / "encoder.safetensors"),
        "clip": str(files / "clip.safetensors"),
        "batch": 2,
        "losses": EncoderLosses(perceptual_network="clip"),
        "optimizer": EncoderOptimizer(warmup=0, precision="fp32"),
    }
    return EncoderRun(str(files / "generator.safetensors"), steps=STEPS, watch=QUIET, **{**settings, **changes})


def mapper(files: Path, **changes: Any) -> MapperRun:
    settings = {
        "clip": str(files / "clip.safetensors"),
        "losses": MapperLosses(identity=0.0),
        "faces": MapperFaces(count=4),
        "optimizer": MapperOptimizer("adam", precision="fp32"),
    }
    generator = str(files / "generator.safetensors")
    return MapperRun(generator, "smiling", steps=STEPS, watch=QUIET, **{**settings, **changes})


def mocogan(files: Path, **changes: Any) -> MocoganRun:
    settings = {
        "videos": str(files / "videos"),
        "batch": 2,
        "directions_from": 100,
        "model": MocoganModel(hidden_dim=8),
        "losses": MocoganLosses(queue=4),
        "film": MocoganVideos(num_frames=3, size=16),
        "optimizer": MocoganOptimizer(discriminator_every=2, video_width=2, picture_width=2, precision="fp32"),
    }
    return MocoganRun(str(files / "generator.safetensors"), steps=STEPS, watch=QUIET, **{**settings, **changes})


KINDS = {
    "motion": Kind(train_motion, MotionTraining, motion),
    "encoder": Kind(train_encoder, EncoderTraining, encoder),
    "mapper": Kind(train_mapper, MapperTraining, mapper),
    "mocogan": Kind(train_mocogan, MocoganTraining, mocogan, media="videos", clip=False),
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=KINDS)
def kind(request) -> Kind:
    return KINDS[request.param]


@pytest.fixture(scope="module")
def files(domain_folder, tmp_path_factory) -> Path:
    """Everything that a run may name, beside another of each that differs in what it holds alone."""
    folder = tmp_path_factory.mktemp("files")
    for name in ("generator", "clip", "encoder"):
        shutil.copy(domain_folder / f"{name}.safetensors", folder)
    save_generator(folder / "generator2.safetensors", Generator(CONFIG, seed=7))
    clip = load_clip(folder / "clip.safetensors")
    with torch.no_grad():
        next(clip.parameters()).mul_(1.5)
    save_fine_tuned(folder / "clip2.safetensors", clip)
    (folder / "words.txt").write_text("template: The cartoon face is {}.\nsmiling\nsad\n")
    for number, suffix in enumerate(("", "2")):
        for media in ("images", "videos"):
            (folder / f"{media}{suffix}").mkdir()
        for index in range(2):
            light = (20 * index + 80 * number,) * 3
            Image.new("RGB", (40 + 4 * number, 40), light).save(folder / f"images{suffix}" / f"{index}.png")
        frames = torch.linspace(-0.9, 0.9, 8 + number)[:, None, None, None].expand(-1, 3, 32, 32)
        write_clip(folder / f"videos{suffix}" / "0.mp4", [frames], 25)
    return folder


@pytest.fixture
def unreported(monkeypatch):
    """Figures and reports take longer than these runs."""
    for each in KINDS.values():
        monkeypatch.setattr(each.hooks, "measure", lambda *_: {})
        monkeypatch.setattr(each.hooks, "report", lambda *_: None)


def with_media(kind: Kind, files: Path, out: Path, media: str) -> Any:
    """A run that learns from the folder `media`; images need an encoder, but where an encoder is trained."""
    changes: dict[str, Any] = {kind.media: str(files / media)}
    if kind.media == "images" and kind.make is not encoder:
        changes["encoder"] = str(files / "encoder.safetensors")
    return kind.make(files, out=str(out), **changes)


def state(out: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(out / "state.safetensors", "training").tensors


def assert_same_state(ours: Path, theirs: Path) -> None:
    ours_, theirs_ = state(ours), state(theirs)
    assert ours_.keys() == theirs_.keys()
    assert {name for name in ours_ if not torch.equal(ours_[name], theirs_[name])} == set()


def listing(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*")}


# Resuming


@pytest.mark.usefixtures("unreported")
def test_a_killed_run_goes_on_to_the_same_bits(kind, files, tmp_path, monkeypatch):
    kind.train(kind.make(files, out=str(tmp_path / "whole")))
    run, step = kind.make(files, out=str(tmp_path / "killed")), loop.take_step

    def killed(task, number, *rest):
        if number == STEPS - 1:
            raise KeyboardInterrupt
        return step(task, number, *rest)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "take_step", killed)
        kind.train(run)
    kind.train(run)
    assert_same_state(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.usefixtures("unreported")
def test_files_and_folders_may_move_between_two_starts(kind, files, tmp_path):
    out = tmp_path / "run"
    kind.train(with_media(kind, files, out, kind.media))
    shutil.copytree(files, tmp_path / "moved", copy_function=shutil.copyfile)  # times change, too
    moved = tmp_path / "moved"
    for name in ("generator", "clip", "encoder"):
        (moved / f"{name}.safetensors").rename(moved / f"my_{name}.safetensors")
    (moved / kind.media).rename(moved / "media")
    run = with_media(kind, moved, out, "media")
    named = {name: str(moved / f"my_{name}.safetensors") for name in ("generator", "clip", "encoder")}
    named["start"] = named["encoder"]
    known = {name: path for name, path in named.items() if getattr(run, name, None)}
    kind.train(replace(run, steps=STEPS + 1, **known))
    assert read_metadata(out / "state.safetensors")["step"] == STEPS + 1


@pytest.mark.usefixtures("unreported")
@pytest.mark.parametrize("part", ["generator", "clip", "media"])
def test_another_file_is_refused_by_name_and_nothing_changes(kind, files, tmp_path, part):
    if part == "clip" and not kind.clip:
        pytest.skip("it has no CLIP")
    out = tmp_path / "run"
    run = with_media(kind, files, out, kind.media) if part == "media" else kind.make(files, out=str(out))
    kind.train(run)
    before = listing(out)
    setting, needed = {
        "generator": ("generator", "another generator"),
        "clip": ("clip", "another CLIP"),
        "media": (kind.media, f"another folder of {kind.media}"),
    }[part]
    name = str(getattr(run, setting))
    other = name.replace(".safetensors", "2.safetensors") if part != "media" else f"{name}2"
    changes = {setting: other, "steps": STEPS + 1}
    with pytest.raises(MismatchError, match=f"was started with {needed} .*Continue with the old one, or start a new"):
        kind.train(replace(run, **changes))
    assert {name: time for name, time in listing(out).items() if name not in (".lock", "previews")} == {
        name: time for name, time in before.items() if name not in (".lock", "previews")
    }


@pytest.mark.usefixtures("unreported")
def test_a_folder_with_one_more_file_is_another_folder(kind, files, tmp_path):
    shutil.copytree(files / kind.media, tmp_path / "media")
    run = replace(with_media(kind, files, tmp_path / "run", kind.media), **{kind.media: str(tmp_path / "media")})
    kind.train(run)
    first = next((tmp_path / "media").iterdir())
    shutil.copy(first, first.with_name(f"more{first.suffix}"))
    with pytest.raises(MismatchError, match=f"another folder of {kind.media}"):
        kind.train(run)


# Run folders of earlier versions


def as_earlier_versions_wrote_it(out: Path, is_encoder: bool) -> None:
    path = out / "config.json"
    config = json.loads(path.read_text())
    parts = config.pop("parts")
    if is_encoder:
        config["generator"] = parts["generator"]
    else:
        config["parts"] = {
            name: parts[name] for name in ("generator", "clip", "sentences", "sentence") if name in parts
        }
    path.write_text(json.dumps(config))


@pytest.mark.usefixtures("unreported")
def test_an_older_run_folder_is_resumed_and_keeps_what_it_knows_of_its_files(kind, files, tmp_path):
    run = with_media(kind, files, tmp_path / "run", kind.media)
    kind.train(run)
    as_earlier_versions_wrote_it(tmp_path / "run", kind.make is encoder)
    with pytest.raises(MismatchError, match="another generator"):
        kind.train(replace(run, generator=str(files / "generator2.safetensors")))
    with pytest.raises(MismatchError, match=f"started with {kind.media} = "):
        kind.train(replace(run, **{kind.media: str(files / f"{kind.media}2")}))
    kind.train(replace(run, steps=STEPS + 1))
    assert read_metadata(tmp_path / "run" / "state.safetensors")["step"] == STEPS + 1
    assert kind.media in json.loads((tmp_path / "run" / "config.json").read_text())["parts"]


def test_an_older_encoder_s_settings_are_taken_where_the_generator_is_given(files, tmp_path, monkeypatch, capsys):
    kind, seen = KINDS["encoder"], []
    run = kind.make(files, out=str(tmp_path / "run"))
    config = {**json.loads(json.dumps(run, default=vars)), "generator": {"name": "tiny", "fingerprint": "0" * 16}}
    (tmp_path / "old.json").write_text(json.dumps(config))
    monkeypatch.setattr("lga_trainer.encoder.train.train_encoder", lambda run: seen.append(run) or tmp_path)
    words = ["train", "encoder", "--config", str(tmp_path / "old.json")]
    assert cli.main([*words, "--generator", run.generator]) == 0 and seen == [run]
    assert cli.main(words) == 2 and "--generator" in capsys.readouterr().err


# Settings


@pytest.mark.usefixtures("unreported")
def test_a_run_s_own_config_makes_the_same_model_again(kind, files, tmp_path, request):
    kind.train(with_media(kind, files, tmp_path / "run", kind.media))
    name = request.node.callspec.params["kind"]
    words = ["train", name, "--config", str(tmp_path / "run" / "config.json"), "--out", str(tmp_path / "again")]
    assert cli.main(words) == 0
    assert_same_state(tmp_path / "run", tmp_path / "again")


# The lock


@pytest.fixture(scope="module")
def foreign(tmp_path_factory) -> Path:
    """A generator of the community's and one of NVIDIA's."""
    folder, generator = tmp_path_factory.mktemp("foreign"), writers.random_generator(CONFIG)
    writers.write_rosinality(folder / "rosinality.pt", generator)
    writers.write_nvidia(folder / "nvidia.pkl", generator)
    return folder


def test_a_folder_in_which_another_training_runs_is_left_alone(kind, files, foreign, tmp_path):
    out = tmp_path / "run"
    run = replace(with_media(kind, files, out, kind.media), generator=str(foreign / "rosinality.pt"))
    with RunFolder(out).locked():
        before = listing(out)
        with pytest.raises(InputError, match=r"Another training is running in .*run\. Stop it, or choose another"):
            kind.train(run)
        assert listing(out) == before


@pytest.mark.usefixtures("unreported")
def test_the_lock_is_the_first_that_is_written(kind, files, foreign, tmp_path, monkeypatch):
    out, found = tmp_path / "run", []

    class Lock(run_folder.FileLock):
        def acquire(self, *args, **kwargs):
            found.append(listing(out))
            return super().acquire(*args, **kwargs)

    monkeypatch.setattr(run_folder, "FileLock", Lock)
    run = replace(with_media(kind, files, out, kind.media), generator=str(foreign / "rosinality.pt"))
    kind.train(run)
    assert found == [{}] and (out / "converted").is_dir()


# Foreign generators


LICENCES = {"rosinality.pt": "unknown: ask where the file came from", "nvidia.pkl": "(non-commercial)"}


def test_a_converted_generator_reaches_the_report_with_its_licence_as_text(kind, files, foreign, tmp_path, monkeypatch):
    file = "rosinality.pt" if kind.make in (motion, encoder) else "nvidia.pkl"
    if kind.make is motion:
        monkeypatch.setattr("lga_trainer.motion.train.draw_sheet", sheet_of_nothing)
    run = kind.make(files, out=str(tmp_path / "run"))
    path = kind.train(replace(run, generator=str(foreign / file), steps=1))
    said = read_metadata(path)["generator_licence"]
    assert isinstance(said, str) and LICENCES[file] in said
    page = (tmp_path / "run" / "report.html").read_text()
    assert said.split(",")[0] in page and "Licence of the generator" in page


def sheet_of_nothing(*args: Any) -> None:
    Image.new("RGB", (64, 64)).save(args[-1])

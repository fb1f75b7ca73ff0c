"""`lga train motion` on the tiny domain, from the command line to the files: what it leaves behind, that it goes on
after anything, and how it refuses. (Its CLIP is random, so nothing is learned here.)"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from factories import tiny_generator_config
from PIL import Image

from lga_core import (
    Encoder,
    Faces,
    Generator,
    MotionConfig,
    MotionModel,
    load_clip,
    load_generator,
    load_motion,
    save_faces,
)
from lga_core.checkpoints.models import save_encoder, save_motion
from lga_core.domain import read_motion_card
from lga_core.faces.detection.types import FoundFace
from lga_core.formats.fingerprints import fingerprint
from lga_core.formats.header import read_metadata
from lga_core.formats.native import load_checkpoint
from lga_core.inversion.encoder import EncoderConfig
from lga_core.latents import ModelId
from lga_trainer import cli
from lga_trainer.cli.train import train as train_app
from lga_trainer.motion import task as motion_task
from lga_trainer.motion.train import MotionTraining

pytestmark = pytest.mark.long

FEW = {"batch": 2, "faces.count": 8, "model.mapper-dim": 16, "model.hidden-dim": 16, "optimizer.warmup": 0}
SELDOM = {"report-faces": 2, "preview-every": 1000, "save-every": 4, "log-every": 1}
SMALL = [word for name, value in FEW.items() for word in (f"--{name}", str(value))]
SMALL += [word for name, value in SELDOM.items() for word in (f"--watch.{name}", str(value))] + [
    "--watch.no-tensorboard"
]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def lga(capsys):
    """Runs `lga` in this process; its exit code and what it printed."""

    def run(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        return cli.main([str(word) for word in words]), *capsys.readouterr()

    return run


@pytest.fixture
def unreported(monkeypatch):
    """Reports take longer than these runs."""
    for hook in ("measure", "report"):
        monkeypatch.setattr(MotionTraining, hook, lambda *_: {})


@pytest.fixture
def train(lga, domain_folder, tmp_path):
    """Runs `lga train motion` with these words on the tiny domain, small and short."""

    def run(*words: object, out: Path | None = None, steps: int = 3) -> tuple[int, str, str]:
        given = [str(word) for word in words]
        generator = [] if "--generator" in given else ["--generator", domain_folder]
        folder = [] if "--out" in given else ["--out", out or tmp_path / "run"]
        count = [] if "--steps" in given else ["--steps", steps]
        return lga("train", "motion", *generator, *folder, *SMALL, *count, *given)

    return run


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return load_motion(folder / "motion.safetensors").state_dict()


def assert_same_model(folder: Path, other: Path) -> None:
    ours, theirs = tensors(folder), tensors(other)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


def logged(folder: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


# What it leaves behind


STEPS = 12


@pytest.fixture(scope="module")
def whole(tmp_path_factory, domain_folder):
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    words = ["train", "motion", "--generator", str(domain_folder), "--out", str(folder), *SMALL, "--steps", str(STEPS)]
    assert cli.main([*words, "--watch.preview-every", "5", "--seed", "3"]) == 0
    return folder


def test_a_run_s_folder_holds_the_model_the_report_and_what_happened(whole):
    found = {path.relative_to(whole).as_posix() for path in whole.rglob("*") if path.name != ".lock"}
    assert found == {
        "config.json",
        "state.safetensors",
        "metrics.jsonl",
        "previews",
        "previews/step_000005.png",
        "previews/step_000010.png",
        "sheet.png",
        "report.html",
        "report.json",
        "motion.safetensors",
    }
    assert logged(whole) == list(range(1, STEPS + 1))


def test_a_model_says_everything_that_is_needed_to_use_it(whole, domain_folder):
    path = whole / "motion.safetensors"
    said, generator = read_metadata(path), load_generator(domain_folder / "generator.safetensors")
    clip = load_clip(domain_folder / "clip.safetensors")
    assert (said["generator"], said["generator_fingerprint"]) == ("tiny", fingerprint(generator))
    assert said["clip_fingerprint"] == clip.fingerprint
    assert said["template"] == "The cartoon face is {}."
    assert [prompt["prompt"] for prompt in said["prompts"]] == ["smiling", "sad", "has blonde hair"]
    assert said["steps"] == STEPS
    assert (said["training"]["seed"], said["training"]["losses"]["path"]) == (3, 1.0)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", said["made"]["date"]) and said["made"]["torch"] == torch.__version__
    assert said["made"]["revision"]
    assert said["architecture"]["anchor"] == "output"
    assert path.stat().st_size < 60e6


def test_a_model_is_read_as_any_other(whole, domain_folder):
    motion, card = load_motion(whole / "motion.safetensors"), read_motion_card(whole / "motion.safetensors")
    generator = load_generator(domain_folder / "generator.safetensors")
    assert (motion.config.num_ws, motion.config.w_dim) == (generator.num_ws, 16)
    assert card.wording.sentence("sad") == "The cartoon face is sad."
    assert card.mean_picture.shape == (1, 24) and card.mean_picture.norm().item() == pytest.approx(1, abs=1e-3)


def test_a_full_size_model_is_no_larger_than_60_mb(tmp_path):
    config = MotionConfig.official(1024, 18)  # the largest that is published: RN50 and 1024 px
    save_motion(tmp_path / "large.safetensors", MotionModel(config), half=True)
    assert (tmp_path / "large.safetensors").stat().st_size < 60e6


def test_the_report_is_one_page_that_needs_nothing_else(whole):
    page, told = (whole / "report.html").read_text(), json.loads((whole / "report.json").read_text())
    assert "smiling" in page and "Motion for tiny" in page
    assert not re.search(r"""(?:src|href)=["']?(?!data:|#)[^"' >]+""", page)
    assert told["figures"]["prompts"].keys() == {"smiling", "sad", "has blonde hair"}
    assert {"clip_top1"} <= told["figures"]["means"].keys()
    assert told["figures"]["num_faces"] == 2


def test_the_command_says_where_the_model_and_the_report_are(train, tmp_path):
    code, out, err = train(steps=1)
    assert (code, err) == (0, "")
    assert out.splitlines()[-2:] == [
        f"motion model: {tmp_path / 'run' / 'motion.safetensors'}",
        f"report:       {tmp_path / 'run' / 'report.html'}",
    ]


# It goes on after anything


def test_after_kill_9_the_same_command_goes_on_to_the_very_same_model(train, whole, tmp_path, domain_folder):
    """Meanwhile nobody else may train in its folder."""
    words = ["--seed", "3", "--watch.preview-every", "5"]
    script = (
        "import sys, time; from lga_trainer import cli; from lga_trainer.motion.task import MotionTask\n"
        "after = MotionTask.after\n"
        "MotionTask.after = lambda *args: (after(*args), time.sleep(60 * (args[1] == 5)))\n"
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    command = ["train", "motion", "--generator", domain_folder, "--out", tmp_path / "run", *SMALL, "--steps", STEPS]
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, command), *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: (tmp_path / "run" / "metrics.jsonl").exists() and len(logged(tmp_path / "run")) == 5, process)
        code, _, err = train(*words, steps=STEPS)
        assert (code, err.count("\n")) == (2, 1) and "Another training is running" in err
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert read_metadata(tmp_path / "run" / "state.safetensors")["step"] == 4
    assert not (tmp_path / "run" / "motion.safetensors").exists()
    assert train(*words, steps=STEPS)[0] == 0
    assert_same_model(tmp_path / "run", whole)
    assert logged(tmp_path / "run") == logged(whole)


def wait_for(condition, process: subprocess.Popen, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the process has ended"
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)


@pytest.mark.usefixtures("unreported")
def test_ctrl_c_saves_says_so_and_is_exit_code_130(train, whole, tmp_path, monkeypatch):
    batch = motion_task.MotionTask.batch

    def pressed(self, step, share):
        if step == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return batch(self, step, share)

    with monkeypatch.context() as patch:
        patch.setattr(motion_task.MotionTask, "batch", pressed)
        code, out, err = train("--seed", 3, steps=STEPS)
    assert code == 130
    assert "Stopping after this step" in out and "Run the same command again to go on" in out
    assert err == "Interrupted.\n"
    assert read_metadata(tmp_path / "run" / "state.safetensors")["step"] == 6
    assert not (tmp_path / "run" / "motion.safetensors").exists()
    assert train("--seed", 3, steps=STEPS)[0] == 0
    assert_same_model(tmp_path / "run", whole)


def test_a_finished_run_is_reported_again_and_more_steps_take_it_up(train, tmp_path, whole):
    shutil.copytree(whole, tmp_path / "run")
    (tmp_path / "run" / "report.html").unlink()
    assert train("--seed", 3, steps=STEPS)[0] == 0
    assert (tmp_path / "run" / "report.html").exists()
    assert_same_model(tmp_path / "run", whole)
    assert train("--seed", 3, steps=STEPS + 1)[0] == 0
    assert logged(tmp_path / "run")[-1] == STEPS + 1


def test_a_run_does_not_go_on_under_another_setting_and_names_it(train, tmp_path, whole):
    shutil.copytree(whole, tmp_path / "run")
    code, _, err = train("--seed", 3, "--losses.path", 0.5, steps=STEPS)
    assert (code, err.count("\n")) == (2, 1)
    assert "started with losses.path = 1.0, and 0.5 is asked for now" in err
    assert_same_model(tmp_path / "run", whole)


# Settings


@pytest.mark.usefixtures("unreported")
def test_a_settings_file_overrides_the_preset_and_flags_override_both(train, tmp_path):
    told = {
        "preset": "no-path",
        "batch": 3,
        "losses": {"w_reg": 0.5, "perceptual": 0.0},
        "optimizer": {"finetune_clip": False},
    }
    (tmp_path / "mine.json").write_text(json.dumps({**told, "prompts": None}))
    words = str(tmp_path / "words.txt")
    Path(words).write_text("template: The cartoon face is {}.\nsmiling\nsad\nfurious\n")
    code, _, err = train("--config", tmp_path / "mine.json", "--prompts", words, "--losses.w-reg", 0.25, steps=1)
    assert code == 0, err
    used = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (used["preset"], used["batch"], used["losses"]["path"]) == ("no-path", 2, 0.0)  # the batch is a flag's
    assert (used["losses"]["w_reg"], used["losses"]["perceptual"]) == (0.25, 0.0)
    assert used["losses"]["contrastive_form"] == "batch"  # the preset's


@pytest.mark.usefixtures("unreported")
def test_a_run_s_own_settings_make_the_same_model_again(lga, train, tmp_path, whole):
    code, _, err = lga("train", "motion", "--config", whole / "config.json", "--out", tmp_path / "again")
    assert code == 0, err
    assert_same_model(tmp_path / "again", whole)


@pytest.mark.usefixtures("unreported")
def test_another_seed_is_another_model(train, whole, tmp_path):
    assert train("--seed", 4, steps=STEPS)[0] == 0
    assert any(
        not torch.equal(a, b) for a, b in zip(tensors(tmp_path / "run").values(), tensors(whole).values(), strict=True)
    )


def test_help_lists_every_setting(lga):
    code, out, err = lga("train", "motion", "--help")
    assert (code, err) == (0, "")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out)
    flags = {argument.name for argument in train_app["motion"].assemble_argument_collection() if argument.show}
    assert {"--config", "--losses.path", "--model.picture"} < flags
    for flag in flags:
        assert re.search(rf"^  {re.escape(flag)}\b", plain, re.MULTILINE), flag
    assert "no-contrastive" in plain  # the presets


@pytest.mark.parametrize("words", [[], ["--help"]])
def test_train_alone_says_what_can_be_trained(lga, words):
    code, out, _ = lga("train", *words)
    assert code == 0
    assert "lga train {motion,encoder,mapper,mocogan}" in out


@pytest.mark.usefixtures("unreported")
def test_a_generator_and_a_clip_of_one_s_own_are_enough(lga, domain_folder, tmp_path):
    (tmp_path / "words.txt").write_text("template: The cartoon face is {}.\nsmiling\nsad\n")
    files = ["--generator", domain_folder / "generator.safetensors", "--clip", domain_folder / "clip.safetensors"]
    words = [*files, "--prompts", tmp_path / "words.txt", "--out", tmp_path / "run", *SMALL, "--steps", 1]
    code, _, err = lga("train", "motion", *words)
    assert code == 0, err
    said = read_metadata(tmp_path / "run" / "motion.safetensors")
    assert said["generator"] == "generator"
    assert [prompt["sentence"] for prompt in said["prompts"]] == [
        "The cartoon face is smiling.",
        "The cartoon face is sad.",
    ]


@pytest.mark.usefixtures("unreported")
def test_a_fine_tuned_clip_is_saved_beside_the_model_that_needs_it(train, tmp_path, domain_folder):
    code, _, err = train("--optimizer.finetune-clip", "--optimizer.clip-lr", 1e-3, steps=2)
    assert code == 0, err
    tuned = load_clip(tmp_path / "run" / "clip.safetensors")
    before = load_clip(domain_folder / "clip.safetensors")
    assert read_metadata(tmp_path / "run" / "motion.safetensors")["clip_fingerprint"] == tuned.fingerprint
    assert tuned.fingerprint != before.fingerprint
    assert tuned.known_words() == before.known_words()


# Pictures


@pytest.fixture
def pictures(tmp_path):
    """A folder with four pictures, of which one is cut off."""
    folder, rng = tmp_path / "pictures", np.random.default_rng(0)
    folder.mkdir()
    for name in ("a", "b", "c", "cut"):
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(folder / f"{name}.png")
    (folder / "cut.png").write_bytes((folder / "cut.png").read_bytes()[:900])
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture
def inverted(monkeypatch):
    """How many pictures encoders have seen."""
    seen = []
    forward = Encoder.forward
    monkeypatch.setattr(Encoder, "forward", lambda self, x, *a: seen.append(len(x)) or forward(self, x, *a))
    return seen


def test_pictures_are_aligned_before_they_are_inverted_where_that_is_asked_for(train, pictures, tmp_path, monkeypatch):
    points = torch.tensor([[6.0, 6.0], [10.0, 6.0], [8.0, 8.0], [7.0, 10.0], [9.0, 10.0]])

    class Seer:
        name = "the seer"

        def find(self, images):
            return [FoundFace(points, 1.0, self.name)]

    monkeypatch.setattr("lga_trainer.data.alignment.installed_detectors", lambda *_: [Seer()])
    code, _, err = train("--images", pictures, "--align", steps=2)
    assert code == 0, err
    framed = sorted(path.name for path in (tmp_path / "run" / "aligned").glob("*.png"))
    assert len(framed) == 3
    kept = load_checkpoint(tmp_path / "run" / "faces.safetensors", "inverted faces")
    assert kept.metadata["pictures"] == framed
    assert "cut.png was skipped" in (tmp_path / "run" / "report.html").read_text()


def test_pictures_are_inverted_once_and_a_cut_one_is_skipped_and_named(train, pictures, tmp_path, inverted):
    code, _, err = train("--images", pictures, steps=2)
    assert code == 0, err
    assert [line for line in err.splitlines() if line.startswith("warning: ") and "cut.png was skipped" in line]
    assert sum(inverted) == 3
    told = json.loads((tmp_path / "run" / "report.json").read_text())
    assert [note for note in told["notes"] if note.startswith("cut.png was skipped: ")]
    assert "cut.png was skipped" in (tmp_path / "run" / "report.html").read_text()

    code, _, err = train("--images", pictures, steps=3)
    assert sum(inverted) == 3
    assert "cut.png was skipped" in err  # said again, though nothing was read again
    shutil.copy(pictures / "a.png", pictures / "d.png")
    code, _, err = train("--images", pictures, steps=4)
    assert code == 2 and "started with another folder of images" in err
    (tmp_path / "run" / "state.safetensors").unlink()  # the run starts anew, and its cache is out of date
    train("--images", pictures, steps=4)
    assert sum(inverted) == 7


@pytest.mark.usefixtures("unreported")
def test_codes_may_be_given_instead(train, domain_folder, tmp_path):
    generator = load_generator(domain_folder / "generator.safetensors")
    faces = Faces(generator.sample(range(3)), ModelId(fingerprint(generator), "tiny"))
    save_faces(tmp_path / "codes.safetensors", faces)
    code, _, err = train("--codes", tmp_path / "codes.safetensors", steps=1)
    assert code == 0, err


# What it refuses

BAD = {
    "nothing to train": (
        ["train", "motio"],
        "'motio'. Did you mean motion? Commands: motion, encoder, m",
    ),
    "no generator": (["train", "motion", "--steps", 3], "--generator"),
    "mistyped flag": (["--stesp", 3], "Unknown option --stesp. Did you mean --steps?"),
    "one word too many": (["please"], "Unexpected argument 'please'"),
    "steps in words": (["--steps", "many"], "--steps is 'many'; it must be a whole number"),
    "a weight in words": (["--losses.path", "much"], "--losses.path is 'much'; it must be a number"),
    "a form that is none": (
        ["--losses.contrastive-form", "infonce"],
        "one of 'vocabulary', 'batch', 'official', 'cosine'",
    ),
    "unknown preset": (["--preset", "papper"], "no preset 'papper'. Presets: anchored, paper"),
    "no such settings file": (["--config", "none.json"], "none.json cannot be read"),
    "settings are no json": (["--config", "notes.txt"], "notes.txt is not JSON"),
    "mistyped key": (["--config", "mistyped.json"], "Unknown option --stpes in mistyped.json. Did you mean --steps?"),
    "mistyped inner key": (
        ["--config", "inner.json"],
        "--losses.pth in inner.json. Did you mean --losses.path?",
    ),
    "no such generator file": (["--generator", "none.pt"], "no generator at none.pt. Give --generator a model file"),
    "generator is a text": (["--generator", "notes.txt", "--clip", "x"], "notes.txt"),
    "generator is another model": (["--generator", "{domain}/motion.safetensors", "--clip", "x"], "motion.safetensors"),
    "no CLIP": (["--generator", "{domain}/generator.safetensors"], "Which CLIP? Give --clip a file"),
    "no such CLIP": (["--clip", "RN50=none.pt"], "no CLIP weights file at none.pt"),
    "CLIP by a name that is none": (["--clip", "RN5=notes.txt"], "RN5"),
    "CLIP is a text": (["--clip", "notes.txt"], "notes.txt"),
    "no such prompts": (["--prompts", "none.txt"], "no prompts at none.txt. Give one of cartoon"),
    "no prompts in it": (["--prompts", "empty.txt"], "is empty. Write one prompt a line"),
    "prompts twice": (["--prompts", "twice.txt"], "twice, under 'smiling' and 'Smiling'"),
    "prompt too long": (["--prompts", "long.txt"], "Shorten the text"),
    "prompt of unknown words": (["--prompts", "person"], "does not know any word of"),
    "more faces than prompts": (["--batch", 4], "Take --batch 3 or less, more prompts, or --repeats"),
    "two frames": (["--num-frames", 2], "smoothness loss needs three frames. Take at least 3, or --losses.path 0"),
    "parts that do not fit": (["--batch", 3, "--optimizer.accumulate", 2], "must be a multiple of accumulate, 2"),
    "blocks that are not there": (["--optimizer.recompute-from", 64], "the generator's blocks are 4, 8, 16, 32"),
    "no such pictures": (["--images", "none"], "no folder none. Give --images a folder"),
    "no pictures in it": (["--images", "folder"], "folder holds no picture"),
    "no picture can be read": (["--images", "unreadable"], "None of the 2 pictures in unreadable can be read"),
    "no such codes": (["--codes", "none.safetensors"], "none.safetensors"),
    "codes of another generator": (["--codes", "foreign.safetensors"], "another generator|other generator|made for"),
    "encoder of another shape": (["--images", "good", "--encoder", "{other}"], "style vectors"),
    "no LPIPS weights": (["--losses.perceptual-network", "alex"], "give --perceptual-weights FILE"),
    "no such LPIPS weights": (
        ["--losses.perceptual-network", "alex", "--perceptual-weights", "none.pth"],
        "There is no file none.pth",
    ),
    "no identity network": (["--losses.identity", 0.1], "give --identity-network FILE"),
    "no such identity network": (["--identity-network", "none.pt"], "none.pt"),
    "no such judge": (["--blendshapes", "none.task"], "no face landmarker at none.task"),
    "a card that is not there": (["--device", "cuda"], "Take --device auto or cpu"),
    "a device that is none": (["--device", "gpu"], "it must be auto, cpu, cuda or mps"),
    "a file in the way": (["--out", "notes.txt/run"], "run folder notes.txt/run cannot be written"),
}


@pytest.fixture(scope="module")
def other_encoder(tmp_path_factory):
    path = tmp_path_factory.mktemp("other") / "encoder.safetensors"
    config = EncoderConfig(
        num_ws=10, w_dim=16, input_size=32, widths=(4,) * 4, units=(1,) * 4, heads="dense", dense_pool=2
    )
    save_encoder(path, Encoder(config))
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, with all kinds of files that will not do."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "nothing"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for folder in ("folder", "unreadable", "good"):
        Path(folder).mkdir()
    texts = {
        "notes.txt": "not a model",
        "mistyped.json": '{"stpes": 3}',
        "inner.json": '{"losses": {"pth": 1}}',
        "empty.txt": "# nothing\n",
        "twice.txt": "smiling\nsad\nSmiling\n",
        "long.txt": "smiling " * 30,
        "unreadable/a.png": "",
        "unreadable/b.jpg": "no picture",
    }
    for name, text in texts.items():
        Path(name).write_text(text)
    Image.new("RGB", (40, 40)).save("good/a.png")
    foreign = Generator(tiny_generator_config(64, 16, channel_base=256))
    save_faces("foreign.safetensors", Faces(foreign.sample(range(2)), ModelId(fingerprint(foreign), "foreign")))
    return tmp_path


@pytest.mark.parametrize(("words", "needed"), BAD.values(), ids=BAD)
def test_a_mistake_is_one_line_exit_code_2_and_no_step(lga, train, here, domain_folder, other_encoder, words, needed):
    words = [str(word).format(domain=domain_folder, other=other_encoder) for word in words]
    code, out, err = lga(*words) if words[0] == "train" else train(*words)
    assert code == 2
    errors = [line for line in err.splitlines() if not line.startswith("warning: ")]
    assert len(errors) == 1 and errors[0].startswith("error: "), err
    assert any(part in errors[0] for part in needed.split("|")), errors[0]
    assert not list(here.rglob("metrics.jsonl"))


def test_a_full_memory_is_one_line_with_what_to_lower(train, monkeypatch):
    def fill(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(motion_task, "train_step", fill)
    code, _, err = train()
    assert (code, err.count("\n")) == (2, 1)
    assert "memory is full at step 1" in err and "twice the --optimizer.accumulate" in err


def test_a_bug_is_not_hidden_as_a_mistake(train, monkeypatch):
    monkeypatch.setattr(motion_task, "train_step", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train()

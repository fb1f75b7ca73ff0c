"""The `lga` command, run in this process on a tiny random domain: what it writes, and how it refuses."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import av
import pytest
from PIL import Image

import lga_trainer.animation.clip
from lga_core.motion.prompts import Wording
from lga_trainer import cli


@pytest.fixture
def here(tmp_path, monkeypatch, domain_folder):
    """The current folder, with a picture in it and the tiny domain beside it."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    Image.linear_gradient("L").convert("RGB").resize((48, 40)).save("face.png")
    return folder


@pytest.fixture
def lga(here, domain_folder, capsys):
    """Runs `lga` with these words; its exit code and what it printed."""

    def run(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        argv = [str(word) for word in words]
        if argv[:1] == ["animate"] and "--domain" not in argv:
            argv += ["--domain", str(domain_folder)]
        return cli.main(argv), *capsys.readouterr()

    return run


def clip_frames(path: Path) -> list:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


# What it makes


@pytest.mark.parametrize("suffix", ["mp4", "webp", "gif"])
def test_an_image_and_words_make_a_clip_and_a_sheet_and_nothing_else(lga, here, suffix):
    code, out, err = lga("animate", "face.png", "smiling", "--out", f"smile.{suffix}", "--frames", 5)
    assert (code, err) == (0, "")
    assert names(here) == {"face.png", f"smile.{suffix}", "smile_sheet.png"}
    assert str(here / f"smile.{suffix}") in out
    assert str(here / "smile_sheet.png") in out
    with Image.open("smile_sheet.png") as sheet:
        assert sheet.width > 6 * 32  # the picture itself and five frames


def test_the_clip_has_the_frames_and_the_rate_that_were_asked_for(lga):
    lga("animate", "face.png", "smiling", "--frames", 11, "--fps", 12.5)
    frames = clip_frames(Path("clip.mp4"))
    assert len(frames) == 11
    assert frames[0].shape == (32, 32, 3)
    with av.open("clip.mp4") as container:
        assert container.streams.video[0].average_rate == 12.5


def test_options_may_stand_between_the_words(lga):
    assert lga("animate", "--frames", 3, "face.png", "--fps", 5, "smiling")[0] == 0
    assert len(clip_frames(Path("clip.mp4"))) == 3


def test_the_same_seed_draws_the_same_face_and_another_seed_another(lga):
    for out, seed in [("a.mp4", 1), ("b.mp4", 1), ("c.mp4", 2)]:
        assert lga("animate", "--face", seed, "--out", out, "--frames", 2, "smiling")[0] == 0
    assert Path("a.mp4").read_bytes() == Path("b.mp4").read_bytes() != Path("c.mp4").read_bytes()


def test_psi_zero_is_the_average_face_whatever_the_seed(lga):
    for out, seed in [("a.mp4", 1), ("b.mp4", 2)]:
        assert lga("animate", "--face", seed, "--psi", 0, "--out", out, "--frames", 2, "smiling")[0] == 0
    assert Path("a.mp4").read_bytes() == Path("b.mp4").read_bytes()


def test_strength_is_how_far_the_face_moves(lga):
    def moved(strength: float) -> float:
        assert lga("animate", "face.png", "smiling", "--frames", 4, "--strength", strength)[0] == 0
        frames = clip_frames(Path("clip.mp4"))
        return abs(frames[-1].astype(float) - frames[0]).mean()

    assert moved(0) < 0.5 < moved(1) < moved(3)


def test_a_warning_is_one_line_and_the_clip_is_made(lga, monkeypatch):
    monkeypatch.setattr(Wording, "warn_if_far", lambda *_: warnings.warn("Far\naway.", stacklevel=1))
    code, _, err = lga("animate", "face.png", "smiling", "--frames", 2)
    assert (code, err) == (0, "warning: Far away.\n")


def test_an_unknown_word_is_named_once(lga):
    code, _, err = lga("animate", "face.png", "sad zebra", "--frames", 2)
    assert code == 0
    assert len([line for line in err.splitlines() if "zebra" in line and "far from" not in line]) == 1


def test_a_progress_bar_counts_the_frames(lga, monkeypatch):
    bars = []
    tqdm = lga_trainer.animation.clip.tqdm
    monkeypatch.setattr(
        lga_trainer.animation.clip,
        "tqdm",
        lambda **options: bars.append(tqdm(**options | {"disable": False})) or bars[-1],
    )
    lga("animate", "face.png", "smiling", "--frames", 11)
    assert [(bar.n, bar.total) for bar in bars] == [(11, 11)]


# What it refuses

BAD = {
    "no command": ([], "COMMAND"),
    "unknown command": (["animat"], "Unknown command 'animat'. Did you mean animate?"),
    "unknown option": (
        ["animate", "face.png", "smiling", "--framess", 3],
        "Did you mean --frames? (See lga animate --help.)",
    ),
    "shortened option": (["animate", "face.png", "smiling", "--str", 3], "Unknown option --str"),
    "nothing": (["animate"], "An image and one text are needed"),
    "no text": (["animate", "face.png"], "An image and one text are needed"),
    "too many words": (["animate", "face.png", "smiling", "sad"], "An image and one text are needed"),
    "image and face": (["animate", "face.png", "smiling", "--face", 3], "--face needs one text and no image"),
    "face without text": (["animate", "--face", 3], "--face needs one text"),
    "pick without a photo": (["animate", "face.png", "smiling", "--pick", 1], "--pick is for photographs: add --photo"),
    "points without a photo": (["animate", "face.png", "smiling", "--points", "1,1"], "--points is for photographs"),
    "models without a photo": (["animate", "face.png", "smiling", "--face-models", "."], "--face-models is for"),
    "photo of a seed": (
        ["animate", "--face", 3, "smiling", "--photo"],
        "--photo reads an image, and --face",
    ),
    "two ways to say which": (
        ["animate", "face.png", "smiling", "--photo", "--pick", 1, "--points", "1,1"],
        "--pick and --points both say which face to animate",
    ),
    "points that are none": (["animate", "face.png", "smiling", "--photo", "--points", "1,1 2"], "points"),
    "no face in the photo": (
        ["animate", "face.png", "smiling", "--photo", "--face-models", "none"],
        "No face was found",
    ),
    "psi of an image": (["animate", "face.png", "smiling", "--psi", 0.5], "--psi is for faces that --face generates"),
    "no such image": (["animate", "none.png", "smiling"], "none.png"),
    "not an image": (["animate", "notes.txt", "smiling"], "notes.txt"),
    "cut image": (["animate", "cut.png", "smiling"], "cut.png"),
    "empty file": (["animate", "empty.png", "smiling"], "empty.png"),
    "image is a folder": (["animate", "folder", "smiling"], "folder"),
    "image too wide": (["animate", "wide.png", "smiling"], "30000"),
    "empty text": (["animate", "face.png", ""], "The text is empty"),
    "blank text": (["animate", "face.png", "  "], "The text is empty"),
    "text too long": (["animate", "face.png", "smiling " * 100], "tokens"),
    "no such out folder": (["animate", "face.png", "smiling", "--out", "none/clip.mp4"], "none"),
    "out is a folder": (["animate", "face.png", "smiling", "--out", "folder.mp4"], "folder.mp4"),
    "sheet is a folder": (["animate", "face.png", "smiling", "--out", "taken.mp4"], "taken_sheet.png"),
    "unknown kind of clip": (["animate", "face.png", "smiling", "--out", "clip.avi"], ".mp4"),
    "one frame": (["animate", "face.png", "smiling", "--frames", 1], "--frames"),
    "negative frames": (["animate", "face.png", "smiling", "--frames", -4], "--frames"),
    "absurd frames": (["animate", "face.png", "smiling", "--frames", 10**9], "100000"),
    "half a frame": (["animate", "face.png", "smiling", "--frames", 4.5], "whole number"),
    "no rate": (["animate", "face.png", "smiling", "--fps", 0], "--fps"),
    "negative rate": (["animate", "face.png", "smiling", "--fps", -10], "--fps"),
    "absurd rate": (["animate", "face.png", "smiling", "--fps", 1000], "240"),
    "rate is no number": (["animate", "face.png", "smiling", "--fps", "nan"], "--fps"),
    "rate in words": (["animate", "face.png", "smiling", "--fps", "fast"], "--fps is 'fast'; it must be a number"),
    "rate too high for a gif": (["animate", "face.png", "smiling", "--fps", 90, "--out", "clip.gif"], "50"),
    "strength is no number": (["animate", "face.png", "smiling", "--strength", "nan"], "--strength"),
    "endless strength": (["animate", "face.png", "smiling", "--strength", "inf"], "--strength"),
    "absurd strength": (["animate", "face.png", "smiling", "--strength", -11], "from -10 to 10"),
    "negative seed": (["animate", "face.png", "smiling", "--seed", -1], "--seed"),
    "absurd seed": (["animate", "face.png", "smiling", "--seed", 2**63], "--seed"),
    "negative face": (["animate", "smiling", "--face", -1], "--face"),
    "unknown domain": (["animate", "face.png", "smiling", "--domain", "horses"], "horses"),
    "domain without json": (["animate", "face.png", "smiling", "--domain", "folder"], "domain.json"),
    "no demo command": (["demo"], "COMMAND"),
    "a word for a demo": (["demo", "report", "please"], "Unexpected argument 'please'"),
    "an unknown demo": (["demo", "build", "please"], "no embedded domain 'please'"),
    "no file": (["convert"], "IN is missing"),
    "no value": (["animate", "face.png", "smiling", "--frames"], "--frames needs a value"),
    "one name of two": (["study", "make", "a", "b", "--names", "A"], "--names needs 2 values"),
    "a rate of one frame in an age": (["animate", "face.png", "smiling", "--fps", "1e-9"], "from 0.01 to 240"),
    "no study command": (["study"], "COMMAND"),
    "an option before the command": (["--frames", 3], "Unknown option '--frames'"),
}


@pytest.mark.parametrize(("words", "fragment"), BAD.values(), ids=BAD)
def test_a_mistake_is_one_line_and_exit_code_2_and_leaves_nothing(lga, here, words, fragment):
    for folder in ("folder", "folder.mp4", "taken_sheet.png"):
        Path(folder).mkdir()
    Path("notes.txt").write_text("not a picture")
    Path("empty.png").touch()
    Path("cut.png").write_bytes(Path("face.png").read_bytes()[: Path("face.png").stat().st_size // 2])
    Image.new("1", (30_000, 2)).save("wide.png")
    before = names(here)

    code, out, err = lga(*words)
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert fragment in err
    assert out == ""
    assert names(here) == before


def test_a_folder_that_may_not_be_written_to_is_one_line(lga, here, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_, **__: False)  # the superuser, who runs many a CI, may write anywhere
    code, _, err = lga("animate", "face.png", "smiling")
    assert (code, err.count("\n")) == (2, 1)
    assert "may not be written to" in err
    assert names(here) == {"face.png"}


def test_a_full_disk_is_one_line(lga, here, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lga_trainer.animation.clip, "frames", full)
    code, _, err = lga("animate", "face.png", "smiling")
    assert (code, err.count("\n")) == (2, 1)
    assert "No space left" in err
    assert names(here) == {"face.png"}


def test_an_interrupt_leaves_nothing_and_is_exit_code_130(lga, here, monkeypatch):
    frames = lga_trainer.animation.clip.frames

    def interrupted(*args, **options):
        yield next(frames(*args, **options))
        raise KeyboardInterrupt

    monkeypatch.setattr(lga_trainer.animation.clip, "frames", interrupted)
    code, out, _ = lga("animate", "face.png", "smiling", "--frames", 40)
    assert (code, out) == (130, "")
    assert names(here) == {"face.png"}


def test_a_bug_is_not_hidden_as_a_mistake(lga, monkeypatch):
    monkeypatch.setattr(lga_trainer.animation.clip, "frames", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        lga("animate", "face.png", "smiling")


def test_an_old_clip_survives_a_failure(lga, here, monkeypatch):
    Path("clip.mp4").write_bytes(b"yesterday's")
    assert lga("animate", "none.png", "smiling")[0] == 2
    assert Path("clip.mp4").read_bytes() == b"yesterday's"


def test_the_demo_commands_hand_over_their_options(lga, monkeypatch):
    calls = []
    module = type("Module", (), {"build": lambda *args: calls.append(args), "report": lambda *args: calls.append(args)})
    monkeypatch.setitem(__import__("sys").modules, "lga_trainer.demo.build", module)
    monkeypatch.setitem(__import__("sys").modules, "lga_trainer.demo.report", module)
    assert lga("demo", "build", "--out", "there", "--stages", "renders", "judge", "--effort", 0.5)[0] == 0
    assert lga("demo", "report", "--faces", 8)[0] == 0
    assert calls == [(Path("there"), ["renders", "judge"], 0.5, "doodle"), (Path("out/report"), "doodle", 8)]

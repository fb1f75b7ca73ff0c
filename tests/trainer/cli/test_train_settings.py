"""`lga train`: where a setting comes from, and how it is written."""

from __future__ import annotations

import json
import sys

import pytest

from lga_trainer import cli
from lga_trainer.cli import train as train_cli
from lga_trainer.encoder.config import EncoderRun
from lga_trainer.motion.config import MotionRun, preset


def settings(*words: object):
    """What `lga train` would run."""
    _, bound, _ = cli.command_line().parse_args(["train", *map(str, words)], exit_on_error=False, print_error=False)
    return bound.arguments["run"]


def motion(*words: object) -> MotionRun:
    return settings("motion", "--generator", "g", *words)


def test_without_options_all_is_as_the_class_has_it():
    assert motion() == MotionRun("g")
    assert settings("encoder", "--generator", "g") == EncoderRun("g")


@pytest.mark.parametrize("name", ["paper", "official", "official-metfaces-02", "no-path"])
def test_a_preset_is_taken_over_whole(name):
    assert motion("--preset", name) == preset(name, "g")


def test_the_baselines_begin_from_their_quick_preset():
    run = settings("mapper", "--generator", "g", "--prompt", "smiling")
    assert (run.preset, run.steps, run.optimizer.name) == ("quick", 200, "adam")
    run = settings("mapper", "--generator", "g", "--prompt", "smiling", "--preset", "official")
    assert (run.preset, run.steps, run.optimizer.name) == ("official", 50_000, "ranger")


def test_an_option_overrides_a_file_which_overrides_a_preset(tmp_path):
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"preset": "paper", "batch": 5, "losses": {"path": 0.5, "w_reg": 0.25}}))
    run = motion("--config", file, "--losses.path", 0.75)
    assert (run.preset, run.steps, run.batch) == ("paper", 2000, 5)
    assert (run.losses.path, run.losses.w_reg, run.losses.contrastive_form) == (0.75, 0.25, "batch")
    assert motion("--config", file, "--preset", "anchored").losses.contrastive_form == "vocabulary"


def test_an_option_of_a_section_leaves_its_other_settings_as_the_run_has_them():
    run = settings("encoder", "--generator", "g", "--watch.no-tensorboard")
    assert (run.watch.tensorboard, run.watch.save_every) == (False, 1000)


def test_every_kind_of_value_comes_back_from_a_settings_file(tmp_path):
    file = tmp_path / "config.json"
    changed = {
        "score_clips": ["a", "b"],
        "encoder": "mine.safetensors",
        "num_frames_max": None,
        "losses": {"face": [0, 0.1, 0.5, 0.25]},
        "optimizer": {"clip_norm": None, "lr": 3e-05, "finetune_clip": True},
        "model": {"picture": False},
        "generator": "g",
        "parts": {"generator.name": "doodle"},
    }
    file.write_text(json.dumps(changed))
    run = settings("motion", "--config", file)
    assert (run.score_clips, run.encoder, run.num_frames_max) == (("a", "b"), "mine.safetensors", None)
    assert (run.losses.face, run.optimizer.clip_norm, run.optimizer.lr) == ((0, 0.1, 0.5, 0.25), None, 3e-05)
    assert run.optimizer.finetune_clip and not run.model.picture
    assert motion("--config", file, "--score-clips", "c").score_clips == ("c",)


def test_options_are_written_in_several_ways():
    assert motion("--losses.w_reg", 0.5) == motion("--losses.w-reg=0.5") == motion("--losses.w-reg", 0.5)
    assert motion("--score-clips", "a", "b", "--steps", 3).score_clips == ("a", "b")
    assert motion("--score-clips").score_clips == ()
    assert motion("--losses.face", -1, 0, 0.5, 0.5).losses.face == (-1, 0, 0.5, 0.5)
    assert motion("--optimizer.clip-norm", 2, "--optimizer.clip-norm", "None").optimizer.clip_norm is None
    assert motion("--steps", 3, "--steps", 4).steps == 4
    assert motion("--model.no-picture", "--model.picture").model.picture
    for text, value in (("True", True), ("False", False), ("None", None)):
        run = settings("mocogan", "--generator", "g", "--film.cross-domain", text)
        assert run.film.cross_domain is value


REFUSED = {
    "a section by a number": ({"losses": 3}, "--losses is a group of settings"),
    "half a step": ({"steps": 4.5}, "--steps is '4.5' in mine.json; it must be a whole number"),
    "a list for a number": ({"steps": [1, 2]}, "--steps is '[1, 2]' in mine.json"),
    "nothing for a number": ({"steps": None}, "--steps"),
    "a yes for a number": ({"steps": True}, "--steps is 'True' in mine.json"),
    "no settings": ([1], "must hold a JSON object"),
    "an unknown preset": ({"preset": "papper"}, "no preset 'papper'. Presets: anchored"),
}


@pytest.mark.parametrize(("told", "needed"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_settings_file_is_one_line(told, needed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.json").write_text(json.dumps(told))
    assert cli.main(["train", "motion", "--generator", "g", "--config", "mine.json"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1 and needed in err


@pytest.mark.parametrize(("library", "extra"), [("accelerate", "train"), ("rich", "train"), ("torchmetrics", "eval")])
def test_a_library_that_is_missing_is_named_with_what_brings_it(library, extra, monkeypatch, capsys):
    def begin(*_: object) -> None:
        raise ModuleNotFoundError(f"No module named {library!r}", name=library)

    monkeypatch.setattr(train_cli, "_until_stopped", begin)
    assert cli.main(["train", "motion", "--generator", "g"]) == 2
    err = capsys.readouterr().err
    assert f"{library} is not installed" in err and f"[{extra}]" in err and err.count("\n") == 1


def test_a_module_of_ours_that_is_missing_is_a_bug(monkeypatch):
    monkeypatch.setitem(sys.modules, "lga_trainer.motion.train", None)
    with pytest.raises(ModuleNotFoundError):
        cli.main(["train", "motion", "--generator", "g"])

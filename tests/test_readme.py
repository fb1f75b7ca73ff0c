"""What README and the pages of docs/ tell people to type does what they say."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch

from lga_core import write_clip
from lga_core.baselines.styleclip.latent_optimization import OPTIMIZATIONS, LatentOptimization
from lga_core.stylegan2.fused_ops import Passes
from lga_trainer import cli
from lga_trainer.cli import train as train_cli

pytestmark = pytest.mark.long

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = {page.relative_to(ROOT): page.read_text() for page in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]}
TEXT = "\n".join(PAGES.values())
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = list(dict.fromkeys(line for block in BLOCKS for line in block.splitlines()))


@pytest.mark.parametrize("command", [line for line in COMMANDS if re.match(r"(uv run )?lga animate ", line)])
def test_the_command_makes_the_clip(command, tmp_path, monkeypatch):
    words = shlex.split(command.removeprefix("uv run ").removeprefix("lga "))
    shutil.copytree(ROOT / "faces", tmp_path / "faces")
    monkeypatch.chdir(tmp_path)
    assert cli.main([*words, "--frames", "3"]) == 0
    clip = Path(words[words.index("--out") + 1])
    assert clip.is_file()
    assert clip.with_name(f"{clip.stem}_sheet.png").is_file()


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("lga inspect ")])
def test_the_command_says_what_a_file_is(command, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert cli.main(shlex.split(command)[1:]) == 0
    assert "motion model" in capsys.readouterr().out


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("lga evaluate ")])
def test_the_command_compares_methods(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(OPTIMIZATIONS, "paper", LatentOptimization(steps=2))
    monkeypatch.setattr("lga_trainer.evaluation.registry.NUM_SAMPLES", 1000)
    monkeypatch.setattr(
        "lga_core.stylegan2.frozen_synthesis.compiled_passes", lambda *_: Passes()
    )  # compiling takes a minute
    less = ["--faces", "2", "--prompts", "smiling", "--reference-count", "20"]
    assert cli.main([*shlex.split(command)[1:], *less]) == 0
    assert (tmp_path / "out" / "evaluation" / "report.html").is_file()
    assert cli.main(["compare", "out/evaluation", "out/evaluation"]) == 0


def test_the_commands_ask_people_and_count(tmp_path, monkeypatch, capsys):
    make, tally = (shlex.split(line)[1:] for line in COMMANDS if line.startswith("lga study "))
    monkeypatch.chdir(tmp_path)
    for folder, grey in ((make[2], 0.5), (make[3], -0.5)):
        clip = Path(folder) / "smiling" / "000.mp4"
        clip.parent.mkdir(parents=True)
        write_clip(clip, [torch.full((3, 3, 32, 32), grey)], 10)
    assert cli.main(make) == 0
    key = json.loads((tmp_path / "out" / "study" / "key.json").read_text())
    rows = [
        {"pair": pair, "left": "x", "words": "left", "person": "left", "real": "right", "seconds": 3.0}
        for pair in key["pairs"]
    ]
    told = {"format": "lga-study-answers", "version": 1, "study": key["study"], "rater": "anna-1", "answers": rows}
    told |= {"started": "2026-01-01T00:00:00.000Z", "finished": "2026-01-01T00:01:00.000Z"}
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "answers-anna-1.json").write_text(json.dumps(told))
    assert cli.main(tally) == 0
    assert (tmp_path / "out" / "study" / "tally.html").is_file()


@pytest.mark.parametrize("target", [line.removeprefix("make ") for line in COMMANDS if line.startswith("make ")])
def test_make_knows_the_target(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_no_command_is_left_untested():
    """Those that install or run everything are: the rest of CI is their test."""
    tested = r"(uv run )?lga animate |lga (inspect|train|evaluate|study) |make |accelerate launch |torchrun "
    rest = [line for line in COMMANDS if not re.match(tested, line)]
    assert rest == ["uv run --extra dev .ci/check", "pip install '.[train]'", "pip install '.[eval]'"]


LINKS = [(page, link) for page, text in PAGES.items() for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", text)]


@pytest.mark.parametrize(("page", "link"), LINKS, ids=str)
def test_the_link_leads_somewhere(page, link):
    assert (ROOT / page.parent / link).is_file()


def test_the_prompts_are_the_domains():
    prompts = {entry["prompt"] for entry in json.loads((ROOT / "lga_core/demo/domain.json").read_text())["prompts"]}
    (quote,) = re.findall(r"trained on these words:\n\n((?:> .*\n)+)", README)
    told = re.split(r",\s+", quote.replace("> ", "").replace("\n", " ").strip())
    assert set(told) == prompts


LAUNCHED = r"(?:accelerate launch|torchrun) .*-m lga_trainer\.cli"
TRAININGS = [line for line in (re.sub(LAUNCHED, "lga", line) for line in COMMANDS) if line.startswith("lga train ")]


@pytest.mark.parametrize("command", list(dict.fromkeys(TRAININGS)))
def test_the_settings_of_the_training_are_understood(command, monkeypatch):
    asked = []
    monkeypatch.setattr(train_cli, "_until_stopped", lambda *work: asked.append(work))  # what would train
    assert cli.main(shlex.split(command)[1:]) == 0
    assert len(asked) == 1


def test_every_setting_that_is_named_exists():
    kinds = [train_cli.train[kind].assemble_argument_collection() for kind in ("motion", "encoder")]
    settings = {name for arguments in kinds for argument in arguments for name in argument.names}
    options = "images|preset|prompts|blendshapes|score-clips|config"
    named = set(re.findall(rf"(--[a-z-]+\.[a-z-]+|--(?:{options}))\b", TEXT))
    assert named and named <= settings

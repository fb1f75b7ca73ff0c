"""`--help` of every command: at once, without torch, and with a whole sentence for each option."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from cyclopts import App, Argument, ArgumentCollection

from lga_core.demo import DEFAULT_DOMAIN, EMBEDDED
from lga_trainer import cli
from lga_trainer.cli.help import page, summaries

ONE_HELP = "import sys; from lga_trainer.cli import main; code = main(sys.argv[1:])"
HEAVY = ("torch", "numpy", "av", "PIL", "open_clip", "rich", "matplotlib")


def commands(app: App, chain: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command, as it is typed, and every group of commands."""
    names = list(app) if app.default_command is None else []
    return [chain, *(found for name in names for found in commands(app[name], (*chain, name)))]


def arguments(chain: tuple[str, ...]) -> ArgumentCollection:
    app = cli.command_line()
    _, apps, _ = app.parse_commands(chain)
    with app.app_stack(chain):
        is_group = apps[-1].default_command is None
        return ArgumentCollection() if is_group else apps[-1].assemble_argument_collection(parse_docstring=True)


ALL = commands(cli.command_line())


def test_all_commands_are_walked():
    assert {("animate",), ("demo", "build"), ("train", "mocogan"), ("study", "tally")} < {*ALL}
    assert len(ALL) == len({*ALL}) == 17


@pytest.mark.parametrize("chain", ALL, ids=" ".join)
def test_a_page_has_each_option_and_its_text(chain, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "110")
    assert cli.main([*chain, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: lga{' ' * bool(chain)}{' '.join(chain)}")
    assert not [line for line in shown.splitlines() if len(line) > 110]
    for argument in arguments(chain):
        if argument.show:
            assert f"\n  {argument.name}" in shown
            assert " ".join((argument.parameter.help or "").split()) in " ".join(shown.split())


@pytest.mark.parametrize("chain", ALL, ids=" ".join)
def test_a_text_is_a_sentence_of_its_own(chain):
    """It begins with a capital, a number or values that the option takes, and ends with a full stop."""
    app = cli.command_line()
    shown = [argument for argument in arguments(chain) if argument.show]
    texts = [argument.parameter.help or "" for argument in shown if not takes_the_first_word(argument)]
    if not chain:
        texts += cli.COMMANDS.values()
    elif app[chain[0]].default_command is None:
        texts += summaries(app[chain[0]]).values()
    assert [text for text in texts if not re.match(r"[A-Z0-9]", text)] == []
    assert [argument.name for argument in shown if not (argument.parameter.help or "").endswith(".")] == []
    assert [text for text in texts if not text.endswith(".")] == []


def takes_the_first_word(argument: Argument) -> bool:
    word, sign = re.match(r"(\w*)(.?)", argument.parameter.help or "").groups()
    return word in (argument.get_choices() or ()) or sign in (",", ":")


@pytest.mark.parametrize("chain", ALL, ids=" ".join)
def test_a_page_comes_without_torch_and_other_large_libraries(chain):
    script = f"{ONE_HELP}; sys.exit(code or ' '.join({{*{HEAVY}}} & {{*sys.modules}}) or 0)"
    subprocess.run([sys.executable, "-c", script, *chain, "-h"], check=True, stdout=subprocess.DEVNULL)


def test_a_file_of_ours_is_inspected_without_torch():
    words = ["inspect", str(EMBEDDED[DEFAULT_DOMAIN] / "motion.safetensors")]
    script = f"{ONE_HELP}; sys.exit(code or 'torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", script, *words], check=True, stdout=subprocess.DEVNULL)


def test_a_page_shows_what_a_preset_and_a_settings_file_would_set(tmp_path, capsys):
    def steps(*words: object) -> str:
        assert cli.main(["train", "mapper", *map(str, words), "--help"]) == 0
        return re.search(r"--steps N .*?default: (\d+)", capsys.readouterr().out, re.DOTALL)[1]

    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"preset": "official", "parts": {"generator.name": "doodle"}}))
    assert steps() == "200"  # of the usual preset, which the class does not have
    assert steps("--preset", "official") == steps("--preset=official") == steps("--config", file) == "50000"
    file.write_text('{"steps": 7}')
    assert steps("--config", file) == "7"


def test_defaults_of_a_section_are_the_run_s_own(capsys):
    """A save of an encoder every 1000 steps, though those of a motion model are every 200."""
    assert cli.main(["train", "encoder", "--help"]) == 0
    assert re.search(r"--watch.save-every N.*?default: (\d+)", capsys.readouterr().out, re.DOTALL)[1] == "1000"


def test_a_narrow_terminal_gets_narrow_lines(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    app = cli.command_line()
    assert max(map(len, page([app], cli.COMMANDS, []).splitlines())) <= 60


def test_the_version_is_one_line(capsys):
    assert cli.main(["--version"]) == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", capsys.readouterr().out)


# Whoever reads the output may leave


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "words", ["train motion --help", "--help", "--version", "inspect lga_core/demo/motion.safetensors --json"]
)
def test_output_that_nobody_reads_to_its_end_ends_silently(words, unbuffered):
    with subprocess.Popen(
        [sys.executable, "-c", f"{ONE_HELP}; sys.exit(code)", *words.split()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        text=True,
    ) as process:
        process.stdout.close()  # the reader has gone before the first line
        assert process.stderr.read() == ""
    assert process.returncode == cli.EXIT_NO_READER

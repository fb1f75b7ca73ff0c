"""`lga inspect` and `lga convert`: what a person reads, and what lies there afterwards."""

import json

import pytest
from factories import tiny_generator_config
from foreign_files import writers

from lga_core import load_encoder, load_generator
from lga_core.inversion.encoder import EncoderConfig
from lga_trainer import cli

CONFIG = tiny_generator_config(32, 16, mapping_layers=2, conv_clamp=256)
ENCODER = EncoderConfig(8, w_dim=16, input_size=32, widths=(8, 12, 16, 20), units=(1, 1, 1, 1))


@pytest.fixture
def pickle(tmp_path):
    return writers.write_nvidia(tmp_path / "afhqdog.pkl", writers.random_generator(CONFIG), family="sg3")


def test_inspect_says_what_an_artist_needs(pickle, capsys):
    assert cli.main(["inspect", str(pickle)]) == 0
    said = capsys.readouterr().out
    for words in ("StyleGAN2 generator", "32 x 32", "NVIDIA PyTorch", "non-commercial", "afhq", "lga convert"):
        assert words in said


def test_inspect_speaks_json(pickle, capsys):
    assert cli.main(["inspect", "--json", str(pickle)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["models"][0]["num_ws"] == 8
    assert len(found["models"][0]["fingerprint"]) == 16


def test_convert_makes_a_file_for_each_model(tmp_path, capsys):
    decoder = writers.random_generator(CONFIG)
    file = writers.write_e4e(tmp_path / "e4e.pt", writers.random_encoder(ENCODER), decoder)
    (tmp_path / "out").mkdir()
    assert cli.main(["convert", str(file), str(tmp_path / "out")]) == 0
    made = capsys.readouterr().out.split()
    assert load_encoder(made[0]).config == ENCODER
    assert load_generator(made[1]).num_ws == 8
    assert cli.main(["convert", str(file), str(tmp_path / "one.safetensors"), "--only", "encoder"]) == 0
    assert load_encoder(tmp_path / "one.safetensors").config == ENCODER


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["inspect", "gone.pkl"], "gone.pkl"),
        (["convert", "e4e.pt", "one.safetensors"], "several models"),
        (["convert", "e4e.pt", "nowhere"], "no folder"),
        (["convert", "e4e.pt", "--only", "clip"], "holds no clip"),
        (["convert", "page.pkl"], "web page"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    writers.write_e4e(tmp_path / "e4e.pt", writers.random_encoder(ENCODER), writers.random_generator(CONFIG))
    (tmp_path / "page.pkl").write_text("<!DOCTYPE html><html>404</html>")
    assert cli.main(words) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def test_a_file_of_ours_is_not_converted_again(pickle, tmp_path, capsys):
    own = tmp_path / "own.safetensors"
    assert cli.main(["convert", str(pickle), str(own)]) == 0
    assert cli.main(["convert", str(own)]) == 2
    assert "already" in capsys.readouterr().err

"""The page for raters and its key: every pair is there, and only the key says whose clip is whose."""

from __future__ import annotations

import base64
import itertools
import json
import random
import re
from pathlib import Path

import av
import pytest
import torch
from PIL import Image
from studies import BLUE, COLOURS, NUM_FRAMES, PROMPTS, RED, draw_clip, draw_methods, read_key, read_page

from lga_core import InputError, OutputError
from lga_trainer import cli
from lga_trainer.study import build as making
from lga_trainer.study.build import make, spread
from lga_trainer.study.pairs import Pair, as_mp4


@pytest.fixture(scope="module")
def methods(tmp_path_factory):
    return draw_methods(tmp_path_factory.mktemp("evaluation") / "clips", faces=3)


@pytest.fixture(scope="module")
def study(methods, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("study")
    make(*methods, out, seed=3)
    return out


def frames_of(clip: bytes, folder: Path) -> list:
    path = folder / "read.mp4"
    path.write_bytes(clip)
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_every_clip_stands_in_the_page_where_the_key_says(study, methods):
    page, key = read_page(study), read_key(study)
    folders = dict(zip((RED, BLUE), methods, strict=True))
    assert [pair["id"] for pair in page["pairs"]] == list(key["pairs"])
    assert {pair["clip"] for pair in key["pairs"].values()} == {f"{p}/{f:03}" for p in PROMPTS for f in range(3)}
    for shown in page["pairs"]:
        pair = key["pairs"][shown["id"]]
        for slot in "xy":
            clip = folders[pair[slot]] / f"{pair['clip']}.mp4"
            assert base64.b64decode(page["clips"][shown[slot]]) == clip.read_bytes()


def test_the_page_does_not_tell_the_methods_and_fetches_nothing(study):
    page = (study / "index.html").read_text()
    told = read_page(study)
    assert {path.name for path in study.iterdir()} == {"index.html", "key.json"}
    assert not [word for word in (RED, BLUE, "https:", "http:", str(study.parent)) if word in page]
    rest = json.dumps(told | {"clips": list(told["clips"]), "stills": None})
    assert not [word for word in ("red", "blue", "/0", "seed", "closing_eyes") if word in rest]


def test_each_method_is_x_in_half_of_the_pairs_and_the_order_is_no_hint(study, methods, tmp_path):
    others = [tmp_path / str(seed) for seed in range(6)]
    for seed, other in enumerate(others):
        make(*methods, other, seed=seed)
    xs = [pair["x"] for pair in read_key(study)["pairs"].values()]
    assert sorted(map(xs.count, (RED, BLUE))) == [3, 3]
    assert xs != sorted(xs) and xs != sorted(xs, reverse=True)
    firsts = {read_key(other)["pairs"]["p001"]["x"] for other in others}
    assert firsts == {RED, BLUE}


def test_the_same_seed_makes_the_same_files_and_none_another_study(methods, study, tmp_path):
    make(*methods, tmp_path / "same", seed=3)
    make(*methods, tmp_path / "other", seed=4)
    for index in range(2):
        make(*methods, tmp_path / f"drawn{index}")
    for name in ("index.html", "key.json"):
        assert (tmp_path / "same" / name).read_bytes() == (study / name).read_bytes()
    studies = [read_key(folder)["study"] for folder in (study, *(tmp_path / f for f in ("other", "drawn0", "drawn1")))]
    assert len(set(studies)) == 4


def test_fewer_pairs_are_spread_over_the_prompts(methods, tmp_path):
    make(*methods, tmp_path, num_pairs=4, seed=0)
    prompts = [pair["prompt"] for pair in read_key(tmp_path)["pairs"].values()]
    assert sorted(prompts) == sorted(PROMPTS * 2)
    assert all(len(set(turn)) == 2 for turn in (prompts[:2], prompts[2:]))


def test_every_prompt_has_its_turn_in_random_order():
    pairs = [Pair(f"{p}/{f}", str(p), str(p), (Path(), Path())) for p in range(9) for f in range(4)]
    order = spread(pairs, None, random.Random(0))
    assert sorted(pair.name for pair in order) == sorted(pair.name for pair in pairs)
    turns = [[pair.prompt for pair in order[start : start + 9]] for start in range(0, 36, 9)]
    assert all(len(set(turn)) == 9 for turn in turns)
    assert len(set(map(tuple, turns))) == 4


def test_a_rater_sees_no_more_pairs_than_there_are(methods, tmp_path):
    assert make(*methods, tmp_path / "few", each=2)["each"] == 2
    assert make(*methods, tmp_path / "many", each=99)["each"] == 6


def test_words_are_the_folder_or_what_prompts_json_says_and_cannot_break_the_page(tmp_path):
    methods = draw_methods(tmp_path / "clips", faces=1)
    sentence = 'She says "</script><b>hello</b>".'
    (tmp_path / "clips" / "prompts.json").write_text('{"smiling": ' + repr(sentence.replace('"', "'")).strip() + "}")
    sentence = sentence.replace('"', "'")
    make(*methods, tmp_path / "study")
    assert {pair["words"] for pair in read_page(tmp_path / "study")["pairs"]} == {"closing eyes", sentence}
    assert "<b>hello" not in (tmp_path / "study" / "index.html").read_text()


def test_stills_are_found_by_face_or_by_prompt_and_held_once(methods, tmp_path):
    (tmp_path / "faces" / "smiling").mkdir(parents=True)
    for name, colour in (("000.png", "red"), ("001.jpg", "green"), ("002.png", "blue"), ("smiling/000.png", "black")):
        Image.new("RGB", (700, 500), colour).save(tmp_path / "faces" / name)
    make(*methods, tmp_path / "study", images=tmp_path / "faces")
    page, key = read_page(tmp_path / "study"), read_key(tmp_path / "study")
    stills = {key["pairs"][pair["id"]]["clip"]: pair["still"] for pair in page["pairs"]}
    assert len(set(stills.values())) == len(page["stills"]) == 4
    assert stills["smiling/000"] != stills["closing_eyes/000"]
    assert stills["smiling/001"] == stills["closing_eyes/001"]


def test_a_face_without_its_picture_is_warned_of(methods, tmp_path):
    (tmp_path / "faces").mkdir()
    with pytest.warns(UserWarning, match="6 pairs have no image"):
        make(*methods, tmp_path / "study", images=tmp_path / "faces")
    assert {pair["still"] for pair in read_page(tmp_path / "study")["pairs"]} == {None}


# Kinds of clips


@pytest.mark.parametrize("suffix", ["webp", "gif"])
def test_a_moving_picture_becomes_a_clip_of_the_same_frames_and_rate(suffix, tmp_path):
    path = draw_clip(tmp_path / f"clip.{suffix}", COLOURS[RED], 1)
    content = as_mp4(path)
    frames = frames_of(content, tmp_path)
    (tmp_path / "read.mp4").write_bytes(content)
    with av.open(str(tmp_path / "read.mp4")) as container:
        assert container.streams.video[0].average_rate == 10
        assert container.streams.video[0].codec.name == "h264"
    assert len(frames) == NUM_FRAMES
    assert all(frame[14, 5 * index + 2].min() > 180 for index, frame in enumerate(frames))  # the square is where it was
    assert frames[0][2, 30, 0] - int(frames[0][2, 30, 2]) > 150  # and the plane is red


def test_an_mp4_that_browsers_play_stays_as_it_is(tmp_path):
    path = draw_clip(tmp_path / "clip.mp4", COLOURS[RED], 0)
    assert as_mp4(path) == path.read_bytes()


@pytest.mark.parametrize(("codec", "title"), [("mpeg4", None), ("libx264", "made by red-method")])
def test_an_mp4_that_browsers_do_not_play_or_that_names_its_maker_is_written_anew(codec, title, tmp_path):
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, 10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        if title:
            container.metadata["title"] = title
        for _ in range(4):
            picture = av.VideoFrame.from_ndarray(torch.full((32, 32, 3), 200, dtype=torch.uint8).numpy(), "rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    content = as_mp4(path)
    assert b"red-method" not in content
    assert content != path.read_bytes()
    frames = frames_of(content, tmp_path)
    assert len(frames) == 4
    assert abs(frames[0].astype(int) - 200).max() < 8


def test_the_clips_may_be_of_different_kinds(tmp_path):
    draw_clip(tmp_path / "a" / "smiling" / "1.gif", COLOURS[RED], 0)
    draw_clip(tmp_path / "b" / "smiling" / "1.mp4", COLOURS[BLUE], 0)
    make(tmp_path / "a", tmp_path / "b", tmp_path / "study")
    assert len(read_page(tmp_path / "study")["clips"]) == 2


# Where clips go


def test_large_studies_keep_their_clips_beside_the_page_under_names_that_tell_nothing(methods, tmp_path, monkeypatch):
    monkeypatch.setattr(making, "INLINE_LIMIT", 1000)
    make(*methods, tmp_path / "study", seed=3)
    page, key = read_page(tmp_path / "study"), read_key(tmp_path / "study")
    files = {f"clips/{path.name}": path.read_bytes() for path in (tmp_path / "study" / "clips").iterdir()}
    assert set(page["clips"].values()) == set(files)
    assert all(re.fullmatch(r"clips/[0-9a-f]{10}\.mp4", name) for name in files)
    folders = dict(zip((RED, BLUE), methods, strict=True))
    for shown, slot in itertools.product(page["pairs"], "xy"):
        pair = key["pairs"][shown["id"]]
        assert files[page["clips"][shown[slot]]] == (folders[pair[slot]] / f"{pair['clip']}.mp4").read_bytes()
    make(*methods, tmp_path / "inline", seed=3, inline=True)
    assert not (tmp_path / "inline" / "clips").exists()


# What it refuses


def test_a_study_is_not_written_over(methods, study):
    before = (study / "key.json").read_bytes()
    with pytest.raises(OutputError, match="already holds a study"):
        make(*methods, study, seed=5)
    assert (study / "key.json").read_bytes() == before


def test_clips_of_one_method_alone_are_left_out_with_a_warning(tmp_path):
    methods = draw_methods(tmp_path / "clips", faces=2)
    (methods[1] / "smiling" / "001.mp4").unlink()
    with pytest.warns(UserWarning, match=r"1 clips are in one folder only and skipped \(smiling/001"):
        make(*methods, tmp_path / "study")
    assert len(read_key(tmp_path / "study")["pairs"]) == 3


@pytest.mark.parametrize(
    ("spoil", "fragment"),
    {
        "no folder": (lambda a, b: a.rename(a.with_name("away")), "There is no folder"),
        "no clips": (lambda a, b: [clip.unlink() for clip in a.rglob("*.mp4")], "has no clips"),
        "none in common": (lambda a, b: (b / "smiling").rename(b / "sad"), "have no clip at the same place"),
        "cut short": (lambda a, b: (a / "smiling/000.mp4").write_bytes(b"\0\0\0\x18ftypmp42"), "000.mp4 is not a clip"),
        "empty": (lambda a, b: (a / "smiling/000.mp4").write_bytes(b""), "000.mp4 is not a clip"),
        "no JSON": (lambda a, b: (a.parent / "prompts.json").write_text("{"), "prompts.json should be JSON"),
        "a list": (lambda a, b: (a.parent / "prompts.json").write_text("[]"), "prompts.json should be JSON"),
    }.values(),
)
def test_a_mistake_is_named_and_makes_no_study(spoil, fragment, tmp_path):
    methods = [tmp_path / "clips" / name for name in (RED, BLUE)]
    for method, folder in zip((RED, BLUE), methods, strict=True):
        draw_clip(folder / "smiling" / "000.mp4", COLOURS[method], 0)
    spoil(*methods)
    with pytest.raises(InputError, match=fragment):
        make(*methods, tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_a_place_that_is_no_folder_is_named(methods, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OutputError, match="taken cannot be made"):
        make(*methods, tmp_path / "taken")


@pytest.mark.parametrize("suffix", ["webp", "gif"])
def test_a_damaged_picture_is_no_clip(suffix, tmp_path):
    path = draw_clip(tmp_path / f"clip.{suffix}", COLOURS[RED], 0)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match="is not a clip that can be read"):
        as_mp4(path)


def test_two_methods_of_one_name_need_names(methods, tmp_path):
    with pytest.raises(InputError, match="--names A B"):
        make(methods[0], methods[0], tmp_path)


def test_the_command_says_where_the_page_is_and_what_to_keep(methods, tmp_path, capsys):
    words = ["study", "make", *methods, "--out", tmp_path, "--pairs", 4, "--each", 2, "--names", "ours", "theirs"]
    assert cli.main([str(word) for word in words]) == 0
    printed = capsys.readouterr().out
    assert str(tmp_path / "index.html") in printed
    assert "keep it secret" in printed
    assert "4 pairs, 2 for each rater" in printed
    assert read_key(tmp_path)["methods"] == ["ours", "theirs"]


@pytest.mark.parametrize("words", [["study"], ["study", "make", "a"], ["study", "make", "a", "b", "--pairs", "0"]])
def test_a_wrong_command_is_one_line_and_exit_code_2(words, capsys):
    assert cli.main(words) == 2
    assert capsys.readouterr().err.count("\n") == 1

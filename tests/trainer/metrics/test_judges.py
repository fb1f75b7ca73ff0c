"""The judges: what they see, where they have no opinion, and what they say to files and programs that are missing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from lga_core import InputError, load_image
from lga_core.domain import read_domain
from lga_core.faces.detection.mediapipe_landmarker import read_blendshapes
from lga_trainer.data.prompts import Prompt, load_prompts
from lga_trainer.demo.checks.judge_adapter import AttributeJudge
from lga_trainer.demo.doodle.domain import DOMAIN
from lga_trainer.domain_plugin import find_judge
from lga_trainer.metrics import judges
from lga_trainer.metrics.judges import BLENDSHAPES, BlendshapeJudge, strength

LANDMARKER = os.environ.get("LGA_FACE_LANDMARKER")
needs_landmarker = pytest.mark.skipif(not LANDMARKER, reason="LGA_FACE_LANDMARKER names no file")


def prompt(name: str) -> Prompt:
    return Prompt(name, f"The person is {name}.")


@pytest.fixture(scope="module")
def doodles():
    from lga_trainer.demo.doodle.rendering.attributes import sample_neutral, with_preset
    from lga_trainer.demo.doodle.rendering.renderer import render

    neutral = sample_neutral(4, torch.Generator().manual_seed(1))
    return render(neutral), {name: render(with_preset(neutral, name)) for name in ("smiling", "winking")}


def test_the_doodle_judge_sees_the_expression_that_was_drawn_and_no_other(doodles):
    before, after = doodles
    judge = AttributeJudge(DOMAIN)
    for name in after:
        verdict = judge.verdict(prompt(name), before, after[name])
        assert verdict is not None and verdict.rise == 1 and verdict.top1 == 1
        still = judge.verdict(prompt(name), before, before)
        assert still is not None and still.rise == 0
    swapped = judge.verdict(prompt("smiling"), before, after["winking"])
    assert swapped is not None and swapped.top1 == 0


def test_the_doodle_judge_has_no_opinion_on_words_of_others(doodles):
    assert AttributeJudge(DOMAIN).verdict(prompt("ears up"), doodles[0], doodles[0]) is None


def test_a_judge_is_found_for_the_embedded_generator_only(tmp_path, monkeypatch):
    monkeypatch.setattr(judges, "has_mediapipe", lambda: True)
    assert isinstance(find_judge(read_domain("doodle").generator.fingerprint), AttributeJudge)
    assert find_judge("0" * 16) is None
    (tmp_path / "face.task").touch()
    assert isinstance(find_judge("0" * 16, tmp_path / "face.task"), BlendshapeJudge)


def shapes(**values: float) -> dict[str, float]:
    names = ("mouthSmile", "mouthFrown", "browDown", "browOuterUp", "mouthPucker", "eyeBlink", "eyeLookUp")
    both = {f"{name}{side}": 0.0 for name in (*names, "eyeLookDown") for side in ("Left", "Right")}
    return {"browInnerUp": 0.0, "jawOpen": 0.0} | both | values


def test_every_prompt_of_the_table_has_blendshapes_and_belongs_to_a_set():
    known = {p.prompt for name in ("person", "official", "painting") for p in load_prompts(name).prompts}
    assert set(BLENDSHAPES) - known == {"looking up", "looking down"}
    for name in BLENDSHAPES:
        assert strength(name, shapes()) == 0


def test_a_wink_is_one_eye_and_closing_eyes_is_two():
    wink, asleep = shapes(eyeBlinkLeft=0.9), shapes(eyeBlinkLeft=0.9, eyeBlinkRight=0.9)
    assert strength("winking", wink) == 0.9 and strength("winking", asleep) == 0
    assert strength("closing eyes", asleep) == 0.9


def test_faces_count_that_were_seen_before_and_a_face_lost_on_the_way_did_not_rise(monkeypatch, tmp_path):
    still, smile = shapes(), shapes(mouthSmileLeft=0.5, mouthSmileRight=0.5)
    seen = {"before": [still, None, still, smile], "after": [smile, smile, None, smile]}
    before, after = torch.zeros(4, 3, 8, 8), torch.ones(4, 3, 8, 8)
    asked = []

    def read(_, images):
        asked.append("before" if images is before else "after")
        return seen[asked[-1]]

    monkeypatch.setattr(judges, "read_blendshapes", read)
    monkeypatch.setattr(judges, "has_mediapipe", lambda: True)
    (tmp_path / "face.task").touch()
    judge = BlendshapeJudge(tmp_path / "face.task")
    verdict = judge.verdict(prompt("smiling"), before, after)
    assert verdict is not None and verdict.top1 is None
    assert verdict.rise == pytest.approx(1 / 3)
    judge.verdict(prompt("happy"), before, after)
    assert asked == ["before", "after", "after"], "the still faces are read once"
    assert judge.verdict(prompt("whatever"), before, after) is None
    seen["before"] = [None] * 4
    assert judge.verdict(prompt("smiling"), before.clone(), after) is not None  # the clone counts as "after"
    assert BlendshapeJudge(tmp_path / "face.task").verdict(prompt("smiling"), before, after) is None


def test_a_missing_file_and_a_missing_program_are_said_in_words(monkeypatch, tmp_path):
    with pytest.raises(InputError, match="no face landmarker at .*nowhere.task"):
        BlendshapeJudge(tmp_path / "nowhere.task")
    (tmp_path / "face.task").touch()
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(InputError, match="needs MediaPipe.*pip install mediapipe"):
        find_judge("0" * 16, tmp_path / "face.task")


def test_a_file_that_is_no_landmarker_is_refused(tmp_path):
    pytest.importorskip("mediapipe")
    (tmp_path / "face.task").write_bytes(b"no landmarker")
    with pytest.raises(InputError, match="cannot be used as a face landmarker"):
        read_blendshapes(tmp_path / "face.task", torch.zeros(1, 3, 8, 8))


@needs_landmarker
def test_blendshapes_see_a_smile_go_and_brows_rise_on_a_photograph():
    pytest.importorskip("mediapipe")
    skimage = pytest.importorskip("skimage")
    photograph = load_image(Path(skimage.__file__).parent / "data" / "astronaut.png")
    smiling = F.interpolate(photograph[:, :, 0:210, 120:330], size=512, mode="bicubic").clamp(-1, 1)
    corners, brows = ((202, 339), (304, 343)), ((194, 216), (216, 210), (286, 208), (312, 216))
    serious = moved(smiling, [(x, y, 0, 30) for x, y in corners])
    raised = moved(smiling, [(x, y, 0, -16) for x, y in brows])
    judge = BlendshapeJudge(Path(str(LANDMARKER)))

    def rise(name: str, before: torch.Tensor, after: torch.Tensor) -> float:
        verdict = judge.verdict(prompt(name), before, after)
        assert verdict is not None
        return verdict.rise

    assert rise("smiling", serious, smiling) == 1 and rise("smiling", smiling, serious) == 0
    assert rise("sad", smiling, serious) == 1
    assert rise("raising eyebrows", smiling, raised) == 1 and rise("angry", smiling, raised) == 0
    assert judge.verdict(prompt("smiling"), torch.zeros(1, 3, 256, 256), smiling) is None  # no face before


def moved(picture: torch.Tensor, moves: list[tuple[float, float, float, float]], width: float = 18) -> torch.Tensor:
    """The picture with what is around each (x, y) moved by (dx, dy) pixels, softly."""
    n = picture.shape[-1]
    y, x = torch.meshgrid(torch.arange(n).float(), torch.arange(n).float(), indexing="ij")
    from_x, from_y = x.clone(), y.clone()
    for x0, y0, dx, dy in moves:
        near = torch.exp(-((x - x0 - dx / 2) ** 2 + (y - y0 - dy / 2) ** 2) / (2 * width**2))
        from_x, from_y = from_x - dx * near, from_y - dy * near
    field = torch.stack([from_x, from_y], dim=-1) * 2 / (n - 1) - 1
    return F.grid_sample(picture, field[None], padding_mode="border", align_corners=True)

"""Faces in pictures: the search with a detector, choosing and following, clicked points, marks; no detector needed."""

from __future__ import annotations

import contextlib
import math
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close
from torchvision.transforms.functional import pil_to_tensor

from lga_core import InputError, find_faces
from lga_core.faces.detection import registry as search
from lga_core.faces.detection.manual import read_points
from lga_core.faces.detection.multiscale import Detection, Picture, Square, detect_multiscale
from lga_core.faces.detection.overlay import draw_faces
from lga_core.faces.detection.registry import installed_detectors, missing_detectors
from lga_core.faces.detection.selection import choose, ordered, track_face
from lga_core.faces.detection.types import FoundFace, in_order, right_of

UPRIGHT = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [0.0, 0.0], [-0.8, 1.0], [0.8, 1.0]])
COLOURS = torch.tensor([[1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0], [1.0, 1.0, -1.0], [-1.0, 1.0, 1.0]])


def face(x: float, y: float, reach: float = 10.0, score: float = 0.5, turn: float = 0.0) -> FoundFace:
    return FoundFace(placed(x, y, reach, turn), score, "a test")


def placed(x: float, y: float, reach: float, turn: float = 0.0) -> torch.Tensor:
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    return UPRIGHT @ torch.tensor([[c, s], [-s, c]]) * reach + torch.tensor([x, y])


def drawn(height: int, width: int, *faces: torch.Tensor) -> torch.Tensor:
    """A black picture with a disc of its own colour at each point of each face."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    picture = torch.full((1, 3, height, width), -1.0)
    for points in faces:
        radius = (points[1] - points[0]).norm() / 4
        for (px, py), colour in zip(points.tolist(), COLOURS, strict=True):
            picture[0, :, (x - px) ** 2 + (y - py) ** 2 < radius**2] = colour[:, None]
    return picture


def sees_colours(look: torch.Tensor) -> list[Detection]:
    """A detector of such faces that needs the eyes above the mouth, and a face of some size, as real ones do."""
    values = look.float() / 127.5 - 1
    y, x = torch.meshgrid(torch.arange(look.shape[0]) + 0.5, torch.arange(look.shape[1]) + 0.5, indexing="ij")
    points = []
    for colour in COLOURS:
        here = (values - colour).abs().amax(dim=2) < 0.5
        if here.sum() < 20:
            return []
        points.append(torch.stack([x[here].mean(), y[here].mean()]))
    five = in_order(torch.stack(points)[None])[0]
    along = five[1] - five[0]
    return [Detection(five, 1.0)] if along[0] > along[1].abs() else []


class Fixed:
    """Finds what it was told, one list a picture; the pictures it was shown are kept."""

    name = "a list"

    def __init__(self, *found: list[FoundFace]):
        self.found, self.shown = list(found), []

    def find(self, images):
        self.shown.append(images)
        return self.found.pop(0) if self.found else []


class Colours:
    name = "colours"

    def find(self, images):
        return detect_multiscale(Picture(images), sees_colours, self.name, sure=0.5)


@pytest.mark.parametrize("turn", range(0, 360, 30))
def test_a_face_is_found_at_any_angle_by_a_detector_of_upright_ones(turn):
    truth = placed(90, 70, 20, turn)
    (found,) = Colours().find(drawn(150, 200, truth))
    assert (found.points - truth).norm(dim=1).max() < 1
    assert found.score > 0.9 and found.detector == "colours"


@pytest.mark.parametrize(("x", "y", "reach", "size"), [(1500, 300, 12, 2000), (12, 12, 5, 32), (1000, 1000, 600, 2000)])
def test_small_faces_in_large_pictures_and_large_ones_are_found(x, y, reach, size):
    truth = placed(x, y, reach)
    (found,) = Colours().find(drawn(size, size, truth))
    assert (found.points - truth).norm(dim=1).max() < 0.15 * reach


def test_a_square_is_cut_where_it_lies_and_its_points_lead_back():
    truth = placed(60, 40, 10, 77)
    square = Square(torch.tensor([60.0, 40.0]), right_of(truth) * 30)
    (seen,) = sees_colours(Picture(drawn(100, 120, truth)).cut(square, 200))
    assert_close(square.to_picture(seen.points / 100 - 1), truth, atol=0.3, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (3, 5)])
def test_pictures_too_small_for_a_face_have_none(size):
    assert Colours().find(torch.rand(1, 3, *size)) == []


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 3, 8, 8), (1, 1, 8, 8), (1, 3, 0, 8)])
def test_what_is_no_single_picture_is_refused(shape):
    with pytest.raises(InputError, match=r"needs one RGB image, \[1 3 h w\]"):
        Colours().find(torch.zeros(shape))


def test_beside_a_large_face_no_small_ones_are_sought_beside_a_small_one_they_are():
    looks = []

    def counted(look):
        looks.append(look)
        return sees_colours(look)

    for reach, most in ((30, 4), (10, 80)):
        looks.clear()
        assert detect_multiscale(Picture(drawn(200, 200, placed(100, 100, reach))), counted, "colours", sure=0.5)
        assert most / 4 < len(looks) <= most


def test_a_detector_that_never_agrees_with_itself_finds_nothing():
    looks = iter(range(10**6))

    def dreams(look):
        return [Detection(placed(128 + 60 * (-1) ** next(looks), 128, 20), 1.0)]

    assert detect_multiscale(Picture(torch.zeros(1, 3, 64, 64)), dreams, "dreams", sure=0.5) == []


def test_the_first_finder_that_finds_any_is_enough():
    first, second, third = Fixed([]), Fixed([face(5, 5)]), Fixed([face(9, 9)])
    assert find_faces(torch.zeros(1, 3, 8, 8), [first, second, third])[0].center.tolist() == [5, 5]
    assert len(first.shown) == len(second.shown) == 1 and not third.shown


def test_no_face_is_said_with_the_size_who_looked_what_is_missing_and_the_manual_way():
    with pytest.raises(
        InputError, match=r"1600 x 900 pixels: a list, colours and a list found none.*Fetch it\..*by hand"
    ):
        find_faces(torch.full((1, 3, 900, 1600), -1.0), [Fixed(), Colours(), Fixed()], ["Fetch it."])
    with pytest.raises(InputError, match="no face detector is installed.*already aligned"):
        find_faces(torch.zeros(1, 3, 8, 8), [])


def test_what_is_missing_is_named_with_the_folder_and_what_is_there_is_not(tmp_path, monkeypatch):
    for name in ("has_mediapipe", "has_kornia", "has_cascades"):
        monkeypatch.setattr(search, name, lambda *_: False)
    hints = " ".join(missing_detectors(tmp_path))
    for word in ("pip install mediapipe", "face_landmarker.task", "yunet_final.pth", "haarcascade", str(tmp_path)):
        assert word in hints
    assert installed_detectors(tmp_path) == []
    own = Fixed()
    assert installed_detectors(None, own) == [own]
    monkeypatch.setattr(search, "has_mediapipe", lambda: True)
    assert "pip install mediapipe" not in " ".join(missing_detectors(tmp_path)), "only its file is missing"
    (tmp_path / "face_landmarker.task").touch()
    assert not any("landmarker" in hint for hint in missing_detectors(tmp_path))
    assert [detector.name for detector in installed_detectors(tmp_path)] == ["MediaPipe's Face Landmarker"]


FACES = [face(50, 10, 5, 0.9), face(20, 40, 9, 0.3), face(80, 20, 7, 0.6)]


@pytest.mark.parametrize(
    ("which", "order"),
    [("largest", [1, 2, 0]), ("best", [0, 2, 1]), ("left to right", [1, 0, 2]), ("nearest", [2, 0, 1])],
)
def test_faces_come_in_the_order_that_is_asked_for(which, order):
    near = (85.0, 25.0)
    assert ordered(FACES, which, near) == [FACES[i] for i in order]
    assert [choose(FACES, which, i, near) for i in range(3)] == [FACES[i] for i in order]


def test_a_face_that_is_not_there_is_refused_with_how_many_there_are():
    with pytest.raises(InputError, match="Face 3 .* 3 faces were found. Give a number from 0 to 2"):
        choose(FACES, "largest", 3)
    with pytest.raises(InputError, match="Face -1 .* 1 face was found"):
        choose(FACES[:1], "largest", -1)
    with pytest.raises(InputError, match="Use another image"):
        choose([], "largest")
    with pytest.raises(InputError, match="give its x and y"):
        choose(FACES, "nearest")
    with pytest.raises(InputError, match="'tallest' is unknown.*left to right"):
        choose(FACES, "tallest")  # pyright: ignore[reportArgumentType]


def test_a_face_is_followed_by_where_it_was_not_by_its_size():
    frames = [drawn(120, 160, placed(40 + 8 * t, 60, 14, 6 * t)) for t in range(6)]
    frames[3] = torch.full_like(frames[0], -1.0)
    points = track_face(frames, [Colours()])
    assert points.shape == (6, 5, 2) and points[3].isnan().all()
    for t in (0, 1, 2, 4, 5):
        assert (points[t] - placed(40 + 8 * t, 60, 14, 6 * t)).norm(dim=1).max() < 1
    left, right = face(40, 50, 10), face(150, 50, 10)
    larger = face(150, 50, 20)
    followed = track_face(
        [torch.zeros(1, 3, 100, 200)] * 2, [Fixed([left, right], [], [larger, left])], "left to right"
    )
    assert_close(followed, torch.stack([left.points] * 2))


def test_a_face_found_round_the_last_place_is_given_in_pixels_of_the_whole_frame():
    detector = Fixed([face(300, 200)], [face(80, 77)])
    second = track_face([torch.zeros(1, 3, 400, 600)] * 2, [detector])[1]
    assert detector.shown[1].shape[2:] == (150, 150), "three times the face's box of 50"
    assert_close(second, placed(305, 202, 10))


def test_another_face_far_away_is_not_the_one_that_was_lost():
    detector = Fixed([face(20, 20)], [], [face(180, 90)])
    assert track_face([torch.zeros(1, 3, 100, 200)] * 2, [detector])[1].isnan().all()


def test_the_first_frames_may_lack_the_face_but_not_all():
    detector = Fixed([], [face(20, 20)], [face(20, 20), face(70, 20, 5)])
    points = track_face([torch.zeros(1, 3, 100, 200)] * 3, [detector], "largest", index=1)
    assert points[:2].isnan().all() and points[2, :, 0].min() > 50
    done = []
    with pytest.raises(InputError, match="a list found no face 0 .* of 2 frames"):
        track_face([torch.zeros(1, 3, 10, 10)] * 2, [Fixed()], on_frame=done.append)
    assert done == [1, 2]


CLICKED = torch.tensor([[[40.0, 30.0], [60.0, 31.0], [50.0, 45.0], [42.0, 60.0], [58.0, 61.0]]])


@pytest.mark.parametrize(
    "text",
    [
        "40,30 60,31 50,45 42,60 58,61",
        "(40, 30); (60, 31); (50, 45);\n(42, 60); (58, 61)",
        "[[40,30],[60,31],[50,45],[42,60],[58,61]]",
        "20%,30% 30%,31% 25%,45% 21%,60% 29%,61%",
        "20%,30 60,31% 50,45.0 +42.,60 58,61",
        "60,31 40,30 50,45 42,60 58,61",  # the eyes the other way round
        "60,31 40,30 50,45 58,61 42,60",
    ],
)
def test_clicked_points_are_read_in_pixels_and_percent_and_either_order(text):
    assert_close(read_points(text, height=100, width=200), CLICKED)


@given(st.floats(0, 360), st.sampled_from([[0, 1, 2, 3, 4], [1, 0, 2, 3, 4], [0, 1, 2, 4, 3], [1, 0, 2, 4, 3]]))
@settings(max_examples=50, deadline=None)
def test_a_face_at_any_angle_has_its_pairs_put_in_order(turn, clicked):
    truth = placed(50, 50, 20, turn)
    text = " ".join(f"{x},{y}" for x, y in truth[clicked].tolist())
    assert_close(read_points(text, 100, 100)[0], truth)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", '"" holds 0 numbers, not five points. Give five points "x,y"'),
        ("40,30 60,31 50,45 42,60", "holds 8 numbers"),
        ("eye 40,30 60,31 50,45 42,60 58,61", "not five points"),
        ("40,30 60,31 50,45 42,60 58,610", "second mouth corner, at 58, 610, is far outside the picture of 200 x 100"),
        ("40,30 40,30 50,45 42,60 58,61", "two eyes are in the same place, at 40, 30"),
        ("40,30 60,31 50,45 58,61 58,61", "two corners of the mouth"),
        ("40,30 60,30 50,45 45,30 55,30", "The eyes and the mouth are in the same place"),
        ("nan,30 60,31 50,45 42,60 58,61", "not five points"),
        ("9" * 400 + ",30 60,31 50,45 42,60 58,61", "far outside|not five points"),
    ],
)
def test_points_that_no_face_has_are_refused_in_words(text, words):
    with pytest.raises(InputError) as caught:
        read_points(text, height=100, width=200)
    assert re.search(words, str(caught.value)) and len(str(caught.value)) < 700


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_is_points_or_refused(text):
    with contextlib.suppress(InputError):
        assert read_points(text, 50, 60).shape == (1, 5, 2)


@pytest.mark.parametrize("size", [(40, 30), (3000, 2000), (1, 1), (100, 1)])
def test_marks_leave_the_picture_as_large_as_it_is_or_enlarge_a_small_one(size):
    width, height = size
    marked = draw_faces(torch.zeros(1, 3, height, width), [face(width / 2, height / 2, width / 8), face(-5, -5, 2)])
    assert marked.size == size if max(size) >= 512 else max(marked.size) == 512
    assert marked.width / marked.height == pytest.approx(width / height, rel=0.05)


def test_a_box_its_points_and_its_number_are_drawn():
    marked = pil_to_tensor(draw_faces(torch.zeros(1, 3, 600, 600), [face(300, 300, 60)])).movedim(0, -1)
    assert marked[240, 240].tolist() == [0x3B, 0xCE, 0xAC] and marked[240, 360].tolist() == [0xFF, 0x5D, 0x73]
    assert marked[300, 300].tolist() == [255, 255, 255], "the nose"
    left = round(face(300, 300, 60).box[0])
    assert marked[300, left].tolist() == [0xFF, 0xD2, 0x3F], "the side of the box"
    assert marked[300, 420].tolist() == [128, 128, 128]


def test_the_box_holds_the_points_whichever_way_the_face_is_turned():
    for turn in range(0, 360, 15):
        found = face(50, 50, 10, turn=turn)
        left, top, right, bottom = found.box
        assert (found.points[:, 0] > left).all() and (found.points[:, 0] < right).all()
        assert (found.points[:, 1] > top).all() and (found.points[:, 1] < bottom).all()
        assert right - left == pytest.approx(found.size) == pytest.approx(face(0, 0, 10).size)


def test_a_folder_that_does_not_exist_has_no_finders_in_it():
    assert all(detector.name == "OpenCV's cascades" for detector in installed_detectors(Path("nowhere")))

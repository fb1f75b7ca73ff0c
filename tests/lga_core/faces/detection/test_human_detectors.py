"""The finders of human faces on a real photograph: scikit-image's astronaut, with points measured by hand.

Each test is skipped where its program or model file is not there: `--face-model FILE` for MediaPipe's, and
LGA_YUNET_WEIGHTS for kornia's yunet_final.pth.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
import torch
from PIL import Image

from lga_core import CheckpointError, InputError, find_faces, load_image
from lga_core.faces.detection.haar_cascade import CascadeDetector, has_cascades
from lga_core.faces.detection.mediapipe_landmarker import MediaPipeDetector
from lga_core.faces.detection.registry import missing_detectors
from lga_core.faces.detection.selection import track_face
from lga_core.faces.detection.yunet import YuNetDetector, decoded

# Centres of the irises, tip of the nose and corners of the mouth, in pixels of the photograph.
TRUTH = torch.tensor([[203.5, 101.1], [246.0, 103.5], [223.5, 131.1], [202.3, 139.2], [244.5, 140.6]])
EYES, MOUTH, ALL = [0, 1], [3, 4], [0, 1, 2, 3, 4]
APART = 42.6  # pixels from eye to eye
GRAY = (128, 128, 128)


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    skimage = pytest.importorskip("skimage")
    return Image.open(Path(skimage.__file__).parent / "data" / "astronaut.png").convert("RGB")


@pytest.fixture(scope="module")
def landmarker(face_model):
    with MediaPipeDetector(face_model) as detector:
        yield detector


@pytest.fixture(scope="module")
def cascades() -> CascadeDetector:
    pytest.importorskip("cv2")
    if not has_cascades():
        pytest.skip("this OpenCV comes without cascades")
    return CascadeDetector()


@pytest.fixture(scope="module")
def yunet() -> YuNetDetector:
    pytest.importorskip("kornia")
    if "LGA_YUNET_WEIGHTS" not in os.environ:
        pytest.skip("LGA_YUNET_WEIGHTS names no file")
    return YuNetDetector(Path(os.environ["LGA_YUNET_WEIGHTS"]))


@pytest.fixture
def as_file(tmp_path):
    """A picture as it comes out of a file that was saved so."""

    def saved(picture: Image.Image, name: str = "photo.png", **options) -> torch.Tensor:
        picture.save(tmp_path / name, **options)
        return load_image(tmp_path / name)

    return saved


def turned(picture: Image.Image, degrees: float) -> tuple[Image.Image, torch.Tensor]:
    """The photograph turned about its middle, anticlockwise, and where its points come to lie."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    points = (TRUTH - 256) @ torch.tensor([[c, -s], [s, c]]) + 256
    return picture.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=GRAY), points


def moved(picture: Image.Image, right: int, down: int) -> Image.Image:
    canvas = Image.new("RGB", picture.size, GRAY)
    canvas.paste(picture, (right, down))
    return canvas


def worst(points: torch.Tensor, truth: torch.Tensor, which: list[int] = ALL) -> float:
    return (points - truth)[which].norm(dim=1).max().item()


def test_mediapipe_finds_eyes_and_mouth_within_three_pixels(landmarker, photograph, as_file):
    (found,) = find_faces(as_file(photograph), [landmarker])
    assert worst(found.points, TRUTH) < 3
    assert found.detector == "MediaPipe's Face Landmarker" and 0.7 < found.score <= 1


def test_cascades_find_eyes_and_mouth_within_twelve_pixels(cascades, photograph, as_file):
    found = find_faces(as_file(photograph), [cascades])[0]
    assert worst(found.points, TRUTH) < 12 and worst(found.points, TRUTH, EYES) < 4


def test_yunet_finds_eyes_and_mouth_within_twelve_pixels(yunet, photograph, as_file):
    assert worst(find_faces(as_file(photograph), [yunet])[0].points, TRUTH) < 12


@pytest.mark.parametrize("degrees", range(0, 360, 10))
def test_mediapipe_finds_a_face_at_any_angle(landmarker, photograph, as_file, degrees):
    picture, truth = turned(photograph, degrees)
    assert worst(find_faces(as_file(picture), [landmarker])[0].points, truth) < 0.05 * APART


@pytest.mark.parametrize("degrees", [40, 130, 180, 270])
def test_cascades_find_a_face_at_any_angle(cascades, photograph, as_file, degrees):
    picture, truth = turned(photograph, degrees)
    assert worst(find_faces(as_file(picture), [cascades])[0].points, truth) < 12


@pytest.mark.parametrize("scale", [0.1, 0.2, 0.3, 0.5, 2, 4])
def test_mediapipe_finds_a_face_at_any_scale(landmarker, photograph, as_file, scale):
    picture = photograph.resize([round(512 * scale)] * 2, Image.Resampling.LANCZOS)
    found = find_faces(as_file(picture), [landmarker])[0]
    within = 0.05 if scale > 0.2 else 0.1 if scale == 0.2 else 0.3  # of 4 pixels from eye to eye, where it is 0.1
    assert worst(found.points / scale, TRUTH * picture.width / 512 / scale) < within * APART


def test_mediapipe_finds_small_faces_in_a_large_picture_and_more_than_one(landmarker, photograph, as_file):
    scene = Image.new("RGB", (1600, 1200), GRAY)
    scene.paste(photograph, (50, 600))
    scene.paste(photograph.resize((256, 256)), (1100, 200))
    found = sorted(find_faces(as_file(scene), [landmarker]), key=lambda face: -face.size)
    assert len(found) == 2
    assert worst(found[0].points, TRUTH + torch.tensor([50, 600])) < 3
    assert worst(found[1].points, TRUTH / 2 + torch.tensor([1100, 200])) < 3


def test_a_mirrored_face_has_its_points_in_the_order_of_the_picture(landmarker, photograph, as_file):
    truth = (TRUTH * torch.tensor([-1, 1]) + torch.tensor([512, 0]))[[1, 0, 2, 4, 3]]
    picture = photograph.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert worst(find_faces(as_file(picture), [landmarker])[0].points, truth) < 3


def test_grey_transparent_and_exif_turned_files_show_the_same_face(landmarker, photograph, as_file):
    clear = photograph.copy()
    clear.putalpha(Image.radial_gradient("L").resize(photograph.size).point(lambda v: 255 - v // 2))
    turn = Image.Exif()
    turn[0x0112] = 6  # turn it by a quarter to the right to see it upright
    for picture in (
        as_file(photograph.convert("L")),
        as_file(clear),
        as_file(photograph.rotate(90), "turned.jpg", exif=turn, quality=95),
    ):
        assert worst(find_faces(picture, [landmarker])[0].points, TRUTH) < 3


def test_a_face_half_outside_is_found_where_it_is_or_refused_in_words(landmarker, photograph, as_file):
    refused = []
    for right, down in [(x, 0) for x in (-260, -220, -200, 240, 280, 300)] + [(0, y) for y in (-140, -100, 380, 420)]:
        try:
            found = find_faces(as_file(moved(photograph, right, down)), [landmarker])[0]
            assert worst(found.points, TRUTH + torch.tensor([right, down])) < 0.25 * APART
        except InputError as err:
            assert "512 x 512 pixels" in str(err)
            refused.append((right, down))
    assert len(refused) < 7


@pytest.mark.parametrize("name", ["coffee", "chelsea"])
def test_mediapipe_finds_no_face_in_coffee_nor_in_a_cat(landmarker, name):
    skimage = pytest.importorskip("skimage")
    picture = load_image(next((Path(skimage.__file__).parent / "data").glob(f"{name}.png")))
    with pytest.raises(InputError, match="No face was found"):
        find_faces(picture, [landmarker], missing_detectors(None))


def test_a_face_on_film_is_followed_through_frames_without_it(face_model, photograph, as_file):
    frames = [as_file(moved(photograph, 5 * t, 3 * t)) for t in range(4)]
    frames[2] = torch.zeros_like(frames[2])
    points = track_face(frames, [MediaPipeDetector(face_model)])
    assert points[2].isnan().all()
    for t in (0, 1, 3):
        assert worst(points[t], TRUTH + torch.tensor([5 * t, 3 * t])) < 3


def test_a_file_that_is_no_model_is_refused(tmp_path):
    pytest.importorskip("mediapipe")
    (tmp_path / "face.task").write_bytes(b"no landmarker")
    with pytest.raises(InputError, match="cannot be used as a face landmarker"):
        MediaPipeDetector(tmp_path / "face.task").find(torch.zeros(1, 3, 64, 64))
    with pytest.raises(InputError, match="nowhere.task cannot be used"):
        MediaPipeDetector(tmp_path / "nowhere.task").find(torch.zeros(1, 3, 64, 64))


def test_yunet_is_decoded_as_kornia_decodes_it(tmp_path):
    detection = pytest.importorskip("kornia.contrib.face_detection")
    torch.manual_seed(0)
    network = detection.YuNet("test", pretrained=False).eval()
    torch.save(network.state_dict(), tmp_path / "yunet_final.pth")
    detector = YuNetDetector(tmp_path / "yunet_final.pth")
    look = torch.randint(0, 256, (128, 128, 3), dtype=torch.uint8)
    with torch.no_grad():
        said = detector.network(look.flip(2).movedim(2, 0)[None].float())
    points, confidences = decoded(said["loc"][0], said["conf"][0], said["iou"][0, :, 0], 128)

    class Offline(detection.FaceDetector):
        def __init__(self):
            torch.nn.Module.__init__(self)
            self.top_k, self.confidence_threshold, self.nms_threshold, self.keep_top_k = 5000, -1.0, 1.1, 5000
            self.min_sizes, self.steps = [[10, 16, 24], [32, 48], [64, 96], [128, 192, 256]], [8, 16, 32, 64]
            self.variance, self.clip, self.model = [0.1, 0.2], False, network
            self.nms = lambda boxes, scores, threshold: torch.arange(len(boxes))

    with torch.no_grad():
        (theirs,) = Offline()(look.movedim(2, 0)[None].float())
    order = confidences.sort(descending=True)[1]
    torch.testing.assert_close(points[order].flatten(1), theirs[:, 4:14], atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(confidences[order], theirs[:, 14])


def test_weights_of_something_else_are_no_yunet(tmp_path):
    pytest.importorskip("kornia")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "yunet_final.pth")
    with pytest.raises(CheckpointError, match="does not hold the weights of kornia's YuNet"):
        YuNetDetector(tmp_path / "yunet_final.pth")


def test_a_cascade_that_is_none_is_refused(tmp_path, monkeypatch):
    cv2 = pytest.importorskip("cv2")
    if not hasattr(cv2, "CascadeClassifier"):
        pytest.skip("this OpenCV has no cascades")
    for part in ("frontalface_default", "eye", "smile"):
        (tmp_path / f"haarcascade_{part}.xml").write_text("<?xml version='1.0'?><opencv_storage></opencv_storage>")
    with pytest.raises(InputError, match="cannot be read as a cascade"):
        CascadeDetector(tmp_path)

"""The domain's own face finder: its geometry with networks of no training, and the weights that ship."""

import cmath
import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from factories import tiny_generator_config
from paths import FACES
from torch.testing import assert_close

from lga_core import CheckpointError, align, load_domain, load_image
from lga_core.checkpoints.models import save_generator
from lga_core.domain import read_domain
from lga_core.faces.detection.domain_detector import (
    DomainDetector,
    Level,
    load_detector,
    non_maximum_suppression,
    pyramid,
    save_detector,
)
from lga_core.faces.detection.domain_networks import DetectorConfig, corrected, squares_of
from lga_core.formats.native import load_checkpoint, save_checkpoint

PORTRAITS = sorted(FACES.glob("*.png"))
POINTS = ((-0.3, -0.1), (0.3, -0.1), (0.0, 0.2), (-0.2, 0.5), (0.2, 0.5))
SMALL = DetectorConfig(POINTS, (4, 4, 4), (1,), (4, 4, 4, 4), squeezed=2, hidden=4, window=32)


@pytest.fixture
def small() -> DomainDetector:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DomainDetector(SMALL).eval().requires_grad_(False)


def ramp(h, w):
    """A picture whose first two channels say where a pixel's middle is, in pixels."""
    y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    return torch.stack([x, y, torch.zeros_like(x)])[None]


# Geometry


@pytest.mark.parametrize("size", [(300, 500), (97, 211), (1600, 1203)])
def test_every_level_of_the_pyramid_is_where_its_scale_says(size):
    for level in pyramid(ramp(*size)):
        h, w = level.picture.shape[2:]
        inner = (slice(None), slice(0, 2), slice(h // 4, -h // 4), slice(w // 4, -w // 4))
        assert_close(level.picture[inner] * level.scale, ramp(h, w)[inner], atol=0.05, rtol=0)


def test_the_pyramid_shows_squares_from_24_pixels_to_the_whole_picture_at_the_spotter_s_size():
    for side in (512, 1000):
        scales = [level.scale for level in pyramid(torch.zeros(1, 3, side, side))]
        for square in (24 if side == 512 else 36, 60, 200, side):
            assert any(28 <= square * scale <= 64 for scale in scales), (side, square)


def test_a_window_shows_its_square_upright(small):
    levels = [Level(1.0, ramp(200, 300)), Level(0.5, ramp(200, 300)[..., ::2, ::2])]
    center, axis = torch.tensor(150 + 100j), cmath.rect(20, 0.7)
    window = small._window(levels[:1], center, torch.tensor(axis))[0]
    for (row, column), x, y in (((0, 0), -1, -1), ((0, 31), 1, -1), ((31, 0), -1, 1), ((20, 9), None, None)):
        x, y = ((column + 0.5) / 16 - 1, (row + 0.5) / 16 - 1) if x is None else (x * 31 / 32, y * 31 / 32)
        there = center.item() + axis * SMALL.reach * complex(x, y)
        assert_close(window[:2, row, column], torch.tensor([there.real, there.imag]), atol=1e-2, rtol=0)


def test_what_is_outside_the_picture_is_grey_in_a_window(small):
    window = small._window([Level(1.0, torch.ones(1, 3, 50, 50))], torch.tensor(0 + 25j), torch.tensor(10 + 0j))
    assert_close(window[0, :, 16, 2], torch.zeros(3))
    assert_close(window[0, :, 16, 29], torch.ones(3))


def test_correcting_by_what_is_amiss_gives_the_true_square():
    center, axis = torch.tensor([50 + 20j]), torch.tensor([8 - 3j])
    true_centre, true_axis = torch.tensor([47 + 26j]), torch.tensor([3 + 7j])
    place, change = (true_centre - center) / axis, torch.log(true_axis / axis)
    amiss = torch.stack([place.real, place.imag, change.real, change.imag], dim=1)
    for found, true in zip(corrected(center, axis, amiss), (true_centre, true_axis), strict=True):
        assert_close(found, true)


def test_a_cell_means_a_square_in_pixels():
    cell = torch.tensor([[9.0, 0.25, -0.5, math.log(2), 0.0, 3.0]])
    center, axis = squares_of(cell, torch.tensor([2]), torch.tensor([5]), stride=8, side=40.0)
    assert_close(center, torch.tensor([46 + 16j]))
    assert_close(axis, torch.tensor([0 + 40j]))


def test_of_squares_for_one_face_the_surest_stays():
    centers = torch.tensor([100 + 100j, 103 + 100j, 200 + 100j, 101 + 99j])
    axes = torch.tensor([20 + 0j, 22 + 0j, 20 + 0j, 5 + 0j])
    scores = torch.tensor([0.6, 0.9, 0.7, 0.8])
    # A small face on a large one is another face.
    assert non_maximum_suppression(centers, axes, scores).tolist() == [
        1,
        3,
        2,
    ]  # a small face on a large one is another


@pytest.mark.parametrize("size", [(1, 1), (2, 700), (33, 47), (700, 3), (2000, 1500)])
def test_any_size_of_picture_is_searched(small, size):
    assert isinstance(small.find(torch.zeros(1, 3, *size)), list)


# Files


def test_a_finder_comes_back_from_its_file(small, tmp_path):
    path = tmp_path / "finder.safetensors"
    save_detector(path, small, domain="tiny")
    loaded = load_detector(path)
    assert loaded.config == SMALL and not loaded.training
    pictures = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(loaded.spotter(pictures), small.spotter(pictures))
    assert torch.equal(loaded.measurer(pictures), small.measurer(pictures))


def test_a_file_of_another_kind_is_refused(tmp_path):
    from lga_core import Generator

    path = tmp_path / "generator.safetensors"
    save_generator(path, Generator(tiny_generator_config(8, 4, channel_base=32)))
    with pytest.raises(CheckpointError, match="'finder' is needed"):
        load_detector(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden": 5}, r"'measurer.head.weight' has shape \[5, 4\], but its architecture needs \[5, 5\]"),
        ({"spotter_widths": (4, 4, -4)}, "above 0"),
        ({"points": (*POINTS[:4], (0.1, "left"))}, "must be numbers"),
        ({"reach": 0}, "above 0"),
        ({"points": POINTS[:4]}, "five points"),
        ({"window": 33}, "cannot be halved"),
        ({"window": "80"}, "is invalid"),
        ({"spotter_widths": 3}, "is invalid"),
        ({"colour": 1}, "colour"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(small, tmp_path, changes, said):
    path = tmp_path / "finder.safetensors"
    save_detector(path, small)
    tensors = load_checkpoint(path, "finder").tensors
    save_checkpoint(path, "finder", tensors, {**dataclasses.asdict(SMALL), **changes})
    with pytest.raises(CheckpointError, match=said):
        load_detector(path)


# The weights that ship


@pytest.fixture(scope="module")
def detector() -> DomainDetector:
    found = load_domain("doodle").detector
    assert found is not None
    return found


def clutter(h, w, seed=0):
    """Coloured noise of several sizes."""
    rng, total = torch.Generator().manual_seed(seed), torch.zeros(1, 3, h, w)
    for cells in (3, 9, 40):
        total = total + F.interpolate(torch.randn(1, 3, cells, cells, generator=rng), (h, w), mode="bicubic")
    return torch.tanh(0.4 * total)


def pasted(picture, path, center, axis):
    """The picture with a drawing laid into this square."""
    side = round(2 * abs(axis))
    face = F.interpolate(load_image(path), (side, side), mode="bilinear", antialias=True)
    places = (torch.complex(*ramp(*picture.shape[2:])[0, :2]) - center) / axis
    field = torch.stack([places.real, places.imag], dim=-1)[None]
    laid = F.grid_sample(torch.cat([face, torch.ones(1, 1, side, side)], dim=1), field, align_corners=False)
    return picture * (1 - laid[:, 3:]) + laid[:, :3]


@pytest.mark.parametrize("side", [32, 64, 150, 380])
@pytest.mark.parametrize("degrees", [0, 37, 90, 180, 251])
def test_a_drawn_face_is_found_at_any_size_and_angle_and_aligned_to_its_square(detector, side, degrees):
    center, axis = 260 + 245j, cmath.rect(side / 2, math.radians(degrees))
    picture = pasted(clutter(512, 512, seed=side + degrees), PORTRAITS[(side + degrees) % len(PORTRAITS)], center, axis)
    faces = detector.find(picture)
    assert len(faces) == 1 and faces[0].score > 0.5 and faces[0].detector == "doodle"
    square = align(faces[0].points[None], 512, 512, read_domain("doodle").framing)
    assert abs(complex(*square.center[0].tolist()) - center) < 0.03 * side
    assert abs(complex(*square.axis[0].tolist()) - axis) < 0.05 * side / 2


def test_all_faces_of_a_picture_are_found(detector):
    picture = clutter(480, 640)
    centers = [100 + 110j, 300 + 100j, 520 + 120j, 110 + 350j, 330 + 330j, 540 + 370j]
    for path, center, degrees in zip(PORTRAITS, centers, range(0, 360, 60), strict=True):
        picture = pasted(picture, path, center, cmath.rect(55, math.radians(degrees)))
    found = [complex(*face.points.mean(dim=0).tolist()) for face in detector.find(picture)]
    assert len(found) == 6
    assert all(min(abs(center - each) for each in found) < 30 for center in centers)


def test_a_picture_that_is_a_face_is_found_whole(detector):
    square = align(detector.find(load_image(PORTRAITS[0]))[0].points[None], 256, 256, read_domain("doodle").framing)
    assert_close(square.center, torch.tensor([[128.0, 128.0]]), atol=6.0, rtol=0)
    assert_close(square.side, torch.tensor([256.0]), atol=12.0, rtol=0)


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_found_where_there_is_nothing(detector, seed):
    assert detector.find(clutter(300, 400, seed)) == []


def test_points_come_in_the_order_of_an_upright_face(detector):
    face = detector.find(pasted(clutter(300, 300), PORTRAITS[2], 150 + 150j, 60j))[0]  # a quarter turn clockwise
    eye, other, nose, corner, other_corner = face.points.tolist()
    assert eye[1] < other[1] and corner[1] < other_corner[1]
    assert min(eye[0], other[0]) > nose[0] > max(corner[0], other_corner[0])

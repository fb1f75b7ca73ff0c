"""The detector's training: scenes say truly where their faces are, and a few steps on them teach it something."""

import cmath

import pytest
import torch
from torch.testing import assert_close

from lga_core import align
from lga_core.faces.detection.domain_networks import corrected
from lga_trainer.demo.detection import scenes, training
from lga_trainer.demo.detection.backgrounds import SIZE, backgrounds
from lga_trainer.demo.detection.scenes import RESOLUTION, Stock
from lga_trainer.demo.detection.trials import make_trial
from lga_trainer.demo.doodle.domain import DOMAIN
from lga_trainer.demo.doodle.rendering.attributes import sample_neutral
from lga_trainer.demo.doodle.rendering.renderer import RENDERER, coverage, render
from lga_trainer.demo.stages.export import framing_of

POINTS = RENDERER.points_at_rest
SMALL = {"spotter_widths": (8, 8, 8), "spotter_dilations": (1, 2), "measurer_widths": (8, 8, 8, 8), "window": 32}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def stock() -> Stock:
    attributes = sample_neutral(12, seeded())
    drawings = scenes.with_coverage(RENDERER, render(attributes, RESOLUTION), attributes)
    return Stock(drawings, backgrounds(10, drawings, seeded()))


@pytest.fixture
def compass() -> torch.Tensor:
    """A drawing that says where it is: red rises to the right, green downwards; all of it opaque."""
    axis = (torch.arange(RESOLUTION) + 0.5) / RESOLUTION * 2 - 1
    right, down = axis[None].expand(RESOLUTION, -1), axis[:, None].expand(-1, RESOLUTION)
    return torch.stack([right, down, torch.zeros_like(right), torch.ones_like(right)])[None]


def test_the_framing_gives_the_points_at_rest_their_whole_square():
    points = torch.tensor(POINTS)
    center, axis = 200 - 30j, cmath.rect(70, 2.2)
    places = center + axis * torch.complex(*points.unbind(dim=1))
    square = align(torch.view_as_real(places)[None], 300, 400, framing_of(POINTS))
    assert_close(square.center, torch.tensor([[200.0, -30.0]]), atol=1e-3, rtol=0)
    assert_close(square.axis, torch.tensor([[axis.real, axis.imag]]), atol=1e-3, rtol=0)


def test_a_moved_mouth_does_not_change_the_square_s_size():
    points, framing = torch.tensor(POINTS), framing_of(POINTS)
    points[3:, 1] += 0.07
    assert_close(align(points[None] * 50 + 50, 100, 100, framing).side, torch.tensor([100.0]))


def test_a_drawing_lies_in_its_square(compass):
    center, axis = torch.tensor([60 + 45j]), torch.tensor([cmath.rect(25, 0.6)])
    picture = scenes.place(torch.zeros(1, 3, 100, 120), compass, center, axis, torch.ones(1))[0]
    for x, y in ((0.5, 0.5), (-0.7, 0.2), (0.0, -0.8)):
        place = (center + axis * complex(x, y)).item()
        assert_close(picture[:2, int(place.imag), int(place.real)], torch.tensor([x, y]), atol=0.04, rtol=0)
    assert picture[:, 5, 5].abs().max() == 0


def test_an_absent_drawing_changes_nothing(compass):
    picture = torch.rand(1, 3, 40, 40, generator=seeded())
    laid = scenes.place(picture, compass, torch.tensor([20 + 20j]), torch.tensor([9 + 0j]), torch.zeros(1))
    assert_close(laid, picture)


def test_coverage_is_the_face_without_its_backdrop():
    covered = coverage(sample_neutral(4, seeded()), 32)
    assert covered[:, 0, 14:18, 14:18].min() > 0.99
    assert covered[:, 0, :3, :3].max() < 0.01


def test_what_of_a_square_lies_outside_the_frame_is_not_visible():
    frame = torch.tensor([[0.0, 0.0, 100.0, 100.0]])
    centers = torch.tensor([[50 + 50j, 0 + 50j, 130 + 50j, 1 + 1j]])
    seen = scenes.visible(centers, torch.full_like(centers, 20), frame)[0]
    assert seen[0] == 1 and seen[2] == 0
    assert 0.3 < seen[1] < 0.7 and 0.1 < seen[3] < 0.5


@pytest.mark.parametrize("seed", range(3))
def test_windows_say_how_wrong_they_are(stock, compass, monkeypatch, seed):
    """The middle of the drawing is where the window's square, corrected, has its middle."""
    monkeypatch.setattr(scenes, "drawings", lambda stock, n, rng: compass.expand(n, -1, -1, -1))
    monkeypatch.setattr(scenes, "degraded", lambda pictures, rng: pictures)
    windows = scenes.make_windows(stock, 24, 80, 1.5, seeded(seed))
    middle, half = torch.full((24,), 40 + 40j), torch.full((24,), 40 / 1.5 + 0j)
    centers, axes = corrected(middle, half, windows.errors)
    for index in windows.is_face.nonzero().flatten().tolist():
        place = centers[index] + axes[index] * (0.4 - 0.3j)
        x, y = int(place.real), int(place.imag)
        if windows.pictures[index, :, y, x].abs().max() > 0:  # else it is cut off
            assert_close(windows.pictures[index, :2, y, x], torch.tensor([0.4, -0.3]), atol=0.06, rtol=0)
    assert windows.is_face.any() and not windows.is_face.all()


def test_squares_of_a_scene_leave_each_other_s_middle_free():
    centers, axes, there = scenes.sample_squares(500, 128, seeded())
    apart = (centers[:, :, None] - centers[:, None]).abs()
    both = there[:, :, None] & there[:, None] & ~torch.eye(scenes.MAX_FACES, dtype=torch.bool)
    assert both.any() and (apart[both] > 0.45 * scenes.SIDES[0] * 2).all()
    assert (~there).all(dim=1).float().mean() > 0.1  # scenes without any


def test_backgrounds_are_of_all_kinds_and_the_same_for_a_seed(stock):
    again = backgrounds(10, stock.drawings, seeded())
    assert torch.equal(again, stock.backgrounds) and again.shape == (10, 3, SIZE, SIZE)
    assert len({tuple(picture.flatten()[:50].tolist()) for picture in again}) == 10


def test_scenes_are_the_same_for_a_step_and_others_for_the_next(stock):
    task = training.DetectorTask(training.fresh_detector(POINTS, **SMALL), stock, steps=10)
    first, again, other = (task.batch(step, None) for step in (3, 3, 4))
    assert torch.equal(first.scenes.pictures, again.scenes.pictures)
    assert not torch.equal(first.windows.pictures, other.windows.pictures)


def test_the_losses_are_least_for_the_truth(stock):
    """Cells and corrections that say exactly what the scene does cost (almost) nothing."""
    detector = training.fresh_detector(POINTS, **SMALL)
    scene = scenes.make_scenes(stock, 8, 128, seeded(5))
    rows, columns = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    cells = torch.zeros(8, 6, 16, 16)
    cells[:, 0] = -12
    for n in range(8):
        for center, axis, seen in zip(scene.centers[n], scene.axes[n], scene.seen[n], strict=True):
            if seen < training.IGNORED[1]:
                continue
            x, y = center.real / 8 - 0.5, center.imag / 8 - 0.5
            near = (columns - x).square() + (rows - y).square() < 2.6
            cells[n, 0][(columns == x.round()) & (rows == y.round())] = 12
            truth = ((x - columns), (y - rows), torch.log(2 * axis.abs() / detector.config.side).expand(16, 16))
            angle = (torch.cos(axis.angle()).expand(16, 16), torch.sin(axis.angle()).expand(16, 16))
            for channel, value in enumerate((*truth, *angle), start=1):
                cells[n, channel][near] = value[near]
    losses = training.proposal_losses(cells, scene, detector)
    assert losses["center"] < 0.01 and losses["square"] < 0.2  # (squares that overlap share cells)
    worse = training.proposal_losses(cells + 0.5, scene, detector)
    assert worse["square"] > 2


def test_a_short_training_learns(stock):
    torch.manual_seed(0)
    detector = training.fresh_detector(POINTS, **SMALL)
    task = training.DetectorTask(detector, stock, steps=40)
    (objective,), found = task.objectives, []
    for step in range(40):
        losses = objective.losses(task.batch(step % 4, None))
        total = sum(weight * losses[name] for name, weight in objective.weights(step).items())
        objective.optimizer.param_groups[0]["lr"] = objective.lr(step)
        objective.optimizer.zero_grad()
        total.backward()
        objective.optimizer.step()
        task.after(step)
        found.append(total.item())
    assert sum(found[-4:]) < 0.75 * sum(found[:4])
    assert not any(parameter.requires_grad for parameter in task.average.parameters())


def test_faces_laid_over_a_photograph_lie_in_it_and_not_over_each_other():
    photo = torch.zeros(1, 3, 256, 320)
    trial = make_trial(DOMAIN, photo, seeded(2), count=3, resolution=64)
    assert len(trial.centers) >= 2 and not torch.equal(trial.picture, photo)
    sides = 2 * trial.axes.abs()
    assert (trial.centers.real >= sides / 2).all() and (trial.centers.real <= 320 - sides / 2).all()
    assert (trial.centers.imag >= sides / 2).all() and (trial.centers.imag <= 256 - sides / 2).all()
    apart = (trial.centers[:, None] - trial.centers).abs() + 1e9 * torch.eye(len(sides))
    assert (apart > 0.75 * (sides[:, None] + sides)).all()

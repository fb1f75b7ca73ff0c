"""The plot of a motion: what stands on its axes is what was measured, for any motion and any title."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from lga_core.motion import plot
from lga_core.motion.editing import rms_offsets, rms_steps
from lga_core.motion.plot import plot_motion, stack_vertically


def axes_of(motion, title="smiling", fps=12.0):
    """The axes of distance, steps and layers, in this order."""
    return plot._figure(motion, title, fps).axes[:3]


def rms(values, *dims):
    return values.square().mean(dim=dims).sqrt()


def test_the_curves_are_root_mean_squares_over_everything_but_time(rng):
    motion = rng.randn(2, 5, 10, 8)
    distance, step, layers = axes_of(motion)
    assert_close(torch.tensor(distance.lines[0].get_ydata()), rms(motion, 0, 2, 3))
    assert list(distance.lines[0].get_xdata()) == [0, 1, 2, 3, 4]
    bars = step.patches[0].get_data()
    assert_close(torch.tensor(bars.values), rms(motion.diff(dim=1), 0, 2, 3))
    assert list(bars.edges) == [0, 1, 2, 3, 4]  # a bar reaches from one frame to the next
    assert_close(torch.tensor(np.asarray(layers.images[0].get_array())), rms(motion, 0, 3).T)
    assert_close(rms(motion, 0, 3), rms(rms_offsets(motion), 0))
    assert_close(rms(motion.diff(dim=1), 0, 3), rms(rms_steps(motion), 0))


def test_time_is_named_in_frames_and_in_seconds(rng):
    distance, _, layers = axes_of(rng.randn(1, 48, 10, 8), fps=24)
    assert layers.get_xlabel() == "frame"
    (seconds,) = distance.child_axes
    assert "seconds, at 24 frames a second" in seconds.get_xlabel()
    at = {label.get_text(): frame for label, frame in zip(seconds.get_xticklabels(), seconds.get_xticks(), strict=True)}
    assert at["1"] == 24
    assert all(float(second) * 24 == pytest.approx(frame) for second, frame in at.items())
    assert max(at.values()) <= 47


@pytest.mark.parametrize(
    "num_ws, groups",
    [
        (18, {"shape": 1.5, "expression": 5.5, "colour": 12.5}),
        (10, {"shape": 0.5, "expression": 4.5, "colour": 8.5}),
        (6, {"shape": 0.5, "expression": 3.5}),
        (2, {"shape": 0.5}),
    ],
)
def test_layers_are_named_in_the_middle_of_their_rows(num_ws, groups):
    (names,) = axes_of(torch.zeros(1, 3, num_ws, 8))[2].child_axes
    labels = [label.get_text() for label in names.get_yticklabels()]
    assert dict(zip(labels, names.get_yticks(), strict=True)) == groups


def test_the_picture_is_dark_when_and_in_the_layers_where_it_moves():
    motion = torch.zeros(1, 24, 10, 8)
    motion[:, 20:, 8:] = 1
    picture = plot_motion(motion, "smiling", 12).convert("L")
    figure = plot._figure(motion, "smiling", 12)
    figure.draw_without_rendering()  # puts the axes where they are in the picture
    layers = figure.axes[2]
    for frame, row in [(0, 0), (10, 9), (19, 9), (20, 7), (22, 4), (20, 8), (23, 9), (22, 8)]:
        x, y = layers.transData.transform((frame, row))
        grey = picture.getpixel((round(x), round(picture.height - 1 - y)))
        assert grey < 60 if frame >= 20 and row >= 8 else grey > 230, (frame, row, grey)


@pytest.mark.parametrize("num_frames, num_ws", [(1, 18), (2, 2), (3, 10), (500, 18)])
def test_motions_of_any_size_make_a_picture_of_one_size(rng, num_frames, num_ws):
    for motion in (rng.randn(1, num_frames, num_ws, 4), torch.zeros(3, num_frames, num_ws, 4, dtype=torch.float16)):
        image = plot_motion(motion, "a title", 23.976)
        assert image.mode == "RGB"
        assert image.size == plot.SIZE


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "title", ["", "$", "$x^{$", r"\frac $1$", "smile\n\tand cry", "微笑 🙂", "word " * 500, "x" * 5000]
)
def test_any_title_will_do(title):
    figure = plot._figure(torch.zeros(1, 3, 6, 4), title, 12)
    shown = figure.get_suptitle()
    assert len(shown) <= 90
    assert shown.rstrip("…") == " ".join(title.split())[: len(shown.rstrip("…"))]
    assert plot_motion(torch.zeros(1, 3, 6, 4), title, 12).size == plot.SIZE


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_a_broken_frame_is_left_out_and_the_others_are_drawn(rng, value):
    motion = rng.randn(1, 6, 6, 4).float()
    motion[:, 3, 2] = value
    distance, _, layers = axes_of(motion)
    assert np.isnan(distance.lines[0].get_ydata()).nonzero()[0].tolist() == [3]
    assert layers.images[0].get_clim()[1] < 5
    assert plot_motion(motion, "", 12).size == plot.SIZE


def test_the_same_motion_gives_the_same_picture_whatever_the_style_around_it(rng):
    import matplotlib

    motion = rng.randn(1, 6, 6, 4).requires_grad_()
    before = motion.detach().clone()
    picture = plot_motion(motion, "a", 12).tobytes()
    style = {"axes.facecolor": "black", "font.size": 30, "figure.dpi": 33}
    with matplotlib.rc_context(style):
        assert plot_motion(motion, "a", 12).tobytes() == picture
        assert matplotlib.rcParams["font.size"] == 30
    assert plot_motion(motion, "b", 12).tobytes() != picture
    assert_close(motion.detach(), before, rtol=0, atol=0)


def test_matplotlib_is_imported_only_to_draw_and_pyplot_never():
    script = (
        "import sys, torch; from lga_core.motion import plot_motion\n"
        "assert 'matplotlib' not in sys.modules\n"
        "plot_motion(torch.zeros(1, 2, 6, 4), '', 12)\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_stacked_pictures_stand_one_below_the_other_in_the_middle_of_white():
    red, blue = Image.new("RGB", (10, 3), "red"), Image.new("RGB", (4, 5), "blue")
    sheet = stack_vertically([red, blue])
    assert (sheet.mode, sheet.size) == ("RGB", (10, 8))
    expected = np.full((8, 10, 3), 255, dtype=np.uint8)
    expected[:3] = (255, 0, 0)
    expected[3:, 3:7] = (0, 0, 255)
    assert (np.asarray(sheet) == expected).all()
    assert stack_vertically([red]).tobytes() == red.tobytes()

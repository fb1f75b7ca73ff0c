"""Expressions over a clip: what moved, the table, the plot, and a smile on a real photograph."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
import torch
from torchvision.transforms.functional import pil_to_tensor

from lga_core import InputError, load_image
from lga_core.faces.blendshapes import Expressions, plot_expressions, read_expressions

NAMES = ("jawOpen", "mouthSmileLeft", "mouthSmileRight")


def clip(num_frames: int = 5) -> Expressions:
    """A smile rises on the left, half as far on the right; the jaw stays. Frame 1 has no face."""
    values = torch.linspace(0, 1, num_frames)[:, None] * torch.tensor([0.0, 0.8, 0.4]) + torch.tensor([0.3, 0.1, 0.1])
    values[1] = torch.nan
    return Expressions(NAMES, values)


def test_the_largest_movers_come_first_with_how_far_they_moved():
    assert [name for name, _ in clip().movers()] == ["mouthSmileLeft", "mouthSmileRight", "jawOpen"]
    assert [change for _, change in clip().movers(2)] == pytest.approx([0.8, 0.4])
    assert Expressions(NAMES, torch.full((3, 3), torch.nan)).movers() == []


def test_a_beginning_means_both_sides():
    assert clip().of("mouthSmile")[-1].item() == pytest.approx((0.9 + 0.5) / 2)
    with pytest.raises(InputError, match="no expression 'grin'. There are jawOpen, mouthSmileLeft"):
        clip().of("grin")


def test_the_table_has_a_line_for_each_frame_and_gaps_where_no_face_is():
    rows = list(csv.DictReader(io.StringIO(clip().as_csv())))
    assert [row["frame"] for row in rows] == list("01234")
    assert rows[1] == {"frame": "1", "jawOpen": "", "mouthSmileLeft": "", "mouthSmileRight": ""}
    assert float(rows[4]["mouthSmileLeft"]) == pytest.approx(0.9)


@pytest.mark.parametrize("num_frames", [2, 5, 300])
def test_the_plot_is_drawn_for_any_clip(num_frames):
    plot = plot_expressions(clip(num_frames), "smiling $\\alpha", fps=12)
    assert plot.mode == "RGB" and plot.size == (960, 480)
    assert (pil_to_tensor(plot) < 128).any()


def test_the_plot_shows_what_moved():
    still = Expressions(NAMES, torch.full((5, 3), 0.2))
    assert plot_expressions(clip(), "a", 12).tobytes() != plot_expressions(still, "a", 12).tobytes()
    plot_expressions(Expressions(NAMES, torch.full((2, 3), torch.nan)), "no face", 12)


def test_a_smile_is_read_and_so_is_a_frame_without_a_face(face_model):
    skimage = pytest.importorskip("skimage")
    photograph = load_image(Path(skimage.__file__).parent / "data" / "astronaut.png")
    done = []
    found = read_expressions(torch.cat([photograph, torch.zeros_like(photograph)]), face_model, done.append)
    assert found.values.shape == (2, 52) and found.values[1].isnan().all() and done == [1, 2]
    assert found.of("mouthSmile")[0] > 0.8 and found.of("jawOpen")[0] < 0.2
    turned = read_expressions([photograph.rot90(2, (2, 3))], face_model)
    assert (turned.values[0] - found.values[0]).abs().max() < 0.1, "a face on its head has the same expression"


def test_frames_without_any_face_are_refused(face_model):
    with pytest.raises(InputError, match="none of the 2 frames"):
        read_expressions(torch.zeros(2, 3, 64, 64), face_model)

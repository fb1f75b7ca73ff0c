"""A hand-held camera: it circles a point, zooms, turns, and comes back to where it began."""

import math

import torch
from torch.testing import assert_close

from lga_core.faces.camera import handheld_camera


def test_it_circles_its_centre_and_comes_back():
    seen = handheld_camera(9, (300.0, 200.0), 100.0, 400, 600, drift=(30.0, 20.0))
    assert (seen.height, seen.width) == (400, 600)
    across, down = ((seen.center - torch.tensor([300.0, 200.0])) / torch.tensor([30.0, 20.0])).T
    assert_close(torch.hypot(across, down), torch.ones(9))
    assert_close(seen.center[0], seen.center[-1], atol=1e-4, rtol=0)


def test_it_zooms_out_to_the_middle_and_turns_to_either_side():
    seen = handheld_camera(5, (300.0, 200.0), 100.0, 400, 600, zoom=25.0, turn=0.08)
    assert_close(seen.side, torch.tensor([200.0, 200 + 50 * math.sqrt(0.5), 250.0, 200 + 50 * math.sqrt(0.5), 200.0]))
    angles = torch.atan2(seen.axis[:, 1], seen.axis[:, 0])
    assert_close(angles, torch.tensor([0, 0.08, 0, -0.08, 0]), atol=1e-6, rtol=0)

"""Alignment against FFHQ's formula written plainly here, against what a similarity is, and over time."""

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.testing import assert_close

from lga_core import InputError, MismatchError, align
from lga_core.faces.alignment import Alignment, Framing, central_square
from lga_core.faces.cropping import crop
from lga_core.imaging.images import fit_square, to_nchw, to_uint8

FACE = torch.tensor([[[203.5, 101.1], [246.0, 103.5], [223.5, 131.1], [202.3, 139.2], [244.5, 140.6]]])
"""The points of a real photograph of 512 x 512 pixels."""
CENTRAL = FACE + torch.tensor([31.4, 149.9])
"""The same face in the middle of the picture."""


def smooth_picture(h, w, seed=0):
    """A picture without fine structure, so that ways of reading it between its pixels agree."""
    coarse = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, (h, w), mode="bicubic").clamp(-1, 1)


def plain_quad(points, down=0.1, eyes=2.0, mouth=1.8):
    """FFHQ's square as its paper's data set defines it, for points that count from the centre of the first pixel."""
    points = np.asarray(points, dtype=np.float64) - 0.5
    eye_avg, mouth_avg = (points[0] + points[1]) / 2, (points[3] + points[4]) / 2
    e2e, e2m = points[1] - points[0], mouth_avg - eye_avg
    x = e2e - np.flipud(e2m) * [-1, 1]
    x = x / np.hypot(*x) * max(np.hypot(*e2e) * eyes, np.hypot(*e2m) * mouth)
    y = np.flipud(x) * [-1, 1]
    c = eye_avg + down * e2m
    return np.stack([c - x - y, c - x + y, c + x + y, c + x - y])


def similar(points, turn, scale, shift):
    """Points turned by `turn` radians about (256, 256), scaled and shifted."""
    turning = torch.tensor([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]], dtype=points.dtype)
    return (points - 256) @ turning * scale + 256 + torch.tensor(shift, dtype=points.dtype)


def random_similarities(num):
    rng = np.random.default_rng(0)
    for _ in range(num):
        yield rng.uniform(-math.pi, math.pi), 10 ** rng.uniform(-1, 0.6), rng.uniform(-100, 100, 2).tolist()


def peaks(pictures):
    """Where each channel of [1 c h w] is brightest: the centre of mass of its spot, in pixels."""
    h, w = pictures.shape[-2:]
    x, y = torch.arange(w) + 0.5, torch.arange(h) + 0.5
    mass = (pictures[0] + 1).double()
    total = mass.sum(dim=(1, 2))
    return torch.stack([(mass * x).sum(dim=(1, 2)) / total, (mass * y[:, None]).sum(dim=(1, 2)) / total], dim=1)


def spots(places, h, w, sigma):
    """A picture [k 3 h w] -> one with a soft spot at each of k places, as [1 k h w]."""
    x, y = torch.arange(w) + 0.5, torch.arange(h) + 0.5
    near = (x - places[:, 0, None, None]) ** 2 + (y[:, None] - places[:, 1, None, None]) ** 2
    return (2 * torch.exp(-near / (2 * sigma**2)) - 1)[None].float()


# The square


@pytest.mark.parametrize("framing", [Framing(), Framing(0.2, 1.5, 2.5)])
def test_the_square_is_ffhqs(framing):
    for turn, scale, shift in random_similarities(50):
        points = similar(FACE.double(), turn, scale, shift)
        expected = plain_quad(points[0], framing.down, framing.eyes, framing.mouth) + 0.5
        found = align(points, 2000, 2000, framing) if scale < 1 else align(points + 700, 2000, 2000, framing)
        assert_close(found.corners[0] - (0 if scale < 1 else 700), torch.from_numpy(expected), atol=1e-6, rtol=0)


def test_the_crop_is_pillows_transform_of_that_square():
    picture = smooth_picture(512, 512)
    pixels = Image.fromarray(to_uint8(picture)[0].numpy())
    for turn in (0.0, 0.5, 2.0):
        points = similar(CENTRAL, turn, 1.0, [3.0, -4.0])
        quad = tuple((plain_quad(points[0]) + 0.5).flatten())
        drawn = pixels.transform((200, 200), Image.Transform.QUAD, quad, Image.Resampling.BILINEAR)
        expected = torch.from_numpy(np.array(drawn)).movedim(-1, 0) / 127.5 - 1
        assert (crop(picture, align(points, 512, 512), 200)[0] - expected).abs().max() < 2.5 / 127.5


def test_five_points_come_back_from_a_thousand_similarities():
    worst = 0.0
    for turn, scale, shift in random_similarities(1000):
        points = similar(FACE, turn, scale, shift)
        alignment = align(points, 4000, 4000) if (points > 0).any(dim=1).all() else align(points + 2000, 4000, 4000)
        points = points if (points > 0).any(dim=1).all() else points + 2000
        back = alignment.to_picture(alignment.to_square(points))
        worst = max(worst, float((back - points).abs().max()))
    assert worst < 0.01


def test_a_face_lies_in_its_crop_where_the_alignment_says():
    for turn, scale, shift in list(random_similarities(400))[::20]:
        points = similar(CENTRAL, turn, min(scale, 1.0) + 0.5, [pixels / 3 for pixels in shift])
        alignment = align(points, 512, 512)
        picture = spots(points[0], 512, 512, sigma=2.0)
        found = peaks(crop(picture, alignment, 256))
        expected = (alignment.to_square(points)[0] + 1) * 128
        assert (found - expected).abs().max() < 0.5


def test_eyes_in_the_other_order_make_the_same_square():
    swapped = FACE[:, [1, 0, 2, 4, 3]]
    assert_close(align(swapped, 512, 512).corners, align(FACE, 512, 512).corners)


def test_a_mirrored_picture_has_the_mirrored_square():
    mirrored = FACE.clone()
    mirrored[..., 0] = 512 - mirrored[..., 0]
    mirrored = mirrored[:, [1, 0, 2, 4, 3]]
    picture = smooth_picture(512, 512)
    ours = crop(picture.flip(-1), align(mirrored, 512, 512), 64)
    assert_close(ours.flip(-1), crop(picture, align(FACE, 512, 512), 64), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(20, 31), (31, 20), (16, 16), (17, 48)])
def test_the_central_square_is_that_of_fit_square(height, width, rng):
    side = min(height, width)
    picture = rng.rand(2, 3, height, width) * 2 - 1
    assert_close(crop(picture, central_square(height, width), side), fit_square(picture, side), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (torch.zeros(1, 4, 2), r"\[1, 4, 2\].*five"),
        (torch.zeros(5, 2), "five"),
        (torch.zeros(0, 5, 2), "five"),
        (torch.full((1, 5, 2), 100.0), "side 0 around"),
        (torch.full((1, 5, 2), math.nan), "No face"),
        (torch.full((3, 5, 2), math.nan), "any of 3 frames"),
        (FACE + 5000, "cannot be a face"),
        (FACE * 1e6, "cannot be a face"),
        (torch.full((1, 5, 2), math.inf), "No face"),
    ],
)
def test_points_that_are_no_face_are_refused_in_words(points, words):
    with pytest.raises(InputError, match=words):
        align(points, 512, 512)


# The crop


def test_what_is_far_too_fine_for_the_crop_becomes_its_mean():
    checks = ((torch.arange(1024)[:, None] + torch.arange(1024)) % 2 * 2.0 - 1).expand(1, 3, -1, -1)
    points = similar(FACE, 0.4, 1.7, [256.0, 330.0])
    assert crop(checks, align(points, 1024, 1024), 32).abs().max() < 0.1


def test_beyond_the_border_a_mirror_image_fades_to_the_median():
    picture = smooth_picture(400, 400)
    alignment = align(FACE + torch.tensor([-224.0, 90.0]), 400, 400)
    assert alignment.center[0, 0].abs() < 2  # half of the square lies to the left of the picture
    square = crop(picture, alignment, 128)
    median = square.flatten(2).median(dim=2).values[..., None]
    left, right = square[..., :4], square[..., 60:64]
    assert (left - median[..., None]).abs().mean() < 0.35 * (right - median[..., None]).abs().mean()
    upright = Alignment(torch.tensor([[0.0, 200.0]]), torch.tensor([[80.0, 0.0]]), 400, 400)
    square = crop(picture, upright, 160)
    assert_close(square[..., 80:], picture[..., 120:280, :80], atol=1e-5, rtol=0)  # its own pixels stay
    assert (square[..., 76:80] - square[..., 80:84].flip(-1)).abs().max() < 0.05  # the mirror begins at the border


def test_one_alignment_serves_many_pictures_and_the_reverse():
    pictures = torch.cat([smooth_picture(300, 280, seed) for seed in range(3)])
    points = torch.cat([FACE - 60, FACE - 80, FACE - 100])
    many = align(points, 300, 280)
    singly = [crop(pictures[i : i + 1], align(points[i : i + 1], 300, 280), 24) for i in range(3)]
    assert_close(crop(pictures, many, 24), torch.cat(singly))
    assert crop(pictures, align(FACE - 60, 300, 280), 24).shape == crop(pictures[:1], many, 24).shape == (3, 3, 24, 24)


def test_parts_that_do_not_belong_together_are_refused():
    alignment = align(torch.cat([FACE, FACE]), 512, 512)
    with pytest.raises(MismatchError, match="512 x 512 pixels, but this one has 40 x 30"):
        crop(torch.zeros(1, 3, 30, 40), alignment, 8)
    with pytest.raises(MismatchError, match="3 pictures came with alignments for 2"):
        crop(torch.zeros(3, 3, 512, 512), alignment, 8)
    with pytest.raises(InputError, match="0 pixels"):
        crop(torch.zeros(1, 3, 512, 512), alignment, 0)
    missing = align(torch.cat([FACE, FACE * math.nan]), 512, 512)
    with pytest.raises(InputError, match="the first of them frame 1"):
        crop(torch.zeros(2, 3, 512, 512), missing, 8)


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    size=st.integers(1, 40),
    turn=st.floats(-4, 4),
    scale=st.floats(0.02, 8),
    x=st.floats(0, 1),
    y=st.floats(0, 1),
)
@example(height=1, width=50, size=1, turn=0.0, scale=7.0, x=0.0, y=0.0)  # 350 x 350 samples in one pixel
def test_any_square_in_a_picture_of_one_colour_is_of_that_colour(height, width, size, turn, scale, x, y):
    picture = torch.tensor([-0.7, 0.0, 0.9])[None, :, None, None].expand(1, 3, height, width)
    half = max(0.5, scale * max(height, width) / 2)
    axis = torch.tensor([[half * math.cos(turn), half * math.sin(turn)]])
    square = crop(picture, Alignment(torch.tensor([[x * width, y * height]]), axis, height, width), size)
    assert_close(square, picture[..., :1, :1].expand(1, 3, size, size), atol=1e-3, rtol=0)


# Videos


def track(num_frames, noise=0.0, rate=1.5):
    """A face that moves, grows and turns at a constant rate, its points found with `noise` pixels of error."""
    t = torch.arange(num_frames)
    points = torch.cat([similar(FACE.double(), 0.004 * i, 1.002**i, [rate * i, 0.5 * rate * i]) for i in t.tolist()])
    return points + noise * torch.randn(points.shape, generator=torch.Generator().manual_seed(0))


def jitter(alignment):
    return alignment.center.diff(n=2, dim=0).norm(dim=1).mean()


def test_a_shaking_track_is_calm_after_smoothing():
    noisy = align(track(240, noise=1.0), 1200, 1200)
    calm = noisy.smoothed(4)
    exact = align(track(240), 1200, 1200)
    assert jitter(calm) <= jitter(noisy) / 3
    assert (calm.center - exact.center).norm(dim=1).mean() < 0.6 * (noisy.center - exact.center).norm(dim=1).mean()
    assert calm.side.diff(n=2).abs().mean() <= noisy.side.diff(n=2).abs().mean() / 3


def test_smoothing_a_constant_motion_changes_nothing_at_the_ends_either():
    t = torch.arange(60).double()
    center = torch.stack([100 + 2 * t, 300 - t], dim=1)
    turn = 3.0 + 0.05 * t  # beyond half a turn, where angles jump
    axis = (50 * 1.01**t)[:, None] * torch.stack([turn.cos(), turn.sin()], dim=1)
    moving = Alignment(center, axis, 600, 600)
    calm = moving.smoothed(5)
    assert_close(calm.center, center)
    assert_close(calm.axis, axis)


def test_missing_frames_lie_between_their_neighbours():
    points = track(30)
    points[[0, 1, 10, 11, 12, 29]] = math.nan
    whole = align(points, 1200, 1200).smoothed(0)
    exact = align(track(30), 1200, 1200)
    assert_close(whole.center[2:29], exact.center[2:29], atol=0.1, rtol=0)
    assert_close(whole.center[0], exact.center[2])
    assert_close(whole.center[29], exact.center[28])
    assert torch.equal(crop(torch.zeros(1, 3, 1200, 1200), whole, 4), torch.zeros(30, 3, 4, 4))


def test_a_video_without_a_face_and_a_smoothing_that_is_none_are_refused():
    nobody = Alignment(torch.full((4, 2), math.nan), torch.full((4, 2), math.nan), 10, 10)
    with pytest.raises(InputError, match="No face was found in 4 frames"):
        nobody.smoothed()
    for frames in (-1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="0 or more"):
            align(FACE, 512, 512).smoothed(frames)


def test_one_still_stays_as_it_is_under_smoothing():
    still = align(FACE, 512, 512)
    assert_close(still.smoothed(9).corners, still.corners)


def test_an_alignment_can_be_taken_apart():
    points = torch.cat([FACE, FACE + 5, FACE + 9])
    both = align(points, 512, 512)
    assert_close(both.part(1, 3).corners, both.corners[1:])
    assert align(FACE, 512, 512).part(2, 3).corners.shape == (1, 4, 2)


def test_a_real_photograph_is_framed_as_ffhq_frames_faces():
    data = pytest.importorskip("skimage.data")
    photo = to_nchw(torch.from_numpy(data.astronaut())[None] / 255)
    alignment = align(FACE, 512, 512)
    eyes_and_mouth = alignment.to_square(FACE)[0]
    assert eyes_and_mouth[:2, 1].abs().max() < 0.15  # the eyes about half way down
    assert 0.3 < float(eyes_and_mouth[3:, 1].mean()) < 0.6
    assert crop(photo, alignment, 64).std() > 0.2

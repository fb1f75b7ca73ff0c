"""Details that inversion lost: all back in the face at rest, along with what moves, and no ghost of what went away."""

import pytest
import torch
from torch.testing import assert_close

from lga_core import InputError, MismatchError
from lga_core.faces.blending import face_mask
from lga_core.faces.detail_transfer import add_details
from lga_core.imaging.filters import blur, resized
from lga_core.imaging.optical_flow import agreement, estimate_flow, warped


def picture(size, seed=0, cells=9):
    coarse = torch.rand(1, 3, cells, cells, generator=torch.Generator().manual_seed(seed)) * 1.4 - 0.7
    return torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic")


def dotted(size, seed=1):
    """Fine details that a reconstruction would lack."""
    return 0.2 * torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(seed))


def moved_by(images, pixels):
    """To the right, by whole pixels."""
    return images.roll(pixels, dims=-1)


# Flow


def test_equal_pictures_have_no_flow():
    rest = picture(64)
    assert estimate_flow(rest, rest).abs().max() < 1e-5


@pytest.mark.parametrize("pixels", [1, 3, -5])
def test_a_shift_is_found_to_a_third_of_a_pixel(pixels):
    rest = picture(64, cells=17)
    field = estimate_flow(rest, moved_by(rest, pixels)) * 32  # pixels
    inner = field[..., 12:-12, 12:-12]
    assert (inner[:, 0] + pixels).abs().mean() < 0.34
    assert inner[:, 1].abs().mean() < 0.34


def test_warping_by_a_flow_undoes_the_motion_it_was_measured_on():
    rest = picture(64, cells=17)
    frame = moved_by(rest, 3)
    explained = warped(rest, estimate_flow(rest, frame))
    inner = (..., slice(8, -8), slice(8, -8))
    assert (explained - frame)[inner].abs().mean() < 0.15 * (rest - frame)[inner].abs().mean()


def test_agreement_is_whole_on_alike_pictures_and_none_on_unlike_ones():
    a = picture(64)
    assert torch.equal(agreement(a, a + 0.05), torch.ones(1, 1, 64, 64))
    assert agreement(a, a + 0.6).max() == 0


# Details


@pytest.mark.parametrize("size", [32, 64, 100])
def test_at_rest_the_source_comes_back(size):
    reconstruction = picture(32)
    source = (resized(reconstruction, (size, size)) + dotted(size)).clamp(-1, 1)
    back = add_details(source, reconstruction, reconstruction)
    assert back.shape == source.shape
    assert (back - source).abs().max() <= 0.5 / 127.5


def test_details_move_along():
    reconstruction = picture(64, cells=17)
    lost = blur(dotted(64), 0.7)
    result = add_details(reconstruction + lost, reconstruction, moved_by(reconstruction, 3))
    inner = (..., slice(10, -10), slice(10, -10))
    truth = moved_by(reconstruction + lost, 3)
    left = moved_by(reconstruction, 3) + lost  # the details where they were
    assert (result - truth)[inner].square().mean() < 0.4 * (left - truth)[inner].square().mean()


def test_what_was_not_there_before_gets_no_details():
    reconstruction = picture(64)
    frame = reconstruction.clone()
    frame[..., 30:50, 20:44] = 1.0  # a mouth opens
    lost = dotted(64)
    result = add_details(reconstruction + lost, reconstruction, frame)
    assert_close(result[..., 36:44, 28:36], frame[..., 36:44, 28:36])
    assert_close(result[..., :12, :12], (reconstruction + lost)[..., :12, :12], atol=0.02, rtol=0)


def test_a_mask_says_where_details_go():
    reconstruction, lost = picture(64), dotted(64)
    back = add_details(reconstruction + lost, reconstruction, reconstruction, mask=face_mask(32))
    assert_close(back[..., :6, :6], reconstruction[..., :6, :6])
    assert_close(back[..., 30:40, 28:36], (reconstruction + lost)[..., 30:40, 28:36], atol=1e-4, rtol=0)


def test_a_band_carries_the_fine_or_the_coarse_alone():
    reconstruction, fine, coarse = picture(64), dotted(64), 0.2 * picture(64, seed=3, cells=4)
    source = reconstruction + fine + coarse

    def carried(**band):
        return add_details(source, reconstruction, reconstruction, **band) - reconstruction

    only_fine, only_coarse = carried(coarsest=0.1), carried(finest=0.1)
    assert (only_fine - fine).std() < 0.5 * (only_fine - coarse).std()
    assert (only_coarse - coarse).std() < 0.5 * (only_coarse - fine).std()
    for band in ({"finest": -0.1}, {"finest": 0.5, "coarsest": 0.2}):
        with pytest.raises(InputError, match="Details from"):
            carried(**band)


def test_a_clip_in_parts_is_the_same_clip():
    reconstruction = picture(32)
    source = picture(48, seed=2)
    frames = torch.cat([moved_by(reconstruction, i) for i in range(3)])
    whole = add_details(source, reconstruction, frames)
    parts = [add_details(source, reconstruction, frames[:2]), add_details(source, reconstruction, frames[2:])]
    assert_close(whole, torch.cat(parts))


def test_each_frame_of_a_video_has_its_own_source():
    reconstruction = torch.cat([picture(32, seed) for seed in range(2)])
    source = reconstruction + dotted(32)
    assert_close(add_details(source, reconstruction, reconstruction), source, atol=1e-3, rtol=0)


def test_pictures_that_do_not_belong_together_are_refused():
    frames = torch.zeros(3, 3, 16, 16)
    with pytest.raises(MismatchError, match=r"\[2, 3, 16, 16\]"):
        add_details(torch.zeros(2, 3, 16, 16), torch.zeros(1, 3, 16, 16), frames)
    with pytest.raises(MismatchError, match="reconstruction of the frames' size"):
        add_details(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 8, 8), frames)
    with pytest.raises(MismatchError, match="square source"):
        add_details(torch.zeros(1, 3, 16, 20), torch.zeros(1, 3, 16, 16), frames)

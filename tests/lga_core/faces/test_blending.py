"""Pasting: what the mask does not cover is the photo's, bit for bit; what it covers cannot be found by its seam."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from lga_core import InputError, MismatchError, align, paste_back
from lga_core.faces.alignment import Alignment, central_square
from lga_core.faces.blending import face_mask, keep_photo, paste_frames
from lga_core.faces.cropping import crop
from lga_core.imaging.filters import blur
from lga_core.imaging.images import to_nchw, to_nhwc

FACE = torch.tensor([[[203.5, 101.1], [246.0, 103.5], [223.5, 131.1], [202.3, 139.2], [244.5, 140.6]]])


@pytest.fixture(scope="module")
def photo():
    """A real photograph where scikit-image is there, else one of colours that vary, with grain: [1 3 512 512]."""
    try:
        from skimage.data import astronaut

        return to_nchw(torch.from_numpy(astronaut())[None] / 255)
    except ImportError:
        return made_up(512, 512)


def made_up(h, w, seed=0):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 9, 9, generator=generator) * 1.6 - 0.8
    smooth = torch.nn.functional.interpolate(coarse, (h, w), mode="bicubic")
    return (smooth + 0.05 * torch.randn(1, 3, h, w, generator=generator)).clamp(-1, 1)


def tilted(height, width, n=1, side=0.5, turn=0.3):
    """Squares in the middle of a picture."""
    half = side * min(height, width) / 2
    axis = torch.tensor([[half * math.cos(turn), half * math.sin(turn)]])
    return Alignment(torch.tensor([[width / 2, height / 2]]).repeat(n, 1), axis.repeat(n, 1), height, width)


def untouched(pasted, photo):
    """Whether every pixel whose mask is 0 is the photo's to the last bit."""
    same = (pasted.images == photo).all(dim=1, keepdim=True)
    return bool((same | (pasted.mask > 0)).all())


def slopes(images):
    """Length of the gradient, [n 1 h-1 w-1]."""
    down, right = images.diff(dim=2)[..., :, :-1], images.diff(dim=3)[..., :-1, :]
    return (down.square() + right.square()).sum(dim=1, keepdim=True).sqrt()


# What stays


@pytest.mark.parametrize("size", [32, 128, 171, 512])
def test_the_photos_own_crop_changes_nothing_that_can_be_seen(photo, size):
    alignment = align(FACE, 512, 512)
    face = crop(photo, alignment, size)
    pasted = paste_back(photo, face, alignment, rest=face)
    assert (pasted.images - photo).abs().max() < 0.1 / 127.5
    assert untouched(pasted, photo)


def test_only_pixels_under_the_mask_change(photo):
    alignment = align(FACE, 512, 512)
    pasted = paste_back(photo, -crop(photo, alignment, 64), alignment)
    assert untouched(pasted, photo)
    inside = alignment.to_square(torch.nonzero(pasted.mask[0, 0])[None].flip(-1) + 0.5)
    assert inside.abs().max() < 1
    assert (pasted.images != photo).any(dim=1, keepdim=True)[pasted.mask > 0.01].float().mean() > 0.95


def test_the_ellipse_is_whole_around_the_face_and_gone_before_the_border():
    mask = face_mask(64)
    assert mask.shape == (1, 1, 64, 64)
    assert mask[0, 0, 28:44, 22:42].min() > 0.99
    border = torch.cat([mask[0, 0, 0], mask[0, 0, -1], mask[0, 0, :, 0], mask[0, 0, :, -1]])
    assert border.max() == 0
    assert set(face_mask(64, feather=0).unique().tolist()) == {0.0, 1.0}
    with pytest.raises(InputError, match="feather is 1.5"):
        face_mask(64, feather=1.5)


def test_a_painted_mask_of_the_photos_size_is_obeyed_within_the_square():
    photo, alignment = made_up(90, 120), tilted(90, 120, side=0.8)
    painted = torch.zeros(1, 1, 90, 120)
    painted[..., 30:60, 10:70] = 1
    pasted = paste_back(photo, torch.ones(1, 3, 32, 32), alignment, painted)
    assert untouched(pasted, photo)
    assert pasted.mask[painted == 0].max() == 0
    assert pasted.mask[..., 40:50, 55:65].min() == 1
    assert pasted.mask[..., 40:50, 10:12].max() == 0  # beyond the square there is no face
    assert_close(pasted.images[..., 40:50, 55:65], torch.ones(1, 3, 10, 10))


def test_a_hard_painted_edge_becomes_soft_inwards_and_a_soft_one_stays_as_it_was_painted():
    photo, alignment, face = made_up(200, 200), tilted(200, 200, side=0.8), torch.ones(1, 3, 32, 32)
    hard = torch.zeros(1, 1, 200, 200)
    hard[..., 70:130, 70:130] = 1
    found = paste_back(photo, face, alignment, hard).mask
    assert found[hard == 0].max() == 0
    assert found[0, 0, 100, 90:110].min() == 1
    assert found.diff(dim=3).abs().max() < 0.5
    soft = blur(hard, 5.0).clamp(0, 1)
    assert_close(paste_back(photo, face, alignment, soft).mask[..., 80:120, 80:120], soft[..., 80:120, 80:120])


def test_a_mask_of_the_squares_size_turns_with_the_face():
    photo, alignment = made_up(90, 120), tilted(90, 120, side=0.8, turn=math.pi / 2)
    upper = torch.zeros(1, 1, 32, 32)
    upper[..., :16, :] = 1
    mask = paste_back(photo, torch.ones(1, 3, 32, 32), alignment, upper).mask[0, 0]
    assert mask[30:60, 64:80].min() > 0.9  # up in the square is right in the photo
    assert mask[:, :56].max() == 0


def test_keep_photo_gives_back_the_very_values_that_conversion_rounds():
    photo = torch.randint(256, (1, 64, 64, 3), generator=torch.Generator().manual_seed(0)) / 255
    assert not torch.equal(to_nhwc(to_nchw(photo)), photo)
    pasted = paste_back(to_nchw(photo), torch.ones(2, 3, 16, 16), tilted(64, 64))
    kept = keep_photo(to_nhwc(pasted.images), photo, pasted.mask)
    outside = (pasted.mask == 0).movedim(1, -1).expand_as(kept)
    assert torch.equal(kept[outside], photo.expand(2, -1, -1, -1)[outside])
    assert (kept[~outside] != photo.expand(2, -1, -1, -1)[~outside]).any()


def test_frames_are_pasted_one_by_one_as_if_alone_and_one_photo_serves_them_all():
    photo = torch.rand(1, 40, 50, 3, generator=torch.Generator().manual_seed(0))
    faces = torch.rand(3, 16, 16, 3, generator=torch.Generator().manual_seed(1))
    alignment, mask = tilted(40, 50), torch.rand(1, 16, 16, generator=torch.Generator().manual_seed(2))
    frames = list(paste_frames(photo, faces, alignment, mask, faces[:1]))
    assert len(frames) == 3
    for face, (images, share) in zip(faces, frames, strict=True):
        alone = paste_back(to_nchw(photo), to_nchw(face[None]), alignment, mask[:, None], to_nchw(faces[:1]))
        assert_close(images, to_nhwc(alone.images), atol=1e-6, rtol=0)
        assert_close(share, alone.mask[:, 0])
        assert torch.equal(images[share == 0], photo[share == 0])


def test_frames_have_even_sides_as_video_encoders_need():
    (images, share), *_ = paste_frames(torch.zeros(1, 41, 53, 3), torch.ones(1, 16, 16, 3), tilted(41, 53))
    assert images.shape == (1, 40, 52, 3)
    assert share.shape == (1, 40, 52)


# What changes


def test_a_face_lands_where_it_was_taken_from():
    photo, alignment = torch.zeros(1, 3, 200, 240), tilted(200, 240, side=0.7)
    dot = torch.full((1, 3, 64, 64), -1.0)
    dot[..., 40:44, 20:24] = 1  # around (22, 42) of 64
    pasted = paste_back(photo, dot, alignment, torch.ones(1, 1, 64, 64)).images[0, 0].clamp_min(0.2) - 0.2
    x, y = torch.arange(240) + 0.5, torch.arange(200) + 0.5
    found = torch.stack([(pasted * x).sum(), (pasted * y[:, None]).sum()]) / pasted.sum()
    expected = alignment.to_picture(torch.tensor([[[22 / 32 - 1, 42 / 32 - 1]]]))[0, 0]
    assert (found - expected).norm() < 0.3


def test_colours_are_matched_and_what_the_motion_did_to_them_stays(photo):
    alignment = align(FACE, 512, 512)
    cast = torch.tensor([0.12, -0.05, -0.1])[None, :, None, None]
    rest = 0.8 * crop(photo, alignment, 128) + cast
    moved = rest.clone()
    moved[..., 64:96, 50:78] += 0.3  # the motion brightens the mouth
    still = paste_back(photo, rest, alignment, rest=rest)
    raw = paste_back(photo, rest, alignment)
    assert (still.images - photo).abs().mean() < 0.1 * (raw.images - photo).abs().mean()
    change = paste_back(photo, moved, alignment, rest=rest).images - still.images
    middle = alignment.to_picture(torch.tensor([[[0.0, 0.25]]]))[0, 0].int()
    assert 0.25 < float(change[0, :, middle[1], middle[0]].mean()) < 0.5


def test_no_seam_can_be_found(photo):
    """Across the mask's rim the picture is as steep as the photo, though the face is a blurred, tinted one."""
    alignment = align(FACE, 512, 512)
    own = crop(photo, alignment, 128)
    rest = 0.85 * blur(own, 1.0) + torch.tensor([0.12, -0.05, -0.1])[None, :, None, None]
    pasted = paste_back(photo, rest, alignment, rest=rest)
    rim = ((pasted.mask > 0) & (pasted.mask < 0.5))[..., :-1, :-1]
    there, before = slopes(pasted.images)[rim], slopes(photo)[rim]
    assert there.mean() < 1.05 * before.mean()
    assert (there - before).clamp_min(0).quantile(0.99) < 0.1
    hard = paste_back(photo, rest, alignment, face_mask(128, feather=0.01))
    edge = ((hard.mask > 0) & (hard.mask < 1))[..., :-1, :-1]
    assert (slopes(hard.images)[edge] - slopes(photo)[edge]).clamp_min(0).quantile(0.99) > 0.1  # the measure sees seams


def test_a_photo_finer_than_the_face_keeps_its_grain_where_nothing_moved():
    photo = made_up(400, 400)
    alignment = tilted(400, 400, side=0.9)
    rest = crop(photo, alignment, 32)  # far too small to hold the grain
    moved = rest.clone()
    moved[..., 20:26, 12:20] = 1
    pasted = paste_back(photo, moved, alignment, rest=rest)
    forehead = alignment.to_picture(torch.tensor([[[0.0, -0.4]]]))[0, 0].int().tolist()
    around = (..., slice(forehead[1] - 15, forehead[1] + 15), slice(forehead[0] - 15, forehead[0] + 15))
    assert_close(pasted.images[around], photo[around], atol=0.02, rtol=0)


def test_two_faces_in_one_photo_are_pasted_one_after_the_other():
    photo = made_up(100, 200)
    left = Alignment(torch.tensor([[50.0, 50.0]]), torch.tensor([[40.0, 0.0]]), 100, 200)
    right = Alignment(torch.tensor([[150.0, 50.0]]), torch.tensor([[40.0, 5.0]]), 100, 200)
    face = torch.ones(1, 3, 32, 32)
    one, other = paste_back(photo, face, left), paste_back(photo, face, right)
    both = paste_back(one.images, face, right)
    assert torch.equal(both.images, torch.where(one.mask > 0, one.images, other.images))


def test_a_clip_goes_into_a_photo_and_into_a_video():
    photos, faces = torch.cat([made_up(60, 80, seed) for seed in range(3)]), torch.rand(3, 3, 16, 16)
    singly = [paste_back(photos[i : i + 1], faces[i : i + 1], tilted(60, 80), rest=faces[:1]).images for i in range(3)]
    assert_close(paste_back(photos, faces, tilted(60, 80, n=3), rest=faces[:1]).images, torch.cat(singly))
    into_one = paste_back(photos[:1], faces, tilted(60, 80))
    assert into_one.images.shape == (3, 3, 60, 80)
    assert into_one.mask.shape == (3, 1, 60, 80)


def test_a_square_beside_the_photo_changes_nothing():
    photo = made_up(20, 30)
    for center in ([-9.0, 5.0], [39.0, 5.0], [5.0, -9.0], [5.0, 29.0]):
        beside = Alignment(torch.tensor([center]), torch.tensor([[3.0, 1.0]]), 20, 30)
        assert torch.equal(paste_back(photo, torch.ones(1, 3, 8, 8), beside).images, photo)


def test_the_photo_that_was_handed_over_stays_as_it_was():
    photo = made_up(40, 40)
    before = photo.clone()
    paste_back(photo, torch.ones(1, 3, 8, 8), central_square(40, 40))
    assert torch.equal(photo, before)


def test_parts_that_do_not_belong_together_are_refused():
    photo, alignment = made_up(60, 80), tilted(60, 80)
    with pytest.raises(MismatchError, match="2 faces .* 3 photos"):
        paste_back(photo.expand(3, -1, -1, -1), torch.rand(2, 3, 8, 8), alignment)
    with pytest.raises(MismatchError, match="squares of one size"):
        paste_back(photo, torch.rand(1, 3, 8, 9), alignment)
    with pytest.raises(MismatchError, match="squares of one size"):
        paste_back(photo, torch.rand(1, 3, 8, 8), alignment, rest=torch.rand(1, 3, 16, 16))
    with pytest.raises(MismatchError, match="mask has 9 x 8"):
        paste_back(photo, torch.rand(1, 3, 8, 8), alignment, torch.ones(1, 1, 8, 9))
    with pytest.raises(MismatchError, match="aligned in a picture"):
        paste_back(photo, torch.rand(1, 3, 8, 8), tilted(50, 50))


@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(1, 50),
    width=st.integers(1, 50),
    size=st.integers(1, 40),
    turn=st.floats(-4, 4),
    side=st.floats(0.02, 6),
    x=st.floats(-0.5, 1.5),
    y=st.floats(-0.5, 1.5),
)
def test_any_square_can_be_pasted_and_touches_only_what_it_says(height, width, size, turn, side, x, y):
    photo = made_up(height, width)
    half = max(0.5, side * max(height, width) / 2)
    axis = torch.tensor([[half * math.cos(turn), half * math.sin(turn)]])
    alignment = Alignment(torch.tensor([[x * width, y * height]]), axis, height, width)
    pasted = paste_back(photo, torch.ones(1, 3, size, size), alignment)
    assert pasted.images.shape == photo.shape
    assert untouched(pasted, photo)
    assert 0 <= pasted.mask.min() <= pasted.mask.max() <= 1
    assert pasted.images.isfinite().all()
    assert pasted.images.abs().max() <= 1

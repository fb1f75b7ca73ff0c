"""A photograph is animated in place: its face moves, and the rest of it stays."""

from pathlib import Path

import av
import pytest
import torch
from PIL import Image

from lga_core import InputError, frames, load_domain
from lga_core.imaging.images import to_nchw
from lga_trainer import cli
from lga_trainer.animation.photo import PhotoFace, find_scene

POINTS = "40%,40% 60%,40% 50%,50% 43%,60% 57%,60%"


@pytest.fixture(scope="module")
def photo():
    """[1 3 90 120], smooth, as photographs are."""
    rough = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(0)) * 1.6 - 0.8
    return torch.nn.functional.interpolate(rough, (90, 120), mode="bicubic").clamp(-1, 1)


@pytest.fixture(scope="module")
def domain(domain_folder):
    return load_domain(domain_folder)


def test_a_face_that_does_not_move_leaves_the_photo_as_it_is(photo, domain):
    scene = find_scene(photo, domain, PhotoFace(points=POINTS))
    (image,) = scene.with_faces(iter([scene.still]))
    assert (image - photo).abs().max() <= 2 * 2 / 255


def test_a_face_that_moves_changes_the_photo_within_its_square_only(photo, domain):
    scene = find_scene(photo, domain, PhotoFace(points=POINTS))
    motion = domain.motion_for("smiling", scene.ws, 3, strength=3.0)
    clip = torch.cat(list(scene.with_faces(frames(domain.generator, scene.ws, motion))))
    assert clip.shape == (3, *photo.shape[1:])
    low, high = (
        scene.alignment.corners[0].amin(dim=0).floor().int(),
        scene.alignment.corners[0].amax(dim=0).ceil().int(),
    )
    outside = torch.ones(90, 120, dtype=torch.bool)
    outside[max(low[1], 0) : high[1], max(low[0], 0) : high[0]] = False
    assert outside.any()
    assert torch.equal(clip[:, :, outside], photo[:, :, outside].expand(3, -1, -1))
    assert (clip[2] - photo[0]).abs().max() > 0.05


def test_the_generator_of_the_scene_has_learned_the_face_and_the_domains_has_not(photo, domain):
    plain, tuned = (find_scene(photo, domain, PhotoFace(points=POINTS, tune_steps=steps)) for steps in (0, 4))
    assert plain.domain.generator is domain.generator is not tuned.domain.generator
    small = torch.nn.functional.adaptive_avg_pool2d(plain.square, plain.still.shape[-1])
    assert (tuned.still - small).square().mean() < (plain.still - small).square().mean()


def test_a_photo_without_a_face_says_what_can_be_done(photo, domain):
    with pytest.raises(InputError, match=r"No face was found in the image of 120 x 90 pixels.*by hand"):
        find_scene(photo, domain, PhotoFace(models=Path("none")))


def test_the_command_writes_a_clip_as_large_as_the_photo(photo, domain_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pixels = ((photo[0] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save("photo.png")
    words = ["animate", "photo.png", "smiling", "--photo", "--points", POINTS, "--tune", "2", "--frames", "3"]
    assert cli.main([*words, "--domain", str(domain_folder)]) == 0
    with av.open("clip.mp4") as container:
        drawn = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert [frame.shape for frame in drawn] == [(90, 120, 3)] * 3
    first = to_nchw(torch.from_numpy(drawn[0])[None] / 255)
    assert (first - photo).abs().mean() < 0.04  # what the encoding leaves of it
    with Image.open("clip_sheet.png") as sheet:
        assert sheet.width > 3 * 120

"""Nodes for photographs: what is found, cut out, learned, given back and pasted."""

from __future__ import annotations

import math
import sys

import pytest
import torch
from pack import core, host, run, same, saved
from torch.testing import assert_close

photo_nodes = sys.modules[f"{host.__package__}.photo"]
POINTS = "30%,40% 60%,40% 45%,50% 35%,65% 55%,65%"


def photo(n: int = 1, height: int = 60, width: int = 80) -> torch.Tensor:
    rough = torch.rand(n, 3, 5, 6, generator=torch.Generator().manual_seed(4))
    smooth = torch.nn.functional.interpolate(rough, (height, width), mode="bicubic").clamp(0, 1)
    return smooth.movedim(1, -1).contiguous()


def placed(image: torch.Tensor):
    return run("LGA_FindFaces", image=image, finder="by hand", points=POINTS)[0]


def aligned(at, image: torch.Tensor, **more):
    return run("LGA_AlignFace", generator=at.generator, image=image, places=placed(image), **more)


class Finds:
    """A finder that sees the same faces in every picture, or none where `blind` says so."""

    name = "a finder"

    def __init__(self, *faces, blind=()):
        self.faces, self.blind, self.asked = faces, set(blind), -1

    def find(self, images):
        self.asked += 1
        return [] if self.asked in self.blind else list(self.faces)


def face(x: float, y: float, size: float = 10, score: float = 1.0):
    points = torch.tensor([[-1.0, -1], [1, -1], [0, 0], [-0.7, 1], [0.7, 1]]) * size / 2 + torch.tensor([x, y])
    return core.faces.detection.FoundFace(points, score, "a finder")


@pytest.fixture
def found(monkeypatch):
    """Makes the finders that are present those that a test gives."""
    return lambda *detectors: monkeypatch.setattr(
        photo_nodes, "installed_detectors", lambda folder, own: list(detectors)
    )


# Find


def test_points_that_were_clicked_are_the_places(tiny):
    places, marked, report = run("LGA_FindFaces", image=photo(), finder="by hand", points=POINTS)
    assert_close(places.points[0, 0], torch.tensor([24.0, 24.0]))
    assert marked.shape[0] == 1
    assert report == "1 face detected (by hand)."


@pytest.mark.parametrize(("which", "index", "x"), [("largest", 0, 60), ("left to right", 0, 15), ("largest", 1, 15)])
def test_the_face_that_is_asked_for_is_chosen(found, which, index, x):
    found(Finds(face(60, 30, size=20), face(15, 30, size=8)))
    places, _, report = run("LGA_FindFaces", image=photo(), which=which, index=index)
    assert places.points[0, 2, 0] == x
    assert report == "2 faces detected (a finder)."


def test_the_nearest_is_that_to_x_and_y_in_percent(found):
    found(Finds(face(60, 30, size=20), face(15, 30, size=8)))
    places, _, _ = run("LGA_FindFaces", image=photo(), which="nearest", x=20.0, y=50.0)
    assert places.points[0, 2, 0] == 15


def test_a_video_goes_on_where_the_face_is_lost_and_says_so(found):
    found(Finds(face(40, 30), blind=(1, 2)))  # the second frame, looked at twice: around the place and all of it
    places, _, report = run("LGA_FindFaces", image=photo(4))
    assert places.points.isnan().any(dim=(1, 2)).tolist() == [False, True, False, False]
    assert "In 1 of them it was not detected" in report


def test_no_face_is_an_error_with_a_way_out(found):
    found()
    with pytest.raises(core.InputError, match=r"image of 80 x 60 pixels.*by hand"):
        run("LGA_FindFaces", image=photo())


# Align


def test_without_places_the_central_square_is_cut(tiny):
    image = photo()
    cut, alignment = run("LGA_AlignFace", generator=tiny.generator, image=image, size=60)
    assert_close(cut, image[:, :, 10:70], rtol=0, atol=1e-5)
    assert alignment.side == 60


def test_the_square_is_as_large_as_the_generators_unless_it_is_said(tiny):
    assert aligned(tiny, photo())[0].shape == (1, 16, 16, 3)
    assert aligned(tiny, photo(), size=40)[0].shape == (1, 40, 40, 3)


def test_the_generators_domain_says_how_faces_are_framed(tiny, doodle):
    ours = run("LGA_AlignFace", generator=doodle.generator, image=photo(), places=placed(photo()))[1]
    assert doodle.generator.framing != tiny.generator.framing == core.faces.FFHQ
    assert ours.side != aligned(tiny, photo())[1].side


def test_places_of_another_picture_are_refused(tiny):
    with pytest.raises(core.MismatchError, match=r"1 images of 80 x 60 pixels, but there are 1 of 60 x 80"):
        run("LGA_AlignFace", generator=tiny.generator, image=photo(1, 80, 60), places=placed(photo()))


def test_frames_without_the_face_lie_between_their_neighbours(tiny):
    points = torch.stack([face(30.0 + 5 * t, 30).points for t in range(3)])
    points[1] = math.nan
    image = photo(3)
    places = type(placed(image))(points, 60, 80)
    alignment = run("LGA_AlignFace", generator=tiny.generator, image=image, places=places, smoothing=0.0)[1]
    assert_close(alignment.center[1], (alignment.center[0] + alignment.center[2]) / 2)


# Details and pasting


def test_a_face_that_does_not_move_gives_the_photo_back(tiny):
    image = photo()
    square, alignment = aligned(tiny, image, size=32)
    still = torch.rand(1, 16, 16, 3, generator=torch.Generator().manual_seed(0))
    (frames,) = run("LGA_DetailTransfer", image=square, still=still, frames=still.repeat(3, 1, 1, 1))
    assert_close(frames, square.expand(3, -1, -1, -1), rtol=0, atol=2 / 255)
    images, mask = run("LGA_PasteBack", image=image, frames=frames, alignment=alignment)
    assert images.shape == (3, 60, 80, 3)
    assert (images - image).abs().max() <= 2 / 255
    outside = (mask == 0)[..., None].expand_as(images)
    assert outside.any()
    assert torch.equal(images[outside], image.expand(3, -1, -1, -1)[outside])


def test_what_lies_outside_a_painted_mask_is_the_photo(tiny):
    image = photo()
    _, alignment = aligned(tiny, image)
    painted = torch.zeros(1, 60, 80)
    painted[:, 25:35, 30:45] = 1
    images, mask = run("LGA_PasteBack", image=image, frames=torch.ones(1, 16, 16, 3), alignment=alignment, mask=painted)
    assert torch.equal(images[painted == 0], image[painted == 0])
    assert mask[painted == 0].max() == 0
    assert not torch.equal(images, image)


def test_videos_have_even_sides(tiny):
    image = photo(1, 61, 83)
    images, mask = run("LGA_PasteBack", image=image, frames=torch.ones(2, 16, 16, 3), alignment=aligned(tiny, image)[1])
    assert images.shape == (2, 60, 82, 3)
    assert mask.shape == (2, 60, 82)


def test_frames_of_a_video_are_pasted_each_into_its_own(tiny):
    image = photo(3)
    square, alignment = aligned(tiny, image)
    images, _ = run("LGA_PasteBack", image=image, frames=square, alignment=alignment)
    assert (images - image).abs().amax(dim=(1, 2, 3)).max() < 0.2  # the square is small
    with pytest.raises(core.MismatchError):
        run("LGA_PasteBack", image=image, frames=square[:2], alignment=alignment)


# Learning a face


def test_the_generator_learns_the_face_and_the_one_that_was_given_does_not(tiny):
    faces, picture = tiny.faces(), photo(1, 40, 40)
    before = [weight.clone() for weight in tiny.generator.model.module.parameters()]
    given = {"generator": tiny.generator, "faces": faces, "image": picture, "layers": "all"}
    tuned, _, image, report = run("LGA_RefineInversion", **given, code_steps=0, tuning_steps=60)
    _, _, plain, _ = run("LGA_RefineInversion", **given, code_steps=0, tuning_steps=0)
    assert all(map(torch.equal, before, tiny.generator.model.module.parameters()))
    wanted = core.imaging.to_nhwc(core.imaging.fit_square(core.imaging.to_nchw(picture), 16))
    assert (image - wanted).square().mean() < 0.95 * (plain - wanted).square().mean()
    assert tuned.identity == tiny.generator.identity
    assert report.startswith("Before:\n")


def test_a_motion_of_the_generator_moves_the_face_that_was_learned(tiny):
    given = {"generator": tiny.generator, "faces": tiny.faces(), "image": photo(1, 40, 40), "layers": "all"}
    tuned, faces, still, _ = run("LGA_RefineInversion", **given, code_steps=0, tuning_steps=3)
    frames, _ = run("LGA_SynthesizeFrames", generator=tuned, faces=faces, motion=tiny.motion())
    assert_close(frames[:1], still, rtol=0, atol=1e-5)


def test_what_was_learned_is_loaded_again_from_a_small_file(tiny):
    given = {"generator": tiny.generator, "faces": tiny.faces(), "image": photo(1, 40, 40), "layers": "all"}
    tuned, faces, still, _ = run("LGA_RefineInversion", **given, code_steps=0, tuning_steps=3)
    file = saved("LGA_SaveTuning", generator=tuned)
    again, face = run("LGA_LoadTuning", generator=tiny.generator, file=file)
    drawn, _ = run("LGA_SynthesizeFrames", generator=again, faces=face, motion=tiny.motion(frames=1))
    assert_close(drawn, still, rtol=0, atol=0.01)  # in half precision
    none, _ = run("LGA_LoadTuning", generator=tiny.generator, file=file, strength=0.0)
    assert all(map(torch.equal, none.model.module.parameters(), tiny.generator.model.module.parameters()))
    assert same(face.ws.half(), faces.ws.half())


def test_a_tuning_of_another_generator_is_refused(tiny, other):
    given = {"generator": tiny.generator, "faces": tiny.faces(), "image": photo(1, 40, 40), "layers": "all"}
    file = saved("LGA_SaveTuning", generator=run("LGA_RefineInversion", **given, code_steps=0, tuning_steps=1)[0])
    with pytest.raises(core.MismatchError, match="tiny"):
        run("LGA_LoadTuning", generator=other.generator, file=file)


def test_a_generator_that_has_learned_nothing_cannot_be_saved(tiny):
    with pytest.raises(core.InputError, match="is not tuned to a face"):
        run("LGA_SaveTuning", generator=tiny.generator, filename_prefix="t")


# Who it is


def test_the_lock_lowers_a_motion_that_goes_too_far_and_leaves_one_that_does_not(tiny):
    faces, motion = tiny.faces(), tiny.motion()
    far = motion.with_offsets(40 * motion.offsets)
    given = {"generator": tiny.generator, "faces": faces, "clip": tiny.clip}
    kept, strength, _ = run("LGA_IdentityLock", **given, motion=far, threshold=0.999)
    assert 0 <= strength < 1
    assert_close(kept.offsets, strength * far.offsets)
    same_motion, strength, _ = run("LGA_IdentityLock", **given, motion=motion, threshold=-1.0)
    assert strength == 1
    assert same(same_motion.offsets, motion.offsets)


def test_somebody_has_to_know_faces(tiny):
    with pytest.raises(core.InputError, match="Connect identity, or else clip"):
        run("LGA_IdentityLock", generator=tiny.generator, faces=tiny.faces(), motion=tiny.motion())


# Expressions


def test_expressions_are_plotted_tabled_and_told(monkeypatch, here):
    folder = here / "models/lga/face"
    folder.mkdir(parents=True)
    (folder / "some.task").write_bytes(b"")
    asked = []

    def read(images, model, on_frame):
        asked.extend(images)
        on_frame(1)
        return core.faces.Expressions(("jawOpen", "smile"), torch.tensor([[0.1, 0.2], [0.9, 0.2]]))

    monkeypatch.setattr(photo_nodes, "read_expressions", read)
    plot, table, report = run("LGA_ReadExpressions", image=photo(2), model="some.task")
    assert [image.shape for image in asked] == [(1, 3, 60, 80)] * 2
    assert plot.ndim == 4
    assert table.splitlines() == ["frame,jawOpen,smile", "0,0.1000,0.2000", "1,0.9000,0.2000"]
    assert report == "Largest changes: jawOpen by 0.80, smile by 0.00."


# Faces in a video


def test_a_demo_video_moves_slowly_around_the_middle_face():
    (frames,) = run("LGA_DemoPhoto", frames=12)
    assert frames.shape == (12, 384, 384, 3)
    steps = frames.diff(dim=0).abs().mean(dim=(1, 2, 3))
    assert 0 < steps.min() <= steps.max() < 0.2


def test_each_frame_of_a_video_moves_by_its_frame_of_the_motion(tiny):
    faces, motion = tiny.faces(4), tiny.motion(frames=3)
    drawn, _ = run(
        "LGA_SynthesizeFrames", generator=tiny.generator, faces=faces, motion=motion, layout="frame by frame"
    )
    with torch.no_grad():
        expected = tiny.generator.model.module.synthesis(faces.ws + motion.offsets[0, [0, 1, 2, 2]])
    assert_close(drawn, core.imaging.to_nhwc(expected), rtol=0, atol=1e-5)

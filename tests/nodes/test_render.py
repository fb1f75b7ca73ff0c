"""Nodes that draw: the frames of a clip and the preview of a motion."""

from __future__ import annotations

import sys

import pytest
import torch
from pack import call, core, host, run, same
from torch.testing import assert_close

render = sys.modules[f"{host.__package__}.render"]


def movement(at, frames: int = 5, n: int = 1):
    """A motion that is large enough to see, of one face or many."""
    offsets = torch.randn(n, frames, 6, 16, generator=torch.Generator().manual_seed(3))
    offsets[:, 0] = 0
    return core.Movement(offsets, at.generator.identity)


def frames_of(at, faces, motion, **inputs) -> torch.Tensor:
    return run("LGA_SynthesizeFrames", generator=at.generator, faces=faces, motion=motion, **inputs)[0]


def drawn(at, ws: torch.Tensor) -> torch.Tensor:
    """The definition: synthesis, from -1..1 to 0..1, [n h w c]."""
    with torch.no_grad():
        return ((at.generator.model.module.synthesis(ws) + 1) / 2).clamp(0, 1).permute(0, 2, 3, 1)


def test_a_frame_is_the_synthesis_of_face_plus_offset(tiny):
    face, motion = tiny.faces(), movement(tiny)
    assert_close(frames_of(tiny, face, motion), drawn(tiny, face.ws + motion.offsets[0]))


def test_the_first_frame_is_the_face_itself(tiny):
    face, image = run("LGA_SampleFace", generator=tiny.generator, seed=2)
    assert same(frames_of(tiny, face, tiny.motion(frames=1)), image)
    assert_close(frames_of(tiny, face, tiny.motion())[:1], image)


@pytest.mark.parametrize("n", [1, 3])
def test_several_faces_stand_side_by_side_on_white(tiny, n):
    faces, motion = tiny.faces(3), movement(tiny, n=n)
    frames = frames_of(tiny, faces, motion, layout="grid")
    assert frames.shape == (5, 32, 32, 3)
    corners = [(0, 0), (0, 16), (16, 0)]
    for index, (top, left) in enumerate(corners):
        cell = frames[:, top : top + 16, left : left + 16]
        assert_close(cell, drawn(tiny, faces.ws[index] + motion.offsets[index % n]))
    assert (frames[:, 16:, 16:] == 1).all()


@pytest.mark.parametrize("n", [1, 3])
def test_several_faces_play_in_turn(tiny, n):
    faces, motion = tiny.faces(3), movement(tiny, n=n)
    frames = frames_of(tiny, faces, motion, layout="one after another")
    assert frames.shape == (15, 16, 16, 3)
    for index in range(3):
        alone = drawn(tiny, faces.ws[index] + motion.offsets[index % n])
        assert_close(frames[5 * index : 5 * index + 5], alone)


@pytest.mark.parametrize("layout", ["grid", "one after another"])
def test_the_frames_do_not_depend_on_how_many_are_drawn_at_once(tiny, layout, monkeypatch):
    faces, motion = tiny.faces(3), movement(tiny, frames=7)
    whole = frames_of(tiny, faces, motion, layout=layout)
    for chunk in (1, 2, 4, 5):
        monkeypatch.setattr(render, "chunk_size", lambda *_, chunk=chunk: chunk)
        assert_close(frames_of(tiny, faces, motion, layout=layout), whole)


def test_frames_a_second_are_handed_on_and_change_no_frame(tiny):
    face, motion = tiny.faces(), movement(tiny)
    slow, fast = (
        run("LGA_SynthesizeFrames", generator=tiny.generator, faces=face, motion=motion, fps=fps) for fps in (6.0, 24.0)
    )
    assert (slow[1], fast[1]) == (6.0, 24.0)
    assert same(slow[0], fast[0])


# Precision


@pytest.fixture(autouse=True)
def bfloat(monkeypatch):
    """Half precision is bfloat16, whatever this machine is fastest in."""
    monkeypatch.setattr(render, "fastest_dtype", lambda device: torch.bfloat16)


@pytest.fixture
def spoil(monkeypatch):
    """Breaks the engine's pictures where `breaks(dtype)` says so; gives the types that were drawn in."""

    def spoiling(breaks, value=float("inf")):
        seen, draw = [], core.stylegan2.inference.Engine.drawn

        def drawing(engine, ws, count):
            seen.append(engine.dtype)
            images = draw(engine, ws, count)
            return torch.full_like(images, value) if breaks(engine.dtype) else images

        monkeypatch.setattr(core.stylegan2.inference.Engine, "drawn", drawing)
        return seen

    return spoiling


def test_half_precision_differs_little_and_is_used(tiny, spoil):
    face, motion = tiny.faces(), movement(tiny)
    full = frames_of(tiny, face, motion)
    seen = spoil(lambda dtype: False)
    half = frames_of(tiny, face, motion, precision="half")
    assert set(seen) == {torch.bfloat16}
    assert not same(half, full)
    assert_close(half, full, atol=0.05, rtol=0)


def test_half_precision_is_full_where_nothing_else_is_fast(tiny, monkeypatch):
    monkeypatch.setattr(render, "fastest_dtype", lambda device: torch.float32)
    face, motion = tiny.faces(), movement(tiny)
    assert same(frames_of(tiny, face, motion, precision="half"), frames_of(tiny, face, motion))


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_frames_that_half_precision_cannot_draw_are_drawn_in_full(tiny, spoil, value):
    face, motion = tiny.faces(), movement(tiny)
    full = frames_of(tiny, face, motion)
    seen = spoil(lambda dtype: dtype == torch.bfloat16, value)
    assert_close(frames_of(tiny, face, motion, precision="half"), full, atol=1e-5, rtol=0)
    assert seen == [torch.bfloat16]


@pytest.mark.parametrize("precision", ["full", "half"])
def test_frames_that_full_precision_cannot_draw_are_an_error_and_never_black(tiny, precision):
    parts = {"generator": tiny.generator, "faces": tiny.faces(), "motion": movement(tiny)}
    bias = tiny.generator.model.module.synthesis.b16.torgb.bias
    with torch.inference_mode(bias.is_inference()), torch.no_grad():
        before = bias.clone()
        bias[0] = float("nan")
    try:
        with pytest.raises(
            core.DrawingError, match="5 of 5 .* not finite, in full precision too.* overflow in the gen"
        ):
            run("LGA_SynthesizeFrames", **parts, precision=precision)
        with pytest.raises(core.DrawingError, match="1 of 1 frames .* not finite"):
            run("LGA_PreviewMotion", **parts)
    finally:
        with torch.inference_mode(bias.is_inference()), torch.no_grad():
            bias.copy_(before)


def test_a_motion_with_a_value_that_is_no_number_is_an_error_that_says_so(tiny):
    motion = movement(tiny)
    motion.offsets[0, 2, 1, 3] = float("nan")
    with pytest.raises(core.DrawingError, match="1 of 5 frames .* the cause is the face or its motion"):
        frames_of(tiny, tiny.faces(), motion)


# Preview


def test_a_preview_is_a_sheet_of_eight_frames_over_a_plot(tiny, monkeypatch):
    counts, film = [], render.video_frames

    def counting(*words, **more):
        for images in film(*words, **more):
            counts.append(len(images))
            yield images

    monkeypatch.setattr(render, "video_frames", counting)
    result = call("LGA_PreviewMotion", generator=tiny.generator, faces=tiny.faces(), motion=movement(tiny, 30))
    assert sum(counts) == 8
    (image,) = result["result"]
    assert image.shape[0] == 1 and image.shape[3] == 3
    assert image.shape[1] > 400 and image.shape[2] > 600


def test_the_preview_on_the_node_is_the_picture_that_is_given_out(tiny, here):
    result = call("LGA_PreviewMotion", generator=tiny.generator, faces=tiny.faces(2), motion=movement(tiny))
    (file,) = result["ui"]["images"]
    shown = core.load_image(here / file["type"] / file["subfolder"] / file["filename"])
    assert_close((shown.permute(0, 2, 3, 1) + 1) / 2, result["result"][0], atol=1e-6, rtol=0)
    assert file["type"] == "temp"

"""Nodes that make faces: sampled, found in pictures, blended."""

from __future__ import annotations

import logging
import re

import pytest
import torch
from pack import core, run, same
from torch.testing import assert_close


def warned(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def drawn(at, ws) -> torch.Tensor:
    """What the generator makes of faces, in 0..1."""
    with torch.no_grad():
        return ((at.generator.model.module.synthesis(ws) + 1) / 2).clamp(0, 1).permute(0, 2, 3, 1)


def test_a_batch_of_faces_is_those_of_the_seeds_that_follow_each_other(tiny):
    batch, images = run("LGA_SampleFace", generator=tiny.generator, seed=5, psi=0.8, batch_size=3)
    for index in range(3):
        face, image = run("LGA_SampleFace", generator=tiny.generator, seed=5 + index, psi=0.8)
        assert_close(batch.ws[index], face.ws[0])
        assert_close(images[index], image[0])
    assert not same(batch.ws[0], batch.ws[1])


def test_at_psi_0_every_seed_is_the_average_face(tiny):
    faces, _ = run("LGA_SampleFace", generator=tiny.generator, psi=0.0, batch_size=2)
    average = tiny.generator.model.module.w_avg
    assert_close(faces.ws, average.expand_as(faces.ws))


def test_the_largest_seed_is_a_face_too(tiny):
    faces, _ = run("LGA_SampleFace", generator=tiny.generator, seed=2**63 - 1, batch_size=2)
    assert faces.ws.isfinite().all()


def test_the_picture_of_a_face_is_what_the_generator_draws(tiny):
    faces, images = run("LGA_SampleFace", generator=tiny.generator, seed=1, batch_size=2)
    assert_close(images, drawn(tiny, faces.ws))


def test_each_demo_face_is_another_picture_of_256_pixels():
    images = [run("LGA_DemoFace", number=number)[0] for number in range(1, 7)]
    assert all(image.shape == (1, 256, 256, 3) for image in images)
    assert not any(same(a, b) for i, a in enumerate(images) for b in images[:i])


def test_an_inversion_without_refinement_is_the_encoders(tiny, pictures):
    faces, images, report = run(
        "LGA_InvertE4E", generator=tiny.generator, encoder=tiny.encoder, image=pictures, refine_steps=0
    )
    square = core.imaging.fit_square(pictures.permute(0, 3, 1, 2) * 2 - 1, 16)
    with torch.no_grad():
        assert_close(faces.ws, tiny.encoder.model.module(square))
    assert_close(images, drawn(tiny, faces.ws))
    assert report.count("Face 1: PSNR") == report.count("Face 2: PSNR") == 1


def test_refinement_brings_the_face_closer_to_a_picture_from_inside_the_executor(tiny):
    with torch.inference_mode():  # a picture as other nodes hand it over
        image = drawn(tiny, tiny.faces(1, seed=4).ws).clone()

    def distance(steps: int) -> float:
        _, found, report = run(
            "LGA_InvertE4E", generator=tiny.generator, encoder=tiny.encoder, image=image, refine_steps=steps
        )
        return (found - image).square().mean().item()

    assert distance(40) < 0.5 * distance(0)


def test_each_picture_of_a_batch_is_inverted_as_if_alone(tiny, pictures):
    both, _, _ = run("LGA_InvertE4E", generator=tiny.generator, encoder=tiny.encoder, image=pictures, refine_steps=3)
    alone, _, report = run(
        "LGA_InvertE4E", generator=tiny.generator, encoder=tiny.encoder, image=pictures[1:], refine_steps=3
    )
    assert_close(both.ws[1:], alone.ws, atol=1e-4, rtol=1e-4)
    assert report.startswith("The face: PSNR ")


def test_pictures_with_transparency_or_without_colour_can_be_inverted(tiny, pictures):
    grey = pictures[..., :1]
    for image, same_as in (
        (torch.cat([pictures, torch.ones_like(grey)], 3), pictures),
        (grey, grey.repeat(1, 1, 1, 3)),
    ):
        found, expected = (
            run("LGA_InvertE4E", generator=tiny.generator, encoder=tiny.encoder, image=given, refine_steps=0)[0].ws
            for given in (image, same_as)
        )
        assert_close(found, expected)


def test_a_drawn_face_comes_close_and_no_one_is_warned(doodle, caplog):
    caplog.set_level(logging.INFO)
    _, image, report = run(
        "LGA_InvertE4E",
        generator=doodle.generator,
        encoder=doodle.encoder,
        image=run("LGA_DemoFace", number=2)[0],
        refine_steps=1,
    )
    decibels, share = map(float, re.findall(r"PSNR ([0-9.]+) dB; ([0-9.]+)% of", report)[0])
    assert decibels > 25
    assert share > 90
    assert image.shape == (1, 128, 128, 3)
    assert not warned(caplog)
    assert report in caplog.messages


def test_a_picture_that_is_no_face_is_called_poor_once_in_the_report_and_in_a_warning(doodle, caplog):
    noise = torch.rand(1, 40, 40, 3, generator=torch.Generator().manual_seed(0))
    report = run("LGA_InvertE4E", generator=doodle.generator, encoder=doodle.encoder, image=noise, refine_steps=0)[2]
    assert report.count("poor") == 1
    assert warned(caplog) == [report]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_picture_with_values_that_are_no_numbers_is_refused(tiny, pictures, value):
    pictures[1, 3, 4, 0] = value
    with pytest.raises(core.InputError, match="not numbers"):
        run("LGA_InvertE4E", generator=tiny.generator, encoder=tiny.encoder, image=pictures)


@pytest.mark.parametrize("amount", [-0.5, 0.0, 0.25, 1.0])
def test_a_blend_lies_on_the_line_between_two_faces(tiny, amount):
    a, b = tiny.faces(2), tiny.faces(2, seed=7)
    (faces,) = run("LGA_BlendFaces", faces_a=a, faces_b=b, amount=amount)
    assert_close(faces.ws, a.ws + amount * (b.ws - a.ws))
    assert faces.generator == a.generator


@pytest.mark.parametrize(("layers", "rows"), [("coarse", range(4)), ("middle", range(4, 6))])
def test_layers_of_one_face_are_put_into_the_other(tiny, layers, rows):
    a, b = tiny.faces(2), tiny.faces(1, seed=7)
    (faces,) = run("LGA_BlendFaces", faces_a=a, faces_b=b, amount=1.0, layers=layers)
    for row in range(6):
        expected = b.ws[:, row].expand(2, -1) if row in rows else a.ws[:, row]
        assert_close(faces.ws[:, row], expected)


def test_layers_that_the_generator_does_not_have_are_refused(tiny):
    with pytest.raises(core.InputError, match="fine"):
        run("LGA_BlendFaces", faces_a=tiny.faces(), faces_b=tiny.faces(seed=7), layers="fine")

"""Inversion: the encoder's code, refined by steps, with the scores of both and a report that says what is poor."""

import pytest
import torch
from factories import tiny_generator_config
from torch.testing import assert_close

from lga_core import Encoder, Generator, InputError, refine
from lga_core.inversion.encoder import EncoderConfig, ReconstructionScore, reconstruction_score
from lga_core.inversion.encoder_inversion import Inversion, invert
from lga_core.rendering import draw


@pytest.fixture(scope="module")
def generator() -> Generator:
    config = tiny_generator_config()
    return Generator(config, 3).double().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    sizes = {"widths": (4, 4, 4, 4), "units": (1, 1, 1, 1), "heads": "dense", "dense_hidden": 8}
    return Encoder(EncoderConfig(6, 8, 32, **sizes), 1).double().eval().requires_grad_(False)


@pytest.fixture
def images(generator, rng):
    return draw(generator, generator.broadcast(rng.randn(2, 8)))


def test_without_steps_it_is_the_encoders_code(generator, encoder, images):
    found = invert(generator, encoder, images, steps=0)
    assert_close(found.ws, encoder(images))
    assert_close(found.score.explained, found.encoder_score.explained)


def test_each_code_is_the_encoders_refined_as_if_it_were_alone(generator, encoder, images):
    found = invert(generator, encoder, images, steps=3)
    for i in range(2):
        alone = images[i : i + 1]
        assert_close(found.ws[i : i + 1], refine(generator, encoder(alone), alone, 3))


def test_scores_are_of_the_first_and_of_the_refined_code_against_the_average_face(generator, encoder, images):
    found = invert(generator, encoder, images, steps=5)
    average = draw(generator, generator.broadcast(generator.w_avg[None]))
    for ws, score in ((encoder(images), found.encoder_score), (found.ws, found.score)):
        expected = reconstruction_score(images, draw(generator, ws), average)
        assert_close(score.decibels, expected.decibels)
        assert_close(score.explained, expected.explained)
    assert (found.score.decibels > found.encoder_score.decibels).all()


def test_every_step_is_told_with_the_reconstruction_so_far(generator, encoder, images):
    told = []
    invert(generator, encoder, images, steps=2, on_step=lambda done, drawn: told.append((done, drawn)))
    assert [done for done, _ in told] == [0, 1, 2, 0, 1, 2]
    assert_close(told[3][1], draw(generator, encoder(images[1:])))


def test_an_image_of_another_size_is_refused(generator, encoder):
    with pytest.raises(InputError, match="16"):
        invert(generator, encoder, torch.zeros(1, 3, 32, 32, dtype=torch.float64))


def test_the_report_has_a_line_for_each_face_and_a_warning_for_an_unlike_image():
    first, now = torch.tensor([0.97, 0.33]), torch.tensor([0.99, 0.5])
    decibels = torch.tensor([31.0, 9.0])
    scores = (ReconstructionScore(decibels, explained) for explained in (first, now))
    found = Inversion(torch.zeros(2, 6, 8), *scores)
    assert found.unlike.tolist() == [False, True]
    lines = str(found).splitlines()
    assert lines[0].startswith("Face 1: PSNR 31.0 dB; 99.0% of")
    assert lines[1].startswith("Face 2: PSNR 9.0 dB; 50.0% of")
    assert "The encoder alone reproduces 33%, which is poor" in lines[2] and len(lines) == 3


def test_one_face_has_no_number_and_no_share_below_nothing():
    score = ReconstructionScore(torch.tensor([3.0]), torch.tensor([-0.5]))
    assert str(Inversion(torch.zeros(1, 6, 8), score, score)).startswith("The face: PSNR 3.0 dB; 0.0% of")

"""Refining an inversion: closer to the picture, each face by itself, the generator untouched."""

import pytest
import torch
from factories import tiny_generator_config
from torch.testing import assert_close

from lga_core import Generator, InputError, refine
from lga_core.inversion.encoder import reconstruction_score
from lga_core.inversion.optimization import LONG_RUN_REGULARIZER, LatentRegularizer
from lga_core.metrics.perceptual import EdgeDistance
from lga_core.stylegan2.pca import random_w, whitening


@pytest.fixture
def generator() -> Generator:
    model = Generator(tiny_generator_config(), seed=4).double()
    return model.eval().requires_grad_(False)


def faces(rng, generator: Generator, n: int):
    return generator.broadcast(rng.randn(n, 8)).clone()


def error(generator, ws, pictures):
    return (generator.synthesis(ws) - pictures).square().mean(dim=(1, 2, 3))


def test_refining_comes_closer_and_leaves_the_generator_and_the_start_alone(rng, generator):
    ws = faces(rng, generator, 3)
    pictures = generator.synthesis(ws)
    start = ws + 0.2 * rng.randn(*ws.shape)
    before, kept = {k: v.clone() for k, v in generator.state_dict().items()}, start.clone()
    refined = refine(generator, start, pictures, steps=30)
    assert (error(generator, refined, pictures) < 0.5 * error(generator, start, pictures)).all()
    assert torch.equal(start, kept)
    assert all(torch.equal(before[key], value) for key, value in generator.state_dict().items())
    assert not refined.requires_grad


def test_each_face_is_refined_as_if_alone(rng, generator):
    ws = faces(rng, generator, 2)
    pictures = generator.synthesis(ws + 0.3 * rng.randn(*ws.shape))
    together = refine(generator, ws, pictures, steps=5)
    assert_close(together[1:], refine(generator, ws[1:], pictures[1:], steps=5), atol=1e-9, rtol=1e-9)


def test_no_steps_change_nothing(rng, generator):
    ws = faces(rng, generator, 1)
    assert torch.equal(refine(generator, ws, generator.synthesis(ws), steps=0), ws)


def test_pictures_of_another_size_are_refused(rng, generator):
    with pytest.raises(InputError, match=r"need \[\d+, 3, 16, 16\]"):
        refine(generator, faces(rng, generator, 1), rng.randn(1, 3, 8, 8))


def test_it_works_where_gradients_are_switched_off(rng, generator):
    ws = faces(rng, generator, 1)
    with torch.no_grad():
        refined = refine(generator, ws, generator.synthesis(ws + 0.1), steps=3)
    assert not torch.equal(refined, ws)


def test_each_step_hands_over_the_faces_as_they_were_drawn(rng, generator):
    ws = faces(rng, generator, 2)
    pictures = generator.synthesis(ws + 0.3 * rng.randn(*ws.shape))
    seen = []
    refined = refine(generator, ws, pictures, steps=4, on_step=lambda done, drawn: seen.append((done, drawn)))
    assert [done for done, _ in seen] == [1, 2, 3, 4]
    assert_close(seen[0][1], generator.synthesis(ws))
    assert not any(drawn.requires_grad for _, drawn in seen)
    assert_close(refined, refine(generator, ws, pictures, steps=4))
    shorter = refine(generator, ws, pictures, steps=3)
    assert_close(seen[3][1], generator.synthesis(shorter))


def test_what_a_step_raises_stops_the_refinement(rng, generator):
    def stop(done, drawn):
        if done == 2:
            raise KeyboardInterrupt
        assert done < 2

    ws = faces(rng, generator, 1)
    with pytest.raises(KeyboardInterrupt):
        refine(generator, ws, generator.synthesis(ws + 0.1), steps=50, on_step=stop)


def test_nothing_is_held_back_unless_it_is_asked_for(rng, generator):
    ws = faces(rng, generator, 1)
    pictures = generator.synthesis(ws + 0.3 * rng.randn(*ws.shape))
    assert torch.equal(
        refine(generator, ws, pictures), refine(generator, ws, pictures, 20, regularizer=LatentRegularizer())
    )


def test_a_pull_to_the_encoder_s_code_keeps_near_it(rng, generator):
    ws = faces(rng, generator, 2)
    pictures = generator.synthesis(ws + rng.randn(*ws.shape))
    moved = [
        (refine(generator, ws, pictures, 60, regularizer=regularizer) - ws).square().mean(dim=(1, 2))
        for regularizer in (None, LONG_RUN_REGULARIZER, LatentRegularizer(encoder=1.0))
    ]
    assert (moved[2] < 0.5 * moved[0]).all() and (moved[1] < moved[0]).all()


def test_a_pull_to_the_average_keeps_codes_where_faces_lie(rng, generator):
    ws = faces(rng, generator, 2)
    pictures, white = (
        generator.synthesis(ws + 2 * rng.randn(*ws.shape)),
        whitening(random_w(generator, 2000, torch.Generator().manual_seed(0))),
    )
    strange = [
        ((refine(generator, ws, pictures, 60, regularizer=regularizer) - generator.w_avg) @ white)
        .square()
        .mean(dim=(1, 2))
        for regularizer in (None, LatentRegularizer(average=0.3))
    ]
    assert (strange[1] < 0.7 * strange[0]).all()


def test_whitened_faces_vary_alike_in_every_direction(rng):
    w = rng.randn(4000, 5) * torch.tensor([1.0, 2, 3, 4, 5]) @ torch.linalg.qr(rng.randn(5, 5)).Q
    assert_close(torch.cov((w @ whitening(w)).T), torch.eye(5, dtype=torch.float64), atol=0.12, rtol=0)


def test_a_direction_in_which_faces_never_vary_is_whitened_to_a_finite_length(rng):
    w = rng.randn(1000, 5) * torch.tensor([1.0, 1, 1, 1, 0])
    assert whitening(w).isfinite().all() and whitening(w)[4, 4] == pytest.approx(10, rel=0.1)


def test_a_perceptual_pull_comes_closer_by_that_distance(rng, generator):
    ws, distance = faces(rng, generator, 2), EdgeDistance()
    pictures = generator.synthesis(ws + rng.randn(*ws.shape))
    far = [
        distance.each(generator.synthesis(refine(generator, ws, pictures, 40, regularizer=regularizer)), pictures)
        for regularizer in (None, LatentRegularizer(perceptual=10.0, distance=distance))
    ]
    assert (far[1] < far[0]).all()
    with pytest.raises(InputError, match="no distance"):
        LatentRegularizer(perceptual=1.0)


def test_each_face_is_pulled_as_if_alone(rng, generator):
    ws = faces(rng, generator, 2)
    pictures = generator.synthesis(ws + 0.3 * rng.randn(*ws.shape))
    regularizer = LatentRegularizer(0.1, 0.1, 0.1, EdgeDistance())
    together = refine(generator, ws, pictures, steps=5, regularizer=regularizer)
    assert_close(
        together[1:], refine(generator, ws[1:], pictures[1:], steps=5, regularizer=regularizer), atol=1e-9, rtol=1e-9
    )


def test_closeness_is_the_signal_to_noise_ratio_and_the_share_explained(rng):
    images, drawn, average = (0.5 * rng.randn(n, 3, 4, 4).clamp(-1, 1) for n in (2, 2, 1))
    found = reconstruction_score(images, drawn, average)
    for index in range(2):
        left = ((images[index] - drawn[index]) / 2).square().mean()
        whole = ((images[index] - average[0]) / 2).square().mean()
        assert_close(found.decibels[index], -10 * left.log10())
        assert_close(found.explained[index], 1 - left / whole)


def test_closeness_is_finite_from_the_same_picture_to_the_average_face(rng):
    images, average = 0.3 * rng.rand(2, 3, 4, 4), -0.3 * rng.rand(1, 3, 4, 4)
    same, mean = (
        reconstruction_score(images, images, average),
        reconstruction_score(images, average.expand(2, -1, -1, -1), average),
    )
    assert_close(same.decibels, torch.full((2,), 100.0, dtype=torch.float64))
    assert_close(same.explained, torch.ones(2, dtype=torch.float64), atol=1e-6, rtol=0)
    assert_close(mean.explained, torch.zeros(2, dtype=torch.float64))
    assert reconstruction_score(average, average, average).explained.isfinite().all()


def test_closeness_compares_what_a_screen_shows(rng):
    images, average = rng.randn(1, 3, 4, 4).sign(), torch.zeros(1, 3, 4, 4, dtype=torch.float64)
    assert_close(
        reconstruction_score(images, 3 * images, average).decibels,
        reconstruction_score(images, images, average).decibels,
    )

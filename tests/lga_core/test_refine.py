"""Refining an inversion: closer to the picture, each face by itself, the generator untouched."""

import pytest
import torch
from torch.testing import assert_close

from lga_core import Generator, GeneratorConfig, InputError, refine


@pytest.fixture
def generator() -> Generator:
    model = Generator(GeneratorConfig(16, w_dim=8, z_dim=8, channel_base=64, channel_max=8), seed=4).double()
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
    with pytest.raises(InputError, match=r"\[3, 16, 16\]"):
        refine(generator, faces(rng, generator, 1), rng.randn(1, 3, 8, 8))


def test_it_works_where_gradients_are_switched_off(rng, generator):
    ws = faces(rng, generator, 1)
    with torch.no_grad():
        refined = refine(generator, ws, generator.synthesis(ws + 0.1), steps=3)
    assert not torch.equal(refined, ws)

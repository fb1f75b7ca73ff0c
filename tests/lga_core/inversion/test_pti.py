"""Pivotal tuning: closer to the picture, the generator that was given as it was, and faults said in words."""

import pytest
import torch
from factories import tiny_generator_config
from torch.testing import assert_close

from lga_core import DrawingError, Generator, InputError, tune
from lga_core.formats.fingerprints import fingerprint
from lga_core.inversion.pti import LocalityPenalty, LocalityRegularizer
from lga_core.metrics.perceptual import EdgeDistance
from lga_core.rendering import draw
from lga_core.stylegan2.inference.engine import prepared

DISTANCE = EdgeDistance()


@pytest.fixture
def generator() -> Generator:
    model = Generator(tiny_generator_config(), seed=4).double()
    return model.eval().requires_grad_(False)


def faces(rng, generator: Generator, n: int = 1):
    return generator.broadcast(rng.randn(n, 8)).clone()


def pictures_beside(rng, generator: Generator, ws, amount: float = 0.3):
    return generator.synthesis(ws + amount * rng.randn(*ws.shape))


def far(generator, ws, pictures):
    return DISTANCE.each(generator.synthesis(ws), pictures)


def test_tuning_comes_closer_and_leaves_the_given_generator_as_it_was(rng, generator):
    ws = faces(rng, generator, 2)
    pictures, drawn, before = pictures_beside(rng, generator, ws), draw(generator, ws), fingerprint(generator)
    tuned = tune(generator, ws, pictures, DISTANCE, steps=60, stop=0, lr=3e-3)
    assert (far(tuned, ws, pictures) < 0.6 * far(generator, ws, pictures)).all()
    assert fingerprint(generator) == before != fingerprint(tuned)
    assert torch.equal(draw(generator, ws), drawn)
    assert not any(weight.requires_grad for model in (generator, tuned) for weight in model.parameters())
    assert not tuned.training


def test_the_tuned_generator_draws_by_an_engine_of_its_own(rng, generator):
    ws = faces(rng, generator)
    pictures, before = pictures_beside(rng, generator, ws), draw(generator, ws)
    tuned = tune(generator, ws, pictures, DISTANCE, steps=5, stop=0)
    assert_close(draw(tuned, ws), tuned.synthesis(ws))
    assert not torch.allclose(draw(tuned, ws), before, atol=1e-4)
    assert prepared(tuned) is not prepared(generator)


def test_mapping_and_noise_are_not_tuned(rng, generator):
    ws = faces(rng, generator)
    tuned = tune(generator, ws, pictures_beside(rng, generator, ws), DISTANCE, steps=3, stop=0).state_dict()
    same = {name for name, tensor in generator.state_dict().items() if torch.equal(tensor, tuned[name])}
    assert {name for name in tuned if name.startswith("mapping.") or name.endswith("noise_const")} <= same
    assert "synthesis.b16.conv1.weight" not in same


def test_it_stops_as_soon_as_the_farthest_face_is_close_enough(rng, generator):
    ws = faces(rng, generator, 2)
    pictures, seen = pictures_beside(rng, generator, ws), []
    stop = 0.8 * far(generator, ws, pictures).max().item()
    tuned = tune(generator, ws, pictures, DISTANCE, 200, stop, 3e-3, on_step=lambda *step: seen.append(step))
    assert 0 < len(seen) < 200
    assert far(tuned, ws, pictures).max() <= stop < seen[-1][2].max()


def test_no_steps_give_a_copy(rng, generator):
    ws = faces(rng, generator)
    for steps, stop in ((0, 0.0), (5, 1e9)):
        tuned = tune(generator, ws, generator.synthesis(ws), DISTANCE, steps, stop)
        assert tuned is not generator and fingerprint(tuned) == fingerprint(generator)


def test_each_step_hands_over_the_faces_as_they_were_drawn_and_their_distances(rng, generator):
    ws, seen = faces(rng, generator, 2), []
    pictures = pictures_beside(rng, generator, ws)
    tune(generator, ws, pictures, DISTANCE, steps=3, stop=0, on_step=lambda *step: seen.append(step))
    assert [done for done, _, _ in seen] == [1, 2, 3]
    assert_close(seen[0][1], generator.synthesis(ws))
    assert_close(seen[0][2], far(generator, ws, pictures))
    assert not any(tensor.requires_grad for step in seen for tensor in step[1:])


def test_what_a_step_raises_stops_the_tuning_and_nothing_has_changed(rng, generator):
    def stop(done, drawn, distances):
        assert done < 3
        if done == 2:
            raise KeyboardInterrupt

    ws, before = faces(rng, generator), fingerprint(generator)
    with pytest.raises(KeyboardInterrupt):
        tune(generator, ws, pictures_beside(rng, generator, ws), DISTANCE, stop=0, on_step=stop)
    assert fingerprint(generator) == before


def test_only_the_layers_that_are_named_are_tuned(rng, generator):
    ws = faces(rng, generator)
    tuned = tune(generator, ws, pictures_beside(rng, generator, ws), DISTANCE, 3, 0, layers=[8, 16]).state_dict()
    changed = {name for name, tensor in generator.state_dict().items() if not torch.equal(tensor, tuned[name])}
    assert changed and all(name.startswith(("synthesis.b8.", "synthesis.b16.")) for name in changed)
    for wrong in ([32], []):
        with pytest.raises(InputError, match="4, 8, 16"):
            tune(generator, ws, generator.synthesis(ws), DISTANCE, layers=wrong)


def test_locality_holds_faces_near_by_still(rng, generator):
    ws = faces(rng, generator)
    held = LocalityPenalty(generator, ws, DISTANCE, LocalityRegularizer(alpha=5, seed=100))
    near = torch.cat([held.near() for _ in range(8)])
    pictures, before, changes = pictures_beside(rng, generator, ws), generator.synthesis(near), []
    for locality in (None, LocalityRegularizer(alpha=5, l2=30, perceptual=0)):
        tuned = tune(generator, ws, pictures, DISTANCE, 20, 0, 3e-3, locality=locality)
        changes.append((tuned.synthesis(near) - before).square().mean())
    assert changes[1] < 0.8 * changes[0]


def test_the_face_that_locality_holds_lies_at_alpha_from_a_pivot_towards_a_sample(rng, generator):
    ws = faces(rng, generator, 2)
    held = LocalityPenalty(generator, ws, DISTANCE, LocalityRegularizer(alpha=5, psi=0.5, seed=7))
    for pivot, seed in ((ws[0], 8), (ws[1], 9), (ws[0], 10)):
        way, target = held.near()[0] - pivot, generator.sample([seed], 0.5)[0].double() - pivot
        assert_close(way, 5 * target / target.norm())


def test_nothing_is_held_against_an_unchanged_generator(rng, generator):
    assert LocalityPenalty(generator, faces(rng, generator), DISTANCE, LocalityRegularizer())(generator) == 0


def test_it_works_in_inference_mode(rng, generator):
    with torch.inference_mode():
        ws = faces(rng, generator)
        tuned = tune(generator, ws, pictures_beside(rng, generator, ws), DISTANCE, 2, 0, locality=LocalityRegularizer())
    assert fingerprint(tuned) != fingerprint(generator)


def test_numbers_that_run_away_are_said_in_words(rng, generator):
    ws = faces(rng, generator)
    with pytest.raises(DrawingError, match="diverged: after [1-9].* smaller learning rate"):
        tune(generator, ws, pictures_beside(rng, generator, ws), DISTANCE, 20, 0, lr=1e200)
    with pytest.raises(DrawingError, match="after 0 steps .* another image"):
        tune(generator, ws, torch.full_like(generator.synthesis(ws), torch.nan), DISTANCE, 20, 0)


def test_too_little_memory_is_said_in_words_and_other_faults_are_passed_on(rng, generator):
    def failing(fault):
        def raising(*_):
            raise fault

        return raising

    ws = faces(rng, generator)
    for fault in (torch.cuda.OutOfMemoryError("CUDA"), MemoryError(), RuntimeError("can't allocate memory: 9 bytes")):
        with pytest.raises(DrawingError, match="16 px generator.* fewer layers.* Nothing was changed"):
            tune(generator, ws, generator.synthesis(ws), DISTANCE, stop=-1, on_step=failing(fault))
    with pytest.raises(RuntimeError, match="else"):
        tune(generator, ws, generator.synthesis(ws), DISTANCE, stop=-1, on_step=failing(RuntimeError("else")))


def test_pictures_of_another_size_are_refused(rng, generator):
    with pytest.raises(InputError, match=r"need \[\d+, 3, 16, 16\]"):
        tune(generator, faces(rng, generator), rng.randn(1, 3, 8, 8), DISTANCE)

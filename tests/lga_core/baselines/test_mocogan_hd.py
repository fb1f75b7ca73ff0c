"""Motion without words: MoCoGAN-HD's motion generator, principal directions of W, and wandering along them."""

import pytest
import torch
from factories import tiny_generator_config
from torch.testing import assert_close

from lga_core import CheckpointError, Generator, InputError, MismatchError, convert, inspect
from lga_core.baselines.mocogan_hd import MocoganConfig, MocoganMotion, reconstruction_loss
from lga_core.baselines.random_walk import STEP_SIZE, random_motion, smooth_noise
from lga_core.checkpoints.models import load_mocogan, save_mocogan
from lga_core.stylegan2.pca import CHUNK, PrincipalComponents, principal_components

SMALL = MocoganConfig(8, hidden_dim=6, num_directions=5)


@pytest.fixture(scope="module")
def generator() -> Generator:
    return Generator(tiny_generator_config(), 3).eval()


@pytest.fixture(scope="module")
def pca(generator) -> PrincipalComponents:
    return principal_components(generator, 3000)


@pytest.fixture(scope="module")
def model() -> MocoganMotion:
    return MocoganMotion(SMALL, seed=1).eval().requires_grad_(False)


# The motion generator


def test_a_motion_begins_at_the_face_and_is_the_same_in_all_rows(generator, model, pca):
    motion = model(generator.sample([0, 1]), pca, 7)
    assert motion.shape == (2, 7, 6, 8) and not motion[:, 0].any()
    assert torch.equal(motion, motion[:, :, :1].expand_as(motion))
    assert motion[:, 1:].abs().amax(dim=(2, 3)).min() > 0


def test_no_step_is_longer_than_it_may_be_in_any_direction(generator, model, pca):
    steps = model(generator.sample([0]), pca, 20)[:, :, 0].diff(dim=1) @ pca.components.T
    assert (steps.abs() <= 0.2 * pca.deviations + 1e-5).all()
    assert steps[..., SMALL.num_directions :].abs().max() < 1e-5


def test_a_seed_gives_the_same_motion_and_another_gives_another(generator, model, pca):
    ws = generator.sample([0])
    assert torch.equal(model(ws, pca, 5, seed=3), model(ws, pca, 5, seed=3))
    assert not torch.equal(model(ws, pca, 5, seed=3), model(ws, pca, 5, seed=4))


def test_one_frame_is_the_still_face_and_none_are_refused(generator, model, pca):
    assert not model(generator.sample([0]), pca, 1).any()
    with pytest.raises(InputError, match="num_frames is 0"):
        model(generator.sample([0]), pca, 0)


def test_directions_of_another_generator_are_refused(generator, model, pca):
    few = PrincipalComponents(pca.components[:3], pca.deviations[:3])
    with pytest.raises(MismatchError, match="3 principal components of width 8.* needs 5 of width 8"):
        model(generator.sample([0]), few)


def test_it_begins_with_orthogonal_gates_and_no_bias(model):
    gates = model.cell.weight_hh.chunk(4)
    for gate in gates:
        assert_close(gate @ gate.T, torch.eye(6), atol=1e-5, rtol=0)
    assert not model.start.bias_ih.any() and not model.directions.bias.any()
    assert not torch.equal(model.start.weight_hh, model.cell.weight_hh)


def test_noise_that_is_told_exactly_has_the_least_loss(rng):
    noise = rng.randn(2, 3, 8)
    assert_close(reconstruction_loss(2 * noise, noise), torch.tensor(-1.0, dtype=torch.float64))


def test_a_saved_motion_generator_moves_as_before(generator, model, pca, tmp_path):
    save_mocogan(tmp_path / "m.safetensors", model)
    loaded, ws = load_mocogan(tmp_path / "m.safetensors"), generator.sample([0])
    assert loaded.config == SMALL and torch.equal(loaded(ws, pca), model(ws, pca))


def published(model: MocoganMotion) -> dict:
    """Its tensors by the names of the published code."""
    names = {"start.": "enc_cell.", "reconstruct.0": "fc1", "reconstruct.2": "fc2"}
    names |= {"directions.weight": "w", "directions.bias": "b"}
    state = {}
    for name, tensor in model.state_dict().items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs) if name.startswith(ours) else name
        state[name] = tensor
    return state


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_published_file_opens(generator, model, pca, prefix, wrapped, tmp_path):
    state = {prefix + name: tensor for name, tensor in published(model).items()}
    torch.save({"state_dict": state} if wrapped else state, tmp_path / "modelR_epoch_12.pth")
    (described,) = inspect(tmp_path / "modelR_epoch_12.pth")["models"]
    assert described["kind"] == "mocogan" and described["licence"]["non_commercial"]
    (file,) = convert(tmp_path / "modelR_epoch_12.pth")
    ws = generator.sample([0])
    assert torch.equal(load_mocogan(file)(ws, pca), model(ws, pca))


def test_a_damaged_file_is_refused_by_name(model, tmp_path):
    for wrong in ({"fc2.bias": torch.zeros(3)}, {"w": torch.zeros(6)}, {"w": torch.zeros(6, 9)}):
        torch.save({**published(model), **wrong}, tmp_path / "m.pth")
        with pytest.raises(CheckpointError, match="m.pth"):
            convert(tmp_path / "m.pth")


# Principal directions


def test_directions_and_deviations_are_those_of_the_faces(generator):
    found = principal_components(generator, CHUNK + 500)
    rng = torch.Generator().manual_seed(0)
    w = torch.cat([generator.mapping(torch.randn(n, 8, generator=rng)) for n in (CHUNK, 500)]).detach()
    assert_close(found.components @ torch.cov(w.T) @ found.components.T, found.deviations.square().diag(), **NEAR)
    assert_close(found.components @ found.components.T, torch.eye(8), atol=1e-5, rtol=0)
    assert (found.deviations.diff() <= 0).all()


NEAR = {"atol": 1e-5, "rtol": 1e-3}


def test_directions_of_a_generator_with_labels_are_found():
    labelled = Generator(tiny_generator_config(8, channel_base=64, c_dim=3)).eval()
    assert principal_components(labelled, 100).directions.isfinite().all()


def test_kept_directions_are_found_once_for_each_generator(generator, tmp_path):
    steps = []
    first = principal_components(generator, 50, tmp_path, lambda done, total: steps.append((done, total)))
    again = principal_components(generator, 50, tmp_path, lambda done, total: steps.append((done, total)))
    assert steps == [(50, 50)] and torch.equal(first.directions, again.directions)
    principal_components(Generator(generator.config, 9), 50, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_what_a_step_raises_stops_and_nothing_is_kept(generator, tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        principal_components(generator, 50, tmp_path, stop)
    assert not list(tmp_path.iterdir())


def test_kept_directions_that_are_damaged_are_refused(generator, tmp_path):
    principal_components(generator, 50, tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"x" * 100)
    with pytest.raises(CheckpointError, match="principal_"):
        principal_components(generator, 50, tmp_path)


# Wandering


def test_wandering_begins_at_the_face_and_each_face_goes_its_own_way(generator, pca):
    ws = generator.sample([0, 1])
    motion = random_motion(ws, pca, 9)
    assert motion.shape == (2, 9, 6, 8) and not motion[:, 0].any()
    assert not torch.equal(motion[0], motion[1])
    assert torch.equal(motion, random_motion(ws, pca, 9))
    assert not torch.equal(motion, random_motion(ws, pca, 9, seed=1))


def test_steps_keep_within_their_length_and_their_directions(generator, pca):
    motion = random_motion(generator.sample([0]), pca, 30, strength=0.5, num_directions=3)
    steps = motion[:, :, 0].diff(dim=1) @ pca.components.T
    assert (steps.abs() <= 0.5 * STEP_SIZE * pca.deviations + 1e-5).all()
    assert steps[..., 3:].abs().max() < 1e-5


def test_a_smoother_motion_turns_less(generator, pca):
    turns = []
    for smoothness in (0.0, 2.0, 8.0):
        motion = random_motion(generator.sample([0]), pca, 60, smoothness=smoothness)[:, :, 0]
        turns.append(float(motion.diff(n=2, dim=1).norm() / motion.diff(dim=1).norm()))
    assert turns[0] > 2 * turns[1] > 4 * turns[2]


def test_smoothed_noise_has_unit_variance():
    for smoothness in (0.0, 1.0, 5.0):
        noise = smooth_noise(4, 500, 50, smoothness, torch.Generator().manual_seed(0))
        assert noise.shape == (4, 500, 50) and abs(float(noise.std()) - 1) < 0.05


def test_one_frame_is_still_and_impossible_numbers_are_refused(generator, pca):
    ws = generator.sample([0])
    assert not random_motion(ws, pca, 1).any()
    for wrong in ({"num_frames": 0}, {"strength": float("inf")}, {"smoothness": -1.0}, {"num_directions": 0}):
        with pytest.raises(InputError):
            random_motion(ws, pca, **wrong)

"""Difference files: what changed and no more, there and back, for one generator only, and nothing else is read."""

import pytest
import torch
from factories import tiny_generator_config
from torch.testing import assert_close

from lga_core import CheckpointError, Generator, GeneratorConfig, InputError, MismatchError, Movement, tune
from lga_core.checkpoints.models import save_generator
from lga_core.formats.fingerprints import fingerprint
from lga_core.formats.native import load_checkpoint, save_checkpoint
from lga_core.inversion.weight_delta import (
    WeightDelta,
    changed_weights,
    load_weight_delta,
    save_weight_delta,
    weight_delta_of,
)
from lga_core.latents import ModelId
from lga_core.metrics.perceptual import EdgeDistance
from lga_core.rendering import draw
from lga_core.stylegan2.inference.engine import prepared

CONFIG = tiny_generator_config()


def made(seed: int) -> Generator:
    return Generator(CONFIG, seed).eval().requires_grad_(False)


@pytest.fixture
def base() -> Generator:
    return made(4)


@pytest.fixture
def ws(base, rng):
    return base.broadcast(rng.randn(2, 8).float()).clone()


@pytest.fixture
def tuned(base, ws, rng) -> Generator:
    pictures = base.synthesis(ws + 0.3 * rng.randn(*ws.shape).float())
    return tune(base, ws, pictures, EdgeDistance(), steps=10, stop=0, lr=3e-3, layers=[16])


@pytest.fixture
def found(base, tuned, ws) -> WeightDelta:
    return weight_delta_of(base, tuned, ws, "tiny")


def test_only_what_changed_is_in_it_in_half_precision(base, tuned):
    changed = changed_weights(base, tuned)
    assert changed and all(name.startswith("synthesis.b16.") for name in changed)
    assert not any(name.endswith("noise_const") for name in changed)
    assert all(part.dtype == torch.float16 for part in changed.values())
    assert changed_weights(base, base) == {}


def test_a_file_brings_the_tuned_generator_and_its_faces_back(base, tuned, ws, found, tmp_path):
    save_weight_delta(tmp_path / "me.safetensors", found, licence="mine")
    read = load_weight_delta(tmp_path / "me.safetensors")
    again = read.applied_to(base)
    assert_close(again.synthesis(ws), tuned.synthesis(ws), atol=1e-4, rtol=0)
    assert (base.synthesis(ws) - tuned.synthesis(ws)).abs().max() > 0.01
    assert_close(read.faces.ws, ws, atol=2e-3, rtol=1e-3)
    assert read.base == read.faces.generator == ModelId(fingerprint(base), "tiny")
    assert load_checkpoint(tmp_path / "me.safetensors", "difference").metadata["licence"] == "mine"


def test_a_file_of_one_layer_is_far_smaller_than_its_generator(ws, tmp_path):
    big = Generator(GeneratorConfig(16, w_dim=8, z_dim=8, channel_base=1024, channel_max=128), 1)
    changed = tune(big, ws, big.synthesis(ws).detach() + 0.1, EdgeDistance(), steps=1, stop=0, layers=[16])
    save_generator(tmp_path / "generator.safetensors", big, half=True)
    save_weight_delta(tmp_path / "difference.safetensors", weight_delta_of(big, changed, ws, "big"))
    sizes = [(tmp_path / name).stat().st_size for name in ("difference.safetensors", "generator.safetensors")]
    assert sizes[0] < 0.5 * sizes[1]


def test_strength_lies_between_the_base_and_all_of_it(base, found, ws):
    name = "synthesis.b16.conv1.weight"
    start, part = base.state_dict()[name], found.tensors[name].float()
    for strength in (-1.0, 0.5, 2.0):
        assert_close(found.applied_to(base, strength).state_dict()[name], start + strength * part)
    assert torch.equal(draw(found.applied_to(base, 0), ws), draw(base, ws))
    with pytest.raises(InputError, match="strength of the weight delta is nan"):
        found.applied_to(base, float("nan"))


def test_unchanged_weights_are_shared_and_the_base_stays_as_it_is(base, found, ws):
    before, drawn = fingerprint(base), draw(base, ws)
    ours, theirs = base.state_dict(), found.applied_to(base).state_dict()
    shared = {name for name in ours if ours[name].data_ptr() == theirs[name].data_ptr()}
    assert shared == ours.keys() - found.tensors.keys()
    assert fingerprint(base) == before
    assert torch.equal(draw(base, ws), drawn)


def test_the_tuned_generator_is_another_one_but_draws_faces_and_motions_of_the_base(base, found):
    again = found.applied_to(base)
    assert fingerprint(again) != fingerprint(base)
    assert torch.equal(draw(again, found.faces.ws), prepared(again, torch.float32)(found.faces.ws))
    assert not torch.allclose(draw(again, found.faces.ws), draw(base, found.faces.ws), atol=1e-3)
    owner = ModelId(fingerprint(base), "anything")
    found.faces.check_drawable(owner, again.num_ws)
    Movement(torch.zeros(1, 4, *found.faces.ws.shape[1:]), owner).check_fits(found.faces)


def test_it_can_be_applied_in_inference_mode_and_tuned_on(base, found, ws):
    with torch.inference_mode():
        again = found.applied_to(base)
    assert fingerprint(tune(again, ws, again.synthesis(ws) + 0.1, EdgeDistance(), 2, 0)) != fingerprint(again)


def test_another_generator_is_refused_by_name(base, found):
    with pytest.raises(MismatchError, match=rf"made for the generator 'tiny' \({fingerprint(base)}\), but"):
        found.applied_to(made(5))
    with pytest.raises(MismatchError, match="not the base's own: synthesis"):
        changed_weights(base, Generator(tiny_generator_config(channel_base=32)))
    with pytest.raises(MismatchError, match="does not fit its generator: it has a weight nonsense"):
        WeightDelta({"nonsense": torch.zeros(1)}, found.faces, found.base).applied_to(base)
    with pytest.raises(MismatchError, match=r"has shape \[1\] instead of"):
        WeightDelta({"synthesis.b16.conv1.bias": torch.zeros(1)}, found.faces, found.base).applied_to(base)


OWNER = {"generator_fingerprint": "0123456789abcdef", "generator": "tiny"}
SIZES = {"num_ws": 6, "w_dim": 8}
WHOLE = {"faces": torch.zeros(1, 6, 8), "difference.synthesis.b16.conv1.bias": torch.zeros(4)}
HOSTILE = {
    "no faces": ({"difference.a": torch.zeros(1)}, SIZES, OWNER, "holds none"),
    "flat faces": ({**WHOLE, "faces": torch.zeros(6, 8)}, SIZES, OWNER, r"some of shape \[6, 8\]"),
    "no face at all": ({**WHOLE, "faces": torch.zeros(0, 6, 8)}, SIZES, OWNER, r"of shape \[0, 6, 8\]"),
    "whole numbers": ({**WHOLE, "faces": torch.zeros(1, 6, 8).long()}, SIZES, OWNER, "needs faces"),
    "other sizes": (WHOLE, {"num_ws": 8, "w_dim": 8}, OWNER, r"\[n 8 8\]"),
    "no sizes": (WHOLE, {}, OWNER, "needs faces"),
    "a strange tensor": ({**WHOLE, "generator.a": torch.zeros(1)}, SIZES, OWNER, "'generator.a' is not a change"),
    "a whole-number weight": (
        {**WHOLE, "difference.a": torch.zeros(1).long()},
        SIZES,
        OWNER,
        "not a change of a weight",
    ),
    "no owner": (WHOLE, SIZES, {}, "which generator it belongs to"),
    "an owner that is no text": (WHOLE, SIZES, {**OWNER, "generator_fingerprint": 7}, "which generator"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_file_that_is_no_difference_is_refused(case, tmp_path):
    tensors, sizes, owner, reason = HOSTILE[case]
    save_checkpoint(tmp_path / "bad.safetensors", "difference", tensors, sizes, **owner)
    with pytest.raises(CheckpointError, match=reason):
        load_weight_delta(tmp_path / "bad.safetensors")


def test_a_damaged_file_and_one_of_another_kind_are_refused(base, found, tmp_path):
    path = tmp_path / "me.safetensors"
    save_weight_delta(path, found)
    content = bytearray(path.read_bytes())
    content[-3] ^= 0x40
    path.write_bytes(content)
    with pytest.raises(CheckpointError):
        load_weight_delta(path)
    save_generator(path, base)
    with pytest.raises(CheckpointError, match="'difference' is needed"):
        load_weight_delta(path)

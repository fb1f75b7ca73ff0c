"""The rule that makes golden weights and inputs, against its published check values and the stored inputs."""

import pytest
import torch
from golden_rule import number, u1

KINDS = (
    "StyleGAN2",
    "recurrent motion generator",
    "W+ mappers",
    "joined path",
    "Encoder4Editing",
    "GradualStyleEncoder",
    "MoCoGAN-HD",
)


@pytest.mark.parametrize(
    "k, values",
    [
        (0, [1.29014253616333, 1.7089345455169678, -0.9168574213981628, 1.0849692821502686]),
        (3, [-1.4636778831481934, 1.4582043886184692, 1.4201064109802246, -0.5659610629081726]),
    ],
)
def test_rule_u1_gives_its_published_check_values(k, values):
    assert u1("synthesis.b4.const", [4], 0, 1, k).tolist() == torch.tensor(values).tolist()


def test_a_longer_tensor_begins_with_the_shorter_one_and_scale_is_last():
    assert torch.equal(u1("a", [2, 3], 0, 1, 5).flatten(), u1("a", [7], 0, 1, 5)[:6])
    assert u1("a", [], 0, 1, 0).shape == ()
    many = u1("a", [100_000], 3, 2, 0)
    assert abs(many.mean() - 3) < 0.02 and abs(many.std() - 2) < 0.02
    assert abs(many.max() - (3 + 2 * 3**0.5)) < 1e-3


def test_numbers_of_the_metadata():
    assert number("0.8") == 0.8
    assert number("1/sqrt(4)") == 0.5
    assert number("1.4/sqrt(4)") == 0.7
    assert number("1/sqrt(z_dim)", width=4) == 0.5


@pytest.mark.golden(*KINDS)
def test_stored_inputs_follow_their_rule(golden):
    for name in golden.input_rules():
        if name in golden:
            stored, made = golden[name], golden.made_by_rule(name, golden[name].shape)
            if name == "txt":
                made[0] = 0  # the first frame's offset
            assert torch.equal(stored, made), name


@pytest.mark.golden(*KINDS)
def test_every_tolerance_can_be_read(golden):
    assert 0 < golden.tolerance()["atol"] <= 1e-2


@pytest.mark.golden(*KINDS)
def test_stored_weights_follow_the_parameter_table(golden):
    for name in golden.names:
        if name.startswith("weight."):
            official = name.removeprefix("weight.")
            assert torch.equal(golden[name], golden.parameter(official, golden[name].shape)), name

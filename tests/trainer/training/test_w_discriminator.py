"""The discriminator of W: which way its losses push, R1 against its definition, and the pool of earlier codes."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from lga_trainer.training.w_discriminator import WDiscriminator, WPool, convincing, r1, taken_for_fake, taken_for_real


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gradient(loss, scores):
    scores = scores.clone().requires_grad_()
    return torch.autograd.grad(loss(scores), scores)[0]


def test_the_losses_push_real_scores_up_fake_ones_down_and_the_model_toward_higher_scores():
    scores = torch.tensor([-3.0, 0.0, 3.0])
    assert (gradient(taken_for_fake, scores) < 0).all()
    assert (gradient(taken_for_real, scores) > 0).all()
    assert (gradient(convincing, scores) < 0).all()


def test_the_more_a_score_is_wrong_the_harder_it_is_pushed():
    scores = torch.tensor([-3.0, 0.0, 3.0])
    assert gradient(taken_for_real, scores).diff().min() > 0
    assert gradient(convincing, scores).diff().min() > 0  # from strongly to weakly negative


def test_scores_at_chance_cost_log_two():
    assert_close(convincing(torch.zeros(5)), torch.tensor(2.0).log())


def test_r1_of_a_linear_discriminator_is_its_weight_s_squared_length():
    class Linear(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))

        def forward(self, w):
            return w @ self.weight

    linear = Linear()
    value = r1(linear, torch.randn(7, 3, generator=rng()))
    assert_close(value, torch.tensor(1 + 4 + 0.25))
    assert_close(torch.autograd.grad(value, linear.weight)[0], 2 * linear.weight.detach())


def test_r1_is_computed_where_gradients_are_off_around_it():
    discriminator = WDiscriminator(4)
    with torch.no_grad():
        assert r1(discriminator, torch.randn(3, 4, generator=rng())) > 0


def test_it_learns_to_tell_two_clouds_apart():
    discriminator, generator = WDiscriminator(8, seed=1), rng()
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-2)
    for _ in range(60):
        real, fake = torch.randn(32, 8, generator=generator), 1 + torch.randn(32, 8, generator=generator)
        loss = taken_for_fake(discriminator(real)) + taken_for_real(discriminator(fake))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    real, fake = torch.randn(200, 8, generator=generator), 1 + torch.randn(200, 8, generator=generator)
    with torch.no_grad():
        assert (discriminator(real) > 0).float().mean() > 0.8
        assert (discriminator(fake) < 0).float().mean() > 0.8


def test_first_weights_come_from_the_seed_alone():
    torch.manual_seed(1)
    first = WDiscriminator(4, seed=3)
    torch.manual_seed(2)
    assert_close(WDiscriminator(4, seed=3).state_dict(), first.state_dict())
    assert not torch.equal(WDiscriminator(4, seed=4).layers[0].weight, first.layers[0].weight)


def test_an_empty_pool_changes_nothing_and_a_filled_one_only_what_is_marked():
    pool, codes = WPool(2, size=3), torch.arange(8.0).reshape(4, 2)
    old, place = torch.tensor([True, False, True, False]), torch.tensor([0.0, 0.5, 0.99, 0.0])
    assert torch.equal(pool.mixed(codes, old, place), codes)
    pool.keep(torch.tensor([[-1.0, -1.0], [-2.0, -2.0]]), torch.tensor([2, 2]))
    mixed = pool.mixed(codes, old, place)
    assert_close(mixed, torch.tensor([[-1.0, -1.0], [2.0, 3.0], [-2.0, -2.0], [6.0, 7.0]]))


def test_a_full_pool_forgets_one_code_for_each_that_it_takes():
    pool = WPool(1, size=3)
    pool.keep(torch.arange(5.0)[:, None], torch.tensor([0, 0, 0, 1, 2]))
    assert pool.codes[:, 0].tolist() == [0, 3, 4] and pool.num_kept == 3


def test_a_saved_pool_is_the_same_pool():
    pool, other = WPool(2, size=4), WPool(2, size=4)
    pool.keep(torch.randn(3, 2, generator=rng()), torch.zeros(3, dtype=torch.int64))
    other.load_state_dict(pool.state_dict())
    arguments = torch.zeros(2, 2), torch.tensor([True, True]), torch.tensor([0.2, 0.9])
    assert torch.equal(pool.mixed(*arguments), other.mixed(*arguments))
    assert not torch.equal(pool.mixed(*arguments), arguments[0])


@pytest.mark.parametrize("w_dim", [3, 16])
def test_a_score_belongs_to_one_code_alone(w_dim):
    discriminator, codes = WDiscriminator(w_dim), torch.randn(5, w_dim, generator=rng())
    assert_close(discriminator(codes)[2:3], discriminator(codes[2:3]))
